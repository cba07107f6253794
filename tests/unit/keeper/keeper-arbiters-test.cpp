/// Two keepers with a witness in memory, and with hooks in memory.
#include <catch2/catch.hpp>

#include "tests/unit/keeper/keeper-rig.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

asio::awaitable<void> pause(Milliseconds how_long) {
  asio::steady_timer timer(co_await asio::this_coro::executor, how_long);
  co_await timer.async_wait(asio::use_awaitable);
}

/// The store that both nodes' links reach.
struct FakeStore {
  Uuid identity = random_uuid();
  std::uint64_t revision = 1;
  std::optional<WitnessRecord> record;
  std::uint64_t record_revision = 0;

  WitnessReply seen() const { return {identity, revision, false, record, record_revision}; }
};

class FakeWitness final : public WitnessLink {
 public:
  explicit FakeWitness(FakeStore& store) : store_(store) {}

  asio::awaitable<Result<WitnessReply>> read(std::chrono::milliseconds patience) override {
    ++questions;
    co_await pause(silent ? patience : Milliseconds{1});
    if (silent) co_return Error{"no answer within the patience"};
    co_return store_.seen();
  }
  asio::awaitable<Result<WitnessReply>> swap(WitnessRecord record, std::uint64_t expected,
                                             std::chrono::milliseconds patience) override {
    ++questions;
    if (throws) throw std::runtime_error("broken");
    co_await pause(silent ? patience : Milliseconds{1});
    if (silent) co_return Error{"no answer within the patience"};
    if (store_.record_revision != expected) co_return store_.seen();
    store_.record = record;
    store_.record_revision = ++store_.revision;
    co_return WitnessReply{store_.identity, store_.revision, true, std::nullopt, 0};
  }
  asio::awaitable<void> look_around(std::chrono::milliseconds) override { co_await pause(1ms); }
  std::vector<WitnessMember> members() const override { return {{"http://etcd:2379", true, !silent, ""}}; }

  bool silent = false;
  bool throws = false;
  int questions = 0;

 private:
  FakeStore& store_;
};

class FakeHook final : public FencingHook {
 public:
  void run(std::function<void(HookOutcome)> done) override {
    ++runs;
    done({confirms, confirms ? "" : "the switch does not answer", "text"});
  }
  bool confirms = false;
  int runs = 0;
};

struct WitnessRig : KeeperRig {
  WitnessRig() {
    for (auto* node : {&a, &b}) {
      auto& witness = node == &a ? witness_a : witness_b;
      witness = std::make_shared<FakeWitness>(store);
      node->options.witness = witness;
      node->options.witness_key = "/pgtandem/of-the-test";
      node->options.machine.witness = true;
      node->options.machine.term = 1500ms;
      node->options.machine.guard = 150ms;
      node->boot();
    }
    a.link->peer = b.keeper.get();
    b.link->peer = a.keeper.get();
  }
  /// Also: nobody may be made master before the witness was heard.
  void join() {
    a.keeper->start();
    b.keeper->start();
    const ControlReply early = command(a, "init", {{"master", "a"}, {"standby_is_equal", true}});
    CHECK(early.status == 409);
    CHECK(json_of(early)["error"].get<std::string>().find("witness") != std::string::npos);
    REQUIRE(until([&] { return a.keeper->status()["witness"]["answers"] == true; }));
    REQUIRE(command(a, "init", {{"master", "a"}, {"standby_is_equal", true}}).status == 200);
    REQUIRE(until([&] { return a.state() == RoleState::master && b.state() == RoleState::standby; }));
  }
  bool has_right(const KeeperNode& node) const {
    return !node.floor.rights.empty() && node.floor.rights.back() > role_clock_now().steady;
  }

  FakeStore store;
  std::shared_ptr<FakeWitness> witness_a, witness_b;
};

