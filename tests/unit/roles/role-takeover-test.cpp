#include <catch2/catch.hpp>

#include "tests/unit/roles/pair-sim.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;

namespace {

void check_promises(const PairSim& sim) {
  for (const std::string& violation : sim.violations) FAIL_CHECK(violation);
}

bool reaches(PairSim& sim, RoleState a, RoleState b, Milliseconds limit = 30s) {
  const bool reached =
      sim.run_until([&] { return sim.state(Node::a) == a && sim.state(Node::b) == b; }, limit);
  UNSCOPED_INFO(sim.describe());
  return reached;
}

}  // namespace

TEST_CASE("promote of a joined standby fences a master that answers, without any word about its host") {
  PairSim sim;
  sim.init_joined();
  const WriteId id = sim.write(Node::a);
  const CommandAnswer answer = sim.ordered(Node::b, command::Promote{});
  CHECK(answer.ok);
  CHECK(sim.state(Node::b) == RoleState::alone);
  CHECK(sim.durable(Node::b).epoch == 2);
  CHECK(reaches(sim, RoleState::stale, RoleState::alone));
  CHECK(sim.run_until([&] { return sim.a().in_force.frontends == Frontends::pass_on; }, 1s));
  CHECK(sim.b().data.contains(id));
  CHECK(sim.bootstrap(Node::b).ok);
  CHECK(reaches(sim, RoleState::standby, RoleState::master));
  CHECK(sim.ordered(Node::a, command::Promote{}).ok);
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  check_promises(sim);
}

TEST_CASE("promote of a standby whose master is silent asks for the words, and takes only the right ones") {
  PairSim sim;
  sim.init_joined();
  sim.run_for(1s);
  sim.crash(Node::a);
  const std::string heard = iso_time(sim.now(Node::b).wall);
  sim.run_for(5s);
  const CommandAnswer first = sim.ordered(Node::b, command::Promote{});
  CHECK_FALSE(first.ok);
  CHECK(first.status == 409);
  CHECK(first.accept_loss_since.substr(0, 17) == heard.substr(0, 17));
  CHECK(first.text.find(first.accept_loss_since) != std::string::npos);
  CHECK(first.what_to_do.find("--other-host-is-off --accept-loss-since=" + first.accept_loss_since) !=
        std::string::npos);
  CHECK(first.what_to_do.find("--data-may-be-old") == std::string::npos);
  CHECK(sim.state(Node::b) == RoleState::standby);
  CHECK_FALSE(sim.ordered(Node::b, command::Promote{true, "", false}).ok);
  CHECK_FALSE(sim.ordered(Node::b, command::Promote{true, "2020-01-01T00:00:00Z", false}).ok);
  CHECK_FALSE(sim.ordered(Node::b, command::Promote{false, first.accept_loss_since, false}).ok);
  CHECK(sim.ordered(Node::b, command::Promote{true, first.accept_loss_since, false}).ok);
  CHECK(sim.state(Node::b) == RoleState::alone);
  sim.run_for(10ms);
  CHECK(sim.acknowledged(sim.write(Node::b)));
  check_promises(sim);
}

TEST_CASE("a master that died under load loses nothing that was acknowledged, and comes back stale") {
  PairSim sim;
  sim.init_joined();
  for (int i = 0; i < 20; ++i) (void)sim.write(Node::a);
  sim.crash(Node::a);
  sim.run_for(3s);
  CHECK(sim.promote_by_force(Node::b).ok);
  sim.data_loss_accepted = false;  // the word was right: nothing is lost, and that is checked
  sim.run_for(10ms);
  (void)sim.write(Node::b);
  sim.start(Node::a);
  CHECK(reaches(sim, RoleState::stale, RoleState::alone));
  CHECK(sim.bootstrap(Node::b).ok);
  CHECK(reaches(sim, RoleState::standby, RoleState::master));
  check_promises(sim);
}

