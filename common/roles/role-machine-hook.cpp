/// R11: without a witness, a fencing hook that powers the other host off. Both nodes freeze when they lose
/// each other; the master's hook runs first, the standby's after hook_wait and a jitter; only "confirmed off"
/// unfreezes.
#include "common/roles/role-machine.h"

namespace pgtandem {
namespace {

/// Between two attempts of a master whose standby neither agrees nor can be powered off.
constexpr Milliseconds kHookAgain{1000};
/// The standby's jitter is a multiple of this, up to 255 times: two pairs on one power switch do not meet.
constexpr Milliseconds kJitter{8};

}  // namespace

/// Steady: when the silence of the other node is acted upon, if it lasts.
Milliseconds RoleMachine::silence_limit() const {
  if (state_ == RoleState::master) return peer_.silent_from + 2 * settings_.standby_timeout;
  const auto jitter = std::to_integer<int>(boot_.bytes[0]) * kJitter;
  return std::max(peer_.silent_from + settings_.hook_wait + jitter, stand_after_);
}

bool RoleMachine::watches_silence() const {
  const bool master = state_ == RoleState::master && slot_.sync && !stall_.on;
  // Its own record of the join is not enough (R3): the master may have given the join up, and gone on.
  // Without a witness only the master's word tells that it waits for this node.
  const bool standby = state_ == RoleState::standby && step_ == Step::none && peer_.report &&
                       is_joined_to(*peer_.report) && postmaster_ok_ && !stop_wanted_;
  return settings_.hook && !settings_.witness && (master || standby);
}

void RoleMachine::on_freeze(const Event&) {
  degrade("node " + peer_name() + " has fallen silent");
}

void RoleMachine::on_stand_by_hook(const Event&) {
  begin_candidacy({}, 0);
  enter(RoleState::candidate, "node " + peer_name() + " has fallen silent: its host is being powered off");
  run_hook();
}

void RoleMachine::run_hook() {
  step_ = Step::running_hook;
  deadline_.reset();
  awaited_ = ++last_ticket_;
  actions_.push_back(action::RunHook{awaited_});
}

void RoleMachine::on_step_hook(const Event& event) {
  if (step_ != Step::running_hook) return;
  if (done<event::HookConfirmed>(event) != nullptr) {
    tell(TellLevel::warning, "hook-confirmed", "host " + peer_name() + " is confirmed to be off");
    if (state_ == RoleState::degrading) return go_alone();
    candidacy_.epoch = next_epoch();
    return begin_takeover();
  }
  const auto* failed = done<event::HookFailed>(event);
  if (failed == nullptr) return;
  tell(TellLevel::error, "hook-failed",
       "the fencing hook did not confirm that host " + peer_name() + " is off: " + failed->why);
  if (state_ == RoleState::degrading) return ask_consent_later();
  stand_after_ = now_.steady + settings_.hook_wait;
  fall_back("the fencing hook did not confirm that host " + peer_name() + " is off: " + failed->why,
            "check the hook");
}

/// The standby neither agreed nor is off: outputs stay held, and it is asked again.
void RoleMachine::ask_consent_later() {
  step_ = Step::holding;
  awaited_ = asked_ = 0;
  deadline_ = now_.steady + kHookAgain;
}

void RoleMachine::on_degrade_again(const Event&) {
  if (step_ != Step::holding || !deadline_ || now_.steady < *deadline_) return;
  deadline_.reset();
  awaited_ = put_in_force();
}

}  // namespace pgtandem
