// Pictures built byte by byte, for tests of their decoders.
#pragma once

#include <zlib.h>

#include <cstdio>
// jpeglib.h needs FILE.
#include <jpeglib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace i1 {

inline std::string big_endian32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

inline std::string little_endian(uint64_t value, int num_bytes) {
  std::string out;
  for (int i = 0; i < num_bytes; ++i) out += static_cast<char>(value >> 8 * i);
  return out;
}

inline std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), body.size());
  return big_endian32(static_cast<uint32_t>(data.size())) + body +
         big_endian32(static_cast<uint32_t>(crc));
}

/// `rows`: the samples of each row, packed as PNG stores them. `extra`: chunks before the data.
inline std::string make_png(uint32_t width, uint32_t height, int depth, int color_type,
                            const std::vector<std::string>& rows, const std::string& extra = "") {
  std::string plain;
  for (const std::string& row : rows) plain += '\0' + row;  // no filter
  std::string packed(compressBound(plain.size()), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size,
           reinterpret_cast<const Bytef*>(plain.data()), plain.size());
  packed.resize(size);
  const std::string header = big_endian32(width) + big_endian32(height) + static_cast<char>(depth) +
                             static_cast<char>(color_type) + std::string(3, '\0');
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + extra + png_chunk("IDAT", packed) +
         png_chunk("IEND", "");
}

/// `header_bytes` of 12 (OS/2) or 40; rows from the bottom, unpadded.
inline std::string make_bmp(int32_t width, int32_t height, int bits, uint32_t compression,
                            const std::string& palette_or_masks,
                            const std::vector<std::string>& rows, int header_bytes = 40) {
  const size_t begin = 14 + static_cast<size_t>(header_bytes) + palette_or_masks.size();
  std::string out = "BM" + little_endian(0, 4) + little_endian(0, 4) + little_endian(begin, 4) +
                    little_endian(static_cast<uint64_t>(header_bytes), 4);
  const int size_bytes = header_bytes == 12 ? 2 : 4;
  out += little_endian(static_cast<uint64_t>(width), size_bytes) +
         little_endian(static_cast<uint64_t>(height), size_bytes) + little_endian(1, 2) +
         little_endian(static_cast<uint64_t>(bits), 2);
  if (header_bytes == 40) out += little_endian(compression, 4) + std::string(20, '\0');
  out += palette_or_masks;
  for (const std::string& row : rows) {
    out += row;
    if (compression == 0 || compression == 3) out.append((4 - row.size() % 4) % 4, '\0');
  }
  return out;
}

struct TiffTag {
  int tag, type;  ///< type: 3 = 16 bits, 4 = 32 bits
  std::vector<uint32_t> values;
};

/// Little-endian: directory, long values, the one strip, whose place and size are added as tags.
inline std::string make_tiff(std::vector<TiffTag> tags, const std::string& strip) {
  tags.push_back({279, 4, {static_cast<uint32_t>(strip.size())}});
  const size_t values_at = 8 + 2 + 12 * (tags.size() + 1) + 4;
  size_t num_bytes = 0;
  for (const TiffTag& tag : tags) num_bytes += tag.values.size() > 1 ? 4 * tag.values.size() : 0;
  tags.push_back({273, 4, {static_cast<uint32_t>(values_at + num_bytes)}});
  std::sort(tags.begin(), tags.end(), [](const auto& a, const auto& b) { return a.tag < b.tag; });
  std::string directory = little_endian(tags.size(), 2), data;
  for (const TiffTag& tag : tags) {
    std::string values;
    for (const uint32_t value : tag.values) values += little_endian(value, tag.type == 3 ? 2 : 4);
    values.resize(std::max<size_t>(values.size(), 4));
    directory += little_endian(static_cast<uint64_t>(tag.tag), 2) +
                 little_endian(static_cast<uint64_t>(tag.type), 2) +
                 little_endian(tag.values.size(), 4) +
                 (values.size() > 4 ? little_endian(values_at + data.size(), 4) : values);
    if (values.size() > 4) data += values;
  }
  data.resize(num_bytes);
  return "II*" + std::string(1, '\0') + little_endian(8, 4) + directory + std::string(4, '\0') +
         data + strip;
}

/// A JPEG of one colour in CMYK, samples as given.
inline std::string make_cmyk_jpeg(int width, int height, const std::vector<uint8_t>& cmyk) {
  jpeg_error_mgr errors;
  jpeg_compress_struct info;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = static_cast<JDIMENSION>(width);
  info.image_height = static_cast<JDIMENSION>(height);
  info.input_components = 4;
  info.in_color_space = JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  jpeg_start_compress(&info, TRUE);
  std::vector<uint8_t> row;
  for (int x = 0; x < width; ++x) row.insert(row.end(), cmyk.begin(), cmyk.end());
  JSAMPROW pointer = row.data();
  for (int y = 0; y < height; ++y) jpeg_write_scanlines(&info, &pointer, 1);
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<const char*>(buffer), size);
  std::free(buffer);
  return bytes;
}

}  // namespace i1
