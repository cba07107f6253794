#include "common/control/control-client.h"

#include <nlohmann/json.hpp>

#include "common/net/http-client.h"

namespace pgtandem {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Result<CommandAnswer> parse_command_answer(unsigned http_status, const std::string& body) {
  const json parsed = json::parse(body, nullptr, false);
  if (!parsed.is_object()) {
    return Error{"it answered with status " + std::to_string(http_status) + " and no JSON: is this a relay?"};
  }
  CommandAnswer answer;
  answer.status = http_status;
  answer.body = body;
  const auto ok = parsed.find("ok");
  answer.ok = http_status / 100 == 2 && ok != parsed.end() && ok->is_boolean() && ok->get<bool>();
  if (answer.ok) {
    answer.text = text_of(parsed, "text");
    return answer;
  }
  answer.error = text_of(parsed, "error");
  answer.what_to_do = text_of(parsed, "do");
  if (answer.error.empty()) answer.error = "the relay refused with status " + std::to_string(http_status);
  return answer;
}

ControlClient::ControlClient(Endpoint control_port, Secret token)
    : server_(std::move(control_port)), token_(std::move(token)) {}

asio::awaitable<Result<StatusAnswer>> ControlClient::status(std::chrono::milliseconds timeout) const {
  HttpRequest request;
  request.path = "/v1/status";
  const Result<HttpResponse> response = co_await http_request(server_, std::move(request), timeout);
  if (!response) co_return Error{response.error()};
  if (response->status != 200) {
    co_return Error{to_string(server_) + " answered /v1/status with " + std::to_string(response->status)};
  }
  Result<StatusView> view = parse_status(response->body);
  if (!view) co_return Error{to_string(server_) + ": " + view.error()};
  co_return StatusAnswer{std::move(*view), response->body};
}

asio::awaitable<Result<CommandAnswer>> ControlClient::command(std::string name, std::string json_body,
                                                              std::chrono::milliseconds timeout) const {
  HttpRequest request;
  request.method = "POST";
  request.path = "/v1/" + name;
  request.headers.emplace_back("Content-Type", "application/json");
  if (!token_.empty())
    request.headers.emplace_back("Authorization", "Bearer " + std::string(token_.reveal()));
  request.body = std::move(json_body);
  const Result<HttpResponse> response = co_await http_request(server_, std::move(request), timeout);
  if (!response) co_return Error{response.error()};
  Result<CommandAnswer> answer = parse_command_answer(response->status, response->body);
  if (!answer) co_return Error{to_string(server_) + ": " + answer.error()};
  co_return answer;
}

asio::awaitable<Result<void>> ControlClient::watch(std::function<bool(const StatusAnswer&)> on_status) const {
  std::string unreadable;
  auto on_event = [&](std::string_view data) {
    Result<StatusView> view = parse_status(data);
    if (!view) {
      unreadable = view.error();
      return false;
    }
    return on_status(StatusAnswer{std::move(*view), std::string(data)});
  };
  Result<void> ended = co_await http_watch(server_, "/v1/watch", kWatchSilence, on_event);
  if (!unreadable.empty()) co_return Error{to_string(server_) + ": " + unreadable};
  co_return ended;
}

}  // namespace pgtandem
