#pragma once

#include "i1/check/report.h"

namespace i1 {

/// goldens/data: JSON files of cases, recognised by their keys; the files they speak of lie beside
/// them.
extern const CheckFamily kCheckData;

}  // namespace i1
