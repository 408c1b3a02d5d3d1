// Matrices stored as int8 with one float32 scale a row: a quarter of the bytes, for bundled models.
#pragma once

#include <string>
#include <utility>

#include "i1/io/safetensors.h"

namespace i1 {

/// What the name of a matrix's scales adds to its own.
inline const std::string kScaleSuffix = ".row_scale";

/// Symmetric int8 a row: weight ~ values * scale. weight: (out, ...) float32 -> values int8 of the
/// same shape, scale (out) float32, bit by bit those of quantize_to_int8 (kernels/int8_linear.h).
std::pair<at::Tensor, at::Tensor> quantize_rows(const at::Tensor& weight);

/// Stores `weight` in `tensors` as `key` (int8) and `key` + kScaleSuffix.
void put_quantized(TensorMap& tensors, const std::string& key, const at::Tensor& weight);

/// Replaces every pair that put_quantized wrote by its float32 product. Throws UserError (naming
/// `where`) for a scale without its matrix, or of another length.
void restore_quantized(TensorMap& tensors, const std::string& where);

/// The same without reading a value before it is asked for. Returns the pairs as they are stored.
StoredTensors restore_quantized(StoredTensors& tensors, const std::string& where);

/// `weight` as put_quantized stores it, quantised when it is read.
void put_quantized(StoredTensors& tensors, const std::string& key, const StoredTensor& weight);

}  // namespace i1
