#include "i1/data/caption_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <tuple>

#include "i1/core/config.h"
#include "i1/core/error.h"
#include "i1/core/files.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kJournalEnd = ".partial.jsonl";

// A descriptor that is closed when it goes, and its lock with it.
struct Descriptor {
  int fd;
  ~Descriptor() { ::close(fd); }
};

int open_to_append(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) throw_system_error(path, "cannot be written", errno);
  return fd;
}

bool ends_within_a_line(int fd) {
  const off_t size = ::lseek(fd, 0, SEEK_END);
  char last = '\n';
  return size > 0 && ::pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

std::string file_name(const WorkPart& part, int64_t number) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%05ld", static_cast<long>(number));
  return concat("captions-", part.name(), "-", digits, ".json");
}

// captions-K-of-N-FILE.json or captions-K-of-N.partial.jsonl: K, N, FILE (-1: of a journal).
struct FoundFile {
  WorkPart part;
  int64_t number;
  fs::path path;
};

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool take(std::string_view& text, int64_t& number) {
  const auto read =
      std::from_chars(text.data(), text.data() + std::min<size_t>(9, text.size()), number);
  const bool is_number = read.ec == std::errc() && number >= 0;
  if (is_number) text.remove_prefix(static_cast<size_t>(read.ptr - text.data()));
  return is_number;
}

bool parse_name(std::string_view name, FoundFile& file) {
  file.number = -1;
  if (!take(name, "captions-") || !take(name, file.part.index) || !take(name, "-of-") ||
      !take(name, file.part.count))
    return false;
  return name == kJournalEnd || (take(name, "-") && take(name, file.number) && name == ".json");
}

std::vector<FoundFile> find_files(const fs::path& folder) {
  check_user(fs::is_directory(folder), folder.string(), ": no such folder");
  std::vector<FoundFile> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    FoundFile file{{}, -1, entry.path()};
    if (parse_name(entry.path().filename().string(), file)) found.push_back(file);
  }
  std::sort(found.begin(), found.end(), [](const FoundFile& a, const FoundFile& b) {
    return std::tie(a.part.count, a.part.index, a.number) <
           std::tie(b.part.count, b.part.index, b.number);
  });
  return found;
}

// Whether there is a whole run: parts 0..N-1 of one N, each done, its files 0, 1, ...
void check_complete(const fs::path& folder, const std::vector<FoundFile>& files) {
  check_user(!files.empty(), folder.string(), ": no captions here (captions-K-of-N-00000.json)");
  const int64_t count = files.front().part.count;
  WorkPart next{-1, count};
  int64_t number = 0;
  const auto check_next = [&](bool is_next) {
    check_user(is_next, folder.string(), ": ", file_name(next, number),
               " is missing; i1 data caption --shard ", next.index, "/", count, " writes it");
  };
  for (const FoundFile& file : files) {
    check_user(file.part.count == count, folder.string(), ": holds captions in ", count,
               " parts and in ", file.part.count, "; remove those of one of the two runs");
    check_user(file.number >= 0, file.path.string(),
               ": this part is not done; the same command that began it goes on");
    if (file.part.index != next.index) {
      next = {next.index + 1, count};
      number = 0;
    }
    check_next(file.part.index == next.index && file.number == number);
    ++number;
  }
  next = {next.index + 1, count};
  number = 0;
  check_next(next.index == count);
}

ordered_json read_captions(const fs::path& path) {
  ordered_json captions = ordered_json::parse(read_file(path), nullptr, false);
  const bool is_good =
      captions.is_object() && std::all_of(captions.begin(), captions.end(),
                                          [](const auto& caption) { return caption.is_string(); });
  check_user(is_good, path.string(),
             ": expected a JSON object of {KEY: CAPTION}; damaged: remove it, and the command that "
             "wrote it writes it again without asking");
  return captions;
}

bool holds_already(const fs::path& path, const std::string& text) {
  return fs::exists(path) && read_file(path) == text;
}

}  // namespace

CaptionAnswers::CaptionAnswers(const fs::path& folder, const WorkPart& part)
    : folder_(folder), path_(folder / ("captions-" + part.name() + kJournalEnd)) {
  make_folder(folder);
  fd_ = open_to_append(path_);
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    throw UserError(path_.string() + ": another process is at work on this part");
  }
  try {
    if (ends_within_a_line(fd_)) write_all(fd_, "\n", 1);
    // The journals first: what moves from one to the cache meanwhile is read from there.
    for (const FoundFile& file : find_files(folder))
      if (file.number < 0) read(file.path);
    if (const fs::path cache = folder / "cache.jsonl"; fs::exists(cache)) read(cache);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

CaptionAnswers::~CaptionAnswers() { ::close(fd_); }

void CaptionAnswers::read(const fs::path& path) {
  const std::string text = read_file(path);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    CaptionAnswer answer;
    try {
      from_json(answer, nlohmann::json::parse(text.substr(begin, end - begin)), path.string());
      if (!answer.caption.empty()) remember(answer);
    } catch (const std::exception&) {  // a line that a kill or another process's write cut
    }
    begin = end + 1;
  }
}

