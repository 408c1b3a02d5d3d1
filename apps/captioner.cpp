#include "apps/captioner.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <thread>

#include "i1/core/digest.h"
#include "i1/core/error.h"
#include "i1/core/interrupt.h"
#include "i1/core/progress.h"
#include "i1/core/utf8.h"
#include "i1/data/split.h"
#include "i1/data/transform.h"
#include "i1/io/image.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxUnreachable = 8;  // pictures in a row, before the endpoint counts as gone
constexpr int kQuality = 92;

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// What is asked and how, but for the picture.
std::string settings_of(const ChatQuestion& question) {
  return nlohmann::json{{"model", question.model},
                        {"prompt", question.prompt},
                        {"max_tokens", question.max_tokens},
                        {"temperature", question.temperature}}
      .dump();
}

class Captioner {
 public:
  explicit Captioner(const CaptionOptions& options)
      : options_(options),
        settings_(settings_of(options.question)),
        pictures_(list_part()),
        answers_(options.output, options.part),
        files_(options.output, options.part, keys_of_part()) {
    report_.num_pictures = static_cast<int64_t>(pictures_.size());
  }

  CaptionReport run() {
    settle_known();
    ask_open();
    write_caption_failures(options_.output, options_.part, failures_);
    answers_.finish();
    for (const auto& [index, failure] : failures_) ++report_.failed[reason_of(failure.second)];
    return report_;
  }

 private:
  // The part's pictures. Of several with one key the first is captioned: captions go by key.
  std::vector<SourcePicture> list_part() {
    std::vector<SourcePicture> all = list_folder(options_.pictures);
    std::set<std::string> keys;
    std::erase_if(all, [&](const SourcePicture& picture) {
      if (keys.insert(picture.key).second) return false;
      ++num_same_key_;
      return true;
    });
    const Span span =
        even_part(static_cast<int64_t>(all.size()), options_.part.index, options_.part.count);
    if (num_same_key_ > 0)
      std::fprintf(stderr, "%ld pictures have the key of another one, whose caption they share\n",
                   num_same_key_);
    return {std::make_move_iterator(all.begin() + span.begin),
            std::make_move_iterator(all.begin() + span.end)};
  }

  std::vector<std::string> keys_of_part() const {
    std::vector<std::string> keys;
    for (const SourcePicture& picture : pictures_) keys.push_back(picture.key);
    return keys;
  }

  // Tells a picture that was captioned before without opening it.
  std::string source_of(const SourcePicture& picture) const {
    std::error_code error;
    const auto size = fs::file_size(picture.path, error);
    const auto time = fs::last_write_time(picture.path, error);
    return sha256_hex(concat(settings_, "\n", options_.longest_edge, "\n", size, "\n",
                             time.time_since_epoch().count(), "\n",
                             fs::relative(picture.path, options_.pictures).string()));
  }

  void settle_known() {
    for (size_t i = 0; i < pictures_.size(); ++i) {
      check_interrupt();
      sources_.push_back(source_of(pictures_[i]));
      const auto index = static_cast<int64_t>(i);
      if (!is_utf8(pictures_[i].key)) {
        fail(index, "the file's name is not UTF-8");
      } else if (const std::string* caption = answers_.with_source(sources_[i])) {
        files_.set(index, *caption);
        ++report_.num_before;
      } else {
        open_.push_back(index);
      }
    }
    files_.remove_others();
  }

  void ask_open() {
    num_done_ = report_.num_pictures - static_cast<int64_t>(open_.size());
    Progress progress("captions", report_.num_pictures, "pictures", 30, num_done_);
    progress_ = &progress;
    {
      std::vector<std::jthread> workers;
      const auto num_workers =
          std::min<size_t>(open_.size(), static_cast<size_t>(options_.num_connections));
      for (size_t i = 0; i < num_workers; ++i) workers.emplace_back([this] { work(); });
    }
    if (is_interrupted())
      throw Interrupted(concat("interrupted; ", report_.num_before + num_new(),
                               " captions are kept in ", options_.output.string(),
                               ", and the same command goes on from there"));
    if (thrown_) std::rethrow_exception(thrown_);
  }

  int64_t num_new() const { return report_.num_asked + report_.num_cached; }

