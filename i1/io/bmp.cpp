// Windows bitmaps: uncompressed, bit fields and run lengths, 1 to 32 bits a pixel. Layout:
// BITMAPFILEHEADER (14 bytes), a header that starts with its own size, palette, rows.
#include <array>
#include <cstring>

#include "i1/core/error.h"
#include "i1/io/image_codecs.h"

namespace i1 {
namespace {

using codecs::Bytes;

constexpr size_t kFileHeaderBytes = 14, kCoreHeaderBytes = 12, kInfoHeaderBytes = 40;
enum Compression : uint32_t { kPlain = 0, kRunLength8 = 1, kRunLength4 = 2, kBitFields = 3 };

// Little-endian; what lies behind the end is 0.
template <class T>
T load(Bytes bytes, size_t offset) {
  T value = 0;
  if (offset <= bytes.size() && bytes.size() - offset >= sizeof value)
    std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

struct Header {
  int64_t width = 0, height = 0;
  bool is_top_down = false;
  uint32_t bits = 0, compression = kPlain;
  size_t pixels_at = 0;
  std::array<uint32_t, 3> masks{};                    // red, green, blue of 16 and 32 bits
  std::array<std::array<uint8_t, 3>, 256> palette{};  // red, green, blue; black where it ends
};

void read_palette(Header& header, Bytes bytes, size_t begin, size_t entry_bytes) {
  const size_t end = std::min(header.pixels_at, bytes.size());
  for (size_t i = 0; i < header.palette.size(); ++i) {
    const size_t at = begin + i * entry_bytes;
    if (i >> header.bits != 0 || at + 3 > end) return;
    for (size_t c = 0; c < 3; ++c) header.palette[i][c] = load<uint8_t>(bytes, at + 2 - c);
  }
}

Header read_header(Bytes bytes, const std::string& where) {
  Header header;
  const auto size = load<uint32_t>(bytes, kFileHeaderBytes);
  const bool is_core = size == kCoreHeaderBytes;
  check_user(bytes.size() >= kFileHeaderBytes + size && (is_core || size >= kInfoHeaderBytes),
             where, ": a BMP of ", bytes.size(), " bytes, cut inside its header or damaged");
  header.pixels_at = load<uint32_t>(bytes, 10);
  const size_t at = kFileHeaderBytes;
  if (is_core) {
    header.width = load<uint16_t>(bytes, at + 4);
    header.height = load<uint16_t>(bytes, at + 6);
    header.bits = load<uint16_t>(bytes, at + 10);
  } else {
    header.width = load<int32_t>(bytes, at + 4);
    header.height = load<int32_t>(bytes, at + 8);
    header.bits = load<uint16_t>(bytes, at + 14);
    header.compression = load<uint32_t>(bytes, at + 16);
    header.is_top_down = header.height < 0;
    header.height = std::abs(header.height);
  }
  const uint32_t bits = header.bits, compression = header.compression;
  const bool is_indexed = bits == 1 || bits == 4 || bits == 8;
  const bool fits = compression == kPlain ? is_indexed || bits == 16 || bits == 24 || bits == 32
                    : compression == kRunLength8 ? bits == 8
                    : compression == kRunLength4
                        ? bits == 4
                        : compression == kBitFields && (bits == 16 || bits == 32);
  check_user(fits, where, ": a BMP of ", bits, " bits a pixel and compression ", compression,
             ", which is not read");
  header.masks = bits == 16 ? std::array<uint32_t, 3>{0x7c00, 0x3e0, 0x1f}
                            : std::array<uint32_t, 3>{0xff0000, 0xff00, 0xff};
  if (compression == kBitFields) {  // part of longer headers, behind one of 40 bytes: same place
    for (size_t c = 0; c < 3; ++c) header.masks[c] = load<uint32_t>(bytes, at + 40 + 4 * c);
  }
  if (is_indexed) read_palette(header, bytes, at + size, is_core ? 3 : 4);
  return header;
}

uint8_t masked(uint32_t pixel, uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = __builtin_ctz(mask);
  const uint64_t largest = mask >> shift;
  return static_cast<uint8_t>(uint64_t{(pixel & mask) >> shift} * 255 / largest);
}

void decode_row(const Header& header, Bytes row, uint8_t* out, int channels) {
  for (int64_t x = 0; x < header.width; ++x, out += channels) {
    const auto place = static_cast<size_t>(x);
    if (header.bits <= 8) {
      const size_t bit = place * header.bits;
      const auto byte = std::to_integer<uint32_t>(row[bit / 8]);
      const uint32_t index = byte >> (8 - header.bits - bit % 8) & ((1u << header.bits) - 1);
      std::memcpy(out, header.palette[index].data(), 3);
    } else if (header.bits == 24) {
      for (size_t c = 0; c < 3; ++c) out[c] = std::to_integer<uint8_t>(row[3 * place + 2 - c]);
    } else {
      const uint32_t pixel =
          header.bits == 16 ? load<uint16_t>(row, 2 * place) : load<uint32_t>(row, 4 * place);
      for (size_t c = 0; c < 3; ++c) out[c] = masked(pixel, header.masks[c]);
    }
  }
}

// Rows from the bottom: (count, index) repeats; (0, 0) ends a row, (0, 1) the picture, (0, 2, x, y)
// moves, (0, n) takes n indices as they are, padded to 16 bits. What the data leaves out has index
// 0.
std::vector<uint8_t> decode_runs(const Header& header, Bytes data) {
  const auto width = static_cast<size_t>(header.width), height = static_cast<size_t>(header.height);
  std::vector<uint8_t> indices(width * height);
  const bool is_nibbles = header.compression == kRunLength4;
  size_t x = 0, y = 0, at = 0;
  const auto put = [&](uint8_t index) {
    if (x < width && y < height) indices[y * width + x] = index;
    ++x;
  };
  const auto nibble = [&](uint8_t byte, size_t i) -> uint8_t {
    return is_nibbles ? (i % 2 == 0 ? byte >> 4 : byte & 15) : byte;
  };
  while (at + 2 <= data.size() && y < height) {
    const size_t count = load<uint8_t>(data, at);
    const auto value = load<uint8_t>(data, at + 1);
    at += 2;
    if (count > 0) {
      for (size_t i = 0; i < count; ++i) put(nibble(value, i));
    } else if (value == 0) {
      x = 0;
      ++y;
    } else if (value == 1) {
      break;
    } else if (value == 2) {
      x += load<uint8_t>(data, at);
      y += load<uint8_t>(data, at + 1);
      at += 2;
    } else {
      for (size_t i = 0; i < value; ++i)
        put(nibble(load<uint8_t>(data, at + (is_nibbles ? i / 2 : i)), i));
      const size_t used = is_nibbles ? (size_t{value} + 1) / 2 : value;
      at += used + used % 2;
    }
  }
  return indices;
}

}  // namespace

ImageSize codecs::probe_bmp(Bytes bytes, const std::string& where) {
  const Header header = read_header(bytes, where);
  return {static_cast<int>(header.width), static_cast<int>(header.height)};
}

Image codecs::decode_bmp(Bytes bytes, const std::string& where, const DecodeOptions& options) {
  const Header header = read_header(bytes, where);
  check_size(header.width, header.height, where, options);
  Image image = make_image(static_cast<int>(header.width), static_cast<int>(header.height),
                           options.keep_alpha ? 4 : 3);
  if (image.channels == 4) std::fill(image.pixels.begin(), image.pixels.end(), 255);
  const Bytes data = bytes.subspan(std::min(header.pixels_at, bytes.size()));
  const bool is_run_length = header.compression == kRunLength8 || header.compression == kRunLength4;
  const std::vector<uint8_t> indices =
      is_run_length ? decode_runs(header, data) : std::vector<uint8_t>();
  const size_t row_bytes = (static_cast<size_t>(header.width) * header.bits + 31) / 32 * 4;
  for (int i = 0; i < image.height;
       ++i) {  // as stored; rows that the file lacks are 0, black or index 0
    uint8_t* out = image.row(header.is_top_down ? i : image.height - 1 - i);
    const size_t begin = static_cast<size_t>(i) * row_bytes;
    if (is_run_length) {
      for (int x = 0; x < image.width; ++x) {
        const uint8_t index = indices[static_cast<size_t>(i) * image.width + x];
        std::memcpy(out + x * image.channels, header.palette[index].data(), 3);
      }
    } else if (begin < data.size() && data.size() - begin >= row_bytes) {
      decode_row(header, data.subspan(begin, row_bytes), out, image.channels);
    } else {
      const auto ground = header.bits <= 8 ? header.palette[0] : std::array<uint8_t, 3>{};
      for (int x = 0; x < image.width; ++x) std::memcpy(out + x * image.channels, ground.data(), 3);
    }
  }
  return image;
}

}  // namespace i1
