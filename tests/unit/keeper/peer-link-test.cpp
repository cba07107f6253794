#include <asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

#include "tests/unit/keeper/keeper-rig.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

/// A keeper behind a real control port on loopback.
struct RealNode {
  RealNode(asio::io_context& io, Node self, const Uuid& cluster)
      : node(io, self, cluster), server(io, {{"127.0.0.1", 0}}, "token", handlers()) {
    REQUIRE(server.start().ok());
  }
  ControlHandlers handlers() {
    ControlHandlers result;
    result.status_json = [this] { return node.keeper->status().dump(); };
    result.metrics_text = [] { return std::string(); };
    result.role = [this] { return node.keeper->role(); };
    result.command = [this](const ControlRequest& r, ControlResponder respond) {
      node.keeper->handle_command(r, std::move(respond));
    };
    result.peer = [this](const ControlRequest& r, ControlResponder respond) {
      node.keeper->handle_peer(r, std::move(respond));
    };
    result.record = [this](const ControlRequest& r, ControlResponder respond) {
      node.keeper->handle_record(r, std::move(respond));
    };
    return result;
  }
  void boot(const Endpoint& peer, const Secret& key = kPairKey) {
    node.options.pair_key = key;
    node.keeper =
        std::make_unique<Keeper>(node.context, node.options, node.floor,
                                 std::make_unique<TwoSlotStore>(std::make_unique<FakeSlotFiles>(node.disk)),
                                 std::make_unique<HttpPeerLink>(peer, key));
  }
  Endpoint endpoint() const { return server.listening().front(); }

  KeeperNode node;
  ControlServer server;
};

struct RealPair {
  RealPair() : a(context, Node::a, cluster), b(context, Node::b, cluster) {}
  ~RealPair() {
    a.server.stop();
    b.server.stop();
    a.node.keeper.reset();
    b.node.keeper.reset();
    context.restart();
    context.run_for(10ms);
  }
  bool until(const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      context.restart();
      context.run_one_for(20ms);
    }
    return true;
  }

  asio::io_context context;
  Uuid cluster = random_uuid();
  RealNode a;
  RealNode b;
};

}  // namespace

TEST_CASE("two keepers join, degrade and take over through real control ports") {
  RealPair pair;
  pair.a.node.options.machine.standby_timeout = pair.b.node.options.machine.standby_timeout = 2s;
  pair.a.boot(pair.b.endpoint());
  pair.b.boot(pair.a.endpoint());
  pair.a.node.keeper->start();
  pair.b.node.keeper->start();
  std::optional<ControlReply> reply;
  ControlRequest init;
  init.method = "POST";
  init.path = "/v1/init";
  init.body = R"({"master":"a","standby_is_equal":true})";
  pair.b.node.keeper->handle_command(init, [&reply](ControlReply answer) { reply = std::move(answer); });
  REQUIRE(pair.until([&] { return reply.has_value(); }));
  INFO(reply->body);
  REQUIRE(reply->status == 200);
  REQUIRE(pair.until(
      [&] { return pair.a.node.state() == RoleState::master && pair.b.node.state() == RoleState::standby; }));
  reply.reset();
  ControlRequest promote;
  promote.method = "POST";
  promote.path = "/v1/promote";
  pair.b.node.keeper->handle_command(promote, [&reply](ControlReply answer) { reply = std::move(answer); });
  REQUIRE(pair.until([&] { return reply.has_value(); }));
  CHECK(reply->status == 200);
  CHECK(pair.until(
      [&] { return pair.a.node.state() == RoleState::stale && pair.b.node.state() == RoleState::alone; }));
}

TEST_CASE("two relays with different keys never hear each other, and the log says why") {
  RealPair pair;
  pair.a.boot(pair.b.endpoint());
  pair.b.boot(pair.a.endpoint(), Secret("another key of enough bytes"));
  HttpPeerLink link(pair.b.endpoint(), kPairKey);
  pair.b.node.keeper->start();
  RoleMachine machine = pair.a.node.keeper->machine();
  const auto answer =
      run_coroutine(pair.context, link.call("hello", encode_peer_request({machine.report(), Hello{}}), 2s));
  REQUIRE(pair.until([&] { return answer->has_value(); }));
  REQUIRE_FALSE((*answer)->ok());
  CHECK((*answer)->error().find("key_file") != std::string::npos);
  CHECK_FALSE(pair.b.node.keeper->machine().peer().report.has_value());
}

TEST_CASE("a port where nobody listens, or something else does, is a silence with its reason") {
  asio::io_context context;
  const auto call = [&context](const Endpoint& endpoint) {
    HttpPeerLink link(endpoint, kPairKey);
    const auto answer = run_coroutine(context, link.call("hello", "{}", 1s));
    context.restart();
    context.run_for(5s);
    REQUIRE(answer->has_value());
    REQUIRE_FALSE((*answer)->ok());
    return (*answer)->error();
  };
  asio::ip::tcp::acceptor mute(context,
                               {asio::ip::make_address("127.0.0.1"), 0});  // accepts and never answers
  const std::uint16_t port = mute.local_endpoint().port();
  CHECK_FALSE(call(Endpoint{"127.0.0.1", port}).empty());
  mute.close();
  CHECK(call(Endpoint{"127.0.0.1", port}).find(std::to_string(port)) != std::string::npos);
}
