#include <algorithm>
#include <cmath>
#include <numeric>

#include "i1/check/data_cases.h"
#include "i1/check/golden_files.h"
#include "i1/core/digest.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/random.h"
#include "i1/data/example.h"
#include "i1/data/mixing.h"
#include "i1/data/split.h"
#include "i1/data/subset.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string hex32(uint32_t value) {
  char text[12];
  std::snprintf(text, sizeof text, "%08x", value);
  return text;
}

std::string length_bytes(uint64_t length) {
  return {reinterpret_cast<const char*>(&length), sizeof length};
}

// A record and its frame, read and written.
void check_record_at(const DataGolden& golden, const json& item, const fs::path& shard,
                     int64_t index, DatasetInfo& info) {
  const std::string name = example_id(shard.filename().string(), index);
  const MappedFile file(shard);
  RecordReader reader(file.bytes(), shard.string());
  golden.expect(name, "records before it", reader.skip(index), index);
  golden.expect(name, "offset", reader.offset(), item.at("offset").get<uint64_t>());
  const auto payload = reader.next();
  if (!payload) return golden.report.fail(golden.path.string(), name, "payload", "not there");
  golden.expect(name, "payload bytes", payload->size(), item.at("payload_bytes").get<size_t>());
  golden.expect(name, "checksum of the length", hex32(masked_crc32c(length_bytes(payload->size()))),
                item.at("length_crc").get<std::string>());
  golden.expect(name, "checksum of the payload", hex32(masked_crc32c(*payload)),
                item.at("data_crc").get<std::string>());
  const std::string frame = frame_record(*payload);
  const auto offset = item.at("offset").get<size_t>();
  golden.expect(name, "frame written",
                frame == std::string_view(reinterpret_cast<const char*>(file.bytes().data()),
                                          file.bytes().size())
                             .substr(offset, frame.size()),
                true);

  const Example example = parse_stored_example(*payload, name);
  golden.expect(name, "id", name, item.at("tfds_id").get<std::string>());
  golden.expect(name, "image_name", example.image_name, item.at("image_name").get<std::string>());
  golden.expect(name, "image/shape",
                std::vector<int64_t>{example.height, example.width, example.channels},
                item.at("shape").get<std::vector<int64_t>>());
  golden.expect(name, "captions", example.captions,
                item.at("captions").get<std::vector<std::string>>());
  golden.expect(name, "image", sha256_hex(example.png),
                item.at("image_png_sha256").get<std::string>());
  golden.expect(name, "pixels", pixels_sha256(decode_picture(example, name)),
                item.at("image_rgb_sha256").get<std::string>());
  const std::string written = serialize(example);
  golden.expect(name, "payload written, bytes", written.size(), payload->size());
  golden.expect(name, "payload written and read",
                parse_example(written, name) == parse_example(*payload, name), true);
  info.resolution = example.height;
  ++info.shard_lengths[item.at("shard").get<size_t>()];
  info.num_payload_bytes += static_cast<int64_t>(payload->size());
}

struct Fault {
  int64_t num_good = 0;
  std::string reason, message;  ///< empty = none
};

// Reads up to the first fault, as far as the layer looks.
Fault read_up_to_fault(const fs::path& path, bool reads_examples) {
  Fault fault;
  try {
    const MappedFile file(path);
    RecordReader reader(file.bytes(), path.filename().string());
    while (const auto payload = reader.next()) {
      if (reads_examples)
        decode_picture(parse_stored_example(*payload, path.filename().string()), path.string());
      ++fault.num_good;
    }
  } catch (const RecordError& error) {
    fault.reason = error.reason();
    fault.message = error.what();
  }
  return fault;
}

// What the golden's description of a fault is called here.
std::string reason_of(const json& error) {
  if (error.is_null()) return "";
  const std::string text = error.get<std::string>();
  const std::pair<const char*, const char*> reasons[] = {
      {"corrupt", "wrong checksum"},
      {"truncated", "cut off"},
      {"not an Example", "not an example"},
      {"missing ", "wrong features"},
      {"wrong ", "wrong features"},
      {"shape does not fit", "shape does not fit the picture"},
      {"image does not decode", "picture does not decode"}};
  for (const auto& [prefix, reason] : reasons)
    if (text.starts_with(prefix)) return reason;
  return text;
}

std::vector<std::vector<int64_t>> as_numbers(const std::vector<ShardPart>& parts) {
  std::vector<std::vector<int64_t>> numbers;
  for (const ShardPart& part : parts) numbers.push_back({part.shard, part.skip, part.take});
  return numbers;
}

// Shares of 100,000 draws within four standard deviations of their probabilities.
int64_t num_shares_off(const Mixture& mixture) {
  constexpr int64_t kDraws = 100000;
  const RandomStream stream{0, fnv1a("mixing")};
  std::vector<int64_t> counts(mixture.shares().size());
  for (int64_t i = 0; i < kDraws; ++i)
    ++counts[static_cast<size_t>(mixture.pick(stream.uniform(static_cast<uint64_t>(i))))];
  int64_t num_off = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double p = mixture.shares()[i], expected = p * kDraws;
    num_off +=
        std::abs(static_cast<double>(counts[i]) - expected) > 4 * std::sqrt(expected * (1 - p));
  }
  return num_off;
}

}  // namespace

