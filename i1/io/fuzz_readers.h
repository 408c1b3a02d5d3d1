// One function a reader that takes any bytes: what the fuzz targets call, and the test that replays
// tests/corpus. Each returns, or throws UserError or Failure; anything else is a fault.
#pragma once

#include <zlib.h>

#include <stdexcept>
#include <string>
#include <string_view>

#include "i1/io/gguf.h"
#include "i1/io/image.h"
#include "i1/io/npz.h"
#include "i1/io/pytorch.h"
#include "i1/io/safetensors.h"
#include "i1/io/tfrecord.h"
#include "i1/io/weights_file.h"
#include "i1/io/zip_testing.h"

namespace i1 {

/// Reads every tensor, and of small ones every value.
inline void touch_values(const StoredTensors& tensors) {
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor values = tensor.read();
    if (values.numel() <= 10'000) values.clone(at::MemoryFormat::Contiguous);
  }
}

inline void fuzz_safetensors(std::string_view bytes) {
  touch_values(parse_safetensors(hold_bytes(std::string(bytes), "fuzz")).tensors);
}

inline void fuzz_gguf(std::string_view bytes) {
  const GgufFile file = parse_gguf(hold_bytes(std::string(bytes), "fuzz"));
  touch_values(file.tensors);
  file.values.dump();
}

/// The first byte chooses: the rest is an archive of whatever kind, or the pickle of a .pt file,
/// whose checksum and storages are made to fit.
inline void fuzz_pytorch(std::string_view bytes) {
  if (bytes.empty()) return;
  std::string rest(bytes.substr(1));
  if (bytes[0] != 'A') {
    rest = make_zip({{"archive/data.pkl", rest},
                     {"archive/data/0", std::string(40, '\1')},
                     {"archive/data/1", std::string(8, '\1'), true}});
  }
  touch_values(parse_weights(hold_bytes(std::move(rest), "fuzz")).tensors);
}

/// The first byte chooses: the rest is an archive, or a .npy file stored or deflated in one.
inline void fuzz_npz(std::string_view bytes) {
  if (bytes.empty()) return;
  std::string rest(bytes.substr(1));
  if (bytes[0] != 'A') rest = make_zip({{"a.npy", rest, bytes[0] == 'D'}});
  touch_values(parse_npz(std::make_shared<const ZipArchive>(hold_bytes(std::move(rest), "fuzz"))));
}

/// The first byte chooses: the rest is a file of records, or an example.
inline void fuzz_tfrecord(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::string rest(bytes.substr(1));
  if (bytes[0] != 'R') {
    serialize_example(parse_example(rest, "fuzz"));
    return;
  }
  RecordReader reader(std::as_bytes(std::span(rest)), "fuzz"),
      skipping(std::as_bytes(std::span(rest)), "fuzz");
  skipping.skip(1);
  while (const auto payload = reader.next()) parse_example(*payload, "fuzz");
}

/// A picture of any format. A PNG's header checksum is made to fit, or no change behind it would
/// matter.
inline void fuzz_image(std::string_view bytes) {
  constexpr size_t kIhdrEnd = 29;
  std::string picture(bytes);
  if (picture.starts_with("\x89PNG") && picture.size() >= kIhdrEnd + 4) {
    auto crc = static_cast<uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(picture.data()) + 12, kIhdrEnd - 12));
    crc = __builtin_bswap32(crc);
    picture.replace(kIhdrEnd, 4, reinterpret_cast<const char*>(&crc), 4);
  }
  const auto span = std::as_bytes(std::span(picture));
  const DecodeOptions plain{.max_pixels = 1'000'000},
      with_alpha{.keep_alpha = true, .max_pixels = 1'000'000};
  const Image image = decode_image(span, "fuzz", plain);
  const ImageSize size = probe_image(span, "fuzz");
  if (size.width != image.width || size.height != image.height)
    throw std::logic_error("the probed size differs");
  decode_image(span, "fuzz", with_alpha);
  if (picture.starts_with("\x89PNG")) read_png_texts(span, "fuzz");
}

}  // namespace i1
