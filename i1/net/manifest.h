// What may be downloaded: a list of models and parts of models with their files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "i1/net/fetch.h"

namespace i1 {

struct ManifestFile {
  std::string path;    ///< below the item's address and below its folder
  int64_t size = -1;   ///< bytes; -1: unknown
  std::string sha256;  ///< empty: unknown
  /// An index of shards (*.safetensors.index.json): the shards it names belong to the item as well,
  /// all but those that hold nothing except tensors with `skipped` in their names.
  bool has_shards = false;
  std::string skipped;

  static void fields(auto& self, auto&& visit) {
    visit("path", self.path);
    visit("size", self.size);
    visit("sha256", self.sha256);
    visit("has_shards", self.has_shards);
    visit("skipped", self.skipped);
  }
};

struct ManifestItem {
  std::string name;     ///< also its folder's
  std::string part;     ///< "model", "text_encoder", "vae" (of i1's models), "other"
  std::string what;     ///< a line for people
  std::string address;  ///< of a folder, with a slash at its end
  std::string page;     ///< where licence and conditions are read
  std::string licence;
  bool is_gated = false;  ///< the files are given to those who accepted the conditions
  std::vector<ManifestFile> files;

  static void fields(auto& self, auto&& visit) {  // and "files", a list of ManifestFile
    visit("name", self.name);
    visit("part", self.part);
    visit("what", self.what);
    visit("address", self.address);
    visit("page", self.page);
    visit("licence", self.licence);
    visit("is_gated", self.is_gated);
  }
};

using Manifest = std::vector<ManifestItem>;

/// Files of i1 and of what goes with it, at their publishers' addresses.
const Manifest& official_manifest();

/// A JSON list of items. Throws UserError (`where`, item, field, found, expected) where it is none,
/// or where a path would leave its folder.
Manifest parse_manifest(std::string_view json, const std::string& where);

/// What parse_manifest reads back.
std::string manifest_text(const Manifest& manifest);

/// The item of a name. Throws UserError, naming the nearest, where there is none.
const ManifestItem& find_item(const Manifest& manifest, const std::string& name);

/// The bytes of all files of which a size is known; `is_all`: of every one.
int64_t known_bytes(const ManifestItem& item, bool& is_all);

/// The shards that an index names, in order, without those that `file` leaves out. Throws UserError
/// where it is no index or a name is no plain file name.
std::vector<std::string> shards_of(const ManifestFile& file, const std::filesystem::path& index);

}  // namespace i1
