// Arrow's way to tell what went wrong, in ours.
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include <string>
#include <utility>

#include "i1/core/error.h"

namespace i1 {

/// Throws Failure where Arrow could not read (network, disk), UserError for all else, on one line.
inline void check_arrow(const arrow::Status& status, const std::string& where) {
  if (status.ok()) return;
  std::string reason = status.message();
  reason.erase(std::min(reason.find('\n'), reason.size()));
  check_machine(!status.IsIOError(), where, ": ", reason);
  throw UserError(concat(where, ": ", reason));
}

template <class Value>
Value take_arrow(arrow::Result<Value> result, const std::string& where) {
  check_arrow(result.status(), where);
  return std::move(result).ValueUnsafe();
}

}  // namespace i1