TEST_CASE("promote ends nobody's right before the backends of the old legs have ended") {
  PairSim sim;
  sim.init_joined();
  sim.b().backends_end = false;
  const CommandAnswer answer = sim.ordered(Node::b, command::Promote{});
  CHECK_FALSE(answer.ok);
  CHECK(answer.text.find("backends") != std::string::npos);
  CHECK(sim.durable(Node::b).master == Node::a);
  sim.run_for(5s);
  CHECK_FALSE(is_active(sim.state(Node::a)));  // it was fenced, and waits for the operator
  CHECK_FALSE(is_active(sim.state(Node::b)));
  sim.b().backends_end = true;
  CHECK(sim.ordered(Node::b, command::Promote{}).ok);
  CHECK(reaches(sim, RoleState::stale, RoleState::alone));
  check_promises(sim);
}

TEST_CASE("promote refuses while the own postmaster is lost") {
  PairSim sim;
  sim.init_joined();
  sim.lose_postmaster(Node::b, false);
  sim.run_for(3s);
  const CommandAnswer answer = sim.ordered(Node::b, command::Promote{});
  CHECK_FALSE(answer.ok);
  CHECK(answer.text.find("postmaster 127.0.0.1:5433 of node b") != std::string::npos);
  CHECK(sim.state(Node::a) == RoleState::master);
  check_promises(sim);
}

TEST_CASE(
    "a stale node is promoted only where nobody has newer data, and only with the word that it may be old") {
  PairSim sim;
  sim.init_joined();
  sim.b().postmaster_up = false;
  (void)sim.write(Node::a);
  REQUIRE(reaches(sim, RoleState::alone, RoleState::stale));
  sim.b().postmaster_up = true;
  const CommandAnswer active = sim.ordered(Node::b, command::Promote{true, "unknown", true});
  CHECK_FALSE(active.ok);
  CHECK(active.text.find("is master of epoch 1") != std::string::npos);
  sim.crash(Node::a);
  sim.run_for(3s);
  const CommandAnswer silent = sim.ordered(Node::b, command::Promote{});
  CHECK(silent.what_to_do.find("--data-may-be-old") != std::string::npos);
  CHECK(silent.text.find("lost") != std::string::npos);
  CHECK_FALSE(sim.ordered(Node::b, command::Promote{true, silent.accept_loss_since, false}).ok);
  sim.data_loss_accepted = true;
  CHECK(sim.ordered(Node::b, command::Promote{true, silent.accept_loss_since, true}).ok);
  sim.run_for(10ms);
  (void)sim.write(Node::b);
  sim.start(Node::a);
  CHECK(reaches(sim, RoleState::split, RoleState::alone));
  CHECK(sim.machine(Node::b).forked());
  check_promises(sim);
}

TEST_CASE("a standby that was left behind without hearing of it learns so when it is promoted") {
  const bool restarted = GENERATE(false, true);
  PairSim sim;
  sim.init_joined();
  sim.cut(true);
  const WriteId id = sim.write(Node::a);
  REQUIRE(sim.run_until([&] { return sim.acknowledged(id); }, 5s));
  if (restarted) {  // then it is not active, but its data is newer all the same
    sim.crash(Node::a);
    sim.start(Node::a);
    sim.run_for(1s);
  }
  REQUIRE(sim.state(Node::b) == RoleState::standby);
  sim.cut(false);
  const CommandAnswer answer = sim.ordered(Node::b, command::Promote{true, "unknown", true});
  CHECK_FALSE(answer.ok);
  CHECK(answer.text.find("older") != std::string::npos);
  CHECK(sim.state(Node::b) == RoleState::stale);
  CHECK_FALSE(sim.durable(Node::b).eligible);
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  check_promises(sim);
}

