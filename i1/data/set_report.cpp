#include "i1/data/set_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "i1/core/base64.h"
#include "i1/core/files.h"
#include "i1/data/nano_sheet.h"
#include "i1/data/record_builder.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr size_t kMostOfOneKind = 60, kMostOfAReason = 20, kTopWords = 100;
constexpr int kSheetColumns = 10, kSide = 128;
constexpr size_t kBars = 24;

struct Totals {
  int64_t num_records = 0, num_captions = 0, num_pictures = 0, num_file_bytes = 0;
  BadRecords left_out;
};

// Every shard of a build repeats what was left out before there were shards.
Totals totals_of(const MergedSet& set) {
  Totals totals;
  std::string build;
  for (const ShardSidecar& shard : set.shards) {
    totals.num_records += shard.num_records;
    totals.num_captions += shard.num_captions;
    totals.num_pictures += shard.num_pictures;
    totals.num_file_bytes += shard.num_file_bytes;
    totals.left_out.add(shard.left_out);
    if (shard.pictures == build) continue;
    build = shard.pictures;
    totals.left_out.add(shard.left_out_before);
    totals.num_pictures += shard.left_out_before.total();
  }
  return totals;
}

std::vector<const ShownExample*> evenly(const std::vector<const ShownExample*>& all, size_t count) {
  if (all.size() <= count) return all;
  std::vector<const ShownExample*> some;
  for (size_t i = 0; i < count; ++i) some.push_back(all[i * all.size() / count]);
  return some;
}

std::vector<const ShownExample*> accepted(const MergedSet& set) {
  std::vector<const ShownExample*> all;
  for (const ShownExample& shown : set.shown)
    if (shown.picture.record >= 0) all.push_back(&shown);
  return evenly(all, kMostOfOneKind);
}

// Some of each reason.
std::vector<const ShownExample*> rejected(const MergedSet& set) {
  std::map<std::string, std::vector<const ShownExample*>> by_reason;
  for (const ShownExample& shown : set.shown)
    if (shown.picture.record < 0) by_reason[shown.picture.reason].push_back(&shown);
  std::vector<const ShownExample*> some;
  for (const auto& [reason, all] : by_reason) {
    const auto of_this = evenly(all, kMostOfAReason);
    some.insert(some.end(), of_this.begin(), of_this.end());
  }
  return some;
}

ordered_json lengths_json(const std::map<int64_t, int64_t>& lengths) {
  ordered_json histogram = ordered_json::object();
  for (const auto& [length, count] : lengths) histogram[std::to_string(length)] = count;
  return {{"median", quantile(lengths, 0.5)},
          {"p90", quantile(lengths, 0.9)},
          {"max", quantile(lengths, 1)},
          {"histogram", histogram}};
}

ordered_json captions_json(const CaptionStatistics& captions) {
  ordered_json object = {{"captions", captions.num_captions},
                         {"words", captions.num_words},
                         {"characters", captions.num_characters},
                         {"vocabulary", captions.vocabulary.size()},
                         {"scripts", captions.by_script},
                         {"words_a_caption", lengths_json(captions.by_words)}};
  if (!captions.by_tokens.empty()) object["tokens_a_caption"] = lengths_json(captions.by_tokens);
  ordered_json words = ordered_json::object();
  for (const auto& [word, count] : captions.top_words(kTopWords)) words[word] = count;
  object["top_words"] = words;
  return object;
}

// A small copy on a square ground; grey where there is none.
Image cell(const ShownPicture& picture) {
  Image square = make_image(kSide, kSide);
  std::fill(square.pixels.begin(), square.pixels.end(), uint8_t{200});
  if (picture.jpeg.empty()) return square;
  const std::string bytes = decode_base64(picture.jpeg);
  const Image image = decode_image(std::as_bytes(std::span(bytes)), picture.key);
  const int left = (kSide - image.width) / 2, top = (kSide - image.height) / 2;
  for (int y = 0; y < image.height; ++y)
    std::copy_n(image.row(y), image.width * 3, square.row(top + y) + left * 3);
  return square;
}

void write_sheet(const fs::path& path, const std::vector<const ShownExample*>& shown) {
  std::vector<std::pair<Image, std::string>> pictures;
  for (const ShownExample* one : shown) {
    const auto& captions = one->captions;
    const bool is_accepted = one->picture.record >= 0;
    const std::string text = captions.empty() ? "" : captions[pictures.size() % captions.size()];
    pictures.emplace_back(cell(one->picture), is_accepted ? text : one->picture.reason);
  }
  write_png(path, make_sheet(pictures, kSheetColumns));
}

