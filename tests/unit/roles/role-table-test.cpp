#include "common/roles/role-table.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "tests/unit/roles/pair-sim.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;

namespace {

using Cells = std::vector<std::string>;

/// The rows of a table in docs/states.md, between two marks; without the line under the heading.
std::vector<Cells> table_in_docs(const std::string& name) {
  std::ifstream file(std::string(PGTANDEM_SOURCE_DIR) + "/docs/states.md");
  REQUIRE(file.good());
  std::vector<Cells> rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "<!-- " + name + " -->") inside = true;
    if (line == "<!-- /" + name + " -->") inside = false;
    if (!inside || !line.starts_with("|") || line.starts_with("|---")) continue;
    Cells cells;
    std::stringstream text(line.substr(1));
    for (std::string cell; std::getline(text, cell, '|');) {
      const std::size_t first = cell.find_first_not_of(' ');
      const std::size_t last = cell.find_last_not_of(' ');
      cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
    }
    rows.push_back(cells);
  }
  return rows;
}

/// A pair with node a or b in the state asked for.
struct Stage {
  std::unique_ptr<PairSim> sim;
  Node node;
};

Stage stage(RoleState state) {
  auto sim = std::make_unique<PairSim>();
  const auto until = [&sim](Node node, RoleState wanted) {
    return sim->run_until([&] { return sim->state(node) == wanted; }, 10s);
  };
  Node node = Node::a;
  bool there = true;
  sim->init_joined();
  sim->run_for(1s);
  switch (state) {
    case RoleState::recover:
      sim->crash(Node::b);
      sim->crash(Node::a);
      sim->start(Node::a);
      break;
    case RoleState::stale:
      node = Node::b;
      sim->b().postmaster_up = false;
      (void)sim->write(Node::a);
      break;
    case RoleState::bootstrap:
      node = Node::b;
      (void)sim->ordered(Node::a, command::BootstrapBegin{"t", true});
      break;
    case RoleState::standby:
      node = Node::b;
      break;
    case RoleState::candidate:
      node = Node::b;
      (void)sim->order(Node::b, command::Promote{});
      break;
    case RoleState::master:
      break;
    case RoleState::degrading:
      sim->cut(true);
      (void)sim->write(Node::a);
      break;
    case RoleState::alone:
      sim->b().postmaster_up = false;
      (void)sim->write(Node::a);
      break;
    case RoleState::draining:
      sim->stop(Node::a);
      break;
    case RoleState::fenced:
      (void)sim->order(Node::a, command::Fence{});
      break;
    case RoleState::split:
      sim->cut(true);
      (void)sim->write(Node::a);
      there = until(Node::a, RoleState::alone);
      (void)sim->promote_by_force(Node::b);
      sim->cut(false);
      break;
  }
  there = there && until(node, state);
  INFO(sim->describe());
  REQUIRE(there);
  return {std::move(sim), node};
}

NodeReport report_to(Stage& stage, bool newer) {
  RoleMachine copy = *stage.sim->node(other(stage.node)).machine;
  NodeReport report = copy.report();
  if (!newer) {
    // One that has been overtaken: then only the request itself counts.
    if (const auto& known = stage.sim->machine(stage.node).peer().report) {
      report = *known;
    } else {
      report.sequence = 0;
    }
  }
  return report;
}

