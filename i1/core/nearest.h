#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace i1 {

/// For messages of the kind: unknown field "hiden_size"; nearest: "hidden_size". Looked for where
/// it is printed, so a check that passes does not pay for it: among the keys of a large model that
/// takes seconds. Refers to its arguments; not to be kept.
struct Nearest {
  std::string_view word;
  const std::vector<std::string>& candidates;

  /// The candidate with the smallest edit distance to `word`; empty where there are none.
  std::string find() const;
};

inline std::ostream& operator<<(std::ostream& out, const Nearest& nearest) {
  return out << nearest.find();
}

inline Nearest nearest(std::string_view word, const std::vector<std::string>& candidates) {
  return {word, candidates};
}

}  // namespace i1
