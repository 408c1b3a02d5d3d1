#include <gtest/gtest.h>

#include <cstdlib>

#include "i1/core/models_folder.h"
#include "i1/core/testing.h"
#include "i1/net/http.h"
#include "i1/net/manifest.h"
#include "i1/net/partial_file.h"
#include "i1/net/store.h"

namespace i1 {
namespace {

namespace fs = std::filesystem;

HttpHead head_of(int status, std::initializer_list<std::string_view> lines) {
  HttpHead head;
  head.status = status;
  for (const std::string_view line : lines) read_header(head, line);
  return head;
}

TEST(Http, HeadsAreReadWhateverTheirCase) {
  const HttpHead head =
      head_of(206, {"CONTENT-TYPE: Text/HTML; charset=utf-8\r\n", "etag:\"a\"\r\n",
                    "Content-Range: bytes 100-199/200\r\n", "Content-Length: 100\r\n", "\r\n"});
  EXPECT_EQ(head.content_type, "text/html; charset=utf-8");
  EXPECT_EQ(head.etag, "\"a\"");
  EXPECT_EQ(head.first_byte, 100);
  EXPECT_EQ(head.total, 200);  // of the file, not of the part
  EXPECT_TRUE(head.has_end);
}

TEST(Http, AWholeAnswersLengthIsTheFiles) {
  EXPECT_EQ(head_of(200, {"Content-Length: 7"}).total, 7);
  EXPECT_EQ(head_of(302, {"Content-Length: 7"}).total, -1);  // of the redirect's own page
  EXPECT_FALSE(head_of(200, {}).has_end);
  EXPECT_TRUE(head_of(200, {"Transfer-Encoding: chunked"}).has_end);
}

TEST(Http, NumbersThatAreNoneAreUnknown) {
  EXPECT_EQ(head_of(200, {"Content-Length: many"}).total, -1);
  EXPECT_EQ(head_of(206, {"Content-Range: bytes */200"}).total, -1);
  EXPECT_EQ(head_of(206, {"Content-Range: bytes 1-2/*"}).total, -1);
  EXPECT_EQ(head_of(206, {"Content-Range:"}).total, -1);
}

TEST(Http, OnlyASha256IsALinkedHash) {
  const std::string digest(64, 'a');
  EXPECT_EQ(head_of(302, {"X-Linked-ETag: \"" + digest + "\""}).linked_sha256, digest);
  EXPECT_EQ(head_of(302, {"X-Linked-ETag: \"0123abc\""}).linked_sha256, "");  // of git
  EXPECT_EQ(head_of(302, {"X-Linked-Size: 12"}).linked_size, 12);
}

TEST(Http, AnOriginIsSchemeHostAndPort) {
  EXPECT_EQ(origin_of("https://Huggingface.co/a/b?c#d"), "https://huggingface.co:443");
  EXPECT_EQ(origin_of("http://127.0.0.1:8080/"), "http://127.0.0.1:8080");
  EXPECT_NE(origin_of("https://huggingface.co@evil.example/"), origin_of("https://huggingface.co"));
  EXPECT_NE(origin_of("https://huggingface.co.evil.example"), origin_of("https://huggingface.co"));
  for (const char* address : {"file:///etc/passwd", "ftp://a/", "words", ""})
    expect_error("expected an http or https address", [&] { origin_of(address); });
}

TEST(PartialFile, OutlivesItsObjectWithItsSource) {
  const fs::path target = fresh_folder("partial") / "a.bin";
  {
    PartialFile file(target);
    file.begin({"http://a/", "\"tag\"", "", "", 6});
    file.append("abc");
  }
  EXPECT_FALSE(fs::exists(target));
  PartialFile file(target);
  EXPECT_EQ(file.size(), 3);
  EXPECT_EQ(file.source().validator(), "\"tag\"");
  file.append("def");
  file.commit();
  EXPECT_EQ(read_file(target), "abcdef");
  EXPECT_FALSE(fs::exists(target.string() + ".partial"));
  EXPECT_FALSE(fs::exists(target.string() + ".partial.json"));
}

TEST(PartialFile, WithoutBytesLeavesNothing) {
  const fs::path folder = fresh_folder("partial");
  PartialFile(folder / "a.bin").begin({});
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(PartialFile, BytesWithoutTheirSourceCountForNothing) {
  const fs::path target = fresh_folder("partial") / "a.bin";
  for (const char* source : {"", "{", "{\"size\": \"x\"}", "[]"}) {
    write_file_atomically(target.string() + ".partial", "abc");
    write_file_atomically(target.string() + ".partial.json", source);
    EXPECT_EQ(PartialFile(target).size(), 0) << source;
  }
}

TEST(PartialFile, BelongsToOneProcessAtATime) {
  const fs::path target = fresh_folder("partial") / "a.bin";
  PartialFile first(target);
  expect_error("another download is at work", [&] { PartialFile second(target); });
}

TEST(PartialFile, AWeakTagTellsNothing) {
  PartialSource source;
  source.etag = "W/\"a\"";
  EXPECT_EQ(source.validator(), "");
  source.last_modified = "Tue, 09 Jun 2026 10:00:00 GMT";
  EXPECT_EQ(source.validator(), source.last_modified);
}

TEST(Manifest, TheOfficialOneIsWhole) {
  std::set<std::string> addresses;
  for (const ManifestItem& item : official_manifest()) {
    EXPECT_TRUE(item.address.starts_with("https://huggingface.co/")) << item.name;
    EXPECT_TRUE(item.address.starts_with(item.page + "/resolve/")) << item.name;
    EXPECT_FALSE(item.what.empty() || item.licence.empty()) << item.name;
    for (const ManifestFile& file : item.files)
      EXPECT_TRUE(addresses.insert(item.address + file.path).second) << file.path;
  }
}

TEST(Manifest, ReadsBackWhatItPrints) {
  const std::string text = manifest_text(official_manifest());
  EXPECT_EQ(manifest_text(parse_manifest(text, "copy")), text);
}

std::string one_item(const std::string& name, const std::string& file) {
  return "[{\"name\": \"" + name +
         "\", \"part\": \"vae\", \"address\": \"http://a/\", \"files\": [" + file + "]}]";
}

TEST(Manifest, PathsStayInTheirFolder) {
  for (const char* path : {"../a", "/a", "a/../../b", "a//b", "a/", ".a", "a/.b", "", "a b", "a?b"})
    expect_error("expected letters", [&] {
      parse_manifest(one_item("x", "{\"path\": \"" + std::string(path) + "\"}"), "list");
    });
  for (const char* name : {"..", "a/b", ""})
    expect_error("expected letters",
                 [&] { parse_manifest(one_item(name, "{\"path\": \"a\"}"), "list"); });
  EXPECT_EQ(parse_manifest(one_item("x", "{\"path\": \"a/b-1.c_d\"}"), "list").size(), 1u);
}

TEST(Manifest, MistakesAreNamed) {
  const auto parse = [](const std::string& text) { return [=] { parse_manifest(text, "list"); }; };
  expect_error("list: expected a JSON list", parse("{}"));
  expect_error("list: expected a JSON list", parse("[]"));
  expect_error("a list \"files\"", parse("[{\"name\": \"x\"}]"));
  expect_error("nearest: \"size\"", parse(one_item("x", "{\"path\": \"a\", \"siz\": 1}")));
  expect_error("64 digits", parse(one_item("x", "{\"path\": \"a\", \"sha256\": \"12\"}")));
  expect_error("size -2", parse(one_item("x", "{\"path\": \"a\", \"size\": -2}")));
  const std::string item = one_item("x", "{\"path\": \"a\"}");
  const std::string inner = item.substr(1, item.size() - 2);
  expect_error("two items are named \"x\"", parse("[" + inner + "," + inner + "]"));
  expect_error("nearest: \"flux2-vae\"", [] { find_item(official_manifest(), "flux-vae"); });
}

TEST(Manifest, ShardsOfTheDecoderAloneAreLeftOut) {
  const fs::path index = fresh_folder("index") / "model.safetensors.index.json";
  ManifestFile file;
  file.skipped = "decoder.";
  write_file_atomically(index, R"({"weight_map": {"encoder.a": "2", "encoder.b": "1",
                                   "decoder.a": "2", "decoder.b": "3"}})");
  EXPECT_EQ(shards_of(file, index), (std::vector<std::string>{"1", "2"}));
  for (const char* name : {"\"../1\"", "3", "\"a/b\""}) {
    write_file_atomically(index, "{\"weight_map\": {\"encoder.a\": " + std::string(name) + "}}");
    expect_error("no file's name", [&] { shards_of(file, index); });
  }
  write_file_atomically(index, "<html>");
  expect_error("not an index", [&] { shards_of(file, index); });
}

TEST(Store, TellsWhatIsMissing) {
  const fs::path folder = fresh_folder("store");
  const ManifestItem item =
      parse_manifest(one_item("x", R"({"path": "a", "size": 3}, {"path": "b"})"), "list").front();
  EXPECT_EQ(missing_file(item, folder), "a");
  write_file_atomically(folder / "a", "too long");
  EXPECT_EQ(missing_file(item, folder), "a");
  write_file_atomically(folder / "a", "abc");
  EXPECT_EQ(missing_file(item, folder), "b");
  write_file_atomically(folder / "b", "");
  EXPECT_EQ(missing_file(item, folder), "");
  EXPECT_EQ(usable_path(item, folder), folder);
}

TEST(Store, ModelsLieWhereTheEnvironmentSays) {
  ::setenv("HOME", "/home/a", 1);
  ::unsetenv("I1_MODELS");
  ::unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(models_folder(), "/home/a/.cache/i1");
  ::setenv("XDG_CACHE_HOME", "relative", 1);  // to be ignored
  EXPECT_EQ(models_folder(), "/home/a/.cache/i1");
  ::setenv("XDG_CACHE_HOME", "/cache", 1);
  EXPECT_EQ(models_folder(), "/cache/i1");
  ::setenv("I1_MODELS", "models", 1);
  EXPECT_EQ(models_folder(), "models");
}

}  // namespace
}  // namespace i1
