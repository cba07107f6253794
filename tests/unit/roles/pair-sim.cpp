#include "tests/unit/roles/pair-sim.h"

#include <algorithm>
#include <sstream>

namespace pgtandem::testing {
namespace {

using namespace std::chrono_literals;

constexpr Milliseconds kFloorDelay{3};

bool serves(const Grant& grant) {
  return grant.frontends == Frontends::serve;
}

}  // namespace

PairSim::PairSim(std::uint64_t seed, bool flags_only) : random(seed), flags_only_(flags_only) {
  const Uuid cluster = flags_only ? Uuid{} : random_uuid();
  for (const Node which : {Node::a, Node::b}) {
    SimNode& each = node(which);
    each.settings.self = which;
    each.settings.cluster = cluster;
    each.settings.has_peer = !flags_only;
    each.settings.state_dir = "/state";
    each.settings.postmaster = "127.0.0.1:5433";
  }
}

void PairSim::fail(const std::string& what) {
  violations.push_back(what + "\n" + describe());
}

Now PairSim::now(Node which) const {
  return {time_, 1'700'000'000'000ms + time_ + nodes_[which == Node::a ? 0 : 1].clock_skew};
}

void PairSim::later(Milliseconds delay, std::function<void()> what) {
  agenda_.insert({time_ + delay, ++numbers_, std::move(what)});
}

/// For the present life of a node; put off while it is frozen.
void PairSim::later_at(Node which, Milliseconds delay, std::function<void()> what) {
  later(delay, [this, which, what = std::move(what), life = node(which).life] {
    if (node(which).life != life) return;
    if (node(which).frozen) return later_at(which, 10ms, what);
    what();
  });
}

void PairSim::start(Node which) {
  SimNode& each = node(which);
  ++each.life;
  each.up = true;
  each.stopped = false;
  each.frozen = false;
  each.actions = 0;
  each.in_force = Grant{};
  each.legs_below = 0;
  each.store = std::make_unique<TwoSlotStore>(std::make_unique<FakeSlotFiles>(each.disk));
  each.machine = std::make_unique<RoleMachine>(each.settings, [this] {
    Uuid uuid;
    for (std::byte& byte : uuid.bytes) byte = std::byte(random() | 1);
    return uuid;
  });
  give(which, event::Start{each.store->load()});
  if (!flags_only_) beat(which);
}

void PairSim::crash(Node which) {
  SimNode& each = node(which);
  if (!each.up) return;
  each.up = false;
  ++each.life;
  each.disk.crash();
  drop_clients(which);
  each.machine.reset();
  each.in_force = Grant{};
  // Legs to the other node end with this process: its backends roll back what was not committed.
}

void PairSim::thaw(Node which) {
  node(which).frozen = false;
  give(which, event::Stalled{5s});
}

void PairSim::stop_and_wait(Node which) {
  stop(which);
  run_until([&] { return node(which).stopped || !node(which).up; });
  crash(which);
}

void PairSim::lose_postmaster(Node which, bool with_open_units) {
  node(which).postmaster_up = false;
  drop_clients(which);
  give(which, event::PostmasterLost{"connection refused"});
  if (with_open_units) give(which, event::CopiesMayDiffer{"a unit was open"});
}

void PairSim::mend_postmaster(Node which) {
  node(which).postmaster_up = true;
  give(which, event::PostmasterBack{});
}

void PairSim::drop_clients(Node which) {
  pending_[which == Node::a ? 0 : 1].clear();
  node(which).open_units = 0;
  node(which).sessions = false;
}

void PairSim::give(Node which, Event event) {
  SimNode& each = node(which);
  if (!each.up || each.stopped) return;
  carry_out(which, each.machine->handle(now(which), event));
}

std::shared_ptr<Order> PairSim::order(Node which, OperatorCommand command) {
  auto result = std::make_shared<Order>();
  const RequestId id = ++requests_;
  orders_[id] = result;
  give(which, event::Ordered{id, std::move(command)});
  return result;
}

CommandAnswer PairSim::ordered(Node which, OperatorCommand command) {
  const unsigned life = node(which).life;
  const auto result = order(which, std::move(command));
  run_until([&] { return result->answered || node(which).life != life; }, 60s);
  const SimNode& asked = node(which);
  if (!result->answered && asked.life == life && asked.up && !asked.stopped)
    fail("an order was never answered");
  return result->answer;
}

CommandAnswer PairSim::promote_by_force(Node which, bool data_may_be_old) {
  const CommandAnswer first = ordered(which, command::Promote{});
  if (first.ok) return first;
  data_loss_accepted = true;
  return ordered(which, command::Promote{true, first.accept_loss_since, data_may_be_old});
}

void PairSim::carry_out(Node which, std::vector<Action> actions) {
  SimNode& each = node(which);
  const unsigned life = each.life;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    if (each.life != life) return;
    if (each.crash_after >= 0 && each.actions++ >= each.crash_after) {
      each.crash_after = -1;
      return crash(which);
    }
    if (carry_out(which, actions[i])) continue;
    for (std::size_t rest = i + 1; rest < actions.size(); ++rest) {
      if (const auto* peer = std::get_if<action::AnswerPeer>(&actions[rest])) {
        carry_out(which, action::AnswerPeer{peer->id, false, false, "disk", peer->report});
      }
      if (const auto* order = std::get_if<action::AnswerCommand>(&actions[rest])) {
        carry_out(which, action::AnswerCommand{order->id, {false, 500, "disk", "", "", "", Node::none}});
      }
    }
    give(which, event::StoreFailed{"No space left on device"});
    break;
  }
  check();
}

