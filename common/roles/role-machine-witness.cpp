/// R4 to R6 and R12: the right to be master, and the takeover by the witness. The witness arbitrates by
/// compare-and-swap alone; clocks bound how long a master that cannot be heard may still release output.
#include <algorithm>
#include <utility>

#include "common/roles/role-machine.h"

namespace pgtandem {
namespace {

/// An answer of the witness that takes longer has failed; a renewal is due again before that.
constexpr Milliseconds kWitnessPatience{1000};
/// After a takeover that did not come about.
constexpr Milliseconds kStandAgain{1000};

}  // namespace

/// Longer than the term by more than clocks can differ in rate (R4).
Milliseconds RoleMachine::term_with_margin() const {
  return settings_.term + settings_.term / 10;
}

RoleRecord RoleMachine::role_of(const Slot& slot) const {
  return {settings_.cluster, slot.epoch, slot.master, slot.data_node, slot.lineage.generation, slot.sync};
}

bool RoleMachine::names_me(const RoleRecord& role) const {
  return role.master == settings_.self && role.data_node == settings_.self;
}

const RoleRecord* RoleMachine::witnessed() const {
  return hand_.trusted() && hand_.record() ? &hand_.record()->role : nullptr;
}

/// What the witness and the hook bring about by the passing of time. After every event.
void RoleMachine::attend() {
  if (!begun_ || stopped_) return;
  if (settings_.witness) {
    if (is_active(state_) && now_.steady >= right_until_) perform(EventKind::right_expired, event::Tick{});
    if (may_take_over()) perform(EventKind::term_over, event::Tick{});
    ask_witness();
  } else if (settings_.hook && watches_silence() && now_.steady >= silence_limit()) {
    perform(EventKind::long_silence, event::Tick{});
  }
}

/// The record to renew: only an active node renews, and not while another one has been told to take over.
std::optional<RoleRecord> RoleMachine::renewal() const {
  if (!is_active(state_) || step_ == Step::handing_over) return std::nullopt;
  return role_of(slot_);
}

/// Who neither renews nor wants anything written reads, where what it reads could lead to something.
bool RoleMachine::reads_witness() const {
  return !is_active(state_) && state_ != RoleState::fenced && state_ != RoleState::split;
}

std::optional<Milliseconds> RoleMachine::witness_wake() const {
  const std::optional<Milliseconds> asks =
      hand_.wants() || renewal() || reads_witness() ? hand_.wake() : std::nullopt;
  if (is_active(state_)) return asks ? std::min(*asks, right_until_) : right_until_;
  if (!is_entitled()) return asks;
  return asks ? std::min(*asks, take_over_at()) : take_over_at();
}

/// A claim of this node may land at any moment: it promises nothing meanwhile.
bool RoleMachine::claims_at_witness() const {
  return step_ == Step::claiming || step_ == Step::confirming ||
         (state_ == RoleState::candidate && settings_.witness && candidacy_.claim.epoch != 0);
}

/// Before the grant, so that no thread serves without a right.
void RoleMachine::tell_right() {
  if (!settings_.witness) return;
  if (!is_active(state_)) right_until_ = Milliseconds{0};
  if (right_until_ == right_told_) return;
  right_told_ = right_until_;
  actions_.push_back(action::SetRight{right_until_});
}

void RoleMachine::ask_witness() {
  const std::optional<RoleRecord> record = renewal();
  if (!record && !reads_witness() && !hand_.wants()) return;
  const auto question = hand_.next(now_.steady, record);
  if (!question) return;
  hand_.asked(now_.steady, ++last_ticket_, *question);
  asked_last_ = last_ticket_;
  if (question->swap) {
    actions_.push_back(
        action::SwapWitness{last_ticket_, question->record, question->expected, kWitnessPatience});
  } else {
    actions_.push_back(action::ReadWitness{last_ticket_, kWitnessPatience});
  }
}

void RoleMachine::hear_witness(const event::WitnessAnswered& answered, const Event& event) {
  heard_ = hand_.hear(now_.steady, answered.ticket, answered.reply);
  if (heard_ == WitnessHand::Heard::nothing) return;
  note_flaw(heard_ == WitnessHand::Heard::untrusted ? hand_.flaw() : std::string());
  if (heard_ == WitnessHand::Heard::refused) hand_.drop_want();
  const RoleRecord* role = witnessed();
  if (hand_.right_from() && role != nullptr && role->master == settings_.self) {
    right_until_ = std::max(right_until_, *hand_.right_from() + settings_.term - settings_.guard);
  }
  perform(EventKind::witness_answer, event);
}

/// Says once what is wrong with the witness, and once that it is right again.
void RoleMachine::note_flaw(const std::string& flaw) {
  if (flaw == witness_flaw_) return;
  witness_flaw_ = flaw;
  if (flaw.empty()) return tell(TellLevel::info, "witness-trusted", "the witness answers as it should");
  tell(TellLevel::error, "witness-not-trusted", "the witness gives no authority: " + flaw);
}

void RoleMachine::on_note_witness(const Event&) {}

/// R6: the answer to this node's heartbeat, with the other node's promise.
void RoleMachine::take_promise(const event::PeerReported& reported) {
  if (!settings_.witness || !is_active(state_) || reported.sent < Milliseconds{0}) return;
  const NodeReport& peer = reported.report;
  if (peer.cluster != settings_.cluster || peer.node != other(settings_.self)) return;
  if (peer.promise_ms == 0 || peer.epoch != slot_.epoch) return;
  const Milliseconds promised = std::min(Milliseconds(peer.promise_ms), settings_.term);
  right_until_ = std::max(right_until_, reported.sent + promised - settings_.guard);
}

/// Answers a heartbeat; to the master of this node's epoch with the promise of R6.
void RoleMachine::answer_hello(RequestId id, const NodeReport& asker) {
  action::AnswerPeer answer{id, true, false, {}, report()};
  const bool gives = state_ == RoleState::standby || state_ == RoleState::stale ||
                     state_ == RoleState::bootstrap || (state_ == RoleState::recover && step_ == Step::none);
  const bool to_master = asker.active() && asker.epoch == slot_.epoch && slot_.master == asker.node;
  if (settings_.witness && gives && to_master && found_ == SlotsFound::usable) {
    answer.report.promise_ms = std::uint64_t(settings_.term.count());
    promised_until_ = now_.steady + term_with_margin();
  }
  actions_.push_back(std::move(answer));
}

// RECOVER

/// The record names this node and is no later than what its data is entitled to: it may claim the next epoch.
void RoleMachine::on_claim_by_record(const Event& event) {
  if (step_ == Step::claiming) return step_claiming(event);
  if (step_ != Step::none || found_ != SlotsFound::usable || heard_ != WitnessHand::Heard::seen) return;
  const RoleRecord* role = witnessed();
  if (role == nullptr || slot_.fenced || slot_.split || !slot_.eligible || stop_wanted_) return;
  if (!names_me(*role)) return stand_by_record(*role);
  if (!postmaster_ok_ || now_.steady < std::max({yield_until_, promised_until_, stand_after_})) return;
  if (slot_.master != settings_.self)
    return stand_alone("the witness names this node, whose takeover had not ended");
  // Where both had stopped in order, the other node's promise keeps it joined: it gets its time to be heard.
  const bool clean = slot_.sync && was_clean_ == slot_.lineage.generation;
  if (clean && now_.steady < std::max(since_.steady, yield_until_) + settings_.standby_timeout) return;
  take_up(next_epoch(), false, true,
          "the witness' record named this node when it started; the standby must be bootstrapped");
}

/// The witness says that this node was joined to the last, and nothing has been acknowledged without it.
void RoleMachine::stand_by_record(const RoleRecord& role) {
  const bool joined = role.master == other(settings_.self) && role.data_node == role.master && role.sync &&
                      role.epoch == slot_.epoch && slot_.master == role.master &&
                      role.generation == slot_.lineage.generation;
  if (joined)
    become_standby("the witness says that node " + peer_name() + " never went on without this node");
}

/// A claim: written, refused, or asked again.
void RoleMachine::step_claiming(const Event&) {
  if (heard_ == WitnessHand::Heard::written) return complete_claim();
  if (heard_ != WitnessHand::Heard::refused) return;
  step_ = Step::none;
  set_reason("the witness refused this node's claim: another one was first");
  if (claim_.request != 0) {
    answer_refused(std::exchange(claim_.request, 0), "the witness holds another record of this pair",
                   "see `pgtandem status` of both nodes");
  }
}

/// Records a role; with a witness only after the compare-and-swap.
void RoleMachine::begin_claim(Claim claim) {
  claim_ = std::move(claim);
  if (!settings_.witness) return complete_claim();
  step_ = Step::claiming;
  hand_.want(role_of(claim_.next));
}

void RoleMachine::complete_claim() {
  const Claim claim = std::exchange(claim_, {});
  store(claim.next);
  if (claim.request != 0) {
    answer_done(claim.request, claim.done);
  } else {
    refuse_legs(slot_.epoch);
    suspect_ = false;
  }
  if (claim.to == RoleState::alone) stale_reason_ = claim.reason;
  enter(claim.to, claim.reason);
}

// STANDBY

bool RoleMachine::may_take_over() const {
  return is_entitled() && now_.steady >= take_over_at();
}

/// A record that names this node counts whatever its epoch: nobody else has written there since.
bool RoleMachine::is_entitled() const {
  const RoleRecord* role = witnessed();
  if (state_ != RoleState::standby || step_ != Step::none || stop_wanted_ || role == nullptr) return false;
  if (!slot_.eligible || !postmaster_ok_) return false;
  const bool joined = role->sync && role->epoch == slot_.epoch && role->master == slot_.master &&
                      role->generation == slot_.lineage.generation;
  return joined || names_me(*role);
}

/// The same revision for the whole term by receipt; any promise to the master over; not at once again.
Milliseconds RoleMachine::take_over_at() const {
  return std::max({hand_.seen_since() + term_with_margin(), promised_until_, stand_after_});
}

void RoleMachine::on_take_over_by_term(const Event&) {
  stand_alone("node " + peer_name() + " has not renewed its right for the whole term");
}

/// A candidacy without an operator: the compare-and-swap first.
void RoleMachine::stand_alone(std::string reason) {
  begin_candidacy({}, 0);
  enter(RoleState::candidate, std::move(reason));
  candidacy_.epoch = next_epoch();
  claim_takeover();
}

void RoleMachine::on_watch_record(const Event&) {
  const RoleRecord* role = witnessed();
  if (role == nullptr || heard_ != WitnessHand::Heard::seen || names_me(*role)) return;
  const bool later = role->epoch > slot_.epoch;
  const bool went_on = role->epoch == slot_.epoch && role->generation != slot_.lineage.generation;
  if (later || went_on) {
    stay_stale(slot_, "the witness says that node " + peer_name() + " went on without this node");
  }
}

// CANDIDATE

void RoleMachine::claim_takeover() {
  step_ = Step::claiming;
  candidacy_.claim = {settings_.cluster, candidacy_.epoch,      settings_.self,
                      settings_.self,    candidacy_.generation, false};
  hand_.want(candidacy_.claim);
}

/// Nothing else has the right by then, neither for the master that is silent nor by this node's promise.
bool RoleMachine::may_overrule() const {
  return now_.steady >= hand_.seen_since() + term_with_margin() && now_.steady >= promised_until_;
}

void RoleMachine::on_step_candidate(const Event&) {
  if (heard_ == WitnessHand::Heard::refused) return takeover_refused();
  if (heard_ != WitnessHand::Heard::written) return;
  if (step_ == Step::confirming) return finish_takeover();
  if (step_ != Step::claiming) return;
  if (candidacy_.over == Over::invited) return finish_invited();
  if (candidacy_.over == Over::drained) return finish_drained();
  begin_takeover();
}

/// A peer that has given way may have renewed once more before; else somebody is alive and was first.
void RoleMachine::takeover_refused() {
  const RoleRecord* role = witnessed();
  const bool same_master = role != nullptr && role->master == slot_.master && role->epoch == slot_.epoch &&
                           role->generation == slot_.lineage.generation;
  // A master that hands over may have gone on since, if its right had run out meanwhile. One that an operator
  // took out of the way has recorded so.
  const bool unchanged = candidacy_.over == Over::nobody ? role == nullptr || role->epoch < candidacy_.epoch
                                                         : same_master && role->sync;
  if (step_ == Step::claiming && candidacy_.cleared && unchanged) {
    return hand_.want(candidacy_.claim);
  }
  const bool still_joined = same_master && role->sync && slot_.eligible;
  stand_after_ = now_.steady + kStandAgain;
  // What this node has not recorded, it has never served: the record decides anew.
  const bool mine = role != nullptr && role->master == settings_.self;
  fall_back("the witness refused: node " + peer_name() + " is alive there, or was first",
            "see `pgtandem status` of both nodes");
  if (state_ == RoleState::standby && !still_joined && !mine) {
    stay_stale(slot_, "the witness refused the takeover: node " + peer_name() + " was first");
  }
}

// Active

void RoleMachine::on_renew(const Event&) {
  if (heard_ == WitnessHand::Heard::refused) return is_named() ? become_guest_host() : fence_by_witness();
  if (heard_ != WitnessHand::Heard::written) return;
  if (state_ == RoleState::degrading && step_ == Step::asking_peer) return go_alone();
  if (state_ == RoleState::alone && step_ == Step::recording) return complete_join();
  if (state_ == RoleState::draining && step_ == Step::naming_peer) return become_guest_host();
}

/// The compare-and-swap that names the other node was refused because that one has written it itself.
bool RoleMachine::is_named() {
  const RoleRecord* role = witnessed();
  return is_bound() && role != nullptr && role->master == other(settings_.self) &&
         role->epoch == handed_epoch_;
}

void RoleMachine::fence_by_witness() {
  const RoleRecord* role = witnessed();
  const Epoch epoch = role != nullptr ? role->epoch : 0;
  fence("the witness refused this master: its record is of epoch " + std::to_string(epoch) + ", master " +
        std::string(to_string(role != nullptr ? role->master : Node::none)));
  Slot next = slot_;
  next.highest_seen = std::max(next.highest_seen, epoch);
  next.clean = {};
  store(std::move(next));
}

/// R6: neither the witness nor the standby has been heard in time.
void RoleMachine::on_fence_by_time(const Event&) {
  fence("the right to be master has run out: neither the witness nor node " + peer_name() +
        " could be reached in time");
  Slot next = slot_;
  next.clean = {};
  if (next != slot_) store(std::move(next));
}

}  // namespace pgtandem
