#include <catch2/catch.hpp>

#include "tests/unit/roles/pair-sim.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;

namespace {

/// Every scenario ends with this.
void check_promises(const PairSim& sim) {
  for (const std::string& violation : sim.violations) FAIL_CHECK(violation);
}

bool is(PairSim& sim, RoleState a, RoleState b) {
  return sim.state(Node::a) == a && sim.state(Node::b) == b;
}

bool reaches(PairSim& sim, RoleState a, RoleState b, Milliseconds limit = 30s) {
  const bool reached = sim.run_until([&] { return is(sim, a, b); }, limit);
  UNSCOPED_INFO(sim.describe());
  return reached;
}

}  // namespace

TEST_CASE("init joins a fresh pair, and what is written is on both") {
  PairSim sim;
  sim.init_joined();
  CHECK(sim.durable(Node::a).epoch == 1);
  CHECK(sim.durable(Node::b).eligible);
  const WriteId id = sim.write(Node::a);
  CHECK(sim.acknowledged(id));
  CHECK(sim.b().data.contains(id));
  check_promises(sim);
}

TEST_CASE("init without an equal standby makes a master alone and a standby that waits for a bootstrap") {
  PairSim sim;
  sim.start(Node::a);
  sim.start(Node::b);
  sim.run_for(1s);
  CHECK(sim.ordered(Node::a, command::Init{Node::a, false}).ok);
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  CHECK_FALSE(sim.ordered(Node::b, command::Init{Node::b, false}).ok);
  const WriteId id = sim.write(Node::a);
  CHECK(sim.bootstrap(Node::a).ok);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  CHECK(sim.b().data.contains(id));
  check_promises(sim);
}

TEST_CASE("init with an equal standby is refused while the standby's relay is away, and nothing is changed") {
  PairSim sim;
  sim.start(Node::a);
  const CommandAnswer answer = sim.ordered(Node::a, command::Init{Node::a, true});
  CHECK_FALSE(answer.ok);
  CHECK(answer.what_to_do.find("init") != std::string::npos);
  CHECK_FALSE(sim.machine(Node::a).initialised());
  sim.start(Node::b);
  sim.run_for(1s);
  CHECK(sim.ordered(Node::a, command::Init{Node::a, true}).ok);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  check_promises(sim);
}

TEST_CASE("without init nobody serves, however long") {
  PairSim sim;
  sim.start(Node::a);
  sim.start(Node::b);
  sim.run_for(10s);
  CHECK(is(sim, RoleState::recover, RoleState::recover));
  CHECK(sim.a().in_force.refusal.find("init") != std::string::npos);
  CHECK_FALSE(sim.ordered(Node::a, command::Promote{true, "unknown", true}).ok);
  check_promises(sim);
}

TEST_CASE("an orderly restart of the master's relay keeps the pair joined, in a later epoch") {
  PairSim sim;
  sim.init_joined();
  (void)sim.write(Node::a);
  sim.stop_and_wait(Node::a);
  CHECK(sim.durable(Node::a).clean == sim.durable(Node::a).lineage.generation);
  CHECK(sim.durable(Node::b).clean == sim.durable(Node::b).lineage.generation);
  const Uuid generation = sim.durable(Node::a).lineage.generation;
  sim.start(Node::a);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  CHECK(sim.durable(Node::a).epoch > 1);
  CHECK(sim.durable(Node::b).epoch == sim.durable(Node::a).epoch);
  CHECK(sim.durable(Node::a).lineage.generation == generation);
  CHECK(sim.durable(Node::a).clean.is_none());
  CHECK(sim.durable(Node::b).clean.is_none());
  sim.run_for(10ms);
  CHECK(sim.acknowledged(sim.write(Node::a)));
  check_promises(sim);
}

TEST_CASE("an orderly restart of the standby's relay makes new sessions wait and keeps the pair joined") {
  PairSim sim;
  sim.init_joined();
  (void)sim.write(Node::a);
  sim.stop_and_wait(Node::b);
  CHECK(sim.state(Node::a) == RoleState::draining);
  CHECK(sim.a().in_force.frontends == Frontends::wait);
  CHECK_FALSE(sim.durable(Node::b).clean.is_none());
  sim.run_for(500ms);
  sim.start(Node::b);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  sim.run_for(100ms);
  CHECK(sim.acknowledged(sim.write(Node::a)));
  check_promises(sim);
}

TEST_CASE("a standby's relay that does not come back in time is given up, and comes back stale") {
  PairSim sim;
  sim.init_joined();
  sim.stop_and_wait(Node::b);
  CHECK(sim.run_until([&] { return sim.state(Node::a) == RoleState::alone; }, 3s));
  sim.run_for(10ms);
  const WriteId id = sim.write(Node::a);
  CHECK(sim.acknowledged(id));
  sim.start(Node::b);
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  check_promises(sim);
}

