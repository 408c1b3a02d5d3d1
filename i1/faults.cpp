#include "i1/faults.h"

#include "i1/core/error.h"
#include "i1/model/weights.h"

namespace i1 {
namespace {

// What the user can do where every weight is a number.
std::string what_to_try(const std::string& part, const Request& request) {
  if (request.compute_dtype != "float32")
    return concat("all weights of the ", part, " are finite: try --dtype float32");
  return concat("all weights of the ", part,
                " are finite, but give values beyond float32: they are damaged, of another model, "
                "or go with a smaller --cfg-scale");
}

}  // namespace

std::string name_of(const Request& request) {
  return concat("prompt ", request.prompt_index, ", picture ", request.image_index);
}

FirstNotFinite first_used_weight_not_finite(const DualStream& model) {
  return first_weight_not_finite(
      model, [&](const std::string& key) { return is_unused(key, model.config); });
}

void throw_not_finite(const Request& request, const std::string& values,
                      const FirstNotFinite& stage, const std::string& part,
                      const FirstNotFinite& weight) {
  const std::string place = stage.is_found() ? concat(", first in stage ", stage.text()) : "";
  const std::string cause =
      weight.is_found() ? concat("the ", part, "'s tensor ", weight.text(),
                                 " is not finite: its file is damaged or its training diverged; "
                                 "get it again")
                        : what_to_try(part, request);
  throw UserError(concat(name_of(request), ": ", values, place, "; ", cause));
}

}  // namespace i1
