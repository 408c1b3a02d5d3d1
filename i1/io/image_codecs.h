// One decoder a format, for image.cpp alone. Each assumes that the content was recognised.
#pragma once

#include "i1/io/image.h"

namespace i1::codecs {

using Bytes = std::span<const std::byte>;

Image decode_png(Bytes bytes, const std::string& where, const DecodeOptions& options);
Image decode_jpeg(Bytes bytes, const std::string& where, const DecodeOptions& options);
Image decode_webp(Bytes bytes, const std::string& where, const DecodeOptions& options);
Image decode_gif(Bytes bytes, const std::string& where, const DecodeOptions& options);
Image decode_tiff(Bytes bytes, const std::string& where, const DecodeOptions& options);
Image decode_bmp(Bytes bytes, const std::string& where, const DecodeOptions& options);
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
