// What could not be fetched and why: a line each, as it happens, and which of it is for good.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace i1 {

/// Whether a reason (the text that a failure is logged with) is one that another try would not
/// change: it begins with one of these words.
///   refused, wrong content, too large, bad address, no length
bool is_final_reason(std::string_view reason);

/// What failures are counted under: the reason, without a text that differs from one to the next.
std::string reason_group(const std::string& reason);

/// Lines of ROW, NAME, ADDRESS, REASON with tabs between, each written when it is added. What a
/// killed process left is read; half a line is passed over. One process at a time holds the file.
/// Throws UserError where it cannot be written or another process holds it, Failure where the
/// machine fails. Not locked between threads, except that was_final may be called by all.
class FailureLog {
 public:
  explicit FailureLog(std::filesystem::path path);
  ~FailureLog();
  FailureLog(const FailureLog&) = delete;
  FailureLog& operator=(const FailureLog&) = delete;

  /// Whether an earlier run failed for good with this address in this row.
  bool was_final(int64_t row, const std::string& address) const;

  void add(int64_t row, const std::string& name, const std::string& address,
           const std::string& reason);

  /// The row's earlier line still holds.
  void keep(int64_t row) { current_.insert(row); }

  /// Leaves one line for each row added or kept, its last; without any, no file. `temporary` is a
  /// free path of the same file system.
  void compact(const std::filesystem::path& temporary);

 private:
  void read_earlier();

  std::filesystem::path path_;
  int fd_ = -1;
  std::unordered_map<int64_t, size_t> final_;  // hash of the address by row
  std::unordered_set<int64_t> current_;
};

}  // namespace i1
