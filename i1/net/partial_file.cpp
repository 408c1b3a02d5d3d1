#include "i1/net/partial_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "i1/core/config.h"
#include "i1/core/files.h"

namespace i1 {
namespace fs = std::filesystem;

std::string PartialSource::validator() const {
  return etag.starts_with('"') ? etag : last_modified;
}

PartialFile::PartialFile(fs::path target)
    : target_(std::move(target)),
      path_(target_.string() + ".partial"),
      source_path_(path_.string() + ".json") {
  check_user(!fs::is_directory(target_), target_.string(), ": is a folder, expected a file");
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  if (fd_ < 0) fail("cannot be written");
  struct stat status;
  if (::fstat(fd_, &status) != 0) fail("cannot be written");
  const bool is_held = ::flock(fd_, LOCK_EX | LOCK_NB) != 0;
  if (is_held || !S_ISREG(status.st_mode)) {
    ::close(fd_);
    throw UserError(path_.string() + (is_held ? ": another download is at work on this file"
                                              : ": is a pipe or a device, expected a file"));
  }
  try {  // without a readable source the bytes are worth nothing
    from_json(source_, nlohmann::json::parse(read_file(source_path_)), source_path_.string());
    size_ = status.st_size;
  } catch (const std::exception&) {
    source_ = {};
  }
}

PartialFile::~PartialFile() {
  if (fd_ < 0) return;
  if (size_ == 0) {
    ::unlink(source_path_.c_str());
    ::unlink(path_.c_str());
  }
  ::close(fd_);
}

void PartialFile::fail(const char* what) const { throw_system_error(path_, what, errno); }

void PartialFile::begin(const PartialSource& source) {
  if (::ftruncate(fd_, 0) != 0) fail("cannot be written");
  size_ = 0;
  source_ = source;
  write_file_atomically(source_path_, to_json(source).dump(1) + "\n");
}

void PartialFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), size_);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("cannot write");
    size_ += written;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void PartialFile::commit() {
  if (::fsync(fd_) != 0) fail("cannot write");
  if (::rename(path_.c_str(), target_.c_str()) != 0) fail("cannot rename");
  ::unlink(source_path_.c_str());
  ::close(fd_);
  fd_ = -1;
}

}  // namespace i1
