#include "i1/net/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <exception>
#include <memory>

#include "i1/core/error.h"
#include "i1/core/interrupt.h"

namespace i1 {
namespace {

constexpr int kMaxRedirects = 10;
constexpr long kConnectSeconds = 30;
constexpr size_t kMaxAnswer = 8'000'000;  // bytes that a POST may bring

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string_view trimmed(std::string_view text) {
  constexpr const char* kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

int64_t whole_number(std::string_view text) {
  int64_t value = -1;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() ? value : -1;
}

// "bytes 100-199/200"
void read_content_range(HttpHead& head, std::string_view value) {
  const size_t space = value.find(' '), dash = value.find('-'), slash = value.find('/');
  if (space == std::string_view::npos || dash == std::string_view::npos ||
      slash == std::string_view::npos || dash < space)
    return;
  head.first_byte = whole_number(value.substr(space + 1, dash - space - 1));
  head.total = whole_number(value.substr(slash + 1));
}

std::string part_of(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return "";
  const std::string result = text;
  curl_free(text);
  return result;
}

void start_curl() {
  static const CURLcode status = curl_global_init(CURL_GLOBAL_DEFAULT);
  check_machine(status == CURLE_OK, "libcurl does not start: ", curl_easy_strerror(status));
}

struct Free {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// The thread's own, which keeps its connections from one request to the next.
CURL* thread_curl() {
  start_curl();
  thread_local const std::unique_ptr<CURL, Free> curl(curl_easy_init());
  check_machine(curl != nullptr, "libcurl does not start");
  return curl.get();
}

bool is_of_bad_luck(CURLcode code) {  // whether the same request may do better later
  constexpr CURLcode kLasting[] = {CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT,
                                   CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE,
                                   CURLE_OUT_OF_MEMORY};
  return std::find(std::begin(kLasting), std::end(kLasting), code) == std::end(kLasting);
}

// One request and its answer, redirects not followed.
class Hop {
 public:
  Hop(const std::string& address, const HttpRequest& request,
      const std::function<void(const HttpHead&)>& on_head,
      const std::function<void(std::string_view)>& on_bytes, const HttpBody* body = nullptr)
      : on_head_(on_head), on_bytes_(on_bytes), curl_(thread_curl()), is_post_(body != nullptr) {
    set(CURLOPT_URL, address.c_str());
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USERAGENT, "i1");
    set(CURLOPT_ERRORBUFFER, error_);
    set(CURLOPT_CONNECTTIMEOUT, std::min<long>(kConnectSeconds, request.silent_seconds));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, request.silent_seconds);
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Hop::on_progress);
    set(CURLOPT_HEADERFUNCTION, &Hop::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Hop::on_body);
    set(CURLOPT_WRITEDATA, this);
    if (is_post_) {
      set(CURLOPT_POSTFIELDS, body->bytes.data());
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->bytes.size()));
      add_header("Content-Type: " + body->content_type);
      add_header("Expect:");  // libcurl would wait for a "100 Continue" before a long body
    } else if (request.first_byte > 0 || request.end_byte > 0) {
      const std::string last = request.end_byte > 0 ? std::to_string(request.end_byte - 1) : "";
      add_header(concat("Range: bytes=", request.first_byte, "-", last));
      if (!request.if_range.empty()) add_header("If-Range: " + request.if_range);
    }
    if (!request.token.empty() && origin_of(address) == request.token_origin)
      add_header("Authorization: Bearer " + request.token);
    set(CURLOPT_HTTPHEADER, headers_.get());
  }

  HttpResult run() {
    const CURLcode code = curl_easy_perform(curl_.get());
    check_interrupt();
    if (thrown_) std::rethrow_exception(thrown_);
    HttpResult result;
    result.head = head_;
    if (!is_refused() && code != CURLE_OK) {
      result.problem = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
      result.is_transient = is_of_bad_luck(code);
      return result;
    }
    if (is_good()) {
      begin_body();  // an empty file has no bytes that would have done so
      if (thrown_) std::rethrow_exception(thrown_);
    }
    curl_off_t seconds = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RETRY_AFTER, &seconds);
    result.retry_after_s = static_cast<double>(seconds);
    return result;
  }

  /// Where the answer redirects to; empty where it does not.
  std::string next() const {
    char* address = nullptr;
    curl_easy_getinfo(curl_.get(), CURLINFO_REDIRECT_URL, &address);
    return address == nullptr ? "" : address;
  }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(curl_.get(), option, value);
    check_machine(code == CURLE_OK, "libcurl: ", curl_easy_strerror(code));
  }

  void add_header(const std::string& line) {
    headers_.reset(curl_slist_append(headers_.release(), line.c_str()));
  }

  bool is_good() const { return head_.status == 200 || head_.status == 206; }
  bool is_refused() const { return head_.status != 0 && !is_good(); }

  void begin_body() {
    if (has_begun_) return;
    has_begun_ = true;
    long version = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_HTTP_VERSION, &version);
    if (version >= CURL_HTTP_VERSION_2_0) head_.has_end = true;
    try {
      on_head_(head_);
    } catch (...) {
      thrown_ = std::current_exception();
    }
  }

  static size_t on_header(char* data, size_t, size_t size, void* self) {
    HttpHead& head = static_cast<Hop*>(self)->head_;
    const std::string_view line(data, size);
    if (line.starts_with("HTTP/")) {
      head = {};  // also after "100 Continue"
      const size_t space = line.find(' ');
      if (space != std::string_view::npos)
        head.status = static_cast<int>(whole_number(line.substr(space + 1, 3)));
    } else {
      read_header(head, line);
    }
    return size;
  }

  static size_t on_body(char* data, size_t, size_t size, void* self) {
    Hop& hop = *static_cast<Hop*>(self);
    if (hop.head_.status < 400 && !hop.is_good()) return size;  // libcurl names the next address
    if (!hop.is_good() && !hop.is_post_) return size == 0 ? 1 : 0;  // an error's page: not read
    if (hop.is_good()) hop.begin_body();
    if (hop.thrown_) return size == 0 ? 1 : 0;
    try {
      hop.on_bytes_({data, size});
    } catch (...) {
      hop.thrown_ = std::current_exception();
      return size == 0 ? 1 : 0;
    }
    return size;
  }

  static int on_progress(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return is_interrupted() ? 1 : 0;
  }

  struct Reset {
    void operator()(CURL* curl) const { curl_easy_reset(curl); }  // forgets all of this object
  };

  const std::function<void(const HttpHead&)>& on_head_;
  const std::function<void(std::string_view)>& on_bytes_;
  std::unique_ptr<CURL, Reset> curl_;
  std::unique_ptr<curl_slist, Free> headers_;
  char error_[CURL_ERROR_SIZE] = "";
  HttpHead head_;
  bool is_post_, has_begun_ = false;
  std::exception_ptr thrown_;
};

