#include "i1/data/shard_writer.h"

#include <archive.h>
#include <archive_entry.h>

#include <nlohmann/json.hpp>

#include "i1/core/error.h"

namespace i1 {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

la_ssize_t append(archive*, void* bytes, const void* data, size_t size) {
  static_cast<std::string*>(bytes)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

std::string captions_json(const std::vector<std::string>& captions) {
  nlohmann::ordered_json object;
  for (size_t i = 0; i < captions.size(); ++i) object[concat("caption", i + 1)] = captions[i];
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

struct TarBytes::Writer {
  std::unique_ptr<archive, decltype(&archive_write_free)> tar{archive_write_new(),
                                                              &archive_write_free};

  void check(bool is_good) const {
    if (is_good) return;
    const char* reason = archive_error_string(tar.get());
    throw Failure(concat("libarchive cannot write a tar: ", reason == nullptr ? "?" : reason));
  }
};

// Plain headers, and a pax one for a name of more than 100 bytes.
TarBytes::TarBytes() : writer_(std::make_unique<Writer>()) {
  archive* tar = writer_->tar.get();
  writer_->check(archive_write_set_format_pax_restricted(tar) == ARCHIVE_OK &&
                 archive_write_set_bytes_per_block(tar, 0) == ARCHIVE_OK &&
                 archive_write_open(tar, &bytes_, nullptr, append, nullptr) == ARCHIVE_OK);
}

TarBytes::~TarBytes() = default;

void TarBytes::add(const std::string& name, std::string_view bytes) {
  archive* tar = writer_->tar.get();
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                            &archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_mtime(entry.get(), 0, 0);
  writer_->check(archive_write_header(tar, entry.get()) >= ARCHIVE_WARN);
  writer_->check(archive_write_data(tar, bytes.data(), bytes.size()) ==
                 static_cast<la_ssize_t>(bytes.size()));
  writer_->check(archive_write_finish_entry(tar) == ARCHIVE_OK);
}

void TarBytes::finish() { writer_->check(archive_write_close(writer_->tar.get()) == ARCHIVE_OK); }

bool is_tar_key(std::string_view key) {
  const size_t slash = key.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? key : key.substr(slash + 1);
  return !name.empty() && name.find('.') == std::string_view::npos && !key.starts_with('/') &&
         key.find('\0') == std::string_view::npos;
}

ShardWriter::ShardWriter(std::filesystem::path path, ShardFormat format)
    : file_(std::move(path)),
      tar_(format == ShardFormat::kWebDataset ? std::make_unique<TarBytes>() : nullptr) {}

void ShardWriter::write(const Example& example) {
  if (tar_ != nullptr) {
    const auto& [key, captions] = std::tie(example.image_name, example.captions);
    check_machine(is_tar_key(key), key, ": no name for the members of a tar");
    const bool is_text = captions.size() == 1;
    const std::string text = is_text ? captions[0] : captions_json(captions);
    tar_->add(key + ".png", example.png);
    tar_->add(key + (is_text ? ".txt" : ".json"), text);
    num_payload_bytes_ += static_cast<int64_t>(example.png.size() + text.size());
    buffer_ += tar_->take();
  } else {
    const std::string payload = serialize(example);
    buffer_ += frame_record(payload);
    num_payload_bytes_ += static_cast<int64_t>(payload.size());
  }
  ++num_records_;
  num_captions_ += static_cast<int64_t>(example.captions.size());
  if (buffer_.size() >= kBufferBytes) flush();
}

void ShardWriter::flush() {
  file_.write(buffer_.data(), buffer_.size());
  crc32c_ = i1::crc32c(buffer_, crc32c_);
  num_file_bytes_ += static_cast<int64_t>(buffer_.size());
  buffer_.clear();
}

void ShardWriter::close() {
  if (tar_ != nullptr) {
    tar_->finish();
    buffer_ += tar_->take();
  }
  flush();
  file_.commit();
}

}  // namespace i1
