// A picture whose values stop being finite: what is told of it.
#pragma once

#include <string>

#include "i1/core/finite.h"
#include "i1/model/dual_stream.h"
#include "i1/request.h"

namespace i1 {

/// "prompt 2, picture 0": the numbers that also name a run's files.
std::string name_of(const Request& request);

/// The first weight of a backbone that a picture depends on and that is not finite.
FirstNotFinite first_used_weight_not_finite(const DualStream& model);

/// Throws UserError, one line: whose and which values, the first stage that has some and the first
/// weight of `part`, where they are found, and what to try.
[[noreturn]] void throw_not_finite(const Request& request, const std::string& values,
                                   const FirstNotFinite& stage, const std::string& part,
                                   const FirstNotFinite& weight);

}  // namespace i1
