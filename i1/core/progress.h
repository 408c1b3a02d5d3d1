#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace i1 {

/// One line of progress on standard error: what, how many of how many, rate, time left. On a
/// terminal the line is redrawn in place, at most five times a second; elsewhere a line is printed
/// every `quiet_seconds`. Silent where `total` is 1 or less. `before`: of `total`, what was done
/// before this process began; it counts as done and not for the rate.
class Progress {
 public:
  Progress(std::string what, int64_t total, std::string unit, double quiet_seconds = 30,
           int64_t before = 0);
  ~Progress();  ///< ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` are finished; `detail` is appended ("loss 0.412").
  void update(int64_t done, const std::string& detail = "");

 private:
  using Clock = std::chrono::steady_clock;
  void print(int64_t done, const std::string& detail, double elapsed_seconds);

  const std::string what_, unit_;
  const int64_t total_, before_;
  const bool is_terminal_;
  const double interval_seconds_;
  const Clock::time_point begin_;
  Clock::time_point last_;
  bool has_open_line_ = false;
};

/// "45 s", "12 min 30 s", "3 h 05 min", "2 d 04 h".
std::string format_duration(double seconds);

}  // namespace i1
