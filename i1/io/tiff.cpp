#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <memory>

#include "i1/core/error.h"
#include "i1/io/image_codecs.h"

namespace i1 {
namespace {

using codecs::Bytes;

// The file in memory as libtiff wants to see one.
struct Stream {
  Bytes bytes;
  uint64_t position = 0;
};

tmsize_t read_bytes(thandle_t handle, void* out, tmsize_t size) {
  auto& stream = *static_cast<Stream*>(handle);
  const uint64_t begin = std::min<uint64_t>(stream.position, stream.bytes.size());
  const auto taken = std::min<uint64_t>(static_cast<uint64_t>(size), stream.bytes.size() - begin);
  std::memcpy(out, stream.bytes.data() + begin, taken);
  stream.position = begin + taken;
  return static_cast<tmsize_t>(taken);
}

tmsize_t write_nothing(thandle_t, void*, tmsize_t) { return 0; }

toff_t seek(thandle_t handle, toff_t offset, int whence) {
  auto& stream = *static_cast<Stream*>(handle);
  stream.position = offset + (whence == SEEK_CUR   ? stream.position
                              : whence == SEEK_END ? stream.bytes.size()
                                                   : 0);
  return stream.position;
}

int close_nothing(thandle_t) { return 0; }

toff_t size_of(thandle_t handle) { return static_cast<Stream*>(handle)->bytes.size(); }

struct CloseTiff {
  void operator()(TIFF* file) const { TIFFClose(file); }
};
using Tiff = std::unique_ptr<TIFF, CloseTiff>;

Tiff open_tiff(Stream& stream, const std::string& where) {
  // Both would print; they are the whole program's, so they are set once.
  static const bool is_quiet = [] {
    TIFFSetErrorHandler(nullptr);
    TIFFSetWarningHandler(nullptr);
    return true;
  }();
  static_cast<void>(is_quiet);
  Tiff file(TIFFClientOpen("picture", "rm", &stream, read_bytes, write_nothing, seek, close_nothing,
                           size_of, nullptr, nullptr));
  check_user(file != nullptr, where,
             ": a TIFF without a readable directory; incomplete or damaged");
  return file;
}

struct Layout {
  uint32_t width = 0, height = 0;
  uint16_t bits = 1, samples = 1, photometric = 0, planar = PLANARCONFIG_CONTIG, compression = 0,
           format = SAMPLEFORMAT_UINT;
  uint16_t* palette[3] = {};  // of 2^bits values
};

Layout read_layout(TIFF* file, const std::string& where) {
  Layout layout;
  TIFFGetField(file, TIFFTAG_IMAGEWIDTH, &layout.width);
  TIFFGetField(file, TIFFTAG_IMAGELENGTH, &layout.height);
  TIFFGetFieldDefaulted(file, TIFFTAG_BITSPERSAMPLE, &layout.bits);
  TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLESPERPIXEL, &layout.samples);
  TIFFGetFieldDefaulted(file, TIFFTAG_PLANARCONFIG, &layout.planar);
  TIFFGetFieldDefaulted(file, TIFFTAG_COMPRESSION, &layout.compression);
  TIFFGetFieldDefaulted(file, TIFFTAG_SAMPLEFORMAT, &layout.format);
  TIFFGetField(file, TIFFTAG_PHOTOMETRIC, &layout.photometric);
  if (layout.photometric == PHOTOMETRIC_YCBCR && layout.compression == COMPRESSION_JPEG) {
    TIFFSetField(file, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    layout.photometric = PHOTOMETRIC_RGB;
  }
  const uint32_t bits = layout.bits;
  bool fits = layout.format == SAMPLEFORMAT_UINT && layout.samples >= 1 && layout.samples <= 8;
  switch (layout.photometric) {
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MINISWHITE:
      fits &= bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16;
      break;
    case PHOTOMETRIC_PALETTE:
      fits &= (bits == 1 || bits == 2 || bits == 4 || bits == 8) &&
              TIFFGetField(file, TIFFTAG_COLORMAP, &layout.palette[0], &layout.palette[1],
                           &layout.palette[2]) == 1;
      break;
    case PHOTOMETRIC_RGB:
      fits &= (bits == 8 || bits == 16) && layout.samples >= 3;
      break;
    case PHOTOMETRIC_SEPARATED:
      fits &= bits == 8 && layout.samples >= 4;
      break;
    default:
      fits = false;
  }
  check_user(fits, where, ": a TIFF of ", layout.samples, " samples of ", bits,
             " bits, colour space ", layout.photometric, ", which is not read");
  return layout;
}

// Sample `index` of a row whose samples lie `bits` apart.
uint32_t sample(const uint8_t* row, size_t index, uint32_t bits) {
  if (bits == 16) {
    uint16_t value;
    std::memcpy(&value, row + 2 * index, sizeof value);
    return value;
  }
  const size_t bit = index * bits;
  return row[bit / 8] >> (8 - bits - bit % 8) & ((1u << bits) - 1);
}

// As Pillow converts each: 16-bit grey clips, 16-bit colours keep their high byte.
void to_rgb(const Layout& layout, const uint32_t* values, uint8_t* rgb) {
  const uint32_t largest = (1u << layout.bits) - 1;
  switch (layout.photometric) {
    case PHOTOMETRIC_PALETTE:
      for (size_t c = 0; c < 3; ++c)
        rgb[c] = static_cast<uint8_t>(layout.palette[c][values[0]] >> 8);
      return;
    case PHOTOMETRIC_RGB:
      for (size_t c = 0; c < 3; ++c)
        rgb[c] = static_cast<uint8_t>(layout.bits == 16 ? values[c] >> 8 : values[c]);
      return;
    case PHOTOMETRIC_SEPARATED: {  // not inverted here
      const int q = 255 - static_cast<int>(values[3]);
      for (size_t c = 0; c < 3; ++c) {
        const int product = static_cast<int>(values[c]) * q + 128;
        rgb[c] = static_cast<uint8_t>(std::max(0, q - ((product + (product >> 8)) >> 8)));
      }
      return;
    }
    default: {
      const uint32_t grey =
          layout.bits == 16 ? std::min(values[0], 255u) : values[0] * 255 / largest;
      const bool is_inverted = layout.photometric == PHOTOMETRIC_MINISWHITE && layout.bits < 16;
      std::fill(rgb, rgb + 3, static_cast<uint8_t>(is_inverted ? 255 - grey : grey));
    }
  }
}

// The samples of all pixels, 16 bits each, row by row. Rows that cannot be decoded stay 0.
class Samples {
 public:
  Samples(TIFF* file, const Stream& stream, const Layout& layout)
      : file_(file),
        stream_(stream),
        layout_(layout),
        used_(std::min<uint16_t>(layout.samples, 4)),
        values_(size_t{layout.width} * layout.height * used_),
        is_there_(layout.height, false) {}

