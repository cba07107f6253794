/// Sessions on the relays, the forwarder, and operators.
#include "tests/simulator/world.h"

namespace pgtandem::simulator {
namespace {

using namespace std::chrono_literals;

constexpr Milliseconds kStandbyTimeout{2000};

std::size_t index_of(const Host& host) {
  return host.node == Node::a ? 0 : 1;
}

}  // namespace

/// R1 and R5, as an I/O thread checks them before it releases anything.
bool World::may_release(const Host& host) const {
  if (!host.up || host.frozen || host.io_stalled || host.in_force.outputs_held) return false;
  if (host.in_force.guests) return true;
  const bool right = arbiter_ != Arbiter::witness || !host.settings.witness || local(host) < host.right_until;
  return right && host.in_force.frontends != Frontends::refuse &&
         host.in_force.frontends != Frontends::pass_on;
}

/// A client's write: to both servers, to one, or, for a guest, to the other one alone.
void World::write_at(Host& host) {
  if (!host.up || host.frozen || host.stopped || host.io_stalled) return;
  const Grant& grant = host.in_force;
  const bool serves = grant.frontends == Frontends::serve && !grant.outputs_held && host.postmaster;
  if (!serves && !grant.guests) return;
  if (serves && !may_release(host)) return;
  // Inside a transaction the master's replies go out as they come: a read waits for nobody.
  if (serves && chance(30)) return answer_read(host);
  const WriteId id = ++writes_;
  units_[index_of(host)].push_back({id, grant.epoch, false, false});
  Unit& unit = units_[index_of(host)].back();
  if (serves) {
    host.data.insert(id);
    unit.own_done = true;
  }
  if (grant.guests || grant.mirrored) return send_leg(host, id);
  decide_units(host);
}

/// To the other host's leg port, and to its server behind that.
void World::send_leg(Host& host, WriteId id) {
  Host& standby = other_host(host);
  const Epoch epoch = host.legs_epoch;
  const auto answered = std::make_shared<bool>(false);
  const auto back = [this, &host, &standby, id, answered](bool done) {
    send(site(standby), site(host), [this, &host, id, done, answered] {
      at_host(host, 0ms, [this, &host, id, done, answered] {
        if (std::exchange(*answered, true)) return;
        if (done) return leg_answered(host, id);
        standby_lost(host, "a leg was refused or ended");
      });
    });
  };
  send(site(host), site(standby), [this, &standby, id, epoch, back] {
    if (!standby.up) return back(false);
    at_host(standby, 0ms, [this, &standby, id, epoch, back] {
      if (epoch < standby.legs_below || !standby.postmaster || standby.stopped) return back(false);
      // The backend executes for a while, whatever becomes of the leg, unless it is ended.
      later(Milliseconds{pick(0, 20)}, [&standby, id, back, backends = standby.backends] {
        if (standby.backends != backends) return back(false);
        standby.data.insert(id);
        back(true);
      });
    });
  });
  at_host(host, kStandbyTimeout, [this, &host, answered] {
    if (!std::exchange(*answered, true)) standby_lost(host, "the standby took too long");
  });
}

void World::leg_answered(Host& host, WriteId id) {
  for (Unit& unit : units_[index_of(host)]) {
    if (unit.id == id) unit.standby_done = true;
  }
  decide_units(host);
}

void World::standby_lost(Host& host, const std::string& why) {
  if (host.in_force.guests) return drop_units(host);  // these sessions had no other server
  give(host, event::StandbyFailed{why});
}

/// R1: releases what may be released under the grant in force.
void World::decide_units(Host& host) {
  if (!may_release(host)) return;
  auto& units = units_[index_of(host)];
  const Grant& grant = host.in_force;
  for (auto unit = units.begin(); unit != units.end();) {
    bool release = false;
    if (grant.guests) {
      release = unit->standby_done;
    } else if (unit->epoch == grant.epoch && unit->own_done && host.postmaster) {
      release = !grant.mirrored || unit->standby_done;
    }
    if (!release) {
      ++unit;
      continue;
    }
    acknowledge(host, unit->id, grant.epoch, grant.guests ? other_host(host) : host);
    unit = units.erase(unit);
  }
}

void World::drop_units(Host& host) {
  units_[index_of(host)].clear();
}

void World::end_sessions(Host& host, const action::EndSessions& end) {
  if (end.how == EndHow::at_once) {
    drop_units(host);
    at_host(host, Milliseconds{pick(1, 5)}, [this, &host, ticket = end.ticket] {
      drop_units(host);
      give(host, event::SessionsEnded{ticket, false});
    });
    return;
  }
  at_host(host, Milliseconds{pick(5, 60)}, [this, &host, ticket = end.ticket] {
    const bool matched = units_[index_of(host)].empty() && host.postmaster && !host.io_stalled;
    drop_units(host);
    give(host, event::SessionsEnded{ticket, matched});
  });
}

/// Behind the forwarder mostly, now and then on a host itself: what must not be served there must be refused.
void World::client() {
  later(Milliseconds{pick(20, 120)}, [this] { client(); });
  if (!clients_on_) return;
  std::optional<std::size_t> relay = follower_.target();
  if (chance(25)) relay = std::size_t(pick(0, 1));
  if (!relay) return;
  Host& to = hosts_[*relay];
  send(Site::office, site(to), [this, &to] { at_host(to, 0ms, [this, &to] { write_at(to); }); });
}

void World::watch_relays() {
  later(400ms, [this] { watch_relays(); });
  for (Host& each : hosts_) {
    if (each.up && !each.frozen) {
      report_to_forwarder(each);
    } else {
      (void)follower_.on_silence(index_of(each));
    }
  }
}

void World::report_to_forwarder(Host& host) {
  if (host.stopped) return;
  const RoleRecord record = host.machine->record();
  RelayReport report;
  report.pair_mode = true;
  report.node = host.node;
  report.state = to_string(host.machine->state());
  report.active = is_active(host.machine->state());
  report.epoch = record.epoch;
  if (record.epoch > 0) {
    CarriedRecord carried;
    carried.cluster = record.cluster;
    carried.epoch = record.epoch;
    carried.master = record.master;
    carried.payload = to_string(record.generation);
    report.record = carried;
  }
  send(site(host), Site::office, [this, &host, report, record] {
    const Decision decision = follower_.on_report(index_of(host), report);
    const Epoch epoch = follower_.memory().epoch;
    if (epoch < followed_) fail("the forwarder went back to a lower epoch");
    followed_ = std::max(followed_, epoch);
    if (chance(80)) return;
    for (const std::size_t relay : decision.carry_to) {
      Host& to = hosts_[relay];
      RoleRecord carried = record;
      if (carried.epoch != epoch) continue;  // only whole records are carried
      send(Site::office, site(to), [this, &to, carried] {
        at_host(to, 0ms, [this, &to, carried] {
          if (to.stopped) return;
          const RequestId id = ++requests_;
          orders_[id] = [](const CommandAnswer&) {};
          give(to, event::RecordSeen{id, carried});
        });
      });
    }
  });
}

void World::order(Host& host, OperatorCommand command, std::function<void(const CommandAnswer&)> answered) {
  if (!host.up || host.frozen || host.stopped) return;
  const RequestId id = ++requests_;
  orders_[id] = std::move(answered);
  give(host, event::Ordered{id, std::move(command)});
}

/// An operator who looks now and then, and mostly does what is right.
void World::operate() {
  later(Milliseconds{pick(1500, 4000)}, [this] { operate(); });
  if (!operators_on_ || bootstrapping_) return;
  for (Host& each : hosts_) {
    if (!each.up || each.frozen || each.stopped) continue;
    const RoleState state = each.machine->state();
    Host& peer = other_host(each);
    if (state == RoleState::alone && peer.up && !peer.frozen && each.postmaster && peer.postmaster) {
      if (peer.machine->state() == RoleState::stale) return bootstrap(each);
    }
    if (state == RoleState::split && chance(40)) {
      // Decided when it is said, whether its answer is heard or not.
      each.gave_up = true;
      excuse(peer);
      return order(each, command::GiveUp{}, [](const CommandAnswer&) {});
    }
  }
  const auto serves = [](const Host& each) {
    return each.up && !each.frozen && each.machine && is_active(each.machine->state());
  };
  if (serves(hosts_[0]) || serves(hosts_[1])) return;
  if (chance(60)) promote(hosts_[std::size_t(pick(0, 1))]);
}

/// First without words. If words are wanted, they are given where they are true, and now and then where not.
void World::promote(Host& host) {
  trace("an operator promotes " + std::string(to_string(host.node)));
  order(host, command::Promote{}, [this, &host](const CommandAnswer& first) {
    trace("  " + first.text);
    if (first.ok || first.accept_loss_since.empty()) return;
    Host& peer = other_host(host);
    const bool off = !peer.up;
    const bool wrong = !off && chance(15);
    if (!off && !wrong) return;
    const bool old = !host.up || !host.machine->slot().eligible || host.machine->slot().split;
    if (old && !chance(30)) return;
    trace("an operator says that the other host is off" + std::string(off ? "" : ", wrongly"));
    const command::Promote words{true, first.accept_loss_since, old};
    if (arbiter_ != Arbiter::witness || !host.settings.witness) word_given_ = true;
    host.word_pending = true;
    order(host, words, [this, &host](const CommandAnswer& answer) {
      host.word_pending = answer.status >= 500;
      // 500, 503: only its own disk or server stands in the way.
      if (answer.ok || answer.status >= 500) excuse(host);
    });
  });
}

/// An operator decided for this copy: what was acknowledged and is not in it may go.
void World::excuse(const Host& kept) {
  excused_.resize(std::size_t(writes_) + 1, false);
  for (const auto& [id, epoch] : acknowledged_) {
    if (!kept.data.contains(id)) excused_[id] = true;
  }
}

void World::bootstrap(Host& master) {
  trace("bootstrap from " + std::string(to_string(master.node)));
  bootstrapping_ = true;
  later(20s, [this] { bootstrapping_ = false; });
  order(master, command::BootstrapBegin{"simulator", true}, [this, &master](const CommandAnswer& begun) {
    if (!begun.ok) {
      bootstrapping_ = false;
      return;
    }
    bootstrap_step(master, begun.lease, pick(1, 3));
  });
}

void World::bootstrap_step(Host& master, std::string lease, int steps) {
  later(Milliseconds{pick(200, 1000)}, [this, &master, lease = std::move(lease), steps] {
    Host& target = other_host(master);
    const auto end = [this](const CommandAnswer&) { bootstrapping_ = false; };
    if (steps > 0) {
      order(master, command::BootstrapProgress{lease, "copy", 1, 2, ""},
            [this, &master, lease, steps](const CommandAnswer& answer) {
              if (!answer.ok) {
                bootstrapping_ = false;
                return;
              }
              bootstrap_step(master, lease, steps - 1);
            });
      return;
    }
    const bool can = master.up && master.postmaster && target.up && target.postmaster &&
                     target.machine->state() == RoleState::bootstrap &&
                     master.machine->bootstrap().has_value() && master.machine->bootstrap()->lease == lease;
    if (!can) return order(master, command::BootstrapAbort{lease, "it failed"}, end);
    check_copy(master, target);
    target.data = master.data;
    target.gave_up = false;
    order(master, command::BootstrapFinish{lease}, end);
  });
}

}  // namespace pgtandem::simulator
