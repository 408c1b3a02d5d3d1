#include "i1/io/image.h"

#include <algorithm>
#include <cstring>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/io/image_codecs.h"

namespace i1 {
namespace {

using codecs::Bytes;

struct Codec {
  const char* name;
  bool (*matches)(std::string_view head);
  Image (*decode)(Bytes, const std::string&, const DecodeOptions&);
  ImageSize (*probe)(Bytes, const std::string&);
};

constexpr Codec kCodecs[] = {
    {"PNG", [](std::string_view head) { return head.starts_with("\x89PNG\r\n\x1a\n"); },
     codecs::decode_png, codecs::probe_png},
    {"JPEG", [](std::string_view head) { return head.starts_with("\xff\xd8\xff"); },
     codecs::decode_jpeg, codecs::probe_jpeg},
    {"WebP",
     [](std::string_view head) {
       return head.starts_with("RIFF") && head.size() >= 12 && head.substr(8, 4) == "WEBP";
     },
     codecs::decode_webp, codecs::probe_webp},
    {"GIF",
     [](std::string_view head) { return head.starts_with("GIF87a") || head.starts_with("GIF89a"); },
     codecs::decode_gif, codecs::probe_gif},
    {"TIFF",
     [](std::string_view head) {
       return head.starts_with(std::string_view("II*\0", 4)) ||
              head.starts_with(std::string_view("MM\0*", 4)) ||
              head.starts_with(std::string_view("II+\0", 4)) ||
              head.starts_with(std::string_view("MM\0+", 4));
     },
     codecs::decode_tiff, codecs::probe_tiff},
    {"BMP", [](std::string_view head) { return head.starts_with("BM"); }, codecs::decode_bmp,
     codecs::probe_bmp},
};

const Codec& codec_of(Bytes bytes, const std::string& where) {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              std::min<size_t>(bytes.size(), 16));
  for (const Codec& codec : kCodecs) {
    if (codec.matches(head)) return codec;
  }
  throw UserError(
      concat(where, ": ", bytes.size(), " bytes that are no picture of a known format"));
}

}  // namespace

void codecs::check_size(int64_t width, int64_t height, const std::string& where,
                        const DecodeOptions& options) {
  check_user(width > 0 && height > 0, where, ": a picture of ", width, "x", height, " pixels");
  check_user(width <= options.max_pixels / height, where, ": ", width, "x", height,
             " pixels, more than the limit of ", options.max_pixels);
}

Image make_image(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  image.pixels.resize(static_cast<size_t>(width) * height * channels);
  return image;
}

Image decode_image(Bytes bytes, const std::string& where, const DecodeOptions& options) {
  return codec_of(bytes, where).decode(bytes, where, options);
}

void decode_rows(Bytes bytes, const std::string& where, const std::function<int(ImageSize)>& enough,
                 const std::function<ImageWindow(ImageSize)>& choose,
                 const std::function<void(int y, const uint8_t* row)>& take) {
  const Codec& codec = codec_of(bytes, where);
  if (codec.decode == codecs::decode_jpeg &&
      codecs::decode_jpeg_rows(bytes, where, enough, choose, take))
    return;
  const Image image = codec.decode(bytes, where, {});
  const ImageWindow window = choose({image.width, image.height});
  const size_t num_bytes = size_t{3} * (window.right - window.left);
  std::vector<uint8_t> row(num_bytes + 16);
  for (int y = window.top; y < window.bottom; ++y) {
    std::memcpy(row.data(), image.row(y) + size_t{3} * window.left, num_bytes);
    take(y, row.data());
  }
}

Image read_image(const std::filesystem::path& path, const DecodeOptions& options) {
  const MappedFile file(path);
  return decode_image(file.bytes(), path.string(), options);
}

ImageSize probe_image(Bytes bytes, const std::string& where) {
  return codec_of(bytes, where).probe(bytes, where);
}

Image composite(const Image& image, uint8_t red, uint8_t green, uint8_t blue) {
  if (image.channels == 3) return image;
  const int ground[3] = {red, green, blue};
  Image out = make_image(image.width, image.height);
  for (size_t i = 0; i < out.pixels.size() / 3; ++i) {
    const int alpha = image.pixels[4 * i + 3];
    for (int c = 0; c < 3; ++c) {
      const int mixed = image.pixels[4 * i + c] * alpha + ground[c] * (255 - alpha);
      out.pixels[3 * i + c] = static_cast<uint8_t>((mixed + 127) / 255);
    }
  }
  return out;
}

}  // namespace i1
