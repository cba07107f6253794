#include "server-relay/control/control-routes.h"

#include <array>

#include <nlohmann/json.hpp>

#include "common/base/crypto.h"

namespace pgtandem {
namespace {

struct ReadRoute {
  std::string_view path;
  Route route;
  bool head;  ///< answers HEAD as well: not a stream
};

constexpr std::array<ReadRoute, 6> kReadRoutes{{{"/", Route::page, true},
                                                {"/v1/status", Route::status, true},
                                                {"/v1/watch", Route::watch, false},
                                                {"/metrics", Route::metrics, true},
                                                {"/master", Route::master, true},
                                                {"/standby", Route::standby, true}}};
constexpr std::string_view kCommandPrefix = "/v1/";
constexpr std::string_view kPeerPrefix = "/v1/peer/";
constexpr std::string_view kRecordPath = "/v1/record";
constexpr std::string_view kTokenPath = "/v1/token";

const ReadRoute* find_read_route(std::string_view path) {
  for (const ReadRoute& entry : kReadRoutes) {
    if (entry.path == path) return &entry;
  }
  return nullptr;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + ('a' - 'A')) : c; };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string to_json_line(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

Route find_route(std::string_view method, std::string_view path) {
  if (const ReadRoute* entry = find_read_route(path)) {
    const bool reads = method == "GET" || (method == "HEAD" && entry->head);
    return reads ? entry->route : Route::wrong_method;
  }
  if (path.starts_with(kPeerPrefix)) {
    return method == "GET" || method == "POST" ? Route::peer : Route::wrong_method;
  }
  if (!path.starts_with(kCommandPrefix) || path.size() == kCommandPrefix.size()) return Route::not_found;
  if (method != "POST") return Route::wrong_method;
  if (path == kRecordPath) return Route::record;
  return path == kTokenPath ? Route::check_token : Route::command;
}

std::string_view allowed_methods(std::string_view path) {
  if (const ReadRoute* entry = find_read_route(path)) return entry->head ? "GET, HEAD" : "GET";
  return path.starts_with(kPeerPrefix) ? "GET, POST" : "POST";
}

std::string_view to_string(TokenCheck check) {
  switch (check) {
    case TokenCheck::accepted:
      return "token accepted";
    case TokenCheck::missing:
      return "no token";
    case TokenCheck::wrong:
      return "wrong token";
    case TokenCheck::none_configured:
      return "no token configured";
  }
  return "";
}

TokenCheck check_token(std::string_view authorization, std::string_view configured) {
  if (configured.empty()) return TokenCheck::none_configured;
  const std::size_t space = authorization.find(' ');
  if (space == std::string_view::npos || !equal_ignoring_case(authorization.substr(0, space), "bearer")) {
    return TokenCheck::missing;
  }
  std::string_view token = authorization.substr(space + 1);
  while (token.starts_with(' ')) token.remove_prefix(1);
  // Digests of equal length are compared, so that not even the length of the token shows in the time.
  const Sha256Digest given = sha256(as_bytes(token));
  const Sha256Digest wanted = sha256(as_bytes(configured));
  return equal_constant_time(given, wanted) ? TokenCheck::accepted : TokenCheck::wrong;
}

ControlReply ok_reply(std::string body, std::string content_type) {
  ControlReply reply;
  reply.body = std::move(body);
  reply.content_type = std::move(content_type);
  return reply;
}

ControlReply error_reply(unsigned status, std::string_view error, std::string_view what_to_do) {
  ControlReply reply;
  reply.status = status;
  reply.body = to_json_line({{"ok", false}, {"error", error}, {"do", what_to_do}});
  return reply;
}

ControlReply refuse_token(TokenCheck check) {
  if (check == TokenCheck::none_configured) {
    return error_reply(403, "this relay takes no commands: it has no token",
                       "set control.token_file (or --control-token-file) to a file with a long random word, "
                       "and start the relay again");
  }
  const bool missing = check == TokenCheck::missing;
  ControlReply reply =
      missing ? error_reply(
                    401, "the request has no bearer token",
                    "send 'Authorization: Bearer <token>' with the token of this relay's control.token_file")
              : error_reply(401, "the bearer token is not the one of this relay",
                            "use the token of this relay's control.token_file (pgtandem --token-file)");
  reply.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"pgtandem\"");
  return reply;
}

ControlReply not_found_reply(std::string_view path) {
  return error_reply(404, "there is no '" + std::string(path.substr(0, 200)) + "' on this port",
                     "see /v1/status, /v1/watch, /metrics, /master, /standby, or / for a page");
}

ControlReply wrong_method_reply(std::string_view method, std::string_view path) {
  const std::string allowed(allowed_methods(path));
  ControlReply reply =
      error_reply(405, "'" + std::string(path.substr(0, 200)) + "' does not take " + std::string(method),
                  "use " + allowed);
  reply.headers.emplace_back("Allow", allowed);
  return reply;
}

ControlReply role_reply(RoleAnswer asked, RoleAnswer actual) {
  const auto name = [](RoleAnswer role) -> std::string_view {
    if (role == RoleAnswer::neither) return "neither";
    return role == RoleAnswer::master ? "master" : "standby";
  };
  ControlReply reply;
  reply.status = asked == actual ? 200 : 503;
  reply.body = to_json_line({{"ok", asked == actual}, {"role", name(actual)}});
  return reply;
}

std::string_view reason_phrase(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Payload Too Large";
    case 422:
      return "Unprocessable Entity";
    case 423:
      return "Locked";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return status < 400 ? "OK" : "Error";
  }
}

}  // namespace pgtandem
