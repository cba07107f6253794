/// What the nodes say to each other, and what they do about it; the names are those of common/roles.
#include <algorithm>

#include "tests/model/turn.h"

namespace pgtandem::model {
Byte Turn::next_epoch() const {
  Byte highest = std::max(own().epoch, own().highest);
  if (has_witness() && own().known) highest = std::max(highest, own().seen.epoch);
  return Byte(next_epoch_of(node_of(n_), highest));
}

void Turn::forget_question() {
  me().asked = 0;
  s.requests[n_].waited = 0;
  s.answers[n_].waited = 0;
}

void Turn::ask(Kind kind, Byte epoch, Byte generation) {
  forget_question();
  me().asked = 1;
  s.requests[n_] = {kind, 1, epoch, generation, 0, 0, 0, report_of(n_)};
}

void Turn::reply(bool ok, bool promise) {
  s.answers[p_] = {Kind::answer, s.requests[p_].waited, 0, 0, Byte(ok), Byte(promise), 0, report_of(n_)};
  s.requests[p_] = {};
}

Report Turn::report_of(Byte n) const {
  const NodeState& node = s.nodes[n];
  return {node.state,   node.epoch, node.highest,  node.master,     node.generation,
          node.parents, node.sync,  node.eligible, node.postmaster, node.bootstrapping};
}

/// The one place that changes a node's state; the table has to allow it.
void Turn::enter(RoleState next) {
  const RoleState from = me().state;
  if (in_event_ && next != from) {
    const auto allowed = next_states(reaction_);
    if (std::ranges::find(allowed, next) == allowed.end()) {
      fail("the table does not let " + std::string(pgtandem::to_string(reaction_)) + " lead to " +
           std::string(pgtandem::to_string(next)));
    }
  }
  const Message& request = s.requests[p_];
  if (request.taken && request.kind == Kind::take_over && next != RoleState::candidate &&
      next != RoleState::alone) {
    reply(false);
  }
  forget_question();
  NodeState& node = me();
  if (next != RoleState::stale) node.guests = 0;
  if (next != RoleState::candidate) {
    node.claim_epoch = node.claim_generation = node.invited = node.cleared = 0;
    node.from = {};
  }
  if (next != RoleState::draining) node.handed_epoch = 0;
  if (next != RoleState::degrading && next != RoleState::draining) node.lone_generation = 0;
  if (next == RoleState::master || next == RoleState::alone) {
    node.open = 1;
    if (next == RoleState::master) node.legs_epoch = node.epoch;
  } else if (next != RoleState::degrading && next != RoleState::draining && next != RoleState::fenced) {
    node.open = 0;
  }
  if (!active(next)) node.right = node.peer_right = node.bootstrapping = 0;
  node.wants = 0;
  node.wanted = {};
  node.state = next;
  node.step = Step::none;
  coverage_.states.set(std::size_t(next));
}

void Turn::adopt(const Report& report) {
  if (!active(report.state) || report.epoch < me().epoch) return;
  me().epoch = report.epoch;
  me().master = report.master;
  me().sync = report.sync;
  me().fenced = 0;
  see(report.epoch);
}

void Turn::stay_stale(const Report& report) {
  adopt(report);
  me().eligible = 0;
  enter(RoleState::stale);
}

void Turn::next_generation(Byte generation) {
  if (me().generation != kNoGeneration) me().parents |= Byte(1 << me().generation);
  me().generation = generation;
}

/// The slot of a node that begins an epoch of its own, alone.
void Turn::be_master_of(Byte epoch) {
  me().epoch = epoch;
  me().master = n_;
  me().sync = 0;
  me().eligible = 1;
  me().fenced = 0;
  see(epoch);
}

void Turn::fence() {
  enter(RoleState::fenced);
}

void Turn::attend() {
  if (has_witness() && me().up && active(me().state) && !me().right && !me().peer_right) {
    begin(EventKind::right_expired);
    fence();
  }
}

bool Turn::joined_to(const Report& report) const {
  return own().eligible && report.sync && report.epoch == own().epoch && own().master == p_ &&
         kinship(own().generation, own().parents, report) == Kinship::same;
}

bool Turn::is_bound() const {
  return own().state == RoleState::draining &&
         (own().step == Step::handing_over || own().step == Step::naming_peer);
}

// Reports

void Turn::hear(const Report& report) {
  const Byte known = std::max(report.epoch, report.highest);
  const bool refused_offer = report.epoch <= me().epoch && known <= me().handed_epoch;
  if (active(me().state) && known > me().epoch && !refused_offer && !breaks(Broken::higher_epoch)) {
    begin(EventKind::higher_epoch);
    if (is_bound() && active(report.state) && report.epoch == me().handed_epoch) return become_guest_host();
    see(known);
    me().fenced = 1;
    return fence();
  }
  see(known);
  me().heard_joined = Byte(has_hook() && joined_to(report));
  begin(EventKind::peer_report);
  switch (me().state) {
    case RoleState::recover:
      return decide(report);
    case RoleState::stale:
      if (!active(report.state) || report.epoch < me().epoch) return;
      if (report.epoch != me().epoch) me().guests = 0;
      return adopt(report);
    case RoleState::bootstrap:
      if (active(report.state) && report.bootstrapping && report.epoch == me().epoch) return;
      return stay_stale(report);
    case RoleState::standby:
      return check_joined(report);
    case RoleState::master:
      return check_standby(report);
    default:
      return;
  }
}

void Turn::decide(const Report& report) {
  if (me().step != Step::none) return;
  const Kinship kin = kinship(me().generation, me().parents, report);
  if (kin == Kinship::forked) return enter(RoleState::split);
  if (active(report.state)) {
    if (report.epoch < me().epoch || report.state == RoleState::degrading) return;
    if (joined_to(report)) {
      me().fenced = 0;
      me().legs_below = me().epoch;
      return enter(RoleState::standby);
    }
    return kin == Kinship::theirs_older ? enter(RoleState::split) : stay_stale(report);
  }
  const bool can_promise = report.state == RoleState::recover || report.state == RoleState::stale ||
                           report.state == RoleState::standby || report.state == RoleState::bootstrap;
  const bool peer_claims =
      report.master == p_ && report.epoch > me().epoch && report.generation != kNoGeneration;
  const bool may_claim =
      can_promise && !peer_claims && me().master == n_ && me().eligible && !me().fenced &&
      (kin == Kinship::same || kin == Kinship::theirs_older || kin == Kinship::theirs_none);
  if (!may_claim || has_witness() || !spare() || !has_epoch()) return;
  me().claim_epoch = next_epoch();
  ask(Kind::ask_promise, me().claim_epoch, 0);
  me().step = Step::asking_promise;
}

void Turn::check_joined(const Report& report) {
  const Kinship kin = kinship(me().generation, me().parents, report);
  const bool offered = !active(report.state) && report.master == n_ && report.epoch > me().epoch &&
                       report.epoch >= me().highest && me().eligible && me().sync && me().master == p_ &&
                       me().postmaster && me().step == Step::none;
  if (offered && !report.eligible && kin == Kinship::theirs_none && !has_witness() && spare()) {
    me().claim_epoch = report.epoch;
    me().claim_generation = new_generation();
    return finish_invited();
  }
  if (report.bootstrapping && report.epoch == me().epoch && kin == Kinship::same) return;
  const bool left = active(report.state) ? !joined_to(report) && report.epoch >= me().epoch
                                         : kin == Kinship::mine_older || kin == Kinship::forked;
  if (left) stay_stale(report);
}

void Turn::check_standby(const Report& report) {
  const bool fits = report.eligible && report.epoch == me().epoch &&
                    kinship(me().generation, me().parents, report) == Kinship::same &&
                    (report.state == RoleState::standby || report.state == RoleState::recover ||
                     report.state == RoleState::candidate);
  if (!fits) return degrade();
  if (!me().postmaster && report.state == RoleState::standby && report.postmaster && spare() && has_epoch())
    hand_over();
}

// Requests

void Turn::take_request() {
  const Message request = s.requests[p_];
  hear(request.report);
  switch (request.kind) {
    case Kind::hello: {
      const bool gives = me().state == RoleState::standby || me().state == RoleState::stale ||
                         me().state == RoleState::bootstrap ||
                         (me().state == RoleState::recover && me().step == Step::none);
      const bool to_master =
          active(request.report.state) && request.report.epoch == me().epoch && me().master == p_;
      const bool gives_promise = has_witness() && gives && to_master;
      if (request.waited) {
        reply(true, gives_promise);
      } else {
        answer_greeting(gives_promise);
      }
      break;
    }
    case Kind::ask_promise:
      begin(EventKind::ask_promise);
      promise(request);
      break;
    case Kind::agree_degrade:
      begin(EventKind::agree_degrade);
      agree(request);
      break;
    case Kind::fence_yourself:
      begin(EventKind::fence_yourself);
      yield_or_confirm(request);
      break;
    case Kind::join:
      begin(EventKind::join);
      take_join(request);
      break;
    case Kind::take_over:
      begin(EventKind::take_over);
      take_over(request);
      break;
    default:
      break;
  }
  attend();
}

/// What it says is heard at once or never; only the promise in it may come late.
void Turn::answer_greeting(bool promise) {
  s.requests[p_] = {};
  if (promise) s.answers[p_] = {Kind::answer, 0, me().epoch, 0, 1, 1, 0, {}};
  Turn greeter(s, bounds_, p_, coverage_);
  if (!greeter.me().up || greeter.me().frozen || s.cut[n_]) return;
  greeter.hear(report_of(n_));
  greeter.attend();
  s = greeter.s;
  if (!greeter.broken.empty()) fail(greeter.broken);
}

void Turn::promise(const Message& request) {
  const bool can = reaction_ == Reaction::promise;
  const Kinship kin = kinship(me().generation, me().parents, request.report);
  const bool repeated = me().promised_epoch == request.epoch && me().promised_to == p_;
  const bool newer = kin == Kinship::forked || kin == Kinship::theirs_older || kin == Kinship::theirs_none;
  const bool later = me().master == n_ && me().epoch > request.report.epoch;
  if (!can || claims() || (request.epoch <= me().highest && !repeated) || newer || later) return reply(false);
  see(request.epoch);
  me().promised_epoch = request.epoch;
  me().promised_to = p_;
  stay_stale(request.report);
  reply(true);
}

void Turn::agree(const Message& request) {
  if (reaction_ == Reaction::refuse_peer || claims() || me().step == Step::running_hook) return reply(false);
  if (me().state == RoleState::candidate) fall_back();
  if (me().epoch > request.epoch) return reply(false);
  if (me().eligible && me().generation == request.generation) stay_stale(request.report);
  reply(true);
}

void Turn::yield_or_confirm(const Message& request) {
  const Kinship kin = kinship(me().generation, me().parents, request.report);
  const bool may = kin == Kinship::same || kin == Kinship::mine_older || kin == Kinship::mine_none;
  if (reaction_ == Reaction::confirm) {
    if (!may || request.epoch <= me().epoch || claims()) return reply(false);
    see(request.epoch);
    if (me().state == RoleState::recover) me().fenced = 1;
    if (me().state == RoleState::standby || me().state == RoleState::bootstrap) stay_stale(request.report);
    return reply(true);
  }
  if (reaction_ == Reaction::yield) {
    if (!me().sync || !request.report.eligible || kin != Kinship::same || request.epoch <= me().epoch)
      return reply(false);
    see(request.epoch);
    me().fenced = 1;
    s.requests[p_].taken = 1;
    return fence();
  }
  if (reaction_ != Reaction::confirm_when_done || !may) return reply(false);
  see(request.epoch);
  me().fenced = 1;
  s.requests[p_].taken = 1;
}

void Turn::take_join(const Message& request) {
  const Report& master = request.report;
  if (reaction_ == Reaction::take_join && active(master.state) && master.epoch == request.epoch &&
      request.epoch >= me().epoch && master.generation == request.generation && me().step == Step::none) {
    adopt(master);
    me().generation = master.generation;
    me().parents = master.parents;
    me().sync = me().eligible = 1;
    me().legs_below = me().epoch;
    enter(RoleState::standby);
    return reply(true);
  }
  const bool again = reaction_ == Reaction::join_again && request.epoch == me().epoch &&
                     request.generation == me().generation;
  reply(again);
}

void Turn::take_over(const Message& request) {
  const Report& master = request.report;
  if (reaction_ == Reaction::take_over) {
    const bool joined = me().eligible && master.sync && master.epoch == me().epoch && me().master == p_ &&
                        master.master == p_ &&
                        kinship(me().generation, me().parents, master) == Kinship::same;
    const bool fits = master.state == RoleState::draining && request.epoch > me().highest;
    const bool arbitrated = !has_witness() || entitled(me(), n_, bounds_) || breaks(Broken::late_question);
    if (joined && fits && arbitrated && me().postmaster && me().step == Step::none && spare()) {
      s.requests[p_].taken = 1;
      if (has_witness()) {
        begin_candidacy();
        me().invited = me().cleared = 1;
        me().claim_epoch = request.epoch;
        return claim_takeover();
      }
      me().claim_epoch = request.epoch;
      me().claim_generation = new_generation();
      return finish_invited();
    }
  }
  if (reaction_ == Reaction::take_over_again) {
    if (active(me().state) && me().epoch == request.epoch) return reply(true);
    if (me().state == RoleState::candidate && me().invited && me().claim_epoch == request.epoch) {
      s.requests[p_].taken = 1;
      return;
    }
  }
  if (reaction_ != Reaction::refuse_peer) see(request.epoch);  // a no is for good
  reply(false);
}

}  // namespace pgtandem::model
