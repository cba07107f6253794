#include "client-forwarder/forwarder.h"

#include <asio/co_spawn.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/post.hpp>
#include <nlohmann/json.hpp>

#include "client-forwarder/relay-watch.h"
#include "common/base/log.h"
#include "common/config/value.h"
#include "common/net/http-client.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

/// After a failed accept (no more files, most likely): sessions that end make room.
constexpr auto kAcceptPause = 200ms;
constexpr std::chrono::milliseconds kCarryTimeout = 3s;
/// A relay that refused a record is offered it again after this.
constexpr auto kCarryPause = 5s;
/// For how long a relay that shows a lower epoch is waited for, before its sessions are ended: it sends its
/// state when it changes. One that was draining hands its sessions over or ends them itself.
constexpr std::chrono::milliseconds kMoment = 200ms;
constexpr std::chrono::milliseconds kMomentOfDraining = 3s;

asio::error_code open_acceptor(tcp::acceptor& acceptor, const tcp::endpoint& address) {
  asio::error_code failure;
  acceptor.open(address.protocol(), failure);
#ifndef _WIN32  // there it would let another program take the port over
  if (!failure) acceptor.set_option(tcp::acceptor::reuse_address(true), failure);
#endif
  if (!failure && address.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), failure);
  if (!failure) acceptor.bind(address, failure);
  if (!failure) acceptor.listen(asio::socket_base::max_listen_connections, failure);
  return failure;
}

/// This host has no IPv6 (or no IPv4), or no such address in it.
bool is_missing_family(asio::error_code failure) {
  return failure == asio::error::address_family_not_supported || failure == std::errc::address_not_available;
}

std::string text_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown";
  }
}

}  // namespace

Forwarder::Forwarder(ForwarderSettings settings)
    : settings_(std::move(settings)),
      memory_file_(settings_.state_file),
      relays_(settings_.relays.size()),
      follower_(settings_.relays.size(), {}) {}

Forwarder::~Forwarder() = default;

Result<void> Forwarder::load_memory() {
  const auto folder = memory_file_.check_folder();
  if (!folder.ok()) return Error{folder.error()};
  auto memory = memory_file_.load();
  if (!memory.ok()) {
    log::warning("state-file-ignored",
                 {{"error", memory.error()}, {"consequence", "starting without memory"}});
  } else if (*memory) {
    log::info("state-loaded", {{"epoch", (*memory)->epoch}, {"master", to_string((*memory)->master)}});
    follower_ = Follower(settings_.relays.size(), std::move(**memory));
  }
  return {};
}

Result<void> Forwarder::open_ports() {
  for (const Endpoint& endpoint : settings_.listen) {
    const auto opened = listen_on(endpoint);
    if (!opened.ok()) return Error{opened.error()};
  }
  return {};
}

/// All addresses of a name; those of a family that this host does not have are left out if another one works.
Result<void> Forwarder::listen_on(const Endpoint& endpoint) {
  asio::error_code failure;
  std::vector<tcp::endpoint> addresses;
  if (endpoint.host.empty()) {
    addresses = {{tcp::v4(), endpoint.port}, {tcp::v6(), endpoint.port}};
  } else {
    tcp::resolver resolver(context_);
    for (const auto& entry :
         resolver.resolve(endpoint.host, std::to_string(endpoint.port),
                          tcp::resolver::passive | tcp::resolver::numeric_service, failure)) {
      addresses.push_back(entry.endpoint());
    }
  }
  std::size_t opened = 0;
  for (const tcp::endpoint& address : addresses) {
    tcp::acceptor acceptor(context_);
    failure = open_acceptor(acceptor, address);
    if (!failure) {
      acceptors_.push_back(std::move(acceptor));
      ++opened;
    } else if (!is_missing_family(failure)) {
      opened = 0;
      break;
    }
  }
  if (opened > 0) return {};
  return Error{"cannot listen on " + to_string(endpoint) + ": " + failure.message() +
               " (is another program there?)"};
}

