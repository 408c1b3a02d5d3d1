// A fixed random part of a TFRecord set, chosen by hash of each example's place, as TensorFlow
// chooses it: the same on every machine, and smaller fractions lie inside larger ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace i1 {

/// FarmHash's Fingerprint64.
uint64_t fingerprint64(std::string_view text);

/// Fingerprint64(id + "0") mod (2^31 - 1).
int64_t subset_bucket(std::string_view id);

/// "dataset-train.tfrecord-00000-of-00002__17": TFDS's name for record 17 of a file.
std::string example_id(std::string_view file_name, int64_t index);

/// Whether a subset keeps the example: its bucket lies below trunc((2^31 - 1) * fraction).
/// `fraction` is min(1, wanted / total).
bool is_in_subset(std::string_view id, double fraction);

}  // namespace i1
