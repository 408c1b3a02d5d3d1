#pragma once

#include <cstdint>
#include <filesystem>

namespace i1 {

/// Bytes that this process can still take without swapping: what the kernel calls available
/// (MemAvailable), or less where a control group (v1 or v2) sets the process or one above it a
/// limit. Pages that only cache files do not count as taken. The largest int64_t where the system
/// tells nothing. `root`: where /proc and /sys/fs/cgroup are, for tests.
int64_t available_memory(const std::filesystem::path& root = "/");

/// Gives freed memory that the allocator keeps back to the system. For programs linked with
/// jemalloc; nothing elsewhere.
void return_free_memory();

/// Bytes that this process holds beside the files that it maps (RssAnon); 0 where the system does
/// not tell.
int64_t own_memory();

/// The largest resident set that this process has had, in bytes; 0 where the system does not tell.
int64_t peak_memory();

}  // namespace i1
