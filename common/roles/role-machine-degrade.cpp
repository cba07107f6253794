/// R2 and R10: losing the standby; the handshake after a stall (hard point 9); the own postmaster lost (R9).
#include <algorithm>
#include <utility>

#include "common/roles/role-machine.h"

namespace pgtandem {
namespace {

/// Where the other relay has already been silent for standby_timeout, it is still asked once, for this long:
/// enough for a relay that lives, and not another standby_timeout during which every client waits.
constexpr Milliseconds kLastAsk{200};

}  // namespace

/// Nothing of what R1 holds is released from here until go_alone() has recorded it.
void RoleMachine::degrade(std::string reason) {
  answer_leaving(false);
  stale_reason_ = reason;
  enter(RoleState::degrading, std::move(reason));
  step_ = Step::holding;
  awaited_ = put_in_force();
}

void RoleMachine::on_degrade(const Event& event) {
  if (is_bound()) return;  // the standby's legs are all there is
  degrade(std::get<event::StandbyFailed>(event).reason);
}

void RoleMachine::on_step_degrade(const Event& event) {
  if (step_ == Step::holding && done<event::InForce>(event) != nullptr) {
    if (!settings_.has_peer) return go_alone();
    step_ = Step::asking_peer;
    if (settings_.witness) {
      lone_generation_ = new_uuid_();
      RoleRecord role = role_of(slot_);
      role.generation = lone_generation_;
      role.sync = false;
      hand_.want(role);
    }
    const Milliseconds left = settings_.standby_timeout - silent_for(now_.steady);
    return ask(AgreeDegrade{slot_.epoch, slot_.lineage.generation}, std::max(left, kLastAsk));
  }
  if (step_ != Step::asking_peer || !is_answer(asked_, event)) return;
  // A higher epoch in the answer has fenced this node before we come here. A refusal without one (its disk is
  // full, say) says that it lives and is no master: then nothing speaks against going on.
  if (const auto* answered = std::get_if<event::PeerAnswered>(&event);
      answered != nullptr && !answered->answer.ok) {
    tell(TellLevel::warning, "peer-refused",
         "node " + peer_name() + " did not record that it is stale: " + answered->answer.why);
  }
  const auto* agreed = std::get_if<event::PeerAnswered>(&event);
  if ((settings_.witness || settings_.hook) && (agreed == nullptr || !agreed->answer.ok)) {
    asked_ = 0;
    if (settings_.witness) return;  // then its compare-and-swap, or nothing
    return agreed == nullptr ? run_hook() : ask_consent_later();
  }
  go_alone();
}

void RoleMachine::go_alone() {
  Slot next = slot_;
  next.sync = false;
  next.clean = {};
  const Uuid told = std::exchange(lone_generation_, Uuid{});
  next.lineage = slot_.lineage.next(told.is_none() ? new_uuid_() : told);
  store(std::move(next));
  suspect_ = false;
  enter(RoleState::alone, stale_reason_);
  if (stop_wanted_) return drain_to_stop();
  if (bootstrap_) invite();
}

void RoleMachine::on_ask_again(const Event&) {
  if (step_ == Step::running_hook) return;  // what is held is asked about again when it has ended
  asked_ = 0;
  deadline_.reset();
  step_ = Step::holding;  // put in force once more: a thread that stood still may not have seen it
  awaited_ = put_in_force();
}

void RoleMachine::on_agree(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const auto& body = std::get<AgreeDegrade>(asked.request.body);
  if (claims_at_witness()) return on_refuse_peer(event);
  if (slot_.epoch > body.epoch) {
    return answer_peer(asked.id, false,
                       "node " + self_name() + " knows the later epoch " + std::to_string(slot_.epoch));
  }
  const bool mine = slot_.eligible && slot_.lineage.generation == body.generation;
  if (mine) stay_stale(slot_, "node " + peer_name() + " goes on without this node");
  answer_peer(asked.id, true, {});
}

void RoleMachine::on_check_standby(const Event&) {
  const NodeReport& standby = *peer_.report;
  const bool fits = standby.initialised && standby.eligible && standby.epoch == slot_.epoch &&
                    kinship(standby) == Kinship::same &&
                    (standby.state == RoleState::standby || standby.state == RoleState::recover ||
                     standby.state == RoleState::candidate);
  if (!fits) {
    return degrade("node " + peer_name() + " says that it is " + std::string(to_string(standby.state)) +
                   " and not joined");
  }
  if (settings_.hand_over && !postmaster_ok_ && standby_can_take_over()) {
    hand_over("the postmaster of node " + self_name() + " is lost");
  }
}

void RoleMachine::on_check_joined(const Event&) {
  const NodeReport& master = *peer_.report;
  if (!master.initialised || take_up_offer(master)) return;
  const Kinship kin = kinship(master);
  // R3: this node has recorded that it is joined, and the master is about to.
  if (master.bootstrapping && master.epoch == slot_.epoch && kin == Kinship::same) return;
  if (master.active() ? !is_joined_to(master) : kin == Kinship::mine_older || kin == Kinship::forked) {
    if (master.active() && master.epoch < slot_.epoch) return;  // it fences itself
    stay_stale(slot_, "node " + peer_name() + " went on without this node");
  }
}

void RoleMachine::on_not_certain(const Event& event) {
  on_note_epoch(event);
  stay_stale(slot_, "a later epoch was seen that this node has no part in");
}

void RoleMachine::on_check_fork(const Event&) {
  const Kinship kin = kinship(*peer_.report);
  const bool forked = kin == Kinship::forked;
  const bool apart = forked || kin == Kinship::unrelated;
  if (apart && !fork_alarm_) {
    tell(TellLevel::error, forked ? "copies-forked" : "copies-unrelated",
         std::string(forked ? "both nodes went on from a common state"
                            : "the data of the two nodes have nothing in common") +
             "; node " + peer_name() + " holds writes that this master does not");
  }
  fork_alarm_ = apart;
}

/// After a stall nothing is released before the other node has been heard, or has not answered (hard point
/// 9).
void RoleMachine::on_check_peer(const Event&) {
  stall_ = {true, 0, 0};
  stall_.in_force = put_in_force();
}

/// True if the event was a step of the handshake after a stall.
bool RoleMachine::step_stall(const Event& event) {
  if (!stall_.on) return false;
  const auto* force = std::get_if<event::InForce>(&event);
  if (force != nullptr && stall_.in_force != 0 && force->ticket == stall_.in_force) {
    stall_.in_force = 0;
    if (!settings_.has_peer) {
      stall_ = {};
      return true;
    }
    stall_.hello = ++last_ticket_;
    actions_.push_back(action::AskPeer{stall_.hello, Hello{}, settings_.standby_timeout});
    return true;
  }
  if (!is_answer(stall_.hello, event)) return false;
  stall_ = {};
  const bool silent = std::holds_alternative<event::PeerSilent>(event);
  if (silent && slot_.sync && !is_bound())
    degrade("node " + peer_name() + " did not answer after this relay had stood still");
  return true;
}

void RoleMachine::on_step_check(const Event& event) {
  step_stall(event);
}

void RoleMachine::on_check_failed(const Event& event) {
  step_stall(event);
}

/// Only new frontends are held: whether sessions live on is for their own legs to tell. (Later the standby's
/// legs take over here, hard point 10.)
void RoleMachine::on_hold_frontends(const Event&) {
  if (settings_.hand_over && state_ == RoleState::master && standby_can_take_over()) {
    return hand_over("the postmaster of node " + self_name() + " is lost: " + postmaster_why_);
  }
  tell(TellLevel::error, "postmaster-lost", postmaster_refusal());
}

/// R9: either server may have committed what the other has not. While the postmaster is away the standby
/// still has all that was acknowledged and may be promoted; it is stale when this node serves again.
void RoleMachine::on_doubt(const Event& event) {
  suspect_ = true;
  stale_reason_ = std::get<event::CopiesMayDiffer>(event).why;
  if (postmaster_ok_) on_verify_standby(event);
}

void RoleMachine::on_verify_standby(const Event&) {
  if (suspect_ && state_ == RoleState::master) degrade("the two copies may differ (R9): " + stale_reason_);
}

}  // namespace pgtandem
