#include "i1/net/http_file.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include "i1/core/error.h"
#include "i1/core/interrupt.h"
#include "i1/net/http.h"

namespace i1 {
namespace {

constexpr int kNumRetries = 5;
constexpr double kLongestWait = 60;

struct Enough {};  // thrown to end a transfer

void wait(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    check_interrupt();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

// Calls `get` until it succeeds, waiting 1, 2, 4 ... seconds after what may pass.
HttpHead try_often(const std::string& address, const std::function<HttpResult()>& get,
                   int num_retries = kNumRetries) {
  double pause = 1;
  for (int i = 0;; ++i, pause *= 2) {
    const HttpResult result = get();
    if (result.problem.empty()) return result.head;
    check_user(result.is_transient, address, ": ", result.problem);
    check_machine(i < num_retries, address, ": ", result.problem, ", ", num_retries + 1, " times");
    wait(std::min(std::max(pause, result.retry_after_s), kLongestWait));
  }
}

}  // namespace

HttpFile::HttpFile(std::string address) : address_(std::move(address)) {
  HttpRequest request;
  request.address = address_;
  request.end_byte = 1;
  const HttpHead head = try_often(address_, [&] {
    HttpHead seen;
    try {
      return http_get(
          request, [&](const HttpHead& now) { seen = now; },
          [&](std::string_view) {
            if (seen.status == 200) throw Enough();
          });
    } catch (const Enough&) {
      return HttpResult{seen, "", false, 0};
    }
  });
  check_user(head.status == 206 && head.total > 0, address_,
             ": the server gives whole files only; fetch it first and name the local copy");
  tag_ = head.etag.starts_with("W/") ? "" : head.etag;
  if (tag_.empty()) tag_ = head.last_modified;
  size_ = head.total;
}

void HttpFile::read(int64_t offset, std::span<std::byte> bytes) {
  const auto wanted = static_cast<int64_t>(bytes.size());
  if (wanted == 0) return;
  check_user(offset >= 0 && offset <= size_ - wanted, address_, ": ends before byte ",
             offset + wanted, "; cut off or damaged");
  int64_t num_read = 0;
  try_often(address_, [&] {
    HttpRequest request;
    request.address = address_;
    request.first_byte = offset + num_read;
    request.end_byte = offset + wanted;
    request.if_range = tag_;
    const auto check_head = [&](const HttpHead& head) {
      const bool is_it =
          head.status == 206 && head.total == size_ && head.first_byte == offset + num_read;
      check_machine(is_it, address_, ": has become another file while it was read; run again");
    };
    HttpResult result = http_get(request, check_head, [&](std::string_view part) {
      const int64_t count = std::min<int64_t>(wanted - num_read, std::ssize(part));
      std::memcpy(bytes.data() + num_read, part.data(), static_cast<size_t>(count));
      num_read += count;
    });
    if (result.problem.empty() && num_read < wanted)
      result.problem = "the connection broke off", result.is_transient = true;
    return result;
  });
}

std::string http_read(const std::string& address, int64_t max_bytes, int num_retries) {
  std::string bytes;
  HttpRequest request;
  request.address = address;
  const auto add = [&](std::string_view part) {
    bytes += part;
    check_user(std::ssize(bytes) <= max_bytes, address, ": longer than ", max_bytes, " bytes");
  };
  const auto get = [&] {
    bytes.clear();
    return http_get(
        request, [](const HttpHead&) {}, add);
  };
  try_often(address, get, num_retries);
  return bytes;
}

}  // namespace i1
