/// The promises (0-mission): acknowledged writes survive one loss; never two masters acknowledging; nothing
/// is thrown away silently; a wrong word of an operator is seen.
#include "tests/simulator/world.h"

namespace pgtandem::simulator {

using namespace std::chrono_literals;

void World::fail(const std::string& what) {
  trace("BROKEN: " + what);
  violations_.push_back(what + "\n" + describe());
}

/// As a restart would find it. Asked for at every write, so it is read anew only when the disk has changed.
const Slot& World::durable(Host& host) {
  if (host.durable_version == host.disk.version) return host.durable;
  testing::FakeDisk copy = host.disk;
  copy.fail_after = -1;
  copy.crash();
  TwoSlotStore store(std::make_unique<testing::FakeSlotFiles>(copy));
  const LoadedSlots loaded = store.load();
  host.durable = loaded.found == SlotsFound::usable ? loaded.slot : Slot{};
  host.durable_version = host.disk.version;
  return host.durable;
}

/// `host` tells a client that its write is done; `where` is the server that it counts on.
void World::acknowledge(Host& host, WriteId id, Epoch epoch, const Host& where) {
  acknowledged_[id] = epoch;
  served_at_ = time_;
  const auto [found, first] = acknowledging_.emplace(epoch, where.node);
  if (!first && found->second != where.node) {
    return fail("two masters acknowledged in epoch " + std::to_string(epoch));
  }
  const bool arbitrated = arbiter_ == Arbiter::witness ? host.settings.witness : arbiter_ == Arbiter::hook;
  // What a guest is told late was done by the server that is master still.
  const bool same_server = latest_ != 0 && acknowledging_[latest_] == where.node;
  if (epoch < latest_ && arbitrated && !word_given_ && !same_server) {
    return fail("a master of epoch " + std::to_string(epoch) + " acknowledged after one of epoch " +
                std::to_string(latest_));
  }
  latest_ = std::max(latest_, epoch);
  if (!where.data.contains(id)) return fail("acknowledged, but the server does not hold it");
  const Slot& slot = durable(host);
  if (host.in_force.guests) {
    if (slot.eligible || slot.data_node == host.node) {
      fail("a guest was acknowledged before its host had recorded that its own data is stale");
    }
    return;
  }
  if (slot.epoch != epoch || slot.master != host.node)
    fail("acknowledged without a durable right to be master");
  // Promise 1: both servers hold it, or the standby is durably stale.
  if (slot.sync && !other_host(host).data.contains(id))
    fail("acknowledged as joined, but the standby misses it");
}

/// R5: a master that was replaced answers nothing any more, reads included; only its right to be master
/// tells.
void World::answer_read(Host& host) {
  const bool arbitrated = arbiter_ == Arbiter::witness ? host.settings.witness : arbiter_ == Arbiter::hook;
  const Epoch epoch = host.in_force.epoch;
  if (!arbitrated || word_given_ || latest_ <= epoch || acknowledging_[latest_] == host.node) return;
  fail("a master of epoch " + std::to_string(epoch) + " answered a read after one of epoch " +
       std::to_string(latest_) + " had acknowledged");
}

/// Promises 1 and 4: whoever serves holds everything that was acknowledged, unless an operator said that some
/// of it may go.
void World::check_grant(Host& host) {
  if (host.in_force.frontends != Frontends::serve || host.in_force.outputs_held) return;
  if (host.in_force.epoch < latest_ || word_given_) return;
  for (const auto& [id, epoch] : acknowledged_) {
    const bool excused = id < excused_.size() && excused_[id];
    if (!excused && !host.data.contains(id)) {
      return fail("node " + std::string(to_string(host.node)) + " serves and misses acknowledged write " +
                  std::to_string(id) + " of epoch " + std::to_string(epoch));
    }
  }
}

/// R2: nothing goes on alone before every thread holds its output.
void World::check_record(Host& host, const Slot& slot) {
  const Slot& old = durable(host);
  const bool degrades = old.sync && !slot.sync && old.master == host.node && slot.master == host.node &&
                        old.epoch == slot.epoch;
  if (degrades && !host.in_force.outputs_held) fail("recorded as alone before the outputs were held (R2)");
}

/// Nothing is thrown away silently.
void World::check_copy(Host& master, Host& target) {
  if (target.gave_up) return;
  for (const auto& [id, epoch] : acknowledged_) {
    if (target.data.contains(id) && !master.data.contains(id)) {
      return fail("a bootstrap overwrites acknowledged write " + std::to_string(id) + " of epoch " +
                  std::to_string(epoch) + ", which nobody gave up");
    }
  }
}

void World::check_end() {
  Host* master = nullptr;
  for (Host& each : hosts_) {
    if (each.up && is_active(each.machine->state())) master = &each;
  }
  if (master == nullptr || time_ - served_at_ > 10s) return fail("after all was mended nobody serves");
  bool missing = false;
  for (const auto& [id, epoch] : acknowledged_) {
    const bool excused = id < excused_.size() && excused_[id];
    missing = missing || (!excused && !master->data.contains(id));
  }
  // A wrong word has a price, and it is seen.
  if (missing && !(word_given_ && forked_seen_)) fail("acknowledged writes are lost, and nobody was told");
}

}  // namespace pgtandem::simulator
