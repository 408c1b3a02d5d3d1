#include "i1/arrow/file_systems.h"

#include <arrow/buffer.h>
#include <arrow/filesystem/filesystem.h>
#include <arrow/io/file.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/config.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <utility>

#include "i1/arrow/status.h"

namespace i1 {
namespace {

// A file of a ByteSource. Arrow has no exceptions: what the source throws is kept for later.
class SourceFile : public arrow::io::RandomAccessFile {
 public:
  explicit SourceFile(ByteSource source) : source_(std::move(source)) {
    set_mode(arrow::io::FileMode::READ);
  }

  arrow::Status Close() override {
    is_closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return is_closed_; }
  arrow::Result<int64_t> Tell() const override { return at_; }
  arrow::Status Seek(int64_t position) override {
    at_ = position;
    return arrow::Status::OK();
  }
  arrow::Result<int64_t> GetSize() override { return source_.size; }

  arrow::Result<int64_t> Read(int64_t num_bytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t count, ReadAt(at_, num_bytes, out));
    at_ += count;
    return count;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t num_bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(at_, num_bytes));
    at_ += buffer->size();
    return buffer;
  }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t num_bytes, void* out) override {
    const int64_t count = std::clamp<int64_t>(source_.size - position, 0, num_bytes);
    try {
      source_.read(position, {static_cast<std::byte*>(out), static_cast<size_t>(count)});
    } catch (...) {
      thrown_ = std::current_exception();
      return arrow::Status::IOError("cannot be read");
    }
    return count;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position,
                                                       int64_t num_bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(num_bytes));
    ARROW_ASSIGN_OR_RAISE(const int64_t count, ReadAt(position, num_bytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(count));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

  std::exception_ptr take_thrown() { return std::exchange(thrown_, nullptr); }

 private:
  ByteSource source_;
  int64_t at_ = 0;
  bool is_closed_ = false;
  std::exception_ptr thrown_;
};

// S3 is a library of its own beside Arrow's.
void load_s3(const std::string& where) {
  static const arrow::Status status = [] {
    Dl_info arrow_itself{};
    dladdr(reinterpret_cast<void*>(&arrow::fs::EnsureFinalized), &arrow_itself);
    const auto folder = std::filesystem::path(arrow_itself.dli_fname).parent_path();
    const auto library = folder / ("libarrow_s3.so." ARROW_SO_VERSION);
    if (!std::filesystem::exists(library)) return arrow::Status::OK();  // then it is inside
    return arrow::fs::LoadFileSystemFactories(library.c_str());
  }();
  check_arrow(status, where);
}

struct Place {
  std::shared_ptr<arrow::fs::FileSystem> files;
  std::string path;
};

Place place_of(const std::string& address, const std::string& where) {
  const bool is_s3 = address.starts_with("s3://");
  if (is_s3) load_s3(where);
  Place place;
  place.files = take_arrow(arrow::fs::FileSystemFromUri(address, &place.path), where);
  if (is_s3) {  // now that it has begun: what is registered later is called earlier
    [[maybe_unused]] static const int is_registered = std::atexit(&arrow::fs::EnsureFinalized);
  }
  return place;
}

arrow::fs::FileInfo info_of(const Place& place, const std::string& where) {
  auto info = take_arrow(place.files->GetFileInfo(place.path), where);
  check_user(info.type() != arrow::fs::FileType::NotFound, where, ": is not there");
  return info;
}

}  // namespace

std::shared_ptr<arrow::io::RandomAccessFile> open_file(const std::string& address,
                                                       const std::string& where,
                                                       const ByteSource* bytes) {
  if (bytes != nullptr) return std::make_shared<SourceFile>(*bytes);
  if (address.find("://") == std::string::npos) {
    auto file = arrow::io::ReadableFile::Open(address);
    check_user(file.ok(), where, ": cannot be opened");
    return *file;
  }
  const Place place = place_of(address, where);
  const auto info = info_of(place, where);
  check_user(info.IsFile(), where, ": is a folder, expected a file");
  return take_arrow(place.files->OpenInputFile(info), where);
}

void rethrow_source(arrow::io::RandomAccessFile& file) {
  auto* source = dynamic_cast<SourceFile*>(&file);
  if (source == nullptr) return;
  if (const auto thrown = source->take_thrown()) std::rethrow_exception(thrown);
}

std::vector<std::string> list_parquet_files(const std::string& address, const std::string& where) {
  const Place place = place_of(address, where);
  if (info_of(place, where).IsFile()) return {address};
  arrow::fs::FileSelector selector;
  selector.base_dir = place.path;
  selector.recursive = true;
  const size_t query = std::min(address.find('?'), address.size());
  std::string head = address.substr(0, query);
  while (head.ends_with('/')) head.pop_back();
  std::string base = place.path;
  while (base.ends_with('/')) base.pop_back();
  std::vector<std::string> found;
  for (const auto& info : take_arrow(place.files->GetFileInfo(selector), where)) {
    if (!info.IsFile() || !info.path().ends_with(".parquet")) continue;
    found.push_back(head + info.path().substr(base.size()) + address.substr(query));
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string read_whole_file(const std::string& address, const std::string& where,
                            int64_t max_bytes) {
  const auto file = open_file(address, where, nullptr);
  const int64_t size = take_arrow(file->GetSize(), where);
  check_user(size <= max_bytes, where, ": longer than ", max_bytes, " bytes");
  std::string bytes(static_cast<size_t>(size), '\0');
  bytes.resize(static_cast<size_t>(take_arrow(file->ReadAt(0, size, bytes.data()), where)));
  check_machine(std::ssize(bytes) == size, where, ": ", bytes.size(), " of ", size, " bytes came");
  return bytes;
}

}  // namespace i1
