/// RECOVER and what leads out of it; the promise; STALE and SPLIT. A start has no authority (R0): it comes
/// from the other node's promise, from the operator, or not at all.
#include <algorithm>

#include "common/roles/role-machine.h"

namespace pgtandem {

void RoleMachine::on_begin(const Event& event) {
  if (begun_) return;
  begun_ = true;
  LoadedSlots slots = std::get<event::Start>(event).slots;
  peer_.silent_from = now_.steady;
  if (slots.found == SlotsFound::usable &&
      (slots.slot.cluster != settings_.cluster || slots.slot.node != settings_.self)) {
    slots.found = SlotsFound::bad;
    slots.note = "the state files belong to node " + std::string(to_string(slots.slot.node)) + " of pair " +
                 to_string(slots.slot.cluster);
  }
  found_ = slots.found;
  bad_note_ = slots.note;
  if (!bad_note_.empty()) tell(TellLevel::warning, "state-file-flaw", settings_.state_dir + ": " + bad_note_);
  switch (found_) {
    case SlotsFound::usable:
      slot_ = before_ = slots.slot;
      found_before_ = found_;
      return begin_usable();
    case SlotsFound::bad:
      set_reason("the state files in " + settings_.state_dir + " are damaged: this node has no authority");
      return;
    case SlotsFound::none:
      set_reason("this node is not initialised");
      if (!settings_.has_peer) begin_without_peer();
      return;
  }
}

void RoleMachine::begin_usable() {
  was_clean_ = slot_.clean;
  if (settings_.witness) hand_.begin(slot_.witness, slot_.witness_revision);
  Slot next = slot_;
  next.clean = {};  // counts for this start alone, and only if nothing goes wrong in it
  store(std::move(next));
  refuse_legs(slot_.epoch);
  if (slot_.split) return become_split("both copies had gone on when this node stopped");
  set_reason("waiting for node " + peer_name());
  if (!settings_.has_peer) begin_without_peer();
}

/// Flags-only mode: nobody to ask, master at start.
void RoleMachine::begin_without_peer() {
  if (found_ == SlotsFound::bad) return;
  if (found_ == SlotsFound::none) {
    Slot first = fresh_slot();
    first.epoch = 1;
    first.master = first.data_node = settings_.self;
    first.lineage = {new_uuid_(), {}};
    first.sync = settings_.standby_named;
    first.eligible = true;
    store(std::move(first));
    return settings_.standby_named
               ? enter(RoleState::master, "first start: the standby is taken as equal by the operator's word")
               : enter(RoleState::alone, "first start, without a standby");
  }
  if (slot_.fenced) return set_reason("fenced by the operator");
  const bool clean =
      slot_.sync && slot_.eligible && was_clean_ == slot_.lineage.generation && settings_.standby_named;
  take_up(next_epoch(), clean, slot_.sync && !clean,
          clean ? "restarted in order, the standby is still joined"
                : "restarted; whether the standby is equal is not known");
}

void RoleMachine::on_decide(const Event&) {
  const NodeReport& peer = *peer_.report;
  if (!begun_ || step_ != Step::none || !peer.initialised) return;
  if (found_ == SlotsFound::bad) return;
  if (found_ == SlotsFound::none) {
    if (!peer.active()) return;
    return stay_stale(fresh_slot(), "this node has never been loaded");
  }
  const Kinship kin = kinship(peer);
  unrelated_ = kin == Kinship::unrelated;
  if (kin == Kinship::forked) return become_split("both nodes went on from a common state of the data");
  if (unrelated_) {
    return set_reason("its data and that of node " + peer_name() + " have nothing in common");
  }
  return peer.active() ? decide_with_active(peer) : decide_with_idle(peer);
}

void RoleMachine::decide_with_active(const NodeReport& peer) {
  // An active node of a lower epoch fences itself as soon as it hears of ours; a degrading one will ask.
  if (peer.epoch < slot_.epoch || peer.state == RoleState::degrading) return;
  if (is_joined_to(peer))
    return become_standby("node " + peer_name() + " is master and never went on without this node");
  if (kinship(peer) == Kinship::theirs_older) {
    return become_split("this node went on, and node " + peer_name() + " is master without that");
  }
  stay_stale(slot_, "node " + peer_name() + " is master and went on without this node");
}

void RoleMachine::decide_with_idle(const NodeReport& peer) {
  if (may_claim(peer)) return now_.steady < yield_until_ ? void() : claim(peer);
  if (slot_.fenced) return set_reason("this node was fenced");
  set_reason("node " + peer_name() + " is " + std::string(to_string(peer.state)) +
             "; waiting for it to become master");
}

/// The record names this node, and the other one neither has a better claim nor newer data.
bool RoleMachine::may_claim(const NodeReport& peer) const {
  const Kinship kin = kinship(peer);
  const bool peer_can_promise = peer.state == RoleState::recover || peer.state == RoleState::stale ||
                                peer.state == RoleState::standby || peer.state == RoleState::bootstrap;
  const bool peer_claims =
      peer.master == peer.node && peer.epoch > slot_.epoch && !peer.lineage.generation.is_none();
  return peer_can_promise && !peer_claims && slot_.master == settings_.self && slot_.eligible &&
         !slot_.fenced &&
         (kin == Kinship::same || kin == Kinship::theirs_older || kin == Kinship::theirs_none);
}

bool RoleMachine::is_joined_to(const NodeReport& master) const {
  return slot_.eligible && master.sync && master.epoch == slot_.epoch && slot_.master == master.node &&
         kinship(master) == Kinship::same;
}

void RoleMachine::become_standby(std::string reason) {
  Slot next = slot_;
  next.fenced = false;
  next.split = false;
  next.clean = {};
  store(std::move(next));
  refuse_legs(slot_.epoch);
  stale_reason_.clear();
  enter(RoleState::standby, std::move(reason));
}

void RoleMachine::become_split(std::string reason) {
  Slot next = slot_;
  next.split = true;
  store(std::move(next));
  enter(RoleState::split, std::move(reason));
}

void RoleMachine::claim(const NodeReport&) {
  const bool clean = slot_.sync && was_clean_ == slot_.lineage.generation;
  // The witness arbitrates; the other node's promise is of use only where it stays joined, or where the pair
  // is new to the witness.
  if (settings_.witness) {
    const RoleRecord* role = witnessed();
    const bool mine = role != nullptr ? names_me(*role) && clean : hand_.trusted() && slot_.witness.is_none();
    if (!mine || !postmaster_ok_ || now_.steady < promised_until_) return;
  }
  step_ = Step::asking_promise;
  claimed_ = next_epoch();
  ask(AskPromise{claimed_, clean ? was_clean_ : Uuid{}, false, false}, settings_.standby_timeout);
}

void RoleMachine::on_step_claim(const Event& event) {
  if (step_yielded(event)) return;
  if (!is_answer(asked_, event)) return;
  asked_ = 0;
  const Step step = std::exchange(step_, Step::none);
  const auto* answered = std::get_if<event::PeerAnswered>(&event);
  if (step == Step::asking_first_join) {
    const RequestId request = std::exchange(init_request_, 0);
    if (answered == nullptr || !answered->answer.ok) {
      return answer_refused(
          request,
          "node " + peer_name() + " could not be joined: " +
              (answered != nullptr ? answered->answer.why : "its relay does not answer"),
          "start its relay and repeat `pgtandem init`, or leave out --standby-is-equal and run "
          "`pgtandem bootstrap` later");
    }
    Slot first = fresh_slot();
    first.epoch = claimed_;
    first.master = first.data_node = settings_.self;
    first.lineage = {candidacy_.generation, {}};
    first.sync = first.eligible = true;
    return begin_claim({std::move(first), RoleState::master,
                        "initialised; the standby is taken as equal by the operator's word", request,
                        "node " + self_name() + " is master of epoch " + std::to_string(claimed_) +
                            ", node " + peer_name() + " is taken as equal by the operator's word"});
  }
  if (answered == nullptr || !answered->answer.ok) {
    // Asked again at the next heartbeat.
    if (answered != nullptr) set_reason("node " + peer_name() + " made no promise: " + answered->answer.why);
    return;
  }
  const bool clean = answered->answer.clean;
  const bool may_be_shared =
      slot_.sync || answered->answer.report.lineage.generation == slot_.lineage.generation;
  take_up(claimed_, clean, !clean && may_be_shared,
          clean
              ? "both nodes had stopped in order and are still joined"
              : "restarted, with the promise of node " + peer_name() + "; the standby must be bootstrapped");
}

/// The start of an epoch of this node. `new_generation` wherever the other node may hold the present one.
void RoleMachine::take_up(Epoch epoch, bool clean, bool new_generation, std::string reason) {
  Slot next = slot_;
  next.epoch = epoch;
  next.master = next.data_node = settings_.self;
  next.sync = clean;
  next.eligible = true;
  next.fenced = next.split = false;
  next.clean = {};
  if (new_generation) next.lineage = slot_.lineage.next(new_uuid_());
  begin_claim({std::move(next), clean ? RoleState::master : RoleState::alone, std::move(reason), 0, {}});
}

std::string RoleMachine::objection_to(const AskPromise& ask, const NodeReport& asker) const {
  if (claims_at_witness()) return "node " + self_name() + " is claiming an epoch at the witness";
  if (found_ != SlotsFound::usable) {
    return ask.by_operator ? "" : "node " + self_name() + " has no usable state and knows no history";
  }
  const bool repeated = slot_.promised_epoch == ask.epoch && slot_.promised_to == asker.node;
  if (ask.epoch <= slot_.highest_seen && !repeated) {
    return "epoch " + std::to_string(slot_.highest_seen) + " has been seen already";
  }
  const bool overruled = ask.by_operator && ask.data_may_be_old;
  switch (kinship(asker)) {
    case Kinship::forked:
      return "both nodes went on from a common state: one copy must be given up first";
    case Kinship::theirs_older:
    case Kinship::theirs_none:
    case Kinship::unrelated:
      if (!overruled) return "the data of node " + self_name() + " is newer, or of another origin";
      break;
    default:
      break;
  }
  if (slot_.master == settings_.self && slot_.epoch > asker.epoch && !overruled) {
    return "node " + self_name() + " was master of the later epoch " + std::to_string(slot_.epoch);
  }
  return {};
}

void RoleMachine::on_promise(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const auto& body = std::get<AskPromise>(asked.request.body);
  const NodeReport& asker = asked.request.report;
  if (const std::string why = objection_to(body, asker); !why.empty())
    return answer_peer(asked.id, false, why);
  Slot next = found_ == SlotsFound::usable ? slot_ : fresh_slot();
  const bool same_data = slot_.eligible && !body.clean.is_none() && slot_.lineage.generation == body.clean &&
                         asker.lineage.generation == body.clean;
  // The answer to the first asking may have been lost: the same asker, in the same life, gets the same
  // answer.
  const bool repeated = state_ == RoleState::standby && slot_.promised_epoch == body.epoch &&
                        slot_.promised_to == asker.node && slot_.epoch == body.epoch;
  const bool clean =
      same_data && (repeated || (slot_.epoch == asker.epoch && clean_generation() == body.clean));
  next.highest_seen = std::max(next.highest_seen, body.epoch);
  next.promised_epoch = body.epoch;
  next.promised_to = asker.node;
  if (clean) {
    next.epoch = body.epoch;
    next.master = next.data_node = asker.node;
    next.sync = true;
    next.fenced = false;
    next.clean = {};
    store(std::move(next));
    refuse_legs(body.epoch);
    stale_reason_.clear();
    enter(RoleState::standby, "both nodes had stopped in order; node " + peer_name() + " is master again");
  } else {
    stay_stale(std::move(next),
               "node " + peer_name() + " goes on alone in epoch " + std::to_string(body.epoch));
  }
  answer_peer(asked.id, true, {}, clean);
}

void RoleMachine::on_follow(const Event&) {
  const NodeReport& peer = *peer_.report;
  if (!peer.active() || peer.epoch < slot_.epoch) return;
  if (peer.epoch != slot_.epoch) end_guests();
  Slot next = slot_;
  adopt_record(next, peer);
  if (next != slot_) store(std::move(next));
}

void RoleMachine::on_check_given_up(const Event&) {
  if (!peer_.report->initialised || kinship(*peer_.report) == Kinship::forked) return;
  Slot next = slot_;
  next.split = false;
  next.fenced = false;  // the operator has decided for this copy
  store(std::move(next));
  enter(RoleState::recover, "node " + peer_name() + " gave its copy up");
}

void RoleMachine::on_give_up(const Event& event) {
  if ((state_ != RoleState::split && !unrelated_) || step_ == Step::claiming) return on_refuse(event);
  Slot next = slot_;
  next.lineage = {};
  next.master = next.data_node = other(settings_.self);
  next.sync = false;
  unrelated_ = false;
  stay_stale(std::move(next), "the operator gave this copy up");
  answer_done(std::get<event::Ordered>(event).id,
              "the copy of node " + self_name() + " is given up; load it anew with `pgtandem bootstrap`");
}

void RoleMachine::on_init(const Event& event) {
  const auto& ordered = std::get<event::Ordered>(event);
  const auto& init = std::get<command::Init>(ordered.command);
  if (found_ == SlotsFound::bad || !settings_.has_peer || !begun_) return on_refuse(event);
  if (found_ == SlotsFound::usable) {
    return answer_refused(ordered.id, "node " + self_name() + " is initialised already",
                          "see `pgtandem status`");
  }
  if (init.master != settings_.self) {
    return answer_refused(ordered.id, "this is node " + self_name() + ", not the master-to-be",
                          "give the command to node " + peer_name());
  }
  if (step_ != Step::none) return answer_refused(ordered.id, "an init is under way already", "wait for it");
  if (peer_.report && peer_.report->initialised) {
    return answer_refused(ordered.id,
                          "node " + peer_name() + " holds state of epoch " +
                              std::to_string(peer_.report->epoch) + ", so this is no first start",
                          "make node " + peer_name() + " master, then `pgtandem bootstrap` onto this one");
  }
  if (settings_.witness && (!hand_.trusted() || hand_.record())) {
    return answer_refused(
        ordered.id,
        hand_.trusted() ? "the witness holds a record of this pair, so this is no first start"
                        : "the witness does not answer as it should",
        hand_.trusted() ? "make the node that it names master" : "mend it, then repeat the command");
  }
  claimed_ = next_epoch();
  if (init.standby_is_equal) {
    candidacy_.generation = new_uuid_();
    init_request_ = ordered.id;
    step_ = Step::asking_first_join;
    return ask(Join{true, claimed_, candidacy_.generation}, settings_.standby_timeout);
  }
  Slot first = fresh_slot();
  first.lineage = {};
  slot_ = std::move(first);
  const std::string done = "node " + self_name() + " is master of epoch " + std::to_string(claimed_);
  take_up(claimed_, false, true, "initialised; the standby must be bootstrapped");
  if (step_ != Step::claiming) return answer_done(ordered.id, done);
  claim_.request = ordered.id;
  claim_.done = done;
}

void RoleMachine::on_first_join(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const auto& join = std::get<Join>(asked.request.body);
  if (!join.initial || found_ != SlotsFound::none || !begun_ || step_ != Step::none)
    return on_refuse_peer(event);
  Slot first = fresh_slot();
  first.epoch = join.epoch;
  first.master = first.data_node = asked.request.report.node;
  first.lineage = {join.generation, {}};
  first.sync = first.eligible = true;
  store(std::move(first));
  enter(RoleState::standby, "initialised; taken as equal by the operator's word");
  answer_peer(asked.id, true, {});
}

/// Only from a signed record: reports are noted with their arrival.
void RoleMachine::on_note_epoch(const Event& event) {
  const auto* seen = std::get_if<event::RecordSeen>(&event);
  if (seen == nullptr || found_ != SlotsFound::usable) return;
  Slot next = slot_;
  next.highest_seen = std::max(next.highest_seen, seen->record.epoch);
  store(std::move(next));
}

Slot RoleMachine::fresh_slot() const {
  Slot slot;
  slot.cluster = settings_.cluster;
  slot.node = settings_.self;
  if (peer_.report) slot.highest_seen = std::max(peer_.report->epoch, peer_.report->highest_seen);
  return slot;
}

/// The role as its master tells it; the lineage stays that of the data here.
void RoleMachine::adopt_record(Slot& next, const NodeReport& master) const {
  if (master.epoch < next.epoch) return;
  next.epoch = master.epoch;
  next.master = master.master;
  next.data_node = master.data_node;
  next.sync = master.sync;
  next.fenced = false;
}

}  // namespace pgtandem