  bool read() {
    TIFFIsTiled(file_) != 0 ? read_tiles() : read_strips();
    return std::find(is_there_.begin(), is_there_.end(), true) != is_there_.end();
  }

  bool has_row(uint32_t y) const { return is_there_[y]; }
  size_t per_pixel() const { return used_; }
  const uint16_t* pixel(uint32_t x, uint32_t y) const {
    return values_.data() + (size_t{y} * layout_.width + x) * used_;
  }

 private:
  bool is_separate() const { return layout_.planar == PLANARCONFIG_SEPARATE; }
  size_t num_planes() const { return is_separate() ? used_ : 1; }

  // One row of a strip or tile into its place; `plane` is the sample where they are separate.
  void place(const uint8_t* row, uint32_t x0, uint32_t y, uint32_t count, size_t plane) {
    const size_t stored = is_separate() ? 1 : layout_.samples;
    for (uint32_t i = 0; i < count; ++i) {
      uint16_t* out = values_.data() + (size_t{y} * layout_.width + x0 + i) * used_;
      if (is_separate()) {
        out[plane] = static_cast<uint16_t>(sample(row, i, layout_.bits));
      } else {
        for (size_t c = 0; c < used_; ++c)
          out[c] = static_cast<uint16_t>(sample(row, i * stored + c, layout_.bits));
      }
    }
  }

  void read_strips() {
    uint32_t rows_per_strip = layout_.height;
    TIFFGetFieldDefaulted(file_, TIFFTAG_ROWSPERSTRIP, &rows_per_strip);
    rows_per_strip = std::clamp<uint32_t>(rows_per_strip, 1, layout_.height);
    const auto row_bytes = static_cast<size_t>(TIFFScanlineSize(file_));
    const size_t needed =
        (size_t{layout_.width} * (is_separate() ? 1 : layout_.samples) * layout_.bits + 7) / 8;
    if (row_bytes < needed) return;
    std::vector<uint8_t> strip(row_bytes * rows_per_strip);
    for (size_t plane = 0; plane < num_planes(); ++plane) {
      for (uint32_t y = 0; y < layout_.height; y += rows_per_strip) {
        const uint32_t wanted = std::min(rows_per_strip, layout_.height - y);
        const uint32_t index = TIFFComputeStrip(file_, y, static_cast<uint16_t>(plane));
        const uint32_t rows = read_strip(index, strip, row_bytes, wanted);
        for (uint32_t i = 0; i < rows; ++i) {
          place(strip.data() + i * row_bytes, 0, y + i, layout_.width, plane);
          is_there_[y + i] = true;
        }
        if (rows < wanted) break;  // a decoder stops at the first fault
      }
    }
  }

