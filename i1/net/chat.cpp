#include "i1/net/chat.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "i1/core/base64.h"
#include "i1/core/error.h"
#include "i1/core/interrupt.h"
#include "i1/core/utf8.h"
#include "i1/net/http.h"

namespace i1 {
namespace {

using nlohmann::json;

constexpr double kLongestWait = 60;
constexpr size_t kMaxDetail = 200;
constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>";

std::string trimmed(const std::string& text) {
  constexpr const char* kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::string text_in(const json& object, const char* name) {
  if (!object.is_object()) return "";
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The forms in which servers explain a refusal; a page of HTML explains nothing.
std::string explanation(const json& answer) {
  if (!answer.is_object()) return "";
  if (const auto error = answer.find("error"); error != answer.end()) {
    if (error->is_string()) return error->get<std::string>();
    return text_in(*error, "message");
  }
  const std::string message = text_in(answer, "message");
  return message.empty() ? text_in(answer, "detail") : message;
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  if (text.size() <= kMaxDetail) return text;
  size_t end = kMaxDetail;
  while (end > 0 && utf8_length(std::string_view(text).substr(end)) == 0) --end;
  return text.substr(0, end);
}

ChatAnswer problem(const std::string& reason, const std::string& detail = "") {
  return {"", reason, one_line(detail), false};
}

// Some servers put the opening mark into the prompt, so that only the closing one comes back.
bool cut_thinking(std::string& text) {
  const size_t end = text.rfind(kThinkEnd);
  if (end != std::string::npos) text.erase(0, end + kThinkEnd.size());
  return text.find(kThink) == std::string::npos;
}

void wait(double seconds, const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end && !stop.stop_requested()) {
    check_interrupt();
    ::usleep(50'000);
  }
}

// A server may quote the key that it was shown.
std::string without(std::string text, const std::string& key) {
  if (key.empty()) return text;
  for (size_t at = 0; (at = text.find(key, at)) != std::string::npos;)
    text.replace(at, key.size(), "***");
  return text;
}

void check_access(const ChatEndpoint& endpoint, int status, const std::string& what) {
  check_user(status != 401 && status != 403, endpoint.address, ": access is refused (status ",
             status, "): ", endpoint.how_to_get_in);
  check_user(status != 402, endpoint.address,
             ": the account has to be paid for (status 402): ", what);
  check_user(status != 404 && status != 405, endpoint.address, "/chat/completions: status ", status,
             what.empty() ? "" : ", ", what,
             "; no such address or no such model: --endpoint mostly ends in /v1, and GET "
             "/v1/models lists the names that --model takes");
}

double seconds_to_wait(const ChatEndpoint& endpoint, const HttpResult& result, int num_failed) {
  const double doubled =
      endpoint.first_wait_s * static_cast<double>(1LL << std::min(num_failed - 1, 20));
  return std::min(kLongestWait, result.retry_after_s > 0 ? result.retry_after_s : doubled);
}

}  // namespace

std::string chat_body(const ChatQuestion& question) {
  const json picture = {
      {"type", "image_url"},
      {"image_url", {{"url", "data:image/jpeg;base64," + encode_base64(question.jpeg)}}}};
  const json text = {{"type", "text"}, {"text", question.prompt}};
  const json message = {{"role", "user"}, {"content", json::array({picture, text})}};
  return json{{"model", question.model},
              {"messages", json::array({message})},
              {"max_tokens", question.max_tokens},
              {"temperature", question.temperature}}
      .dump();
}

ChatAnswer read_chat_answer(std::string_view body) {
  const json answer = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) return problem("the answer is no JSON object");
  const auto choices = answer.find("choices");
  if (choices == answer.end() || !choices->is_array() || choices->empty())
    return problem("the answer has no choices", explanation(answer));
  const json& choice = choices->front();
  const json message = choice.is_object() ? choice.value("message", json()) : json();
  const std::string end = text_in(choice, "finish_reason");
  if (end == "length") return problem("cut off at --max-tokens");
  if (end == "content_filter") return problem("stopped by the endpoint's content filter");
  std::string text = text_in(message, "content");
  if (!cut_thinking(text)) return problem("the answer ends within its thinking");
  text = trimmed(text);
  if (text.empty()) return problem("the answer has no text", text_in(message, "refusal"));
  return {text, "", "", false};
}

ChatAnswer ask(const ChatEndpoint& endpoint, const ChatQuestion& question,
               const std::stop_token& stop) {
  HttpRequest request;
  request.address = endpoint.address + "/chat/completions";
  request.token = endpoint.key;
  request.token_origin = origin_of(endpoint.address);
  request.silent_seconds = endpoint.silent_seconds;
  const HttpBody body{"application/json", chat_body(question)};
  std::string bytes;
  for (int num_failed = 1;; ++num_failed) {
    const HttpResult result = http_post(request, body, bytes);
    if (result.problem.empty()) return read_chat_answer(bytes);
    const std::string detail = one_line(without(
        explanation(json::parse(bytes, nullptr, /*allow_exceptions=*/false)), endpoint.key));
    const int status = result.head.status;
    check_access(endpoint, status, detail);
    check_user(status < 300 || status >= 400, request.address, ": ", result.problem,
               "; give --endpoint that address");
    if (!result.is_transient) return problem(result.problem, detail);
    if (num_failed > endpoint.num_retries || stop.stop_requested()) {
      ChatAnswer answer = problem(result.problem, detail);
      answer.is_unreachable = true;
      return answer;
    }
    wait(seconds_to_wait(endpoint, result, num_failed), stop);
  }
}

}  // namespace i1
