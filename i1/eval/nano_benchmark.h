// The benchmark of the bundled model: pictures are drawn from captions of the emoji sets and looked
// up among the true pictures of their style (retrieval.h). Three groups: captions seen in training;
// a style of a concept that was held out; a cell of person x gender x tone that was held out.
#pragma once

#include <filesystem>
#include <functional>
#include <map>

#include "i1/eval/retrieval.h"
#include "i1/io/image.h"

namespace i1 {

/// One true picture of the set `truth_emoji` that `i1 data build nano` writes.
struct TruthEntry {
  std::string style, concept_name, held_out;  ///< held_out: "", "style" or "grid"
  std::string caption;                        ///< names concept and style
  bool has_tone = false;
  Image picture;
};

std::vector<TruthEntry> read_truth(const std::filesystem::path& folder);

struct NanoScores {
  std::map<std::string, RetrievalScore> groups;  ///< "seen", "held-out style", "held-out grid"
  std::vector<std::pair<Image, std::string>>
      sheet;  ///< drawn and true pictures in turn, with captions
};

/// Draws a caption; called with all captions of a group at once, returns their pictures in order.
using DrawFunction = std::function<std::vector<Image>(const std::vector<std::string>& captions)>;

/// Scores `num_captions` of each group, the first in the order of the set, which is that of a hash.
/// Galleries: for "seen" and "held-out style" all pictures of the style without skin tone, for
/// "held-out grid" all with one.
NanoScores run_nano_benchmark(const std::vector<TruthEntry>& truth, size_t num_captions,
                              const DrawFunction& draw);

}  // namespace i1