std::vector<Endpoint> Forwarder::ports() const {
  std::vector<Endpoint> ports;
  for (const auto& acceptor : acceptors_) {
    const auto local = acceptor.local_endpoint();
    ports.push_back({local.address().to_string(), local.port()});
  }
  return ports;
}

bool Forwarder::run() {
  for (std::size_t i = 0; i < relays_.size(); ++i) watch(i);
  for (auto& acceptor : acceptors_) {
    asio::co_spawn(context_, accept_on(acceptor),
                   [this](const std::exception_ptr& failure) { fail(failure); });
  }
  for (const Endpoint& port : ports()) log::info("listening", {{"address", to_string(port)}});
  context_.run();
  return !failed_;
}

/// A forwarder that no longer accepts or watches is of no use: whoever started it shall start it again.
void Forwarder::fail(const std::exception_ptr& failure) {
  if (!failure) return;
  log::error("forwarder-failed", {{"error", text_of(failure)}});
  failed_ = true;
  stop();
}

void Forwarder::stop() {
  asio::post(context_, [this] {
    log::info("forwarder-stopped", {{"sessions", std::uint64_t(sessions_.size())}});
    for (const auto& session : sessions_) session->end(SessionOutcome::stopped);
    // Closed, not destroyed: Windows runs what is queued already after stop(), an accept among it.
    asio::error_code ignored;
    for (auto& acceptor : acceptors_) acceptor.close(ignored);
    context_.stop();
  });
}

asio::awaitable<void> Forwarder::accept_on(tcp::acceptor& acceptor) {
  bool failing = false;
  for (;;) {
    asio::error_code failure;
    tcp::socket client = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, failure));
    if (failure == asio::error::operation_aborted || !acceptor.is_open()) co_return;
    if (!failure) {
      failing = false;
      begin_session(std::move(client));
      continue;
    }
    if (!failing)
      log::warning("accept-failed",
                   {{"error", failure.message()}, {"sessions", std::uint64_t(sessions_.size())}});
    failing = true;
    asio::steady_timer pause(context_, kAcceptPause);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

void Forwarder::begin_session(tcp::socket client) {
  const SessionSurroundings surroundings{settings_, follower_, target_changed_};
  const auto session = std::make_shared<Session>(std::move(client), surroundings);
  sessions_.insert(session);
  asio::co_spawn(context_, session->run(), [this, session](const std::exception_ptr& failure) {
    if (failure) log::error("session-failed", {{"error", text_of(failure)}});
    sessions_.erase(session);
  });
}

Endpoint Forwarder::control_port(std::size_t relay) const {
  return {settings_.relays[relay].host, settings_.relays[relay].control_port};
}

void Forwarder::watch(std::size_t relay) {
  RelayWatchHandlers handlers;
  handlers.on_report = [this, relay](const RelayReport& report) {
    log_reachable(relay, true, report.state);
    follow(relay, follower_.on_report(relay, report));
  };
  handlers.on_silence = [this, relay](const std::string& why) {
    log_reachable(relay, false, why);
    follow(relay, follower_.on_silence(relay));
  };
  asio::co_spawn(context_, watch_relay(control_port(relay), std::move(handlers)),
                 [this](const std::exception_ptr& failure) { fail(failure); });
}

void Forwarder::log_reachable(std::size_t relay, bool reachable, const std::string& text) {
  if (relays_[relay].reachable == reachable) return;
  relays_[relay].reachable = reachable;
  const std::string name = config::to_string(settings_.relays[relay]);
  if (reachable) {
    log::info("relay-answers", {{"relay", name}, {"state", text}});
  } else {
    log::warning("relay-silent", {{"relay", name}, {"error", text}});
  }
}

