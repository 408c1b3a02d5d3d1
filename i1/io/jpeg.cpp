#include <cstdio>
// jpeglib.h needs FILE.
#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <cstdlib>
#include <cstring>

#include "i1/core/error.h"
#include "i1/io/image_codecs.h"

namespace i1 {
namespace {

using codecs::Bytes;

struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

void on_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

void ignore_message(j_common_ptr, int) {}

// The file in memory. Where it ends inside a header or a table libjpeg must wait, as it does in
// Pillow, not take an end marker for what is missing; inside a scan it gets one.
struct Source {
  jpeg_source_mgr base{};
  bool is_in_scan = false, is_extended = false, ends_inside_segment = false;
  std::vector<JOCTET> tail;

  explicit Source(Bytes bytes) {
    base.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    base.bytes_in_buffer = bytes.size();
    base.init_source = [](j_decompress_ptr) {};
    base.term_source = [](j_decompress_ptr) {};
    base.resync_to_restart = jpeg_resync_to_restart;
    base.fill_input_buffer = [](j_decompress_ptr info) -> boolean {
      auto* source = reinterpret_cast<Source*>(info->src);
      return source->is_in_scan && source->give(kEnd, sizeof kEnd) ? TRUE : FALSE;
    };
    base.skip_input_data = [](j_decompress_ptr info, long count) {
      auto* source = reinterpret_cast<Source*>(info->src);
      const auto wanted = static_cast<size_t>(std::max(count, 0L));
      const size_t skipped = std::min(wanted, source->base.bytes_in_buffer);
      source->ends_inside_segment |= skipped < wanted;
      source->base.next_input_byte += skipped;
      source->base.bytes_in_buffer -= skipped;
    };
  }

  // Once: the bytes that wait, and an end marker behind them.
  bool extend() {
    if (is_extended || ends_inside_segment) return false;
    is_extended = true;
    tail.assign(base.next_input_byte, base.next_input_byte + base.bytes_in_buffer);
    tail.insert(tail.end(), std::begin(kEnd), std::end(kEnd));
    return give(tail.data(), tail.size());
  }

 private:
  static constexpr JOCTET kEnd[] = {0xff, JPEG_EOI};

  bool give(const JOCTET* bytes, size_t count) {
    base.next_input_byte = bytes;
    base.bytes_in_buffer = count;
    return true;
  }
};

// libjpeg reports errors by longjmp: nothing with a destructor is made between setjmp and the
// calls.
struct Decoder {
  ErrorManager errors{};
  Source source;
  jpeg_decompress_struct info{};

  explicit Decoder(Bytes bytes) : source(bytes) {
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = on_error;
    errors.base.emit_message = ignore_message;
  }
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;

  bool read_header() {
    if (setjmp(errors.jump)) return false;
    jpeg_create_decompress(&info);
    info.src = &source.base;
    return is_whole(jpeg_read_header(&info, TRUE) == JPEG_HEADER_OK);
  }

  bool size_output() {
    if (setjmp(errors.jump)) return false;
    jpeg_calc_output_dimensions(&info);
    return true;
  }

  bool start() {
    while (jpeg_start_decompress(&info) == FALSE)
      if (!source.extend()) return is_whole(false);
    source.is_in_scan = true;
    return true;
  }

  bool is_whole(bool is) {
    if (!is) std::strcpy(errors.message, "it is cut inside a header or a table");
    return is;
  }

  // Missing data is filled in by the library; an error after the first row keeps what was decoded.
  bool read_rows(uint8_t* pixels, size_t row_bytes) {
    if (setjmp(errors.jump)) return info.output_scanline > 0;
    if (!start()) return false;
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = pixels + info.output_scanline * row_bytes;
      if (jpeg_read_scanlines(&info, &row, 1) == 0) break;
    }
    return true;
  }
};

// The part of a picture that is asked for, row by row.
struct WindowReader {
  Decoder& decoder;
  ImageWindow window;
  const std::function<void(int y, const uint8_t* row)>& take;
  int next = 0;  // row to be taken
  std::vector<uint8_t> row;

  // Rows behind an error are black.
  bool read() {
    next = window.top;
    row.resize(size_t{3} * decoder.info.output_width + kMisaligned + 16);
    if (!read_rows()) return false;
    std::fill(row.begin(), row.end(), 0);
    while (next < window.bottom) take(next++, row.data());
    return true;
  }

 private:
  // Columns beside the window, and rows above it, keep their part in the smoothing of colours.
  static constexpr JDIMENSION kMargin = 32;
  // Rows that begin at a multiple of 32 bytes libjpeg-turbo writes past the cache, to memory.
  static constexpr size_t kMisaligned = 1;

