/// A response of HTTP/1.1 read piece by piece (RFC 9112), by http_parser. Pure: bytes in, response out.
#pragma once
#include <cstddef>
#include <memory>
#include <string_view>

#include "common/base/result.h"
#include "common/net/http-client.h"

namespace pgtandem {

/// Limits against a server that never ends its header.
constexpr std::size_t kMaxHttpHeaderBytes = 32U << 10;
constexpr std::size_t kMaxHttpHeaders = 100;

class HttpResponseParser {
 public:
  /// `head_request`: the response has no body whatever its header says. `max_body` in bytes.
  HttpResponseParser(bool head_request, std::size_t max_body);
  ~HttpResponseParser();
  HttpResponseParser(const HttpResponseParser&) = delete;
  HttpResponseParser& operator=(const HttpResponseParser&) = delete;

  /// Takes the next bytes. After an error nothing more may be fed.
  Result<void> feed(std::string_view bytes);
  /// The server closed the connection: completes a body that ends with it, else an error.
  Result<void> finish();

  bool header_complete() const;
  bool complete() const;
  /// Valid as far as it was read. Informational responses (1xx) are skipped.
  HttpResponse& response();
  /// Takes the body read so far out, so that an endless one needs no memory; `max_body` counts what was not
  /// taken.
  std::string take_body();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pgtandem
