// Pictures in memory and in files. Decoding to RGB gives what Pillow's `.convert("RGB")` gives, bit
// for bit: alpha is dropped (not composited), 16-bit grey clips at 255, CMYK is taken as inverted,
// EXIF rotation and colour profiles are ignored, a damaged file is read as far as it goes.
#pragma once

#include <cstdint>
#include <filesystem>
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
  bool keep_alpha = false;           ///< RGBA instead of RGB; opaque where the file has no alpha
  int64_t max_pixels = 500'000'000;  ///< larger pictures are refused before memory is taken
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