void check_record_content(const DataGolden& golden) {
  const std::vector<fs::path> shards = find_shards(golden.folder());
  DatasetInfo info;
  info.shard_lengths.resize(shards.size());
  for (const json& item : golden.cases) {
    const auto shard = item.at("shard").get<size_t>();
    check_user(shard < shards.size(), golden.path.string(), ": tells of shard ", shard, ", but ",
               shards.size(), " are there");
    golden.report.use(shards[shard]);
    check_record_at(golden, item, shards[shard], info.shard_lengths[shard], info);
  }
  const fs::path stored = golden.beside("dataset_info.json");
  golden.expect("dataset_info.json", "shard lengths read", read_shard_lengths(stored),
                info.shard_lengths);
  golden.expect("dataset_info.json", "written", dataset_info_json(info), read_file(stored));
  golden.expect("features.json", "written", features_json(info),
                read_file(golden.beside("features.json")));
}

void check_damaged_records(const DataGolden& golden) {
  for (const json& item : golden.cases) {
    const std::string name = item.at("file");
    const Fault fault =
        read_up_to_fault(golden.beside(name), item.at("layer").get<std::string>() == "example");
    golden.expect(name, "records before the fault", fault.num_good,
                  item.at("good_records").get<int64_t>());
    golden.expect(name, "reason", fault.reason, reason_of(item.at("error")));
  }
}

void check_even_splits(const DataGolden& golden) {
  for (const json& item : golden.cases) {
    const auto lengths = item.at("shard_lengths").get<std::vector<int64_t>>();
    const int64_t num_processes = golden.num_parts(item, "processes");
    const int64_t total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
    for (const json& part : item.at("parts")) {
      const auto process = part.at("process").get<int64_t>();
      const std::string name =
          concat(lengths.size(), " shards of ", total, ", process ", process, "/", num_processes);
      const Span span = even_part(total, process, num_processes);
      golden.expect(name, "examples", std::vector<int64_t>{span.begin, span.end},
                    {part.at("from").get<int64_t>(), part.at("to").get<int64_t>()});
      golden.expect(name, "shard, skip, take",
                    as_numbers(shard_parts(lengths, process, num_processes)),
                    part.at("shard_skip_take").get<std::vector<std::vector<int64_t>>>());
    }
  }
}

void check_mixing(const DataGolden& golden) {
  const auto counts = golden.cases.at("counts").get<std::map<std::string, int64_t>>();
  const auto base = golden.cases.at("base_shuffle_buffer").get<int64_t>();
  for (const json& item : golden.cases.at("mixtures")) {
    const auto expected = item.at("probability").get<std::map<std::string, double>>();
    const std::string weighting = item.at("weighting"),
                      name = item.contains("threshold")
                                 ? concat(weighting, " ", item["threshold"].dump())
                                 : weighting;
    std::vector<int64_t> sizes;
    for (const auto& [set, probability] : expected) sizes.push_back(counts.at(set));
    const std::vector<double> weights =
        weighting == "equal"
            ? std::vector<double>(sizes.size(), 1.0)
            : count_weights(sizes, item.value("threshold", std::numeric_limits<int64_t>::max()));
    const Mixture mixture(weights);
    std::map<std::string, int64_t> buffers;
    double error = 0;
    size_t i = 0;
    for (const auto& [set, probability] : expected) {
      error = std::max(error, std::abs(mixture.shares()[i] - probability) / probability);
      buffers[set] = shuffle_buffer_size(mixture.shares()[i++], base);
    }
    constexpr double kLastDigit = 4 * std::numeric_limits<double>::epsilon();
    golden.report.exact(golden.path.string(), name, "probabilities", error > kLastDigit);
    golden.expect(name, "shuffle buffers", buffers,
                  item.at("shuffle_buffer").get<std::map<std::string, int64_t>>());
    golden.report.exact(golden.path.string(), name, "shares of 100,000 draws",
                        num_shares_off(mixture));
  }
}

void check_subset(const DataGolden& golden) {
  const std::string path = golden.path.string();
  for (const auto& [text, value] : entries_of(golden.cases.at("fingerprints"), path)) {
    golden.expect(text, "fingerprint", std::to_string(fingerprint64(text)),
                  value.get<std::string>());
  }
  const auto kept_counts = entries_of(golden.cases.at("kept_of_10000"), path);
  for (const json& item : golden.cases.at("ids")) {
    const std::string id = item.at("tfds_id");
    golden.expect(id, "bucket", subset_bucket(id), item.at("bucket").get<int64_t>());
    golden.expect(id, "fingerprint", std::to_string(fingerprint64(id + "0")),
                  item.at("fingerprint64").get<std::string>());
    std::vector<double> kept;
    for (const auto& [fraction, count] : kept_counts) {
      const double share = std::stod(fraction);
      if (is_in_subset(id, share)) kept.push_back(share);
    }
    std::sort(kept.begin(), kept.end());
    golden.expect(id, "kept at", kept, item.at("kept_at").get<std::vector<double>>());
  }
  // The golden's 10,000 examples: four shards of 2,500.
  for (const auto& [fraction, count] : kept_counts) {
    int64_t num_kept = 0;
    for (int64_t i = 0; i < 10000; ++i) {
      num_kept += is_in_subset(example_id(shard_name(i / 2500, 4), i % 2500), std::stod(fraction));
    }
    golden.expect("10,000 examples", "kept at " + fraction, num_kept, count.get<int64_t>());
  }
}

}  // namespace i1