/// False if it was a Record that failed.
bool PairSim::carry_out(Node which, const Action& action) {
  SimNode& each = node(which);
  if (const auto* record = std::get_if<action::Record>(&action)) {
    const Slot& old = durable(which);
    const bool degrades =
        old.sync && !record->slot.sync && old.master == which && old.epoch == record->slot.epoch;
    if (degrades && !each.in_force.outputs_held)
      fail("recorded before the outputs were held on every thread (R2)");
    return each.store->write(record->slot).ok();
  }
  if (const auto* set = std::get_if<action::SetGrant>(&action)) {
    later_at(which, kFloorDelay, [this, which, set = *set] {
      node(which).in_force = set.grant;
      decide_pending(which);
      check();
      give(which, event::InForce{set.ticket});
    });
  } else if (const auto* end = std::get_if<action::EndSessions>(&action)) {
    later_at(which, kFloorDelay, [this, which, ticket = end->ticket, how = end->how] {
      SimNode& ending = node(which);
      decide_pending(which);
      const bool matched = ending.open_units == 0;
      (void)how;  // an open unit is not decided any more in either way
      drop_clients(which);
      give(which, event::SessionsEnded{ticket, matched});
    });
  } else if (const auto* legs = std::get_if<action::RefuseLegsBelow>(&action)) {
    each.legs_below = std::max(each.legs_below, legs->epoch);
    later_at(which, kFloorDelay,
             [this, which, ticket = legs->ticket] { give(which, event::LegsRefused{ticket}); });
  } else if (const auto* backends = std::get_if<action::EndLocalBackends>(&action)) {
    later_at(which, kFloorDelay, [this, which, ticket = backends->ticket] {
      const bool ok = node(which).backends_end && node(which).postmaster_up;
      give(which, event::BackendsEnded{ticket, ok, ok ? "" : "no connection"});
    });
  } else if (const auto* asked = std::get_if<action::AskPeer>(&action)) {
    ask(which, asked->ticket, asked->body, time_ + asked->patience);
  } else if (std::holds_alternative<action::Greet>(action)) {
    greet(which);
  } else if (const auto* answer = std::get_if<action::AnswerPeer>(&action)) {
    const auto found = replies_.find(answer->id);
    if (found == replies_.end()) {
      fail("a request of the peer was answered twice, or never asked");
      return true;
    }
    const Reply reply = std::move(found->second);
    replies_.erase(found);
    reply({answer->report, answer->ok, answer->clean, answer->why});
  } else if (const auto* done = std::get_if<action::AnswerCommand>(&action)) {
    const auto found = orders_.find(done->id);
    if (found == orders_.end()) {
      fail("an order was answered twice, or never given");
      return true;
    }
    found->second->answered = true;
    found->second->answer = done->answer;
    orders_.erase(found);
  } else if (const auto* tell = std::get_if<action::Tell>(&action)) {
    each.told.push_back(tell->name);
  } else if (std::holds_alternative<action::Stopped>(action)) {
    each.stopped = true;
  }
  return true;
}

bool PairSim::reachable(Node to) {
  return !link_cut_ && node(to).up && !node(to).stopped;
}

/// The request travels, is handled, and the answer travels back; nothing comes back where anything is away.
void PairSim::send(Node from, PeerRequest request, Reply reply) {
  const Node to = other(from);
  if (!reachable(to)) return;
  const unsigned life = node(to).life;
  // The connection dies with the process that asked: a later life of the node never sees the answer.
  reply = [this, from, asker = node(from).life, reply = std::move(reply)](const PeerAnswer& answer) {
    if (node(from).life == asker) reply(answer);
  };
  later_at(to, delay(), [this, from, to, life, request = std::move(request), reply = std::move(reply)] {
    if (!reachable(to) || node(to).life != life) return;
    const RequestId id = ++requests_;
    replies_[id] = [this, from, reply](const PeerAnswer& answer) {
      if (link_cut_) return;
      later_at(from, delay(), [this, reply, answer] {
        if (!link_cut_) reply(answer);
      });
    };
    give(to, event::PeerAsked{id, request});
  });
}

