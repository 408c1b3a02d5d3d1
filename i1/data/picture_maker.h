// One raw picture with its captions to the examples of each set, or why it gives none.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "i1/data/record_builder.h"

namespace i1 {

/// The example of one picture in one set.
struct MadePicture {
  Example example;
  std::optional<RecordError> fault;  ///< why there is none
};

class PictureMaker {
 public:
  /// Both must outlive the maker.
  PictureMaker(const CaptionTable& captions, const RecordBuildOptions& options)
      : captions_(captions), options_(options) {}

  /// [picture][k]: for the set number resolutions[k]. All cores work; a picture is decoded once.
  std::vector<std::vector<MadePicture>> make(std::span<const SourcePicture> pictures,
                                             const std::vector<size_t>& resolutions) const;

 private:
  std::vector<MadePicture> make_one(const SourcePicture& picture,
                                    const std::vector<size_t>& resolutions) const;
  std::vector<MadePicture> try_one(const SourcePicture& picture,
                                   const std::vector<size_t>& resolutions) const;

  const CaptionTable& captions_;
  const RecordBuildOptions& options_;
};

/// A small JPEG of a picture, on the options' background, for a report, in base64; empty where it
/// does not decode, is too large to be decoded for that, or is a row of Parquet files, which go on
/// from row to row.
std::string small_copy(const SourcePicture& picture, const RecordBuildOptions& options);

}  // namespace i1
