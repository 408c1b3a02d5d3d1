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

void BadRecords::check_share(double max_share, int64_t num_read, const std::string& where) const {
  const auto num_judged = static_cast<double>(std::max(num_read, kMinRecordsToJudge));
  if (static_cast<double>(total()) <= max_share * num_judged) return;
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  throw UserError(concat(where, ": ", total(), " of ", num_read,
                         " records cannot be used, more than the limit of ", 100 * max_share,
                         " %; most often: ", most->first, " (", first.at(most->first), ")"));
}

std::string BadRecords::report() const {
  std::string text;
  for (const auto& [reason, count] : counts)
    text += concat(reason, ": ", count, ", the first: ", first.at(reason), "\n");
  return text;
}

}  // namespace i1
