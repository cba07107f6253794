#include <asio/co_spawn.hpp>
#include <catch2/catch.hpp>

#include "common/roles/role-record.h"
#include "tests/unit/keeper/keeper-rig.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

std::string challenge(KeeperRig& rig) {
  ControlRequest request;
  request.method = "GET";
  request.path = "/v1/peer/challenge";
  const ControlReply reply = rig.send(
      [&rig](const ControlRequest& r, ControlResponder respond) { rig.a.keeper->handle_peer(r, respond); },
      request);
  CHECK(reply.status == 200);
  return json_of(reply)["nonce"];
}

ControlReply post(KeeperRig& rig, ControlRequest request) {
  request.method = "POST";
  return rig.send(
      [&rig](const ControlRequest& r, ControlResponder respond) { rig.a.keeper->handle_peer(r, respond); },
      request);
}

/// A request that is authenticated as it should be.
ControlRequest genuine(KeeperRig& rig, const std::string& verb, const std::string& body) {
  ControlRequest request;
  request.path = "/v1/peer/" + verb;
  request.body = body;
  request.nonce = challenge(rig);
  request.mac = peer_request_mac(kPairKey, request.nonce, request.path, request.body);
  return request;
}

std::string fence_body(KeeperRig& rig, const Secret& key) {
  RoleRecord claim = rig.b.keeper->machine().record();
  claim.epoch = 2;
  claim.master = Node::b;
  FenceYourself fence;
  fence.record = sign_record(key, claim);
  RoleMachine copy = rig.b.keeper->machine();
  return encode_peer_request({copy.report(), fence});
}

}  // namespace

TEST_CASE("a peer request without a fresh challenge and the right MAC does nothing") {
  KeeperRig rig;
  rig.join();
  const std::string body = fence_body(rig, kPairKey);
  const ControlRequest good = genuine(rig, "fence", body);

  ControlRequest no_challenge = good;
  no_challenge.nonce = "00";
  no_challenge.mac = peer_request_mac(kPairKey, "00", good.path, body);
  CHECK(post(rig, no_challenge).status == 403);

  ControlRequest other_key = genuine(rig, "fence", body);
  other_key.mac =
      peer_request_mac(Secret("another key of enough bytes"), other_key.nonce, other_key.path, body);
  CHECK(post(rig, other_key).status == 403);

  ControlRequest other_body = genuine(rig, "fence", body);
  other_body.body += " ";
  CHECK(post(rig, other_body).status == 403);

  ControlRequest other_path = genuine(rig, "hello", body);
  other_path.path = "/v1/peer/fence";
  CHECK(post(rig, other_path).status == 403);

  ControlRequest no_mac = genuine(rig, "fence", body);
  no_mac.mac.clear();
  CHECK(post(rig, no_mac).status == 403);
  CHECK(rig.a.state() == RoleState::master);

  // The same request with all of it right works, once.
  const ControlReply done = post(rig, good);
  CHECK(done.status == 200);
  REQUIRE(done.headers.size() == 1);
  CHECK(done.headers[0].first == "X-Pgtandem-Mac");
  CHECK(done.headers[0].second == peer_response_mac(kPairKey, good.nonce, 200, done.body));
  CHECK_FALSE(is_active(rig.a.state()));
  CHECK(post(rig, good).status == 403);
}

TEST_CASE("a fence whose record is not signed with the pair's key does nothing") {
  KeeperRig rig;
  rig.join();
  const ControlReply reply =
      post(rig, genuine(rig, "fence", fence_body(rig, Secret("another key of enough bytes"))));
  CHECK(reply.status == 400);
  CHECK(rig.a.state() == RoleState::master);
}

TEST_CASE("a fence in the name of another pair does nothing") {
  KeeperRig rig;
  rig.join();
  RoleMachine copy = rig.b.keeper->machine();
  NodeReport stranger = copy.report();
  stranger.cluster = random_uuid();
  stranger.epoch = stranger.highest_seen = 99;
  const ControlReply reply = post(rig, genuine(rig, "hello", encode_peer_request({stranger, Hello{}})));
  CHECK(reply.status == 200);
  CHECK(json_of(reply)["ok"] == false);
  CHECK(rig.a.state() == RoleState::master);
}

