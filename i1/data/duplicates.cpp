#include "i1/data/duplicates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <unordered_map>

#include "i1/core/base64.h"
#include "i1/core/digest.h"
#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/progress.h"
#include "i1/core/random.h"
#include "i1/data/parallel.h"
#include "i1/data/picture_sample.h"
#include "i1/data/transform.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kSide = 32, kWaves = 8;
constexpr int64_t kPicturesAtOnce = 256;
constexpr size_t kDigestDigits = 32;

// cos((2 x + 1) k pi / 64) for the first waves.
const std::array<std::array<double, kSide>, kWaves>& waves() {
  static const auto table = [] {
    std::array<std::array<double, kSide>, kWaves> values;
    for (int k = 0; k < kWaves; ++k)
      for (int x = 0; x < kSide; ++x)
        values[k][x] = std::cos((2 * x + 1) * k * std::numbers::pi / (2 * kSide));
    return values;
  }();
  return table;
}

std::string hex(uint64_t value) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%016lx", static_cast<unsigned long>(value));
  return digits;
}

std::string digest_of_keys(const std::vector<SourcePicture>& pictures) {
  uint64_t hash = fnv1a(std::to_string(pictures.size()));
  for (const SourcePicture& picture : pictures) hash = fnv1a("\n", fnv1a(picture.key, hash));
  return hex(hash);
}

fs::path hashes_path(const fs::path& folder, const WorkPart& part) {
  return folder / ("hashes-" + part.name() + ".jsonl");
}

PictureHash hash_of(const SourcePicture& picture) {
  PictureHash hash;
  try {
    const SourceBytes source(picture);
    const auto bytes = source.bytes();
    hash.digest = sha256_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    hash.digest.resize(kDigestDigits);
    const Image image = decode_image(bytes, picture.key, {.keep_alpha = true});
    hash.perceptual = perceptual_hash(image);
    hash.colours = colour_hash(image);
    hash.size = {image.width, image.height};
  } catch (const UserError&) {
  }
  return hash;
}

json json_of(const SourcePicture& picture, const PictureHash& hash) {
  return {{"key", picture.key},
          {"sha256", hash.digest},
          {"perceptual", hex(hash.perceptual)},
          {"colours", encode_base64({reinterpret_cast<const char*>(hash.colours.data()),
                                     hash.colours.size()})},
          {"size", {hash.size.width, hash.size.height}}};
}

PictureHash hash_in(const json& row) {
  PictureHash hash;
  hash.digest = row.at("sha256");
  hash.perceptual = std::stoull(row.at("perceptual").get<std::string>(), nullptr, /*base=*/16);
  const std::string colours = decode_base64(row.at("colours").get<std::string>());
  check_user(colours.size() == hash.colours.size(), "colours of ", colours.size(), " bytes");
  std::copy(colours.begin(), colours.end(), hash.colours.begin());
  hash.size = {row.at("size").at(0), row.at("size").at(1)};
  return hash;
}

std::string header_of(const std::vector<SourcePicture>& pictures) {
  return json{{"pictures", digest_of_keys(pictures)}}.dump();
}

// How many parts there are: those of the files in the folder.
int64_t count_parts(const fs::path& folder) {
  check_user(fs::is_directory(folder), folder.string(),
             ": no such folder; i1 data hash makes one of hashes");
  int64_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const size_t of = name.rfind("-of-");
    if (!name.starts_with("hashes-") || !name.ends_with(".jsonl") || of == std::string::npos)
      continue;
    const int64_t found = std::atoll(name.c_str() + of + 4);
    check_user(count == 0 || count == found, folder.string(), ": hashes in ", count,
               " parts and in ", found, "; remove those of one of the two runs");
    count = found;
  }
  check_user(count > 0, folder.string(), ": no hashes here; i1 data hash makes them");
  return count;
}

bool have_like_colours(const ColourHash& one, const ColourHash& other) {
  int sum = 0;
  for (size_t i = 0; i < one.size(); ++i) sum += std::abs(one[i] - other[i]);
  return sum <= DuplicateRule::kColourDistance * static_cast<int>(one.size());
}

