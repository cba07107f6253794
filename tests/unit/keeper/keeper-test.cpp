#include <thread>

#include <asio/co_spawn.hpp>
#include <catch2/catch.hpp>

#include "common/roles/role-record.h"
#include "tests/unit/keeper/keeper-rig.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;
using nlohmann::json;

TEST_CASE("init through the control port joins the pair, and the status says so") {
  KeeperRig rig;
  rig.join();
  REQUIRE(rig.until([&] { return rig.b.keeper->status()["peer"]["state"] == "MASTER"; }));
  const json status = rig.a.keeper->status();
  CHECK(status["role"]["state"] == "MASTER");
  CHECK(status["role"]["epoch"] == 1);
  CHECK(status["role"]["master"] == "a");
  CHECK(status["role"]["data_node"] == "a");
  CHECK(status["role"]["sync"] == true);
  CHECK(status["role"]["generation"].get<std::string>().size() == 36);
  CHECK(status["role"]["since_s"].is_number_unsigned());
  CHECK(status["peer"]["reachable"] == true);
  CHECK(status["peer"]["postmaster_ok"] == true);
  CHECK(status["postmaster"]["ok"] == true);
  CHECK(status["standby"]["joined"] == true);
  CHECK(status["bootstrap"].is_null());
  CHECK(status["hint"] == "");
  REQUIRE_FALSE(status["events"].empty());
  CHECK(status["events"].back()["event"] == "role-master");
  const Result<RoleRecord> record =
      verify_record(kPairKey, rig.cluster, {status["record"]["payload"], status["record"]["mac"]});
  REQUIRE(record.ok());
  CHECK(record->epoch == 1);
  CHECK(record->master == Node::a);
  CHECK(rig.a.keeper->role() == RoleAnswer::master);
  CHECK(rig.b.keeper->role() == RoleAnswer::standby);
  CHECK(rig.b.keeper->status()["role"]["epoch"] == 1);
  CHECK(rig.a.changes > 0);
  CHECK(rig.a.floor.authority().mirrored);
  CHECK_FALSE(rig.a.floor.authority().outputs_held);
  CHECK(rig.until([&] { return rig.b.floor.authority().service == Service::pass_on; }));
}

TEST_CASE("init given to the other node is passed on to the master-to-be") {
  KeeperRig rig;
  rig.a.keeper->start();
  rig.b.keeper->start();
  const ControlReply reply = rig.command(rig.b, "init", {{"master", "a"}, {"standby_is_equal", false}});
  CHECK(reply.status == 200);
  CHECK(json_of(reply)["ok"] == true);
  CHECK(rig.a.state() == RoleState::alone);
  CHECK(rig.until([&] { return rig.b.state() == RoleState::stale; }));
  rig.b.link->peer = nullptr;
  const ControlReply away = rig.command(rig.b, "init", {{"master", "a"}});
  CHECK(away.status == 409);
  CHECK(json_of(away)["do"].get<std::string>().find("start it") != std::string::npos);
}

TEST_CASE("a standby lost on an I/O thread: held, then recorded, then served alone") {
  KeeperRig rig;
  rig.join();
  const std::size_t before = rig.a.floor.authorities.size();
  std::thread session([&] { rig.a.keeper->standby_failed("the standby of session 7 answered otherwise"); });
  session.join();
  REQUIRE(rig.until([&] { return rig.a.state() == RoleState::alone; }));
  REQUIRE(rig.until([&] { return rig.a.floor.authority().service == Service::serve; }));
  CHECK(rig.a.floor.authorities[before].outputs_held);
  CHECK_FALSE(rig.a.floor.authority().mirrored);
  CHECK(rig.b.state() == RoleState::stale);
  const json status = rig.a.keeper->status();
  CHECK(status["standby"]["joined"] == false);
  CHECK(status["standby"]["stale_reason"] == "the standby of session 7 answered otherwise");
  CHECK(status["hint"] == "pgtandem bootstrap");
}

TEST_CASE("a clean stop of the standby and its return keep the join") {
  KeeperRig rig;
  rig.join();
  bool stopped = false;
  rig.b.keeper->stop([&] { stopped = true; });
  REQUIRE(rig.until([&] { return stopped; }));
  REQUIRE(rig.a.state() == RoleState::draining);
  CHECK(rig.a.floor.ended.back() == SessionEnd::when_idle);
  rig.a.link->peer = nullptr;
  rig.b.boot();
  rig.a.link->peer = rig.b.keeper.get();
  rig.b.link->peer = rig.a.keeper.get();
  rig.b.keeper->start();
  CHECK(rig.until([&] { return rig.a.state() == RoleState::master && rig.b.state() == RoleState::standby; }));
}

