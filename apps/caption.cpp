// i1 data caption: pictures to captions by a vision model, and captions to the table that
// `i1 data build folder` reads.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "apps/captioner.h"
#include "apps/commands.h"
#include "apps/options.h"
#include "i1/core/files.h"
#include "i1/core/utf8.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrompt = "Describe the image in detail using one paragraph.";  // i1's own

struct Options {
  CaptionOptions caption;
  fs::path prompt_file, merge;
  std::string column = "caption", part = "0/1", key_name = "OPENAI_API_KEY";
};

void add_options(CLI::App& app, Options& options) {
  CaptionOptions& caption = options.caption;
  ChatQuestion& question = caption.question;
  question.prompt = kPrompt;
  app.add_option("--pictures", caption.pictures, "folder of pictures, read recursively");
  app.add_option("--output", caption.output, "folder for the captions; with --merge: a JSON file")
      ->required();
  app.add_option("--endpoint", caption.endpoint.address,
                 "OpenAI-compatible address, such as http://localhost:8000/v1");
  app.add_option("--model", question.model, "the endpoint's name of a model that sees");
  auto* prompt = app.add_option("--prompt", question.prompt, "what is asked about each picture")
                     ->capture_default_str();
  app.add_option("--prompt-file", options.prompt_file, "the same from a file")->excludes(prompt);
  app.add_option("--size", caption.longest_edge,
                 "longest edge in pixels of what is sent; small pictures are not enlarged")
      ->check(whole_number(16, 8192))
      ->capture_default_str();
  app.add_option("--max-tokens", question.max_tokens, "of a caption; one cut off there is none")
      ->check(whole_number(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--temperature", question.temperature, "0: the likeliest words")
      ->check(real_number(0, 2))
      ->capture_default_str();
  app.add_option("--connections", caption.num_connections, "pictures asked about at a time")
      ->check(whole_number(1, 1024))
      ->capture_default_str();
  app.add_option("--retries", caption.endpoint.num_retries, "of a picture, at a busy endpoint")
      ->check(whole_number(0, 1000))
      ->capture_default_str();
  app.add_option("--timeout", caption.endpoint.silent_seconds, "seconds without a byte of answer")
      ->check(whole_number(1, 86'400))
      ->capture_default_str();
  app.add_option("--shard", options.part, "part K/N of the pictures, for N processes; K from 0")
      ->capture_default_str();
  app.add_option("--api-key-env", options.key_name, "environment variable that holds the key")
      ->capture_default_str();
  app.add_option("--merge", options.merge,
                 "join the captions of all parts in this folder to one table at --output");
  app.add_option("--column", options.column, "the captions' name in that table")
      ->capture_default_str();
}

void check_text(const char* flag, const std::string& text) {
  check_user(text.find_first_not_of(" \t\r\n") != std::string::npos, flag,
             " is missing or empty; i1 data caption --help");
  for (std::string_view rest = text; !rest.empty();) {
    const size_t length = utf8_length(rest);
    check_user(length > 0, flag, ": expected UTF-8");
    rest.remove_prefix(length);
  }
}

// The key never gets into a message: not even where it cannot be one.
std::string key_of(const std::string& name, std::string& how_to_get_in) {
  const char* value = std::getenv(name.c_str());
  const std::string key = value == nullptr ? "" : value;
  const bool is_header =
      std::all_of(key.begin(), key.end(), [](unsigned char c) { return c > ' ' && c < 127; });
  check_user(is_header, "$", name,
             ": expected a key of visible ASCII characters, without spaces and line ends");
  how_to_get_in = key.empty() ? concat("put the key into the environment variable ", name,
                                       ", or name the one that holds it by --api-key-env")
                              : concat("the key in $", name, " is not accepted there");
  return key;
}

void complete(Options& options) {
  CaptionOptions& caption = options.caption;
  std::string& address = caption.endpoint.address;
  if (!options.prompt_file.empty()) caption.question.prompt = read_file(options.prompt_file);
  check_text("--pictures", caption.pictures.string());
  check_text("--endpoint", address);
  check_text("--model", caption.question.model);
  check_text("--prompt", caption.question.prompt);
  while (address.ends_with('/')) address.pop_back();
  caption.part = parse_work_part(options.part);
  caption.endpoint.key = key_of(options.key_name, caption.endpoint.how_to_get_in);
}

int print(const CaptionOptions& options, const CaptionReport& report) {
  const int64_t num_captions = report.num_before + report.num_cached + report.num_asked;
  std::printf("%s: %ld of %ld pictures captioned: %ld asked, %ld from the cache, %ld before\n",
              options.output.c_str(), num_captions, report.num_pictures, report.num_asked,
              report.num_cached, report.num_before);
  for (const auto& [reason, count] : report.failed)
    std::printf("    failed   %7ld  %s\n", count, reason.c_str());
  if (report.failed.empty()) return 0;
  std::printf("    listed in %s; the same command asks about them again\n",
              (options.output / ("failures-" + options.part.name() + ".tsv")).c_str());
  return num_captions > 0 ? 0 : 1;
}

}  // namespace

int run_data_caption(int argc, char** argv) {
  CLI::App app(
      "Captions pictures by an OpenAI-compatible vision endpoint: several at a time, each asked "
      "about once, whatever interrupts.");
  Options options;
  add_options(app, options);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  if (!options.merge.empty()) {
    check_text("--column", options.column);
    check_user(options.column != "key", "--column key: the name of the pictures' own column");
    const fs::path& table = options.caption.output;
    const int64_t count = merge_captions(options.merge, options.column, table);
    std::printf("%s: %ld captions\n", table.c_str(), count);
    return 0;
  }
  complete(options);
  return print(options.caption, caption_pictures(options.caption));
}

}  // namespace i1