TEST_CASE("malformed peer requests are refused with an authenticated error, and change nothing") {
  KeeperRig rig;
  rig.join();
  CHECK(post(rig, genuine(rig, "crown", "{}")).status == 404);
  for (const std::string body : {"", "{}", "[]", "null", "{\"report\":{}}", "\xff\xfe"}) {
    const ControlReply reply = post(rig, genuine(rig, "promise", body));
    CHECK(reply.status == 400);
    CHECK(reply.headers.size() == 1);
  }
  CHECK(post(rig, genuine(rig, "promise", std::string(kMaxPeerBody + 1, 'x'))).status == 400);
  ControlRequest get = genuine(rig, "promise", "{}");
  get.method = "GET";
  const ControlReply reply = rig.send(
      [&rig](const ControlRequest& r, ControlResponder respond) { rig.a.keeper->handle_peer(r, respond); },
      get);
  CHECK(reply.status == 405);
  CHECK(rig.a.state() == RoleState::master);
}

TEST_CASE("a flood of challenges leaves the other relay able to talk") {
  KeeperRig rig;
  rig.join();
  for (int i = 0; i < 2000; ++i) (void)challenge(rig);
  RoleMachine copy = rig.b.keeper->machine();
  CHECK(post(rig, genuine(rig, "hello", encode_peer_request({copy.report(), Hello{}}))).status == 200);
}

TEST_CASE("a record of a higher epoch fences only if it is signed with the pair's key") {
  KeeperRig rig;
  rig.join();
  const auto carry = [&rig](const std::string& body) {
    ControlRequest request;
    request.method = "POST";
    request.path = "/v1/record";
    request.body = body;
    return rig.send([&rig](const ControlRequest& r,
                           ControlResponder respond) { rig.a.keeper->handle_record(r, respond); },
                    request);
  };
  RoleRecord record = rig.a.keeper->machine().record();
  record.epoch = 8;
  record.master = Node::b;
  const auto text = [](const SignedRecord& one) {
    return json{{"payload", one.payload}, {"mac", one.mac}}.dump();
  };
  for (const std::string body : {"", "{}", "[1]", "{\"payload\":1,\"mac\":2}"})
    CHECK(carry(body).status == 400);
  CHECK(carry(text(sign_record(Secret("another key of enough bytes"), record))).status == 403);
  RoleRecord foreign = record;
  foreign.cluster = random_uuid();
  CHECK(carry(text(sign_record(kPairKey, foreign))).status == 403);
  CHECK(rig.a.state() == RoleState::master);
  const json own = rig.a.keeper->status()["record"];
  CHECK(carry(own.dump()).status == 200);
  CHECK(rig.a.state() == RoleState::master);
  CHECK(carry(text(sign_record(kPairKey, record))).status == 200);
  CHECK_FALSE(is_active(rig.a.state()));
  CHECK(rig.a.keeper->machine().slot().highest_seen == 8);
}

TEST_CASE("commands with a key missing, unknown or mistyped are refused, and change nothing") {
  KeeperRig rig;
  rig.join();
  const std::vector<std::pair<std::string, json>> wrong = {
      {"promote", {{"other_host_off", true}}},
      {"promote", {{"other_host_is_off", "yes"}}},
      {"promote", {{"accept_loss_since", 5}}},
      {"promote", {{"accept_loss_since", std::string(2000, 'x')}}},
      {"promote", json::array()},
      {"fence", {{"now", true}}},
      {"giveup", {{"node", "a"}}},
      {"init", {{"standby_is_equal", true}}},
      {"init", {{"master", "c"}}},
      {"bootstrap/progress", {{"lease", "x"}, {"bytes", -1}}},
      {"bootstrap/begin", {{"tool", 1}}},
      {"crown", json::object()},
  };
  for (const auto& [name, body] : wrong) {
    const ControlReply reply = rig.command(rig.a, name, body);
    INFO(name << " " << body.dump());
    CHECK(reply.status == 400);
    CHECK(json_of(reply)["ok"] == false);
    CHECK_FALSE(json_of(reply)["error"].get<std::string>().empty());
  }
  CHECK(rig.a.state() == RoleState::master);
  CHECK(rig.command(rig.a, "giveup", nullptr).status == 409);
}

TEST_CASE("a verb of another module is authenticated and answered like the keeper's own") {
  KeeperRig rig;
  rig.join();
  rig.b.keeper->register_peer_verb("catalogue", [](json request, std::function<void(json)> answer) {
    answer({{"database", request["database"]}, {"oids", 3}});
  });
  const auto answer =
      run_coroutine(rig.context, rig.a.keeper->ask_peer("catalogue", {{"database", "d"}}, 1s));
  REQUIRE(rig.until([&] { return answer->has_value(); }));
  REQUIRE((*answer)->ok());
  CHECK((***answer)["oids"] == 3);
  CHECK((***answer)["database"] == "d");
  CHECK(post(rig, genuine(rig, "catalogue", "{}")).status == 404);
}
