#include "i1/net/fetch.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <optional>

#include "i1/core/digest.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/core/progress.h"
#include "i1/net/http.h"
#include "i1/net/partial_file.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr double kLongestWait = 60, kLongestAskedWait = 600;
constexpr int64_t kMegabyte = 1'000'000;

std::string megabytes(int64_t num_bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(num_bytes) / kMegabyte);
  return text;
}

// Thrown inside an answer whose rest does not fit what is there: the file is fetched from its
// first byte.
struct StartAgain {};

bool looks_like_html(const fs::path& path) {
  const MappedFile file(path);
  constexpr size_t kEnough = 512;
  std::string begin(reinterpret_cast<const char*>(file.bytes().data()),
                    std::min(kEnough, file.bytes().size()));
  std::transform(begin.begin(), begin.end(), begin.begin(), [](unsigned char c) {
    return c < 128 ? static_cast<char>(std::tolower(c)) : '?';
  });
  const size_t text = begin.find_first_not_of(" \t\r\n?");
  if (text == std::string::npos) return false;
  return begin.compare(text, 14, "<!doctype html") == 0 || begin.compare(text, 5, "<html") == 0;
}

void pause_for(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    check_interrupt();
    ::usleep(50'000);  // a signal ends it early
  }
}

// The tries at one file.
class Fetch {
 public:
  Fetch(const RemoteFile& file, const fs::path& target, const FetchOptions& options)
      : file_(file), target_(target), options_(options), partial_(target) {}

  FileCheck run() {
    try {
      get_all();
      return verify();
    } catch (const Interrupted&) {
      if (partial_.size() == 0) throw;
      throw Interrupted(concat("interrupted; ", megabytes(partial_.size()), " MB are kept in ",
                               partial_.path().string(),
                               ", and the same command goes on from there"));
    }
  }

 private:
  void get_all() {
    int num_failed = 0;
    while (!is_complete()) {
      const int64_t before = partial_.size();
      HttpResult result;
      try {
        result = try_once();
      } catch (const StartAgain&) {
        must_begin_anew_ = true;
        continue;
      }
      if (result.problem.empty()) {
        if (is_complete()) break;
        result.problem = "the file ended early";
        result.is_transient = true;
      }
      if (result.head.status == 416) {  // our bytes are no beginning of what is there now
        must_begin_anew_ = true;
        result.is_transient = true;
      }
      if (partial_.size() > before) num_failed = 0;
      give_up_or_wait(result, ++num_failed);
    }
  }

  int64_t expected_size() const { return file_.size >= 0 ? file_.size : partial_.source().size; }
  std::string expected_sha256() const {
    return file_.sha256.empty() ? partial_.source().sha256 : file_.sha256;
  }

  bool is_complete() const {
    if (must_begin_anew_ || !fits_source()) return false;
    return expected_size() < 0 ? is_through_ : partial_.size() == expected_size();
  }

  // Whether what is there came from the address asked for, and something will tell if it changed.
  bool fits_source() const {
    const PartialSource& source = partial_.source();
    return source.address == file_.address && (file_.size < 0 || source.size == file_.size) &&
           (file_.sha256.empty() || source.sha256 == file_.sha256);
  }
  bool can_go_on() const {
    return !must_begin_anew_ && partial_.size() > 0 && fits_source() &&
           (!partial_.source().validator().empty() || !expected_sha256().empty());
  }

  HttpResult try_once() {
    HttpRequest request;
    request.address = file_.address;
    request.token = options_.token;
    request.token_origin = options_.token_origin;
    if (can_go_on()) {
      request.first_byte = partial_.size();
      request.if_range = partial_.source().validator();
    }
    const HttpResult result = http_get(
        request, [&](const HttpHead& head) { take_head(head); },
        [&](std::string_view bytes) { take_bytes(bytes); });
    progress_.reset();
    if (result.problem.empty() && has_end_) is_through_ = true;
    return result;
  }