/// At least one event of each kind.
std::vector<Event> events_of(EventKind kind, Stage& stage) {
  const RoleMachine& machine = stage.sim->machine(stage.node);
  const bool peer_is_up = stage.sim->node(other(stage.node)).up;
  NodeReport overtaken;
  NodeReport newer;
  if (peer_is_up) {
    overtaken = report_to(stage, false);
    newer = report_to(stage, true);
  } else {
    RoleMachine copy = machine;
    overtaken = newer = copy.report();
    overtaken.node = newer.node = other(stage.node);
    overtaken.boot = newer.boot = random_uuid();
    newer.state = RoleState::stale;
    newer.eligible = false;
    overtaken = newer;
  }
  const auto asked = [&](PeerBody body) { return event::PeerAsked{77, {overtaken, std::move(body)}}; };
  const auto ordered = [](OperatorCommand command) { return event::Ordered{78, std::move(command)}; };
  const Uuid generation = machine.slot().lineage.generation;
  const Epoch epoch = machine.slot().epoch;
  RoleRecord claim = machine.record();
  claim.epoch = machine.slot().highest_seen + 2;
  claim.master = other(stage.node);
  FenceYourself fence;
  fence.claim = claim;
  const std::vector<Ticket> tickets = [] {
    std::vector<Ticket> all;
    for (Ticket ticket = 0; ticket < 60; ++ticket) all.push_back(ticket);
    return all;
  }();
  std::vector<Event> events;
  const auto for_tickets = [&](auto make) {
    for (const Ticket ticket : tickets) events.push_back(make(ticket));
  };
  switch (kind) {
    case EventKind::start:
      return {event::Start{{SlotsFound::usable, machine.slot(), ""}}, event::Start{}};
    case EventKind::stop:
      return {event::Stop{}};
    case EventKind::tick:
      return {event::Tick{}};
    case EventKind::store_failed:
      return {event::StoreFailed{"full"}};
    case EventKind::standby_failed:
      return {event::StandbyFailed{"lost"}};
    case EventKind::stalled:
      return {event::Stalled{2s}};
    case EventKind::postmaster_lost:
      return {event::PostmasterLost{"gone"}};
    case EventKind::postmaster_back:
      return {event::PostmasterBack{}};
    case EventKind::copies_may_differ:
      return {event::CopiesMayDiffer{"open"}};
    case EventKind::in_force:
      for_tickets([](Ticket t) { return event::InForce{t}; });
      break;
    case EventKind::sessions_ended:
      for_tickets([](Ticket t) { return event::SessionsEnded{t, true}; });
      for_tickets([](Ticket t) { return event::SessionsEnded{t, false}; });
      break;
    case EventKind::legs_refused:
      for_tickets([](Ticket t) { return event::LegsRefused{t}; });
      break;
    case EventKind::backends_ended:
      for_tickets([](Ticket t) { return event::BackendsEnded{t, true, ""}; });
      for_tickets([](Ticket t) { return event::BackendsEnded{t, false, "why"}; });
      break;
    case EventKind::peer_report: {
      for (std::size_t state = 0; state < kRoleStates; ++state) {
        for (const bool same : {true, false}) {
          NodeReport report = newer;
          report.state = RoleState(state);
          report.sequence += 1000;
          if (!same) report.lineage = {random_uuid(), {report.lineage.generation}};
          if (is_active(report.state)) report.master = report.node;
          report.epoch = std::min(report.epoch, epoch);
          report.highest_seen = std::min(report.highest_seen, epoch);
          events.push_back(event::PeerReported{report});
        }
      }
      break;
    }
    case EventKind::higher_epoch:
      return {event::RecordSeen{79, claim}};
    case EventKind::ask_promise:
      return {asked(AskPromise{claim.epoch, {}, false, false}),
              asked(AskPromise{claim.epoch, generation, false, false}),
              asked(AskPromise{claim.epoch, {}, true, true}), asked(AskPromise{epoch, {}, false, false})};
    case EventKind::agree_degrade:
      return {asked(AgreeDegrade{epoch, generation}), asked(AgreeDegrade{epoch, random_uuid()}),
              asked(AgreeDegrade{0, generation})};
    case EventKind::fence_yourself:
      return {asked(fence)};
    case EventKind::leaving:
      return {asked(Leaving{true}), asked(Leaving{false})};
    case EventKind::bootstrap_target:
      return {asked(BootstrapTarget{})};
    case EventKind::join:
      return {asked(Join{false, epoch, generation}), asked(Join{true, epoch, random_uuid()})};
    case EventKind::bootstrap_dropped:
      return {asked(BootstrapDropped{})};
    case EventKind::peer_answer:
      for_tickets([&](Ticket t) { return event::PeerAnswered{t, {overtaken, true, false, ""}}; });
      for_tickets([&](Ticket t) { return event::PeerAnswered{t, {overtaken, false, false, "no"}}; });
      for_tickets([&](Ticket t) { return event::PeerAnswered{t, {overtaken, true, true, ""}}; });
      break;
    case EventKind::peer_silent:
      for_tickets([](Ticket t) { return event::PeerSilent{t}; });
      break;
    case EventKind::init:
      return {ordered(command::Init{stage.node, true}), ordered(command::Init{stage.node, false})};
    case EventKind::promote:
      return {ordered(command::Promote{}), ordered(command::Promote{true, "unknown", true})};
    case EventKind::fence:
      return {ordered(command::Fence{})};
    case EventKind::give_up:
      return {ordered(command::GiveUp{})};
    case EventKind::bootstrap_begin:
      return {ordered(command::BootstrapBegin{"t", true}), ordered(command::BootstrapBegin{"t", false})};
    case EventKind::bootstrap_progress:
      return {ordered(command::BootstrapProgress{"x", "p", 1, 2, ""})};
    case EventKind::bootstrap_finish:
      return {ordered(command::BootstrapFinish{"x"})};
    case EventKind::bootstrap_abort:
      return {ordered(command::BootstrapAbort{"x", "y"})};
    case EventKind::take_over:
      return {asked(TakeOver{claim.epoch + 1, false}), asked(TakeOver{0, true})};
    case EventKind::switchover:
      return {ordered(command::Switchover{true}), ordered(command::Switchover{false})};
    case EventKind::witness_answer:
      for_tickets([](Ticket t) { return event::WitnessAnswered{t, {}}; });
      break;
    case EventKind::witness_silent:
      for_tickets([](Ticket t) { return event::WitnessSilent{t, "away"}; });
      break;
    case EventKind::hook_confirmed:
      for_tickets([](Ticket t) { return event::HookConfirmed{t}; });
      break;
    case EventKind::hook_failed:
      for_tickets([](Ticket t) { return event::HookFailed{t, "no"}; });
      break;
    case EventKind::guests_ended:
      return {event::GuestsEnded{}};
    // By time, and only with a witness or a hook: role-witness-table-test.cpp.
    case EventKind::right_expired:
    case EventKind::term_over:
    case EventKind::long_silence:
      break;
  }
  return events;
}