  // The number of whole rows that could be read.
  uint32_t read_strip(uint32_t index, std::vector<uint8_t>& strip, size_t row_bytes,
                      uint32_t wanted) {
    const auto size = static_cast<tmsize_t>(row_bytes * wanted);
    if (layout_.compression == COMPRESSION_NONE) {  // libtiff refuses a strip that is cut off
      const uint64_t begin = TIFFGetStrileOffset(file_, index);
      if (begin >= stream_.bytes.size()) return 0;
      const uint64_t left = stream_.bytes.size() - begin;  // whatever size the directory states
      if (left < static_cast<uint64_t>(size)) return copy_rows(begin, left, strip, row_bytes);
    }
    std::fill(strip.begin(), strip.end(), 0);
    const tmsize_t got = TIFFReadEncodedStrip(file_, index, strip.data(), size);
    return got < 0 ? 0 : static_cast<uint32_t>(static_cast<size_t>(got) / row_bytes);
  }

  uint32_t copy_rows(uint64_t begin, uint64_t left, std::vector<uint8_t>& strip, size_t row_bytes) {
    const auto rows = static_cast<size_t>(left / row_bytes);
    std::memcpy(strip.data(), stream_.bytes.data() + begin, rows * row_bytes);
    if (TIFFIsByteSwapped(file_) != 0 && layout_.bits == 16)
      TIFFSwabArrayOfShort(reinterpret_cast<uint16_t*>(strip.data()),
                           static_cast<tmsize_t>(rows * row_bytes / 2));
    return static_cast<uint32_t>(rows);
  }

  void read_tiles() {
    uint32_t tile_width = 0, tile_height = 0;
    TIFFGetField(file_, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(file_, TIFFTAG_TILELENGTH, &tile_height);
    const auto tile_bytes = TIFFTileSize(file_), row_bytes = TIFFTileRowSize(file_);
    if (tile_width == 0 || tile_height == 0 || row_bytes <= 0 || tile_bytes <= 0 ||
        tile_bytes / row_bytes < tile_height || tile_bytes > kMostTileBytes)
      return;
    std::vector<uint8_t> tile(static_cast<size_t>(tile_bytes));
    for (size_t plane = 0; plane < num_planes(); ++plane) {
      for (uint32_t y = 0; y < layout_.height; y += tile_height) {
        for (uint32_t x = 0; x < layout_.width; x += tile_width) {
          if (TIFFReadTile(file_, tile.data(), x, y, 0, static_cast<uint16_t>(plane)) < 0) return;
          const uint32_t rows = std::min(tile_height, layout_.height - y);
          for (uint32_t i = 0; i < rows; ++i) {
            place(tile.data() + i * static_cast<size_t>(row_bytes), x, y + i,
                  std::min(tile_width, layout_.width - x), plane);
            is_there_[y + i] = true;
          }
          if (tile_height > layout_.height - y && tile_width > layout_.width - x) break;
        }
        if (tile_height > layout_.height - y) break;
      }
    }
  }

  static constexpr tmsize_t kMostTileBytes = tmsize_t{1} << 28;

  TIFF* file_;
  const Stream& stream_;
  const Layout& layout_;
  size_t used_;
  std::vector<uint16_t> values_;
  std::vector<bool> is_there_;
};

}  // namespace

ImageSize codecs::probe_tiff(Bytes bytes, const std::string& where) {
  Stream stream{bytes};
  const Tiff file = open_tiff(stream, where);
  uint32_t width = 0, height = 0;
  TIFFGetField(file.get(), TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(file.get(), TIFFTAG_IMAGELENGTH, &height);
  return {static_cast<int>(width), static_cast<int>(height)};
}

Image codecs::decode_tiff(Bytes bytes, const std::string& where, const DecodeOptions& options) {
  Stream stream{bytes};
  const Tiff file = open_tiff(stream, where);
  const Layout layout = read_layout(file.get(), where);
  check_size(layout.width, layout.height, where, options);
  Samples samples(file.get(), stream, layout);
  check_user(samples.read(), where, ": a TIFF without a readable row; incomplete or damaged");
  Image image = make_image(static_cast<int>(layout.width), static_cast<int>(layout.height),
                           options.keep_alpha ? 4 : 3);
  const size_t alpha = layout.photometric == PHOTOMETRIC_RGB         ? 3
                       : layout.photometric == PHOTOMETRIC_SEPARATED ? 4
                                                                     : 1;
  // Of a row that is missing all samples are 0: a palette's first colour, and no ink.
  const bool is_coded =
      layout.photometric == PHOTOMETRIC_PALETTE || layout.photometric == PHOTOMETRIC_SEPARATED;
  for (uint32_t y = 0; y < layout.height; ++y) {
    uint8_t* pixel = image.row(static_cast<int>(y));
    for (uint32_t x = 0; x < layout.width; ++x, pixel += image.channels) {
      uint32_t values[4] = {};
      std::copy_n(samples.pixel(x, y), samples.per_pixel(), values);
      if (samples.has_row(y) || is_coded) to_rgb(layout, values, pixel);
      if (image.channels < 4) continue;
      const bool has_alpha = samples.per_pixel() > alpha && layout.bits >= 8;
      pixel[3] = !has_alpha          ? 255
                 : layout.bits == 16 ? static_cast<uint8_t>(values[alpha] >> 8)
                                     : static_cast<uint8_t>(values[alpha]);
    }
  }
  return image;
}

}  // namespace i1
