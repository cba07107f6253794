/// R7: out of the way of a higher epoch, of an operator's order, or because the state cannot be written any
/// more.
#include <algorithm>
#include <utility>

#include "common/roles/role-machine.h"

namespace pgtandem {
namespace {

/// How often a state folder that refused a write is tried again.
constexpr Milliseconds kWriteAgain{1000};

}  // namespace

/// Frontends first, then the record: what is acknowledged must stop even if the disk does not answer.
void RoleMachine::fence(std::string reason) {
  if (bootstrap_) end_bootstrap("the master was fenced: " + reason);
  answer_leaving(false);
  enter(RoleState::fenced, std::move(reason));
  update_grant();
  end_sessions_of_fenced();
}

void RoleMachine::end_sessions_of_fenced() {
  step_ = Step::ending_sessions;
  awaited_ = end_sessions(EndHow::at_once, Milliseconds{0}, "this node is no longer master: " + reason_);
}

void RoleMachine::on_fence_by_epoch(const Event& event) {
  const auto& report = peer_.report;
  const auto* const seen = std::get_if<event::RecordSeen>(&event);
  // The other node has done what it was asked for: it says so itself, or a forwarder was faster.
  const bool told = report && report->active() && report->epoch == handed_epoch_;
  const bool carried =
      seen != nullptr && seen->record.epoch == handed_epoch_ && seen->record.master == other(settings_.self);
  if (is_bound() && (told || carried)) return become_guest_host();
  Epoch epoch = 0;
  if (seen != nullptr) epoch = seen->record.epoch;
  if (peer_.report) epoch = std::max({epoch, peer_.report->epoch, peer_.report->highest_seen});
  fence("epoch " + std::to_string(epoch) + " was seen, above epoch " + std::to_string(slot_.epoch) +
        " of this master");
  Slot next = slot_;
  next.highest_seen = std::max(next.highest_seen, epoch);
  next.fenced = true;
  next.clean = {};
  store(std::move(next));
}

void RoleMachine::on_fence_by_order(const Event& event) {
  if (fence_order_ != 0) return on_already_out(event);
  fence_order_ = std::get<event::Ordered>(event).id;
  fence("fenced by the operator");
  Slot next = slot_;
  next.fenced = true;
  next.clean = {};
  store(std::move(next));
}

void RoleMachine::on_already_out(const Event& event) {
  answer_done(std::get<event::Ordered>(event).id,
              "node " + self_name() + " serves nobody: it is " + std::string(to_string(state_)));
}

void RoleMachine::on_fence_unwritable(const Event& event) {
  const std::string why = "the state cannot be written: " + std::get<event::StoreFailed>(event).why;
  const std::string mend = "make room in, or mend, " + settings_.state_dir;
  answer_refused(std::exchange(candidacy_.request, 0), why, mend, 500);
  answer_refused(std::exchange(init_request_, 0), why, mend, 500);
  if (state_ != RoleState::fenced) {
    if (is_active(state_)) {
      fence(why);
    } else {
      enter(RoleState::fenced, why);
    }
  } else if (!writing_again_ && (step_ == Step::ending_sessions || step_ == Step::clearing_backends)) {
    // What it waits for may have been in the dropped part.
    end_sessions_of_fenced();
  }
  writing_again_ = false;
  // Requests whose answers were in the dropped part have been answered by the driver.
  set_reason(why);
  storage_bad_ = true;
  deadline_ = now_.steady + kWriteAgain;
}

void RoleMachine::on_write_again(const Event&) {
  if (!deadline_ || now_.steady < *deadline_) return;
  deadline_.reset();
  if (storage_bad_ && found_ == SlotsFound::usable) {
    storage_bad_ = false;
    writing_again_ = true;
    store(slot_);
    deadline_ = now_.steady;  // looked at again at once: by then a failure would have been told
    return;
  }
  storage_bad_ = writing_again_ = false;
  if (step_ == Step::none) fence_done();
}

void RoleMachine::on_step_fence(const Event& event) {
  if (step_ == Step::ending_sessions && done<event::SessionsEnded>(event) != nullptr) {
    step_ = Step::clearing_backends;
    awaited_ = end_backends();
    return;
  }
  const auto* ended = done<event::BackendsEnded>(event);
  if (ended == nullptr || step_ != Step::clearing_backends) return;
  awaited_ = 0;
  // Whatever still runs on this node's postmaster is acknowledged to nobody, and this data is replaced before
  // it counts again: so a postmaster that cannot be asked does not keep the other node waiting.
  if (!ended->ok) tell(TellLevel::warning, "backends-not-seen-to-end", ended->why_not);
  step_ = Step::none;
  if (!storage_bad_) return fence_done();
  answer_fenced();
  if (const RequestId id = std::exchange(fence_order_, 0); id != 0) {
    answer_refused(
        id, "the sessions of node " + self_name() + " are ended, but " + reason_,
        "make room in, or mend, " + settings_.state_dir + ": until then the fence does not outlive a restart",
        500);
  }
}

void RoleMachine::fence_done() {
  const std::string reason = slot_.fenced ? "this node was fenced" : "the state folder can be written again";
  enter(RoleState::recover, reason);
  answer_fenced();
  if (const RequestId id = std::exchange(fence_order_, 0); id != 0) {
    answer_done(id, "node " + self_name() +
                        " is fenced and its sessions are ended; `pgtandem promote` on either "
                        "node makes it master");
  }
  if (!settings_.has_peer) begin_without_peer();
}

/// A standby that an operator promotes asks for the way to be cleared. Only a joined one may: otherwise the
/// copy that counts would be taken out of service for one that does not.
void RoleMachine::on_yield(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const RoleRecord& claim = std::get<FenceYourself>(asked.request.body).claim;
  const NodeReport& asker = asked.request.report;
  const bool joined_asker = slot_.sync && asker.eligible && kinship(asker) == Kinship::same;
  if (!joined_asker || claim.epoch <= slot_.epoch || claim.master != asker.node) return on_refuse_peer(event);
  fence_requests_.push_back(asked.id);
  fence("node " + peer_name() + " is being promoted to epoch " + std::to_string(claim.epoch));
  Slot next = slot_;
  next.highest_seen = std::max(next.highest_seen, claim.epoch);
  next.fenced = true;
  next.clean = {};
  store(std::move(next));
}

/// The copy that counts must not be taken out of service for one that does not.
bool RoleMachine::may_fence(const NodeReport& asker) const {
  const Kinship kin = kinship(asker);
  return kin == Kinship::same || kin == Kinship::mine_older || kin == Kinship::mine_none;
}

void RoleMachine::on_confirm(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const RoleRecord& claim = std::get<FenceYourself>(asked.request.body).claim;
  if (!may_fence(asked.request.report) || claim.epoch <= slot_.epoch || claims_at_witness()) {
    return on_refuse_peer(event);
  }
  if (found_ == SlotsFound::usable) {
    Slot next = slot_;
    next.highest_seen = std::max(next.highest_seen, claim.epoch);
    if (state_ == RoleState::recover) next.fenced = true;
    if (state_ == RoleState::standby || state_ == RoleState::bootstrap) {
      stay_stale(std::move(next), "node " + peer_name() + " is being promoted");
    } else {
      store(std::move(next));
    }
  }
  answer_peer(asked.id, true, {});
}

void RoleMachine::on_confirm_when_done(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const RoleRecord& claim = std::get<FenceYourself>(asked.request.body).claim;
  if (found_ != SlotsFound::usable || !may_fence(asked.request.report)) return on_refuse_peer(event);
  Slot next = slot_;
  next.highest_seen = std::max(next.highest_seen, claim.epoch);
  next.fenced = true;
  if (storage_bad_) {
    slot_ = std::move(next);  // goes with the next attempt to write
  } else {
    store(std::move(next));
  }
  fence_requests_.push_back(asked.id);
  if (step_ == Step::none) answer_fenced();
}

/// Nothing is acknowledged here any more. That holds without a record of it too: a restart has no authority
/// (R0).
void RoleMachine::answer_fenced() {
  for (const RequestId id : fence_requests_) answer_peer(id, true, {});
  fence_requests_.clear();
}

}  // namespace pgtandem
