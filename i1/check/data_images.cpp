#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>

#include <bit>
#include <charconv>

#include "i1/check/data_cases.h"
#include "i1/check/golden_files.h"
#include "i1/core/digest.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/data/transform.h"
#include "i1/vae/vae.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The corner of a centre crop.
std::vector<int> corner(ImageSize size, int resolution) {
  return {(size.width - resolution) / 2, (size.height - resolution) / 2};
}

void check_good_image(const DataGolden& golden, const json& item) {
  const std::string name = item.at("file");
  Image decoded;
  try {
    decoded = read_image(golden.beside(fs::path("inputs") / name));
  } catch (const UserError& error) {
    return golden.report.fail(golden.path.string(), name, "decoded", error.what());
  }
  golden.expect(name, "decoded", pixels_sha256(decoded),
                item.at("decoded_rgb_sha256").get<std::string>());
  if (item.contains("stored_size")) {
    golden.expect(name, "decoded size", std::vector<int>{decoded.width, decoded.height},
                  item.at("stored_size").get<std::vector<int>>());
  }
  std::vector<int> below;
  for (const auto& [size_name, output] : entries_of(item.at("outputs"), golden.path.string())) {
    const int resolution = std::stoi(size_name);
    const std::string stage = size_name + " px";
    const ImageSize size = resized_size(decoded.width, decoded.height, resolution);
    golden.expect(name, stage + " resized to", std::vector<int>{size.width, size.height},
                  output.at("resized_to").get<std::vector<int>>());
    golden.expect(name, stage + " crop at", corner(size, resolution),
                  output.at("crop_at").get<std::vector<int>>());
    const Image found = resize_and_crop(decoded, resolution);
    golden.expect(name, stage, pixels_sha256(found), output.at("sha256").get<std::string>());
    const fs::path picture =
        golden.beside(fs::path("expected") / (name + "." + size_name + ".png"));
    if (fs::exists(picture)) {
      const Image expected = read_image(picture);
      golden.report.exact(golden.path.string(), name, stage + " pixels",
                          num_different_bytes(found, expected));
    }
    if (std::min(decoded.width, decoded.height) < resolution) below.push_back(resolution);
  }
  std::vector<int> expected_below = item.value("shorter_edge_below", std::vector<int>{});
  std::sort(below.begin(), below.end());
  golden.expect(name, "shorter edge below", below, expected_below);
}

}  // namespace

void check_images(const DataGolden& golden) {
  for (const json& item : golden.cases) {
    if (item.at("ok").get<bool>()) {
      check_good_image(golden, item);
      continue;
    }
    const std::string name = item.at("file");
    std::string error;
    try {
      read_image(golden.beside(fs::path("inputs") / name));
    } catch (const UserError& failure) {
      error = failure.what();
    }
    golden.expect(name, "refused", !error.empty(), true);
  }
}

void check_sizes(const DataGolden& golden) {
  for (const json& row : golden.cases.at("rows")) {
    const auto v = row.get<std::vector<int>>();
    const ImageSize size = resized_size(v.at(0), v[1], v.at(2));
    const std::vector<int> crop_at = corner(size, v[2]);
    golden.expect(concat(v[0], "x", v[1], " to ", v[2]), "size, corner, below",
                  std::vector<int>{size.width, size.height, crop_at[0], crop_at[1],
                                   std::min(v[0], v[1]) < v[2]},
                  std::vector<int>(v.begin() + 3, v.end()));
  }
}

void check_value_range(const DataGolden& golden) {
  const auto expected = golden.cases.at("float32_bits_of_0_to_255").get<std::vector<std::string>>();
  const at::Tensor bytes =
      at::arange(static_cast<int64_t>(expected.size()), at::kByte).view({1, -1, 1, 1});
  const at::Tensor pixels = to_pixels(bytes.expand({1, -1, 1, 3})).select(1, 0).contiguous();
  std::vector<std::string> found;
  for (int64_t i = 0; i < pixels.numel(); ++i) {
    char text[12];
    std::snprintf(text, sizeof text, "%08x",
                  std::bit_cast<uint32_t>(pixels.const_data_ptr<float>()[i]));
    found.push_back(text);
  }
  golden.expect("bytes", "pixels", found, expected);
}

}  // namespace i1
