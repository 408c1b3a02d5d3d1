// The model of a command line: bundled, downloaded, a folder, or a backbone and its parts.
#pragma once

#include <CLI/CLI.hpp>

#include "i1/bundle.h"
#include "i1/request.h"

namespace i1 {

/// --model, --text-encoder and --vae, into `request`.
void add_model_options(CLI::App& app, Request& request);

/// The model they name. Throws UserError where a part is missing (and says what fetches it) or the
/// parts do not fit one another.
Bundle load_model(const Request& request, at::Device device, Precision precision);

}  // namespace i1
