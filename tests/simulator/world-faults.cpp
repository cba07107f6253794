/// Faults, their end, and what operators do at the end of all.
#include <iterator>

#include "tests/simulator/world.h"

namespace pgtandem::simulator {
namespace {

using namespace std::chrono_literals;

struct FaultInfo {
  const char* name;
  int weight;
};

// In the order of World::fault.
constexpr FaultInfo kFaults[] = {{"relay killed", 6},
                                 {"relay killed, writes torn", 3},
                                 {"host off", 6},
                                 {"relay frozen", 7},
                                 {"postmaster killed", 8},
                                 {"hosts cut", 6},
                                 {"hosts cut one way", 5},
                                 {"witness cut", 5},
                                 {"witness cut one way", 4},
                                 {"host isolated", 6},
                                 {"loss", 3},
                                 {"delay", 4},
                                 {"duplication", 3},
                                 {"witness down", 4},
                                 {"disk full", 4},
                                 {"killed between two actions", 6},
                                 {"clock jumps", 4},
                                 {"operator: fence", 2},
                                 {"operator: switchover", 6},
                                 {"operator: switchover, server only", 5},
                                 {"relay restarted in order", 5},
                                 {"both hosts off", 3},
                                 {"link flaps", 3},
                                 {"witness wiped", 1}};
static_assert(std::size(kFaults) == World::kFaultKinds);

}  // namespace

const char* World::fault_name(int kind) {
  return kFaults[kind].name;
}

void World::cut(Site from, Site to, Milliseconds duration) {
  bool& link = cut_[std::size_t(from)][std::size_t(to)];
  link = true;
  later(duration, [&link] { link = false; });
}

void World::fault(int kind, Node node, Milliseconds duration) {
  Host& where = host(node);
  const Site here = site(where);
  const Site there = site(other_host(where));
  trace("fault: " + std::string(fault_name(kind)) + ", node " + std::string(to_string(node)) + ", " +
        std::to_string(duration.count()) + " ms");
  ++faults_done_;
  switch (kind) {
    case 0:
    case 1:
      end_relay(where, kind == 1);
      later(duration, [this, &where] { start_relay(where); });
      break;
    case 2:
      power_off(where);
      later(duration, [this, &where] { power_on(where); });
      break;
    case 3:
      freeze(where);
      later(duration, [this, &where] { thaw(where); });
      break;
    case 4:
      end_postmaster(where);
      later(duration, [this, &where] { start_postmaster(where); });
      break;
    case 5:
      cut(there, here, duration);
      [[fallthrough]];
    case 6:
      cut(here, there, duration);
      break;
    case 7:
      cut(Site::witness, here, duration);
      [[fallthrough]];
    case 8:
      if (kind == 8 && chance(50)) return cut(Site::witness, here, duration);
      cut(here, Site::witness, duration);
      break;
    case 9:
      for (const Site site : {there, Site::witness, Site::office}) {
        cut(here, site, duration);
        cut(site, here, duration);
      }
      break;
    case 10:
    case 11: {
      auto& links = kind == 10 ? loss_ : slow_;
      const int amount = kind == 10 ? pick(5, 60) : pick(100, 2500);
      for (std::size_t to = 0; to < kSites; ++to) {
        links[std::size_t(here)][to] = links[to][std::size_t(here)] = amount;
      }
      later(duration, [&links] {
        for (auto& row : links) std::fill(std::begin(row), std::end(row), 0);
      });
      break;
    }
    case 12:
      duplicates_ = 40;
      later(duration, [this] { duplicates_ = 0; });
      break;
    case 13:
      witness_.up = false;
      later(duration, [this] { witness_.up = true; });
      break;
    case 14:
      where.disk.operations = 0;
      where.disk.fail_after = pick(0, 6);
      later(duration, [&where] { where.disk.fail_after = -1; });
      break;
    case 15:
      if (!where.up) break;
      where.crash_after = pick(0, 40);
      later(duration, [this, &where] { start_relay(where); });
      break;
    case 16:
      where.shown = local(where) + Milliseconds{pick(0, 60)};
      where.since = time_;
      where.rate = 1 + pick(-100, 100) / 10'000.0;
      break;
    case 17:
      order(where, command::Fence{}, [](const CommandAnswer&) {});
      break;
    case 18:
    case 19:
      order(where, command::Switchover{kind == 19}, [](const CommandAnswer&) {});
      order(other_host(where), command::Switchover{kind == 19}, [](const CommandAnswer&) {});
      break;
    case 20:
      give(where, event::Stop{});
      later(duration, [this, &where] {
        end_relay(where, false);
        start_relay(where);
      });
      break;
    case 21:
      power_off(hosts_[0]);
      power_off(hosts_[1]);
      later(duration, [this, &where] { power_on(where); });
      later(duration + Milliseconds{pick(0, 8000)}, [this, &where] { power_on(other_host(where)); });
      break;
    case 22:
      for (int i = 0; i < 6; ++i) {
        later(duration * i / 6, [this, here, there, duration] {
          cut(here, there, duration / 12);
          cut(there, here, duration / 12);
        });
      }
      break;
    case 23:
      if (arbiter_ != Arbiter::witness) break;
      witness_lost_ = true;
      witness_ = {};
      if (chance(70)) witness_.identity = make_uuid();
      break;
    default:
      break;
  }
}

void World::set_up() {
  power_on(hosts_[0]);
  power_on(hosts_[1]);
  run_for(1500ms);
  bool done = false;
  order(hosts_[0], command::Init{Node::a, true}, [&done](const CommandAnswer& answer) { done = answer.ok; });
  run_for(1500ms);
  if (!done || hosts_[0].machine->state() != RoleState::master ||
      hosts_[1].machine->state() != RoleState::standby) {
    return fail("the pair could not be set up");
  }
  clients_on_ = operators_on_ = true;
  client();
  client();
  watch_relays();
  if (options_.operators) operate();
  run_for(1s);
}

/// With a hook some last longer than hook_wait and its jitter: only then the standby calls its own.
Milliseconds World::fault_duration() {
  if (arbiter_ == Arbiter::hook && chance(35)) return Milliseconds{pick(9000, 30'000)};
  return Milliseconds{chance(30) ? pick(20, 600) : pick(600, 9000)};
}

/// The power switch of each host is a device of its own.
void World::change_hooks() {
  using enum HookDoes;
  constexpr HookDoes kDoes[] = {confirms, confirms, confirms,    confirms, fails,
                                fails,    hangs,    unconfirmed, late};
  for (Host& each : hosts_) each.hook = kDoes[pick(0, int(std::size(kDoes)) - 1)];
}

/// All of them at their times; returns when they have happened, and `settle` later, or at once for 0.
void World::plan_faults(Milliseconds settle) {
  int sum = 0;
  for (const FaultInfo& info : kFaults) sum += info.weight;
  Milliseconds at{0};
  for (int i = 0; i < options_.faults; ++i) {
    // Some at once, some while the pair still deals with the last, some after it has settled.
    const int pace = pick(0, 9);
    at += Milliseconds{pace < 2 ? pick(0, 30) : pace < 7 ? pick(100, 3000) : pick(3000, 12000)};
    int choice = pick(0, sum - 1);
    int kind = 0;
    while (choice >= kFaults[kind].weight) choice -= kFaults[kind++].weight;
    const Node node = chance(50) ? Node::a : Node::b;
    const Milliseconds duration = fault_duration();
    later(at, [this, kind, node, duration] {
      fault(kind, node, duration);
      if (arbiter_ == Arbiter::hook && chance(30)) change_hooks();
    });
  }
  if (settle > 0ms) run_for(at + settle);
}

void World::heal() {
  trace("everything is mended");
  for (auto& row : cut_) std::fill(std::begin(row), std::end(row), false);
  for (auto& row : loss_) std::fill(std::begin(row), std::end(row), 0);
  for (auto& row : slow_) std::fill(std::begin(row), std::end(row), 0);
  duplicates_ = 0;
  witness_.up = true;
  for (Host& each : hosts_) {
    each.hook = HookDoes::confirms;
    each.disk.fail_after = -1;
    each.crash_after = -1;
    thaw(each);
    start_postmaster(each);
    if (each.stopped) end_relay(each, false);
    start_relay(each);
  }
}

bool World::is_served() const {
  for (const Host& each : hosts_) {
    if (each.up && is_active(each.machine->state()) && time_ - served_at_ < 2s) return true;
  }
  return false;
}

/// An operator who takes a witness that was set up anew out of the configuration.
void World::remove_witness() {
  trace("the witness is taken out of the configuration");
  arbiter_ = Arbiter::none;
  word_given_ = true;
  for (Host& each : hosts_) {
    each.settings.witness = false;
    end_relay(each, false);
    start_relay(each);
  }
}

/// An operator for whom being served is worth more than what the other copy may hold.
void World::insist(Host& where) {
  order(where, command::Promote{false, "", true}, [this, &where](const CommandAnswer& answer) {
    trace("  " + answer.text);
    if (!answer.ok) return;
    excuse(where);
    // "To lose what only the other one holds" was the operator's word.
    other_host(where).gave_up = true;
  });
}

void World::finish() {
  for (Host& each : hosts_) each.crash_after = -1;
  heal();
  // With a witness or a hook nobody is needed, unless an operator had his hands in it before.
  run_for(15s);
  if (witness_lost_ && !is_served()) remove_witness();
  for (int round = 0; round < 40 && !broken(); ++round) {
    run_for(3s);
    heal();
    if (is_served() && round >= 3) break;
    if (round > 8 && !is_served()) insist(hosts_[std::size_t(round % 2)]);
  }
  if (!broken()) check_end();
}

bool World::run() {
  set_up();
  if (!broken()) plan_faults(10s);
  if (!broken()) finish();
  return !broken();
}

}  // namespace pgtandem::simulator