/// The answers to the request that the event was, and whether each was a refusal.
std::vector<bool> answers_in(const std::vector<Action>& actions) {
  std::vector<bool> answers;
  for (const Action& action : actions) {
    const auto* peer = std::get_if<action::AnswerPeer>(&action);
    const auto* command = std::get_if<action::AnswerCommand>(&action);
    if (peer != nullptr && peer->id == 77) answers.push_back(peer->ok);
    if (command != nullptr && (command->id == 78 || command->id == 79)) answers.push_back(command->answer.ok);
  }
  return answers;
}

}  // namespace

TEST_CASE("docs/states.md shows the table of the code, cell by cell") {
  const std::vector<Cells> rows = table_in_docs("table");
  REQUIRE(rows.size() == kEventKinds + 1);
  REQUIRE(rows[0].size() == kRoleStates + 1);
  for (std::size_t state = 0; state < kRoleStates; ++state) {
    CHECK(rows[0][state + 1] == to_string(RoleState(state)));
  }
  for (std::size_t event = 0; event < kEventKinds; ++event) {
    const Cells& row = rows[event + 1];
    REQUIRE(row.size() == kRoleStates + 1);
    CHECK(row[0] == to_string(EventKind(event)));
    for (std::size_t state = 0; state < kRoleStates; ++state) {
      INFO(to_string(EventKind(event)) << " in " << to_string(RoleState(state)));
      CHECK(row[state + 1] == to_string(reaction_to(EventKind(event), RoleState(state))));
    }
  }
}

