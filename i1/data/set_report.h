// A set for people to judge: report.html (counts, pictures, captions; one file that needs no
// other), report.json (the same numbers), sheet.png and left_out.png (some pictures side by side).
#pragma once

#include <filesystem>
#include <string>

#include "i1/data/merge.h"

namespace i1 {

/// Writes the four into the folder of the set, left_out.png only where something was left out.
void write_report(const MergedSet& set);

std::string report_json(const MergedSet& set);
std::string report_html(const MergedSet& set);

}  // namespace i1