TEST_CASE("a keeper that has stopped answers nobody any more, and stops only once") {
  KeeperRig rig;
  rig.join();
  int stopped = 0;
  rig.a.keeper->stop([&] { ++stopped; });
  REQUIRE(rig.until([&] { return stopped == 1; }));
  rig.a.keeper->stop([&] { ++stopped; });
  REQUIRE(rig.until([&] { return stopped == 2; }));
  CHECK(rig.command(rig.a, "fence", nullptr).status == 503);
  rig.a.keeper->standby_failed("late");
  rig.a.keeper->stalled(5s);
  CHECK(rig.command(rig.b, "promote", json::object()).status == 409);
  CHECK(rig.a.state() == RoleState::draining);
}

TEST_CASE("promote shows what it wants, takes it back, and takes over") {
  KeeperRig rig;
  rig.join();
  rig.b.link->peer = nullptr;
  const ControlReply refused = rig.command(rig.b, "promote", json::object());
  CHECK(refused.status == 409);
  const json body = json_of(refused);
  CHECK(body["ok"] == false);
  const std::string since = body["accept_loss_since"];
  CHECK(body["do"].get<std::string>().find("--accept-loss-since=" + since) != std::string::npos);
  CHECK(rig.b.keeper->status()["peer"]["silent_since"] == since);
  // What the master still sends keeps it from being silent: it must be away altogether.
  rig.a.link->peer = nullptr;
  const ControlReply done = rig.command(
      rig.b, "promote",
      {{"other_host_is_off", true},
       {"accept_loss_since", json_of(rig.command(rig.b, "promote", json::object()))["accept_loss_since"]}});
  CHECK(done.status == 200);
  CHECK(json_of(done)["epoch"] == 2);
  CHECK(json_of(done)["state"] == "ALONE");
  CHECK(rig.b.floor.legs_below == 2);
}

TEST_CASE("a master that stood still greets the other node before it releases anything") {
  KeeperRig rig;
  Milliseconds leap{0};
  rig.a.options.clock = [&leap] {
    Now now = role_clock_now();
    now.steady += leap;
    return now;
  };
  rig.a.boot();
  rig.a.link->peer = rig.b.keeper.get();
  rig.b.link->peer = rig.a.keeper.get();
  rig.join();
  const std::size_t before = rig.a.floor.authorities.size();
  leap = 5s;
  REQUIRE(rig.until([&] { return rig.a.floor.authorities.size() > before; }));
  CHECK(rig.a.floor.authorities[before].outputs_held);
  CHECK(rig.until([&] { return !rig.a.floor.authority().outputs_held; }));
  CHECK(rig.a.state() == RoleState::master);
}

namespace {

/// Each write takes as long as it is told, on a clock of the test's own.
class SlowStore final : public SlotStore {
 public:
  SlowStore(Milliseconds& clock, Milliseconds& takes) : clock_(clock), takes_(takes) {}
  LoadedSlots load() override { return {}; }
  Result<void> write(const Slot&) override {
    clock_ += takes_;
    return {};
  }

 private:
  Milliseconds& clock_;
  Milliseconds& takes_;
};

}  // namespace

TEST_CASE("a disk that took long for the record is a stall: the handshake comes before the release") {
  asio::io_context context;
  FakeFloor floor(context);
  KeeperOptions options;
  options.machine.has_peer = false;
  Milliseconds clock{1000};
  Milliseconds takes{0};
  options.clock = [&clock] { return Now{clock, clock}; };
  Keeper keeper(context, options, floor, std::make_unique<SlowStore>(clock, takes), nullptr);
  keeper.start();
  context.run_for(20ms);
  REQUIRE(keeper.machine().state() == RoleState::master);
  takes = 3000ms;
  const std::size_t before = floor.authorities.size();
  keeper.standby_failed("lost");
  context.restart();
  context.run_for(50ms);
  CHECK(keeper.machine().state() == RoleState::alone);
  // Held for the degradation, held for the stall, and only then released.
  REQUIRE(floor.authorities.size() >= before + 3);
  CHECK(floor.authorities[before].outputs_held);
  CHECK(floor.authorities[before + 1].outputs_held);
  CHECK_FALSE(floor.authority().outputs_held);
  CHECK_FALSE(floor.authority().mirrored);
}

TEST_CASE("a state folder that takes no writes is an answer to the operator, and a fence") {
  KeeperRig rig;
  rig.join();
  rig.b.disk.fail_after = 0;
  const ControlReply reply = rig.command(rig.b, "promote", json::object());
  CHECK(reply.status == 500);
  CHECK(json_of(reply)["error"].get<std::string>().find("No space left") != std::string::npos);
  CHECK(json_of(reply)["do"].get<std::string>().find("/state") != std::string::npos);
  CHECK(rig.b.state() == RoleState::fenced);
}