TEST_CASE("a wrong word about the other host is seen as SPLIT, nothing is thrown away, and giveup ends it") {
  PairSim sim;
  sim.init_joined();
  sim.cut(true);
  const WriteId only_a = sim.write(Node::a);
  REQUIRE(sim.run_until([&] { return sim.acknowledged(only_a); }, 5s));
  sim.run_for(2s);
  CHECK(sim.promote_by_force(Node::b).ok);
  sim.run_for(10ms);
  const WriteId only_b = sim.write(Node::b);
  CHECK(sim.acknowledged(only_b));
  CHECK(sim.state(Node::a) == RoleState::alone);
  sim.cut(false);
  CHECK(reaches(sim, RoleState::split, RoleState::alone));
  CHECK(sim.a().data.contains(only_a));
  CHECK(sim.durable(Node::a).split);
  CHECK(std::ranges::count(sim.b().told, "copies-forked") == 1);
  CHECK_FALSE(sim.bootstrap(Node::b).ok);
  CHECK_FALSE(sim.ordered(Node::a, command::Promote{true, "x", true}).ok);

  SECTION("the active copy stays") {
    CHECK(sim.ordered(Node::a, command::GiveUp{}).ok);
    CHECK(reaches(sim, RoleState::stale, RoleState::alone));
    CHECK(sim.bootstrap(Node::b).ok);
    CHECK(reaches(sim, RoleState::standby, RoleState::master));
  }
  SECTION("the other copy stays") {
    CHECK_FALSE(sim.ordered(Node::b, command::GiveUp{}).ok);
    CHECK(sim.ordered(Node::b, command::Fence{}).ok);
    CHECK(reaches(sim, RoleState::split, RoleState::split));
    CHECK(sim.ordered(Node::b, command::GiveUp{}).ok);
    CHECK(reaches(sim, RoleState::alone, RoleState::stale));
    CHECK(sim.bootstrap(Node::a).ok);
    CHECK(reaches(sim, RoleState::master, RoleState::standby));
    CHECK(sim.b().data.contains(only_a));
  }
  SECTION("it is still SPLIT after a restart of everything") {
    sim.crash(Node::a);
    sim.crash(Node::b);
    sim.start(Node::a);
    sim.start(Node::b);
    CHECK(reaches(sim, RoleState::split, RoleState::split));
  }
  check_promises(sim);
}

TEST_CASE("a wrong word about a master that was idle costs nothing: it is stale") {
  PairSim sim;
  sim.init_joined();
  sim.cut(true);
  sim.run_for(3s);
  CHECK(sim.promote_by_force(Node::b).ok);
  CHECK(sim.state(Node::a) == RoleState::master);
  sim.data_loss_accepted = false;
  sim.cut(false);
  CHECK(reaches(sim, RoleState::stale, RoleState::alone));
  check_promises(sim);
}

TEST_CASE("two operators with two wrong words make two masters of two epochs, never of one") {
  PairSim sim;
  sim.init_joined();
  sim.crash(Node::a);
  sim.crash(Node::b);
  sim.cut(true);
  sim.start(Node::a);
  sim.start(Node::b);
  CHECK(sim.promote_by_force(Node::a).ok);
  CHECK(sim.promote_by_force(Node::b).ok);
  CHECK(sim.durable(Node::a).epoch != sim.durable(Node::b).epoch);
  sim.run_for(100ms);
  sim.write_anywhere();
  sim.cut(false);
  sim.run_for(10s);
  CHECK(sim.machine(Node::a).forked());
  CHECK(sim.machine(Node::b).forked());
  CHECK(is_active(sim.state(Node::a)) != is_active(sim.state(Node::b)));
  check_promises(sim);
}

TEST_CASE("promote given to both nodes at once makes at most one master") {
  PairSim sim(GENERATE(1, 2, 3, 4, 5));
  sim.init_joined();
  REQUIRE(sim.ordered(Node::a, command::Fence{}).ok);
  const auto one = sim.order(Node::a, command::Promote{});
  const auto two = sim.order(Node::b, command::Promote{});
  CHECK(sim.run_until([&] { return one->answered && two->answered; }));
  CHECK_FALSE((one->answer.ok && two->answer.ok));
  sim.run_for(5s);
  CHECK_FALSE((is_active(sim.state(Node::a)) && is_active(sim.state(Node::b))));
  check_promises(sim);
}

