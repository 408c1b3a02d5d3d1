// YFCC100M pictures on S3: where each lies, and where the downloader puts it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace i1 {

/// The name of a picture: MD5 of its download URL, each of the 16 bytes in hexadecimal *without* a
/// leading zero, so 16 to 32 characters.
std::string yfcc_name(const std::string& download_url);

/// https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images/d66/b80/d66b80....jpg
std::string yfcc_address(const std::string& download_url);

/// Row r of the table goes to shard r mod num_shards.
int64_t yfcc_shard(int64_t row, int64_t num_shards);

/// "<row / 10000>/<photoid>.jpg", blanks around the id cut off; nothing where no id is left.
std::optional<std::string> yfcc_file(int64_t row, const std::string& photoid);

}  // namespace i1
