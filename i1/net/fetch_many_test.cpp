#include "i1/net/fetch_many.h"

#include <fstream>

#include "i1/core/testing.h"
#include "i1/net/failure_log.h"
#include "i1/net/host_limiter.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

TEST(HostLimiter, SpacesTheRequestsToEachHost) {
  HostLimiter limiter(4);
  EXPECT_EQ(limiter.wait_s("a", 100), 0);
  EXPECT_EQ(limiter.wait_s("a", 100), 0.25);
  EXPECT_EQ(limiter.wait_s("a", 100.125), 0.125);  // asking does not put it off
  EXPECT_EQ(limiter.wait_s("b", 100), 0);
  EXPECT_EQ(limiter.wait_s("a", 100.25), 0);
  EXPECT_EQ(limiter.wait_s("a", 100.25), 0.25);
  EXPECT_EQ(limiter.wait_s("a", 200), 0);  // idle time is not saved up
  EXPECT_EQ(limiter.wait_s("a", 200), 0.25);
}

TEST(HostLimiter, AHeldHostIsLeftAlone) {
  HostLimiter limiter(1000);
  EXPECT_EQ(limiter.wait_s("a", 0), 0);
  limiter.hold("a", 30);
  limiter.hold("a", 20);  // the longer one counts
  EXPECT_EQ(limiter.wait_s("a", 10), 20);
  EXPECT_EQ(limiter.wait_s("b", 10), 0);
  EXPECT_EQ(limiter.wait_s("a", 30), 0);
}

TEST(HostLimiter, AMillionHostsAgoIsForgottenAndAHeldOneIsNot) {
  HostLimiter limiter(1);
  limiter.hold("held", 1e9);
  for (int i = 0; i < 5000; ++i) EXPECT_EQ(limiter.wait_s(std::to_string(i), 10.0 * i), 0);
  EXPECT_EQ(limiter.wait_s("held", 1e6), 1e9 - 1e6);
}

TEST(RetryWait, DoublesUpToAMinuteUnlessTheServerSays) {
  EXPECT_EQ(retry_wait_s(1, 1, 0), 1);
  EXPECT_EQ(retry_wait_s(3, 1, 0), 4);
  EXPECT_EQ(retry_wait_s(2, 0.25, 0), 0.5);
  EXPECT_EQ(retry_wait_s(1000, 1, 0), 60);
  EXPECT_EQ(retry_wait_s(1, 1, 7), 7);
  EXPECT_EQ(retry_wait_s(1, 1, 3600), 60);
}

TEST(HostLimiter, AHostIsTheSameOnEveryPort) {
  EXPECT_EQ(host_of("https://A.Example/b"), "a.example");
  EXPECT_EQ(host_of("http://a.example:8080/b"), "a.example");
  EXPECT_EQ(host_of("http://[::1]:80/"), "[::1]");
  expect_error("expected an http or https address", [] { host_of("words"); });
}

TEST(FailureLog, KnowsWhatFailedForGood) {
  const fs::path path = fresh_folder("failures") / "f.tsv";
  {
    FailureLog log(path);
    log.add(1, "a", "http://a", "refused: status 404");
    log.add(2, "b", "http://b", "busy: status 503");
    log.add(3, "c", "http://c", "wrong content: an HTML\tpage\n");
    log.add(1, "a", "http://a", "refused: status 410");
    log.add(4, "d", "http://d", "refused: status 404");
    log.add(4, "d", "http://d", "no connection: x");
  }
  EXPECT_NE(read_file(path).find("3\tc\thttp://c\twrong content: an HTML page \n"),
            std::string::npos);
  FailureLog log(path);
  EXPECT_TRUE(log.was_final(1, "http://a"));
  EXPECT_FALSE(log.was_final(1, "http://changed"));
  EXPECT_FALSE(log.was_final(2, "http://b"));
  EXPECT_TRUE(log.was_final(3, "http://c"));
  EXPECT_FALSE(log.was_final(4, "http://d"));
  log.keep(1);
  log.add(2, "b", "http://b", "cut off: x");
  log.compact(path.string() + ".new");
  EXPECT_EQ(read_file(path), "1\ta\thttp://a\trefused: status 410\n2\tb\thttp://b\tcut off: x\n");
}

