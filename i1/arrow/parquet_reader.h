// ParquetFile by Arrow.
#pragma once

#include <memory>
#include <string>

#include "i1/tables/arrow_library.h"

namespace i1 {

std::unique_ptr<ParquetFile> open_with_arrow(const std::string& address, const std::string& where,
                                             const ByteSource* bytes);

}  // namespace i1
