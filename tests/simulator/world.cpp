/// Time, network, processes.
#include "tests/simulator/world.h"

#include <cstdio>
#include <sstream>

namespace pgtandem::simulator {

using namespace std::chrono_literals;

World::World(WorldOptions options)
    : options_(options), random_(options.seed), follower_(2, FollowerMemory{}) {
  const int mode = pick(0, 9);
  arbiter_ = options_.arbiter.value_or(mode < 5   ? Arbiter::witness
                                       : mode < 8 ? Arbiter::none
                                                  : Arbiter::hook);
  const bool hand_over = options_.hand_over.value_or(chance(60));
  const Uuid cluster = make_uuid();
  witness_.identity = make_uuid();
  for (const Node node : {Node::a, Node::b}) {
    Host& each = host(node);
    each.node = node;
    each.settings.self = node;
    each.settings.cluster = cluster;
    each.settings.witness = arbiter_ == Arbiter::witness;
    each.settings.hook = arbiter_ == Arbiter::hook;
    each.settings.hand_over = hand_over;
    each.settings.state_dir = "/state";
    each.settings.postmaster = "127.0.0.1:5433";
    each.rate = 1 + pick(-100, 100) / 10'000.0;
    each.since = time_;
    each.shown = Milliseconds{pick(1'000'000, 2'000'000)};
  }
}

void World::trace(const std::string& text) {
  if (options_.trace) std::printf("%9.3f %s\n", double(time_.count() - 1'000'000) / 1000, text.c_str());
}

Uuid World::make_uuid() {
  Uuid uuid;
  for (std::size_t i = 0; i < uuid.bytes.size(); i += 8) {
    const std::uint64_t bits = random_();
    for (std::size_t k = 0; k < 8; ++k) uuid.bytes[i + k] = std::byte((bits >> (8 * k)) & 0xff);
  }
  return uuid;
}

void World::later(Milliseconds delay, std::function<void()> what) {
  agenda_.add(time_ + std::max(delay, 0ms), std::move(what));
}

/// For the present process of a host's relay: kept while it is frozen, gone with it.
void World::at_host(Host& host, Milliseconds delay, std::function<void()> what) {
  later(delay, [this, &host, life = host.life, what = std::move(what)] {
    if (host.life != life || !host.up) return;
    if (!host.frozen) return what();
    host.on_thaw.push_back([&host, life, what] {
      if (host.life == life && host.up) what();
    });
  });
}

/// One message. Lost, late, or twice, as the network is at present.
void World::send(Site from, Site to, std::function<void()> arrive) {
  const auto i = std::size_t(from);
  const auto k = std::size_t(to);
  if (cut_[i][k] || (loss_[i][k] > 0 && chance(loss_[i][k]))) return;
  const int copies = duplicates_ > 0 && chance(duplicates_) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    const int extra = slow_[i][k] > 0 ? pick(0, slow_[i][k]) : 0;
    later(Milliseconds{pick(1, 3) + extra}, [this, i, k, arrive] {
      if (!cut_[i][k]) arrive();
    });
  }
}

Milliseconds World::local(const Host& host) const {
  return host.shown + Milliseconds{std::int64_t(double((time_ - host.since).count()) * host.rate)};
}

/// When that clock will show `at`; not before now.
Milliseconds World::true_time(const Host& host, Milliseconds at) const {
  const auto ahead = double((at - local(host)).count()) / host.rate;
  return time_ + Milliseconds{std::max<std::int64_t>(0, std::int64_t(ahead) + 1)};
}

Now World::now(const Host& host) const {
  return {local(host), 1'700'000'000'000ms + time_};
}

bool World::step(Milliseconds limit) {
  if (agenda_.empty() || agenda_.next_at() > limit || broken()) {
    time_ = std::max(time_, limit);
    return false;
  }
  time_ = std::max(time_, agenda_.next_at());
  agenda_.take()();
  return true;
}

void World::run_for(Milliseconds time) {
  const Milliseconds limit = time_ + time;
  while (step(limit)) {
  }
}

