#include "i1/data/bad_records.h"

#include <algorithm>

namespace i1 {
namespace {

constexpr int64_t kMinRecordsToJudge = 1000;

}  // namespace

void BadRecords::add(const RecordError& error) {
  ++counts[error.reason()];
  first.try_emplace(error.reason(), error.what());
}

void BadRecords::add(const BadRecords& later) {
  for (const auto& [reason, count] : later.counts) counts[reason] += count;
  first.insert(later.first.begin(), later.first.end());
}

int64_t BadRecords::total() const {
  int64_t sum = 0;
  for (const auto& [reason, count] : counts) sum += count;
  return sum;
}

std::string BadRecords::report() const {
  std::string text;
  for (const auto& [reason, count] : counts)
    text += concat(reason, ": ", count, ", the first: ", first.at(reason), "\n");
  return text;
}

void check_bad_fraction(std::span<const BadRecords> bad, std::span<const std::string> sources,
                        double max_fraction, int64_t num_read) {
  int64_t total = 0;
  for (const BadRecords& one : bad) total += one.total();
  const auto num_judged = static_cast<double>(std::max(num_read, kMinRecordsToJudge));
  if (static_cast<double>(total) <= max_fraction * num_judged) return;
  const auto worst = std::ranges::max_element(bad, {}, &BadRecords::total);
  const auto most =
      std::ranges::max_element(worst->counts, {}, [](const auto& reason) { return reason.second; });
  throw UserError(
      concat(total, " of ", num_read, " records cannot be used, more than the limit of ",
             100 * max_fraction, " % (--max-bad-fraction); worst: ",
             sources[static_cast<size_t>(worst - bad.begin())], " with ", worst->total(),
             ", most often: ", most->first, " (", worst->first.at(most->first), ")"));
}

}  // namespace i1
