#include "i1/core/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>

#include "i1/core/error.h"

// jemalloc's, where the program is linked with it.
extern "C" __attribute__((weak)) int mallctl(const char* name, void* old_value, size_t* old_size,
                                             void* new_value, size_t new_size);

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The number behind `name` in a file of lines "name number ...".
std::optional<int64_t> number_after(const fs::path& path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string first;
    int64_t number = 0;
    if (words >> first && first == name && words >> number) return number;
  }
  return {};
}

std::optional<int64_t> number_in(const fs::path& path) {  // a group without a limit says "max"
  std::ifstream file(path);
  int64_t number = 0;
  if (file >> number) return number;
  return {};
}

// The names that version 1 and version 2 of control groups give to the same three things.
struct GroupFiles {
  const char *limit, *usage, *file_cache;
};
constexpr GroupFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                  "total_inactive_file"};
constexpr GroupFiles kVersion2 = {"memory.max", "memory.current", "inactive_file"};

int64_t left_in_group(const fs::path& folder, const GroupFiles& files) {
  const std::optional<int64_t> limit = number_in(folder / files.limit);
  if (!limit) return kUnlimited;
  const int64_t usage = number_in(folder / files.usage).value_or(0);
  const int64_t cache = number_after(folder / "memory.stat", files.file_cache).value_or(0);
  return std::max<int64_t>(*limit - std::max<int64_t>(usage - cache, 0), 0);
}

// The least of a group and those above it. A container sees its own group as the topmost, under
// whatever name the host has for it: folders that are not there are passed over.
int64_t left_in_groups(const fs::path& mount, const fs::path& group, const GroupFiles& files) {
  int64_t left = left_in_group(mount, files);
  fs::path folder = mount;
  for (const fs::path& name : group.relative_path()) {
    folder /= name;
    left = std::min(left, left_in_group(folder, files));
  }
  return left;
}

}  // namespace

int64_t available_memory(const fs::path& root) {
  int64_t available = kUnlimited;
  if (const auto kibibytes = number_after(root / "proc/meminfo", "MemAvailable:"))
    available = *kibibytes * 1024;
  std::ifstream groups(root / "proc/self/cgroup");  // lines "number:controllers:/group"
  std::string line;
  while (std::getline(groups, line)) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = concat(',', line.substr(first + 1, second - first - 1), ',');
    const std::string group = line.substr(second + 1);
    const fs::path mounts = root / "sys/fs/cgroup";
    if (controllers == ",,")
      available = std::min(available, left_in_groups(mounts, group, kVersion2));
    if (controllers.find(",memory,") != std::string::npos)
      available = std::min(available, left_in_groups(mounts / "memory", group, kVersion1));
  }
  return available;
}

void return_free_memory() {
  constexpr const char* kPurgeAllArenas = "arena.4096.purge";  // MALLCTL_ARENAS_ALL
  if (mallctl != nullptr) mallctl(kPurgeAllArenas, nullptr, nullptr, nullptr, 0);
}

int64_t own_memory() { return number_after("/proc/self/status", "RssAnon:").value_or(0) * 1024; }

int64_t peak_memory() { return number_after("/proc/self/status", "VmHWM:").value_or(0) * 1024; }

}  // namespace i1