Image on_grey(const Image& image, int side) {
  return resize_bilinear(composite(image, 128, 128, 128), side, side);
}

// Finds what differs in few bits: of four blocks of 16 bits one then differs in a quarter of them
// at most, so looking at the blocks that do finds every one.
class NearHashes {
 public:
  NearHashes(const std::vector<PictureHash>& hashes, int max_distance)
      : hashes_(hashes), max_distance_(max_distance) {
    for (uint32_t mask = 0; mask < kValues; ++mask)
      if (std::popcount(mask) <= max_distance / kBlocks) masks_.push_back(mask);
    for (auto& table : tables_) table.resize(kValues);
  }

  // The first that was added of those near enough and of like colours; -1: none.
  int64_t find(const PictureHash& picture) const {
    const uint64_t hash = picture.perceptual;
    int64_t first = -1;
    for (int block = 0; block < kBlocks; ++block) {
      for (const uint32_t mask : masks_) {
        for (const auto& [known, number] : tables_[block][value(hash, block) ^ mask]) {
          if ((first < 0 || number < first) && hash_distance(known, hash) <= max_distance_ &&
              have_like_colours(hashes_[static_cast<size_t>(number)].colours, picture.colours))
            first = number;
        }
      }
    }
    return first;
  }

  void add(int64_t number) {
    const uint64_t hash = hashes_[static_cast<size_t>(number)].perceptual;
    for (int block = 0; block < kBlocks; ++block)
      tables_[block][value(hash, block)].emplace_back(hash, number);
  }

 private:
  static constexpr int kBlocks = 4;
  static constexpr uint32_t kValues = 1 << 16;

  static uint32_t value(uint64_t hash, int block) { return hash >> (16 * block) & (kValues - 1); }

  const std::vector<PictureHash>& hashes_;
  const int max_distance_;
  std::vector<uint32_t> masks_;
  std::array<std::vector<std::vector<std::pair<uint64_t, int64_t>>>, kBlocks> tables_;
};

}  // namespace

uint64_t perceptual_hash(const Image& image) {
  const Image small = on_grey(image, kSide);
  std::array<double, kSide * kSide> grey;
  for (int i = 0; i < kSide * kSide; ++i) {
    const uint8_t* pixel = small.pixels.data() + 3 * i;
    grey[i] = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
  }
  std::array<double, kWaves * kWaves> strengths;
  for (int v = 0; v < kWaves; ++v) {
    for (int u = 0; u < kWaves; ++u) {
      double sum = 0;
      for (int y = 0; y < kSide; ++y)
        for (int x = 0; x < kSide; ++x) sum += grey[y * kSide + x] * waves()[u][x] * waves()[v][y];
      strengths[v * kWaves + u] = std::round(sum * 16) / 16;  // away from rounding's own noise
    }
  }
  std::array<double, kWaves * kWaves - 1> sorted;
  std::copy(strengths.begin() + 1, strengths.end(), sorted.begin());
  std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
  const double median = sorted[sorted.size() / 2];
  uint64_t hash = 0;
  for (size_t i = 1; i < strengths.size(); ++i)
    hash |= static_cast<uint64_t>(strengths[i] > median) << i;
  return hash;
}

ColourHash colour_hash(const Image& image) {
  const Image small = on_grey(image, 4);
  ColourHash colours;
  std::copy(small.pixels.begin(), small.pixels.end(), colours.begin());
  return colours;
}

int hash_distance(uint64_t one, uint64_t other) { return std::popcount(one ^ other); }

