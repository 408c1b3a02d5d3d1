// What came over a network in place of a picture.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace i1 {

/// The extensions that check_picture gives.
const std::vector<std::string>& picture_extensions();

struct PictureCheck {
  std::string extension;  ///< "jpg", "png", "webp", "gif", "tif" or "bmp", by the content
  std::string problem;    ///< why the bytes are no picture; empty: they begin as one
};

/// By the header alone, without decoding.
PictureCheck check_picture(std::string_view bytes);

}  // namespace i1
