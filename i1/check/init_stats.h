#pragma once

#include <filesystem>

#include "i1/check/report.h"

namespace i1 {

/// A JSON file {config, seeds, kinds: {key with * for block numbers: its statistics}} against as
/// many initialisations of ours: mean, standard deviation, bounds and quantiles of each kind,
/// within five standard errors of the difference of two such samples.
void check_init_stats(const std::filesystem::path& path, CheckReport& report);

}  // namespace i1
