#include "i1/net/host_limiter.h"

#include <algorithm>
#include <cmath>

#include "i1/net/http.h"

namespace i1 {

double HostLimiter::wait_s(const std::string& host, double now_s) {
  if (free_.size() >= next_cleaning_) forget_idle(now_s);
  const auto [found, is_new] = free_.try_emplace(host, now_s);
  if (found->second > now_s) return found->second - now_s;
  found->second = now_s + spacing_s_;
  return 0;
}

void HostLimiter::hold(const std::string& host, double until_s) {
  const auto [found, is_new] = free_.try_emplace(host, until_s);
  found->second = std::max(found->second, until_s);
}

// A list may name millions of hosts.
void HostLimiter::forget_idle(double now_s) {
  std::erase_if(free_, [&](const auto& entry) { return entry.second <= now_s; });
  next_cleaning_ = std::max<size_t>(1024, 2 * free_.size());
}

double retry_wait_s(int num_failed, double first_wait_s, double retry_after_s) {
  const double own = std::ldexp(first_wait_s, std::min(num_failed - 1, 20));
  return std::min(kLongestRetryWait_s, retry_after_s > 0 ? retry_after_s : own);
}

std::string host_of(const std::string& address) {
  const std::string origin = origin_of(address);
  const size_t begin = origin.find("://") + 3;
  return origin.substr(begin, origin.rfind(':') - begin);
}

}  // namespace i1
