// i1 download NAME...: published weights into a folder of models. Parses, calls, reports.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/commands.h"
#include "apps/options.h"
#include "i1/core/files.h"
#include "i1/core/models_folder.h"
#include "i1/net/store.h"
#include "i1/request.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxRetries = 1000;

struct Options {
  std::vector<std::string> names;
  fs::path to, manifest;
  int num_retries = 5;
  bool is_list = false, as_json = false;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("NAME", options.names, "what to fetch; without a name: the list");
  app.add_option("--to", options.to,
                 "folder of models, each in a folder of its name below; default: $I1_MODELS, or "
                 "i1 in $XDG_CACHE_HOME or ~/.cache");
  app.add_flag("--list", options.is_list, "print what there is to fetch");
  app.add_flag("--json", options.as_json, "the list as JSON, in the form of --manifest");
  app.add_option("--manifest", options.manifest,
                 "a list of your own, for mirrors or other models: JSON as --list --json prints");
  app.add_option("--retries", options.num_retries, "tries in a row after one that brought nothing")
      ->check(whole_number(0, kMaxRetries))
      ->capture_default_str();
  app.footer(
      "The environment: HF_TOKEN, for gated files, shown to huggingface.co alone; HF_ENDPOINT,\n"
      "a mirror of it, which is then asked and shown the token in its place; https_proxy.");
}

std::string megabytes(int64_t num_bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(num_bytes) / 1e6);
  return text;
}

void print_list(const Manifest& manifest, const fs::path& root) {
  bool has_gated = false;
  for (const ManifestItem& item : manifest) {
    bool is_all = true;
    const int64_t num_bytes = known_bytes(item, is_all);
    const std::string size = num_bytes == 0 ? "?" : megabytes(num_bytes);
    const bool is_here = missing_file(item, root / item.name).empty();
    std::printf("%-15s %9s %s %-5s %s (%s; %s)\n", item.name.c_str(), size.c_str(),
                item.is_gated ? "gated" : "     ", is_here ? "here" : "", item.what.c_str(),
                item.licence.c_str(), item.page.c_str());
    has_gated = has_gated || item.is_gated;
  }
  std::printf("\nfolder: %s; ?: the size is known when the server answers\n", root.c_str());
  if (has_gated)
    std::printf(
        "gated: accept the conditions at the page, then HF_TOKEN=... i1 download NAME, with a "
        "token of that account\n");
}

void print_report(const ManifestItem& item, const FileReport& report) {
  const FileCheck& check = report.check;
  const char* checked = check.is_hash_known   ? "size and SHA-256 are right"
                        : check.is_size_known ? "size is right, SHA-256 is not known"
                                              : "neither size nor SHA-256 is known";
  std::fprintf(stderr, "%s/%s: %s%s, %s\n", item.name.c_str(), report.path.c_str(),
               report.was_there ? "already here, not fetched: " : "", megabytes(check.size).c_str(),
               checked);
}

// The item of a part that a picture would take: of those asked for, else one that is there.
const ManifestItem* choose(const Manifest& manifest, const Options& options, const fs::path& root,
                           const std::string& part) {
  for (const std::string& name : options.names) {
    const ManifestItem& item = find_item(manifest, name);
    if (item.part == part) return &item;
  }
  for (const ManifestItem& item : manifest)
    if (item.part == part && missing_file(item, root / item.name).empty()) return &item;
  return nullptr;
}

void print_use(const Manifest& manifest, const Options& options, const fs::path& root) {
  std::string command = "i1 generate 'a red fox in the snow'", lacking;
  for (const auto& [part, flag] :
       {std::pair("model", "--model"), {"text_encoder", "--text-encoder"}, {"vae", "--vae"}}) {
    const ManifestItem* item = choose(manifest, options, root, part);
    if (item != nullptr) {
      command += concat(" ", flag, " ", shell_quoted(usable_path(*item, root / item->name)));
      continue;
    }
    if (flag == std::string("--vae")) continue;  // the bundled TAEF2 decodes
    for (const ManifestItem& other : manifest) {
      if (other.part != part) continue;
      lacking += " " + other.name;
      command += concat(" ", flag, " ", shell_quoted(usable_path(other, root / other.name)));
      break;
    }
  }
  std::printf("\n%s\n", command.c_str());
  if (!lacking.empty())
    std::fprintf(stderr, "not here yet, and needed for it: i1 download%s\n", lacking.c_str());
}

}  // namespace

int run_download(int argc, char** argv) {
  CLI::App app(
      "Fetches published weights: resumed where it broke off, verified, complete or not there.");
  Options options;
  add_options(app, options);
  if (const int status = parse(app, argc, argv); status >= 0) return status;
  const Manifest manifest = options.manifest.empty() ? official_manifest()
                                                     : parse_manifest(read_file(options.manifest),
                                                                      options.manifest.string());
  if (options.as_json) {
    std::printf("%s", manifest_text(manifest).c_str());
    return 0;
  }
  const fs::path root = options.to.empty() ? models_folder() : options.to;
  for (const std::string& name : options.names) find_item(manifest, name);
  if (options.is_list || options.names.empty()) {
    print_list(manifest, root);
    return 0;
  }
  bool is_usable = false;
  for (const std::string& name : options.names) {
    const ManifestItem& item = find_item(manifest, name);
    const fs::path folder = root / item.name;
    std::fprintf(stderr, "%s: %s (%s; %s)\n", item.name.c_str(), item.what.c_str(),
                 item.licence.c_str(), item.page.c_str());
    download_item(item, folder, options.num_retries,
                  [&](const FileReport& report) { print_report(item, report); });
    std::printf("%s\n", usable_path(item, folder).c_str());
    is_usable = is_usable || item.part != "other";
  }
  if (is_usable) print_use(manifest, options, root);
  return 0;
}

}  // namespace i1