bool may_pass(int status) {
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

void judge_status(HttpResult& result) {
  const int status = result.head.status;
  if (status == 200 || status == 206) return;
  result.problem = concat("the server answers with status ", status);
  result.is_transient = may_pass(status);
}

}  // namespace

void read_header(HttpHead& head, std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string name = lower(line.substr(0, colon));
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (name == "content-type") head.content_type = lower(value);
  if (name == "etag") head.etag = value;
  if (name == "last-modified") head.last_modified = value;
  if (name == "x-linked-size") head.linked_size = whole_number(value);
  if (name == "content-range") read_content_range(head, value);
  if (name == "content-length") {
    head.has_end = true;
    if (head.status == 200) head.total = whole_number(value);
  }
  if (name == "transfer-encoding" && lower(value).ends_with("chunked")) head.has_end = true;
  if (name == "x-linked-etag") {
    std::string digest = lower(value);
    std::erase(digest, '"');
    const bool is_sha256 =
        digest.size() == 64 && digest.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (is_sha256) head.linked_sha256 = digest;
  }
}

std::string origin_of(const std::string& address) {
  start_curl();
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), curl_url_cleanup);
  const bool is_read =
      url != nullptr && curl_url_set(url.get(), CURLUPART_URL, address.c_str(), 0) == CURLUE_OK;
  const std::string scheme = is_read ? part_of(url.get(), CURLUPART_SCHEME) : "";
  check_user(scheme == "http" || scheme == "https", "\"", address,
             "\": expected an http or https address");
  return scheme + "://" + lower(part_of(url.get(), CURLUPART_HOST)) + ":" +
         part_of(url.get(), CURLUPART_PORT);
}

HttpResult http_get(const HttpRequest& request, const std::function<void(const HttpHead&)>& on_head,
                    const std::function<void(std::string_view)>& on_bytes) {
  std::string address = request.address;
  int64_t linked_size = -1;
  std::string linked_sha256;
  const auto with_links = [&](const HttpHead& head) {
    HttpHead full = head;
    if (full.linked_size < 0) full.linked_size = linked_size;
    if (full.linked_sha256.empty()) full.linked_sha256 = linked_sha256;
    return full;
  };
  const std::function<void(const HttpHead&)> told = [&](const HttpHead& head) {
    on_head(with_links(head));
  };
  for (int i = 0; i <= kMaxRedirects; ++i) {
    const std::string origin = origin_of(address);
    Hop hop(address, request, told, on_bytes);
    HttpResult result = hop.run();
    result.head = with_links(result.head);
    if (!result.problem.empty()) return result;
    const std::string next = hop.next();
    if (next.empty()) {
      judge_status(result);
      return result;
    }
    if (i == 0) {  // what the file's own host says, not those it redirects to
      linked_size = result.head.linked_size;
      linked_sha256 = result.head.linked_sha256;
    }
    if (origin.starts_with("https:") && !origin_of(next).starts_with("https:")) {
      result.problem = "redirected from https to " + origin_of(next) + ", which is not followed";
      return result;
    }
    address = next;
  }
  HttpResult result;
  result.problem = concat("more than ", kMaxRedirects, " redirects");
  return result;
}

HttpResult http_post(const HttpRequest& request, const HttpBody& body, std::string& answer) {
  struct TooLong {};
  const std::function<void(const HttpHead&)> on_head = [](const HttpHead&) {};
  const std::function<void(std::string_view)> on_bytes = [&](std::string_view bytes) {
    if (answer.size() + bytes.size() > kMaxAnswer) throw TooLong();
    answer += bytes;
  };
  origin_of(request.address);
  answer.clear();
  HttpResult result;
  try {
    Hop hop(request.address, request, on_head, on_bytes, &body);
    result = hop.run();
    if (!result.problem.empty()) return result;
    judge_status(result);
    if (const std::string next = hop.next(); !next.empty())
      result.problem = "redirected to " + next + ", which is not followed";
  } catch (const TooLong&) {
    result.problem = concat("the answer is longer than ", kMaxAnswer / 1'000'000, " MB");
  }
  return result;
}

}  // namespace i1
