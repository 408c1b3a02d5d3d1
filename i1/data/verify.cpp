#include "i1/data/verify.h"

#include <ATen/Parallel.h>

#include <optional>

#include "i1/core/files.h"
#include "i1/data/example.h"
#include "i1/data/merge.h"
#include "i1/data/shard_reader.h"
#include "i1/data/shard_sidecar.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

// That of the shards there; TFRecord where there are none.
ShardFormat format_in(const fs::path& folder) {
  if (!fs::is_directory(folder)) return ShardFormat::kTfrecord;
  bool has_tar = false;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto number = parse_shard_name(entry.path().filename().string());
    if (!number) continue;
    if (number->format == ShardFormat::kTfrecord) return ShardFormat::kTfrecord;
    has_tar = true;
  }
  return has_tar ? ShardFormat::kWebDataset : ShardFormat::kTfrecord;
}

struct ShardReport {
  VerifyReport found;
  std::optional<ShardSidecar> sidecar;
};

ShardReport verify_shard(const fs::path& shard) {
  ShardReport report;
  VerifyReport& found = report.found;
  try {
    found.num_records = for_each_record(
        shard,
        [&](StoredRecord& record) {
          found.num_payload_bytes += record.num_payload_bytes;
          decode_picture(record.example, record.where);
          check_captions(record.example, /*needs_caption=*/true, record.where);
          found.num_captions += static_cast<int64_t>(record.example.captions.size());
        },
        [&](const RecordError& error) { found.bad.add(error); });
  } catch (const UserError& error) {  // a tar that cannot be read
    found.file_faults.push_back(error.what());
  }
  if (!fs::exists(sidecar_path(shard))) return report;
  try {
    report.sidecar = read_sidecar(shard);
    const std::string fault = shard_fault(shard, *report.sidecar);
    if (!fault.empty()) found.file_faults.push_back(fault);
  } catch (const UserError& error) {
    found.file_faults.push_back(error.what());
  }
  return report;
}

void check_text(const fs::path& path, const std::string& expected, VerifyReport& report) {
  if (fs::exists(path) && read_file(path) != expected)
    report.file_faults.push_back(path.string() +
                                 ": is not what was written; i1 data merge writes it again");
}

// All shards have sidecars or none has; and what describes the whole set follows from them.
void check_sidecars(const fs::path& folder, const std::vector<fs::path>& shards,
                    const std::vector<ShardReport>& reports, VerifyReport& sum) {
  std::vector<ShardSidecar> sidecars;
  std::vector<std::string> missing;
  for (size_t i = 0; i < shards.size(); ++i) {
    if (reports[i].sidecar) sidecars.push_back(*reports[i].sidecar);
    if (!fs::exists(sidecar_path(shards[i])))
      missing.push_back(shards[i].string() + ": has no sidecar, others have");
  }
  if (missing.size() < shards.size())
    sum.file_faults.insert(sum.file_faults.end(), missing.begin(), missing.end());
  if (sidecars.size() < shards.size()) return;
  const DatasetInfo info = dataset_info_of(sidecars);
  check_text(folder / "features.json", features_json(info), sum);
  check_text(folder / "dataset_info.json", dataset_info_json(info), sum);
}

}  // namespace

VerifyReport verify_records(const fs::path& folder) {
  const std::vector<fs::path> shards = find_shards(folder, format_in(folder));
  std::vector<ShardReport> reports(shards.size());
  at::parallel_for(0, static_cast<int64_t>(shards.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      reports[static_cast<size_t>(i)] = verify_shard(shards[static_cast<size_t>(i)]);
  });
  VerifyReport sum;
  std::vector<int64_t> lengths;
  for (const ShardReport& one : reports) {
    const VerifyReport& report = one.found;
    ++sum.num_shards;
    sum.num_records += report.num_records;
    sum.num_captions += report.num_captions;
    sum.num_payload_bytes += report.num_payload_bytes;
    sum.bad.add(report.bad);
    sum.file_faults.insert(sum.file_faults.end(), report.file_faults.begin(),
                           report.file_faults.end());
    lengths.push_back(report.num_records);
  }
  check_sidecars(folder, shards, reports, sum);
  if (sum.num_records == 0) sum.metadata_fault = folder.string() + ": no record in any shard";
  const fs::path info = folder / "dataset_info.json";
  if (!fs::exists(info)) return sum;
  const std::vector<int64_t> stated = read_shard_lengths(info);
  for (size_t i = 0; i < lengths.size() && sum.metadata_fault.empty(); ++i) {
    if (stated.size() != lengths.size())
      sum.metadata_fault = concat(info.string(), ": tells of ", stated.size(), " shards, but ",
                                  lengths.size(), " are there");
    else if (stated[i] != lengths[i])
      sum.metadata_fault = concat(info.string(), ": tells of ", stated[i], " records in shard ", i,
                                  ", but ", lengths[i], " are there");
  }
  return sum;
}

}  // namespace i1