TEST(FailureLog, HalfALineIsPassedOver) {
  const fs::path path = fresh_folder("failures") / "f.tsv";
  std::ofstream(path) << "1\ta\thttp://a\trefused: status 404\n2\tb\thttp://b";
  {
    FailureLog log(path);
    EXPECT_TRUE(log.was_final(1, "http://a"));
    log.add(3, "c", "http://c", "busy: status 500");
  }
  FailureLog log(path);
  log.keep(3);
  log.compact(path.string() + ".new");
  EXPECT_EQ(read_file(path), "3\tc\thttp://c\tbusy: status 500\n");
}

TEST(FailureLog, WithoutFailuresThereIsNoFileAndOneRunHoldsIt) {
  const fs::path path = fresh_folder("failures") / "f.tsv";
  FailureLog log(path);
  expect_error("another run is at work", [&] { FailureLog second(path); });
  log.compact(path.string() + ".new");
  EXPECT_FALSE(fs::exists(path));
}

TEST(FailureLog, ReasonsAreCountedInGroups) {
  EXPECT_EQ(reason_group("refused: status 404"), "refused: status 404");
  EXPECT_EQ(reason_group("no connection: host a"), "no connection");
  EXPECT_EQ(reason_group("too large: above 10 bytes"), "too large");
  EXPECT_FALSE(is_final_reason("no connection: host a"));
  EXPECT_TRUE(is_final_reason("too large: above 10 bytes"));
}

FetchManyOptions options_for(const std::string& folder) {
  FetchManyOptions options;
  options.folder = fresh_folder(folder);
  options.extensions = {"txt"};
  options.num_connections = 4;
  options.requests_per_second = 1e6;
  options.num_retries = 1;
  options.first_wait_s = 0.01;
  return options;
}

ContentCheck accept(std::string_view bytes) {
  return bytes == "good" ? ContentCheck{"txt", ""} : ContentCheck{"", "bad"};
}

// Tasks 0 .. count - 1, all at a port where nobody listens.
std::function<bool(FetchTask&)> unreachable(int64_t count) {
  return [count, row = int64_t{0}](FetchTask& task) mutable {
    if (row == count) return false;
    task = {row, concat("n", row), "", "http://127.0.0.1:1/"};
    ++row;
    return true;
  };
}

TEST(FetchMany, WithoutANetworkEachFailureIsALine) {
  const FetchManyOptions options = options_for("fetch_many");
  std::ofstream(options.folder / "n2.txt") << "good";
  const FetchManyReport report = fetch_many(options, unreachable(6), accept);
  EXPECT_EQ(report.num_there, 1);
  EXPECT_EQ(report.num_fetched, 0);
  EXPECT_EQ(report.failed.at("no connection"), 5);
  const std::string log = read_file(options.folder / "failures.0-of-1.tsv");
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 5);
  EXPECT_FALSE(fs::exists(options.folder / "partial.0-of-1"));
}

TEST(FetchMany, WhatACallbackThrowsReachesTheCaller) {
  const FetchManyOptions options = options_for("fetch_many");
  const auto next = [](FetchTask&) -> bool { throw UserError("list.txt: line 7: damaged"); };
  expect_error("line 7", [&] { fetch_many(options, next, accept); });
  EXPECT_FALSE(fs::exists(options.folder / "partial.0-of-1"));
}

TEST(FetchMany, AnAddressThatIsNoneIsAFailureOfItsOwn) {
  const FetchManyOptions options = options_for("fetch_many");
  bool is_given = false;
  const auto next = [&](FetchTask& task) {
    task = {0, "a", "", "http://a b/"};
    return !std::exchange(is_given, true);
  };
  EXPECT_EQ(fetch_many(options, next, accept).failed.at("bad address"), 1);
}

}  // namespace
}  // namespace i1
