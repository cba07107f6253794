#include "server-relay/keeper/peer-link.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/net/http-client.h"
#include "common/roles/peer-auth.h"

namespace pgtandem {
namespace {

/// A registered verb may answer with a catalogue; the roles' own answers are far smaller.
constexpr std::size_t kMaxAnswer = 64U << 20;
constexpr std::size_t kMaxChallenge = 4096;

using Clock = std::chrono::steady_clock;

std::string header_of(const HttpResponse& response, std::string_view name) {
  const auto found =
      std::ranges::find_if(response.headers, [name](const auto& header) { return header.first == name; });
  return found == response.headers.end() ? std::string() : found->second;
}

}  // namespace

asio::awaitable<Result<std::string>> HttpPeerLink::challenge(Milliseconds timeout) {
  HttpRequest request;
  request.path = "/v1/peer/challenge";
  const Result<HttpResponse> response = co_await http_request(control_port_, request, timeout, kMaxChallenge);
  if (!response) co_return Error{response.error()};
  const nlohmann::json body = nlohmann::json::parse(response->body, nullptr, false);
  const auto nonce = body.is_object() ? body.find("nonce") : body.end();
  if (response->status != 200 || nonce == body.end() || !nonce->is_string()) {
    co_return Error{to_string(control_port_) + " gave no challenge (status " +
                    std::to_string(response->status) + "): is it the control port of the other relay?"};
  }
  co_return nonce->get<std::string>();
}

asio::awaitable<Result<std::string>> HttpPeerLink::call(std::string verb, std::string body,
                                                        Milliseconds timeout) {
  const Clock::time_point give_up = Clock::now() + timeout;
  const Result<std::string> nonce = co_await challenge(timeout);
  if (!nonce) co_return Error{nonce.error()};
  HttpRequest request;
  request.method = "POST";
  request.path = "/v1/peer/" + verb;
  request.body = std::move(body);
  request.headers = {{"Content-Type", "application/json"},
                     {"X-Pgtandem-Nonce", *nonce},
                     {"X-Pgtandem-Mac", peer_request_mac(pair_key_, *nonce, request.path, request.body)}};
  const auto left = std::chrono::duration_cast<Milliseconds>(give_up - Clock::now());
  if (left <= Milliseconds{0}) co_return Error{to_string(control_port_) + " did not answer in time"};
  const Result<HttpResponse> response = co_await http_request(control_port_, request, left, kMaxAnswer);
  if (!response) co_return Error{response.error()};
  const std::string mac = peer_response_mac(pair_key_, *nonce, response->status, response->body);
  if (!mac_fits(pair_key_, mac, header_of(*response, "x-pgtandem-mac"))) {
    co_return Error{"the relay at " + to_string(control_port_) + " does not have this pair's key (status " +
                    std::to_string(response->status) + "): compare [pair] key_file on both hosts"};
  }
  if (response->status != 200) {
    co_return Error{to_string(control_port_) + " refused " + verb + " with status " +
                    std::to_string(response->status) + ": " + response->body.substr(0, 200)};
  }
  co_return response->body;
}

}  // namespace pgtandem
