// One decoder a format, for image.cpp alone. Each assumes that the content was recognised.
#pragma once

#include "i1/io/image.h"

namespace i1::codecs {

using Bytes = std::span<const std::byte>;

Image decode_png(Bytes bytes, const std::string& where, const DecodeOptions& options);
/// An undamaged 8-bit RGB PNG without interlace; false for any other, which decode_png takes.
bool decode_plain_png(Bytes bytes, int64_t max_pixels, Image& image);
Image decode_jpeg(Bytes bytes, const std::string& where, const DecodeOptions& options);
Image decode_webp(Bytes bytes, const std::string& where, const DecodeOptions& options);
Image decode_gif(Bytes bytes, const std::string& where, const DecodeOptions& options);
Image decode_tiff(Bytes bytes, const std::string& where, const DecodeOptions& options);
Image decode_bmp(Bytes bytes, const std::string& where, const DecodeOptions& options);
/// decode_rows of a JPEG; false, and nothing called, where it must be decoded whole.
bool decode_jpeg_rows(Bytes bytes, const std::string& where,
                      const std::function<int(ImageSize)>& enough,
                      const std::function<ImageWindow(ImageSize)>& choose,
                      const std::function<void(int y, const uint8_t* row)>& take);
ImageSize probe_png(Bytes bytes, const std::string& where);
ImageSize probe_jpeg(Bytes bytes, const std::string& where);
ImageSize probe_webp(Bytes bytes, const std::string& where);
ImageSize probe_gif(Bytes bytes, const std::string& where);
ImageSize probe_tiff(Bytes bytes, const std::string& where);
ImageSize probe_bmp(Bytes bytes, const std::string& where);

/// Throws UserError where a header's size is empty or above the limit.
void check_size(int64_t width, int64_t height, const std::string& where,
                const DecodeOptions& options);

}  // namespace i1::codecs
