// Pictures that a source holds more than once: the same file again, or the same picture scaled,
// recompressed or a little cropped. Hashes are taken in parts, by as many workers as there are;
// which pictures to leave out then follows from all of them, on every machine alike.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "i1/data/record_builder.h"
#include "i1/data/sources.h"
#include "i1/io/image.h"

namespace i1 {

/// 64 bits that change little where a picture does: grey, 32 x 32 pixels, cosine transform; the 8 x
/// 8 slowest waves without the constant one, each above or below their median (known as pHash).
/// Transparency lies over mid-grey. Two pictures that have nothing in common differ in about 32.
uint64_t perceptual_hash(const Image& image);

/// Mean colours of 4 x 4 parts, RGB: what tells a blue button from a red one, which waves of grey
/// do not.
using ColourHash = std::array<uint8_t, 48>;
ColourHash colour_hash(const Image& image);

/// Bits that differ.
int hash_distance(uint64_t one, uint64_t other);

/// What is kept of a picture.
struct PictureHash {
  std::string digest;  ///< of its file: 32 hexadecimal digits of SHA-256; empty: unreadable
  uint64_t perceptual = 0;
  ColourHash colours = {};
  ImageSize size;  ///< 0 x 0: does not decode
};

/// Hashes part K of N of the pictures into `folder`/hashes-K-of-N.jsonl; all cores work. Returns
/// false where that file was there already, made of the same pictures.
bool write_hashes(const std::vector<SourcePicture>& pictures, const WorkPart& part,
                  const std::filesystem::path& folder);

/// Those of all pictures, in their order. Throws UserError where a part is missing, parts are of
/// several runs, or they were made of other pictures.
std::vector<PictureHash> read_hashes(const std::vector<SourcePicture>& pictures,
                                     const std::filesystem::path& folder);

/// How duplicates are told. The default distance is measured: docs/data.md.
struct DuplicateRule {
  bool is_similar = false;  ///< false: the same bytes alone
  int max_distance = kDefaultDistance;

  static constexpr int kDefaultDistance = 6, kLargestDistance = 11;
  static constexpr int kColourDistance = 6;  ///< of 255, on average, whatever max_distance is
};

/// For each picture the earlier one that it is a copy of, and -1 for those to be kept. Only
/// pictures with `can_be_used` count: the first of them is kept, and what is like it is not.
std::vector<int64_t> find_duplicates(const std::vector<PictureHash>& hashes,
                                     const std::vector<bool>& can_be_used,
                                     const DuplicateRule& rule);

/// Gives duplicates their fault, of pictures that have captions, decode and pass the size filters.
void mark_duplicates(std::vector<SourcePicture>& pictures, const std::vector<PictureHash>& hashes,
                     const CaptionTable& captions, const RecordBuildOptions& options,
                     const DuplicateRule& rule);

}  // namespace i1