TEST_CASE("both relays stopped in order, in either sequence, are joined again without a bootstrap") {
  const bool master_first = GENERATE(true, false);
  const bool start_master_first = GENERATE(true, false);
  PairSim sim;
  sim.init_joined();
  (void)sim.write(Node::a);
  sim.stop_and_wait(master_first ? Node::a : Node::b);
  sim.run_for(300ms);
  sim.stop_and_wait(master_first ? Node::b : Node::a);
  sim.run_for(20s);
  sim.start(start_master_first ? Node::a : Node::b);
  sim.run_for(3s);
  sim.start(start_master_first ? Node::b : Node::a);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  check_promises(sim);
}

TEST_CASE("both relays told to stop at once are joined again without a bootstrap") {
  PairSim sim;
  sim.init_joined();
  (void)sim.write(Node::a);
  sim.stop(Node::b);
  sim.stop(Node::a);
  CHECK(sim.run_until([&] { return sim.a().stopped && sim.b().stopped; }));
  sim.crash(Node::a);
  sim.crash(Node::b);
  sim.start(Node::a);
  sim.start(Node::b);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  check_promises(sim);
}

TEST_CASE("a stop with statements open, on either side, is not clean") {
  PairSim sim;
  sim.init_joined();
  (void)sim.write(Node::a);
  SECTION("the master's relay stops while a unit is undecided") {
    sim.a().open_units = 1;
    sim.stop_and_wait(Node::a);
    CHECK(sim.durable(Node::a).clean.is_none());
    CHECK(sim.durable(Node::b).clean.is_none());
    sim.start(Node::a);
  }
  SECTION("the master's relay stops after its postmaster was lost under a unit (R9)") {
    sim.lose_postmaster(Node::a, true);
    sim.stop_and_wait(Node::a);
    CHECK(sim.durable(Node::a).clean.is_none());
    sim.start(Node::a);
  }
  SECTION("the standby's relay stops while a unit is undecided") {
    sim.a().open_units = 1;
    sim.stop_and_wait(Node::b);
    CHECK(sim.durable(Node::b).clean.is_none());
    sim.start(Node::b);
  }
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  check_promises(sim);
}

TEST_CASE("a clean stop counts for one start: after a crash the standby is stale") {
  PairSim sim;
  sim.init_joined();
  sim.stop_and_wait(Node::a);
  sim.cut(true);
  sim.start(Node::a);
  sim.run_for(1s);
  sim.crash(Node::a);
  sim.cut(false);
  sim.start(Node::a);
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  check_promises(sim);
}

TEST_CASE(
    "a master's relay that was killed goes on with its data in a new epoch and generation, the standby is "
    "stale") {
  PairSim sim;
  sim.init_joined();
  const WriteId id = sim.write(Node::a);
  const Slot before = sim.durable(Node::a);
  sim.crash(Node::a);
  sim.start(Node::a);
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  sim.run_for(100ms);
  const Slot after = sim.durable(Node::a);
  CHECK(after.epoch > before.epoch);
  CHECK(after.lineage.generation != before.lineage.generation);
  CHECK_FALSE(after.sync);
  CHECK(sim.a().data.contains(id));
  CHECK(sim.durable(Node::b).promised_epoch == after.epoch);
  CHECK_FALSE(sim.durable(Node::b).eligible);
  check_promises(sim);
}

TEST_CASE("a master alone that restarts often is still known as the same copy by its stale standby") {
  PairSim sim;
  sim.init_joined();
  for (int i = 0; i < 12; ++i) {
    sim.crash(Node::a);
    sim.start(Node::a);
    REQUIRE(reaches(sim, RoleState::alone, RoleState::stale));
    sim.run_for(10ms);
    (void)sim.write(Node::a);
  }
  sim.crash(Node::b);
  sim.start(Node::b);
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  CHECK(sim.bootstrap(Node::a).ok);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  check_promises(sim);
}

TEST_CASE("a master whose standby does not answer waits for it or for the operator") {
  PairSim sim;
  sim.init_joined();
  sim.crash(Node::b);
  sim.crash(Node::a);
  sim.start(Node::a);
  sim.run_for(10s);
  CHECK(sim.state(Node::a) == RoleState::recover);
  CHECK(sim.a().in_force.frontends == Frontends::refuse);
  CHECK(sim.a().in_force.refusal == "waiting for the other node or `pgtandem promote`");
  const CommandAnswer first = sim.ordered(Node::a, command::Promote{});
  CHECK_FALSE(first.ok);
  CHECK(first.accept_loss_since == "unknown");
  CHECK(sim.promote_by_force(Node::a).ok);
  CHECK(sim.state(Node::a) == RoleState::alone);
  check_promises(sim);
}