  bool read_rows() {
    jpeg_decompress_struct& info = decoder.info;
    if (setjmp(decoder.errors.jump)) return info.output_scanline > 0;
    if (!decoder.start()) return false;
    const auto left = static_cast<JDIMENSION>(window.left),
               right = static_cast<JDIMENSION>(window.right),
               top = static_cast<JDIMENSION>(window.top);
    JDIMENSION first = left - std::min(left, kMargin);
    if (info.progressive_mode == FALSE) {
      JDIMENSION width = std::min(right + kMargin, info.output_width) - first;
      if (width < info.output_width) jpeg_crop_scanline(&info, &first, &width);
      if (top > 2 * kMargin) jpeg_skip_scanlines(&info, (top - kMargin) / kMargin * kMargin);
    } else {
      first = 0;
    }
    JSAMPROW pointer = row.data() + kMisaligned;
    while (next < window.bottom) {
      const auto y = static_cast<int>(info.output_scanline);
      if (jpeg_read_scanlines(&info, &pointer, 1) == 0) break;
      if (y < next) continue;
      take(y, pointer + size_t{3} * (left - first));
      next = y + 1;
    }
    return true;
  }
};

// Samples come inverted, with or without Adobe's marker. Pillow's integer arithmetic.
void cmyk_to_rgb(const uint8_t* cmyk, uint8_t* rgb) {
  const int q = cmyk[3];  // 255 - K
  for (int c = 0; c < 3; ++c) {
    const int product = (255 - cmyk[c]) * q + 128;
    rgb[c] = static_cast<uint8_t>(std::max(0, q - ((product + (product >> 8)) >> 8)));
  }
}

}  // namespace

ImageSize codecs::probe_jpeg(Bytes bytes, const std::string& where) {
  Decoder decoder(bytes);
  check_user(decoder.read_header(), where, ": not a readable JPEG: ", decoder.errors.message);
  return {static_cast<int>(decoder.info.image_width), static_cast<int>(decoder.info.image_height)};
}

Image codecs::decode_jpeg(Bytes bytes, const std::string& where, const DecodeOptions& options) {
  Decoder decoder(bytes);
  check_user(decoder.read_header(), where, ": not a readable JPEG: ", decoder.errors.message);
  const int width = static_cast<int>(decoder.info.image_width),
            height = static_cast<int>(decoder.info.image_height);
  check_size(width, height, where, options);
  const bool is_cmyk =
      decoder.info.jpeg_color_space == JCS_CMYK || decoder.info.jpeg_color_space == JCS_YCCK;
  decoder.info.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  const int stored = is_cmyk ? 4 : 3;
  std::vector<uint8_t> rows(static_cast<size_t>(width) * height * stored);
  check_user(decoder.read_rows(rows.data(), static_cast<size_t>(width) * stored), where,
             ": not a readable JPEG: ", decoder.errors.message);

  Image image{width, height, options.keep_alpha ? 4 : 3, {}};
  if (!is_cmyk && image.channels == 3) {
    image.pixels = std::move(rows);
    return image;
  }
  image.pixels.resize(static_cast<size_t>(width) * height * image.channels, 255);
  for (size_t i = 0; i < static_cast<size_t>(width) * height; ++i) {
    uint8_t* pixel = image.pixels.data() + i * image.channels;
    if (is_cmyk) {
      cmyk_to_rgb(rows.data() + 4 * i, pixel);
    } else {
      std::copy_n(rows.data() + 3 * i, 3, pixel);
    }
  }
  return image;
}

bool codecs::decode_jpeg_rows(Bytes bytes, const std::string& where,
                              const std::function<int(ImageSize)>& enough,
                              const std::function<ImageWindow(ImageSize)>& choose,
                              const std::function<void(int y, const uint8_t* row)>& take) {
  Decoder decoder(bytes);
  jpeg_decompress_struct& info = decoder.info;
  check_user(decoder.read_header(), where, ": not a readable JPEG: ", decoder.errors.message);
  const auto width = static_cast<int>(info.image_width),
             height = static_cast<int>(info.image_height);
  check_size(width, height, where, {});
  if (info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK) return false;
  info.out_color_space = JCS_RGB;
  info.scale_denom = info.scale_num = 8;
  if (const int wanted = enough({width, height}); wanted > 0) {
    const int shorter = std::min(width, height);
    info.scale_num = static_cast<unsigned>(std::clamp((8 * wanted + shorter - 1) / shorter, 1, 8));
  }
  check_user(decoder.size_output(), where, ": not a readable JPEG: ", decoder.errors.message);
  const ImageSize size{static_cast<int>(info.output_width), static_cast<int>(info.output_height)};
  WindowReader reader{decoder, choose(size), take, 0, {}};
  check_user(reader.read(), where, ": not a readable JPEG: ", decoder.errors.message);
  return true;
}

std::string encode_jpeg(const Image& image, int quality) {
  check_user(image.channels == 3, "a JPEG holds RGB, not ", image.channels, " channels");
  ErrorManager errors{};
  jpeg_compress_struct info{};
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  info.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = on_error;
  if (setjmp(errors.jump)) {
    jpeg_destroy_compress(&info);
    std::free(buffer);
    throw Failure(concat("cannot write a JPEG: ", errors.message));
  }
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = image.width;
  info.image_height = image.height;
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<uint8_t*>(image.row(static_cast<int>(info.next_scanline)));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<const char*>(buffer), size);
  std::free(buffer);
  return bytes;
}

}  // namespace i1
