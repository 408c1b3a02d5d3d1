// How often a host is asked, and how long to wait after a failed try.
#pragma once

#include <string>
#include <unordered_map>

namespace i1 {

/// Spaces the requests to each host evenly. Times are seconds of any steady clock. Not locked: its
/// owner shares it between threads.
class HostLimiter {
 public:
  explicit HostLimiter(double requests_per_second) : spacing_s_(1 / requests_per_second) {}

  /// 0: the request may be sent and counts as sent now. Else the seconds after which to ask again.
  double wait_s(const std::string& host, double now_s);

  /// Nothing to this host before `until_s`, as its "Retry-After" asks.
  void hold(const std::string& host, double until_s);

 private:
  void forget_idle(double now_s);

  double spacing_s_;
  size_t next_cleaning_ = 1024;                   // hosts held
  std::unordered_map<std::string, double> free_;  // when a host may be asked next
};

/// What a server may ask for at most; also the longest wait of our own.
constexpr double kLongestRetryWait_s = 60;

/// Seconds to wait after the `num_failed`th failed try in a row (1 or more): what the server asks
/// for where that is above 0, else `first_wait_s`, doubled with each try.
double retry_wait_s(int num_failed, double first_wait_s, double retry_after_s);

/// The host of an http or https address, in lower case. Throws UserError where it is none.
std::string host_of(const std::string& address);

}  // namespace i1