  void take_head(const HttpHead& head) {
    check_machine(!head.content_type.starts_with("text/html"), file_.name,
                  ": an HTML page came in place of the file, from ", file_.address,
                  "; a login page of this network, or the file is gone");
    int64_t total = head.total >= 0 ? head.total : head.linked_size;
    const int64_t known = file_.size >= 0 ? file_.size : head.linked_size;
    check_machine(known < 0 || total < 0 || total == known, file_.name, ": ", total, " bytes at ",
                  file_.address, ", expected ", known, "; not the file of the manifest");
    if (total < 0) total = known;
    check_machine(head.has_end || total >= 0, file_.name, ": nobody says how many bytes ",
                  file_.address, " has, so a part of it could pass for the whole");
    const std::string sha256 = file_.sha256.empty() ? head.linked_sha256 : file_.sha256;
    if (head.status == 206) {
      check_machine(!must_begin_anew_ && partial_.size() > 0, file_.name, ": ", file_.address,
                    " sends a part of the file that was not asked for");
      const PartialSource& source = partial_.source();
      const bool is_same = head.first_byte == partial_.size() && total == source.size &&
                           (sha256.empty() || sha256 == source.sha256);
      if (!is_same) throw StartAgain();
      std::fprintf(stderr, "%s: going on at %s MB\n", file_.name.c_str(),
                   megabytes(partial_.size()).c_str());
    } else {
      if (partial_.size() > 0)
        std::fprintf(stderr, "%s: from the beginning: what was here cannot be gone on from\n",
                     file_.name.c_str());
      partial_.begin({file_.address, head.etag, head.last_modified, sha256, total});
      must_begin_anew_ = false;
    }
    has_end_ = head.has_end;
    if (total >= 0) check_free_space(target_.parent_path(), total - partial_.size());
    progress_.emplace(file_.name, total / kMegabyte, "MB", 30, partial_.size() / kMegabyte);
  }

  void take_bytes(std::string_view bytes) {
    const int64_t expected = expected_size();
    check_machine(expected < 0 || partial_.size() + static_cast<int64_t>(bytes.size()) <= expected,
                  file_.name, ": more bytes come than the ", expected, " expected");
    partial_.append(bytes);
    progress_->update(partial_.size() / kMegabyte);
  }

  void give_up_or_wait(const HttpResult& result, int num_failed) {
    const int status = result.head.status;
    check_user(status != 401 && status != 403, file_.name, ": access is refused (status ", status,
               "): ", options_.how_to_get_in);
    const std::string what = concat(file_.name, ": ", result.problem, " (", file_.address, ")");
    check_machine(status != 404 && status != 410, what,
                  "; it is not there, or no longer: i1 download --manifest FILE takes addresses of "
                  "your own");
    const std::string kept = partial_.size() == 0
                                 ? ""
                                 : concat("; ", megabytes(partial_.size()),
                                          " MB are kept, and the same command goes on from there");
    check_machine(result.is_transient, what, kept);
    check_machine(num_failed <= options_.num_retries, what, "; given up after ", num_failed,
                  num_failed == 1 ? " try" : " tries", kept);
    double seconds =
        std::min(kLongestWait,
                 options_.first_wait_s * static_cast<double>(1LL << std::min(num_failed - 1, 20)));
    if (result.retry_after_s > 0) seconds = std::min(kLongestAskedWait, result.retry_after_s);
    std::fprintf(stderr, "%s: %s; trying again in %s\n", file_.name.c_str(), result.problem.c_str(),
                 format_duration(seconds).c_str());
    pause_for(seconds);
  }

  // A file that is not the one expected is removed: going on from it would end the same way.
  FileCheck verify() {
    FileCheck check{partial_.size(), expected_size() >= 0, !expected_sha256().empty()};
    const std::string expected = expected_sha256();
    const std::string found = expected.empty() ? "" : sha256_of_file(partial_.path());
    const bool is_html = expected.empty() && looks_like_html(partial_.path());
    if (found != expected || is_html) {
      partial_.begin({});
      check_machine(!is_html, file_.name, ": an HTML page came in place of the file, from ",
                    file_.address);
      throw Failure(concat(file_.name, ": SHA-256 ", found, ", expected ", expected,
                           "; removed: damaged on its way, or another file than the manifest's (",
                           file_.address, ")"));
    }
    partial_.commit();
    return check;
  }

  const RemoteFile& file_;
  const fs::path& target_;
  const FetchOptions& options_;
  PartialFile partial_;
  std::optional<Progress> progress_;
  bool must_begin_anew_ = false, has_end_ = false, is_through_ = false;
};

}  // namespace

FileCheck fetch_file(const RemoteFile& file, const fs::path& target, const FetchOptions& options) {
  return Fetch(file, target, options).run();
}

bool is_there(const RemoteFile& file, const fs::path& path) {
  if (!fs::exists(path)) return false;
  check_user(fs::is_regular_file(path), path.string(), ": is there and is no file");
  if (file.size >= 0 && fs::file_size(path) != static_cast<uintmax_t>(file.size)) return false;
  return file.sha256.empty() || sha256_of_file(path) == file.sha256;
}

void check_free_space(const fs::path& folder, int64_t num_bytes) {
  const auto available = static_cast<int64_t>(fs::space(folder).available);
  check_machine(num_bytes <= available, folder.string(), ": ", megabytes(num_bytes),
                " MB are to come, and ", megabytes(available), " MB are free there");
}

}  // namespace i1