TEST_CASE("docs/states.md says of every reaction what it does and where it may lead") {
  const std::vector<Cells> rows = table_in_docs("reactions");
  REQUIRE(rows.size() == kReactions + 1);
  for (std::size_t reaction = 0; reaction < kReactions; ++reaction) {
    const Cells& row = rows[reaction + 1];
    REQUIRE(row.size() == 3);
    CHECK(row[0] == to_string(Reaction(reaction)));
    std::string next;
    for (const RoleState state : next_states(Reaction(reaction))) {
      next += (next.empty() ? "" : " ") + std::string(to_string(state));
    }
    CHECK(row[1] == next);
    CHECK(row[2].size() > 10);
  }
}

TEST_CASE("every cell: each state answers each event as the table says, and leads only where it says") {
  for (std::size_t s = 0; s < kRoleStates; ++s) {
    const RoleState state = RoleState(s);
    for (std::size_t e = 0; e < kEventKinds; ++e) {
      const EventKind kind = EventKind(e);
      const Reaction reaction = reaction_to(kind, state);
      Stage scene = stage(state);
      const Now now = scene.sim->now(scene.node);
      for (const Event& event : events_of(kind, scene)) {
        RoleMachine machine = scene.sim->machine(scene.node);
        REQUIRE(machine.state() == state);
        const std::vector<Action> actions = machine.handle(now, event);
        INFO(to_string(kind) << " in " << to_string(state) << ": " << to_string(reaction) << ", then "
                             << to_string(machine.state()) << " (" << machine.reason() << ")");
        const auto next = next_states(reaction);
        CHECK((machine.state() == state || std::ranges::find(next, machine.state()) != next.end()));
        const std::vector<bool> answers = answers_in(actions);
        CHECK(answers.size() <= 1);
        if (reaction == Reaction::ignored) CHECK(actions.empty());
        if (reaction == Reaction::refuse || reaction == Reaction::refuse_peer) {
          REQUIRE(answers.size() == 1);
          CHECK_FALSE(answers[0]);
          CHECK(machine.state() == state);
        }
        if (reaction == Reaction::already_master || reaction == Reaction::already_out ||
            reaction == Reaction::acknowledge || reaction == Reaction::not_joined) {
          REQUIRE(answers.size() == 1);
          CHECK(answers[0]);
        }
      }
    }
  }
}

TEST_CASE("the transitions that rules R2, R7, R8 and R10 live by happen at their one event") {
  // Reached from one event in the plain stages above; the rest are steps deep in a flow, each with a test of
  // its own.
  std::set<std::pair<Reaction, RoleState>> seen;
  for (std::size_t s = 0; s < kRoleStates; ++s) {
    for (std::size_t e = 0; e < kEventKinds; ++e) {
      Stage scene = stage(RoleState(s));
      for (const Event& event : events_of(EventKind(e), scene)) {
        RoleMachine machine = scene.sim->machine(scene.node);
        (void)machine.handle(scene.sim->now(scene.node), event);
        seen.emplace(reaction_to(EventKind(e), RoleState(s)), machine.state());
      }
    }
  }
  CHECK(seen.contains({Reaction::fence_by_epoch, RoleState::fenced}));
  CHECK(seen.contains({Reaction::degrade, RoleState::degrading}));
  CHECK(seen.contains({Reaction::promise, RoleState::stale}));
  CHECK(seen.contains({Reaction::agree, RoleState::stale}));
  CHECK(seen.contains({Reaction::yield, RoleState::fenced}));
  CHECK(seen.contains({Reaction::stand, RoleState::candidate}));
  CHECK(seen.contains({Reaction::make_room, RoleState::bootstrap}));
  CHECK(seen.contains({Reaction::drain, RoleState::draining}));
  CHECK(seen.contains({Reaction::give_up, RoleState::stale}));
  CHECK(seen.contains({Reaction::not_certain, RoleState::stale}));
  CHECK(seen.contains({Reaction::fence_unwritable, RoleState::fenced}));
}
