#include "i1/data/yfcc.h"

#include "i1/core/digest.h"

namespace i1 {
namespace {

constexpr const char* kRoot = "https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images/";
constexpr int64_t kRowsPerFolder = 10000;

}  // namespace

std::string yfcc_name(const std::string& download_url) {
  const std::string digest = md5_hex(download_url);
  std::string name;
  for (size_t i = 0; i < digest.size(); i += 2)
    name += digest[i] == '0' ? digest.substr(i + 1, 1) : digest.substr(i, 2);
  return name;
}

std::string yfcc_address(const std::string& download_url) {
  const std::string name = yfcc_name(download_url);
  return kRoot + name.substr(0, 3) + "/" + name.substr(3, 3) + "/" + name + ".jpg";
}

int64_t yfcc_shard(int64_t row, int64_t num_shards) { return row % num_shards; }

std::optional<std::string> yfcc_file(int64_t row, const std::string& photoid) {
  const char* blanks = " \t\r\n";
  const size_t begin = photoid.find_first_not_of(blanks);
  if (begin == std::string::npos) return std::nullopt;
  const size_t end = photoid.find_last_not_of(blanks) + 1;
  return std::to_string(row / kRowsPerFolder) + "/" + photoid.substr(begin, end - begin) + ".jpg";
}

}  // namespace i1