TEST_CASE("a standby killed without sessions comes back joined") {
  PairSim sim;
  sim.init_joined();
  (void)sim.write(Node::a);
  sim.crash(Node::b);
  sim.run_for(10s);
  sim.start(Node::b);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  check_promises(sim);
}

TEST_CASE(
    "a standby that is lost under a write: outputs are held, recorded, then released, within "
    "standby_timeout") {
  PairSim sim;
  sim.init_joined();
  sim.run_for(1s);
  sim.crash(Node::b);
  const WriteId id = sim.write(Node::a);
  CHECK_FALSE(sim.acknowledged(id));
  CHECK(sim.run_until([&] { return sim.state(Node::a) == RoleState::degrading; }, 100ms));
  CHECK(sim.run_until([&] { return sim.acknowledged(id); }, 2100ms));
  CHECK_FALSE(sim.durable(Node::a).sync);
  sim.start(Node::b);
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  check_promises(sim);
}

TEST_CASE("a standby host that has been silent for standby_timeout costs the clients no second one") {
  PairSim sim;
  sim.init_joined();
  sim.crash(Node::b);
  sim.run_for(2s);
  const WriteId id = sim.write(Node::a);
  CHECK(sim.run_until([&] { return sim.acknowledged(id); }, 300ms));
  check_promises(sim);
}

TEST_CASE("a standby whose server alone fails agrees at once, durably, and is stale") {
  PairSim sim;
  sim.init_joined();
  sim.b().postmaster_up = false;
  const WriteId id = sim.write(Node::a);
  CHECK(sim.run_until([&] { return sim.acknowledged(id); }, 100ms));
  CHECK(is(sim, RoleState::alone, RoleState::stale));
  CHECK_FALSE(sim.durable(Node::b).eligible);
  CHECK_FALSE(sim.ordered(Node::b, command::Promote{}).ok);
  check_promises(sim);
}

TEST_CASE("a master that cannot record the degradation releases nothing and is fenced") {
  const int failing = GENERATE(0, 1, 2, 3);
  PairSim sim;
  sim.init_joined();
  sim.b().postmaster_up = false;
  sim.a().disk.operations = 0;
  sim.a().disk.fail_after = failing;
  const WriteId id = sim.write(Node::a);
  CHECK(sim.run_until([&] { return sim.state(Node::a) == RoleState::fenced; }, 5s));
  sim.run_for(5s);
  CHECK_FALSE(sim.acknowledged(id));
  CHECK(sim.state(Node::a) == RoleState::fenced);
  CHECK(sim.machine(Node::a).slot().sync);  // as far as this node may believe
  CHECK(sim.machine(Node::a).slot().lineage.parents.empty());
  CHECK(sim.a().in_force.frontends == Frontends::refuse);
  CHECK(sim.a().in_force.refusal.find("No space left") != std::string::npos);
  CHECK(sim.machine(Node::a).hint(0ms).find("/state") != std::string::npos);
  sim.a().disk.fail_after = -1;
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  check_promises(sim);
}

TEST_CASE("a standby that cannot record that it is stale does not say that it has") {
  PairSim sim;
  sim.init_joined();
  sim.b().postmaster_up = false;
  sim.b().disk.fail_after = 0;
  const WriteId id = sim.write(Node::a);
  CHECK(sim.run_until([&] { return sim.acknowledged(id); }, 3s));
  CHECK(sim.state(Node::b) == RoleState::fenced);
  CHECK(std::ranges::count(sim.a().told, "peer-refused") == 1);
  sim.b().disk.fail_after = -1;
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  check_promises(sim);
}

TEST_CASE("a bootstrap joins a stale standby in the order of R3") {
  PairSim sim;
  sim.init_joined();
  sim.b().postmaster_up = false;
  (void)sim.write(Node::a);
  REQUIRE(reaches(sim, RoleState::alone, RoleState::stale));
  sim.b().postmaster_up = true;
  const CommandAnswer begun = sim.ordered(Node::a, command::BootstrapBegin{"t", true});
  REQUIRE(begun.ok);
  CHECK(begun.target == Node::b);
  CHECK(begun.lease.size() == 32);
  CHECK(is(sim, RoleState::alone, RoleState::bootstrap));
  CHECK(sim.a().in_force.frontends == Frontends::wait);
  CHECK_FALSE(sim.ordered(Node::a, command::BootstrapBegin{"t", true}).ok);
  CHECK_FALSE(sim.ordered(Node::a, command::BootstrapProgress{"other", "copy", 1, 2, ""}).ok);
  CHECK_FALSE(sim.ordered(Node::b, command::Promote{true, "x", true}).ok);
  sim.b().data = sim.a().data;
  const auto finish = sim.order(Node::a, command::BootstrapFinish{begun.lease});
  // The standby records first; the master waits for its replies next; and only then is sync=true recorded.
  REQUIRE(sim.run_until([&] { return sim.durable(Node::b).eligible; }));
  CHECK_FALSE(sim.durable(Node::a).sync);
  REQUIRE(sim.run_until([&] { return sim.a().in_force.mirrored; }));
  CHECK(sim.a().in_force.frontends == Frontends::wait);
  CHECK(sim.run_until([&] { return finish->answered; }));
  CHECK(finish->answer.ok);
  CHECK(sim.durable(Node::a).sync);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  sim.run_for(5s);
  CHECK(is(sim, RoleState::master, RoleState::standby));
  check_promises(sim);
}