namespace {

/// A relay in flags-only mode whose postmaster answers as it is told.
struct ProbeRig {
  ProbeRig() : floor(context) {
    KeeperOptions options;
    options.machine.has_peer = false;
    options.machine.postmaster = "127.0.0.1:5433";
    options.clock = [this] { return Now{clock, clock}; };
    options.probe = [this]() -> asio::awaitable<bool> {
      ++probes;
      co_return answers;
    };
    keeper = std::make_unique<Keeper>(context, options, floor,
                                      std::make_unique<TwoSlotStore>(std::make_unique<FakeSlotFiles>(disk)),
                                      nullptr);
    keeper->start();
  }
  bool until(const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + 10s;
    while (!condition() && std::chrono::steady_clock::now() < give_up) {
      context.restart();
      context.run_one_for(20ms);
    }
    return condition();
  }
  bool more_probes(int how_many) {
    return until([this, wanted = probes + how_many] { return probes >= wanted; });
  }

  asio::io_context context;
  FakeFloor floor;
  FakeDisk disk;
  Milliseconds clock{1000};
  bool answers = true;
  int probes = 0;
  std::unique_ptr<Keeper> keeper;
};

}  // namespace

TEST_CASE("one probe that fails is no lost postmaster, three are; new frontends then wait") {
  ProbeRig rig;
  REQUIRE(rig.more_probes(1));
  rig.answers = false;
  REQUIRE(rig.more_probes(2));
  CHECK(rig.keeper->machine().postmaster_ok());
  REQUIRE(rig.until([&] { return !rig.keeper->machine().postmaster_ok(); }));
  CHECK(rig.floor.authority().service == Service::wait);
  CHECK(rig.keeper->status()["peer"].is_null());
  CHECK(rig.keeper->status()["record"].is_null());
}

TEST_CASE(
    "a server whose last backend still answers is not back: the standby is not given up for a dead master") {
  ProbeRig rig;
  REQUIRE(rig.more_probes(1));
  rig.answers = false;
  rig.keeper->own_postmaster(false, "connection refused");
  rig.keeper->copies_may_differ("a statement of session 9 was open");
  rig.keeper->own_postmaster(true, "");  // the service connection's backend, in its last milliseconds
  REQUIRE(rig.until([&] { return !rig.keeper->machine().postmaster_ok(); }));
  REQUIRE(rig.more_probes(4));
  rig.clock += 700ms;
  rig.keeper->own_postmaster(true, "");
  REQUIRE(rig.more_probes(4));
  CHECK_FALSE(rig.keeper->machine().postmaster_ok());
  CHECK(rig.keeper->machine().state() == RoleState::master);
  CHECK(rig.keeper->machine().slot().sync);
  // It really is back: now, and only now, the two copies may differ.
  rig.answers = true;
  REQUIRE(rig.more_probes(2));
  rig.clock += 600ms;
  REQUIRE(rig.until([&] { return rig.keeper->machine().postmaster_ok(); }));
  CHECK(rig.until([&] { return rig.keeper->machine().state() == RoleState::alone; }));
}

TEST_CASE("a bootstrap shows its progress, and its tool may tell more than is known") {
  KeeperRig rig;
  rig.join();
  const ControlReply begun =
      rig.command(rig.a, "bootstrap/begin", {{"tool", "t 1"}, {"abort_clients", true}});
  REQUIRE(begun.status == 200);
  const json lease = json_of(begun);
  CHECK(lease["master"] == "a");
  CHECK(lease["target"] == "b");
  CHECK(lease["epoch"] == 1);
  CHECK(rig.command(rig.a, "bootstrap/progress",
                    {{"lease", lease["lease"]},
                     {"phase", "copy"},
                     {"bytes", 5},
                     {"total_bytes", 9},
                     {"text", "db"},
                     {"rate", 7}})
            .status == 200);
  const json status = rig.a.keeper->status();
  CHECK(status["bootstrap"]["phase"] == "copy");
  CHECK(status["bootstrap"]["bytes"] == 5);
  CHECK(status["bootstrap"]["total_bytes"] == 9);
  CHECK(status.dump().find(lease["lease"].get<std::string>()) == std::string::npos);
  const ControlReply finished =
      rig.command(rig.a, "bootstrap/finish", {{"lease", lease["lease"]}, {"sha256", "00"}});
  CHECK(finished.status == 200);
  CHECK(rig.a.state() == RoleState::master);
  CHECK(rig.b.state() == RoleState::standby);
}
