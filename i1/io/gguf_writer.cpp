#include <cstring>
#include <limits>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/block_formats.h"
#include "i1/io/gguf.h"
#include "i1/io/gguf_types.h"

namespace i1 {
namespace {

constexpr size_t kLongestName = 63, kMaxDims = 4;  // as ggml has them

const GgufType& type_of(const StoredTensor& tensor, const std::string& where) {
  for (const GgufType& type : kGgufTypes) {
    const bool fits = tensor.encoding.empty() ? !type.is_blocks && type.dtype == tensor.info.dtype
                                              : type.name == tensor.encoding;
    if (fits) return type;
  }
  throw UserError(concat(where, " is ", tensor.info.dtype,
                         ", which GGUF does not hold; convert it "
                         "to float32 or bfloat16"));
}

// The bytes before the values.
class Header {
 public:
  template <class T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value) {
    number<uint64_t>(value.size());
    bytes_ += value;
  }

  void value(const std::string& key, const nlohmann::ordered_json& value) {
    text(key);
    if (value.is_string()) {
      type(GgufValue::kString);
      text(value.get<std::string>());
    } else if (value.is_boolean()) {
      type(GgufValue::kBool);
      number<uint8_t>(value.get<bool>());
    } else if (value.is_number_float()) {
      type(GgufValue::kFloat32);
      number(value.get<float>());
    } else {
      const auto whole = value.get<int64_t>();
      check_machine(whole >= 0 && whole <= std::numeric_limits<uint32_t>::max(), "metadata \"", key,
                    "\" is ", whole);
      type(GgufValue::kUint32);
      number(static_cast<uint32_t>(whole));
    }
  }

  void tensor(const std::string& name, const StoredTensor& tensor, uint64_t offset,
              const std::string& where) {
    const std::vector<int64_t>& shape = tensor.info.shape;
    check_user(name.size() <= kLongestName && shape.size() <= kMaxDims, where, " of shape ",
               at::IntArrayRef(shape), " does not fit in GGUF: names have at most ", kLongestName,
               " bytes, shapes at most ", kMaxDims, " sizes");
    text(name);
    number(static_cast<uint32_t>(shape.size()));
    for (auto size = shape.rbegin(); size != shape.rend(); ++size)
      number(static_cast<uint64_t>(*size));
    number(type_of(tensor, where).number);
    number(offset);
  }

  void align() { bytes_.resize(align_up(bytes_.size(), kGgufAlignment), '\0'); }
  const std::string& bytes() const { return bytes_; }

 private:
  void type(GgufValue type) { number(static_cast<uint32_t>(type)); }

  std::string bytes_;
};

std::string encoded(const StoredTensor& tensor) {
  const at::Tensor values = tensor.read().to(at::kFloat).contiguous();
  std::string bytes(tensor.encoded_bytes, '\0');
  encode_blocks(tensor.encoding,
                {values.const_data_ptr<float>(), static_cast<size_t>(values.numel())},
                std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

void write_padded(AtomicFile& file, const void* data, uint64_t size) {
  constexpr char kZeros[kGgufAlignment] = {};
  file.write(data, size);
  file.write(kZeros, align_up(size, kGgufAlignment) - size);
}

}  // namespace

StoredTensor as_blocks(const StoredTensor& tensor, const std::string& encoding) {
  const uint64_t num_bytes = count_bytes(tensor.info.shape, at::kFloat, encoding) /
                             (kBlockValues * sizeof(float)) *
                             static_cast<uint64_t>(block_bytes(encoding));
  return {{at::kFloat, tensor.info.shape}, tensor.read, encoding, num_bytes};
}

void write_gguf(const std::filesystem::path& path, const StoredTensors& tensors,
                const nlohmann::ordered_json& metadata, const TensorWritten& written) {
  Header header;
  header.number<uint32_t>(0x46554747);  // "GGUF"
  header.number<uint32_t>(3);
  header.number<uint64_t>(tensors.size());
  header.number<uint64_t>(metadata.size());
  for (const auto& item : metadata.items()) header.value(item.key(), item.value());
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::string where = path.string() + ": tensor \"" + name + "\"";
    header.tensor(name, tensor, offset, where);
    offset += align_up(stored_bytes(tensor, where), kGgufAlignment);
  }
  header.align();
  AtomicFile file(path);
  file.write(header.bytes().data(), header.bytes().size());
  for (const auto& [name, tensor] : tensors) {
    const uint64_t num_bytes = stored_bytes(tensor, name);
    if (tensor.encoding.empty()) {
      const at::Tensor values = tensor.read().contiguous();
      check_machine(values.nbytes() == num_bytes, path.string(), ": tensor \"", name,
                    "\" is not what its header says");
      write_padded(file, values.const_data_ptr(), num_bytes);
    } else {
      write_padded(file, encoded(tensor).data(), num_bytes);
    }
    if (written) written(num_bytes);
  }
  file.commit();
}

}  // namespace i1
