#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace i1 {

/// The entry of `candidates` with the smallest edit distance to `word`; empty where the list is
/// empty. For messages of the kind: unknown field "hiden_size"; nearest: "hidden_size".
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace i1
