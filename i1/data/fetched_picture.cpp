#include "i1/data/fetched_picture.h"

#include <algorithm>
#include <cctype>

#include "i1/core/error.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

bool looks_like_html(std::string_view bytes) {
  std::string begin(bytes.substr(0, 512));
  std::transform(begin.begin(), begin.end(), begin.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return begin.find("<html") != std::string::npos ||
         begin.find("<!doctype html") != std::string::npos;
}

// Of bytes that one of our six decoders takes.
const char* extension_of(char first) {
  switch (first) {
    case '\x89':
      return "png";
    case '\xff':
      return "jpg";
    case 'R':
      return "webp";
    case 'G':
      return "gif";
    case 'B':
      return "bmp";
    default:
      return "tif";
  }
}

}  // namespace

const std::vector<std::string>& picture_extensions() {
  static const std::vector<std::string> all = {"jpg", "png", "webp", "gif", "tif", "bmp"};
  return all;
}

PictureCheck check_picture(std::string_view bytes) {
  if (bytes.empty()) return {"", "empty"};
  try {
    const ImageSize size = probe_image(std::as_bytes(std::span(bytes)), "");
    if (size.width > 0 && size.height > 0) return {extension_of(bytes[0]), ""};
  } catch (const UserError&) {  // its text differs from one file to the next
  }
  return {"", looks_like_html(bytes) ? "an HTML page" : "no picture that can be read"};
}

}  // namespace i1
