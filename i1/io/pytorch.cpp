#include "i1/io/pytorch.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "i1/core/error.h"
#include "i1/io/pickle.h"

namespace i1 {
namespace {

using Kind = PickleObject::Kind;
using nlohmann::json;

constexpr std::string_view kPickleName = "/data.pkl";
constexpr size_t kMaxDims = 64, kMaxDepth = 32, kLongestName = 1000, kMostObjects = 500'000;

const ZipEntry* find_pickle(const ZipArchive& archive) {
  for (const ZipEntry& entry : archive.entries()) {
    // One folder deep: TorchScript archives hold others further down.
    if (entry.name.ends_with(kPickleName) &&
        entry.name.find('/') == entry.name.size() - kPickleName.size()) {
      return &entry;
    }
  }
  return nullptr;
}

std::optional<at::ScalarType> storage_dtype(std::string_view name) {
  static const std::pair<std::string_view, at::ScalarType> names[] = {
      {"torch DoubleStorage", at::kDouble}, {"torch FloatStorage", at::kFloat},
      {"torch HalfStorage", at::kHalf},     {"torch BFloat16Storage", at::kBFloat16},
      {"torch LongStorage", at::kLong},     {"torch IntStorage", at::kInt},
      {"torch ShortStorage", at::kShort},   {"torch CharStorage", at::kChar},
      {"torch ByteStorage", at::kByte},     {"torch BoolStorage", at::kBool}};
  for (const auto& [known, dtype] : names) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

// Walks the objects from the root and sorts them into tensors and values.
class Collector {
 public:
  Collector(std::shared_ptr<const ZipArchive> archive, const Pickle& pickle, std::string folder,
            const WantsTensor& wants)
      : archive_(std::move(archive)),
        pickle_(pickle),
        folder_(std::move(folder)),
        where_(archive_->file().where),
        wants_(wants) {}

  PyTorchFile run() {
    if (std::optional<json> values = collect(pickle_.root, "", 0))
      file_.values = std::move(*values);
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(const std::string& name, std::string_view what) const {
    throw UserError(concat(where_, ": \"", name, "\": ", what));
  }

  // The object without its tensors; nothing where it is a tensor or holds only tensors. Objects
  // can hold each other, even themselves: depth and number of visits are limited.
  std::optional<json> collect(uint32_t index, const std::string& name, size_t depth) {
    const PickleObject& object = pickle_.at(index);
    if (depth > kMaxDepth) fail(name, concat("nested deeper than ", kMaxDepth, " levels"));
    if (name.size() > kLongestName) fail(name.substr(0, 40), "a name of more than 1000 characters");
    if (++num_visited_ > kMostObjects) fail(name, concat("more than ", kMostObjects, " objects"));
    switch (object.kind) {
      case Kind::kNone:
        return json(nullptr);
      case Kind::kBool:
        return json(object.integer != 0);
      case Kind::kInteger:
        return json(object.integer);
      case Kind::kFloat:
        return json(object.number);
      case Kind::kText:
        return json(checked_text(object, name));
      case Kind::kBytes:
        return json(concat(object.text.size(), " bytes"));
      case Kind::kDict:
        return collect_dict(object, name, depth);
      case Kind::kList:
      case Kind::kTuple:
        return collect_list(object, name, depth);
      case Kind::kTensor:
        add_tensor(object, name);
        return std::nullopt;
      case Kind::kName:
        return json(std::string(object.text));
      case Kind::kStorage:
        break;
    }
    fail(name, "a storage without a tensor");
  }

  std::optional<json> collect_dict(const PickleObject& dict, const std::string& name,
                                   size_t depth) {
    json values = json::object();
    for (size_t i = 0; i + 1 < dict.children.size(); i += 2) {
      const PickleObject& key = pickle_.at(dict.children[i]);
      if (key.kind != Kind::kText && key.kind != Kind::kInteger)
        fail(name, "a dictionary with keys that are neither texts nor integers");
      const std::string part =
          key.kind == Kind::kText ? checked_text(key, name) : std::to_string(key.integer);
      if (auto value = collect(dict.children[i + 1], join(name, part), depth + 1))
        values[part] = std::move(*value);
    }
    if (values.empty() && !dict.children.empty()) return std::nullopt;
    return values;
  }

  std::optional<json> collect_list(const PickleObject& list, const std::string& name,
                                   size_t depth) {
    json values = json::array();
    for (size_t i = 0; i < list.children.size(); ++i) {
      if (auto value = collect(list.children[i], join(name, std::to_string(i)), depth + 1))
        values.push_back(std::move(*value));
    }
    if (values.empty() && !list.children.empty()) return std::nullopt;
    return values;
  }

  static std::string join(const std::string& name, const std::string& part) {
    return name.empty() ? part : name + "." + part;
  }

  std::string checked_text(const PickleObject& object, const std::string& name) const {
    std::string text(object.text);
    try {
      json(text).dump();
    } catch (const json::exception&) {
      fail(name, "a text that is not UTF-8");
    }
    return text;
  }

  // Tensors.

  std::vector<int64_t> sizes_of(uint32_t index, const std::string& name) const {
    const PickleObject& tuple = pickle_.at(index);
    if (tuple.kind != Kind::kTuple || tuple.children.size() > kMaxDims)
      fail(name, "a tensor whose shape or strides are no tuple of integers");
    std::vector<int64_t> sizes;
    for (const uint32_t child : tuple.children) {
      const PickleObject& size = pickle_.at(child);
      if (size.kind != Kind::kInteger || size.integer < 0)
        fail(name, "a tensor whose shape or strides are no non-negative integers");
      sizes.push_back(size.integer);
    }
    return sizes;
  }

  struct Storage {
    at::ScalarType dtype;
    const ZipEntry* entry;
    uint64_t num_values;
  };

  // ("storage", type, key, device, number of values)
  Storage storage_of(uint32_t index, const std::string& name) const {
    const PickleObject& object = pickle_.at(index);
    const auto child = [&](size_t i) -> const PickleObject& {
      return pickle_.at(object.children[i]);
    };
    if (object.kind != Kind::kStorage || object.children.size() != 5 ||
        child(2).kind != Kind::kText || child(4).kind != Kind::kInteger ||
        child(1).kind != Kind::kName)
      fail(name, "a tensor without a storage");
    const std::optional<at::ScalarType> dtype = storage_dtype(child(1).text);
    if (!dtype) fail(name, "a tensor without a storage");
    const std::string path = concat(folder_, "/data/", child(2).text);
    const ZipEntry* entry = archive_->find(path);
    if (entry == nullptr) fail(name, "its storage \"" + path + "\" is missing; incomplete");
    const auto num_values = static_cast<uint64_t>(child(4).integer);
    const uint64_t value_bytes = c10::elementSize(*dtype);
    if (num_values > std::numeric_limits<int64_t>::max() / value_bytes ||
        num_values * value_bytes != entry->num_bytes)
      fail(name, concat("its storage has ", entry->num_bytes, " bytes, expected ", num_values,
                        " values of ", value_bytes));
    return {*dtype, entry, num_values};
  }

  // (storage, offset, shape, strides, ...)
  void add_tensor(const PickleObject& object, const std::string& name) {
    if (wants_ && !wants_(name)) return;
    const Storage storage = storage_of(object.children[0], name);
    const PickleObject& offset = pickle_.at(object.children[1]);
    const TensorInfo info = {storage.dtype, sizes_of(object.children[2], name)};
    const std::vector<int64_t> strides = sizes_of(object.children[3], name);
    if (offset.kind != Kind::kInteger || offset.integer < 0 || strides.size() != info.shape.size())
      fail(name, "a tensor whose offset or number of strides does not fit");
    const uint64_t num_bytes = count_bytes(info.shape, info.dtype, where_ + ": \"" + name + "\"");
    auto first = static_cast<uint64_t>(offset.integer), last = first;
    for (size_t i = 0; i < strides.size() && num_bytes > 0; ++i) {
      const auto steps = static_cast<uint64_t>(info.shape[i]) - 1;
      const auto stride = static_cast<uint64_t>(strides[i]);
      if (stride > 0 && steps > storage.num_values / stride) fail_outside(name, storage);
      last += steps * stride;
      if (last >= storage.num_values) fail_outside(name, storage);
    }
    if (num_bytes == 0) first = 0;  // of a tensor without values the place means nothing
    if (num_bytes > 0 && last >= storage.num_values) fail_outside(name, storage);
    const auto read = [archive = archive_, entry = storage.entry, info, strides, first] {
      const FileBytes file = entry->is_deflated
                                 ? hold_bytes(archive->read(*entry), archive->file().where)
                                 : archive->file();
      const auto content = entry->is_deflated ? file.bytes : archive->stored(*entry);
      return tensor_at_bytes(file, content.data() + first * c10::elementSize(info.dtype), info,
                             strides);
    };
    if (!file_.tensors.emplace(name, StoredTensor{info, read}).second)
      fail(name, "two tensors of this name");
  }

  [[noreturn]] void fail_outside(const std::string& name, const Storage& storage) const {
    fail(name, concat("its shape and strides leave its storage of ", storage.num_values,
                      " values; damaged"));
  }

  std::shared_ptr<const ZipArchive> archive_;
  const Pickle& pickle_;
  const std::string folder_;
  const std::string& where_;
  const WantsTensor& wants_;
  PyTorchFile file_;
  size_t num_visited_ = 0;
};

}  // namespace

bool is_pytorch(const ZipArchive& archive) { return find_pickle(archive) != nullptr; }

PyTorchFile parse_pytorch(std::shared_ptr<const ZipArchive> archive, const WantsTensor& wants) {
  const std::string& where = archive->file().where;
  const ZipEntry* entry = find_pickle(*archive);
  check_user(entry != nullptr, where, ": no data.pkl in this archive; not a PyTorch file");
  const std::string folder = entry->name.substr(0, entry->name.size() - kPickleName.size());
  const ZipEntry* order = archive->find(folder + "/byteorder");
  check_user(order == nullptr || archive->read(*order) == "little", where,
             ": its numbers are big-endian, which is not read; save it on another machine");
  const std::string bytes = archive->read(*entry);
  const Pickle pickle = parse_pickle(bytes, where);
  return Collector(std::move(archive), pickle, folder, wants).run();
}

}  // namespace i1
