#include "common/net/http-request.h"

namespace pgtandem {
namespace {

bool has_line_break(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != text.npos;
}

}  // namespace

Result<std::string> write_http_request(const Endpoint& server, const HttpRequest& request,
                                       AfterAnswer after) {
  bool wrong = has_line_break(request.method) || has_line_break(request.path) ||
               request.path.find(' ') != std::string::npos || !request.path.starts_with('/');
  std::string text = request.method + " " + request.path + " HTTP/1.1\r\nHost: " + to_string(server) +
                     "\r\nUser-Agent: pgtandem/" PGTANDEM_VERSION "\r\n";
  text += after == AfterAnswer::close ? "Connection: close\r\n" : "Connection: keep-alive\r\n";
  for (const auto& [name, value] : request.headers) {
    wrong = wrong || has_line_break(name) || has_line_break(value);
    text.append(name).append(": ").append(value).append("\r\n");
  }
  if (wrong) return Error{"the request's path or a header holds what is not allowed there"};
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return text + "\r\n" + request.body;
}

}  // namespace pgtandem
