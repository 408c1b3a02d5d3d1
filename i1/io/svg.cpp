#include <librsvg/rsvg.h>

#include <algorithm>
#include <memory>

#include "i1/core/error.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

template <class T, void (*free)(T*)>
struct Free {
  void operator()(T* object) const { free(object); }
};

void unref_handle(RsvgHandle* handle) { g_object_unref(handle); }

using Handle = std::unique_ptr<RsvgHandle, Free<RsvgHandle, unref_handle>>;
using Surface = std::unique_ptr<cairo_surface_t, Free<cairo_surface_t, cairo_surface_destroy>>;
using Context = std::unique_ptr<cairo_t, Free<cairo_t, cairo_destroy>>;

// cairo keeps native-endian ARGB with colours already multiplied by alpha.
void unpremultiply(const uint32_t pixel, uint8_t* out) {
  const uint32_t alpha = pixel >> 24;
  const auto straight = [&](uint32_t value) {
    return static_cast<uint8_t>(
        alpha == 0 ? 0 : std::min(255u, ((value & 255) * 255 + alpha / 2) / alpha));
  };
  out[0] = straight(pixel >> 16);
  out[1] = straight(pixel >> 8);
  out[2] = straight(pixel);
  out[3] = static_cast<uint8_t>(alpha);
}

[[noreturn]] void refuse(const std::string& where, GError* error) {
  const std::string message = error != nullptr ? error->message : "unknown error";
  if (error != nullptr) g_error_free(error);
  throw UserError(where + ": not a readable SVG: " + message);
}

}  // namespace

Image render_svg(std::string_view document, int width, int height, const std::string& where) {
  GError* error = nullptr;
  const Handle handle(rsvg_handle_new_from_data(reinterpret_cast<const guint8*>(document.data()),
                                                document.size(), &error));
  if (handle == nullptr) refuse(where, error);
  const Surface surface(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, width, height));
  const Context context(cairo_create(surface.get()));
  const RsvgRectangle viewport{0, 0, static_cast<double>(width), static_cast<double>(height)};
  if (!rsvg_handle_render_document(handle.get(), context.get(), &viewport, &error))
    refuse(where, error);
  cairo_surface_flush(surface.get());

  Image image = make_image(width, height, 4);
  const unsigned char* data = cairo_image_surface_get_data(surface.get());
  const int stride = cairo_image_surface_get_stride(surface.get());
  for (int y = 0; y < height; ++y) {
    const auto* row = reinterpret_cast<const uint32_t*>(data + static_cast<size_t>(y) * stride);
    for (int x = 0; x < width; ++x) unpremultiply(row[x], image.row(y) + 4 * x);
  }
  return image;
}

}  // namespace i1