TEST_CASE("fence takes a master out until an operator promotes, here or there") {
  PairSim sim;
  sim.init_joined();
  (void)sim.write(Node::a);
  CHECK(sim.ordered(Node::a, command::Fence{}).ok);
  sim.run_for(10s);
  CHECK(sim.state(Node::a) == RoleState::recover);
  CHECK(sim.a().in_force.refusal.find("promote") != std::string::npos);
  SECTION("survives a restart") {
    sim.crash(Node::a);
    sim.start(Node::a);
    sim.run_for(5s);
    CHECK(sim.state(Node::a) == RoleState::recover);
  }
  SECTION("promoted here") {
    CHECK(sim.ordered(Node::a, command::Promote{}).ok);
    CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  }
  SECTION("promoted there") {
    CHECK(sim.ordered(Node::b, command::Promote{}).ok);
    CHECK(reaches(sim, RoleState::stale, RoleState::alone));
  }
  check_promises(sim);
}

TEST_CASE("a signed record of a higher epoch fences every active state, and an equal one changes nothing") {
  const int which = GENERATE(0, 1, 2, 3);
  PairSim sim;
  sim.init_joined();
  sim.run_for(1s);
  sim.cut(true);
  RoleState expected = RoleState::master;
  if (which >= 1) {
    (void)sim.write(Node::a);
    expected = RoleState::degrading;
    REQUIRE(sim.run_until([&] { return sim.state(Node::a) == expected; }));
  }
  if (which >= 2) {
    expected = RoleState::alone;
    REQUIRE(sim.run_until([&] { return sim.state(Node::a) == expected; }));
  }
  if (which >= 3) {
    sim.stop(Node::a);
    expected = RoleState::draining;
  }
  REQUIRE(sim.state(Node::a) == expected);
  RoleRecord record = sim.machine(Node::a).record();
  sim.give(Node::a, event::RecordSeen{0, record});
  CHECK(sim.state(Node::a) == expected);
  record.epoch += 1;
  record.master = Node::b;
  sim.give(Node::a, event::RecordSeen{0, record});
  CHECK(sim.state(Node::a) == RoleState::fenced);
  CHECK(sim.durable(Node::a).highest_seen == record.epoch);
  CHECK(sim.durable(Node::a).fenced);
  sim.run_for(10ms);
  CHECK(sim.a().in_force.frontends == Frontends::refuse);
  check_promises(sim);
}

TEST_CASE("a frozen master that thaws after a takeover acknowledges nothing and is fenced") {
  PairSim sim;
  sim.init_joined();
  (void)sim.write(Node::a);
  sim.freeze(Node::a);
  sim.run_for(4s);
  CHECK(sim.promote_by_force(Node::b).ok);
  sim.run_for(10ms);
  (void)sim.write(Node::b);
  sim.thaw(Node::a);
  CHECK(sim.machine(Node::a).state() == RoleState::master);
  CHECK(reaches(sim, RoleState::stale, RoleState::alone));
  sim.data_loss_accepted = false;
  sim.run_for(1s);
  check_promises(sim);
}

