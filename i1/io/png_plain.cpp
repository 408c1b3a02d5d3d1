// The PNG that data sets are made of, 8-bit RGB without interlace, several times faster than libpng
// reads it: one call of ISA-L inflates the whole picture, and a row's filter is undone on vectors.
// Whatever is unusual or damaged is left to libpng (png.cpp).
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <cstring>
#include <memory>
#include <string_view>

#include "i1/io/image_codecs.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "i1/io/png_plain.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace i1::HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR  // left to libpng
bool undo_filter(uint8_t, const uint8_t*, const uint8_t*, uint8_t*, size_t) { return false; }
#else
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// A pixel as four numbers of 16 bits; the fourth belongs to the next one and is ignored.
using Lanes = hn::CappedTag<int16_t, 4>;
using Pixel = hn::Vec<Lanes>;
using Bytes4 = hn::Rebind<uint8_t, Lanes>;

HWY_INLINE Pixel load(const uint8_t* bytes) {
  return hn::PromoteTo(Lanes(), hn::LoadU(Bytes4(), bytes));
}

HWY_INLINE Pixel paeth(Pixel left, Pixel up, Pixel corner) {
  const Pixel by_left = hn::Sub(up, corner), by_up = hn::Sub(left, corner),
              far_left = hn::Abs(by_left), far_up = hn::Abs(by_up),
              far_corner = hn::Abs(hn::Add(by_left, by_up));
  // What waits for the pixel on the left comes last.
  const Pixel other = hn::IfThenElse(hn::Gt(far_up, far_corner), corner, up);
  return hn::IfThenElse(hn::Gt(far_left, hn::Min(far_up, far_corner)), other, left);
}

enum Filter : uint8_t { kNone, kSub, kUp, kAverage, kPaeth };

// row[i] = in[i] + what left, up and corner let expect, pixel by pixel; all have a byte behind.
template <Filter kFilter>
void undo(const uint8_t* in, const uint8_t* above, uint8_t* row, size_t width) {
  const Pixel low_byte = hn::Set(Lanes(), 255);
  Pixel left = hn::Zero(Lanes()), corner = left;
  for (size_t x = 0; x < width; ++x, in += 3, above += 3, row += 3) {
    const Pixel up = load(above);
    const Pixel expected = kFilter == kSub       ? left
                           : kFilter == kAverage ? hn::ShiftRight<1>(hn::Add(left, up))
                                                 : paeth(left, up, corner);
    left = hn::And(hn::Add(load(in), expected), low_byte);
    corner = up;
    hn::StoreU(hn::DemoteTo(Bytes4(), left), Bytes4(), row);
  }
}

}  // namespace

// False where there is no such filter.
bool undo_filter(uint8_t filter, const uint8_t* in, const uint8_t* above, uint8_t* row,
                 size_t width) {
  switch (filter) {
    case kNone:
      std::memcpy(row, in, 3 * width);
      return true;
    case kUp:
      for (size_t i = 0; i < 3 * width; ++i) row[i] = static_cast<uint8_t>(in[i] + above[i]);
      return true;
    case kSub:
      undo<kSub>(in, above, row, width);
      return true;
    case kAverage:
      undo<kAverage>(in, above, row, width);
      return true;
    case kPaeth:
      undo<kPaeth>(in, above, row, width);
      return true;
    default:
      return false;
  }
}
#endif
}  // namespace i1::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace i1 {
HWY_EXPORT(undo_filter);

namespace {

using codecs::Bytes;

uint32_t big_endian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

constexpr size_t kHeadBytes = 8, kChunkBytes = 12, kIhdrBytes = 13;
constexpr size_t kChannels = 3;

struct Parts {
  uint32_t width = 0, height = 0;
  std::vector<uint8_t> data;  // of all IDAT chunks
};

// False where it is not such a picture, or not whole with every checksum right.
bool collect(const uint8_t* bytes, size_t size, Parts& parts) {
  constexpr uint8_t kPlain[] = {8, 2, 0, 0, 0};  // bits, RGB, deflate, filters, not interlaced
  parts.data.reserve(size);
  for (size_t at = kHeadBytes; size - at >= kChunkBytes;) {
    const uint32_t length = big_endian(bytes + at);
    if (length > size - at - kChunkBytes) return false;
    const uint8_t* body = bytes + at + 8;
    const std::string_view type(reinterpret_cast<const char*>(body) - 4, 4);
    if (crc32_gzip_refl(0, body - 4, length + uint64_t{4}) != big_endian(body + length))
      return false;
    if (at == kHeadBytes) {
      if (type != "IHDR" || length != kIhdrBytes || std::memcmp(body + 8, kPlain, 5) != 0)
        return false;
      parts.width = big_endian(body);
      parts.height = big_endian(body + 4);
    } else if (type == "IDAT") {
      parts.data.insert(parts.data.end(), body, body + length);
    } else if (type == "IEND") {
      return length == 0;
    } else if ((type[0] & 0x20) == 0 && type != "PLTE") {
      return false;
    }
    at += kChunkBytes + length;
  }
  return false;
}

// The zlib stream must fill `out` exactly.
bool inflate(const std::vector<uint8_t>& data, uint8_t* out, size_t size) {
  constexpr size_t kZlibHead = 2, kZlibTail = 4;
  if (data.size() < kZlibHead + kZlibTail || (data[0] & 15) != 8 || (data[1] & 0x20) != 0 ||
      (data[0] << 8 | data[1]) % 31 != 0)
    return false;
  const auto state = std::make_unique_for_overwrite<inflate_state>();
  isal_inflate_init(state.get());
  state->crc_flag = ISAL_DEFLATE;
  state->next_in = const_cast<uint8_t*>(data.data()) + kZlibHead;
  state->avail_in = static_cast<uint32_t>(data.size() - kZlibHead);
  state->next_out = out;
  state->avail_out = static_cast<uint32_t>(size);
  if (isal_inflate_stateless(state.get()) != ISAL_DECOMP_OK || state->total_out != size)
    return false;
  return state->avail_in == kZlibTail && isal_adler32(1, out, size) == big_endian(state->next_in);
}

}  // namespace

bool codecs::decode_plain_png(Bytes bytes, int64_t max_pixels, Image& image) {
  Parts parts;
  if (!collect(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), parts)) return false;
  const size_t width = parts.width, height = parts.height, row_bytes = kChannels * width;
  if (width == 0 || height == 0 || width > static_cast<size_t>(max_pixels) / height ||
      (row_bytes + 1) * height > UINT32_MAX)
    return false;
  const auto filtered = std::make_unique_for_overwrite<uint8_t[]>((row_bytes + 1) * height + 1);
  if (!inflate(parts.data, filtered.get(), (row_bytes + 1) * height)) return false;
  std::vector<uint8_t> pixels(row_bytes * height + 1);
  const std::vector<uint8_t> black(row_bytes + 1);  // above the first row
  for (size_t y = 0; y < height; ++y) {
    const uint8_t* in = filtered.get() + y * (row_bytes + 1);
    uint8_t* row = pixels.data() + y * row_bytes;
    if (!HWY_DYNAMIC_DISPATCH(undo_filter)(in[0], in + 1, y == 0 ? black.data() : row - row_bytes,
                                           row, width))
      return false;
  }
  pixels.pop_back();
  image = {static_cast<int>(width), static_cast<int>(height), 3, std::move(pixels)};
  return true;
}

}  // namespace i1
#endif
