#include "client-forwarder/relay-watch.h"

#include <algorithm>

#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "common/net/http-client.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// A relay sends an event at least every second; after three it is as good as gone.
constexpr milliseconds kWatchSilence = 3s;
constexpr milliseconds kStatusTimeout = 2s;
constexpr milliseconds kFirstDelay = 100ms;
constexpr milliseconds kLongestDelay = 1s;
/// A status has a few kilobytes.
constexpr std::size_t kMaxStatusBytes = 1U << 20;

asio::awaitable<void> sleep_for(milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

/// Asks once. Empty if a report came, else why not.
asio::awaitable<std::string> poll_status(const Endpoint& control_port, const RelayWatchHandlers& handlers) {
  HttpRequest request;
  request.path = "/v1/status";
  const auto response =
      co_await http_request(control_port, std::move(request), kStatusTimeout, kMaxStatusBytes);
  if (!response.ok()) co_return response.error();
  if (response->status != 200) co_return "the status of the answer is " + std::to_string(response->status);
  const auto report = parse_report(response->body);
  if (!report.ok()) co_return report.error();
  handlers.on_report(*report);
  co_return std::string();
}

}  // namespace

asio::awaitable<void> watch_relay(Endpoint control_port, RelayWatchHandlers handlers) {
  milliseconds delay = kFirstDelay;
  for (;;) {
    std::string why;
    const auto on_event = [&](std::string_view data) {
      const auto report = parse_report(data);
      if (!report.ok()) {
        why = "http://" + to_string(control_port) + "/v1/watch: " + report.error();
        return false;
      }
      delay = kFirstDelay;
      handlers.on_report(*report);
      return true;
    };
    const auto watched = co_await http_watch(control_port, "/v1/watch", kWatchSilence, on_event);
    // The stream broke. The status tells whether the relay did too, or only what lies between.
    if (!watched.ok()) why = co_await poll_status(control_port, handlers);
    if (why.empty()) {
      delay = kLongestDelay;
    } else {
      handlers.on_silence(why);
    }
    co_await sleep_for(delay);
    delay = std::min(delay * 2, kLongestDelay);
  }
}

}  // namespace pgtandem
