#include "i1/data/verify.h"

#include <ATen/Parallel.h>

#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/data/example.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

VerifyReport verify_shard(const fs::path& shard) {
  VerifyReport report;
  const MappedFile file(shard);
  RecordReader reader(file.bytes(), shard.filename().string());
  while (reader.offset() < file.bytes().size()) {
    check_interrupt();
    const std::string where = concat(shard.filename().string(), ", record ", report.num_records++);
    try {
      const std::string_view payload = *reader.next();
      report.num_payload_bytes += static_cast<int64_t>(payload.size());
      const Example example = parse_stored_example(payload, where);
      decode_picture(example, where);
      check_captions(example, /*needs_caption=*/true, where);
      report.num_captions += static_cast<int64_t>(example.captions.size());
    } catch (const RecordError& error) {
      report.bad.add(error);
    }
  }
  return report;
}

}  // namespace

VerifyReport verify_records(const fs::path& folder) {
  const std::vector<fs::path> shards = find_shards(folder);
  std::vector<VerifyReport> reports(shards.size());
  at::parallel_for(0, static_cast<int64_t>(shards.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      reports[static_cast<size_t>(i)] = verify_shard(shards[static_cast<size_t>(i)]);
  });
  VerifyReport sum;
  std::vector<int64_t> lengths;
  for (const VerifyReport& report : reports) {
    ++sum.num_shards;
    sum.num_records += report.num_records;
    sum.num_captions += report.num_captions;
    sum.num_payload_bytes += report.num_payload_bytes;
    sum.bad.add(report.bad);
    lengths.push_back(report.num_records);
  }
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
