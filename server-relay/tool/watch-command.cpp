#include <csignal>
#include <ctime>
#include <ostream>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include "server-relay/tool/command.h"
#include "server-relay/tool/pair-client.h"
#include "server-relay/tool/status-screen.h"
#include "server-relay/tool/watch-lines.h"

namespace pgtandem::tool {
namespace {

constexpr std::chrono::seconds kReconnect{1};
constexpr auto kHomeAndClear = "\x1b[H\x1b[2J";

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// Follows all relays at once and prints what changes, until a signal or a reader that went away.
class Watcher {
 public:
  Watcher(Context& context, bool json)
      : context_(context),
        json_(json),
        screen_(context.out_terminal && !json),
        signals_(io_, SIGINT, SIGTERM) {}

  int run(const std::vector<Endpoint>& ports) {
    pair_.resize(ports.size());
    for (std::size_t i = 0; i < ports.size(); ++i) {
      pair_[i].control_port = to_string(ports[i]);
      pair_[i].error = "not asked yet";
      asio::co_spawn(io_, follow(ports[i], i), [this](std::exception_ptr thrown) {
        thrown_ = thrown;
        io_.stop();
      });
    }
    signals_.async_wait([this](const asio::error_code&, int) { io_.stop(); });
    io_.run();
    if (thrown_) std::rethrow_exception(thrown_);
    return context_.out ? kOk : kInputOutput;
  }

 private:
  asio::awaitable<void> follow(Endpoint port, std::size_t index) {
    asio::steady_timer timer(io_);
    const ControlClient client(port);
    while (true) {
      const Result<void> ended = co_await client.watch([this, index](const StatusAnswer& answer) {
        heard(index, answer);
        return bool(context_.out);
      });
      if (!context_.out) co_return;
      lost(index, ended ? "the relay ended the stream" : ended.error());
      timer.expires_after(kReconnect);
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  void heard(std::size_t index, const StatusAnswer& answer) {
    RelayStatus& relay = pair_[index];
    relay.view = answer.view;
    relay.json = answer.json;
    relay.error.clear();
    measure(relay);
    if (screen_) return draw();
    if (json_) {
      print(nlohmann::json{{"control", relay.control_port},
                           {"status", nlohmann::json::parse(answer.json, nullptr, false)}}
                .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      return;
    }
    for (const std::string& line : lines_.status(relay.control_port, answer.view, utc_now())) print(line);
  }

  void lost(std::size_t index, const std::string& why) {
    RelayStatus& relay = pair_[index];
    const bool news = relay.view.has_value() || relay.error != why;
    relay.view.reset();
    relay.error = why;
    if (screen_) return draw();
    if (json_) {
      if (news)
        print(nlohmann::json{{"control", relay.control_port}, {"error", why}}.dump(
            -1, ' ', false, nlohmann::json::error_handler_t::replace));
      return;
    }
    for (const std::string& line : lines_.lost(relay.control_port, why, utc_now())) print(line);
  }

  /// Units a second of the active relay, between statuses at least half a second apart.
  void measure(const RelayStatus& relay) {
    if (find_active(pair_) != &relay) return;
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> passed = now - measured_at_;
    if (measured_relay_ == &relay && passed < std::chrono::milliseconds(500)) return;
    rate_.measured = measured_relay_ == &relay && relay.view->units >= measured_units_;
    if (rate_.measured) rate_.units_a_second = double(relay.view->units - measured_units_) / passed.count();
    measured_relay_ = &relay;
    measured_units_ = relay.view->units;
    measured_at_ = now;
  }

  void draw() { context_.out << kHomeAndClear << status_screen(pair_, context_.style, rate_) << std::flush; }
  void print(const std::string& line) { context_.out << line << "\n" << std::flush; }

  Context& context_;
  const bool json_;
  const bool screen_;
  asio::io_context io_;
  asio::signal_set signals_;
  PairStatus pair_;
  WatchLines lines_;
  Rate rate_;
  const RelayStatus* measured_relay_ = nullptr;
  std::uint64_t measured_units_ = 0;
  std::chrono::steady_clock::time_point measured_at_;
  std::exception_ptr thrown_;
};

}  // namespace

int watch_command(Context& context) {
  cxxopts::Options options = make_options(
      "watch", "Shows the pair live: a screen on a terminal, else one line an event. Ends with Ctrl-C.");
  options.add_options()("json", "One JSON object a line for each status that a relay tells.");
  const auto parsed = parse(context, options);
  if (!parsed) return kOk;
  std::vector<Endpoint> ports = control_ports(context.settings);
  if (ports.size() == 1) {
    const PairStatus pair = ask_pair(context.settings);  // learns the other relay from the one that is named
    if (pair.size() == 2) ports.push_back(*parse_endpoint(pair[1].control_port));
  }
  return Watcher(context, parsed->count("json") > 0).run(ports);
}

}  // namespace pgtandem::tool
