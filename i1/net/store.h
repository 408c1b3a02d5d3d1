// Items of a manifest in a folder of models: what is there, and fetching what is not.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "i1/net/manifest.h"

namespace i1 {

/// What `i1 generate` takes of an item in `folder`: its file where it has one only, else `folder`.
std::filesystem::path usable_path(const ManifestItem& item, const std::filesystem::path& folder);

/// The first file of an item that is not in `folder` with the size it should have; empty where all
/// are there. Nothing is hashed.
std::string missing_file(const ManifestItem& item, const std::filesystem::path& folder);

struct FileReport {
  std::string path;
  bool was_there = false;  ///< and was not fetched
  FileCheck check;
};

/// Fetches what `folder` lacks of an item; `report` is called after each file. The token of the
/// environment's HF_TOKEN is shown to https://huggingface.co alone, or to the host that the
/// environment's HF_ENDPOINT names in its place, which is then also asked for its files. Throws as
/// fetch_file does.
void download_item(const ManifestItem& item, const std::filesystem::path& folder, int num_retries,
                   const std::function<void(const FileReport&)>& report);

}  // namespace i1
