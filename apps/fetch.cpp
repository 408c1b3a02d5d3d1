// i1 data fetch: the pictures of a list, from their addresses into a folder. Parses, calls,
// reports.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>

#include "apps/commands.h"
#include "apps/options.h"
#include "i1/data/fetch_list.h"
#include "i1/data/fetched_picture.h"
#include "i1/data/yfcc_database.h"
#include "i1/net/fetch_many.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kTriesThatTell = 20;  // so many without a connection, and it is the network

struct Options {
  fs::path list;
  std::string shard = "0/1";
  FetchManyOptions fetch;
};

void add_options(CLI::App& app, Options& options) {
  FetchManyOptions& fetch = options.fetch;
  app.add_option(
         "LIST", options.list,
         "lines of ADDRESS or NAME<TAB>ADDRESS, or the YFCC100M table: CSV with the columns "
         "photoid and downloadurl, or the database yfcc100m_dataset.sql as published")
      ->required();
  app.add_option("--output", fetch.folder, "folder for the pictures")->required();
  app.add_option("--connections", fetch.num_connections, "pictures at a time")
      ->check(whole_number(1, 256))
      ->capture_default_str();
  app.add_option("--rate", fetch.requests_per_second, "requests a second to one host")
      ->check(real_number(0.001, 10'000))
      ->capture_default_str();
  app.add_option("--shard", options.shard, "K/N: only rows r with r mod N = K, one part of several")
      ->capture_default_str();
  app.add_option("--retries", fetch.num_retries, "further tries after one that may do better later")
      ->check(whole_number(0, 1000))
      ->capture_default_str();
  app.add_option("--timeout", fetch.silent_seconds, "seconds without a byte that end a try")
      ->check(whole_number(1, 3600))
      ->capture_default_str();
  app.add_option("--max-bytes", fetch.max_bytes, "a larger picture is left out")
      ->check(whole_number<int64_t>(1))
      ->capture_default_str();
  app.add_flag("--retry-failed", fetch.retry_failed,
               "also what an earlier run found to be gone or no picture");
  app.footer(
      "The same command again goes on where the last one ended, however it ended. What failed, "
      "and\n"
      "why, is in failures.K-of-N.tsv in the folder. The environment: http_proxy, https_proxy.");
}

std::ifstream open_list(const fs::path& path) {
  check_user(fs::exists(path), path.string(), ": is not there; expected a list of addresses");
  check_user(fs::is_regular_file(path), path.string(),
             ": is no file; a list is read twice, so a pipe will not do");
  std::ifstream in(path, std::ios::binary);
  check_user(in.is_open(), path.string(), ": cannot be opened");
  return in;
}

// The entries of a list, or of the YFCC100M database, one after the other.
class Entries {
 public:
  Entries(const fs::path& list, WorkPart shard) {
    if (fs::exists(list) && is_sqlite(list)) {
      database_.emplace(list, shard.index, shard.count);
    } else {
      in_ = open_list(list);
      lines_.emplace(in_, list.string(), shard);
    }
  }

  std::optional<FetchEntry> next() { return database_ ? database_->next() : lines_->next(); }
  int64_t num_incomplete() const {
    return database_ ? database_->num_incomplete() : lines_->num_incomplete();
  }

 private:
  std::ifstream in_;
  std::optional<FetchListReader> lines_;
  std::optional<YfccDatabase> database_;
};

// Reads all of the list, so that a mistake in its last line is told before anything is fetched.
int64_t count_entries(const fs::path& list, WorkPart shard) {
  Entries entries(list, shard);
  int64_t count = 0;
  while (entries.next()) ++count;
  if (entries.num_incomplete() > 0)
    std::fprintf(stderr, "%s: %ld rows without an id or an address are left out\n", list.c_str(),
                 static_cast<long>(entries.num_incomplete()));
  return count;
}

void print(const fs::path& folder, const FetchManyReport& report) {
  std::printf("%s: %ld fetched, %ld already there, %ld failed, %ld failed for good before\n",
              folder.c_str(), report.num_fetched, report.num_there, report.num_failed(),
              report.num_skipped);
  for (const auto& [reason, count] : report.failed)
    std::printf("    failed %9ld  %s\n", count, reason.c_str());
  std::fflush(stdout);
}

void check_report(const FetchManyOptions& options, const FetchManyReport& report) {
  const int64_t num_failed = report.num_failed();
  const auto unreached = report.failed.find("no connection");
  const bool is_network = report.num_fetched == 0 && unreached != report.failed.end() &&
                          unreached->second == num_failed;
  check_machine(!is_network || num_failed < kTriesThatTell, "no connection: all of ", num_failed,
                " pictures failed for it; look at the network or at http_proxy, then run the same "
                "command again");
  check_machine(report.num_fetched + report.num_there > 0 || num_failed == 0,
                options.folder.string(), ": none of ", num_failed,
                " pictures could be fetched; the reasons are in ",
                (options.folder / concat("failures.", options.part, ".tsv")).string());
}

}  // namespace

int run_data_fetch(int argc, char** argv) {
  CLI::App app(
      "Fetches the pictures of a list: in parallel, politely, and gone on with after a kill.");
  Options options;
  add_options(app, options);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  FetchManyOptions& fetch = options.fetch;
  const WorkPart shard = parse_work_part(options.shard);
  fetch.part = shard.name();
  fetch.extensions = picture_extensions();
  fetch.num_tasks = count_entries(options.list, shard);
  Entries entries(options.list, shard);
  const auto next = [&](FetchTask& task) {
    std::optional<FetchEntry> entry = entries.next();
    if (!entry) return false;
    task = {entry->row, std::move(entry->name), std::move(entry->extension),
            std::move(entry->address)};
    return true;
  };
  const FetchManyReport report = fetch_many(fetch, next, [](std::string_view bytes) {
    PictureCheck check = check_picture(bytes);
    return ContentCheck{std::move(check.extension), std::move(check.problem)};
  });
  print(fetch.folder, report);
  check_report(fetch, report);
  return 0;
}

}  // namespace i1
