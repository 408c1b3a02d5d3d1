// `i1 check`: runs golden cases and reports the largest error of each stage.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "i1/check/report.h"

namespace i1 {

/// Every family of goldens that this program knows.
const std::vector<const CheckFamily*>& check_families();

/// Runs all goldens at or below `path` on `device`. A family that claims a folder runs it whole;
/// what lies deeper is offered to the other families. Files that no case reads are left out by
/// name, but for documents (*.md, LICENSE). Throws UserError where nothing below `path` is a
/// golden, where a golden holds no case, and where one lacks what its family needs; before any case
/// is run where a .json or .safetensors file below `path` is damaged.
void check_path(const std::filesystem::path& path, const std::string& device, CheckReport& report);

}  // namespace i1
