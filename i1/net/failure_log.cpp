#include "i1/net/failure_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <functional>
#include <optional>

#include "i1/core/error.h"
#include "i1/core/files.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFinal[] = {"refused", "wrong content", "too large", "bad address",
                                       "no length"};
constexpr std::string_view kCountedWhole[] = {"refused", "busy", "wrong content"};

struct Line {
  int64_t row = 0;
  std::string_view name, address, reason;
};

std::optional<Line> parse_line(std::string_view text) {
  std::array<std::string_view, 4> fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    const size_t tab = text.find('\t');
    const bool is_last = i + 1 == fields.size();
    if ((tab == std::string_view::npos) != is_last) return std::nullopt;
    fields[i] = text.substr(0, tab);
    if (!is_last) text.remove_prefix(tab + 1);
  }
  Line line{0, fields[1], fields[2], fields[3]};
  const char* end = fields[0].data() + fields[0].size();
  const auto read = std::from_chars(fields[0].data(), end, line.row);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return line;
}

// Calls `take(line, text)` for each whole line of a file.
template <class Take>
void for_each_line(const fs::path& path, Take&& take) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  while (std::getline(in, text)) {
    if (const std::optional<Line> line = parse_line(text)) take(*line, text);
  }
  check_user(in.eof() && !in.bad(), path.string(), ": cannot be read");
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text;
}

size_t hash_of(std::string_view text) { return std::hash<std::string_view>()(text); }

}  // namespace

bool is_final_reason(std::string_view reason) {
  for (const std::string_view begin : kFinal)
    if (reason.starts_with(begin)) return true;
  return false;
}

std::string reason_group(const std::string& reason) {
  for (const std::string_view begin : kCountedWhole)
    if (reason.starts_with(begin)) return reason;
  return reason.substr(0, reason.find(':'));
}

FailureLog::FailureLog(fs::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) throw_system_error(path_, "cannot be written", errno);
  try {
    check_user(::flock(fd_, LOCK_EX | LOCK_NB) == 0, path_.string(),
               ": another run is at work on this shard; wait for it, or give each its own --shard");
    read_earlier();
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

FailureLog::~FailureLog() { ::close(fd_); }

void FailureLog::read_earlier() {
  for_each_line(path_, [&](const Line& line, const std::string&) {
    if (is_final_reason(line.reason))
      final_[line.row] = hash_of(line.address);
    else
      final_.erase(line.row);
  });
  const off_t size = ::lseek(fd_, 0, SEEK_END);
  char last = '\n';
  if (size > 0 && ::pread(fd_, &last, 1, size - 1) == 1 && last != '\n') write_all(fd_, "\n", 1);
}

bool FailureLog::was_final(int64_t row, const std::string& address) const {
  const auto found = final_.find(row);
  return found != final_.end() && found->second == hash_of(address);
}

void FailureLog::add(int64_t row, const std::string& name, const std::string& address,
                     const std::string& reason) {
  const std::string line =
      concat(row, '\t', one_line(name), '\t', one_line(address), '\t', one_line(reason), '\n');
  try {
    write_all(fd_, line.data(), line.size());  // in one call: a kill leaves it whole or not there
  } catch (const Failure& failure) {
    throw Failure(path_.string() + ": " + failure.what());
  }
  current_.insert(row);
}

void FailureLog::compact(const fs::path& temporary) {
  std::unordered_map<int64_t, int64_t> last;  // number of the last line of a current row
  int64_t number = 0;
  for_each_line(path_, [&](const Line& line, const std::string&) {
    if (current_.contains(line.row)) last[line.row] = number;
    ++number;
  });
  if (last.empty()) {
    ::unlink(path_.c_str());
    return;
  }
  AtomicFile file(temporary);
  number = 0;
  for_each_line(path_, [&](const Line& line, const std::string& text) {
    const auto found = last.find(line.row);
    if (found != last.end() && found->second == number)
      file.write((text + '\n').data(), text.size() + 1);
    ++number;
  });
  file.commit();
  if (::rename(temporary.c_str(), path_.c_str()) != 0)
    throw_system_error(path_, "cannot be written", errno);
}

}  // namespace i1
