#include <cstdio>
// jpeglib.h needs FILE.
#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <cstdlib>

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

// libjpeg reports errors by longjmp: nothing with a destructor is made between setjmp and the
// calls.
struct Decoder {
  ErrorManager errors{};
  jpeg_decompress_struct info{};

  Decoder() {
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = on_error;
    errors.base.emit_message = ignore_message;
  }
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;

  bool read_header(Bytes bytes) {
    if (setjmp(errors.jump)) return false;
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&info, TRUE);
    return true;
  }

  // Missing data is filled in by the library; an error after the first row keeps what was decoded.
  bool read_rows(uint8_t* pixels, size_t row_bytes) {
    if (setjmp(errors.jump)) return info.output_scanline > 0;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
      JSAMPROW row = pixels + info.output_scanline * row_bytes;
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
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
  Decoder decoder;
  check_user(decoder.read_header(bytes), where, ": not a readable JPEG: ", decoder.errors.message);
  return {static_cast<int>(decoder.info.image_width), static_cast<int>(decoder.info.image_height)};
}

Image codecs::decode_jpeg(Bytes bytes, const std::string& where, const DecodeOptions& options) {
  Decoder decoder;
  check_user(decoder.read_header(bytes), where, ": not a readable JPEG: ", decoder.errors.message);
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
