#include "common/net/http-parser.h"

#include <http_parser.h>

namespace pgtandem {

struct HttpResponseParser::State {
  http_parser parser{};
  bool head_request = false;
  std::size_t max_body = 0;
  std::size_t header_bytes = 0;
  bool after_value = true;  ///< the next name begins a new header
  bool header_complete = false;
  bool complete = false;
  HttpResponse response;
  std::string failure;  ///< set by a callback that stops the parser

  static State& of(http_parser* parser) { return *static_cast<State*>(parser->data); }

  int fail(std::string what) {
    failure = std::move(what);
    return 1;
  }
  int count_header(std::size_t size) {
    header_bytes += size;
    if (header_bytes > kMaxHttpHeaderBytes || response.headers.size() > kMaxHttpHeaders) {
      return fail("its header is larger than " + std::to_string(kMaxHttpHeaderBytes) + " bytes or has over " +
                  std::to_string(kMaxHttpHeaders) + " lines");
    }
    return 0;
  }
  int name(std::string_view text) {
    if (after_value) response.headers.emplace_back();
    after_value = false;
    for (const char c : text) response.headers.back().first += c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
    return count_header(text.size());
  }
  int value(std::string_view text) {
    after_value = true;
    if (response.headers.empty()) return fail("its header begins with no name");
    response.headers.back().second += text;
    return count_header(text.size());
  }
  /// 0: go on; 1: there is no body; anything else stops the parser (http_parser.h, http_cb).
  int headers_complete() {
    if (parser.upgrade) {
      failure = "it switched to another protocol";
      return -1;
    }
    response.status = parser.status_code;
    header_complete = response.status >= 200;
    const bool length_known = parser.content_length != UINT64_MAX;
    if (!head_request && length_known && parser.content_length > max_body) {
      failure = "its body of " + std::to_string(parser.content_length) +
                " bytes is larger than the allowed " + std::to_string(max_body);
      return -1;
    }
    return head_request ? 1 : 0;
  }
  int body(std::string_view text) {
    if (text.size() > max_body - response.body.size()) {
      return fail("its body is larger than the allowed " + std::to_string(max_body) + " bytes");
    }
    response.body += text;
    return 0;
  }
  int message_complete() {
    if (response.status < 200) {  // 100 (Continue) and the like: the real one follows
      response = {};
      after_value = true;
      return 0;
    }
    complete = true;
    http_parser_pause(&parser, 1);
    return 0;
  }
};

HttpResponseParser::HttpResponseParser(bool head_request, std::size_t max_body)
    : state_(std::make_unique<State>()) {
  http_parser_init(&state_->parser, HTTP_RESPONSE);
  state_->parser.data = state_.get();
  state_->head_request = head_request;
  state_->max_body = max_body;
}
HttpResponseParser::~HttpResponseParser() = default;

bool HttpResponseParser::header_complete() const {
  return state_->header_complete;
}
bool HttpResponseParser::complete() const {
  return state_->complete;
}
HttpResponse& HttpResponseParser::response() {
  return state_->response;
}

std::string HttpResponseParser::take_body() {
  std::string body = std::move(state_->response.body);
  state_->response.body.clear();
  return body;
}

Result<void> HttpResponseParser::feed(std::string_view bytes) {
  static const http_parser_settings settings = [] {
    http_parser_settings s;
    http_parser_settings_init(&s);
    s.on_status = [](http_parser* p, const char*, std::size_t size) {
      return State::of(p).count_header(size);
    };
    s.on_header_field = [](http_parser* p, const char* at, std::size_t n) {
      return State::of(p).name({at, n});
    };
    s.on_header_value = [](http_parser* p, const char* at, std::size_t n) {
      return State::of(p).value({at, n});
    };
    s.on_headers_complete = [](http_parser* p) { return State::of(p).headers_complete(); };
    s.on_body = [](http_parser* p, const char* at, std::size_t n) { return State::of(p).body({at, n}); };
    s.on_message_complete = [](http_parser* p) { return State::of(p).message_complete(); };
    return s;
  }();
  State& s = *state_;
  if (s.complete) return {};
  http_parser_execute(&s.parser, &settings, bytes.data(), bytes.size());
  const http_errno code = HTTP_PARSER_ERRNO(&s.parser);
  if (s.complete) return {};
  if (!s.failure.empty()) return Error{s.failure};
  if (code != HPE_OK) return Error{std::string("it is no HTTP: ") + http_errno_description(code)};
  return {};
}

Result<void> HttpResponseParser::finish() {
  if (complete()) return {};
  if (header_complete()) {
    const auto ended = feed({});  // zero bytes mean the end to http_parser
    if (ended.ok() && complete()) return {};
  }
  return Error{header_complete() ? "the connection was closed in the middle of the body"
                                 : "the connection was closed before the end of the header"};
}

}  // namespace pgtandem