TEST_CASE("a stall is followed by a handshake before anything is released") {
  PairSim sim;
  sim.init_joined();
  SECTION("the standby answers: on as before") {
    sim.freeze(Node::a);
    sim.run_for(3s);
    sim.thaw(Node::a);
    REQUIRE(sim.run_until([&] { return sim.a().in_force.outputs_held; }, 10ms));
    CHECK(sim.run_until([&] { return sim.a().in_force.frontends == Frontends::serve; }, 100ms));
    CHECK(sim.state(Node::a) == RoleState::master);
    CHECK(sim.acknowledged(sim.write(Node::a)));
  }
  SECTION("the standby is silent: held for standby_timeout, then alone") {
    sim.freeze(Node::a);
    sim.cut(true);
    sim.run_for(3s);
    sim.thaw(Node::a);
    sim.run_for(1500ms);
    CHECK(sim.a().in_force.outputs_held);
    CHECK(sim.run_until([&] { return sim.state(Node::a) == RoleState::alone; }, 1s));
  }
  SECTION("alone already: after standby_timeout on as before") {
    sim.cut(true);
    (void)sim.write(Node::a);
    REQUIRE(sim.run_until([&] { return sim.state(Node::a) == RoleState::alone; }));
    sim.freeze(Node::a);
    sim.run_for(3s);
    sim.thaw(Node::a);
    sim.run_for(1500ms);
    CHECK(sim.a().in_force.outputs_held);
    CHECK(sim.run_until([&] { return sim.a().in_force.frontends == Frontends::serve; }, 1s));
    CHECK(sim.state(Node::a) == RoleState::alone);
  }
  check_promises(sim);
}

TEST_CASE(
    "a master's lost postmaster: frontends wait, then are told whom to promote; a joined standby may take "
    "over") {
  PairSim sim;
  sim.init_joined();
  (void)sim.write(Node::a);
  sim.lose_postmaster(Node::a, true);
  sim.run_for(1s);
  CHECK(sim.a().in_force.frontends == Frontends::wait);
  sim.run_for(1500ms);
  CHECK(sim.a().in_force.frontends == Frontends::refuse);
  CHECK(sim.a().in_force.refusal.find("127.0.0.1:5433") != std::string::npos);
  CHECK(sim.a().in_force.refusal.find("on host b: pgtandem promote") != std::string::npos);
  CHECK(sim.state(Node::b) == RoleState::standby);
  SECTION("promoted") {
    CHECK(sim.ordered(Node::b, command::Promote{}).ok);
    CHECK(reaches(sim, RoleState::stale, RoleState::alone));
  }
  SECTION("back, after open units: the standby is suspect (R9)") {
    sim.mend_postmaster(Node::a);
    CHECK(reaches(sim, RoleState::alone, RoleState::stale));
    CHECK(sim.run_until([&] { return sim.a().in_force.frontends == Frontends::serve; }));
  }
  check_promises(sim);
}

TEST_CASE("a postmaster that was lost with nothing open costs no bootstrap") {
  PairSim sim;
  sim.init_joined();
  sim.lose_postmaster(Node::a, false);
  sim.run_for(5s);
  sim.mend_postmaster(Node::a);
  sim.run_for(5s);
  CHECK(sim.state(Node::a) == RoleState::master);
  CHECK(sim.a().in_force.frontends == Frontends::serve);
  check_promises(sim);
}

TEST_CASE("only the standby booted after everything was off: it never serves by itself") {
  PairSim sim;
  sim.init_joined();
  sim.crash(Node::a);
  sim.crash(Node::b);
  sim.start(Node::b);
  sim.run_for(60s);
  CHECK(sim.state(Node::b) == RoleState::recover);
  CHECK(sim.b().in_force.frontends == Frontends::refuse);
  CHECK(sim.promote_by_force(Node::b).ok);
  check_promises(sim);
}

TEST_CASE("a node whose slots are lost has no authority, makes no promise, and can be bootstrapped") {
  const Node lost = GENERATE(Node::a, Node::b);
  PairSim sim;
  sim.init_joined();
  sim.crash(Node::a);
  sim.crash(Node::b);
  for (auto& [index, bytes] : sim.node(lost).disk.durable) bytes[100] = char(bytes[100] ^ 1);
  sim.start(Node::a);
  sim.start(Node::b);
  sim.run_for(10s);
  CHECK_FALSE(is_active(sim.state(Node::a)));
  CHECK_FALSE(is_active(sim.state(Node::b)));
  CHECK_FALSE(sim.ordered(lost, command::Promote{true, "unknown", true}).ok);
  const Node sound = other(lost);
  CHECK(sim.ordered(sound, command::Promote{}).ok);
  CHECK(sim.bootstrap(sound).ok);
  CHECK(sim.run_until([&] { return sim.state(sound) == RoleState::master; }));
  CHECK(sim.state(lost) == RoleState::standby);
  check_promises(sim);
}

