#include "i1/net/fetch_many.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/progress.h"
#include "i1/net/failure_log.h"
#include "i1/net/host_limiter.h"
#include "i1/net/http.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr double kLongestTransfer_s = 600;  // a byte now and then would hold a connection for ever

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Stopped {};  // another thread failed

struct Refused {  // thrown inside an answer whose rest is not wanted
  std::string reason;
};

// One try.
struct Try {
  std::string reason;  // empty: all bytes came
  bool is_transient = false;
  double retry_after_s = 0;
};

Try judge(const HttpResult& result) {
  const int status = result.head.status;
  if (result.problem.empty()) {
    if (status != 200) return {concat("refused: status ", status)};  // 206: no part was asked for
    if (!result.head.has_end) return {"no length: the end of the file cannot be told"};
    return {};
  }
  if (status >= 400) {
    const char* word = result.is_transient ? "busy" : "refused";
    return {concat(word, ": status ", status), result.is_transient, result.retry_after_s};
  }
  if (!result.is_transient) return {"refused: " + result.problem};
  return {(status == 200 ? "cut off: " : "no connection: ") + result.problem, true};
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

class FetchMany {
 public:
  FetchMany(const FetchManyOptions& options, const std::function<bool(FetchTask&)>& next,
            const std::function<ContentCheck(std::string_view)>& check)
      : options_(options),
        next_(next),
        check_(check),
        log_(options.folder / concat("failures.", options.part, ".tsv")),
        partial_(options.folder / concat("partial.", options.part)),
        limiter_(options.requests_per_second),
        progress_("fetching", options.num_tasks, "pictures") {
    remove_partial();  // of a killed run; the log's lock says that none is at work
    make_folder(partial_);
  }
  ~FetchMany() { remove_partial(); }

  FetchManyReport run() {
    start_and_join();
    if (thrown_) rethrow();
    log_.compact(partial_ / "failures");
    return report_;
  }

 private:
  void remove_partial() const {
    std::error_code ignored;
    fs::remove_all(partial_, ignored);
  }

  void start_and_join() {
    std::vector<std::jthread> threads;
    try {
      for (int i = 0; i < options_.num_connections; ++i) threads.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      stop(std::make_exception_ptr(
          Failure(concat("no more threads: ", error.what(), "; lower --connections"))));
    }
  }

  void stop(std::exception_ptr thrown) {
    const std::lock_guard lock(mutex_);
    if (!thrown_) thrown_ = std::move(thrown);
    must_stop_ = true;
  }

  void rethrow() const {
    try {
      std::rethrow_exception(thrown_);
    } catch (const Interrupted&) {
      throw Interrupted(concat("interrupted; ", report_.num_fetched,
                               " pictures came in this run, and the same command goes on from "
                               "there"));
    }
  }

  void work() {
    try {
      FetchTask task;
      while (take(task)) do_task(task);
    } catch (const Stopped&) {
    } catch (...) {
      stop(std::current_exception());
    }
  }

  void check_stop() const {
    check_interrupt();
    if (must_stop_) throw Stopped();
  }

  bool take(FetchTask& task) {
    check_stop();
    const std::lock_guard lock(mutex_);
    return next_(task);
  }

  void do_task(const FetchTask& task) {
    if (is_there(task)) return count(report_.num_there);
    if (!options_.retry_failed && log_.was_final(task.row, task.address)) {
      const std::lock_guard lock(mutex_);
      log_.keep(task.row);
      return count_locked(report_.num_skipped);
    }
    std::string bytes;
    std::string reason = get(task, bytes);
    if (reason.empty()) reason = store(task, bytes);
    if (reason.empty()) return count(report_.num_fetched);
    const std::lock_guard lock(mutex_);
    log_.add(task.row, task.name, task.address, reason);
    count_locked(report_.failed[reason_group(reason)]);
  }

  void count(int64_t& counter) {
    const std::lock_guard lock(mutex_);
    count_locked(counter);
  }
  void count_locked(int64_t& counter) {
    ++counter;
    progress_.update(++num_done_,
                     concat(report_.num_fetched, " fetched, ", report_.num_failed(), " failed"));
  }

  fs::path path_of(const FetchTask& task, const std::string& extension) const {
    return options_.folder / (task.name + "." + extension);
  }

  bool is_there(const FetchTask& task) const {
    if (!task.extension.empty()) return is_good(path_of(task, task.extension));
    return std::any_of(
        options_.extensions.begin(), options_.extensions.end(),
        [&](const std::string& extension) { return is_good(path_of(task, extension)); });
  }

  bool is_good(const fs::path& path) const {
    std::error_code ignored;
    if (!fs::is_regular_file(path, ignored)) return false;
    const MappedFile file(path);  // a header's pages are read, not the file
    return check_(text_of(file)).problem.empty();
  }

  // Returns the reason of the failure, empty where all bytes came.
  std::string get(const FetchTask& task, std::string& bytes) {
    std::string host;
    try {
      host = host_of(task.address);
    } catch (const UserError& error) {
      return std::string("bad address: ") + error.what();
    }
    for (int num_failed = 1;; ++num_failed) {
      wait_for_turn(host);
      const Try one = try_once(task, bytes);
      if (one.reason.empty() || !one.is_transient || num_failed > options_.num_retries)
        return one.reason;
      const double wait = retry_wait_s(num_failed, options_.first_wait_s, one.retry_after_s);
      if (one.retry_after_s > 0) {  // the host asks for it, so it holds for every thread
        const std::lock_guard lock(mutex_);
        limiter_.hold(host, now_s() + wait);
      } else {
        pause(wait);
      }
    }
  }

  void wait_for_turn(const std::string& host) {
    for (;;) {
      double wait = 0;
      {
        const std::lock_guard lock(mutex_);
        wait = limiter_.wait_s(host, now_s());
      }
      if (wait <= 0) return;
      pause(wait);
    }
  }

  void pause(double seconds) const {
    constexpr double kStep_s = 0.05;  // between two looks at what ends the run
    for (const double end = now_s() + seconds;;) {
      check_stop();
      const double left = end - now_s();
      if (left <= 0) return;
      ::usleep(static_cast<useconds_t>(1e6 * std::min(left, kStep_s)) + 1);
    }
  }

  Try try_once(const FetchTask& task, std::string& bytes) const {
    HttpRequest request;
    request.address = task.address;
    request.silent_seconds = options_.silent_seconds;
    const double end = now_s() + kLongestTransfer_s;
    const auto check_size = [&](int64_t size) {
      if (size > options_.max_bytes)
        throw Refused{concat("too large: above ", options_.max_bytes, " bytes")};
    };
    try {
      return judge(http_get(
          request,
          [&](const HttpHead& head) {
            bytes.clear();
            check_size(head.total);
          },
          [&](std::string_view more) {
            check_stop();
            check_size(static_cast<int64_t>(bytes.size() + more.size()));
            if (now_s() > end) throw Refused{"too slow: not there after 10 minutes"};
            bytes += more;
          }));
    } catch (const Refused& refused) {
      return {refused.reason};
    } catch (const UserError& error) {  // also of an address that is redirected to
      return {std::string("bad address: ") + error.what()};
    }
  }

  // Returns what is wrong with the bytes; where nothing is, they are on disk under their name.
  std::string store(const FetchTask& task, const std::string& bytes) {
    const ContentCheck found = check_(bytes);
    if (!found.problem.empty()) return "wrong content: " + found.problem;
    const fs::path target =
        path_of(task, task.extension.empty() ? found.extension : task.extension);
    const fs::path temporary = partial_ / std::to_string(task.row);
    make_folder(target.parent_path());
    AtomicFile file(temporary);
    file.write(bytes.data(), bytes.size());
    file.commit();
    if (::rename(temporary.c_str(), target.c_str()) != 0)
      throw_system_error(target, "cannot be written", errno);
    return "";
  }

  const FetchManyOptions& options_;
  const std::function<bool(FetchTask&)>& next_;
  const std::function<ContentCheck(std::string_view)>& check_;
  std::mutex mutex_;  // of everything below, and of next_
  FailureLog log_;
  const fs::path partial_;
  HostLimiter limiter_;
  Progress progress_;
  FetchManyReport report_;
  int64_t num_done_ = 0;
  std::exception_ptr thrown_;
  std::atomic<bool> must_stop_ = false;
};

}  // namespace

int64_t FetchManyReport::num_failed() const {
  int64_t sum = 0;
  for (const auto& [reason, count] : failed) sum += count;
  return sum;
}

FetchManyReport fetch_many(const FetchManyOptions& options,
                           const std::function<bool(FetchTask&)>& next,
                           const std::function<ContentCheck(std::string_view)>& check) {
  make_folder(options.folder);
  return FetchMany(options, next, check).run();
}

}  // namespace i1