void PairSim::ask(Node which, Ticket ticket, PeerBody body, Milliseconds give_up) {
  if (std::holds_alternative<AgreeDegrade>(body) && !node(which).in_force.outputs_held) {
    fail("the standby was asked to be stale before the outputs were held on every thread (R2)");
  }
  const auto answered = std::make_shared<bool>(false);
  send(which, {machine(which).report(), body}, [this, which, ticket, answered](const PeerAnswer& answer) {
    if (std::exchange(*answered, true)) return;
    give(which, event::PeerAnswered{ticket, answer});
  });
  // The connection is refused at once where the other relay is down, and the driver tries again until its
  // patience ends.
  const Milliseconds wait = reachable(other(which)) ? give_up - time_ : std::min(100ms, give_up - time_);
  later_at(which, std::max(wait, 1ms), [this, which, ticket, body, give_up, answered] {
    if (std::exchange(*answered, true)) return;
    if (time_ < give_up && machine(which).wants(ticket)) return ask(which, ticket, body, give_up);
    give(which, event::PeerSilent{ticket});
  });
}

void PairSim::greet(Node which) {
  if (!node(which).up || node(which).stopped || flags_only_) return;
  send(which, {machine(which).report(), Hello{}},
       [this, which](const PeerAnswer& answer) { give(which, event::PeerReported{answer.report}); });
}

void PairSim::beat(Node which) {
  greet(which);
  later_at(which, kHeartbeat, [this, which] { beat(which); });
}

void PairSim::tick(Node which) {
  SimNode& each = node(which);
  if (!each.up || each.frozen || each.stopped) return;
  const auto wake = each.machine->wake_at();
  if (wake && *wake <= time_) give(which, event::Tick{});
}

bool PairSim::step(Milliseconds limit) {
  Milliseconds next = limit;
  if (!agenda_.empty()) next = std::min(next, agenda_.begin()->at);
  for (const Node which : {Node::a, Node::b}) {
    SimNode& each = node(which);
    if (!each.up || each.frozen || each.stopped) continue;
    if (const auto wake = each.machine->wake_at()) next = std::min(next, std::max(*wake, time_));
  }
  time_ = std::max(time_, next);
  for (const Node which : {Node::a, Node::b}) tick(which);
  while (!agenda_.empty() && agenda_.begin()->at <= time_) {
    const auto what = agenda_.begin()->what;
    agenda_.erase(agenda_.begin());
    what();
  }
  return time_ < limit;
}

void PairSim::run_for(Milliseconds time) {
  const Milliseconds limit = time_ + time;
  while (step(limit)) {
  }
}

bool PairSim::run_until(const std::function<bool()>& condition, Milliseconds limit) {
  const Milliseconds end = time_ + limit;
  while (!condition()) {
    if (!step(end)) return condition();
  }
  return true;
}

WriteId PairSim::write(Node which) {
  SimNode& each = node(which);
  const WriteId id = ++writes_;
  const Grant& grant = each.in_force;
  if (serves(grant)) each.sessions = true;
  const bool in_session = each.sessions && grant.frontends != Frontends::refuse;
  if (!each.up || each.frozen || !in_session || grant.outputs_held || !each.postmaster_up) return id;
  each.data.insert(id);
  if (!grant.mirrored) {
    acknowledge(which, id, grant.epoch);
    return id;
  }
  SimNode& standby = node(other(which));
  const bool leg = flags_only_ ? standby.postmaster_up
                               : reachable(other(which)) && !standby.frozen && standby.postmaster_up &&
                                     grant.epoch >= standby.legs_below;
  if (leg) {
    standby.data.insert(id);
    acknowledge(which, id, grant.epoch);
    return id;
  }
  pending_[which == Node::a ? 0 : 1].push_back({id, grant.epoch, each.life});
  ++each.open_units;
  later_at(which, 5ms, [this, which] { give(which, event::StandbyFailed{"the standby's leg was lost"}); });
  return id;
}

void PairSim::write_anywhere() {
  for (const Node which : {Node::a, Node::b}) (void)write(which);
}