TEST_CASE("a bootstrap of a joined standby first gives the join up, durably on both") {
  PairSim sim;
  sim.init_joined();
  (void)sim.write(Node::a);
  const CommandAnswer begun = sim.ordered(Node::a, command::BootstrapBegin{"t", true});
  REQUIRE(begun.ok);
  CHECK_FALSE(sim.durable(Node::a).sync);
  CHECK_FALSE(sim.durable(Node::b).eligible);
  CHECK(is(sim, RoleState::alone, RoleState::bootstrap));
  check_promises(sim);
}

TEST_CASE("a bootstrap is refused where the target's relay is away, and the join is kept") {
  PairSim sim;
  sim.init_joined();
  sim.crash(Node::b);
  sim.run_for(3s);
  CHECK_FALSE(sim.ordered(Node::a, command::BootstrapBegin{"t", true}).ok);
  CHECK(sim.state(Node::a) == RoleState::master);
  sim.start(Node::b);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  CHECK_FALSE(sim.ordered(Node::a, command::BootstrapBegin{"t", false}).ok);
  CHECK_FALSE(sim.ordered(Node::b, command::BootstrapBegin{"t", true}).ok);
  check_promises(sim);
}

TEST_CASE("a bootstrap that ends badly leaves the master serving alone and the standby stale") {
  const int how = GENERATE(0, 1, 2, 3, 4);
  INFO("way " << how);
  PairSim sim;
  sim.init_joined();
  const CommandAnswer begun = sim.ordered(Node::a, command::BootstrapBegin{"t", true});
  REQUIRE(begun.ok);
  if (how == 0) CHECK(sim.ordered(Node::a, command::BootstrapAbort{begun.lease, "disk full there"}).ok);
  if (how == 1) sim.run_for(16s);  // the tool died
  if (how == 2) sim.crash(Node::b);
  if (how == 3) {  // the target is gone when it is to join
    sim.cut(true);
    CHECK_FALSE(sim.ordered(Node::a, command::BootstrapFinish{begun.lease}).ok);
    sim.cut(false);
  }
  if (how == 4) {  // the target records the join, and its answer is lost
    const auto finish = sim.order(Node::a, command::BootstrapFinish{begun.lease});
    REQUIRE(sim.run_until([&] { return sim.state(Node::b) == RoleState::standby; }));
    sim.cut(true);
    REQUIRE(sim.run_until([&] { return finish->answered; }));
    CHECK_FALSE(finish->answer.ok);
    CHECK(sim.durable(Node::b).lineage.generation != sim.durable(Node::a).lineage.generation);
    sim.cut(false);
  }
  if (how == 2) {
    sim.run_for(1s);
    sim.start(Node::b);
    CHECK_FALSE(sim.ordered(Node::a, command::BootstrapFinish{begun.lease}).ok);
  }
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  CHECK(sim.run_until([&] { return sim.a().in_force.frontends == Frontends::serve; }, 1s));
  CHECK(sim.acknowledged(sim.write(Node::a)));
  CHECK(sim.bootstrap(Node::a).ok);
  CHECK(reaches(sim, RoleState::master, RoleState::standby));
  check_promises(sim);
}

TEST_CASE("a master that is restarted during a bootstrap goes on alone, and the target is stale") {
  PairSim sim;
  sim.init_joined();
  REQUIRE(sim.ordered(Node::a, command::BootstrapBegin{"t", true}).ok);
  SECTION("killed") {
    sim.crash(Node::a);
  }
  SECTION("stopped") {
    sim.stop_and_wait(Node::a);
  }
  sim.start(Node::a);
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  check_promises(sim);
}

TEST_CASE("a bootstrap does not begin while the backends of either node cannot be ended") {
  PairSim sim;
  sim.init_joined();
  SECTION("of the target") {
    sim.b().backends_end = false;
  }
  SECTION("of the master") {
    sim.a().backends_end = false;
  }
  CHECK_FALSE(sim.ordered(Node::a, command::BootstrapBegin{"t", true}).ok);
  CHECK(reaches(sim, RoleState::alone, RoleState::stale));
  sim.run_for(100ms);
  CHECK(sim.acknowledged(sim.write(Node::a)));
  check_promises(sim);
}
