/// Answers, and what a node does step by step; the names are those of common/roles.
#include <utility>

#include "tests/model/turn.h"

namespace pgtandem::model {

// Answers

void Turn::take_answer() {
  const Message answer = s.answers[n_];
  s.answers[n_] = {};
  const bool waited = answer.waited;
  s.answers[n_].waited = Byte(waited);  // enter() forgets it
  const bool greeting = answer.report.epoch == 0;
  if (!greeting) hear(answer.report);
  const bool still = me().asked && s.answers[n_].waited;
  s.answers[n_] = {};
  const Byte epoch = greeting ? answer.epoch : answer.report.epoch;
  if (answer.promise && active(me().state) && epoch == me().epoch) me().peer_right = 1;
  if (still) {
    me().asked = 0;
    begin(EventKind::peer_answer);
    step(&answer);
  }
  attend();
}

void Turn::be_silent() {
  forget_question();
  begin(EventKind::peer_silent);
  step(nullptr);
  attend();
}

void Turn::step(const Message* answer) {
  switch (me().state) {
    case RoleState::recover:
      return step_claim(answer);
    case RoleState::candidate:
      return step_promotion(answer);
    case RoleState::degrading:
      return step_degrade(answer);
    case RoleState::draining:
      return step_drain(answer);
    case RoleState::alone:
      if (me().step != Step::joining) return;
      if (answer != nullptr && answer->ok) {
        me().step = Step::mirroring;
        me().legs_epoch = me().epoch;
        return;
      }
      me().bootstrapping = 0;
      me().step = Step::none;
      next_generation(new_generation());
      return;
    default:
      return;
  }
}

void Turn::step_claim(const Message* answer) {
  if (me().step != Step::asking_promise) return;
  me().step = Step::none;
  const Byte epoch = std::exchange(me().claim_epoch, Byte(0));
  if (answer == nullptr || !answer->ok) return;
  if (me().sync || answer->report.generation == me().generation) {
    if (!spare()) return;
    next_generation(new_generation());
  }
  be_master_of(epoch);
  me().legs_below = epoch;
  enter(RoleState::alone);
}

void Turn::step_promotion(const Message* answer) {
  if (me().step == Step::finding_peer)
    return answer != nullptr ? found_peer(answer->report) : found_silence();
  const bool consent = me().step == Step::asking_consent;
  if (!consent && me().step != Step::fencing_peer) return;
  if (consent && answer == nullptr) return found_silence();
  return answer != nullptr && answer->ok ? clear_way(true) : fall_back();
}

void Turn::step_degrade(const Message* answer) {
  if (me().step != Step::asking_peer) return;
  const bool agreed = answer != nullptr && answer->ok;
  if (agreed || (breaks(Broken::agreement) && answer != nullptr)) return go_alone();
  if (has_witness()) return;  // then the compare-and-swap, or nothing
  if (!has_hook()) return go_alone();
  me().step = answer == nullptr ? Step::running_hook : Step::holding;
}

void Turn::step_drain(const Message* answer) {
  if (me().step != Step::handing_over) return;
  if (answer != nullptr) return answer->ok ? become_guest_host() : enter(RoleState::master);
  if (breaks(Broken::silence_is_no)) return enter(RoleState::master);
  if (!has_witness()) return become_guest_host();
  me().step = Step::naming_peer;
  me().lone_generation = new_generation();
  want({me().handed_epoch, p_, me().lone_generation, 0});
}

// The operator's promote

void Turn::promote() {
  ++s.orders;
  begin_candidacy();
  ask(Kind::hello, 0, 0);
  me().step = Step::finding_peer;
}

void Turn::found_peer(const Report& report) {
  const Kinship kin = kinship(me().generation, me().parents, report);
  const bool from_standby = me().from == RoleState::standby;
  const bool left =
      active(report.state) ? !joined_to(report) : kin == Kinship::mine_older || kin == Kinship::forked;
  if (from_standby && left) {
    fall_back();
    return stay_stale(report);
  }
  if (active(report.state)) return from_standby ? ask_to_fence() : fall_back();
  if (kin == Kinship::forked || !me().eligible || kin == Kinship::mine_older) return fall_back();
  if (report.state == RoleState::fenced) return ask_to_fence();
  me().claim_epoch = next_epoch();
  ask(Kind::ask_promise, me().claim_epoch, 0);
  me().step = Step::asking_consent;
}

void Turn::ask_to_fence() {
  me().claim_epoch = next_epoch();
  ask(Kind::fence_yourself, me().claim_epoch, 0);
  me().step = Step::fencing_peer;
}

/// The operator's words, where they are true; what only the silent node holds may go.
void Turn::found_silence() {
  if (peer().up || peer().postmaster || !me().eligible) return fall_back();
  if (s.write == Write::acknowledged && !s.holds[n_]) s.excused = 1;
  s.top = 0;
  me().claim_epoch = next_epoch();
  clear_way(false);
}

void Turn::clear_way(bool by_peer) {
  if (!has_witness()) {
    me().step = Step::refusing_legs;
    return;
  }
  if (!me().known) return fall_back();
  if (!by_peer) {
    term_is_over();
    promise_is_over();
  }
  me().cleared = Byte(by_peer);
  claim_takeover();
}

void Turn::begin_candidacy() {
  const RoleState from = me().state;
  enter(RoleState::candidate);
  me().from = from;
  me().claim_generation = new_generation();
}

void Turn::claim_takeover() {
  me().step = Step::claiming;
  want({me().claim_epoch, n_, me().claim_generation, 0});
}

void Turn::fall_back() {
  const Record claim{me().claim_epoch, n_, me().claim_generation, 0};
  const bool written = has_witness() && me().claim_epoch != 0 && me().known && me().seen == claim;
  enter(written ? RoleState::recover : me().from);
}

void Turn::legs_refused() {
  me().legs_below = me().claim_epoch;
  me().step = Step::clearing_backends;
}

void Turn::backends_ended() {
  if (!me().postmaster) return fall_back();
  end_backends();
  if (!has_witness()) return finish_takeover();
  const Record claim{me().claim_epoch, n_, me().claim_generation, 0};
  me().step = Step::confirming;
  want(claim);
}

void Turn::finish_takeover() {
  next_generation(me().claim_generation);
  be_master_of(me().claim_epoch);
  enter(RoleState::alone);
}

void Turn::finish_invited() {
  next_generation(me().claim_generation);
  be_master_of(me().claim_epoch);
  enter(RoleState::alone);
  if (s.requests[p_].taken && s.requests[p_].kind == Kind::take_over) reply(true);
}

// Going on alone, and handing over

void Turn::degrade() {
  enter(RoleState::degrading);
  me().step = Step::holding;
}

void Turn::hand_over() {
  enter(RoleState::draining);
  me().step = Step::holding;
}

void Turn::in_force() {
  switch (me().state) {
    case RoleState::degrading:
      me().open = 0;
      me().step = Step::asking_peer;
      if (has_witness()) {
        me().lone_generation = new_generation();
        want({me().epoch, n_, me().lone_generation, 0});
      }
      return ask(Kind::agree_degrade, me().epoch, me().generation);
    case RoleState::draining:
      me().open = 0;
      me().step = Step::handing_over;
      me().handed_epoch = Byte(next_epoch_of(node_of(p_), next_epoch() - 1));
      return ask(Kind::take_over, me().handed_epoch, 0);
    case RoleState::alone:
      if (!has_witness()) return complete_join();
      me().step = Step::recording;
      return want({me().epoch, n_, me().generation, 1});
    default:
      return;
  }
}

void Turn::go_alone() {
  me().sync = 0;
  next_generation(has_witness() ? me().lone_generation : new_generation());
  enter(RoleState::alone);
}

void Turn::become_guest_host() {
  me().epoch = me().handed_epoch;
  see(me().epoch);
  me().master = p_;
  me().sync = me().eligible = 0;
  me().generation = kNoGeneration;
  me().parents = 0;
  enter(RoleState::stale);
  me().guests = 1;
}

void Turn::complete_join() {
  me().sync = 1;
  me().bootstrapping = 0;
  enter(RoleState::master);
}

void Turn::sessions_ended() {
  me().open = 0;
  drop_write();
  end_backends();
  enter(RoleState::recover);
  if (s.requests[p_].taken && s.requests[p_].kind == Kind::fence_yourself) reply(true);
}

void Turn::guests_ended() {
  me().guests = 0;
  drop_write();
}

void Turn::fence_by_order() {
  ++s.orders;
  me().fenced = 1;
  fence();
}

// R11

void Turn::freeze_by_hook() {
  degrade();
}

void Turn::stand_by_hook() {
  begin_candidacy();
  me().step = Step::running_hook;
}

void Turn::hook_ended(bool confirmed) {
  const bool degrading = me().state == RoleState::degrading;
  if (confirmed || (degrading && breaks(Broken::hook))) {
    if (degrading) return go_alone();
    me().claim_epoch = next_epoch();
    me().step = Step::refusing_legs;
    return;
  }
  if (!degrading) return fall_back();
  me().step = Step::holding;
}

// Bootstrap: one step up to its join

void Turn::bootstrap() {
  ++s.orders;
  if (s.write == Write::acknowledged && !s.excused && s.holds[p_] && !s.holds[n_])
    fail("a bootstrap overwrites an acknowledged write that nobody gave up");
  me().bootstrapping = 1;
  me().step = Step::loading;
  drop_write();
  Turn target(s, bounds_, p_, EventKind::bootstrap_target, coverage_);
  target.end_backends();
  target.adopt(report_of(n_));
  target.me().eligible = 0;
  target.enter(RoleState::bootstrap);
  if (!target.broken.empty()) fail(target.broken);
  s = target.s;
}

void Turn::finish_load() {
  s.holds[p_] = s.holds[n_];
  me().step = Step::joining;
  ask(Kind::join, me().epoch, me().generation);
}

void Turn::abort_load() {
  me().step = Step::none;
  me().bootstrapping = 0;
}

}  // namespace pgtandem::model
