#include "client-forwarder/session.h"

#include <algorithm>

#include <asio/co_spawn.hpp>

#include "client-forwarder/refusal.h"
#include "common/base/log.h"
#include "common/net/connect.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

/// One attempt; a relay that lives answers within a round trip. At least kShortestAttempt even at the end of
/// the wait.
constexpr auto kLongestAttempt = 3s;
constexpr auto kShortestAttempt = 1s;
/// Between attempts, so that a relay that refuses is not hammered.
constexpr auto kRetryDelay = 250ms;
/// How long a refused client may take to say its start-up and read the answer.
constexpr auto kLastWords = 3s;

std::string name_of(const tcp::socket& socket) {
  asio::error_code failure;
  const tcp::endpoint peer = socket.remote_endpoint(failure);
  return failure ? "gone" : pgtandem::to_string(Endpoint{peer.address().to_string(), peer.port()});
}

}  // namespace

std::string_view to_string(SessionOutcome outcome) {
  switch (outcome) {
    case SessionOutcome::open:
      return "open";
    case SessionOutcome::finished:
      return "finished";
    case SessionOutcome::client_gone:
      return "client-gone";
    case SessionOutcome::relay_gone:
      return "relay-gone";
    case SessionOutcome::master_changed:
      return "master-changed";
    case SessionOutcome::no_master:
      return "no-master";
    case SessionOutcome::stopped:
      return "stopped";
  }
  return "";
}

Session::Session(tcp::socket client, SessionSurroundings surroundings)
    : surroundings_(surroundings),
      client_(std::move(client)),
      relay_(client_.get_executor()),
      client_name_(name_of(client_)) {
  prepare_socket(client_);
}

void Session::end(SessionOutcome outcome) {
  if (outcome_ != SessionOutcome::open) return;
  outcome_ = outcome;
  asio::error_code ignored;
  client_.close(ignored);
  relay_.close(ignored);
}

bool Session::end_if_connected_to(std::size_t relay) {
  if (outcome_ != SessionOutcome::open || connected_to_ != relay) return false;
  end(SessionOutcome::master_changed);
  return true;
}

asio::awaitable<void> Session::run() {
  const auto self = shared_from_this();
  if (co_await connect()) {
    co_await pass_on();
  } else if (outcome_ == SessionOutcome::open) {
    co_await refuse();
  }
  log_end();
}

/// Waits for a master and connects to it, as often as it takes until connect_wait is over.
asio::awaitable<bool> Session::connect() {
  const auto deadline = begin_ + surroundings_.settings.connect_wait;
  for (;;) {
    const auto target = surroundings_.follower.target();
    if (target && co_await try_relay(*target)) co_return true;
    const auto now = Clock::now();
    if (outcome_ != SessionOutcome::open || now >= deadline) co_return false;
    // Another target since then is tried at once.
    if (surroundings_.follower.target() != target) continue;
    const auto next = target ? std::min<Clock::time_point>(deadline, now + kRetryDelay) : deadline;
    co_await surroundings_.target_changed.wait_until(next);
    if (outcome_ != SessionOutcome::open) co_return false;
  }
}

asio::awaitable<bool> Session::try_relay(std::size_t relay) {
  const RelayAddress& address = surroundings_.settings.relays[relay];
  const auto now = Clock::now();
  const auto left = begin_ + surroundings_.settings.connect_wait - now;
  const auto limit = std::clamp<Clock::duration>(left, kShortestAttempt, kLongestAttempt);
  const Endpoint endpoint{address.host, address.relay_port};  // with a name: see http-client.h
  auto socket = co_await connect_tcp(endpoint, now + limit);
  if (outcome_ != SessionOutcome::open) co_return false;
  if (!socket.ok()) {
    last_failure_ = socket.error();
    log::debug("relay-refused", {{"client", client_name_}, {"error", last_failure_}});
    co_return false;
  }
  // The master may have changed while this connection was made; a session must not begin at the old one.
  if (surroundings_.follower.target() != relay) co_return false;
  relay_ = std::move(*socket);
  prepare_socket(relay_);
  connected_to_ = relay;
  co_return true;
}

asio::awaitable<void> Session::pass_on() {
  asio::steady_timer both_done(client_.get_executor(), Clock::time_point::max());
  bool other_done = false;
  asio::co_spawn(client_.get_executor(), one_way(false),
                 [self = shared_from_this(), &other_done, &both_done](const std::exception_ptr& failure) {
                   if (failure) self->end(SessionOutcome::relay_gone);
                   // This frame lives until other_done is set: pass_on() waits for it.
                   other_done = true;
                   both_done.cancel();
                 });
  co_await one_way(true);
  while (!other_done) {
    asio::error_code ignored;
    co_await both_done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  end(SessionOutcome::finished);
}

asio::awaitable<void> Session::one_way(bool from_client) {
  const PumpResult result =
      from_client ? co_await pump(client_, relay_, to_relay_) : co_await pump(relay_, client_, to_client_);
  if (result.end == PumpEnd::orderly) co_return;
  const bool client_failed = from_client == (result.end == PumpEnd::source_gone);
  if (outcome_ == SessionOutcome::open) last_failure_ = result.failure.message();
  end(client_failed ? SessionOutcome::client_gone : SessionOutcome::relay_gone);
}

asio::awaitable<void> Session::refuse() {
  const bool known = surroundings_.follower.target().has_value();
  const std::string message =
      known ? "the master's relay cannot be reached" : "the database has no master at present";
  const std::string detail =
      known ? last_failure_ : "pgtandem-forwarder: " + surroundings_.follower.explain() + ".";
  co_await refuse_client(std::shared_ptr<tcp::socket>(shared_from_this(), &client_), message, detail,
                         kLastWords);
  if (last_failure_.empty()) last_failure_ = surroundings_.follower.explain();
  end(SessionOutcome::no_master);
}

void Session::log_end() const {
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin_).count();
  const bool quiet = outcome_ == SessionOutcome::finished || outcome_ == SessionOutcome::client_gone ||
                     outcome_ == SessionOutcome::stopped;
  const auto level = quiet                                   ? log::Level::debug
                     : outcome_ == SessionOutcome::no_master ? log::Level::warning
                                                             : log::Level::info;
  log::write(
      level, "session-ended",
      {{"outcome", to_string(outcome_)},
       {"client", client_name_},
       {"relay", connected_to_ ? surroundings_.settings.relays[*connected_to_].host : std::string("none")},
       {"ms", std::int64_t(milliseconds)},
       {"to_relay", to_relay_},
       {"to_client", to_client_},
       {"error", quiet ? std::string() : last_failure_}});
}

}  // namespace pgtandem
