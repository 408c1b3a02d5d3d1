#include "i1/core/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "i1/core/error.h"
#include "i1/core/mappings.h"

namespace i1 {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

struct stat open_to_read(const std::filesystem::path& path, Descriptor& file, int flags = 0) {
  file.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  check_user(file.fd >= 0, path.string(), ": cannot be opened: ", std::strerror(errno));
  struct stat status;
  check_user(::fstat(file.fd, &status) == 0, path.string(),
             ": cannot be read: ", std::strerror(errno));
  check_user(!S_ISDIR(status.st_mode), path.string(), ": is a folder, expected a file");
  return status;
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  Descriptor file{-1};
  std::string bytes(static_cast<size_t>(open_to_read(path, file).st_size), '\0');
  size_t done = 0;
  for (;;) {  // a pipe or a file that grows has no known size
    if (done == bytes.size()) bytes.resize(bytes.size() + 4096);
    const ssize_t got = ::read(file.fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    check_user(got >= 0, path.string(), ": cannot be read: ", std::strerror(errno));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  Descriptor file{-1};
  const struct stat status = open_to_read(path, file, O_NONBLOCK);  // a pipe would wait here
  check_user(S_ISREG(status.st_mode), path.string(), ": is a pipe or a device, expected a file");
  size_ = static_cast<size_t>(status.st_size);
  if (size_ == 0) return;
  data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  check_user(data_ != MAP_FAILED, path.string(), ": cannot be mapped: ", std::strerror(errno));
  // Read in pages of 2 MB where the file system can: 3 GB from a disk took 1.8 s instead of 6.6,
  // and products with weights as they lie are faster. Refused elsewhere, which is no error.
  ::madvise(data_, size_, MADV_HUGEPAGE);
  add_mapping(data_, size_, path, status);
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  remove_mapping(data_);
  ::munmap(data_, size_);
}

void MappedFile::forget_pages() { forget_mapped_pages(); }

void write_all(int fd, const void* data, size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd, next, size);
    if (written < 0 && errno == EINTR) continue;
    check_machine(written > 0, "cannot write: ", std::strerror(errno));
    next += written;
    size -= static_cast<size_t>(written);
  }
}

void throw_system_error(const std::filesystem::path& path, const std::string& what,
                        int error_number) {
  const std::string message =
      path.string() + ": " + what + ": " + std::generic_category().message(error_number);
  constexpr int kOfTheMachine[] = {ENOSPC, EDQUOT, EFBIG, EIO, ENOMEM, EMFILE, ENFILE, EINTR};
  for (const int error : kOfTheMachine)
    if (error == error_number) throw Failure(message);
  throw UserError(message);
}

void make_folder(const std::filesystem::path& path) {
  check_user(!path.empty(), "the name of a folder to write to is empty");
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw_system_error(path, "the folder cannot be made", error.value());
}

AtomicFile::AtomicFile(std::filesystem::path path)
    : path_(std::move(path)), temporary_(path_.string() + ".XXXXXX") {
  check_user(!path_.empty(), "the name of a file to write is empty");
  // Renaming onto a device would replace it.
  struct stat status;
  const bool is_there = ::stat(path_.c_str(), &status) == 0;
  check_user(!is_there || S_ISREG(status.st_mode), path_.string(), ": cannot be written: is a ",
             is_there && S_ISDIR(status.st_mode) ? "folder" : "pipe or a device",
             ", expected a file");
  fd_ = ::mkstemp(temporary_.data());
  check(fd_ >= 0, "cannot be written");
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::check(bool ok, const char* what) const {
  if (!ok) throw_system_error(path_, what, errno);
}

void AtomicFile::write_now(const char* data, size_t size) {
  try {
    write_all(fd_, data, size);
  } catch (const Failure& failure) {
    throw Failure(path_.string() + ": " + failure.what());
  }
}

// Whole blocks that begin at multiples of their size: where the system can, it keeps each as one
// huge page, and whoever maps the file next reads those.
void AtomicFile::write(const void* data, size_t size) {
  constexpr size_t kBlock = 2 << 20;
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const bool is_whole = block_.empty() && size >= kBlock;
    const size_t count = is_whole ? size / kBlock * kBlock : std::min(size, kBlock - block_.size());
    is_whole ? write_now(next, count) : void(block_.append(next, count));
    if (block_.size() == kBlock) flush();
    next += count;
    size -= count;
  }
}

void AtomicFile::flush() {
  write_now(block_.data(), block_.size());
  block_.clear();
}

void AtomicFile::write_at(uint64_t offset, const void* data, size_t size) {
  flush();
  const ssize_t written = ::pwrite(fd_, data, size, static_cast<off_t>(offset));
  check(written == static_cast<ssize_t>(size), "cannot write");
}

void AtomicFile::commit() {
  check_lost_pages();
  flush();
  check(::fchmod(fd_, 0644) == 0 && ::fsync(fd_) == 0, "cannot write");
  check(::rename(temporary_.c_str(), path_.c_str()) == 0, "cannot rename");
  ::close(fd_);
  fd_ = -1;
}

AtomicFolder::AtomicFolder(const std::filesystem::path& path)
    : path_(path.has_filename() ? path : path.parent_path()),
      partial_(path_.string() + ".partial") {
  check_user(!path_.empty(), "the name of a folder to write is empty");
  std::error_code ignored;
  std::filesystem::remove_all(partial_, ignored);
  make_folder(partial_);
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!partial_.empty()) std::filesystem::remove_all(partial_, ignored);
}

void AtomicFolder::commit() {
  check_lost_pages();
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  if (!error) std::filesystem::rename(partial_, path_, error);
  if (error) throw_system_error(path_, "cannot be written", error.value());
  partial_.clear();
}

TemporaryFolder::TemporaryFolder(const std::string& name) {
  std::string path = (std::filesystem::temp_directory_path() / ("i1_" + name + "_XXXXXX")).string();
  if (::mkdtemp(path.data()) == nullptr) throw_system_error(path, "cannot be made", errno);
  path_ = path;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_atomically(const std::filesystem::path& path, const std::function<void(int fd)>& write) {
  AtomicFile file(path);
  try {
    write(file.fd());
  } catch (const Failure& failure) {
    throw Failure(path.string() + ": " + failure.what());
  }
  file.commit();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  write_atomically(path, [&](int fd) { write_all(fd, bytes.data(), bytes.size()); });
}

}  // namespace i1
