#include "i1/core/progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace i1 {

Progress::Progress(std::string what, int64_t total, std::string unit, double quiet_seconds,
                   int64_t before)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      before_(before),
      is_terminal_(::isatty(STDERR_FILENO) != 0),
      interval_seconds_(is_terminal_ ? 0.2 : quiet_seconds),
      begin_(Clock::now()),
      last_(begin_) {}

Progress::~Progress() {
  if (has_open_line_) std::fputc('\n', stderr);
}

void Progress::update(int64_t done, const std::string& detail) {
  if (total_ <= 1) return;
  const Clock::time_point now = Clock::now();
  const bool is_due = std::chrono::duration<double>(now - last_).count() >= interval_seconds_;
  if (!is_due && !(done == total_ && is_terminal_)) return;
  last_ = now;
  print(done, detail, std::chrono::duration<double>(now - begin_).count());
}

void Progress::print(int64_t done, const std::string& detail, double elapsed_seconds) {
  const double rate =
      elapsed_seconds > 0 ? static_cast<double>(done - before_) / elapsed_seconds : 0;
  const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
  std::fprintf(stderr, "%s%s: %ld of %ld %s, %.3g a second, %s left%s%s%s",
               is_terminal_ ? "\r" : "", what_.c_str(), static_cast<long>(done),
               static_cast<long>(total_), unit_.c_str(), rate,
               rate > 0 ? format_duration(left).c_str() : "?", detail.empty() ? "" : ", ",
               detail.c_str(), is_terminal_ ? "\033[K" : "\n");
  std::fflush(stderr);
  has_open_line_ = is_terminal_;
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<long>(std::llround(seconds));
  char text[64];
  if (whole < 60) {
    std::snprintf(text, sizeof text, "%ld s", whole);
  } else if (whole < 3600) {
    std::snprintf(text, sizeof text, "%ld min %02ld s", whole / 60, whole % 60);
  } else if (whole < 86400) {
    std::snprintf(text, sizeof text, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld d %02ld h", whole / 86400, whole / 3600 % 24);
  }
  return text;
}

}  // namespace i1
