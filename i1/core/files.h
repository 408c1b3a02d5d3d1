// Whole files: reading, mapping, and writing that is complete or not there at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace i1 {

/// The bytes of a file. Throws UserError where it is missing, a folder, or unreadable.
std::string read_file(const std::filesystem::path& path);

/// A file mapped for reading; pages are loaded when touched. The mapping lives as long as the
/// object.
class MappedFile {
 public:
  /// Throws UserError where the file is missing, a folder, or unreadable. An empty file gives an
  /// empty span.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

  /// Gives back the memory of all mapped files of the process, which otherwise fills with what was
  /// touched; bytes that are touched again are read again.
  static void forget_pages();

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

/// Throws what a failed system call on a path deserves: Failure where the machine is at fault (disk
/// full, out of memory, I/O), UserError where another path would do (no such folder, no rights,
/// ...).
[[noreturn]] void throw_system_error(const std::filesystem::path& path, const std::string& what,
                                     int error_number);

/// Makes a folder and those above it; one that is there is fine. Throws as throw_system_error does.
void make_folder(const std::filesystem::path& path);

/// A file on its way to its name: bytes go to a temporary file beside it, `commit` flushes that to
/// disk and renames it. Destroyed before, it leaves nothing behind, so that making one and dropping
/// it is the check that a file can be written. Throws UserError where the path cannot be a file's
/// (a folder, a device, no rights), Failure where the machine fails (disk full), with the path.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  int fd() const { return fd_; }
  void write(const void* data, size_t size);                      ///< appends, in blocks of 2 MB
  void write_at(uint64_t offset, const void* data, size_t size);  ///< overwrites
  void commit();

 private:
  void check(bool ok, const char* what) const;
  void write_now(const char* data, size_t size);
  void flush();

  std::filesystem::path path_;
  std::string temporary_;
  std::string block_;  // the last bytes of the file, not yet written
  int fd_ = -1;
};

/// A folder on its way to its name: an empty one beside it, PATH.partial, that `commit` renames,
/// in place of what was there. Destroyed before, it leaves nothing behind. Throws as AtomicFile
/// does.
class AtomicFolder {
 public:
  explicit AtomicFolder(const std::filesystem::path& path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const std::filesystem::path& partial() const { return partial_; }
  void commit();

 private:
  std::filesystem::path path_, partial_;
};

/// A new empty folder, /tmp/i1_NAME_ and six characters, gone with all it holds when destroyed.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& name);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Writes a file so that its final name never holds half of it: `write(fd)` fills an AtomicFile.
void write_atomically(const std::filesystem::path& path, const std::function<void(int fd)>& write);
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Writes all of `bytes` to a descriptor. Throws Failure with errno's text.
void write_all(int fd, const void* data, size_t size);

}  // namespace i1
