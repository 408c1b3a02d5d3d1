#pragma once

#include <string>
#include <vector>

namespace i1 {

/// 64 prompts without a true answer, to look at: things that the data names, in other colours,
/// styles, places and company.
const std::vector<std::string>& nano_free_prompts();

}  // namespace i1