  void work() {
    try {
      for (size_t i = next_++; i < open_.size() && !stop_.stop_requested(); i = next_++)
        caption(open_[i]);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!thrown_) thrown_ = std::current_exception();
      stop_.request_stop();
      freed_.notify_all();
    }
  }

  void caption(int64_t index) {
    ChatQuestion question = options_.question;
    try {
      const SourcePicture& picture = pictures_[static_cast<size_t>(index)];
      const std::string bytes = read_source(picture);
      question.jpeg = encode_jpeg(
          fit_within(decode_image(std::as_bytes(std::span(bytes)), picture.path.string()),
                     options_.longest_edge),
          kQuality);
    } catch (const UserError& error) {
      const std::lock_guard lock(mutex_);
      return done_with(index, "the picture cannot be read: " + std::string(error.what()));
    }
    const std::string id = sha256_hex(settings_ + "\n" + question.jpeg);
    if (!claim(index, id)) return;
    const Claim claim(*this, id);
    const ChatAnswer answer = ask(options_.endpoint, question, stop_.get_token());
    const std::lock_guard lock(mutex_);
    take(index, id, answer);
  }

  // True: nobody has asked about this picture, and nobody else will until the claim is freed.
  bool claim(int64_t index, const std::string& id) {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return stop_.stop_requested() || !in_flight_.contains(id); });
    if (stop_.stop_requested()) return false;
    if (const std::string* found = answers_.with_id(id)) {
      const std::string caption = *found;
      ++report_.num_cached;
      answers_.add({sources_[static_cast<size_t>(index)], id, caption});
      settle(index, caption);
      return false;
    }
    in_flight_.insert(id);
    return true;
  }

  struct Claim {
    Claim(Captioner& captioner, const std::string& id) : captioner(captioner), id(id) {}
    ~Claim() {
      const std::lock_guard lock(captioner.mutex_);
      captioner.in_flight_.erase(id);
      captioner.freed_.notify_all();
    }
    Captioner& captioner;
    const std::string& id;
  };

  // From here on with the lock held.
  void take(int64_t index, const std::string& id, const ChatAnswer& answer) {
    if (answer.problem.empty()) {
      num_unreachable_ = 0;
      ++report_.num_asked;
      answers_.add({sources_[static_cast<size_t>(index)], id, answer.text});
      return settle(index, answer.text);
    }
    if (answer.is_unreachable && stop_.stop_requested()) return;  // given up for another's sake
    num_unreachable_ = answer.is_unreachable ? num_unreachable_ + 1 : 0;
    const std::string reason = answer.problem + (answer.detail.empty() ? "" : ": " + answer.detail);
    check_machine(num_unreachable_ < kMaxUnreachable, options_.endpoint.address, ": ", reason,
                  "; given up after ", kMaxUnreachable, " pictures in a row; ",
                  report_.num_before + num_new(), " captions are kept in ",
                  options_.output.string(), ", and the same command goes on from there");
    done_with(index, reason);
  }

  void settle(int64_t index, const std::string& caption) {
    if (files_.set(index, caption)) answers_.settle();
    progress_->update(++num_done_);
  }

  void done_with(int64_t index, const std::string& reason) {
    if (fail(index, reason)) answers_.settle();
    progress_->update(++num_done_);
  }

  bool fail(int64_t index, const std::string& reason) {
    failures_[index] = {pictures_[static_cast<size_t>(index)].key, reason};
    return files_.skip(index);
  }

  // What failures are counted by: the part that does not depend on the picture.
  static std::string reason_of(const std::string& reason) {
    return reason.substr(0, reason.find(": "));
  }

  const CaptionOptions& options_;
  const std::string settings_;
  int64_t num_same_key_ = 0;
  std::vector<SourcePicture> pictures_;
  std::vector<std::string> sources_;
  CaptionAnswers answers_;
  CaptionFiles files_;
  std::vector<int64_t> open_;  // pictures to ask about
  std::atomic<size_t> next_ = 0;
  std::stop_source stop_;

  std::mutex mutex_;  // of all below, and of answers_ and files_ while workers are at work
  std::condition_variable freed_;
  std::set<std::string> in_flight_;
  std::map<int64_t, std::pair<std::string, std::string>> failures_;
  CaptionReport report_;
  Progress* progress_ = nullptr;
  int64_t num_done_ = 0;
  int num_unreachable_ = 0;
  std::exception_ptr thrown_;
};

}  // namespace

CaptionReport caption_pictures(const CaptionOptions& options) { return Captioner(options).run(); }

}  // namespace i1
