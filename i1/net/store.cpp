#include "i1/net/store.h"

#include <algorithm>
#include <cstdlib>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/net/http.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHub = "https://huggingface.co";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Where the hub's files come from: the hub itself, or a mirror of the user's choice.
std::string hub() {
  std::string endpoint = variable("HF_ENDPOINT");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint.empty() ? kHub : endpoint;
}

std::string address_of(const ManifestItem& item, const std::string& path) {
  const std::string prefix = std::string(kHub) + "/";
  if (!item.address.starts_with(prefix)) return item.address + path;
  return hub() + "/" + item.address.substr(prefix.size()) + path;
}

std::string how_to_get_in(const ManifestItem& item, bool has_token) {
  if (!item.is_gated && !has_token) return "the file is not public, or no longer: see " + item.page;
  const std::string accept = "accept the conditions at " + item.page;
  if (has_token)
    return accept + " with the account whose token HF_TOKEN holds, or the token is not valid";
  return accept + ", make a token at " + kHub +
         "/settings/tokens and run the same command with HF_TOKEN=... before it";
}

// The shards of an index lie beside it.
std::string beside(const std::string& path, const std::string& name) {
  return (fs::path(path).parent_path() / name).string();
}

class Download {
 public:
  Download(const ManifestItem& item, const fs::path& folder, int num_retries,
           const std::function<void(const FileReport&)>& report)
      : item_(item), folder_(folder), report_(report) {
    options_.num_retries = num_retries;
    options_.token = variable("HF_TOKEN");
    std::erase_if(options_.token, [](char c) { return c <= ' '; });
    options_.token_origin = origin_of(hub());
    options_.how_to_get_in = how_to_get_in(item, !options_.token.empty());
  }

  void run() {
    make_folder(folder_);
    check_room();
    for (const ManifestFile& file : item_.files) {
      get(file.path, file.size, file.sha256);
      if (!file.has_shards) continue;
      for (const std::string& shard : shards_of(file, folder_ / file.path))
        get(beside(file.path, shard), -1, "");
    }
  }

 private:
  // Before the first byte, for all files whose sizes are known.
  void check_room() {
    int64_t num_bytes = 0;
    for (const ManifestFile& file : item_.files) {
      const fs::path path = folder_ / file.path, partial = path.string() + ".partial";
      if (file.size < 0 || fs::exists(path)) continue;
      num_bytes += file.size;
      if (fs::exists(partial))
        num_bytes -= std::min(file.size, static_cast<int64_t>(fs::file_size(partial)));
    }
    check_free_space(folder_, num_bytes);
  }

  void get(const std::string& path, int64_t size, const std::string& sha256) {
    const RemoteFile file{item_.name + "/" + path, address_of(item_, path), size, sha256};
    const fs::path target = folder_ / path;
    make_folder(target.parent_path());
    FileReport report{path, is_there(file, target), {}};
    if (report.was_there) {
      report.check = {static_cast<int64_t>(fs::file_size(target)), size >= 0, !sha256.empty()};
    } else {
      report.check = fetch_file(file, target, options_);
    }
    report_(report);
  }

  const ManifestItem& item_;
  const fs::path& folder_;
  const std::function<void(const FileReport&)>& report_;
  FetchOptions options_;
};

}  // namespace

fs::path usable_path(const ManifestItem& item, const fs::path& folder) {
  const bool is_single = item.files.size() == 1 && !item.files.front().has_shards;
  return is_single ? folder / item.files.front().path : folder;
}

std::string missing_file(const ManifestItem& item, const fs::path& folder) {
  for (const ManifestFile& file : item.files) {
    if (!is_there({"", "", file.size, ""}, folder / file.path)) return file.path;
    if (!file.has_shards) continue;
    for (const std::string& shard : shards_of(file, folder / file.path))
      if (!fs::exists(folder / beside(file.path, shard))) return beside(file.path, shard);
  }
  return "";
}

void download_item(const ManifestItem& item, const fs::path& folder, int num_retries,
                   const std::function<void(const FileReport&)>& report) {
  Download(item, folder, num_retries, report).run();
}

}  // namespace i1