struct HookRig : KeeperRig {
  HookRig() {
    for (auto* node : {&a, &b}) {
      auto& hook = node == &a ? hook_a : hook_b;
      hook = std::make_shared<FakeHook>();
      node->options.hook = hook;
      node->options.machine.hook = true;
      node->options.machine.hook_wait = 1500ms;
      node->boot();
    }
    a.link->peer = b.keeper.get();
    b.link->peer = a.keeper.get();
  }
  /// Joined, and the standby has heard the master say so: without that it does not call its hook.
  void join_and_hear() {
    join();
    const int before = a.link->calls;
    REQUIRE(until([&] { return a.link->calls > before + 1; }));
  }
  std::shared_ptr<FakeHook> hook_a, hook_b;
};

}  // namespace

TEST_CASE("with a witness a master has a right that is renewed, and the status shows both") {
  WitnessRig rig;
  rig.join();
  REQUIRE(rig.until([&] { return rig.has_right(rig.a); }));
  const std::uint64_t revision = rig.store.record_revision;
  REQUIRE(rig.until([&] { return rig.store.record_revision > revision + 1; }));
  CHECK(rig.store.record->role.master == Node::a);
  REQUIRE(rig.until([&] { return rig.store.record->role.sync; }));
  const json status = rig.a.keeper->status();
  CHECK(status["witness"]["answers"] == true);
  CHECK(status["witness"]["endpoints"][0]["url"] == "http://etcd:2379");
  CHECK(status["witness"]["record"]["master"] == "a");
  CHECK(status["witness"]["flaw"] == "");
  CHECK(status["witness"]["key"] == "/pgtandem/of-the-test");
  CHECK(status["witness"]["identity"] == to_string(rig.store.identity));
  CHECK(status["witness"]["term_ms"] == rig.a.options.machine.term.count());
  CHECK(status["right_ms"].get<int>() > 0);
  CHECK(status["guests"] == false);
  CHECK(rig.b.keeper->status()["right_ms"].is_null());
}

TEST_CASE("a master that is gone is followed by its joined standby, by the witness alone") {
  WitnessRig rig;
  rig.join();
  REQUIRE(rig.until([&] { return rig.store.record && rig.store.record->role.sync; }));
  rig.b.link->peer = nullptr;
  rig.a.keeper.reset();
  REQUIRE(rig.until([&] { return rig.b.state() == RoleState::alone; }));
  CHECK(rig.has_right(rig.b));
  CHECK(rig.store.record->role.master == Node::b);
  CHECK(rig.store.record->role.epoch == 2);
  CHECK(rig.b.floor.legs_below == 2);
}

TEST_CASE("a master that hears neither the witness nor its standby is fenced when its right ends") {
  WitnessRig rig;
  rig.join();
  REQUIRE(rig.until([&] { return rig.has_right(rig.a); }));
  rig.witness_a->silent = true;
  rig.a.link->silent = true;
  rig.b.link->peer = nullptr;
  // The right as it was given last: no later one follows.
  REQUIRE(rig.until([&] { return !is_active(rig.a.state()); }));
  CHECK(rig.a.floor.rights.back() == Milliseconds{0});
  const Milliseconds last = rig.a.floor.rights.at(rig.a.floor.rights.size() - 2);
  CHECK(role_clock_now().steady >= last);
  CHECK_FALSE(rig.a.floor.ended.empty());
  REQUIRE(rig.until([&] { return rig.b.state() == RoleState::alone; }));
}

TEST_CASE("while the standby answers, a master goes on without the witness") {
  WitnessRig rig;
  rig.join();
  REQUIRE(rig.until([&] { return rig.b.state() == RoleState::standby && rig.has_right(rig.a); }));
  const Milliseconds begun = role_clock_now().steady;
  rig.witness_a->silent = rig.witness_b->silent = true;
  // Three terms long: each heartbeat's answer promises a term from the sending of the heartbeat (R6).
  REQUIRE(rig.until([&] { return role_clock_now().steady > begun + 3 * rig.a.options.machine.term; }));
  CHECK(rig.a.state() == RoleState::master);
  CHECK(rig.has_right(rig.a));
  CHECK(rig.b.state() == RoleState::standby);
  const json status = rig.a.keeper->status();
  CHECK(status["witness"]["answers"] == false);
  CHECK(status["witness"]["trouble"] == "no answer within the patience");
}

