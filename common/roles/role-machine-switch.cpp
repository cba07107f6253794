/// A change of master while both relays live (hard point 10, and the planned switchover).
///
/// Hand-over: the master's postmaster is lost, or its server is to be replaced. Sessions are held; the
/// standby takes the next epoch and serves; this node records that its own data is stale, and its sessions go
/// on with the other server alone, as guests. Once asked, the standby may have taken over whatever is heard
/// of it: so silence binds this node as a yes does. A no is durable there, so that a late copy of the
/// question changes nothing.
///
/// Switchover with the relay: sessions end in order, this node stops in order without stopping, and the
/// standby asks for its promise, as after a restart of both (hard point 11). If it does not come, this node
/// asks for the other's promise and goes on.
#include <utility>

#include "common/roles/role-machine.h"

namespace pgtandem {
namespace {

/// A standby that was not heard for longer is not asked to take over: two heartbeats.
constexpr Milliseconds kFresh{1000};
/// The question of a standby that takes over from a drained master is repeated so often.
constexpr Milliseconds kAskAgain{500};

}  // namespace

bool RoleMachine::standby_can_take_over() const {
  const auto& standby = peer_.report;
  return settings_.has_peer && slot_.sync && !bootstrap_ && !stall_.on && !stop_wanted_ && standby &&
         silent_for(now_.steady) < kFresh && standby->state == RoleState::standby && standby->postmaster_ok &&
         standby->eligible && standby->epoch == slot_.epoch && kinship(*standby) == Kinship::same;
}

void RoleMachine::on_switch_over(const Event& event) {
  const auto& ordered = std::get<event::Ordered>(event);
  const bool server_only = std::get<command::Switchover>(ordered.command).server_only;
  if (!standby_can_take_over() || (server_only && !settings_.hand_over)) {
    return answer_refused(ordered.id,
                          "node " + peer_name() +
                              " is not ready to take over: it must be joined, answer, and its postmaster too",
                          "see `pgtandem status`");
  }
  if (server_only) {
    hand_over("switchover to the server of node " + peer_name());
    switch_request_ = ordered.id;
    return;
  }
  drain_for_ = DrainFor::switchover;
  enter(RoleState::draining, "switchover to node " + peer_name());
  switch_request_ = ordered.id;
  step_ = Step::ending_sessions;
  awaited_ = end_sessions(EndHow::when_idle, settings_.stop_timeout,
                          "node " + peer_name() + " becomes master: connect again");
}

// Hand-over, the old master's side

void RoleMachine::hand_over(std::string reason) {
  drain_for_ = DrainFor::hand_over;
  enter(RoleState::draining, std::move(reason));
  handed_epoch_ = 0;
  handed_generation_ = new_uuid_();
  step_ = Step::holding;
  awaited_ = put_in_force();
}

/// The standby was asked to take over, and may have: this node cannot go on by itself any more.
bool RoleMachine::is_bound() const {
  return state_ == RoleState::draining && drain_for_ == DrainFor::hand_over &&
         (step_ == Step::handing_over || step_ == Step::naming_peer);
}

/// True if this is the draining of a hand-over or of a switchover.
bool RoleMachine::step_switch(const Event& event) {
  if (drain_for_ == DrainFor::switchover) {
    step_yield(event);
    return true;
  }
  if (drain_for_ != DrainFor::hand_over) return false;
  if (step_ == Step::holding && done<event::InForce>(event) != nullptr) {
    awaited_ = 0;
    step_ = Step::handing_over;
    handed_epoch_ = next_epoch_of(other(settings_.self), next_epoch() - 1);
    ask(TakeOver{handed_epoch_, false}, settings_.standby_timeout);
  } else if (step_ == Step::handing_over && is_answer(asked_, event)) {
    asked_ = 0;
    const auto* answered = std::get_if<event::PeerAnswered>(&event);
    if (answered != nullptr && answered->answer.ok) {
      become_guest_host();
    } else if (answered != nullptr) {
      stay_master("node " + peer_name() + " did not take over: " + answered->answer.why);
    } else if (settings_.witness) {
      step_ = Step::naming_peer;
      hand_.want({settings_.cluster, handed_epoch_, other(settings_.self), other(settings_.self),
                  handed_generation_, false});
    } else {
      become_guest_host();
    }
  }
  return true;
}

void RoleMachine::stay_master(std::string reason) {
  answer_refused(std::exchange(switch_request_, 0), reason, "see `pgtandem status`");
  enter(RoleState::master, std::move(reason));
  if (stop_wanted_) return drain_to_stop();
  if (!postmaster_ok_) tell(TellLevel::error, "postmaster-lost", postmaster_refusal());
  if (suspect_ && postmaster_ok_) degrade("the two copies may differ (R9): " + stale_reason_);
}

/// Durable before anything of the standby's legs is released: the data that counts is the other node's.
void RoleMachine::become_guest_host() {
  Slot next = slot_;
  next.epoch = handed_epoch_;
  next.master = next.data_node = other(settings_.self);
  next.sync = next.eligible = false;
  next.clean = {};
  // The other node may not have recorded its new generation, while guests write there under the present one:
  // this data must not pass for an equal or a later state of it.
  next.lineage = {};
  store(std::move(next));
  stale_reason_ = "node " + peer_name() + " took over with its server";
  answer_done(std::exchange(switch_request_, 0), "node " + peer_name() + " is master of epoch " +
                                                     std::to_string(slot_.epoch) +
                                                     "; the sessions of this relay go on with its server");
  guests_ = true;
  suspect_ = false;
  enter(RoleState::stale, stale_reason_);
}

void RoleMachine::on_guests_ended(const Event&) {
  if (std::exchange(guests_, false)) actions_.push_back(action::Greet{});
}

void RoleMachine::end_guests() {
  if (std::exchange(guests_, false)) {
    (void)end_sessions(EndHow::at_once, Milliseconds{0}, "the master has changed: connect again");
  }
}

/// The operator's answer: in RECOVER the outcome is still open.
void RoleMachine::end_switch(RoleState next, const std::string& reason) {
  if (next == RoleState::recover) return;
  const RequestId id = std::exchange(switch_request_, 0);
  if (next == RoleState::standby && slot_.master != settings_.self) {
    return answer_done(id, "node " + peer_name() + " takes over; this node stays joined to it as standby");
  }
  answer_refused(id, "the switchover has ended: " + reason, "see `pgtandem status`");
}

// Switchover, the old master's side

void RoleMachine::step_yield(const Event& event) {
  const auto* ended = done<event::SessionsEnded>(event);
  if (ended == nullptr || step_ != Step::ending_sessions) return;
  awaited_ = 0;
  yield_drained(ended->all_matched && slot_.sync && !suspect_);
}

void RoleMachine::yield_drained(bool clean) {
  if (!clean) return stay_master("the sessions did not all end in order");
  const RequestId request = std::exchange(switch_request_, 0);
  Slot next = slot_;
  next.clean = slot_.lineage.generation;
  store(std::move(next));
  const Uuid was_clean = slot_.clean;
  enter(RoleState::recover, "drained for the switchover: waiting for node " + peer_name() + " to take over");
  was_clean_ = was_clean;
  yield_until_ = now_.steady + settings_.takeover_timeout;
  switch_request_ = request;
  ask(TakeOver{0, true}, settings_.standby_timeout);
}

/// The standby was asked: its no, or its silence, which means nothing.
bool RoleMachine::step_yielded(const Event& event) {
  if (step_ != Step::none || !is_answer(asked_, event)) return false;
  asked_ = 0;
  const auto* answered = std::get_if<event::PeerAnswered>(&event);
  if (answered != nullptr && !answered->answer.ok) {
    yield_until_ = now_.steady;
    answer_refused(std::exchange(switch_request_, 0),
                   "node " + peer_name() + " did not take over: " + answered->answer.why,
                   "see `pgtandem status`");
    if (peer_.report) on_decide(event);
  }
  return true;
}

// The standby's side

void RoleMachine::on_take_over(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const auto& body = std::get<TakeOver>(asked.request.body);
  const NodeReport& master = asked.request.report;
  const bool joined = slot_.eligible && master.sync && master.epoch == slot_.epoch &&
                      slot_.master == master.node && master.master == master.node &&
                      kinship(master) == Kinship::same;
  const bool fits = body.drained ? master.state == RoleState::recover
                                 : master.state == RoleState::draining && body.epoch > slot_.highest_seen &&
                                       body.epoch == next_epoch_of(settings_.self, body.epoch - 1);
  // The question may be an old one: what the witness holds must be what this node was joined to.
  const bool arbitrated = !settings_.witness || body.drained || is_entitled();
  if (!joined || !fits || !arbitrated || !postmaster_ok_ || step_ != Step::none || stop_wanted_) {
    return refuse_take_over(asked.id, body);
  }
  if (!body.drained) return take_over_invited(asked.id, body.epoch);
  candidacy_.epoch = 0;
  take_over_drained();
  answer_peer(asked.id, true, {});
}

/// What the other node has recorded of a change of master, where its question or its answer was lost: it has
/// handed over to this node, or has promised it the epoch.
bool RoleMachine::take_up_offer(const NodeReport& peer) {
  const bool offered = !peer.active() && peer.master == settings_.self && peer.data_node == settings_.self &&
                       peer.epoch > slot_.epoch && peer.epoch >= slot_.highest_seen && slot_.eligible &&
                       slot_.sync && slot_.master == peer.node && postmaster_ok_ && step_ == Step::none &&
                       !stop_wanted_;
  if (!offered) return false;
  if (!peer.eligible && kinship(peer) == Kinship::theirs_none && !settings_.witness) {
    take_over_invited(0, peer.epoch);
    return true;
  }
  const bool promised = peer.state == RoleState::standby && peer.eligible && kinship(peer) == Kinship::same &&
                        peer.epoch == candidacy_.epoch;
  if (!promised) return false;
  take_over_drained();
  return true;
}

/// A no is for good: a copy of the question that comes later finds its epoch used up.
void RoleMachine::refuse_take_over(RequestId id, const TakeOver& body) {
  if (!body.drained && body.epoch > slot_.highest_seen && found_ == SlotsFound::usable) {
    Slot next = slot_;
    next.highest_seen = body.epoch;
    store(std::move(next));
  }
  answer_peer(id, false,
              "node " + self_name() + " cannot take over as " + std::string(to_string(state_)) + " (" +
                  reason_ + (postmaster_ok_ ? ")" : "; its postmaster does not answer)"));
}

/// Asked again, since the answer was lost.
void RoleMachine::on_take_over_again(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const auto& body = std::get<TakeOver>(asked.request.body);
  const bool done = is_active(state_) && !body.drained && slot_.epoch == body.epoch;
  if (done) return answer_peer(asked.id, true, {});
  const bool under_way = state_ == RoleState::candidate && candidacy_.over == Over::invited &&
                         candidacy_.epoch == body.epoch && !body.drained;
  // Which of them the other node waits for is not known here: a no to an old one might be taken for the no.
  if (under_way) return candidacy_.invitations.push_back(asked.id);
  const bool drained = state_ == RoleState::candidate && candidacy_.over == Over::drained && body.drained;
  if (drained) return answer_peer(asked.id, true, {});
  refuse_take_over(asked.id, body);
}

void RoleMachine::take_over_invited(RequestId id, Epoch epoch) {
  begin_candidacy({}, 0);
  if (!settings_.witness) {
    candidacy_.epoch = epoch;
    invited_by(id);
    return finish_invited();
  }
  enter(RoleState::candidate, "node " + peer_name() + " hands over");
  candidacy_.epoch = epoch;
  candidacy_.over = Over::invited;
  candidacy_.cleared = true;
  invited_by(id);
  claim_takeover();
}

/// 0: by a record.
void RoleMachine::invited_by(RequestId id) {
  if (id != 0) candidacy_.invitations.push_back(id);
}

void RoleMachine::refuse_invitations(const std::string& why) {
  for (const RequestId id : std::exchange(candidacy_.invitations, {})) answer_peer(id, false, why);
}

/// Legs of the old epoch stay: they are the guests'.
void RoleMachine::finish_invited() {
  Slot next = slot_;
  next.epoch = candidacy_.epoch;
  next.master = next.data_node = settings_.self;
  next.sync = false;
  next.eligible = true;
  next.clean = {};
  next.lineage = slot_.lineage.next(candidacy_.generation);
  store(std::move(next));
  stale_reason_ = "node " + peer_name() + " handed over to this node";
  const std::vector<RequestId> invitations = std::exchange(candidacy_.invitations, {});
  enter(RoleState::alone, stale_reason_);
  for (const RequestId id : invitations) answer_peer(id, true, {});
}

/// As if both had stopped in order: the other's promise keeps it joined. Where the epoch was asked for
/// before, it is asked for again.
void RoleMachine::take_over_drained() {
  Slot next = slot_;
  next.clean = slot_.lineage.generation;
  const Uuid clean = next.clean;
  store(std::move(next));
  const Epoch again = candidacy_.epoch;
  begin_candidacy({}, 0);
  enter(RoleState::candidate, "switchover from node " + peer_name());
  candidacy_.over = Over::drained;
  candidacy_.epoch = again != 0 ? again : next_epoch();
  candidacy_.clean = clean;
  candidacy_.until = now_.steady + settings_.takeover_timeout;
  ask_drained();
}

void RoleMachine::ask_drained() {
  step_ = Step::asking_consent;
  deadline_.reset();
  ask(AskPromise{candidacy_.epoch, candidacy_.clean, false, false}, settings_.standby_timeout);
}

void RoleMachine::step_drained(const Event& event) {
  asked_ = 0;
  const auto* answered = std::get_if<event::PeerAnswered>(&event);
  if (answered == nullptr) {
    // It may have promised: only the same question brings the same answer.
    deadline_ = now_.steady + kAskAgain;
    return;
  }
  if (!answered->answer.ok) return fall_back(answered->answer.why, "see `pgtandem status`");
  const bool clean = answered->answer.clean;
  candidacy_.claim = {settings_.cluster,
                      candidacy_.epoch,
                      settings_.self,
                      settings_.self,
                      clean ? slot_.lineage.generation : candidacy_.generation,
                      clean};
  if (!settings_.witness) return finish_drained();
  candidacy_.cleared = true;
  step_ = Step::claiming;
  hand_.want(candidacy_.claim);
}

void RoleMachine::finish_drained() {
  Slot next = slot_;
  next.epoch = candidacy_.claim.epoch;
  next.master = next.data_node = settings_.self;
  next.sync = candidacy_.claim.sync;
  next.clean = {};
  if (!next.sync) next.lineage = slot_.lineage.next(candidacy_.generation);
  store(std::move(next));
  refuse_legs(slot_.epoch);
  if (slot_.sync) return enter(RoleState::master, "switchover: node " + peer_name() + " stays joined");
  stale_reason_ = "node " + peer_name() + " was not certain to be equal at the switchover";
  enter(RoleState::alone, stale_reason_);
}

/// Time limits of a candidacy.
void RoleMachine::on_candidate_time(const Event&) {
  if (!deadline_ || now_.steady < *deadline_) return;
  deadline_.reset();
  if (candidacy_.over == Over::drained && step_ == Step::asking_consent) {
    if (now_.steady < candidacy_.until) return ask_drained();
    return fall_back("node " + peer_name() + " made no promise in time", "see `pgtandem status`");
  }
  if (candidacy_.request != 0) {
    answer_refused(std::exchange(candidacy_.request, 0),
                   "the witness does not answer; the promotion goes on when it does",
                   "mend the witness, or see `pgtandem status`", 503);
  }
}

}  // namespace pgtandem
