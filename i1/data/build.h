// `i1 data build nano`: sets of items drawn, encoded and written as TFRecord shards, each with what
// evaluation needs beside it and a sheet to look at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "i1/data/nano_set.h"

namespace i1 {

struct BuildReport {
  std::string set;
  int64_t num_pictures = 0;
  int64_t num_bytes = 0;                    ///< of all records
  std::map<std::string, int64_t> left_out;  ///< by reason
};

/// Draws and writes one set into OUTPUT/NAME:
///   dataset-train.tfrecord-*, dataset_info.json, features.json    the records (i1/io/tfrecord.h)
///   metadata.jsonl    one JSON object a record, in the same order: image_name, captions, metadata
///   sheet.png         60 pictures of the set with one caption each beneath
/// The order is that of key_hash(name), so a prefix is a random sample. The folder is complete or
/// as it was before: it is made as NAME.partial and renamed. Throws UserError where more than a
/// tenth of the pictures had to be left out.
BuildReport write_set(const NanoSet& set, int size, const std::filesystem::path& output);

struct NanoBuild {
  std::filesystem::path output, sources;
  int size = 128;
  std::vector<std::string> sets;  ///< of kNanoSets; empty = all
};

/// The groups of sets that can be built alone; each brings its held-out and truth sets along.
inline const std::vector<std::string> kNanoSets = {"emoji",  "clipart", "stamps",
                                                   "shapes", "scenes",  "text"};

/// Builds and reports; progress on standard error. Throws UserError on an unknown set, a size that
/// is not a multiple of 16 in 32..512, or missing packages.
std::vector<BuildReport> build_nano(const NanoBuild& build);

}  // namespace i1
