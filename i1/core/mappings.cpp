#include "i1/core/mappings.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>

#include "i1/core/error.h"

namespace i1 {
namespace {

constexpr const char* kAdvice = "; wait until nothing writes to it, then run the same again";

struct Mapping {
  size_t size;
  std::string path;
  struct stat status;
};

struct Mappings {
  std::mutex mutex;
  std::map<void*, Mapping> all;  // by their begin
};

Mappings& mappings() {
  static Mappings& held = *new Mappings;  // outlives every mapping
  return held;
}

std::atomic<bool> has_lost_page = false;
char lost_path[4096];  // written once, before the flag

struct sigaction before_ours;

// Puts zeros in the place of a mapping from the page at `address` to its end. False where nothing
// is mapped there.
bool replace_lost_page(void* address) {
  const std::lock_guard lock(mappings().mutex);
  auto found = mappings().all.upper_bound(address);
  if (found == mappings().all.begin()) return false;
  --found;
  const auto& [data, mapping] = *found;
  const auto page_bytes = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t page = reinterpret_cast<uintptr_t>(address) / page_bytes * page_bytes;
  const uintptr_t end = reinterpret_cast<uintptr_t>(data) + mapping.size;
  if (page >= end) return false;
  if (::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
    return false;
  if (!has_lost_page) {
    std::strncpy(lost_path, mapping.path.c_str(), sizeof lost_path - 1);
    has_lost_page = true;
  }
  return true;
}

// BUS_ADRERR comes from the thread's own touch of a page, so no lock or allocation of this thread
// is half-done: code that holds the mutex touches no mapped file.
void on_bus_error(int signal, siginfo_t* info, void*) {
  const int kept_errno = errno;
  if (info->si_code != BUS_ADRERR || !replace_lost_page(info->si_addr)) {
    ::sigaction(signal, &before_ours, nullptr);
    ::raise(signal);
  }
  errno = kept_errno;
}

bool is_written_to(const Mapping& mapping, struct stat& now) {
  const struct stat& then = mapping.status;
  if (::stat(mapping.path.c_str(), &now) != 0) return false;  // removed: the mapping keeps it
  if (now.st_dev != then.st_dev || now.st_ino != then.st_ino) return false;  // replaced: likewise
  return now.st_size != then.st_size || now.st_mtim.tv_sec != then.st_mtim.tv_sec ||
         now.st_mtim.tv_nsec != then.st_mtim.tv_nsec;
}

}  // namespace

void add_mapping(void* data, size_t size, const std::filesystem::path& path,
                 const struct stat& status) {
  const std::lock_guard lock(mappings().mutex);
  mappings().all[data] = {size, path.string(), status};
}

void remove_mapping(void* data) {
  const std::lock_guard lock(mappings().mutex);
  mappings().all.erase(data);
}

void forget_mapped_pages() {
  const std::lock_guard lock(mappings().mutex);
  // A private mapping that is never written to comes back from its file.
  for (const auto& [data, mapping] : mappings().all) ::madvise(data, mapping.size, MADV_DONTNEED);
}

void catch_lost_pages() {
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, &before_ours);
}

std::string lost_page_message() {
  if (!has_lost_page) return "";
  return concat(lost_path, ": was cut off while it was read", kAdvice);
}

void check_lost_pages() {
  if (has_lost_page) throw Failure(lost_page_message());
}

void check_mapped_files() {
  check_lost_pages();
  const std::lock_guard lock(mappings().mutex);
  for (const auto& [data, mapping] : mappings().all) {
    struct stat now;
    check_machine(!is_written_to(mapping, now), mapping.path,
                  ": was written to while it was read (", mapping.status.st_size,
                  " bytes when opened, ", now.st_size, " now)", kAdvice);
  }
}

}  // namespace i1
