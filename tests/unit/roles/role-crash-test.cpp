#include <catch2/catch.hpp>

#include "tests/unit/roles/pair-sim.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;

namespace {

void check_promises(const PairSim& sim) {
  for (const std::string& violation : sim.violations) FAIL_CHECK(violation);
}

/// All hosts and links are up again.
void mend_hosts(PairSim& sim) {
  sim.cut(false);
  for (const Node which : {Node::a, Node::b}) {
    SimNode& each = sim.node(which);
    each.crash_after = -1;
    each.disk.fail_after = -1;
    each.backends_end = true;
    if (each.stopped) sim.crash(which);
    if (!each.up) sim.start(which);
    if (each.frozen) sim.thaw(which);
    if (!each.postmaster_up) sim.mend_postmaster(which);
  }
}

/// What an operator does when all hosts are up again: names the copy to give up, promotes, bootstraps. True
/// if that ends in a joined pair.
bool operator_mends(PairSim& sim) {
  for (int attempt = 0; attempt < 6; ++attempt) {
    mend_hosts(sim);  // each time: a stop that was under way may have ended since
    sim.run_for(20s);
    if (sim.run_until(
            [&] {
              return (sim.state(Node::a) == RoleState::master && sim.state(Node::b) == RoleState::standby) ||
                     (sim.state(Node::b) == RoleState::master && sim.state(Node::a) == RoleState::standby);
            },
            1s)) {
      return true;
    }
    const bool a_active = is_active(sim.state(Node::a));
    const bool b_active = is_active(sim.state(Node::b));
    if (a_active || b_active) {
      const Node master = a_active ? Node::a : Node::b;
      (void)sim.ordered(other(master), command::GiveUp{});
      (void)sim.bootstrap(master);
      continue;
    }
    for (const Node which : {Node::a, Node::b}) {
      if (sim.state(which) == RoleState::split) {
        sim.data_loss_accepted = true;
        (void)sim.ordered(which, command::GiveUp{});
        break;
      }
    }
    if (sim.ordered(Node::a, command::Init{Node::a, false}).ok) continue;
    if (sim.ordered(Node::a, command::Promote{}).ok) continue;
    if (sim.ordered(Node::b, command::Promote{}).ok) continue;
    sim.data_loss_accepted = true;
    if (sim.ordered(Node::a, command::Promote{false, "", true}).ok) continue;
    (void)sim.ordered(Node::b, command::Promote{false, "", true});
  }
  return false;
}

struct Scenario {
  const char* name;
  std::function<void(PairSim&)> play;
};

void write_some(PairSim& sim) {
  for (int i = 0; i < 3; ++i) {
    sim.write_anywhere();
    sim.run_for(20ms);
  }
}

void restart(PairSim& sim, Node which) {
  if (!sim.node(which).up) sim.start(which);
  sim.run_for(4s);
  write_some(sim);
}

const std::vector<Scenario> kScenarios = {
    {"the standby's server fails under a write",
     [](PairSim& sim) {
       sim.b().postmaster_up = false;
       write_some(sim);
       sim.run_for(5s);
     }},
    {"the standby's host fails under a write",
     [](PairSim& sim) {
       sim.cut(true);
       write_some(sim);
       sim.run_for(5s);
     }},
    {"the master's relay is stopped and started",
     [](PairSim& sim) {
       if (sim.a().up) sim.stop_and_wait(Node::a);
       restart(sim, Node::a);
     }},
    {"the standby's relay is stopped and started",
     [](PairSim& sim) {
       if (sim.b().up) sim.stop_and_wait(Node::b);
       restart(sim, Node::b);
     }},
    {"the master's relay is killed and started",
     [](PairSim& sim) {
       sim.crash(Node::a);
       restart(sim, Node::a);
     }},
    {"the standby is promoted",
     [](PairSim& sim) {
       (void)sim.ordered(Node::b, command::Promote{});
       sim.run_for(3s);
       write_some(sim);
     }},
    {"the master is fenced, then promoted again",
     [](PairSim& sim) {
       (void)sim.ordered(Node::a, command::Fence{});
       (void)sim.ordered(Node::a, command::Promote{});
       sim.run_for(1s);
       write_some(sim);
     }},
    {"the standby is bootstrapped",
     [](PairSim& sim) {
       (void)sim.bootstrap(Node::a);
       sim.run_for(1s);
       write_some(sim);
     }},
    {"a bootstrap is aborted",
     [](PairSim& sim) {
       const CommandAnswer begun = sim.ordered(Node::a, command::BootstrapBegin{"t", true});
       (void)sim.ordered(Node::a, command::BootstrapAbort{begun.lease, "no"});
       write_some(sim);
     }},
    {"the master stands still",
     [](PairSim& sim) {
       if (sim.a().up) sim.freeze(Node::a);
       sim.run_for(3s);
       if (sim.a().up) sim.thaw(Node::a);
       write_some(sim);
     }},
    {"the master's postmaster is restarted under open units",
     [](PairSim& sim) {
       sim.lose_postmaster(Node::a, true);
       sim.run_for(1s);
       sim.mend_postmaster(Node::a);
       sim.run_for(1s);
       write_some(sim);
     }},
};

}  // namespace

