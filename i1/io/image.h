// Pictures in memory and in files. Decoding to RGB gives what Pillow's `.convert("RGB")` gives, bit
// for bit: alpha is dropped (not composited), 16-bit grey clips at 255, CMYK is taken as inverted,
// EXIF rotation and colour profiles are ignored, a damaged file is read as far as it goes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace i1 {

struct Image {
  int width = 0, height = 0;
  int channels = 3;             ///< 3 = RGB, 4 = RGBA, not premultiplied
  std::vector<uint8_t> pixels;  ///< (height, width, channels), row-major

  uint8_t* row(int y) { return pixels.data() + static_cast<size_t>(y) * width * channels; }
  const uint8_t* row(int y) const {
    return pixels.data() + static_cast<size_t>(y) * width * channels;
  }
};

/// A black picture; transparent where it has four channels.
Image make_image(int width, int height, int channels = 3);

struct DecodeOptions {
  bool keep_alpha = false;  ///< RGBA instead of RGB; opaque where the file has no alpha
  int64_t max_pixels =
      178'956'970;             ///< as in Pillow; larger ones are refused before memory is taken
  bool must_be_whole = false;  ///< a damaged PNG is refused too, its checksums are not ignored
};

/// Decodes PNG, JPEG, WebP, GIF (first frame), TIFF or BMP; the content decides, not the name.
/// Throws UserError, opened by `where`, for what no decoder takes and for what is damaged before
/// its first pixel.
Image decode_image(std::span<const std::byte> bytes, const std::string& where,
                   const DecodeOptions& options = {});
Image read_image(const std::filesystem::path& path, const DecodeOptions& options = {});

struct ImageSize {
  int width = 0, height = 0;
};

struct ImageWindow {
  int left = 0, top = 0, right = 0,
      bottom = 0;  ///< the last column and row are right - 1, bottom - 1
};

/// Decodes part of a picture to RGB: choose(size) says which, then take(y, row) gets its rows in
/// order, from the first pixel of the window on, readable 16 bytes behind its last. The same pixels
/// as decode_image, but of a JPEG little else is decoded. Where enough(size) is above 0 a JPEG is
/// decoded at the smallest n/8 of its size whose shorter edge is not below that (other pixels;
/// `choose` gets that size).
void decode_rows(std::span<const std::byte> bytes, const std::string& where,
                 const std::function<int(ImageSize)>& enough,
                 const std::function<ImageWindow(ImageSize)>& choose,
                 const std::function<void(int y, const uint8_t* row)>& take);

/// The size that the header states, without decoding.
ImageSize probe_image(std::span<const std::byte> bytes, const std::string& where);

using TextChunks = std::map<std::string, std::string>;

/// PNG bytes; `texts` become iTXt chunks (UTF-8). The same picture gives the same bytes.
/// compression: 0 (none) to 9.
std::string encode_png(const Image& image, const TextChunks& texts = {}, int compression = 6);
/// The same into a file, atomically.
void write_png(const std::filesystem::path& path, const Image& image, const TextChunks& texts = {},
               int compression = 6);

/// The text chunks (tEXt, zTXt, iTXt) before the picture data of a PNG. Throws UserError where it
/// is none.
TextChunks read_png_texts(std::span<const std::byte> bytes, const std::string& where);

/// JPEG bytes at `quality` 1..100. RGB only.
std::string encode_jpeg(const Image& image, int quality = 92);

/// Draws an SVG document into width x height RGBA pixels, scaled to fit and centred. Nothing
/// outside the document is loaded. Throws UserError where it cannot be parsed.
Image render_svg(std::string_view document, int width, int height, const std::string& where);

/// The picture over one colour. Returns RGB.
Image composite(const Image& image, uint8_t red, uint8_t green, uint8_t blue);

}  // namespace i1
