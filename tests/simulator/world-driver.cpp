/// What a keeper does with a role machine's actions, and what it tells it.
#include "tests/simulator/world.h"

namespace pgtandem::simulator {
namespace {

using namespace std::chrono_literals;

constexpr Milliseconds kBeatLimit{1000};
constexpr Milliseconds kHookTimeout{5000};  // fencing.hook_timeout

std::string name_of(const Host& host) {
  return std::string(to_string(host.node));
}

}  // namespace

void World::give(Host& host, Event event) {
  if (!host.up || host.stopped || broken()) return;
  const RoleState before = host.machine->state();
  carry_out(host, host.machine->handle(now(host), event));
  if (!host.up) return;
  const RoleState after = host.machine->state();
  if (before != after) {
    trace(name_of(host) + " " + std::string(to_string(before)) + " -> " + std::string(to_string(after)) +
          ", epoch " + std::to_string(host.machine->slot().epoch) + " (" + host.machine->reason() + ")");
    if (before == RoleState::candidate && is_active(after)) ++takeovers_;
    report_to_forwarder(host);
  }
  plan_wake(host);
}

void World::plan_wake(Host& host) {
  const std::uint64_t number = ++host.wake;
  const auto wake = host.machine->wake_at();
  if (!wake || host.stopped) return;
  later(true_time(host, *wake) - time_, [this, &host, number, life = host.life] {
    if (host.wake != number || host.life != life || !host.up || host.frozen) return;
    give(host, event::Tick{});
  });
}

void World::carry_out(Host& host, std::vector<Action> actions) {
  const unsigned life = host.life;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    if (host.life != life || broken()) return;
    if (host.crash_after >= 0 && host.crash_after-- == 0) return end_relay(host, chance(30));
    if (carry_out(host, actions[i])) continue;
    for (std::size_t rest = i + 1; rest < actions.size(); ++rest) drop(host, actions[rest]);
    return give(host, event::StoreFailed{"No space left on device"});
  }
}

void World::drop(Host& host, const Action& action) {
  if (const auto* peer = std::get_if<action::AnswerPeer>(&action)) {
    carry_out(host, action::AnswerPeer{peer->id, false, false, "disk", host.machine->report()});
  }
  if (const auto* command = std::get_if<action::AnswerCommand>(&action)) {
    CommandAnswer answer;
    answer.status = 500;
    answer.text = "disk";
    carry_out(host, action::AnswerCommand{command->id, std::move(answer)});
  }
}

/// False if it was a Record that failed.
bool World::carry_out(Host& host, const Action& action) {
  if (const auto* record = std::get_if<action::Record>(&action)) {
    check_record(host, record->slot);
    return host.store->write(record->slot).ok();
  }
  if (const auto* set = std::get_if<action::SetGrant>(&action)) {
    host.grant_at = std::max(host.grant_at, time_ + Milliseconds{pick(2, 5)});  // one after the other
    at_host(host, host.grant_at - time_, [this, &host, set = *set] {
      if (set.grant.mirrored) host.legs_epoch = set.grant.epoch;
      host.in_force = set.grant;
      host.io_stalled = false;
      check_grant(host);
      decide_units(host);
      give(host, event::InForce{set.ticket});
    });
  } else if (const auto* right = std::get_if<action::SetRight>(&action)) {
    host.right_until = right->until;
    decide_units(host);
  } else if (const auto* end = std::get_if<action::EndSessions>(&action)) {
    end_sessions(host, *end);
  } else if (const auto* legs = std::get_if<action::RefuseLegsBelow>(&action)) {
    host.legs_below = std::max(host.legs_below, legs->epoch);
    at_host(host, Milliseconds{pick(1, 4)},
            [this, &host, ticket = legs->ticket] { give(host, event::LegsRefused{ticket}); });
  } else if (const auto* backends = std::get_if<action::EndLocalBackends>(&action)) {
    at_host(host, Milliseconds{pick(2, 30)}, [this, &host, ticket = backends->ticket] {
      const bool ok = host.postmaster;
      if (ok) ++host.backends;
      give(host, event::BackendsEnded{ticket, ok, ok ? "" : "no connection"});
    });
  } else if (const auto* asked = std::get_if<action::AskPeer>(&action)) {
    ask(host, asked->ticket, asked->body, time_ + asked->patience);
  } else if (std::holds_alternative<action::Greet>(action)) {
    greet(host);
  } else if (const auto* answer = std::get_if<action::AnswerPeer>(&action)) {
    const auto found = replies_.find(answer->id);
    if (found == replies_.end()) {
      fail("a request of the peer was answered twice, or never asked");
      return true;
    }
    const PeerReply reply = std::move(found->second);
    replies_.erase(found);
    reply({answer->report, answer->ok, answer->clean, answer->why});
  } else if (const auto* done = std::get_if<action::AnswerCommand>(&action)) {
    const auto found = orders_.find(done->id);
    if (found == orders_.end()) {
      fail("an order was answered twice, or never given");
      return true;
    }
    const auto answered = std::move(found->second);
    orders_.erase(found);
    // Not inside the machine's own actions.
    later(1ms, [answered, text = done->answer] { answered(text); });
  } else if (const auto* tell = std::get_if<action::Tell>(&action)) {
    const bool apart = tell->name == "copies-forked" || tell->name == "copies-unrelated";
    if (apart || tell->name == "role-split") forked_seen_ = true;
  } else if (std::holds_alternative<action::Stopped>(action)) {
    host.stopped = true;
  } else if (const auto* read = std::get_if<action::ReadWitness>(&action)) {
    ask_witness(host, read->ticket, std::nullopt, read->patience);
  } else if (const auto* swap = std::get_if<action::SwapWitness>(&action)) {
    ask_witness(host, swap->ticket, *swap, swap->patience);
  } else if (const auto* hook = std::get_if<action::RunHook>(&action)) {
    run_hook(host, hook->ticket);
  }
  return true;
}

