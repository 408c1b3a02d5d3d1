#include "i1/io/safetensors.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "i1/core/error.h"
#include "i1/core/files.h"

namespace i1 {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as in the format's own library

const std::vector<std::pair<std::string, at::ScalarType>>& dtype_names() {
  static const std::vector<std::pair<std::string, at::ScalarType>> names = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
      {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
      {"U8", at::kByte},    {"BOOL", at::kBool}};
  return names;
}

at::ScalarType parse_dtype(const std::string& name, const std::string& where) {
  for (const auto& [known, dtype] : dtype_names()) {
    if (known == name) return dtype;
  }
  throw UserError(concat(where, ": unknown dtype \"", name,
                         "\"; expected one of F64, F32, F16, BF16, I64..I8, U8, BOOL"));
}

std::string dtype_name(at::ScalarType dtype) {
  for (const auto& [name, known] : dtype_names()) {
    if (known == dtype) return name;
  }
  throw Failure(concat("safetensors has no dtype for ", dtype));
}

struct Entry {
  std::string name;
  at::ScalarType dtype;
  std::vector<int64_t> shape;
  uint64_t begin, end;
};

// Checks everything that the values' place depends on, before any tensor is made.
Entry parse_entry(const std::string& name, const nlohmann::json& json, uint64_t data_bytes,
                  const std::string& where) {
  const auto is_size = [](const nlohmann::json& value) { return value.is_number_unsigned(); };
  check_user(json.is_object() && json.contains("dtype") && json["dtype"].is_string() &&
                 json.contains("shape") && json["shape"].is_array() &&
                 json.contains("data_offsets") && json["data_offsets"].is_array() &&
                 json["data_offsets"].size() == 2,
             where, ": header entry lacks dtype, shape or data_offsets");
  check_user(std::all_of(json["shape"].begin(), json["shape"].end(), is_size) &&
                 is_size(json["data_offsets"][0]) && is_size(json["data_offsets"][1]),
             where, ": shape and data_offsets must be non-negative integers");
  Entry entry{name,
              parse_dtype(json["dtype"], where),
              {},
              json["data_offsets"][0],
              json["data_offsets"][1]};
  for (const uint64_t size : json["shape"]) entry.shape.push_back(static_cast<int64_t>(size));
  const uint64_t num_bytes = count_bytes(entry.shape, entry.dtype, where);
  check_user(entry.begin <= entry.end && entry.end <= data_bytes, where, ": bytes ", entry.begin,
             "..", entry.end, " leave the file, which has ", data_bytes,
             " bytes of data; the file is incomplete or damaged");
  check_user(entry.end - entry.begin == num_bytes, where, ": ", entry.end - entry.begin,
             " bytes stored, shape ", json["shape"].dump(), " needs ", num_bytes);
  return entry;
}

void check_no_gaps(std::vector<Entry> entries, uint64_t data_bytes, const std::string& where) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t next = 0;
  for (const Entry& entry : entries) {
    check_user(entry.begin == next, where, ": tensor ", entry.name, ": starts at byte ",
               entry.begin, ", expected ", next, "; the header is damaged");
    next = entry.end;
  }
  check_user(next == data_bytes, where, ": ", data_bytes - next,
             " bytes after the last tensor; the header is damaged");
}

// What a download leaves in the place of weights when it did not give them.
std::string what_else(std::span<const std::byte> bytes) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min<size_t>(bytes.size(), 64));
  if (start.starts_with("version https://git-lfs"))
    return "; this is a pointer of Git LFS: git lfs pull fetches the file itself";
  if (start.starts_with("<")) return "; this is a web page or XML: download the file itself";
  return "; expected weights (safetensors, GGUF, .pt or .npz), or the file is incomplete";
}

}  // namespace