constexpr const char* kStyle = R"(<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1180px; padding: 0 1em;
  color: #222; background: #fff }
h1 { margin-bottom: 0 } h2 { margin-top: 2em; border-bottom: 1px solid #ccc }
table { border-collapse: collapse } th { text-align: left; font-weight: 600; white-space: nowrap }
td, th { padding: .15em .9em .15em 0; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums }
.grey { color: #777; font-size: 13px; overflow-wrap: anywhere }
.grid { display: flex; flex-wrap: wrap; gap: 14px }
figure { width: 132px; margin: 0; font-size: 12px; line-height: 1.3; overflow-wrap: anywhere }
img, .none { max-width: 128px; display: block; margin-bottom: 4px; outline: 1px solid #ddd }
.none { width: 128px; height: 96px; background: #ddd; color: #777; text-align: center;
  line-height: 96px }
.bars { display: flex; align-items: flex-end; gap: 2px; height: 150px; margin-top: 1em }
.bar { flex: 1; text-align: center; font-size: 11px; color: #777 }
.bar div { background: #4a7fb5; margin: 0 auto }
.words span { display: inline-block; margin-right: 1.1em }
</style>)";

std::string row(const std::string& name, const std::string& value, const std::string& more = "") {
  return concat("<tr><th>", escape_xml(name), "</th><td class=\"n\">", escape_xml(value),
                "</td><td class=\"grey\">", escape_xml(more), "</td></tr>\n");
}

// 1234567 as "1,234,567".
std::string grouped(int64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string percent(int64_t part, int64_t whole) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%",
                whole == 0 ? 0. : 100. * static_cast<double>(part) / static_cast<double>(whole));
  return text;
}

// Those that were set.
std::string options_text(const nlohmann::json& options) {
  std::string text;
  for (const auto& [name, value] : options.items()) {
    if (value == 0) continue;
    text += concat(text.empty() ? "" : ", ", name, " ",
                   value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

std::string counts_html(const Totals& totals, size_t num_shards) {
  std::string text = "<h2>Pictures</h2>\n<table>\n";
  text += row("in the source", grouped(totals.num_pictures));
  text += row("in the set", grouped(totals.num_records),
              percent(totals.num_records, totals.num_pictures));
  for (const auto& [reason, count] : totals.left_out.counts)
    text += row("left out: " + reason, grouped(count),
                concat(percent(count, totals.num_pictures),
                       "; the first: ", totals.left_out.first.at(reason)));
  text += row("shards", grouped(static_cast<int64_t>(num_shards)),
              concat(grouped(totals.num_file_bytes / 1'000'000), " MB"));
  return text + "</table>\n";
}

// Lengths in steps wide enough for kBars bars up to the 99th percentile; what is longer is the
// last.
std::string bars_html(const std::string& title, const std::map<int64_t, int64_t>& lengths) {
  const int64_t longest = std::max<int64_t>(1, quantile(lengths, 0.99));
  const int64_t step = longest / static_cast<int64_t>(kBars) + 1;
  std::vector<int64_t> bars(static_cast<size_t>(longest / step) + 2, 0);
  for (const auto& [length, count] : lengths)
    bars[std::min(static_cast<size_t>(length / step), bars.size() - 1)] += count;
  if (bars.back() == 0) bars.pop_back();
  const int64_t most = std::max<int64_t>(1, *std::max_element(bars.begin(), bars.end()));
  std::string text = concat("<h3>", escape_xml(title), "</h3>\n<p>median ", quantile(lengths, 0.5),
                            ", 90 % up to ", quantile(lengths, 0.9), ", longest ",
                            quantile(lengths, 1), "</p>\n<div class=\"bars\">");
  for (size_t i = 0; i < bars.size(); ++i) {
    const int64_t begin = static_cast<int64_t>(i) * step;
    const bool is_rest = begin > longest;
    text += concat("<div class=\"bar\" title=\"", begin, is_rest ? " or more: " : "",
                   is_rest ? "" : concat(" to ", begin + step - 1, ": "), bars[i],
                   "\"><div style=\"height:", bars[i] * 120 / most, "px\"></div>", begin,
                   is_rest ? "+" : "", "</div>");
  }
  return text + "</div>\n";
}

std::string captions_html(const CaptionStatistics& captions) {
  std::string text = "<h2>Captions</h2>\n<table>\n";
  text += row("captions", grouped(captions.num_captions));
  for (const auto& [count, pictures] : captions.captions_a_picture)
    text += row(concat("pictures with ", count, count == 1 ? " caption" : " captions"),
                grouped(pictures));
  text += row("different words", grouped(static_cast<int64_t>(captions.vocabulary.size())),
              "what lies between blanks, lower case, without punctuation around it");
  for (const auto& [script, count] : captions.by_script)
    text += row("in script: " + script, grouped(count),
                percent(count, captions.num_captions) +
                    "; by what Unicode blocks most letters are in, which is no language");
  text += "</table>\n" + bars_html("Words a caption", captions.by_words);
  if (!captions.by_tokens.empty()) {
    int64_t count = 0;
    for (const auto& [length, number] : captions.by_tokens) count += number;
    text += bars_html(concat("Tokens a caption (the first of ", grouped(count),
                             " pictures, evenly from all shards)"),
                      captions.by_tokens);
  }
  text += "<h3>Most frequent words</h3>\n<p class=\"words\">";
  for (const auto& [word, count] : captions.top_words(kTopWords))
    text += concat("<span>", escape_xml(word), " <span class=\"grey\">", grouped(count),
                   "</span></span> ");
  return text + "</p>\n";
}

std::string image_html(const ShownPicture& picture) {
  if (picture.jpeg.empty()) return "<div class=\"none\">no picture</div>";
  return "<img alt=\"\" src=\"data:image/jpeg;base64," + picture.jpeg + "\">";
}

std::string left_out_html(const std::vector<const ShownExample*>& shown) {
  if (shown.empty()) return "";
  std::string text = "<h2>Left out</h2>\n", reason;
  for (const ShownExample* one : shown) {
    if (one->picture.reason != reason) {
      if (!reason.empty()) text += "</div>\n";
      reason = one->picture.reason;
      text += "<h3>" + escape_xml(reason) + "</h3>\n<div class=\"grid\">\n";
    }
    text += concat("<figure>", image_html(one->picture), escape_xml(one->picture.key),
                   "<div class=\"grey\">", escape_xml(one->picture.source), "</div></figure>\n");
  }
  return text + "</div>\n";
}

std::string accepted_html(const std::vector<const ShownExample*>& shown) {
  std::string text = "<h2>In the set</h2>\n<table>\n";
  for (const ShownExample* one : shown) {
    text += "<tr><td style=\"width:140px\">" + image_html(one->picture) + "</td><td>";
    for (const std::string& caption : one->captions)
      text += "<p style=\"margin:0 0 .4em\">" + escape_xml(caption) + "</p>";
    text += concat("<div class=\"grey\">", escape_xml(one->picture.key), " · ",
                   escape_xml(one->picture.source), "</div></td></tr>\n");
  }
  return text + "</table>\n";
}

}  // namespace

std::string report_json(const MergedSet& set) {
  const Totals totals = totals_of(set);
  ordered_json left_out = ordered_json::object();
  for (const auto& [reason, count] : totals.left_out.counts)
    left_out[reason] = {{"count", count}, {"first", totals.left_out.first.at(reason)}};
  const ordered_json report = {{"options", set.shards.front().options},
                               {"source_pictures", totals.num_pictures},
                               {"pictures", totals.num_records},
                               {"left_out", left_out},
                               {"shards", set.shards.size()},
                               {"bytes", totals.num_file_bytes},
                               {"captions", captions_json(set.captions)}};
  return report.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string report_html(const MergedSet& set) {
  const Totals totals = totals_of(set);
  const std::string name = escape_xml(fs::absolute(set.folder).filename().string());
  return concat("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>", name,
                "</title>\n", kStyle, "\n</head><body>\n<h1>", name, "</h1>\n<p class=\"grey\">",
                escape_xml(options_text(set.shards.front().options)), "</p>\n",
                counts_html(totals, set.shards.size()), captions_html(set.captions),
                accepted_html(accepted(set)), left_out_html(rejected(set)), "</body></html>\n");
}

void write_report(const MergedSet& set) {
  write_file_atomically(set.folder / "report.json", report_json(set));
  write_file_atomically(set.folder / "report.html", report_html(set));
  const auto in_set = accepted(set), left_out = rejected(set);
  if (!in_set.empty()) write_sheet(set.folder / "sheet.png", in_set);
  if (!left_out.empty()) write_sheet(set.folder / "left_out.png", left_out);
}

}  // namespace i1
