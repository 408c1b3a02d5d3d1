#include "i1/data/shard_reader.h"

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/data/tar_set.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

using Visit = std::function<void(StoredRecord&)>;
using OnError = std::function<void(const RecordError&)>;

int64_t for_each_tfrecord(const fs::path& shard, const Visit& visit, const OnError& on_error) {
  const MappedFile file(shard);
  RecordReader reader(file.bytes(), shard.filename().string());
  StoredRecord record;
  while (reader.offset() < file.bytes().size()) {
    check_interrupt();
    record.where = concat(shard.filename().string(), ", record ", record.number);
    try {
      const std::string_view payload = *reader.next();
      record.num_payload_bytes = static_cast<int64_t>(payload.size());
      record.example = parse_stored_example(payload, record.where);
      visit(record);
    } catch (const RecordError& error) {
      on_error(error);
    }
    ++record.number;
  }
  return record.number;
}

Example example_of(const SourcePicture& picture, const TableRow* row) {
  Example example;
  example.image_name = picture.key;
  example.png = read_source(picture);
  const auto bytes = std::as_bytes(std::span(example.png));
  const ImageSize size = probe_image(bytes, picture.key);
  example.height = size.height;
  example.width = size.width;
  if (row == nullptr) return example;
  for (const auto& [name, cell] : row->items()) {
    if (name != "key" && cell.is_string()) example.captions.push_back(cell.get<std::string>());
  }
  return example;
}

int64_t for_each_of_tar(const fs::path& shard, const Visit& visit, const OnError& on_error) {
  TarSet set;
  add_tar(shard, set);
  StoredRecord record;
  size_t row = 0;  // the captions of a picture follow it
  for (const SourcePicture& picture : set.pictures) {
    check_interrupt();
    record.where = concat(shard.filename().string(), ", record ", record.number);
    try {
      const bool has_row = row < set.captions.size() && set.captions[row]["key"] == picture.key;
      record.example = example_of(picture, has_row ? &set.captions[row++] : nullptr);
      record.num_payload_bytes = static_cast<int64_t>(record.example.png.size());
      visit(record);
    } catch (const RecordError& error) {
      on_error(error);
    } catch (const UserError& error) {
      on_error(RecordError("picture does not decode", error.what()));
    }
    ++record.number;
  }
  return record.number;
}

}  // namespace

int64_t for_each_record(const fs::path& shard, const Visit& visit, const OnError& on_error) {
  const bool is_tar = shard.extension() == ".tar";
  return is_tar ? for_each_of_tar(shard, visit, on_error)
                : for_each_tfrecord(shard, visit, on_error);
}

}  // namespace i1
