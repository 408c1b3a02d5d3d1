#include "i1/data/tar_set.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "i1/core/error.h"
#include "i1/core/files.h"
#include "i1/core/interrupt.h"
#include "i1/data/caption_rows.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxTextBytes = 16 << 20;

struct Member {
  std::string name;
  int64_t size = 0, offset = 0;  // of its bytes within the tar
};

// The members of a tar, one after the other.
class TarReader {
 public:
  explicit TarReader(const fs::path& path) : file_(path), where_(path.string()) {
    archive_read_support_format_tar(archive_.get());
    const std::span<const std::byte> bytes = file_.bytes();
    check(archive_read_open_memory(archive_.get(), bytes.data(), bytes.size()) == ARCHIVE_OK, {});
  }

  // The next regular file; false at the end.
  bool next(Member& member) {
    archive_entry* entry = nullptr;
    for (;;) {
      const int status = archive_read_next_header(archive_.get(), &entry);
      if (status == ARCHIVE_EOF) return false;
      check(status == ARCHIVE_OK || status == ARCHIVE_WARN, member);
      if (archive_entry_filetype(entry) == AE_IFREG) break;
    }
    member.name = archive_entry_pathname(entry);
    if (member.name.starts_with("./")) member.name.erase(0, 2);
    member.size = archive_entry_size(entry);
    member.offset = 0;
    if (member.size > 0) find_bytes(member);
    return true;
  }

  std::string_view bytes_of(const Member& member) const {
    const auto* all = reinterpret_cast<const char*>(file_.bytes().data());
    return {all + member.offset, static_cast<size_t>(member.size)};
  }

 private:
  void check(bool is_good, const Member& last) const {
    if (is_good) return;
    const char* reason = archive_error_string(archive_.get());
    throw UserError(concat(where_, ": no tar, compressed, damaged or cut off: ",
                           reason == nullptr ? "unknown format" : reason,
                           last.name.empty() ? "" : concat("; the last member is ", last.name)));
  }

  // Blocks that are handed out lie in the mapped file itself.
  void find_bytes(Member& member) {
    const void* block = nullptr;
    size_t size = 0;
    la_int64_t at = 0;
    check(archive_read_data_block(archive_.get(), &block, &size, &at) == ARCHIVE_OK && at == 0,
          member);
    const auto begin = reinterpret_cast<uintptr_t>(file_.bytes().data());
    const auto found = reinterpret_cast<uintptr_t>(block);
    const bool is_within =
        found >= begin && found - begin <= file_.bytes().size() &&
        static_cast<uint64_t>(member.size) <= file_.bytes().size() - (found - begin);
    check_user(is_within, where_, ": ", member.name,
               ": is sparse, or cut off; expected plain members");
    member.offset = static_cast<int64_t>(found - begin);
  }

  MappedFile file_;
  const std::string where_;
  std::unique_ptr<archive, decltype(&archive_read_free)> archive_{archive_read_new(),
                                                                  &archive_read_free};
};

// Name up to the first point behind the folders, and what follows it in lower case.
std::pair<std::string, std::string> split_name(const std::string& name) {
  const size_t slash = name.rfind('/');
  const size_t point = name.find('.', slash == std::string::npos ? 0 : slash + 1);
  if (point == std::string::npos) return {name, ""};
  std::string ending = name.substr(point + 1);
  for (char& letter : ending)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return {name.substr(0, point), ending};
}

bool is_picture(std::string_view ending) {
  return ending == "jpg" || ending == "jpeg" || ending == "png" || ending == "webp";
}

}  // namespace

void add_tar(const fs::path& path, TarSet& set) {
  TarReader reader(path);
  Member member;
  TableRow row;
  const auto end_row = [&] {
    if (row.size() > 1) set.captions.push_back(std::move(row));
  };
  while (reader.next(member)) {
    check_interrupt();
    const auto [key, ending] = split_name(member.name);
    if (row.is_null() || row["key"] != key) {
      end_row();
      row = {{"key", key}};
    }
    const bool is_text = member.size <= kMaxTextBytes && (ending == "txt" || ending == "json");
    if (is_picture(ending)) {
      const Span part{member.offset, member.offset + member.size};
      set.pictures.push_back({key, path, std::nullopt, part});
    } else if (is_picture(ending.substr(ending.rfind('.') + 1))) {
      if (set.num_unclear++ == 0) set.first_unclear = member.name;
    } else if (is_text && ending == "txt") {
      row[kCaptionColumn] = std::string(reader.bytes_of(member));
    } else if (is_text) {
      json fields = json::parse(reader.bytes_of(member), nullptr, /*allow_exceptions=*/false);
      if (!fields.is_object()) continue;  // the picture is then one without captions
      fields["key"] = key;
      row.update(fields);
    }
  }
  end_row();
}

std::vector<fs::path> find_tars(const fs::path& path) {
  if (!fs::is_directory(path)) {
    check_user(fs::exists(path), path.string(), ": no such file or folder; expected tar files");
    return {path};
  }
  std::vector<fs::path> tars;
  for (const auto& entry : fs::directory_iterator(path))
    if (entry.is_regular_file() && entry.path().extension() == ".tar") tars.push_back(entry.path());
  check_user(!tars.empty(), path.string(), ": no .tar file in this folder");
  std::sort(tars.begin(), tars.end());
  return tars;
}

TarSet list_tars(const std::vector<fs::path>& tars) {
  TarSet set;
  for (const fs::path& tar : tars) add_tar(tar, set);
  check_user(!set.pictures.empty(), tars.front().string(), tars.size() > 1 ? " and the others" : "",
             ": no picture inside (jpg, png, webp)");
  return set;
}

}  // namespace i1