void World::start_relay(Host& host) {
  if (host.up) return;
  trace(std::string(to_string(host.node)) + " relay starts");
  ++host.life;
  host.up = true;
  host.frozen = host.stopped = host.io_stalled = false;
  host.on_thaw.clear();
  host.crash_after = -1;
  host.in_force = Grant{};
  host.right_until = 0ms;
  host.legs_below = 0;
  host.store = std::make_unique<TwoSlotStore>(std::make_unique<testing::FakeSlotFiles>(host.disk));
  host.machine = std::make_unique<RoleMachine>(host.settings, [this] { return make_uuid(); });
  const LoadedSlots loaded = host.store->load();
  if (loaded.found == SlotsFound::usable) {
    const Lineage& lineage = loaded.slot.lineage;
    trace("  epoch " + std::to_string(loaded.slot.epoch) + ", generation " +
          to_string(lineage.generation).substr(0, 8) + ", parent " +
          (lineage.parents.empty() ? "none" : to_string(lineage.parents.front()).substr(0, 8)) +
          ", eligible " + std::to_string(loaded.slot.eligible) + ", split " +
          std::to_string(loaded.slot.split));
  }
  give(host, event::Start{loaded});
  beat(host);
  probe_postmaster(host);
}

void World::end_relay(Host& host, bool torn) {
  if (!host.up) return;
  trace(std::string(to_string(host.node)) + " relay ends");
  host.up = host.frozen = false;
  ++host.life;
  host.on_thaw.clear();
  if (torn) {
    host.disk.crash_torn(std::size_t(pick(0, 258)));
  } else {
    host.disk.crash();
  }
  drop_units(host);
  host.in_force = Grant{};
}

void World::start_postmaster(Host& host) {
  if (host.postmaster) return;
  trace(std::string(to_string(host.node)) + " postmaster starts");
  host.postmaster = true;
}

/// What it was executing and nobody was told of is there afterwards, or not.
void World::end_postmaster(Host& host) {
  if (!host.postmaster) return;
  trace(std::string(to_string(host.node)) + " postmaster ends");
  host.postmaster = false;
  ++host.backends;
  bool open = false;
  for (Unit& unit : units_[host.node == Node::a ? 0 : 1]) {
    open = true;
    if (unit.own_done && chance(50)) {
      host.data.erase(unit.id);
      unit.own_done = false;
    }
  }
  if (!host.up) return;
  at_host(host, Milliseconds{pick(1, 300)}, [this, &host, open] {
    if (host.postmaster) return;
    // Without the hand-over every session ends with its server's leg.
    if (!host.settings.hand_over) drop_units(host);
    give(host, event::PostmasterLost{"connection refused"});
    if (open) give(host, event::CopiesMayDiffer{"a unit was open"});
  });
}

void World::power_off(Host& host) {
  end_relay(host, chance(20));
  end_postmaster(host);
}

void World::power_on(Host& host) {
  start_postmaster(host);
  start_relay(host);
}

void World::freeze(Host& host) {
  if (!host.up || host.frozen) return;
  trace(std::string(to_string(host.node)) + " relay freezes");
  host.frozen = true;
  host.frozen_at = time_;
}

void World::thaw(Host& host) {
  if (!host.frozen) return;
  trace(std::string(to_string(host.node)) + " relay thaws");
  host.frozen = false;
  const Milliseconds stood = time_ - host.frozen_at;
  if (stood > 1s) {
    host.io_stalled = true;
    give(host, event::Stalled{stood});
  }
  auto waiting = std::exchange(host.on_thaw, {});
  for (const auto& what : waiting) what();
  if (host.up) plan_wake(host);
}

std::string World::describe() {
  std::ostringstream out;
  out << "seed " << options_.seed << " at " << (time_.count() - 1'000'000) << " ms, arbiter "
      << int(arbiter_);
  for (Host& each : hosts_) {
    out << "\n  " << to_string(each.node) << ": ";
    if (!each.up || !each.machine) {
      out << "down, durable epoch " << durable(each).epoch;
      continue;
    }
    const Slot& slot = each.machine->slot();
    out << to_string(each.machine->state()) << " epoch " << slot.epoch << " highest " << slot.highest_seen
        << " master " << to_string(slot.master) << " gen " << to_string(slot.lineage.generation).substr(0, 8)
        << " sync " << slot.sync << " eligible " << slot.eligible << " fenced " << slot.fenced << " frozen "
        << each.frozen << " postmaster " << each.postmaster << " (" << each.machine->reason() << ")";
  }
  if (arbiter_ == Arbiter::witness && witness_.record) {
    const RoleRecord& role = witness_.record->role;
    out << "\n  witness: epoch " << role.epoch << " master " << to_string(role.master) << " data "
        << to_string(role.data_node) << " gen " << to_string(role.generation).substr(0, 8) << " sync "
        << role.sync << " revision " << witness_.key_revision << " up " << witness_.up;
  }
  return out.str();
}

}  // namespace pgtandem::simulator