StoredSafetensors parse_safetensors(const FileBytes& file) {
  const std::span<const std::byte> bytes = file.bytes;
  uint64_t header_bytes = 0;
  check_user(bytes.size() >= sizeof header_bytes, file.where, ": ", bytes.size(),
             " bytes, too short for a safetensors file");
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  check_user(header_bytes <= std::min<uint64_t>(bytes.size() - 8, kMaxHeaderBytes), file.where,
             ": header of ", header_bytes, " bytes in a file of ", bytes.size(),
             "; not a safetensors file", what_else(bytes));
  const char* text = reinterpret_cast<const char*>(bytes.data()) + 8;
  const nlohmann::json header = nlohmann::json::parse(text, text + header_bytes, nullptr, false);
  check_user(header.is_object(), file.where,
             ": the header is not a JSON object; not a safetensors file, or damaged");

  StoredSafetensors result;
  std::vector<Entry> entries;
  const std::span<const std::byte> data = bytes.subspan(8 + header_bytes);
  for (const auto& item : header.items()) {
    if (item.key() == "__metadata__") {
      check_user(item.value().is_object(), file.where,
                 ": __metadata__ must be an object of strings");
      for (const auto& pair : item.value().items()) {
        check_user(pair.value().is_string(), file.where,
                   ": __metadata__ must be an object of strings");
        result.metadata[pair.key()] = pair.value();
      }
      continue;
    }
    entries.push_back(
        parse_entry(item.key(), item.value(), data.size(), file.where + ": tensor " + item.key()));
  }
  check_no_gaps(entries, data.size(), file.where);
  for (const Entry& entry : entries) {
    const TensorInfo info = {entry.dtype, entry.shape};
    // The format does not promise alignment; tensor_at_bytes copies where it lacks.
    result.tensors[entry.name] = {info, [file, info, place = data.data() + entry.begin] {
                                    return tensor_at_bytes(file, place, info);
                                  }};
  }
  return result;
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  StoredSafetensors stored = parse_safetensors(map_file(path));
  SafetensorsFile result{{}, std::move(stored.metadata)};
  for (const auto& [name, tensor] : stored.tensors) result.tensors[name] = tensor.read();
  return result;
}

void write_safetensors(const std::filesystem::path& path, const StoredTensors& tensors,
                       const Metadata& metadata, const TensorWritten& written) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto& [dtype, shape] = tensor.info;
    const uint64_t end = offset + count_bytes(shape, dtype, path.string() + ": tensor " + name);
    header[name] = {
        {"dtype", dtype_name(dtype)}, {"shape", shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.empty() ? "{}" : header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the data starts aligned
  const uint64_t header_bytes = text.size();
  AtomicFile file(path);
  file.write(&header_bytes, sizeof header_bytes);
  file.write(text.data(), text.size());
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor values = tensor.read().contiguous();
    check_machine(values.scalar_type() == tensor.info.dtype && values.sizes() == tensor.info.shape,
                  path.string(), ": tensor ", name, " is not what its header says");
    file.write(values.const_data_ptr(), values.nbytes());
    if (written) written(values.nbytes());
  }
  file.commit();
}

void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const Metadata& metadata) {
  write_safetensors(path, as_stored(tensors), metadata);
}

namespace {

// As many shards as fit, tensors in key order.
std::vector<StoredTensors> split_shards(const StoredTensors& tensors, int64_t max_shard_bytes) {
  std::vector<StoredTensors> shards(1);
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto size = static_cast<int64_t>(stored_bytes(tensor, name));
    if (bytes > 0 && bytes + size > max_shard_bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back()[name] = tensor;
    bytes += size;
  }
  return shards;
}

void remove_others(const std::filesystem::path& folder, const std::string& stem,
                   const std::vector<std::string>& kept) {
  std::vector<std::filesystem::path> old;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool is_ours = name == stem + ".safetensors" ||
                         name == stem + ".safetensors.index.json" ||
                         (name.starts_with(stem + "-") && name.ends_with(".safetensors"));
    if (is_ours && std::find(kept.begin(), kept.end(), name) == kept.end())
      old.push_back(entry.path());
  }
  for (const auto& path : old) std::filesystem::remove(path);
}

}  // namespace

void write_sharded_safetensors(const std::filesystem::path& folder, const std::string& stem,
                               const StoredTensors& tensors, int64_t max_shard_bytes,
                               const Metadata& metadata, const TensorWritten& written) {
  const std::vector<StoredTensors> shards = split_shards(tensors, max_shard_bytes);
  if (shards.size() == 1) {
    write_safetensors(folder / (stem + ".safetensors"), tensors, metadata, written);
    return remove_others(folder, stem, {stem + ".safetensors"});
  }
  std::vector<std::string> files;
  nlohmann::ordered_json index;
  uint64_t total_bytes = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    char number[64];
    std::snprintf(number, sizeof number, "-%05zu-of-%05zu.safetensors", i + 1, shards.size());
    files.push_back(stem + number);
    write_safetensors(folder / files.back(), shards[i], metadata, written);
    for (const auto& [name, tensor] : shards[i]) {
      index["weight_map"][name] = files.back();
      total_bytes += stored_bytes(tensor, name);
    }
  }
  index["metadata"]["total_size"] = total_bytes;
  files.push_back(stem + ".safetensors.index.json");
  write_file_atomically(folder / files.back(), index.dump(2) + "\n");
  remove_others(folder, stem, files);
}

void write_sharded_safetensors(const std::filesystem::path& folder, const std::string& stem,
                               const TensorMap& tensors, int64_t max_shard_bytes,
                               const Metadata& metadata) {
  write_sharded_safetensors(folder, stem, as_stored(tensors), max_shard_bytes, metadata);
}

}  // namespace i1