void CaptionAnswers::remember(const CaptionAnswer& answer) {
  const auto [place, is_new] = by_id_.emplace(answer.id, captions_.size());
  if (is_new) captions_.push_back(answer.caption);
  by_source_[answer.source] = place->second;
}

const std::string* CaptionAnswers::with_source(const std::string& source) const {
  const auto found = by_source_.find(source);
  return found == by_source_.end() ? nullptr : &captions_[found->second];
}

const std::string* CaptionAnswers::with_id(const std::string& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &captions_[found->second];
}

void CaptionAnswers::add(const CaptionAnswer& answer) {
  const std::string line = to_json(answer).dump() + "\n";
  try {
    write_all(fd_, line.data(), line.size());
  } catch (const Failure& failure) {
    throw Failure(path_.string() + ": " + failure.what());
  }
  remember(answer);
}

void CaptionAnswers::settle() {
  const std::string lines = read_file(path_);
  if (lines.empty()) return;
  const fs::path path = folder_ / "cache.jsonl";
  const Descriptor cache{open_to_append(path)};
  if (::flock(cache.fd, LOCK_EX) != 0) throw_system_error(path, "cannot be locked", errno);
  if (ends_within_a_line(cache.fd)) write_all(cache.fd, "\n", 1);
  write_all(cache.fd, lines.data(), lines.size());
  if (::fsync(cache.fd) != 0) throw_system_error(path, "cannot be written", errno);
  if (::ftruncate(fd_, 0) != 0) throw_system_error(path_, "cannot be written", errno);
}

void CaptionAnswers::finish() {
  settle();
  fs::remove(path_);
}

CaptionFiles::CaptionFiles(fs::path folder, const WorkPart& part, std::vector<std::string> keys)
    : folder_(std::move(folder)), part_(part), keys_(std::move(keys)) {
  const auto total = static_cast<int64_t>(keys_.size());
  const int64_t num_files = std::max<int64_t>(1, (total + kCaptionsPerFile - 1) / kCaptionsPerFile);
  for (int64_t i = 0; i < num_files; ++i) {
    const int64_t size = std::min(kCaptionsPerFile, total - i * kCaptionsPerFile);
    files_.push_back({std::vector<std::pair<std::string, std::string>>(size), size});
  }
  if (total == 0) write_file_atomically(path(0), "{}\n");  // a part without pictures is done
}

fs::path CaptionFiles::path(int64_t number) const { return folder_ / file_name(part_, number); }

bool CaptionFiles::set(int64_t index, const std::string& caption) {
  File& file = files_[static_cast<size_t>(index / kCaptionsPerFile)];
  file.captions[static_cast<size_t>(index % kCaptionsPerFile)] = {keys_[static_cast<size_t>(index)],
                                                                  caption};
  return close_one(file, index / kCaptionsPerFile);
}

bool CaptionFiles::skip(int64_t index) {
  return close_one(files_[static_cast<size_t>(index / kCaptionsPerFile)], index / kCaptionsPerFile);
}

bool CaptionFiles::close_one(File& file, int64_t number) {
  if (--file.num_open > 0) return false;
  ordered_json captions = ordered_json::object();
  for (const auto& [key, caption] : file.captions)
    if (!caption.empty()) captions[key] = caption;
  const std::string text = captions.dump(1) + "\n";
  if (!holds_already(path(number), text)) write_file_atomically(path(number), text);
  file.captions = {};
  return true;
}

void CaptionFiles::remove_others() const {
  for (const FoundFile& file : find_files(folder_)) {
    if (file.number < 0 || file.part.name() != part_.name()) continue;
    const auto number = static_cast<size_t>(file.number);
    if (number >= files_.size() || files_[number].num_open > 0) fs::remove(file.path);
  }
}

int64_t merge_captions(const fs::path& folder, const std::string& column, const fs::path& output) {
  const std::vector<FoundFile> files = find_files(folder);
  check_complete(folder, files);
  AtomicFile table(output);
  std::set<std::string> keys;
  std::string line = "[";
  for (const FoundFile& file : files) {
    const ordered_json captions = read_captions(file.path);
    for (const auto& [key, caption] : captions.items()) {
      check_user(keys.insert(key).second, file.path.string(), ": \"", key,
                 "\" is in an earlier file too; run all parts over the same pictures");
      line += keys.size() > 1 ? ",\n " : "\n ";
      line += ordered_json{{"key", key}, {column, caption}}.dump();
      table.write(line.data(), line.size());
      line.clear();
    }
  }
  check_user(!keys.empty(), folder.string(), ": its files hold no caption");
  table.write("\n]\n", 3);
  table.commit();
  return static_cast<int64_t>(keys.size());
}

void write_caption_failures(
    const fs::path& folder, const WorkPart& part,
    const std::map<int64_t, std::pair<std::string, std::string>>& failures) {
  const fs::path path = folder / ("failures-" + part.name() + ".tsv");
  if (failures.empty()) {
    fs::remove(path);
    return;
  }
  const auto cell = [](std::string text) {
    for (char& c : text)
      if (static_cast<unsigned char>(c) < ' ') c = ' ';
    return text;
  };
  std::string table;
  for (const auto& [index, failure] : failures)
    table += cell(failure.first) + "\t" + cell(failure.second) + "\n";
  write_file_atomically(path, table);
}

}  // namespace i1
