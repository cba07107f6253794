/// What people read: refusals, reasons, and the next command to type.
#include <cstdio>

#include "common/roles/role-machine.h"

namespace pgtandem {

std::string iso_time(Milliseconds wall) {
  using namespace std::chrono;
  const sys_seconds at{duration_cast<seconds>(wall)};
  const sys_days day = floor<days>(at);
  const year_month_day date{day};
  const hh_mm_ss time{at - day};
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", int(date.year()), unsigned(date.month()),
                unsigned(date.day()), int(time.hours().count()), int(time.minutes().count()),
                int(time.seconds().count()));
  return text;
}

std::string RoleMachine::silent_since() const {
  return peer_.report ? iso_time(peer_.heard_wall) : "unknown";
}

std::string RoleMachine::postmaster_refusal() const {
  std::string text = "the postmaster " + settings_.postmaster + " of node " + self_name() +
                     " does not answer" + (postmaster_why_.empty() ? "" : " (" + postmaster_why_ + ")") +
                     ": start it";
  if (settings_.has_peer && slot_.sync) text += ", or on host " + peer_name() + ": pgtandem promote";
  return text;
}

std::string RoleMachine::recover_refusal() const {
  if (found_ == SlotsFound::none) return "this node is not initialised: pgtandem init";
  if (found_ == SlotsFound::bad) return reason_ + ": pgtandem bootstrap from the other node";
  if (slot_.fenced) return "this node was fenced: pgtandem promote";
  if (unrelated_) return reason_ + ": pgtandem giveup on the node whose data may go";
  return "waiting for the other node or `pgtandem promote`";
}

/// For 57P03.
std::string RoleMachine::refusal() const {
  if (stopped_) return "the relay is stopping";
  switch (state_) {
    case RoleState::recover:
      return recover_refusal();
    case RoleState::stale:
    case RoleState::bootstrap:
    case RoleState::standby:
      return "no master is known at present: node " + peer_name() + " does not answer as one";
    case RoleState::master:
    case RoleState::alone:
      return postmaster_refusal();
    case RoleState::draining:
      return "the relay is stopping";
    case RoleState::fenced:
      return "node " + self_name() + " is no longer master: " + reason_;
    case RoleState::split:
      return "both nodes went on from a common state: the operator must name the copy to give up";
    default:
      return reason_;
  }
}

std::string RoleMachine::hint(Milliseconds steady) const {
  const std::string me = self_name();
  const std::string peer = peer_name();
  const bool silent = silent_for(steady) >= settings_.standby_timeout;
  if (!witness_flaw_.empty() && state_ != RoleState::split && state_ != RoleState::fenced)
    return "renew the witness (operations.md: witness-not-trusted)";
  switch (state_) {
    case RoleState::recover:
      if (found_ == SlotsFound::none) return "pgtandem init --master " + me;
      if (found_ == SlotsFound::bad) return "pgtandem bootstrap";
      if (unrelated_) return "pgtandem giveup, on the node whose data may go";
      if (slot_.fenced || silent) return "pgtandem promote, on the node that is to be master";
      return {};
    case RoleState::stale:
      return silent ? "start the relay of node " + peer : "pgtandem bootstrap";
    case RoleState::standby:
      if (!silent) return {};
      return "start host " + peer + (settings_.witness ? "" : ", or on host " + me + ": pgtandem promote");
    case RoleState::master:
      if (!postmaster_ok_) return "start the postmaster " + settings_.postmaster;
      return settings_.has_peer && silent ? "start the relay of node " + peer : "";
    case RoleState::alone:
      if (fork_alarm_) return "pgtandem giveup, on node " + peer + ", if its copy may go";
      if (!postmaster_ok_) return "start the postmaster " + settings_.postmaster;
      if (bootstrap_) return {};
      if (settings_.has_peer && silent)
        return "start the relay of node " + peer + ", then pgtandem bootstrap";
      return settings_.has_peer || settings_.standby_named ? "pgtandem bootstrap" : "";
    case RoleState::fenced:
      return storage_bad_ ? "make room in, or mend, " + settings_.state_dir : "";
    case RoleState::split:
      return "pgtandem giveup, on the node whose copy may go";
    default:
      return {};
  }
}

void RoleMachine::on_refuse(const Event& event) {
  const RequestId id = std::get<event::Ordered>(event).id;
  const std::string next = hint(now_.steady);
  answer_refused(
      id,
      "node " + self_name() + " cannot do that as " + std::string(to_string(state_)) + " (" + reason_ + ")",
      next.empty() ? "see `pgtandem status`" : next);
}

void RoleMachine::on_refuse_peer(const Event& event) {
  answer_peer(
      std::get<event::PeerAsked>(event).id, false,
      "node " + self_name() + " cannot do that as " + std::string(to_string(state_)) + " (" + reason_ + ")");
}

}  // namespace pgtandem