/// The request travels, is handled, and the answer travels back to the process that asked.
void World::send_request(Host& from, PeerRequest request, PeerReply reply) {
  Host& to = other_host(from);
  reply = [&from, asker = from.life, reply = std::move(reply)](const PeerAnswer& answer) {
    if (from.life == asker) reply(answer);
  };
  send(site(from), site(to), [this, &from, &to, request = std::move(request), reply] {
    at_host(to, 0ms, [this, &from, &to, request, reply] {
      if (to.stopped) return;
      const RequestId id = ++requests_;
      replies_[id] = [this, &from, &to, reply](const PeerAnswer& answer) {
        send(site(to), site(from),
             [this, &from, reply, answer] { at_host(from, 0ms, [reply, answer] { reply(answer); }); });
      };
      give(to, event::PeerAsked{id, request});
    });
  });
}

/// Repeated, as the driver does on a failure of transport: so a question may come twice, and late.
void World::ask(Host& host, Ticket ticket, PeerBody body, Milliseconds give_up) {
  const auto answered = std::make_shared<bool>(false);
  send_request(host, {host.machine->report(), body},
               [this, &host, ticket, answered](const PeerAnswer& answer) {
                 if (std::exchange(*answered, true)) return;
                 give(host, event::PeerAnswered{ticket, answer});
               });
  const bool refused = !other_host(host).up;
  const Milliseconds wait = std::min(refused ? 100ms : 900ms, give_up - time_);
  at_host(host, std::max(wait, 1ms), [this, &host, ticket, body, give_up, answered] {
    if (std::exchange(*answered, true)) return;
    if (time_ < give_up && host.machine->wants(ticket)) return ask(host, ticket, body, give_up);
    give(host, event::PeerSilent{ticket});
  });
}

void World::greet(Host& host) {
  if (host.stopped) return;
  const Milliseconds sent = local(host);
  send_request(host, {host.machine->report(), Hello{}}, [this, &host, sent](const PeerAnswer& answer) {
    if (local(host) - sent < kBeatLimit) give(host, event::PeerReported{answer.report, sent});
  });
}

void World::beat(Host& host) {
  greet(host);
  at_host(host, kHeartbeat, [this, &host] { beat(host); });
}

/// A request may arrive, and be done, long after nobody waits for its answer any more.
void World::ask_witness(Host& host, Ticket ticket, std::optional<action::SwapWitness> swap,
                        Milliseconds patience) {
  const auto over = std::make_shared<bool>(false);
  const Site from = site(host);
  if (swap) {
    trace(name_of(host) + " swaps epoch " + std::to_string(swap->record.role.epoch) + " master " +
          std::string(to_string(swap->record.role.master)) + " on " + std::to_string(swap->expected));
  }
  const bool by_word = host.word_pending && swap && swap->record.role.master == host.node;
  send(from, Site::witness, [this, &host, from, ticket, swap, over, by_word, life = host.life] {
    if (!witness_.up) return;
    WitnessReply reply;
    reply.identity = witness_.identity;
    if (swap && witness_.key_revision == swap->expected) {
      witness_.key_revision = ++witness_.revision;
      witness_.record = swap->record;
      reply.swapped = true;
      // The answer to the operator may be lost; the word was given, and this is what it was given for.
      if (by_word) excuse(host);
    } else {
      reply.record = witness_.record;
      reply.record_revision = witness_.key_revision;
    }
    reply.revision = witness_.revision;
    send(Site::witness, from, [this, &host, ticket, over, reply, life] {
      if (host.life != life) return;
      at_host(host, 0ms, [this, &host, ticket, over, reply] {
        if (std::exchange(*over, true)) return;
        give(host, event::WitnessAnswered{ticket, reply});
      });
    });
  });
  at_host(host, patience, [this, &host, ticket, over] {
    if (std::exchange(*over, true)) return;
    give(host, event::WitnessSilent{ticket, "no answer in time"});
  });
}

/// A process of its own: it goes on while its relay stands still, and after that has ended.
void World::run_hook(Host& host, Ticket ticket) {
  const HookDoes does = host.hook;
  trace(name_of(host) + " runs its hook");
  const bool ends = does != HookDoes::hangs && does != HookDoes::late;
  const Milliseconds takes = ends ? Milliseconds{pick(200, 3000)} : kHookTimeout;
  const bool acts = does != HookDoes::fails && does != HookDoes::hangs;
  const Milliseconds too_late{does == HookDoes::late ? pick(1, 6000) : 0};
  if (acts) later(takes + too_late, [this, &host] { hook_powers_off(other_host(host)); });
  at_host(host, takes, [this, &host, ticket, does] {
    if (does == HookDoes::confirms) return give(host, event::HookConfirmed{ticket});
    give(host, event::HookFailed{ticket, "no answer of the power switch"});
  });
}

/// Somebody switches the host on again, sooner or later.
void World::hook_powers_off(Host& host) {
  trace("a hook powers host " + name_of(host) + " off");
  power_off(host);
  later(Milliseconds{pick(1000, 25'000)}, [this, &host] { power_on(host); });
}

void World::probe_postmaster(Host& host) {
  if (host.postmaster != host.machine->postmaster_ok()) {
    if (host.postmaster) {
      give(host, event::PostmasterBack{});
    } else {
      give(host, event::PostmasterLost{"it takes no new connection"});
    }
  }
  at_host(host, 700ms, [this, &host] { probe_postmaster(host); });
}

}  // namespace pgtandem::simulator
