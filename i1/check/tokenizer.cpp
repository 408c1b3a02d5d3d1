#include "i1/check/tokenizer.h"

#include <stdlib.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/text/tokenizer.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Ids = std::vector<int64_t>;

std::string read_unpacked(const fs::path& path) {
  std::string bytes = read_file(path);
  if (path.extension() != ".gz") return bytes;
  z_stream stream{};
  check_machine(inflateInit2(&stream, 15 + 16) == Z_OK, "zlib: ", zError(Z_MEM_ERROR));
  stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out, block(1 << 20, '\0');
  int status = Z_OK;
  while (status == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    status = inflate(&stream, Z_NO_FLUSH);
    out.append(block, 0, block.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  check_user(status == Z_STREAM_END, path.string(), ": damaged gzip file: ", zError(status));
  return out;
}

// A tokenizer's files under the names that they have at home.
class UnpackedFolder {
 public:
  void add(const fs::path& source, const std::string& name) {
    write_file_atomically(path() / name, read_unpacked(source));
  }
  const fs::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_{"tokenizer"};
};

// The file in `folder` whose name ends in `ending` or in `ending`.gz; empty where there is none.
fs::path find_file(const fs::path& folder, const std::string& ending) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(ending) || name.ends_with(ending + ".gz")) found.push_back(entry.path());
  }
  return found.empty() ? fs::path() : *std::min_element(found.begin(), found.end());
}

std::unique_ptr<Tokenizer> load(const fs::path& folder, const std::string& name,
                                CheckReport& report) {
  const fs::path file = find_file(folder, name);
  const fs::path config = find_file(folder, "tokenizer_config.json");
  if (file.empty()) return nullptr;
  UnpackedFolder unpacked;
  unpacked.add(file, name);
  report.use(file);
  if (!config.empty()) report.use(config);
  if (!config.empty()) unpacked.add(config, "tokenizer_config.json");
  return std::make_unique<Tokenizer>(load_tokenizer(unpacked.path()));
}

struct Tokenizers {
  std::unique_ptr<Tokenizer> json, sentencepiece;

  Tokenizers(const fs::path& folder, CheckReport& report)
      : json(load(folder, "tokenizer.json", report)),
        sentencepiece(load(folder, "tokenizer.model", report)) {}
};

// Counts texts a stage and group, and remembers the first that differs.
class Tally {
 public:
  void add(const std::string& group, const std::string& stage, int64_t line, bool is_equal) {
    Entry& entry = entries_[{group, stage}];
    ++entry.num_texts;
    if (!is_equal && entry.num_different++ == 0) entry.first_line = line;
  }
  void report(const std::string& golden, CheckReport& report) const {
    for (const auto& [key, entry] : entries_) {
      const std::string note =
          entry.num_different == 0
              ? concat(entry.num_texts, " texts")
              : concat("of ", entry.num_texts, " texts; first at line ", entry.first_line);
      report.exact(golden, key.first, key.second, entry.num_different, note);
    }
  }

 private:
  struct Entry {
    int64_t num_texts = 0, num_different = 0, first_line = 0;
  };
  std::map<std::pair<std::string, std::string>, Entry> entries_;
};

void check_text(const json& line, int64_t number, const Tokenizers& tokenizers, Tally& tally) {
  const std::string text = line.at("text"), group = line.value("group", "texts");
  const Ids ids = line.at("ids");
  if (tokenizers.json != nullptr) {
    const Tokenizer& tokenizer = *tokenizers.json;
    const std::string decoded = line.at("decode");
    tally.add(group, "ids", number, tokenizer.encode(text) == ids);
    tally.add(group, "decode", number, tokenizer.decode(ids) == decoded);
    tally.add(group, "decode_skip_special", number,
              tokenizer.decode(ids, true) == line.value("decode_skip_special", decoded));
  }
  if (tokenizers.sentencepiece != nullptr) {
    tally.add(group, "sentencepiece_ids", number,
              tokenizers.sentencepiece->encode(text) == line.value("sentencepiece_ids", ids));
  }
}

void check_padded(const json& line, int64_t number, const Tokenizers& tokenizers, Tally& tally) {
  const Ids ids = line.at("input_ids");
  const std::vector<uint8_t> mask = line.at("attention_mask");
  const auto check = [&](const Tokenizer& tokenizer, const std::string& file) {
    const PaddedIds found = tokenizer.encode_padded(line.at("text").get<std::string>(),
                                                    static_cast<int64_t>(ids.size()));
    tally.add("padded", file + " input_ids", number, found.ids == ids);
    tally.add("padded", file + " attention_mask", number, found.mask == mask);
    tally.add("padded", file + " n_tokens", number, found.num_tokens == line.at("n_tokens"));
  };
  if (tokenizers.json != nullptr) check(*tokenizers.json, "tokenizer.json");
  // A control token written out is one id in tokenizer.json, plain text in tokenizer.model.
  const auto has_control_token = [&](const Tokenizer& tokenizer) {
    const Ids valid(ids.begin(), ids.begin() + std::count(mask.begin(), mask.end(), 1));
    return tokenizer.decode(valid) != tokenizer.decode(valid, true);
  };
  if (tokenizers.sentencepiece != nullptr && !has_control_token(*tokenizers.sentencepiece))
    check(*tokenizers.sentencepiece, "tokenizer.model");
}

void check_list(const fs::path& path, const Tokenizers& tokenizers, CheckReport& report) {
  report.use(path);
  std::ifstream file(path);
  std::string text;
  Tally tally;
  for (int64_t number = 1; std::getline(file, text); ++number) {
    try {
      const json line = json::parse(text);
      (line.contains("input_ids") ? check_padded : check_text)(line, number, tokenizers, tally);
    } catch (const json::exception& error) {
      throw UserError(concat(path.string(), ":", number, ": ", error.what()));
    }
  }
  tally.report(path.string(), report);
}

bool is_list(const fs::path& path) { return path.extension() == ".jsonl"; }

bool has_tokenizer(const fs::path& folder) {
  return !find_file(folder, "tokenizer.json").empty() ||
         !find_file(folder, "tokenizer.model").empty();
}

std::vector<fs::path> lists_in(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> lists;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (is_list(entry.path())) lists.push_back(entry.path());
  }
  std::sort(lists.begin(), lists.end());
  return lists;
}

bool matches(const fs::path& path) {
  if (fs::is_directory(path)) return has_tokenizer(path) && !lists_in(path).empty();
  return is_list(path) && has_tokenizer(fs::absolute(path).parent_path());
}

void run(const fs::path& path, const std::string&, CheckReport& report) {
  const Tokenizers tokenizers(fs::is_directory(path) ? path : fs::absolute(path).parent_path(),
                              report);
  for (const fs::path& list : lists_in(path)) {
    if (list.stem().string().starts_with("qwen")) {
      report.leave_out(list, "this version has no byte-level tokenizer (Qwen3)");
    } else {
      check_list(list, tokenizers, report);
    }
  }
}

}  // namespace

const CheckFamily kCheckTokenizer = {"tokenizer", "texts and their token ids", matches, run};

}  // namespace i1
