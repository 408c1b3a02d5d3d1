#include "i1/eval/nano_benchmark.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/example.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSheetPairs = 24;

at::Tensor features_of(const std::vector<const Image*>& images) {
  std::vector<at::Tensor> features;
  for (const Image* image : images) {
    const at::Tensor bytes = at::from_blob(const_cast<uint8_t*>(image->pixels.data()),
                                           {1, image->height, image->width, 3}, at::kByte);
    features.push_back(retrieval_features(bytes));
  }
  return at::cat(features);
}

struct Group {
  const char* name;
  const char* held_out;
  bool has_tone;
};
constexpr Group kGroups[] = {
    {"seen", "", false}, {"held-out style", "style", false}, {"held-out grid", "grid", true}};

}  // namespace

std::vector<TruthEntry> read_truth(const fs::path& folder) {
  std::vector<TruthEntry> entries;
  std::istringstream lines(read_file(folder / "metadata.jsonl"));
  for (const fs::path& shard : find_shards(folder)) {
    const MappedFile file(shard);
    RecordReader reader(file.bytes(), shard.string());
    std::string line;
    while (const auto payload = reader.next()) {
      const Example example = parse_stored_example(*payload, shard.string());
      check_user(static_cast<bool>(std::getline(lines, line)), folder.string(),
                 ": metadata.jsonl has fewer lines than there are records");
      const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
      try {
        check_user(json.at("image_name") == example.image_name, folder.string(),
                   ": metadata.jsonl does not follow the records");
        if (!json.value("is_scored", false) || json.at("captions").size() < 2) continue;
        entries.push_back(
            {json.at("style"), json.at("concept"), json.at("held_out"), json.at("captions")[1],
             !json.at("tones").empty(),
             decode_image(std::as_bytes(std::span(example.png)), example.image_name)});
      } catch (const nlohmann::json::exception&) {
        throw UserError(concat(folder.string(), ": metadata.jsonl: not a line of i1 data build: ",
                               line.substr(0, 80)));
      }
    }
  }
  check_user(!entries.empty(), folder.string(), ": no scored picture");
  return entries;
}

NanoScores run_nano_benchmark(const std::vector<TruthEntry>& truth, size_t num_captions,
                              const DrawFunction& draw) {
  NanoScores scores;
  for (const Group& group : kGroups) {
    std::vector<const TruthEntry*> asked;
    std::vector<std::string> captions;
    for (const TruthEntry& entry : truth) {
      const bool is_in = entry.held_out == group.held_out && entry.has_tone == group.has_tone;
      if (!is_in || asked.size() == num_captions) continue;
      asked.push_back(&entry);
      captions.push_back(entry.caption);
    }
    if (asked.empty()) continue;
    const std::vector<Image> drawn = draw(captions);
    RetrievalTally tally;
    for (const char* style : {"3d", "flat", "cartoon", "outline"}) {
      std::vector<const Image*> gallery, queries;
      std::map<const TruthEntry*, int64_t> place;
      for (const TruthEntry& entry : truth) {
        if (entry.style != style || entry.has_tone != group.has_tone) continue;
        place[&entry] = static_cast<int64_t>(gallery.size());
        gallery.push_back(&entry.picture);
      }
      std::vector<int64_t> answers;
      for (size_t i = 0; i < asked.size(); ++i) {
        if (asked[i]->style != style) continue;
        queries.push_back(&drawn[i]);
        answers.push_back(place.at(asked[i]));
      }
      if (!queries.empty()) tally.add(features_of(queries), features_of(gallery), answers);
    }
    scores.groups[group.name] = tally.score();
    for (size_t i = 0; i < std::min(asked.size(), kSheetPairs); ++i) {
      scores.sheet.emplace_back(drawn[i], captions[i]);
      scores.sheet.emplace_back(asked[i]->picture, std::string(group.name) + ": the true picture");
    }
  }
  return scores;
}

}  // namespace i1
