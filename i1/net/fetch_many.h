// Many small files from their addresses to their names: in parallel, politely, and so that a
// killed run is gone on from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace i1 {

struct FetchTask {
  int64_t row = 0;        ///< of the list; no two tasks share one
  std::string name;       ///< path below the folder, without the extension
  std::string extension;  ///< "jpg"; empty: as the content says
  std::string address;
};

/// What bytes are: their extension, or in `problem` why they are none of what is looked for.
struct ContentCheck {
  std::string extension, problem;
};

struct FetchManyOptions {
  std::filesystem::path folder;
  std::string part = "0-of-1";          ///< names this run's files: failures.PART.tsv, partial.PART
  std::vector<std::string> extensions;  ///< that a check may give
  int64_t num_tasks = 0;                ///< for the line of progress
  int num_connections = 16;
  double requests_per_second = 8;  ///< to one host, all connections together
  int num_retries = 3;
  double first_wait_s = 1;  ///< before the first retry, doubled before each further one
  int silent_seconds = 30;  ///< so long without a byte is a broken connection
  int64_t max_bytes = 100'000'000;
  bool retry_failed = false;  ///< also what failed for good
};

struct FetchManyReport {
  int64_t num_fetched = 0, num_there = 0;
  int64_t num_skipped = 0;                ///< failed for good in an earlier run
  std::map<std::string, int64_t> failed;  ///< by reason
  int64_t num_failed() const;
};

/// Fetches what `next` gives until it gives false. A file that is there and passes `check` is left
/// as it is; one that comes passes it or is dropped. Files are complete under their names or not
/// there. Each failure is a line of failures.PART.tsv (FailureLog); those for good are not tried
/// again by the next run. `next` is called by one thread at a time, `check` by many. Throws
/// UserError where the folder cannot be written or another run of the same part is at work,
/// Failure where the machine fails, Interrupted; what `next` and `check` throw is thrown on.
FetchManyReport fetch_many(const FetchManyOptions& options,
                           const std::function<bool(FetchTask&)>& next,
                           const std::function<ContentCheck(std::string_view)>& check);

}  // namespace i1
