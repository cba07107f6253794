/// Clean stops (hard point 11): what makes a restart of a relay cost no bootstrap.
#include <utility>

#include "common/roles/role-machine.h"

namespace pgtandem {

void RoleMachine::leave() {
  stop_wanted_ = true;
  if (stopped_) return;
  stopped_ = true;
  step_ = Step::stopped;
  if (candidacy_.request != 0) {
    answer_refused(std::exchange(candidacy_.request, 0), "the relay is stopping",
                   "start it, then promote again");
  }
  if (init_request_ != 0) {
    answer_refused(std::exchange(init_request_, 0), "the relay is stopping",
                   "start it, then repeat the command");
  }
  if (fence_order_ != 0) answer_done(std::exchange(fence_order_, 0), "the relay is stopping");
  if (clear_request_ != 0) answer_peer(std::exchange(clear_request_, 0), false, "the relay is stopping");
  for (const RequestId id : fence_requests_) answer_peer(id, false, "the relay is stopping");
  fence_requests_.clear();
  actions_.push_back(action::Stopped{});
}

void RoleMachine::on_leave(const Event&) {
  stop_wanted_ = true;
}

void RoleMachine::on_stop_later(const Event&) {
  stop_wanted_ = true;
}

/// A standby asks its master to pause, so that nothing is missed while it is away.
void RoleMachine::on_ask_leave(const Event&) {
  stop_wanted_ = true;
  if (step_ == Step::taking_leave || silent_for(now_.steady) >= 2 * settings_.standby_timeout) return;
  step_ = Step::taking_leave;
  ask(Leaving{false}, settings_.stop_timeout + settings_.standby_timeout);
}

void RoleMachine::on_step_leave(const Event& event) {
  if (step_ != Step::taking_leave || !is_answer(asked_, event)) return;
  step_ = Step::none;
  const auto* answered = std::get_if<event::PeerAnswered>(&event);
  if (answered == nullptr || !answered->answer.ok || !answered->answer.clean) return;
  Slot next = slot_;
  next.clean = slot_.lineage.generation;
  store(std::move(next));
}

void RoleMachine::on_drain(const Event&) {
  stop_wanted_ = true;
  if (state_ == RoleState::draining && (drain_for_ == DrainFor::stop || is_bound())) return;
  drain_to_stop();
}

void RoleMachine::drain_to_stop() {
  if (bootstrap_) end_bootstrap("the master's relay is stopping");
  drain_for_ = DrainFor::stop;
  enter(RoleState::draining, "the relay is stopping");
  step_ = Step::ending_sessions;
  awaited_ = end_sessions(EndHow::when_idle, settings_.stop_timeout, "the relay is stopping");
}

void RoleMachine::on_drain_for_peer(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  if (!slot_.sync || kinship(asked.request.report) != Kinship::same) return on_not_joined(event);
  leaving_request_ = asked.id;
  left_boot_ = asked.request.report.boot;
  drain_for_ = DrainFor::peer;
  enter(RoleState::draining, "the standby's relay restarts; new sessions wait for it");
  step_ = Step::ending_sessions;
  awaited_ =
      end_sessions(EndHow::when_idle, settings_.stop_timeout, "the standby's relay restarts: connect again");
}

void RoleMachine::on_stop_together(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  if (drain_for_ == DrainFor::hand_over || drain_for_ == DrainFor::switchover) return on_not_joined(event);
  if (step_ != Step::ending_sessions) return answer_peer(asked.id, true, {}, !slot_.clean.is_none());
  answer_leaving(false);  // an earlier asking, whose asker no longer waits
  leaving_request_ = asked.id;
  left_boot_ = asked.request.report.boot;
}

void RoleMachine::on_step_drain(const Event& event) {
  if (step_stall(event) || step_switch(event)) return;
  if (const auto* ended = done<event::SessionsEnded>(event);
      ended != nullptr && step_ == Step::ending_sessions) {
    awaited_ = 0;
    return drained(ended->all_matched);
  }
  if (step_ == Step::telling_peer && is_answer(asked_, event)) leave();
}

void RoleMachine::drained(bool all_matched) {
  const bool clean = all_matched && slot_.sync && !suspect_;
  if (drain_for_ == DrainFor::peer) {
    if (!clean) return degrade("the standby's relay stopped while statements were open");
    answer_leaving(true);
    step_ = Step::awaiting_return;
    deadline_ = now_.steady + settings_.standby_timeout;
    return;
  }
  if (clean) {
    Slot next = slot_;
    next.clean = slot_.lineage.generation;
    store(std::move(next));
  }
  answer_leaving(clean);
  if (!clean || !settings_.has_peer) return leave();
  step_ = Step::telling_peer;
  ask(Leaving{true}, settings_.standby_timeout);
}

void RoleMachine::on_check_return(const Event&) {
  if (step_ != Step::awaiting_return || !deadline_ || now_.steady < *deadline_) return;
  degrade("the standby's relay did not come back in time");
}

void RoleMachine::on_await_return(const Event&) {
  const NodeReport& standby = *peer_.report;
  if (step_ != Step::awaiting_return || standby.boot == left_boot_ || standby.state == RoleState::recover)
    return;
  const bool back = standby.state == RoleState::standby && standby.eligible && standby.epoch == slot_.epoch &&
                    kinship(standby) == Kinship::same;
  if (!back) return degrade("the standby's relay came back without its place");
  enter(RoleState::master, "the standby is back");
}

void RoleMachine::on_record_clean(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const bool clean = std::get<Leaving>(asked.request.body).clean && is_joined_to(asked.request.report);
  if (clean) {
    Slot next = slot_;
    next.clean = slot_.lineage.generation;
    store(std::move(next));
  }
  answer_peer(asked.id, true, {}, clean);
}

void RoleMachine::on_not_joined(const Event& event) {
  answer_peer(std::get<event::PeerAsked>(event).id, true, {});
}

void RoleMachine::answer_leaving(bool clean) {
  if (leaving_request_ != 0) answer_peer(std::exchange(leaving_request_, 0), true, {}, clean);
}

}  // namespace pgtandem