TEST_CASE("a witness that was wiped gives no authority, and the status says why") {
  WitnessRig rig;
  rig.join();
  REQUIRE(rig.until([&] { return rig.store.record && rig.store.record->role.sync; }));
  rig.store = FakeStore{};
  rig.b.link->peer = nullptr;
  rig.a.keeper.reset();
  REQUIRE(rig.until([&] { return rig.b.keeper->status()["witness"]["flaw"] != ""; }));
  const Milliseconds begun = role_clock_now().steady;
  REQUIRE(rig.until([&] { return role_clock_now().steady > begun + 2 * rig.b.options.machine.term; }));
  CHECK(rig.b.state() == RoleState::standby);
  CHECK(rig.store.record == std::nullopt);
}

TEST_CASE("a link that fails inside is a silence, and is asked again") {
  WitnessRig rig;
  rig.join();
  REQUIRE(rig.until([&] { return rig.has_right(rig.a); }));
  rig.witness_a->throws = true;
  const int before = rig.witness_a->questions;
  REQUIRE(rig.until([&] { return rig.witness_a->questions > before + 2; }));
  CHECK(rig.a.keeper->status()["witness"]["trouble"] == "an internal error: broken");
  rig.witness_a->throws = false;
  REQUIRE(rig.until([&] { return rig.a.keeper->status()["witness"]["answers"] == true; }));
}

TEST_CASE("with a hook that confirms, the standby takes over from a master that is silent") {
  HookRig rig;
  rig.join_and_hear();
  rig.hook_b->confirms = true;
  rig.b.link->peer = nullptr;
  rig.a.keeper.reset();
  REQUIRE(rig.until([&] { return rig.b.state() == RoleState::alone; }));
  CHECK(rig.hook_b->runs == 1);
}

TEST_CASE("a hook that confirms nothing leaves both nodes without service, and is asked again") {
  HookRig rig;
  rig.join_and_hear();
  rig.a.link->silent = rig.b.link->silent = true;
  rig.a.link->peer = rig.b.link->peer = nullptr;
  REQUIRE(rig.until([&] { return rig.hook_a->runs >= 2 && rig.hook_b->runs >= 1; }));
  CHECK(rig.a.state() == RoleState::degrading);
  CHECK(rig.a.floor.authority().outputs_held);
  CHECK_FALSE(is_active(rig.b.state()));
  rig.hook_a->confirms = true;
  REQUIRE(rig.until([&] { return rig.a.state() == RoleState::alone; }));
}

TEST_CASE("switchover by the control port: the standby is master, the old master its standby") {
  KeeperRig rig;
  rig.join();
  REQUIRE(rig.until([&] { return rig.a.keeper->status()["peer"]["state"] == "STANDBY"; }));
  const ControlReply reply = rig.command(rig.a, "switchover", json::object());
  INFO(reply.body);
  CHECK(reply.status == 200);
  REQUIRE(
      rig.until([&] { return rig.b.state() == RoleState::master && rig.a.state() == RoleState::standby; }));
  CHECK(rig.a.floor.ended == std::vector<SessionEnd>{SessionEnd::when_idle});
  CHECK(rig.b.floor.authority().mirrored);
}

TEST_CASE("a switchover that only the moment forbids is refused as such: asked again, it may be done") {
  KeeperRig rig;
  rig.a.options.machine.hand_over = false;
  rig.a.boot();
  rig.a.link->peer = rig.b.keeper.get();
  rig.b.link->peer = rig.a.keeper.get();
  rig.join();
  REQUIRE(rig.until([&] { return rig.a.keeper->status()["peer"]["state"] == "STANDBY"; }));
  rig.b.keeper->own_postmaster(false, "connection refused");
  REQUIRE(rig.until([&] { return rig.a.keeper->status()["peer"]["postmaster_ok"] == false; }));
  CHECK(rig.command(rig.a, "switchover", json::object()).status == 503);
  // A relay that cannot hand its sessions over will not learn it.
  CHECK(rig.command(rig.a, "switchover", {{"server_only", true}}).status == 409);
  CHECK(rig.command(rig.b, "switchover", json::object()).status == 409);
  CHECK(rig.a.state() == RoleState::master);
}

