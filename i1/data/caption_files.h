// The files of a captioning run: answers as they come (a journal, then a cache that later runs
// share), captions by key in files of 500, and all of them as the table that a data set is built
// from.
//
//   captions-K-of-N-00000.json    {KEY: CAPTION, ...}: the captions of 500 pictures in a row
//   captions-K-of-N.partial.jsonl the answers that are in no such file yet; gone when part K is
//   done cache.jsonl                   all other answers, of all parts failures-K-of-N.tsv key,
//   tab, reason: the pictures without a caption
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "i1/data/split.h"

namespace i1 {

constexpr int64_t kCaptionsPerFile = 500;

/// A caption and what it answers.
struct CaptionAnswer {
  std::string source;  ///< digest of where the picture lies and how it is asked about
  std::string id;      ///< digest of what is sent
  std::string caption;

  static void fields(auto& self, auto&& visit) {
    visit("source", self.source);
    visit("id", self.id);
    visit("caption", self.caption);
  }
};

/// All answers so far: those of the cache and of every part's journal, as they are when the object
/// is made. Lines that hold none, such as a last one cut off by a kill, are passed over.
class CaptionAnswers {
 public:
  /// Opens the journal of a part, for one process at a time. Throws UserError where another one
  /// holds it or the folder cannot be written, Failure where the machine fails.
  CaptionAnswers(const std::filesystem::path& folder, const WorkPart& part);
  ~CaptionAnswers();
  CaptionAnswers(const CaptionAnswers&) = delete;
  CaptionAnswers& operator=(const CaptionAnswers&) = delete;

  /// The caption, or null. Valid until the next `add`.
  const std::string* with_source(const std::string& source) const;
  const std::string* with_id(const std::string& id) const;

  /// Writes an answer to the journal; a process that is killed afterwards does not lose it.
  void add(const CaptionAnswer& answer);

  /// Moves what the journal holds to the cache.
  void settle();

  /// The part is done: settles and removes the journal.
  void finish();

 private:
  void read(const std::filesystem::path& path);
  void remember(const CaptionAnswer& answer);

  std::filesystem::path folder_, path_;
  int fd_ = -1;
  std::vector<std::string> captions_;
  std::unordered_map<std::string, size_t> by_source_, by_id_;
};

/// The files of captions of one part. A file appears once each of its pictures has a caption or
/// will have none.
class CaptionFiles {
 public:
  /// `keys`: those of the part, in order.
  CaptionFiles(std::filesystem::path folder, const WorkPart& part, std::vector<std::string> keys);

  /// Settles picture `index` of the part; true where that completed a file.
  bool set(int64_t index, const std::string& caption);
  bool skip(int64_t index);

  /// Removes files that are not complete yet, and those of a list that was longer: after the known
  /// captions are set, what lies in the folder is of this run.
  void remove_others() const;

 private:
  struct File {
    std::vector<std::pair<std::string, std::string>> captions;  // in order; an empty key has none
    int64_t num_open = 0;
  };
  bool close_one(File& file, int64_t number);
  std::filesystem::path path(int64_t number) const;

  std::filesystem::path folder_;
  WorkPart part_;
  std::vector<std::string> keys_;
  std::vector<File> files_;
};

/// Joins the files of captions of all parts in `folder`, in their order, to a JSON list of
/// {"key": KEY, COLUMN: CAPTION} at `output`. Returns the number of captions. Throws UserError
/// where a part is missing or not done, files are of several runs, damaged or hold a key twice.
int64_t merge_captions(const std::filesystem::path& folder, const std::string& column,
                       const std::filesystem::path& output);

/// Writes the list of failures of a part, or removes the one there where there are none.
void write_caption_failures(const std::filesystem::path& folder, const WorkPart& part,
                            const std::map<int64_t, std::pair<std::string, std::string>>& failures);

}  // namespace i1
