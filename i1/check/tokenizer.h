#pragma once

#include "i1/check/report.h"

namespace i1 {

/// Tokenizers: lists of texts and their ids (*.jsonl), with the tokenizer beside them (*.json and
/// *.model, gzipped or not).
extern const CheckFamily kCheckTokenizer;

}  // namespace i1