TEST_CASE("a switchover that failed while it drained is not one to repeat by itself") {
  KeeperRig rig;
  rig.join();
  REQUIRE(rig.until([&] { return rig.a.keeper->status()["peer"]["state"] == "STANDBY"; }));
  rig.a.floor.matched = false;
  const ControlReply reply = rig.command(rig.a, "switchover", json::object());
  INFO(reply.body);
  CHECK(reply.status == 409);
  CHECK(json_of(reply)["error"].get<std::string>().find("did not all end in order") != std::string::npos);
}

TEST_CASE("a second operator's switchover is refused clearly while the first is under way") {
  KeeperRig rig;
  rig.join();
  REQUIRE(rig.until([&] { return rig.a.keeper->status()["peer"]["state"] == "STANDBY"; }));
  std::vector<ControlReply> replies;
  ControlRequest request;
  request.method = "POST";
  request.path = "/v1/switchover";
  for (int i = 0; i < 2; ++i)
    rig.a.keeper->handle_command(request,
                                 [&replies](ControlReply reply) { replies.push_back(std::move(reply)); });
  REQUIRE(rig.until([&] { return replies.size() == 2; }));
  CHECK(replies[0].status == 409);
  CHECK(json_of(replies[0])["error"].get<std::string>().find("DRAINING") != std::string::npos);
  CHECK(replies[1].status == 200);
}

TEST_CASE("switchover of the server alone makes the sessions guests of the other node") {
  KeeperRig rig;
  rig.a.options.machine.hand_over = rig.b.options.machine.hand_over = true;
  rig.a.boot();
  rig.b.boot();
  rig.a.link->peer = rig.b.keeper.get();
  rig.b.link->peer = rig.a.keeper.get();
  rig.join();
  REQUIRE(rig.until([&] { return rig.a.keeper->status()["peer"]["state"] == "STANDBY"; }));
  const ControlReply reply = rig.command(rig.a, "switchover", {{"server_only", true}});
  INFO(reply.body);
  CHECK(reply.status == 200);
  REQUIRE(rig.until([&] { return rig.b.state() == RoleState::alone && rig.a.state() == RoleState::stale; }));
  CHECK(rig.a.floor.authority().guests);
  CHECK_FALSE(rig.a.floor.authority().outputs_held);
  CHECK(rig.a.floor.ended.empty());
  CHECK(rig.b.floor.legs_below == 0);
  CHECK(rig.a.keeper->status()["guests"] == true);
  rig.a.keeper->guests_ended();
  REQUIRE(rig.until([&] { return !rig.a.floor.authority().guests; }));
  CHECK(rig.a.keeper->status()["guests"] == false);
}

TEST_CASE("a lost postmaster hands over to the standby instead of ending sessions") {
  KeeperRig rig;
  rig.a.options.machine.hand_over = rig.b.options.machine.hand_over = true;
  rig.a.boot();
  rig.b.boot();
  rig.a.link->peer = rig.b.keeper.get();
  rig.b.link->peer = rig.a.keeper.get();
  rig.join();
  REQUIRE(rig.until([&] { return rig.a.keeper->status()["peer"]["state"] == "STANDBY"; }));
  rig.a.keeper->own_postmaster(false, "connection refused");
  REQUIRE(rig.until([&] { return rig.b.state() == RoleState::alone && rig.a.state() == RoleState::stale; }));
  CHECK(rig.a.floor.authority().guests);
  CHECK(rig.a.floor.ended.empty());
}

TEST_CASE("switchover with a mistyped key is refused, not taken as the other kind") {
  CHECK_FALSE(parse_operator_command("switchover", R"({"server-only":true})").ok());
  CHECK_FALSE(parse_operator_command("switchover", R"({"server_only":"yes"})").ok());
  CHECK(parse_operator_command("switchover", "").ok());
}
