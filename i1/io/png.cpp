#include <png.h>
#include <zlib.h>

#include <csetjmp>
#include <cstring>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/image_codecs.h"

namespace i1 {
namespace {

using codecs::Bytes;

// libpng reports errors by longjmp, which must not skip destructors: everything with one lives
// outside the functions that call setjmp, and the message travels in this struct.
struct Stream {
  const std::byte* next;
  size_t left;
  size_t until_chunk;  // bytes before the header of the next chunk
  std::string message;
};

void on_error(png_structp png, png_const_charp message) {
  static_cast<Stream*>(png_get_error_ptr(png))->message = message;
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

uint32_t big_endian(const std::byte* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(bytes[i]);
  return value;
}

constexpr size_t kSignatureBytes = 8, kIhdrBytes = 13, kChunkBytes = 12, kChunkHeaderBytes = 8;

// libpng takes memory for as much as a chunk claims to hold, up to 2 GB, before it reads it: one
// that claims more than there is ends here. Picture data is read in pieces and may be cut.
void enter_chunk(png_structp png, Stream& stream) {
  const uint32_t size = big_endian(stream.next);
  const bool is_picture_data = std::memcmp(stream.next + 4, "IDAT", 4) == 0;
  if (!is_picture_data && size > stream.left) png_error(png, "the file ends early");
  stream.until_chunk = kChunkBytes + size;
}

void read_bytes(png_structp png, png_bytep out, size_t size) {
  Stream& stream = *static_cast<Stream*>(png_get_io_ptr(png));
  if (size > stream.left) png_error(png, "the file ends early");
  if (stream.until_chunk == 0 && stream.left >= kChunkHeaderBytes) enter_chunk(png, stream);
  std::memcpy(out, stream.next, size);
  stream.next += size;
  stream.left -= size;
  stream.until_chunk -= size;
}

// Whether the file is cut before its last chunk.
bool ends_early(Bytes bytes) {
  size_t begin = kSignatureBytes;
  while (begin + kChunkBytes <= bytes.size()) {
    if (std::memcmp(bytes.data() + begin + 4, "IEND", 4) == 0) return false;
    begin += kChunkBytes + big_endian(bytes.data() + begin);
  }
  return true;
}

struct Reader {
  Stream stream;
  png_structp png;
  png_infop info;

  Reader(Bytes bytes, bool must_be_whole)
      : stream{bytes.data(), bytes.size(), kSignatureBytes, {}} {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &stream, on_error, ignore_warning);
    info = png_create_info_struct(png);
    png_set_read_fn(png, &stream, read_bytes);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_benign_errors(png, 1);
    if (must_be_whole) return;
    png_set_crc_action(png, PNG_CRC_QUIET_USE,
                       PNG_CRC_QUIET_USE);  // as Pillow does for damaged files
    // A block of picture data that is cut is thrown away whole: with blocks of one byte every row
    // before the cut is there.
    if (ends_early(bytes)) png_set_compression_buffer_size(png, 1);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;

  bool read_info() {
    if (setjmp(png_jmpbuf(png))) return false;
    png_read_info(png, info);
    return true;
  }

  // Rows that were decoded before an error stay; an interlaced picture keeps what its passes
  // reached.
  void read_rows(uint8_t* pixels, size_t row_bytes, uint32_t height) {
    if (setjmp(png_jmpbuf(png))) return;
    const int num_passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != row_bytes) png_error(png, "unexpected row size");
    for (int pass = 0; pass < num_passes; ++pass) {
      for (uint32_t y = 0; y < height; ++y) png_read_row(png, pixels + y * row_bytes, nullptr);
    }
    png_read_end(png, nullptr);
  }
};

// Checksums are ignored but for the header's own.
void check_header(Bytes bytes, const std::string& where) {
  check_user(bytes.size() >= kSignatureBytes + kChunkBytes + kIhdrBytes, where, ": a PNG of ",
             bytes.size(), " bytes, cut inside its header");
  const std::byte* type = bytes.data() + kSignatureBytes + 4;
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(type), 4 + kIhdrBytes);
  check_user(std::memcmp(type, "IHDR", 4) == 0 && crc == big_endian(type + 4 + kIhdrBytes), where,
             ": the PNG's header is damaged");
}

// 16-bit grey to 8 bits by clipping, not by scaling.
void widen_grey16(const std::vector<uint8_t>& grey, Image& image) {
  for (size_t i = 0; i < grey.size() / 2; ++i) {
    const uint8_t value = grey[2 * i] != 0 ? 255 : grey[2 * i + 1];
    uint8_t* pixel = image.pixels.data() + i * image.channels;
    std::fill(pixel, pixel + 3, value);
    if (image.channels == 4) pixel[3] = 255;
  }
}

// What a damaged file lacks has index 0 where there is a palette; elsewhere it is black.
void fill_with_first_colour(const Reader& reader, Image& image) {
  png_colorp palette = nullptr;
  int num_colours = 0;
  if (png_get_PLTE(reader.png, reader.info, &palette, &num_colours) == 0 || num_colours == 0 ||
      png_get_color_type(reader.png, reader.info) != PNG_COLOR_TYPE_PALETTE)
    return;
  for (size_t i = 0; i < image.pixels.size(); i += image.channels) {
    image.pixels[i] = palette[0].red;
    image.pixels[i + 1] = palette[0].green;
    image.pixels[i + 2] = palette[0].blue;
  }
}

}  // namespace

