// One GET or POST by HTTP or HTTPS: redirects, a range, and to whom a token is shown.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace i1 {

struct HttpRequest {
  std::string address;
  int64_t first_byte = 0;    ///< above 0: only the bytes from here on
  int64_t end_byte = 0;      ///< above 0: only the bytes before this one
  std::string if_range;      ///< an ETag or a date: all bytes instead where the file is another one
  std::string token;         ///< sent as bearer, to `token_origin` alone, whatever redirects say
  std::string token_origin;  ///< as origin_of gives it
  long silent_seconds = 60;  ///< without a byte, after which the connection counts as broken
};

/// What an answer says before its bytes. Numbers are -1 and texts empty where it says nothing.
struct HttpHead {
  int status = 0;
  std::string content_type, etag, last_modified;
  int64_t first_byte = 0;  ///< of a partial answer (status 206)
  int64_t total = -1;      ///< bytes of the whole file
  /// Size and SHA-256 that Hugging Face names for a file that it keeps elsewhere and redirects to.
  int64_t linked_size = -1;
  std::string linked_sha256;
  bool has_end = false;  ///< a connection that breaks off does not pass for the end of the file
};

struct HttpResult {
  HttpHead head;
  std::string problem;        ///< empty: all bytes came
  bool is_transient = false;  ///< whether trying again may help
  double retry_after_s = 0;   ///< what the server asks for
};

/// Gets a file. Where the status is 200 or 206, `on_head` is called once and then `on_bytes` as
/// bytes come; what they throw ends the transfer and is thrown on. Follows up to ten redirects,
/// none from HTTPS to HTTP. What goes wrong with server or network is told, not thrown: a status
/// of 400 and more, a broken connection, one that stays silent. A thread's connections are kept for
/// its next call. Throws UserError where the address is no HTTP or HTTPS address, Interrupted.
HttpResult http_get(const HttpRequest& request, const std::function<void(const HttpHead&)>& on_head,
                    const std::function<void(std::string_view)>& on_bytes);

struct HttpBody {
  std::string content_type, bytes;
};

/// Sends `body` by POST and puts what comes back into `answer`, also what explains a status of 400
/// and more. Redirects are told, not followed: `problem` names where to. An answer above 8 MB is a
/// problem. Else as http_get; the range of `request` counts for nothing.
HttpResult http_post(const HttpRequest& request, const HttpBody& body, std::string& answer);

/// "https://host:port" of an address. Throws UserError where it is no HTTP or HTTPS address.
std::string origin_of(const std::string& address);

/// Takes one line of an answer's head, "Name: value". Exposed for the test.
void read_header(HttpHead& head, std::string_view line);

}  // namespace i1
