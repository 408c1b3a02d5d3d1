// How the cases read a golden's files. What is read is noted in the report, so that every file that
// no case reads can be named; what cannot be read is the user's mistake.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "i1/check/report.h"
#include "i1/io/stored_tensor.h"

namespace i1 {

/// Throws UserError (file, place, what a whole one would have there) where it is damaged.
nlohmann::json read_json(const std::filesystem::path& path, CheckReport& report);
TensorMap read_golden(const std::filesystem::path& path, CheckReport& report);

/// The entries of an object by key, such as one a case. Throws UserError where it is none.
std::map<std::string, nlohmann::json> entries_of(const nlohmann::json& value,
                                                 const std::string& where);

/// A whole number that a golden gives. Throws UserError where it is none from `least` to `most`:
/// beyond, a case would divide by zero or never end.
int64_t count_of(const nlohmann::json& entry, const char* key, int64_t least, int64_t most,
                 const std::string& where);

/// Throws UserError where `tensors` of the file `where` have none of that name.
const at::Tensor& take(const TensorMap& tensors, const std::string& key, const std::string& where);

/// Throws UserError where a .json or .safetensors file is damaged; others pass.
void check_whole(const std::filesystem::path& path);

// For `matches`: what kind of file this is. Nothing is thrown.

/// What a .json file holds; null for others, damaged ones and those of more than 8 MiB.
nlohmann::json peek_json(const std::filesystem::path& path);

/// Whether an object has all of these keys; of a list, its first entry.
bool has_keys(const nlohmann::json& value, const std::vector<const char*>& keys);

/// The header of a .safetensors file; empty for others and damaged ones.
struct TensorNames {
  std::vector<std::string> names;  ///< sorted
  Metadata metadata;

  bool has(const std::string& name) const;
};
TensorNames peek_tensors(const std::filesystem::path& path);

}  // namespace i1