bool write_hashes(const std::vector<SourcePicture>& pictures, const WorkPart& part,
                  const fs::path& folder) {
  make_folder(folder);
  const fs::path path = hashes_path(folder, part);
  const std::string header = header_of(pictures);
  if (fs::exists(path) && read_file(path).starts_with(header + "\n")) return false;
  const auto num_pictures = static_cast<int64_t>(pictures.size());
  const Span range = even_part(num_pictures, part.index, part.count);
  AtomicFile file(path);
  file.write((header + "\n").data(), header.size() + 1);
  Progress progress("hashes", range.size(), "pictures");
  for (int64_t begin = range.begin; begin < range.end; begin += kPicturesAtOnce) {
    const int64_t end = std::min(begin + kPicturesAtOnce, range.end);
    std::vector<PictureHash> hashes(static_cast<size_t>(end - begin));
    for_each_in_parallel(hashes.size(), [&](size_t i) {
      hashes[i] = hash_of(pictures[static_cast<size_t>(begin) + i]);
    });
    std::string text;
    for (size_t i = 0; i < hashes.size(); ++i)
      text += json_of(pictures[static_cast<size_t>(begin) + i], hashes[i])
                  .dump(-1, ' ', false, json::error_handler_t::replace) +
              "\n";
    file.write(text.data(), text.size());
    progress.update(end - range.begin);
  }
  file.commit();
  return true;
}

std::vector<PictureHash> read_hashes(const std::vector<SourcePicture>& pictures,
                                     const fs::path& folder) {
  const int64_t num_parts = count_parts(folder);
  std::vector<PictureHash> hashes;
  for (WorkPart part{0, num_parts}; part.index < num_parts; ++part.index) {
    const fs::path path = hashes_path(folder, part);
    check_user(fs::exists(path), path.string(), " is missing; i1 data hash --shard ", part.index,
               "/", num_parts, " writes it");
    bool is_header = true;
    for_each_json_line(path, [&](const TableRow& row, const std::string& where) {
      try {
        if (!is_header) return hashes.push_back(hash_in(row));
        is_header = false;
        check_user(row.at("pictures") == digest_of_keys(pictures), path.string(),
                   ": hashes of other pictures; remove it and run i1 data hash again");
      } catch (const std::exception& error) {
        if (dynamic_cast<const UserError*>(&error) != nullptr) throw;
        throw UserError(where + ": no hash of a picture; remove the file and run i1 data hash");
      }
    });
  }
  check_user(hashes.size() == pictures.size(), folder.string(), ": ", hashes.size(), " hashes of ",
             pictures.size(), " pictures; remove them and run i1 data hash again");
  return hashes;
}

std::vector<int64_t> find_duplicates(const std::vector<PictureHash>& hashes,
                                     const std::vector<bool>& can_be_used,
                                     const DuplicateRule& rule) {
  std::vector<int64_t> original(hashes.size(), -1);
  std::unordered_map<std::string, int64_t> by_digest;
  NearHashes near(hashes, rule.max_distance);
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (!can_be_used[i]) continue;
    const auto number = static_cast<int64_t>(i);
    const auto [same, is_new] = by_digest.try_emplace(hashes[i].digest, number);
    if (!is_new) {
      original[i] = same->second;
    } else if (rule.is_similar) {
      original[i] = near.find(hashes[i]);
      if (original[i] < 0)
        near.add(number);
      else
        same->second = original[i];
    }
  }
  return original;
}

void mark_duplicates(std::vector<SourcePicture>& pictures, const std::vector<PictureHash>& hashes,
                     const CaptionTable& captions, const RecordBuildOptions& options,
                     const DuplicateRule& rule) {
  std::vector<bool> can_be_used(pictures.size());
  for (size_t i = 0; i < pictures.size(); ++i) {
    can_be_used[i] = pictures[i].fault == nullptr && hashes[i].size.width > 0 &&
                     size_fault(hashes[i].size, options) == nullptr &&
                     captions.find(pictures[i].key).has_value();
  }
  const std::vector<int64_t> original = find_duplicates(hashes, can_be_used, rule);
  for (size_t i = 0; i < pictures.size(); ++i) {
    if (original[i] < 0) continue;
    const SourcePicture& first = pictures[static_cast<size_t>(original[i])];
    pictures[i].fault =
        std::make_shared<const RecordError>(kDuplicate, concat(pictures[i].key, " of ", first.key));
  }
}

}  // namespace i1