/// What waited for the standby is released when the grant says that it is no longer waited for.
void PairSim::decide_pending(Node which) {
  SimNode& each = node(which);
  if (each.in_force.outputs_held || each.in_force.mirrored || each.in_force.frontends == Frontends::refuse)
    return;
  for (const Pending& one : std::exchange(pending_[which == Node::a ? 0 : 1], {})) {
    if (each.in_force.epoch == one.epoch) acknowledge(which, one.id, one.epoch);
  }
  each.open_units = 0;
}

void PairSim::acknowledge(Node which, WriteId id, Epoch epoch) {
  acknowledged_[id] = epoch;
  const auto [found, first] = masters_.emplace(epoch, which);
  if (!first && found->second != which) fail("two masters acknowledged in epoch " + std::to_string(epoch));
  const Slot& slot = durable(which);
  if (slot.epoch != epoch || slot.master != which) fail("acknowledged without a durable right to be master");
  if (slot.sync && !node(other(which)).data.contains(id))
    fail("acknowledged as joined, but the standby misses it");
}

const Slot& PairSim::durable(Node which) {
  SimNode& each = node(which);
  if (each.durable_version == each.disk.version) return each.durable;
  FakeDisk copy = each.disk;
  copy.crash();
  TwoSlotStore store(std::make_unique<FakeSlotFiles>(copy));
  const LoadedSlots loaded = store.load();
  each.durable = loaded.found == SlotsFound::usable ? loaded.slot : Slot{};
  each.durable_version = each.disk.version;
  return each.durable;
}

void PairSim::check() {
  const Grant& one = a().in_force;
  const Grant& two = b().in_force;
  if (serves(one) && serves(two) && one.epoch == two.epoch && !flags_only_)
    fail("two active nodes in one epoch");
  for (const Node which : {Node::a, Node::b}) {
    const Slot& slot = durable(which);
    if (slot.master != which || !slot.sync) continue;
    const Node standby = other(which);
    if (!flags_only_) {
      const Slot& there = durable(standby);
      if (!there.eligible || there.lineage.generation != slot.lineage.generation) continue;
    }
    for (const auto& [id, epoch] : acknowledged_) {
      if (epoch == slot.epoch && !node(standby).data.contains(id)) {
        fail("sync=true is durable, and the standby misses write " + std::to_string(id));
        break;
      }
    }
  }
  // Without an operator's word about a node that did not answer, whoever is served holds all that was
  // acknowledged.
  if (data_loss_accepted) return;
  for (const Node which : {Node::a, Node::b}) {
    const SimNode& each = node(which);
    if (!each.up || !serves(each.in_force)) continue;
    const Epoch latest = masters_.empty() ? 0 : masters_.rbegin()->first;
    if (each.in_force.epoch < latest) continue;
    for (const auto& [id, epoch] : acknowledged_) {
      if (!each.data.contains(id)) {
        fail("the served node misses acknowledged write " + std::to_string(id));
        break;
      }
    }
  }
}

void PairSim::init_joined() {
  start(Node::a);
  start(Node::b);
  run_for(1s);
  const CommandAnswer answer = ordered(Node::a, command::Init{Node::a, true});
  if (!answer.ok) fail("init was refused: " + answer.text);
  const bool joined = run_until([&] { return state(Node::a) == RoleState::master && serves(a().in_force); });
  if (!joined || state(Node::b) != RoleState::standby) fail("the pair was not joined by init");
}

CommandAnswer PairSim::bootstrap(Node master) {
  const Node target = other(master);
  const CommandAnswer begun = ordered(master, command::BootstrapBegin{"test", true});
  if (!begun.ok) return begun;
  const unsigned lives = node(master).life + node(target).life;
  for (int i = 0; i < 3; ++i) {
    run_for(2s);
    const CommandAnswer progress =
        ordered(master, command::BootstrapProgress{begun.lease, "copy", 10, 30, "t"});
    if (!progress.ok) return progress;
  }
  if (lives == node(master).life + node(target).life) node(target).data = node(master).data;
  return ordered(master, command::BootstrapFinish{begun.lease});
}

std::string PairSim::describe() {
  std::ostringstream out;
  out << "at " << time_.count() << "ms";
  for (const Node which : {Node::a, Node::b}) {
    const SimNode& each = node(which);
    out << "\n  " << to_string(which) << ": ";
    if (!each.up || !each.machine) {
      out << "down";
      continue;
    }
    const Slot& slot = each.machine->slot();
    out << to_string(each.machine->state()) << " epoch " << slot.epoch << " highest " << slot.highest_seen
        << " master " << to_string(slot.master) << " gen " << to_string(slot.lineage.generation).substr(0, 8)
        << " sync " << slot.sync << " eligible " << slot.eligible << " fenced " << slot.fenced << " frozen "
        << each.frozen << " (" << each.machine->reason() << ")";
  }
  return out.str();
}

}  // namespace pgtandem::testing
