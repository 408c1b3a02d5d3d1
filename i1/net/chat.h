// One question about one picture to an OpenAI-compatible endpoint (chat/completions).
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

namespace i1 {

struct ChatEndpoint {
  std::string address;        ///< "http://host:port/v1"
  std::string key;            ///< sent to the origin of `address` alone; empty: none is sent
  std::string how_to_get_in;  ///< what an answer of 401 or 403 is met with
  int num_retries = 5;        ///< after a try that may do better later
  double first_wait_s = 1;    ///< before the first retry, doubled before each further one
  long silent_seconds = 300;  ///< without a byte, after which a connection counts as broken
};

struct ChatQuestion {
  std::string model, prompt;  ///< UTF-8
  std::string jpeg;           ///< the picture
  int max_tokens = 0;
  double temperature = 0;
};

/// A text, or why there is none.
struct ChatAnswer {
  std::string text;  ///< trimmed, without a <think> part
  std::string
      problem;  ///< a short reason, the same for all answers of its kind; empty: `text` is it
  std::string detail;  ///< what the endpoint says about it, one line of at most 200 bytes
  bool is_unreachable =
      false;  ///< given up after all tries: more about the endpoint than the picture
};

/// The body of the request, JSON: the picture as a data: URL, then the prompt.
std::string chat_body(const ChatQuestion& question);

/// Takes the text out of an answer's body, whatever that holds; nothing is thrown.
ChatAnswer read_chat_answer(std::string_view body);

/// Asks. Statuses 408, 425, 429 and 5xx, broken and silent connections are tried again, after
/// Retry-After (at most 60 s) or with doubled waits; once `stop` is requested no more. Other
/// refusals of the question (400, 413, ...) are the answer's problem. Throws UserError where the
/// endpoint takes no question at all: no access (401, 403), no money (402), no such address or
/// model (404, 405), a redirect; Interrupted.
ChatAnswer ask(const ChatEndpoint& endpoint, const ChatQuestion& question,
               const std::stop_token& stop);

}  // namespace i1
