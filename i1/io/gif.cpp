#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "i1/core/error.h"
#include "i1/io/image_codecs.h"

namespace i1 {
namespace {

using codecs::Bytes;

int read_bytes(GifFileType* file, GifByteType* out, int size) {
  Bytes& left = *static_cast<Bytes*>(file->UserData);
  const size_t taken = std::min(left.size(), static_cast<size_t>(size));
  std::memcpy(out, left.data(), taken);
  left = left.subspan(taken);
  return static_cast<int>(taken);
}

struct CloseGif {
  void operator()(GifFileType* file) const { DGifCloseFile(file, nullptr); }
};
using Gif = std::unique_ptr<GifFileType, CloseGif>;

Gif open_gif(Bytes& bytes, const std::string& where) {
  int error = 0;
  Gif file(DGifOpen(&bytes, read_bytes, &error));
  const char* text = file == nullptr ? GifErrorString(error) : nullptr;
  check_user(file != nullptr, where, ": not a readable GIF: ", text == nullptr ? "damaged" : text);
  return file;
}

// Passes over extensions to the first frame's description; the index that is transparent there, or
// -1.
int find_first_frame(GifFileType* file, const std::string& where) {
  int transparent = NO_TRANSPARENT_COLOR;
  GifRecordType type = UNDEFINED_RECORD_TYPE;
  while (DGifGetRecordType(file, &type) == GIF_OK && type != TERMINATE_RECORD_TYPE) {
    if (type == IMAGE_DESC_RECORD_TYPE) {
      check_user(DGifGetImageDesc(file) == GIF_OK, where,
                 ": a GIF damaged inside its first frame's header");
      return transparent;
    }
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(file, &code, &block) != GIF_OK) break;
    GraphicsControlBlock control;
    if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr &&
        DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
      transparent = control.TransparentColor;
    while (block != nullptr && DGifGetExtensionNext(file, &block) == GIF_OK) {
    }
  }
  throw UserError(where + ": a GIF without a picture; incomplete or damaged");
}

// Interlaced rows come in four passes.
std::vector<int> row_order(int height, bool is_interlaced) {
  std::vector<int> order;
  const int starts[] = {0, 4, 2, 1}, steps[] = {8, 8, 4, 2};
  for (int pass = 0; pass < (is_interlaced ? 4 : 1); ++pass) {
    const int step = is_interlaced ? steps[pass] : 1;
    for (int y = is_interlaced ? starts[pass] : 0; y < height; y += step) order.push_back(y);
  }
  return order;
}

struct Canvas {
  int width, height;
};

// A frame that reaches over the screen widens it.
Canvas canvas_of(const GifFileType& file) {
  const GifImageDesc& frame = file.Image;
  return {std::max(file.SWidth, frame.Left + frame.Width),
          std::max(file.SHeight, frame.Top + frame.Height)};
}

}  // namespace

ImageSize codecs::probe_gif(Bytes bytes, const std::string& where) {
  const Gif file = open_gif(bytes, where);
  find_first_frame(file.get(), where);
  const Canvas canvas = canvas_of(*file);
  return {canvas.width, canvas.height};
}

Image codecs::decode_gif(Bytes bytes, const std::string& where, const DecodeOptions& options) {
  const Gif file = open_gif(bytes, where);
  const int transparent = find_first_frame(file.get(), where);
  const Canvas canvas = canvas_of(*file);
  check_size(canvas.width, canvas.height, where, options);
  const GifImageDesc& frame = file->Image;
  check_user(frame.Width > 0 && frame.Height > 0, where, ": a GIF frame of ", frame.Width, "x",
             frame.Height, " pixels");
  // What no row reaches has the transparent index, or the first.
  const auto ground = static_cast<GifByteType>(std::max(transparent, 0));
  std::vector<GifByteType> indices(static_cast<size_t>(canvas.width) * canvas.height, ground);
  for (const int y : row_order(frame.Height, frame.Interlace)) {
    GifByteType* row = indices.data() + static_cast<size_t>(frame.Top + y) * canvas.width;
    if (DGifGetLine(file.get(), row + frame.Left, frame.Width) != GIF_OK) break;
  }
  const ColorMapObject* colors = frame.ColorMap != nullptr ? frame.ColorMap : file->SColorMap;
  Image image = make_image(canvas.width, canvas.height, options.keep_alpha ? 4 : 3);
  for (size_t i = 0; i < indices.size(); ++i) {
    uint8_t* pixel = image.pixels.data() + i * image.channels;
    const int index = indices[i];
    if (colors != nullptr && index < colors->ColorCount) {
      const GifColorType& color = colors->Colors[index];
      pixel[0] = color.Red;
      pixel[1] = color.Green;
      pixel[2] = color.Blue;
    } else if (colors == nullptr) {
      std::fill(pixel, pixel + 3, indices[i]);  // no palette: grey
    }
    if (image.channels == 4) pixel[3] = index == transparent ? 0 : 255;
  }
  return image;
}

}  // namespace i1