TEST_CASE(
    "whichever node is killed at whichever step of whichever flow: the promises hold, and the pair can be "
    "mended") {
  for (const Scenario& scenario : kScenarios) {
    for (const Node victim : {Node::a, Node::b}) {
      int steps = 0;
      for (bool crashed = true; crashed && steps < 400; ++steps) {
        PairSim sim(std::uint64_t(steps) + 1);
        sim.init_joined();
        (void)sim.write(Node::a);
        sim.node(victim).actions = 0;
        sim.node(victim).crash_after = steps;
        const unsigned life = sim.node(victim).life;
        scenario.play(sim);
        crashed = sim.node(victim).crash_after == -1;
        (void)life;
        if (crashed && !sim.node(victim).up) {
          sim.run_for(4s);
          write_some(sim);
          sim.start(victim);
          sim.run_for(4s);
          write_some(sim);
        }
        const bool mended = operator_mends(sim);
        INFO(scenario.name << ", " << to_string(victim) << " killed at step " << steps << "\n"
                           << sim.describe());
        REQUIRE(mended);
        REQUIRE_FALSE(sim.data_loss_accepted);
        write_some(sim);
        check_promises(sim);
        if (!sim.violations.empty()) return;
      }
      INFO(scenario.name);
      CHECK(steps > 1);
      CHECK(steps < 400);
    }
  }
}

TEST_CASE("whichever write of the state fails in whichever flow: nothing is released that should not be") {
  for (const Scenario& scenario : kScenarios) {
    for (const Node victim : {Node::a, Node::b}) {
      for (int operation = 0; operation < 12; ++operation) {
        PairSim sim(std::uint64_t(operation) + 1);
        sim.init_joined();
        (void)sim.write(Node::a);
        sim.node(victim).disk.operations = 0;
        sim.node(victim).disk.fail_after = operation;
        scenario.play(sim);
        sim.run_for(3s);
        write_some(sim);
        const bool mended = operator_mends(sim);
        INFO(scenario.name << ", disk of " << to_string(victim) << " full after " << operation << "\n"
                           << sim.describe());
        REQUIRE(mended);
        REQUIRE_FALSE(sim.data_loss_accepted);
        check_promises(sim);
        if (!sim.violations.empty()) return;
      }
    }
  }
}

namespace {

/// One thing that goes wrong, or is ordered, at random.
void random_fault(PairSim& sim, bool forced_promotions) {
  const auto pick = [&](int below) { return int(sim.random() % std::uint64_t(below)); };
  const Node which = pick(2) == 0 ? Node::a : Node::b;
  SimNode& node = sim.node(which);
  switch (pick(16)) {
    case 0:
      sim.crash(which);
      break;
    case 1:
    case 2:
    case 3:
      if (node.stopped) sim.crash(which);
      if (!node.up) sim.start(which);
      break;
    case 4:
      if (node.up && !node.frozen) sim.stop(which);
      break;
    case 5:
      sim.cut(true);
      break;
    case 6:
    case 7:
      sim.cut(false);
      break;
    case 8:
      if (node.up) sim.freeze(which);
      break;
    case 9:
      if (node.up && node.frozen) sim.thaw(which);
      break;
    case 10:
      if (node.up && !node.frozen) sim.lose_postmaster(which, pick(2) == 0);
      break;
    case 11:
      if (node.up && !node.frozen) sim.mend_postmaster(which);
      break;
    case 12:
      node.disk.operations = 0;
      node.disk.fail_after = pick(3) == 0 ? pick(6) : -1;
      break;
    case 13:
      if (node.up && !node.frozen && !node.stopped) {
        if (forced_promotions && pick(2) == 0) {
          (void)sim.promote_by_force(which, pick(3) == 0);
        } else {
          (void)sim.ordered(which, command::Promote{});
        }
      }
      break;
    case 14:
      if (node.up && !node.frozen && !node.stopped) (void)sim.bootstrap(which);
      break;
    default:
      if (node.up && !node.frozen && !node.stopped && pick(4) == 0)
        (void)sim.ordered(which, command::Fence{});
      node.crash_after = pick(4) == 0 ? pick(10) : -1;
      node.actions = 0;
  }
}

void random_run(std::uint64_t seed, bool forced_promotions) {
  PairSim sim(seed);
  sim.init_joined();
  const int faults = 5 + int(sim.random() % 20);
  for (int i = 0; i < faults; ++i) {
    random_fault(sim, forced_promotions);
    for (int j = 0; j < 3; ++j) {
      sim.write_anywhere();
      sim.run_for(Milliseconds{int(sim.random() % 900)});
    }
  }
  const bool mended = operator_mends(sim);
  INFO("seed " << seed << " forced " << forced_promotions << "\n" << sim.describe());
  check_promises(sim);
  REQUIRE(mended);
}

}  // namespace

TEST_CASE("random faults without forced promotions: whoever is served has all that was acknowledged") {
  for (std::uint64_t seed = 1; seed <= 250; ++seed) random_run(seed, false);
}

TEST_CASE(
    "random faults with operators' words, right and wrong: never two masters in an epoch, joined is joined") {
  for (std::uint64_t seed = 10001; seed <= 10250; ++seed) random_run(seed, true);
}
