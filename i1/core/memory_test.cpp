// What a process can still take, by made-up /proc and /sys folders.
#include "i1/core/memory.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "i1/core/testing.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMiB = 1 << 20;

class Memory : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((root / name).parent_path());
    write_file_atomically(root / name, text);
  }
  const fs::path root = fresh_folder("memory");
};

TEST_F(Memory, WithoutALimitItIsWhatTheKernelCallsAvailable) {
  EXPECT_EQ(available_memory(root), std::numeric_limits<int64_t>::max());
  write("proc/meminfo", "MemTotal:  8192 kB\nMemFree:  1 kB\nMemAvailable:  4096 kB\n");
  EXPECT_EQ(available_memory(root), 4 * kMiB);
  write("proc/self/cgroup", "0::/user/shell\n");
  write("sys/fs/cgroup/user/memory.max", "max\n");
  write("sys/fs/cgroup/user/shell/memory.max", "max\n");
  EXPECT_EQ(available_memory(root), 4 * kMiB);
}

TEST_F(Memory, AGroupAboveTheProcessLimitsIt) {
  write("proc/meminfo", "MemAvailable: 1048576 kB\n");
  write("proc/self/cgroup", "12:cpu:/a\n0::/user/shell\n");
  write("sys/fs/cgroup/user/memory.max", "104857600\n");
  write("sys/fs/cgroup/user/memory.current", "41943040\n");
  write("sys/fs/cgroup/user/shell/memory.max", "209715200\n");
  EXPECT_EQ(available_memory(root), 60 * kMiB);
  // Pages that only cache files can be had back.
  write("sys/fs/cgroup/user/memory.stat", "anon 1\ninactive_file 10485760\nactive_file 5\n");
  EXPECT_EQ(available_memory(root), 70 * kMiB);
  write("sys/fs/cgroup/user/memory.current", "943718400\n");  // more than its limit
  EXPECT_EQ(available_memory(root), 0);
}

TEST_F(Memory, TheOlderVersionOfGroupsIsReadToo) {
  write("proc/meminfo", "MemAvailable: 1048576 kB\n");
  write("proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/box\n0::/\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(available_memory(root), 1024 * kMiB);
  write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "20971520\n");
  write("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "10485760\n");
  write("sys/fs/cgroup/memory/box/memory.stat", "total_inactive_file 1048576\n");
  EXPECT_EQ(available_memory(root), 11 * kMiB);
}

TEST_F(Memory, AContainerThatCannotSeeItsOwnNameHasTheTopmostLimit) {
  write("proc/self/cgroup", "0::/docker/0123\n");
  write("sys/fs/cgroup/memory.max", "5242880\n");
  write("sys/fs/cgroup/memory.current", "1048576\n");
  EXPECT_EQ(available_memory(root), 4 * kMiB);
}

TEST_F(Memory, DamagedFilesAreNoLimit) {
  write("proc/meminfo", "MemAvailable: some kB\n\n:\n");
  write("proc/self/cgroup", "\n:\n0:\nwords\n::\n0::\n");
  write("sys/fs/cgroup/memory.max", "");
  EXPECT_EQ(available_memory(root), std::numeric_limits<int64_t>::max());
}

TEST(ThisMachine, HasMemoryAndTellsIt) {
  EXPECT_GT(available_memory(), 0);
  EXPECT_LT(available_memory(), int64_t{1} << 50);
  EXPECT_GT(peak_memory(), kMiB);
}

TEST(ThisMachine, OwnMemoryIsWhatThisProcessTouched) {
  const int64_t before = own_memory();
  const std::vector<char> touched(64 * kMiB, 1);
  EXPECT_GE(own_memory() - before, 60 * kMiB);
  EXPECT_LE(own_memory(), peak_memory());
}

}  // namespace
}  // namespace i1
