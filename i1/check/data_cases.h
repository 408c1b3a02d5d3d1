// What the checks of goldens/data share. Each takes one JSON file of cases.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "i1/check/report.h"
#include "i1/io/image.h"

namespace i1 {

struct DataGolden {
  std::filesystem::path path;
  nlohmann::json cases;
  CheckReport& report;

  std::filesystem::path folder() const { return path.parent_path(); }

  /// A number of parts, such as shards or processes.
  int64_t num_parts(const nlohmann::json& item, const char* key) const;

  /// A file, or a folder with all that it holds, beside the cases, which one of them reads.
  std::filesystem::path beside(const std::filesystem::path& name) const {
    report.use(folder() / name);
    return folder() / name;
  }

  /// One exact value: passes where `found` equals `expected`, else names both.
  template <class T>
  void expect(const std::string& case_name, const std::string& stage, const T& found,
              const T& expected) const {
    report.exact(
        path.string(), case_name, stage, found == expected ? 0 : 1,
        found == expected ? "" : mismatch(nlohmann::json(found), nlohmann::json(expected)));
  }

 private:
  static std::string mismatch(const nlohmann::json& found, const nlohmann::json& expected);
};

/// Of the pixels, rows top to bottom.
std::string pixels_sha256(const Image& image);

/// The names of bytes that differ between two pictures of one size: how many.
int64_t num_different_bytes(const Image& found, const Image& expected);

// data_images.cpp
void check_images(const DataGolden& golden);
void check_sizes(const DataGolden& golden);
void check_value_range(const DataGolden& golden);
// data_records.cpp
void check_record_content(const DataGolden& golden);
void check_damaged_records(const DataGolden& golden);
void check_even_splits(const DataGolden& golden);
void check_mixing(const DataGolden& golden);
void check_subset(const DataGolden& golden);
// data_build.cpp
void check_folder_cases(const DataGolden& golden);
void check_table_cases(const DataGolden& golden);
void check_build_rules(const DataGolden& golden);
void check_yfcc(const DataGolden& golden);

}  // namespace i1