void Forwarder::follow(std::size_t relay, const Decision& decision) {
  if (decision.remember) {
    // Before anything is done that follows from it: a restart must not fall back behind this epoch.
    const auto saved = memory_file_.save(follower_.memory());
    if (!saved.ok()) log::warning("state-not-saved", {{"error", saved.error()}});
  }
  if (!decision.remark.empty()) {
    log::warning("relay-remark",
                 {{"relay", config::to_string(settings_.relays[relay])}, {"text", decision.remark}});
  }
  if (decision.target_changed) log_target();
  for (const std::size_t i : decision.end_sessions) end_sessions(i);
  for (const std::size_t i : decision.wait_for) await_word(i);
  for (const std::size_t i : decision.carry_to) carry(i);
  if (!decision.target_changed) return;
  target_changed_.notify();
  changed_();
}

std::string Forwarder::status_line() const {
  const auto target = follower_.target();
  const std::string sessions =
      std::to_string(sessions_.size()) + (sessions_.size() == 1 ? " session" : " sessions");
  if (!target) return "no master: " + follower_.explain() + "; " + sessions;
  return "following " + config::to_string(settings_.relays[*target]) + ", epoch " +
         std::to_string(follower_.memory().epoch) + ", " + sessions;
}

void Forwarder::log_target() const {
  const auto target = follower_.target();
  if (target) {
    log::info("following",
              {{"relay", config::to_string(settings_.relays[*target])}, {"epoch", follower_.memory().epoch}});
  } else {
    log::warning("no-master", {{"why", follower_.explain()}});
  }
}

void Forwarder::end_sessions(std::size_t relay) {
  std::uint64_t ended = 0;
  for (const auto& session : sessions_) ended += session->end_if_connected_to(relay) ? 1 : 0;
  if (ended == 0) return;
  log::info("sessions-ended", {{"relay", config::to_string(settings_.relays[relay])},
                               {"sessions", ended},
                               {"why", "it is no longer the master's relay"}});
}

void Forwarder::await_word(std::size_t relay) {
  if (relays_[relay].awaited) return;
  relays_[relay].awaited = true;
  const auto wait = follower_.is_draining(relay) ? kMomentOfDraining : kMoment;
  asio::co_spawn(
      context_,
      [this, wait]() -> asio::awaitable<void> {
        asio::steady_timer moment(context_, wait);
        co_await moment.async_wait(asio::use_awaitable);
      },
      [this, relay](const std::exception_ptr& failure) {
        if (failure) return fail(failure);
        relays_[relay].awaited = false;
        follow(relay, follower_.on_patience_over(relay));
      });
}

void Forwarder::carry(std::size_t relay) {
  if (relays_[relay].carrying || Clock::now() < relays_[relay].carry_again) return;
  relays_[relay].carrying = true;
  asio::co_spawn(context_, carry_record(relay, follower_.memory()),
                 [this, relay](const std::exception_ptr& failure) {
                   if (failure) log::error("carry-failed", {{"error", text_of(failure)}});
                   relays_[relay].carrying = false;
                 });
}

/// Gives the record of the highest epoch to a relay that shows a lower one (hard point 12): the relay checks
/// it.
asio::awaitable<void> Forwarder::carry_record(std::size_t relay, FollowerMemory record) {
  HttpRequest request;
  request.method = "POST";
  request.path = "/v1/record";
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = nlohmann::json{{"payload", record.payload}, {"mac", record.mac}}.dump();
  const auto answer = co_await http_request(control_port(relay), std::move(request), kCarryTimeout);
  const bool taken = answer.ok() && answer->status / 100 == 2;
  relays_[relay].carry_again = Clock::now() + (taken ? 1s : kCarryPause);
  if (relays_[relay].carried == record.epoch) co_return;  // told before
  relays_[relay].carried = record.epoch;
  const std::string name = config::to_string(settings_.relays[relay]);
  if (taken) {
    log::info("record-carried", {{"relay", name}, {"epoch", record.epoch}});
  } else {
    const std::string why = answer.ok() ? "status " + std::to_string(answer->status) : answer.error();
    log::warning("record-refused", {{"relay", name}, {"epoch", record.epoch}, {"error", why}});
  }
}

}  // namespace pgtandem