ImageSize codecs::probe_png(Bytes bytes, const std::string& where) {
  check_header(bytes, where);
  const std::byte* data = bytes.data() + kSignatureBytes + 8;
  return {static_cast<int>(big_endian(data)), static_cast<int>(big_endian(data + 4))};
}

Image codecs::decode_png(Bytes bytes, const std::string& where, const DecodeOptions& options) {
  check_header(bytes, where);
  if (Image plain; !options.keep_alpha && decode_plain_png(bytes, options.max_pixels, plain))
    return plain;
  Reader reader(bytes, options.must_be_whole);
  check_user(reader.read_info(), where, ": not a readable PNG: ", reader.stream.message);
  const uint32_t width = png_get_image_width(reader.png, reader.info);
  const uint32_t height = png_get_image_height(reader.png, reader.info);
  const int type = png_get_color_type(reader.png, reader.info);
  const int depth = png_get_bit_depth(reader.png, reader.info);
  check_size(width, height, where, options);

  Image image =
      make_image(static_cast<int>(width), static_cast<int>(height), options.keep_alpha ? 4 : 3);
  const auto check_whole = [&] {
    check_user(!options.must_be_whole || reader.stream.message.empty(), where,
               ": a damaged PNG: ", reader.stream.message);
  };
  if (type == PNG_COLOR_TYPE_GRAY && depth == 16) {
    std::vector<uint8_t> grey(size_t{2} * width * height);
    reader.read_rows(grey.data(), size_t{2} * width, height);
    widen_grey16(grey, image);
    check_whole();
    return image;
  }
  fill_with_first_colour(reader, image);
  png_set_expand(reader.png);  // palettes, low bit depths, transparency to alpha
  png_set_strip_16(reader.png);
  png_set_gray_to_rgb(reader.png);
  if (options.keep_alpha) {
    png_set_add_alpha(reader.png, 255, PNG_FILLER_AFTER);
  } else {
    png_set_strip_alpha(reader.png);
  }
  reader.read_rows(image.pixels.data(), size_t(width) * image.channels, height);
  check_whole();
  return image;
}

namespace {

struct Writer {
  std::string bytes;
  std::string message;
  png_structp png;
  png_infop info;

  Writer() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, this, &Writer::fail, ignore_warning);
    info = png_create_info_struct(png);
    png_set_write_fn(png, this, &Writer::append, [](png_structp) {});
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;

  static void fail(png_structp png, png_const_charp message) {
    static_cast<Writer*>(png_get_error_ptr(png))->message = message;
    png_longjmp(png, 1);
  }
  static void append(png_structp png, png_bytep data, size_t size) {
    static_cast<Writer*>(png_get_io_ptr(png))
        ->bytes.append(reinterpret_cast<const char*>(data), size);
  }

  bool write(const Image& image, const std::vector<png_text>& texts, int compression) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_IHDR(png, info, image.width, image.height, 8,
                 image.channels == 4 ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, compression);
    if (!texts.empty()) png_set_text(png, info, texts.data(), static_cast<int>(texts.size()));
    png_write_info(png, info);
    for (int y = 0; y < image.height; ++y) png_write_row(png, image.row(y));
    png_write_end(png, info);
    return true;
  }
};

}  // namespace

std::string encode_png(const Image& image, const TextChunks& texts, int compression) {
  std::vector<png_text> chunks;
  for (const auto& [key, text] : texts) {
    png_text chunk{};
    chunk.compression = PNG_ITXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(key.c_str());
    chunk.text = const_cast<char*>(text.c_str());
    chunk.itxt_length = text.size();
    chunks.push_back(chunk);
  }
  Writer writer;
  check_machine(writer.write(image, chunks, compression), "cannot write a PNG: ", writer.message);
  return std::move(writer.bytes);
}

void write_png(const std::filesystem::path& path, const Image& image, const TextChunks& texts,
               int compression) {
  write_file_atomically(path, encode_png(image, texts, compression));
}

TextChunks read_png_texts(Bytes bytes, const std::string& where) {
  check_user(bytes.size() >= kSignatureBytes &&
                 png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, 8) == 0,
             where, ": not a PNG");
  check_header(bytes, where);
  Reader reader(bytes, /*must_be_whole=*/false);
  check_user(reader.read_info(), where, ": not a readable PNG: ", reader.stream.message);
  png_textp chunks = nullptr;
  int count = 0;
  png_get_text(reader.png, reader.info, &chunks, &count);
  TextChunks texts;
  for (int i = 0; i < count; ++i) texts[chunks[i].key] = chunks[i].text;
  return texts;
}

}  // namespace i1
