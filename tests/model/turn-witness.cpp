/// The witness: the nodes' questions (WitnessHand) and what they do about the answers.
#include <utility>

#include "tests/model/turn.h"

namespace pgtandem::model {

void Turn::want(Record record) {
  me().wants = 1;
  me().wanted = record;
}

/// The present revision has been seen for a whole term: nobody has a right from it any more, whatever is
/// heard late.
void Turn::term_is_over() {
  if (!me().current || breaks(Broken::term)) return;
  peer().right = 0;
  s.void_right = 1;
  if (peer().answer_current) peer().answer_void = 1;
}

/// The time of what this node has promised is over.
void Turn::promise_is_over() {
  if (breaks(Broken::promise)) return;
  peer().peer_right = 0;
  s.answers[p_].promise = 0;
}

void Turn::take_over_by_term() {
  term_is_over();
  promise_is_over();
  begin_candidacy();
  me().claim_epoch = next_epoch();
  claim_takeover();
}

void Turn::right_expired() {
  fence();
}

/// A write; `place` is where it is on its way.
void Turn::ask_witness(int place) {
  const Record record =
      me().wants ? me().wanted : Record{me().epoch, me().master, me().generation, me().sync};
  s.swaps[std::size_t(place)] = {1, me().current, 1, 1, record};
  me().question = Question::writing;
  me().swapping = 1;
}

void Turn::read_witness() {
  snapshot();
  me().swapping = 0;
}

void Turn::snapshot() {
  me().question = Question::seen;
  me().answer = s.witness;
  me().answer_current = 1;
  me().answer_own = s.own[n_];
  me().answer_void = s.void_right;
}

void Turn::forget_answer() {
  me().question = Question::idle;
  me().swapping = me().answer_current = me().answer_own = me().answer_void = 0;
  me().answer = {};
  for (const std::size_t i : {2U * n_, 2U * n_ + 1U}) {
    s.swaps[i].waited = 0;
    if (!s.swaps[i].can) clear(s.swaps[i]);
  }
}

/// Nothing was heard in time; a write may land yet.
void Turn::lose_answer() {
  forget_answer();
}

/// The write at `place` arrives at the witness.
void Turn::land(int place) {
  const Swap swap = std::exchange(s.swaps[std::size_t(place)], Swap{});
  if (!swap.can) {
    if (swap.waited) snapshot();
    return;
  }
  s.witness = swap.record;
  s.void_right = 0;
  for (NodeState& node : s.nodes) node.current = node.answer_current = 0;
  for (Swap& other : s.swaps) {
    other.can = 0;
    if (!other.waited) clear(other);
  }
  s.own[n_] = swap.own;
  s.own[p_] = 0;
  if (!swap.waited) return;
  snapshot();
  me().question = Question::written;
}

/// `moved_if_unknown`: whether the revision is another one, where neither this nor the known one is present.
void Turn::hear_witness(bool moved_if_unknown) {
  const bool same = me().known && me().current && me().answer_current;
  const bool landed = me().question == Question::written || (me().answer_own && !same);
  const bool both_old = me().known && !me().current && !me().answer_current;
  const bool moved = both_old ? moved_if_unknown : !same;
  const bool swap = me().swapping;
  const bool gives_right = landed && !me().answer_void && me().answer.master == n_;
  me().seen = me().answer;
  me().known = 1;
  me().current = me().answer_current;
  forget_answer();
  if (gives_right) me().right = 1;
  const bool written = landed && me().wants && me().wanted == me().seen;
  const bool refused = !landed && (swap || (moved && me().wants)) && !breaks(Broken::stale_write);
  begin(EventKind::witness_answer);
  take_witness(written, refused);
  if (!is_active(me().state)) me().right = 0;
  attend();
}

void Turn::take_witness(bool written, bool refused) {
  const Record seen = me().seen;
  const Record wanted = me().wanted;
  if (written || refused) {
    me().wants = 0;
    me().wanted = {};
  }
  switch (me().state) {
    case RoleState::master:
    case RoleState::degrading:
    case RoleState::alone:
    case RoleState::draining:
      if (refused) {
        if (is_bound() && seen.master == p_ && seen.epoch == me().handed_epoch) return become_guest_host();
        see(seen.epoch);
        return fence();
      }
      if (!written) return;
      if (me().state == RoleState::degrading && me().step == Step::asking_peer) return go_alone();
      if (me().step == Step::recording) return complete_join();
      if (me().step == Step::naming_peer) return become_guest_host();
      return;
    case RoleState::recover:
      if (me().step == Step::claiming) {
        if (written) {
          next_generation(me().claim_generation);
          be_master_of(me().claim_epoch);
          me().legs_below = me().epoch;
          return enter(RoleState::alone);
        }
        if (!refused) return;
        me().step = Step::none;
        me().claim_epoch = me().claim_generation = 0;
        return;
      }
      if (me().step != Step::none || refused || !me().eligible || me().fenced) return;
      if (seen.master == n_) {
        if (!me().postmaster || !spare()) return;
        promise_is_over();
        if (me().master != n_) {
          begin_candidacy();
          me().claim_epoch = next_epoch();
          return claim_takeover();
        }
        me().claim_epoch = next_epoch();
        me().claim_generation = new_generation();
        return claim_takeover();
      }
      if (seen.sync && seen.epoch == me().epoch && me().master == p_ && seen.generation == me().generation) {
        me().fenced = 0;
        me().legs_below = me().epoch;
        enter(RoleState::standby);
      }
      return;
    case RoleState::standby:
      if (refused || seen.master == n_) return;
      if (seen.epoch > me().epoch || (seen.epoch == me().epoch && seen.generation != me().generation)) {
        me().eligible = 0;
        enter(RoleState::stale);
      }
      return;
    case RoleState::candidate:
      if (refused) {
        me().wanted = wanted;
        return takeover_refused();
      }
      if (!written) return;
      if (me().step == Step::confirming) return finish_takeover();
      if (me().step != Step::claiming) return;
      if (me().invited) return finish_invited();
      me().step = Step::refusing_legs;
      return;
    default:
      return;
  }
}

void Turn::takeover_refused() {
  me().wanted = {};
  const Record seen = me().seen;
  const bool same_master =
      seen.master == me().master && seen.epoch == me().epoch && seen.generation == me().generation;
  const bool unchanged = me().invited ? same_master && seen.sync : seen.epoch < me().claim_epoch;
  if (me().step == Step::claiming && me().cleared && unchanged)
    return want({me().claim_epoch, n_, me().claim_generation, 0});
  const bool still_joined = same_master && seen.sync && me().eligible;
  const bool mine = seen.master == n_;
  fall_back();
  if (me().state == RoleState::standby && !still_joined && !mine) {
    me().eligible = 0;
    enter(RoleState::stale);
  }
}

}  // namespace pgtandem::model
