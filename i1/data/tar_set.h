// Pictures and captions in tar files, in the form of WebDataset: members whose names differ only
// after the first point belong together, 0001.jpg, 0001.txt, 0001.json.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "i1/data/sources.h"

namespace i1 {

struct TarSet {
  std::vector<SourcePicture> pictures;  ///< parts of their tar file, in its order
  std::vector<TableRow> captions;       ///< "key"; "caption" of .txt; the fields of .json
  int64_t num_unclear = 0;              ///< a.b.png: other than the picture of a, or that of a.b?
  std::string first_unclear;            ///< its name
};

/// The tar files of a folder by name, or the one file. Throws UserError where there is none.
std::vector<std::filesystem::path> find_tars(const std::filesystem::path& path);

/// Adds what one tar file holds, as list_tars does; it may hold nothing.
void add_tar(const std::filesystem::path& tar, TarSet& set);

/// The key is the member's name with its folders, up to the first point after them. Pictures (jpg,
/// jpeg, png, webp) are not read, only found; those with two points in their name are left out and
/// counted. Throws UserError where a tar is compressed, damaged
/// or cut off (naming the last whole member), or no picture is in any.
TarSet list_tars(const std::vector<std::filesystem::path>& tars);

}  // namespace i1
