#include <webp/decode.h>
#include <webp/demux.h>

#include <cstring>
#include <memory>

#include "i1/core/error.h"
#include "i1/io/image_codecs.h"

namespace i1 {

ImageSize codecs::probe_webp(Bytes bytes, const std::string& where) {
  int width = 0, height = 0;
  check_user(WebPGetInfo(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &width,
                         &height) != 0,
             where, ": not a readable WebP");
  return {width, height};
}

// The animation decoder also takes still pictures, and gives the first frame on its canvas.
Image codecs::decode_webp(Bytes bytes, const std::string& where, const DecodeOptions& options) {
  const ImageSize size = probe_webp(bytes, where);
  check_size(size.width, size.height, where, options);
  const WebPData data{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(
      WebPAnimDecoderNew(&data, nullptr), WebPAnimDecoderDelete);
  check_user(decoder != nullptr, where, ": not a readable WebP");
  WebPAnimInfo info;
  uint8_t* frame = nullptr;
  int timestamp = 0;
  check_user(WebPAnimDecoderGetInfo(decoder.get(), &info) != 0 &&
                 WebPAnimDecoderGetNext(decoder.get(), &frame, &timestamp) != 0,
             where, ": a damaged or incomplete WebP");
  Image image = make_image(static_cast<int>(info.canvas_width),
                           static_cast<int>(info.canvas_height), options.keep_alpha ? 4 : 3);
  for (size_t i = 0; i < size_t{info.canvas_width} * info.canvas_height; ++i) {
    std::memcpy(image.pixels.data() + i * image.channels, frame + 4 * i, image.channels);
  }
  return image;
}

}  // namespace i1
