#include "tests/unit/keeper/keeper-rig.h"

#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

namespace pgtandem::testing {

using namespace std::chrono_literals;

asio::awaitable<Result<std::string>> FakeLink::call(std::string verb, std::string body,
                                                    Milliseconds timeout) {
  ++calls;
  const std::weak_ptr<int> alive = alive_;
  asio::steady_timer timer(co_await asio::this_coro::executor, silent ? timeout : Milliseconds{1});
  co_await timer.async_wait(asio::use_awaitable);
  if (alive.expired()) co_return Error{"the caller is gone"};
  if (peer == nullptr || silent) co_return Error{"connection refused"};
  ControlRequest request;
  request.method = "GET";
  request.path = "/v1/peer/challenge";
  std::string nonce;
  peer->handle_peer(request, [&nonce](ControlReply reply) {
    nonce = nlohmann::json::parse(reply.body).value("nonce", "");
  });
  request.method = "POST";
  request.path = "/v1/peer/" + verb;
  request.nonce = nonce;
  request.body = std::move(body);
  request.mac = peer_request_mac(key_, nonce, request.path, request.body);
  const auto answer = std::make_shared<std::optional<ControlReply>>();
  peer->handle_peer(request, [answer](ControlReply reply) { *answer = std::move(reply); });
  // A loop, not a wake-up: the answer comes on this thread, and a test has time.
  for (Milliseconds waited{0}; !*answer && waited < timeout; waited += 1ms) {
    timer.expires_after(1ms);
    co_await timer.async_wait(asio::use_awaitable);
    if (alive.expired()) co_return Error{"the caller is gone"};
    if (silent) co_return Error{"timed out"};
  }
  if (!*answer) co_return Error{"timed out"};
  const ControlReply& reply = **answer;
  const std::string expected = peer_response_mac(key_, nonce, reply.status, reply.body);
  if (reply.headers.empty() || !mac_fits(key_, expected, reply.headers.front().second)) {
    co_return Error{"not authenticated, status " + std::to_string(reply.status)};
  }
  if (reply.status != 200) co_return Error{"status " + std::to_string(reply.status)};
  co_return reply.body;
}

KeeperNode::KeeperNode(asio::io_context& io, Node self, const Uuid& cluster, bool has_peer)
    : context(io), floor(io) {
  options.machine.self = self;
  options.machine.cluster = cluster;
  options.machine.has_peer = has_peer;
  options.machine.standby_timeout = 400ms;
  options.machine.stop_timeout = 400ms;
  options.machine.takeover_timeout = 400ms;
  options.machine.state_dir = "/state";
  options.machine.postmaster = "127.0.0.1:5433";
  if (has_peer) options.pair_key = kPairKey;
}

void KeeperNode::boot() {
  std::unique_ptr<PeerLink> new_link;
  if (options.machine.has_peer) {
    auto fake = std::make_unique<FakeLink>(context, options.pair_key);
    link = fake.get();
    new_link = std::move(fake);
  }
  keeper = std::make_unique<Keeper>(context, options, floor,
                                    std::make_unique<TwoSlotStore>(std::make_unique<FakeSlotFiles>(disk)),
                                    std::move(new_link));
  keeper->on_change([this] { ++changes; });
}

KeeperRig::KeeperRig() : a(context, Node::a, cluster), b(context, Node::b, cluster) {
  a.boot();
  b.boot();
  a.link->peer = b.keeper.get();
  b.link->peer = a.keeper.get();
}

KeeperRig::~KeeperRig() {
  a.keeper.reset();
  b.keeper.reset();
}

bool KeeperRig::until(const std::function<bool()>& condition) {
  const auto give_up = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    context.restart();
    context.run_one_for(20ms);
  }
  return true;
}

ControlReply KeeperRig::send(const std::function<void(const ControlRequest&, ControlResponder)>& handler,
                             const ControlRequest& request) {
  const auto answer = std::make_shared<std::optional<ControlReply>>();
  int answers = 0;
  handler(request, [answer, &answers](ControlReply reply) {
    ++answers;
    *answer = std::move(reply);
  });
  REQUIRE(until([&] { return answer->has_value(); }));
  CHECK(answers == 1);
  return **answer;
}

ControlReply KeeperRig::command(KeeperNode& node, const std::string& name, const nlohmann::json& body) {
  ControlRequest request;
  request.method = "POST";
  request.path = "/v1/" + name;
  request.body = body.is_null() ? std::string() : body.dump();
  return send(
      [&node](const ControlRequest& r, ControlResponder respond) { node.keeper->handle_command(r, respond); },
      request);
}

void KeeperRig::join() {
  a.keeper->start();
  b.keeper->start();
  REQUIRE(command(a, "init", {{"master", "a"}, {"standby_is_equal", true}}).status == 200);
  REQUIRE(until([&] {
    return a.state() == RoleState::master && b.state() == RoleState::standby &&
           a.floor.authority().service == Service::serve;
  }));
}

nlohmann::json json_of(const ControlReply& reply) {
  return nlohmann::json::parse(reply.body);
}

}  // namespace pgtandem::testing