TEST_CASE("copies with nothing in common refuse each other until one is given up") {
  PairSim sim;
  sim.start(Node::a);
  CHECK(sim.ordered(Node::a, command::Init{Node::a, false}).ok);
  sim.crash(Node::a);
  sim.start(Node::b);
  CHECK(sim.ordered(Node::b, command::Init{Node::b, false}).ok);
  sim.start(Node::a);
  sim.run_for(5s);
  CHECK(sim.state(Node::a) == RoleState::recover);
  CHECK(sim.machine(Node::a).reason().find("nothing in common") != std::string::npos);
  CHECK(sim.state(Node::b) == RoleState::alone);
  CHECK(std::ranges::count(sim.b().told, "copies-unrelated") == 1);
  CHECK_FALSE(sim.bootstrap(Node::b).ok);
  CHECK(sim.ordered(Node::a, command::GiveUp{}).ok);
  CHECK(sim.bootstrap(Node::b).ok);
  CHECK(reaches(sim, RoleState::standby, RoleState::master));
  check_promises(sim);
}

TEST_CASE("flags-only: master at start, joined again only after a clean stop") {
  PairSim sim(1, true);
  sim.b().postmaster_up = true;
  sim.start(Node::a);
  CHECK(sim.state(Node::a) == RoleState::master);
  sim.run_for(10ms);
  CHECK(sim.acknowledged(sim.write(Node::a)));
  SECTION("clean") {
    sim.stop_and_wait(Node::a);
    sim.start(Node::a);
    CHECK(sim.state(Node::a) == RoleState::master);
    CHECK(sim.durable(Node::a).epoch == 2);
  }
  SECTION("killed, then bootstrapped") {
    sim.crash(Node::a);
    sim.start(Node::a);
    CHECK(sim.state(Node::a) == RoleState::alone);
    sim.run_for(10ms);
    (void)sim.write(Node::a);
    CHECK(sim.bootstrap(Node::a).ok);
    CHECK(sim.state(Node::a) == RoleState::master);
    sim.run_for(10ms);
    const WriteId id = sim.write(Node::a);
    CHECK(sim.b().data.contains(id));
  }
  SECTION("the standby fails") {
    sim.b().postmaster_up = false;
    const WriteId id = sim.write(Node::a);
    CHECK(sim.run_until([&] { return sim.acknowledged(id); }, 100ms));
    CHECK(sim.state(Node::a) == RoleState::alone);
  }
  SECTION("a stall is no reason to stop") {
    sim.give(Node::a, event::Stalled{5s});
    sim.run_for(20ms);
    CHECK(sim.a().in_force.frontends == Frontends::serve);
  }
  SECTION("damaged slots") {
    sim.crash(Node::a);
    for (auto& [index, bytes] : sim.a().disk.durable) bytes.resize(20);
    sim.start(Node::a);
    sim.run_for(1s);
    CHECK(sim.state(Node::a) == RoleState::recover);
    CHECK(sim.a().in_force.refusal.find("damaged") != std::string::npos);
  }
  SECTION("fenced and promoted") {
    CHECK(sim.ordered(Node::a, command::Fence{}).ok);
    CHECK(sim.state(Node::a) == RoleState::recover);
    CHECK(sim.ordered(Node::a, command::Promote{}).ok);
    CHECK(sim.state(Node::a) == RoleState::alone);
  }
  check_promises(sim);
}
