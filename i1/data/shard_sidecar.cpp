#include "i1/data/shard_sidecar.h"

#include <cstdio>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/tfrecord.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kChecksum = "sidecar_crc32c";

std::string hex(uint32_t value) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "%08x", value);
  return digits;
}

json json_of(const ShownPicture& picture) {
  json item = {{"key", picture.key}, {"source", picture.source}};
  if (picture.record >= 0) return item["record"] = picture.record, item;
  item["left_out"] = picture.reason;
  if (!picture.jpeg.empty()) item["jpeg"] = picture.jpeg;
  return item;
}

ShownPicture shown_of(const json& item) {
  return {item.at("key"), item.at("source"), item.value("record", int64_t{-1}),
          item.value("left_out", ""), item.value("jpeg", "")};
}

json json_of(const BadRecords& records) {
  json object = json::object();
  for (const auto& [reason, count] : records.counts)
    object[reason] = {{"count", count}, {"first", records.first.at(reason)}};
  return object;
}

BadRecords bad_records_of(const json& object) {
  BadRecords records;
  for (const auto& [reason, item] : object.items()) {
    records.counts[reason] = item.at("count");
    records.first[reason] = item.at("first");
  }
  return records;
}

// Keys and messages may hold any bytes; what is not UTF-8 becomes U+FFFD.
std::string dump(const json& object) {
  return object.dump(1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace) + "\n";
}

ShardSidecar parse(const json& object) {
  ShardSidecar sidecar;
  sidecar.shard = object.at("shard");
  sidecar.num_shards = object.at("num_shards");
  sidecar.options = object.at("options");
  sidecar.pictures = object.at("pictures");
  sidecar.num_pictures = object.at("num_pictures");
  sidecar.num_records = object.at("num_records");
  sidecar.num_captions = object.at("num_captions");
  sidecar.num_payload_bytes = object.at("num_payload_bytes");
  sidecar.num_file_bytes = object.at("num_file_bytes");
  sidecar.crc32c = static_cast<uint32_t>(
      std::stoul(object.at("crc32c").get<std::string>(), nullptr, /*base=*/16));
  sidecar.left_out = bad_records_of(object.at("left_out"));
  sidecar.left_out_before = bad_records_of(object.at("left_out_before"));
  for (const json& item : object.at("shown")) sidecar.shown.push_back(shown_of(item));
  return sidecar;
}

}  // namespace

fs::path sidecar_path(const fs::path& shard) { return shard.string() + ".json"; }

std::string sidecar_json(const ShardSidecar& sidecar) {
  json shown = json::array();
  for (const ShownPicture& picture : sidecar.shown) shown.push_back(json_of(picture));
  json object = {{"shard", sidecar.shard},
                 {"num_shards", sidecar.num_shards},
                 {"options", sidecar.options},
                 {"pictures", sidecar.pictures},
                 {"num_pictures", sidecar.num_pictures},
                 {"num_records", sidecar.num_records},
                 {"num_captions", sidecar.num_captions},
                 {"num_payload_bytes", sidecar.num_payload_bytes},
                 {"num_file_bytes", sidecar.num_file_bytes},
                 {"crc32c", hex(sidecar.crc32c)},
                 {"left_out", json_of(sidecar.left_out)},
                 {"left_out_before", json_of(sidecar.left_out_before)},
                 {"shown", shown}};
  object[kChecksum] = hex(crc32c(dump(object)));
  return dump(object);
}

void write_sidecar(const fs::path& shard, const ShardSidecar& sidecar) {
  write_file_atomically(sidecar_path(shard), sidecar_json(sidecar));
}

ShardSidecar read_sidecar(const fs::path& shard) {
  const fs::path path = sidecar_path(shard);
  const std::string text = read_file(path);
  const std::string damaged =
      path.string() + ": damaged; remove it, and the same build writes the shard again";
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  check_user(object.is_object() && object.contains(kChecksum) && dump(object) == text, damaged);
  const json checksum = object.at(kChecksum);
  object.erase(kChecksum);
  check_user(checksum == hex(crc32c(dump(object))), damaged);
  try {
    return parse(object);
  } catch (const json::exception&) {
    throw UserError(path.string() + ": is no sidecar of this version of i1");
  }
}

std::string shard_fault(const fs::path& shard, const ShardSidecar& sidecar) {
  const MappedFile file(shard);
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  if (static_cast<int64_t>(bytes.size()) != sidecar.num_file_bytes)
    return concat(shard.string(), ": has ", bytes.size(), " bytes, but its sidecar tells of ",
                  sidecar.num_file_bytes);
  const uint32_t found = crc32c(bytes);
  if (found == sidecar.crc32c) return "";
  return concat(shard.string(), ": its checksum is ", hex(found), ", but its sidecar tells of ",
                hex(sidecar.crc32c));
}

std::string options_difference(const json& one, const json& other) {
  json all = one;
  all.update(other);
  for (const auto& [name, ignored] : all.items()) {
    const json first = one.value(name, json()), second = other.value(name, json());
    if (first != second) return concat(name, " ", first.dump(), " and ", second.dump());
  }
  return "";
}

}  // namespace i1
