#include "i1/net/chat.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace i1 {
namespace {

std::string answer_with(const nlohmann::json& content, const std::string& end = "stop") {
  return nlohmann::json{
      {"choices", {{{"message", {{"content", content}}}, {"finish_reason", end}}}}}
      .dump();
}

TEST(Chat, TheBodyHoldsPictureThenPrompt) {
  const auto body =
      nlohmann::json::parse(chat_body({"a model", "say \"hi\"\n", "\xff\xd8x", 9, 0.7}));
  EXPECT_EQ(body["model"], "a model");
  EXPECT_EQ(body["max_tokens"], 9);
  EXPECT_EQ(body["temperature"], 0.7);
  const auto& content = body["messages"][0]["content"];
  EXPECT_EQ(content[0]["image_url"]["url"], "data:image/jpeg;base64,/9h4");
  EXPECT_EQ(content[1]["text"], "say \"hi\"\n");
}

TEST(Chat, PicturesOfAnyLengthAreEncoded) {
  for (const auto& [bytes, text] :
       {std::pair{"", ""}, {"a", "YQ=="}, {"ab", "YWI="}, {"abc", "YWJj"}})
    EXPECT_EQ(nlohmann::json::parse(chat_body(
                  {"", "", bytes, 1, 0}))["messages"][0]["content"][0]["image_url"]["url"],
              std::string("data:image/jpeg;base64,") + text);
}

TEST(Chat, TextsAreTrimmed) {
  const ChatAnswer answer = read_chat_answer(answer_with(" \n a \"cat\"\r\n"));
  EXPECT_EQ(answer.text, "a \"cat\"");
  EXPECT_EQ(answer.problem, "");
}

TEST(Chat, ThinkingIsCutOff) {
  for (const char* content : {"<think>hm</think>\n\na cat", "hm\n</think>a cat",
                              "<think></think> <think>again</think>a cat"})
    EXPECT_EQ(read_chat_answer(answer_with(content)).text, "a cat") << content;
  EXPECT_EQ(read_chat_answer(answer_with("<think>hm")).problem,
            "the answer ends within its thinking");
  EXPECT_EQ(read_chat_answer(answer_with("<think>hm</think> \n")).problem,
            "the answer has no text");
}

TEST(Chat, WhatIsNotWholeIsNoCaption) {
  EXPECT_EQ(read_chat_answer(answer_with("a ca", "length")).problem, "cut off at --max-tokens");
  EXPECT_EQ(read_chat_answer(answer_with("a", "content_filter")).problem,
            "stopped by the endpoint's content filter");
  EXPECT_EQ(read_chat_answer(answer_with("")).problem, "the answer has no text");
  EXPECT_EQ(read_chat_answer(answer_with(nullptr)).problem, "the answer has no text");
}

TEST(Chat, HostileAnswersAreProblems) {
  for (const std::string body :
       {"", "null", "3", "\"a\"", "[]", "{", "<html></html>",
        "{\"choices\": [{\"message\": ", "{\"choices\": [{\"message\": {\"content\": \"\xff\"}}]}",
        "{\"choices\": [{\"message\": {\"content\": \"\\ud800\"}}]}"})
    EXPECT_EQ(read_chat_answer(body).problem, "the answer is no JSON object") << body;
  for (const std::string body : {"{}", "{\"choices\": null}", "{\"choices\": []}",
                                 "{\"choices\": {\"0\": 1}}", "{\"choices\": \"a\"}"})
    EXPECT_EQ(read_chat_answer(body).problem, "the answer has no choices") << body;
  for (const std::string body :
       {"{\"choices\": [null]}", "{\"choices\": [[]]}", "{\"choices\": [{}]}",
        "{\"choices\": [{\"message\": 3}]}", "{\"choices\": [{\"message\": {\"content\": 3}}]}",
        "{\"choices\": [{\"message\": [], \"finish_reason\": {}}]}"})
    EXPECT_EQ(read_chat_answer(body).problem, "the answer has no text") << body;
  const std::string deep(200'000, '[');
  EXPECT_EQ(read_chat_answer(deep).problem, "the answer is no JSON object");
  EXPECT_EQ(read_chat_answer(deep + std::string(200'000, ']')).problem,
            "the answer is no JSON object");
}

TEST(Chat, WhatTheEndpointSaysIsOneShortLine) {
  const auto detail = [](const nlohmann::json& error) {
    return read_chat_answer(nlohmann::json{{"error", error}}.dump()).detail;
  };
  EXPECT_EQ(detail("too\nlarge\t!"), "too large !");
  EXPECT_EQ(detail({{"message", "too large"}}), "too large");
  EXPECT_EQ(detail({{"message", 3}}), "");
  std::string umlauts = "x";
  for (int i = 0; i < 200; ++i) umlauts += "\xc3\xa4";
  EXPECT_EQ(detail(umlauts), umlauts.substr(0, 199));  // not within a character
}

}  // namespace
}  // namespace i1
