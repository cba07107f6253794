/// The bootstrap's part of the roles: the master invites, the tool copies, and the join goes in the order of
/// R3.
#include <utility>

#include "common/base/crypto.h"
#include "common/roles/role-machine.h"

namespace pgtandem {

bool RoleMachine::accept_begin(const Event& event) {
  const auto& ordered = std::get<event::Ordered>(event);
  const auto& begin = std::get<command::BootstrapBegin>(ordered.command);
  const auto refuse = [&](std::string text, std::string what_to_do, unsigned status) {
    answer_refused(ordered.id, std::move(text), std::move(what_to_do), status);
    return false;
  };
  if (!begin.abort_clients) {
    return refuse("clients cannot stay connected during this bootstrap", "add --abort-clients", 400);
  }
  if (bootstrap_)
    return refuse("a bootstrap is under way already", "wait for it, or `pgtandem bootstrap --abort`", 409);
  if (stall_.on) return refuse("the relay has just stood still", "try again in a moment", 409);
  // A joined standby is not given up for a bootstrap that cannot begin.
  if (settings_.has_peer && slot_.sync && silent_for(now_.steady) >= settings_.standby_timeout) {
    return refuse("the relay of node " + peer_name() + " does not answer", "start it, then bootstrap again",
                  409);
  }
  if (!settings_.has_peer && !settings_.standby_named) {
    return refuse("this relay has no standby", "start it with --standby", 409);
  }
  bootstrap_.emplace();
  bootstrap_->begin = ordered.id;
  bootstrap_->lease = to_hex(new_uuid_().bytes);
  bootstrap_->tool = begin.tool;
  bootstrap_->phase = "begin";
  bootstrap_->since_wall = now_.wall;
  return true;
}

void RoleMachine::on_degrade_first(const Event& event) {
  if (accept_begin(event)) degrade("a bootstrap of the standby begins");
}

void RoleMachine::on_invite(const Event& event) {
  if (accept_begin(event)) invite();
}

void RoleMachine::invite() {
  step_ = Step::inviting;
  if (!settings_.has_peer) return load();
  const bool silent = silent_for(now_.steady) >= settings_.standby_timeout;
  ask(BootstrapTarget{}, settings_.standby_timeout + (silent ? Milliseconds{0} : settings_.takeover_timeout));
}

/// Clients go, and whatever their backends still execute is ended: else it could commit behind the dump's
/// back.
void RoleMachine::load() {
  step_ = Step::ending_sessions;
  update_grant();
  awaited_ =
      end_sessions(EndHow::at_once, Milliseconds{0}, "a bootstrap of the standby begins: connect again");
}

void RoleMachine::on_step_bootstrap(const Event& event) {
  if (step_stall(event) || !bootstrap_) return;
  const auto* answered = std::get_if<event::PeerAnswered>(&event);
  if (is_answer(asked_, event)) {
    asked_ = 0;
    if (answered != nullptr && answered->answer.ok) return step_ == Step::inviting ? load() : mirror();
    return drop_bootstrap("node " + peer_name() +
                          (answered != nullptr ? " refused: " + answered->answer.why : " does not answer"));
  }
  if (step_ == Step::ending_sessions && done<event::SessionsEnded>(event) != nullptr) {
    step_ = Step::clearing_backends;
    awaited_ = end_backends();
  } else if (const auto* ended = done<event::BackendsEnded>(event);
             ended != nullptr && step_ == Step::clearing_backends) {
    if (!ended->ok && settings_.has_peer) {
      return drop_bootstrap("it could not be seen that all statements on the master have ended: " +
                            ended->why_not);
    }
    step_ = Step::loading;
    bootstrap_->lease_until = now_.steady + kBootstrapLease;
    CommandAnswer answer;
    answer.ok = true;
    answer.text = "node " + self_name() + " waits for the bootstrap";
    answer.lease = bootstrap_->lease;
    answer.target = other(settings_.self);
    answer_command(std::exchange(bootstrap_->begin, 0), std::move(answer));
  } else if (step_ == Step::mirroring && done<event::InForce>(event) != nullptr) {
    if (!settings_.witness) return complete_join();
    step_ = Step::recording;
    RoleRecord role = role_of(slot_);
    role.sync = true;
    hand_.want(role);
  }
}

void RoleMachine::complete_join() {
  Slot next = slot_;
  next.sync = true;
  store(std::move(next));
  answer_done(bootstrap_->finish, "the standby is joined in epoch " + std::to_string(slot_.epoch));
  bootstrap_.reset();
  stale_reason_.clear();
  enter(RoleState::master, "the standby was bootstrapped and joined");
}

bool RoleMachine::holds_lease(RequestId id, const std::string& lease) {
  if (bootstrap_ && step_ == Step::loading && bootstrap_->lease == lease) return true;
  answer_refused(id, "this bootstrap is over, or was never begun", "begin it again: `pgtandem bootstrap`");
  return false;
}

void RoleMachine::on_note_progress(const Event& event) {
  const auto& ordered = std::get<event::Ordered>(event);
  const auto& progress = std::get<command::BootstrapProgress>(ordered.command);
  const bool ends =
      bootstrap_ && (step_ == Step::joining || step_ == Step::mirroring || step_ == Step::recording);
  if (ends && bootstrap_->lease == progress.lease) return answer_done(ordered.id, {});
  if (!holds_lease(ordered.id, progress.lease)) return;
  bootstrap_->phase = progress.phase;
  bootstrap_->text = progress.text;
  bootstrap_->bytes = progress.bytes;
  bootstrap_->total_bytes = progress.total_bytes;
  bootstrap_->lease_until = now_.steady + kBootstrapLease;
  answer_done(ordered.id, {});
}

/// R3: the standby records, then its matching replies are waited for, then sync=true is recorded.
void RoleMachine::on_finish_load(const Event& event) {
  const auto& ordered = std::get<event::Ordered>(event);
  if (!holds_lease(ordered.id, std::get<command::BootstrapFinish>(ordered.command).lease)) return;
  bootstrap_->finish = ordered.id;
  bootstrap_->phase = "join";
  step_ = Step::joining;
  if (!settings_.has_peer) return mirror();
  ask(Join{false, slot_.epoch, slot_.lineage.generation}, settings_.standby_timeout);
}

void RoleMachine::mirror() {
  step_ = Step::mirroring;
  awaited_ = put_in_force();
}

void RoleMachine::on_abort_load(const Event& event) {
  const auto& ordered = std::get<event::Ordered>(event);
  const auto& abort = std::get<command::BootstrapAbort>(ordered.command);
  if (!holds_lease(ordered.id, abort.lease)) return;
  drop_bootstrap("it was aborted: " + abort.reason);
  answer_done(ordered.id, "the bootstrap is aborted; the master serves on, alone");
}

void RoleMachine::on_check_lease(const Event&) {
  if (bootstrap_ && step_ == Step::loading && now_.steady >= bootstrap_->lease_until) {
    drop_bootstrap("its tool has been silent for " + std::to_string(kBootstrapLease.count() / 1000) + " s");
  }
}

/// The master goes on alone, the standby stays stale.
void RoleMachine::drop_bootstrap(const std::string& why) {
  if (step_ == Step::joining || step_ == Step::mirroring) {
    // The standby may have recorded this generation; what follows must be told apart from it.
    Slot next = slot_;
    next.lineage = slot_.lineage.next(new_uuid_());
    store(std::move(next));
  }
  end_bootstrap(why);
}

/// Without the new generation, for a master that does not go on: it takes one when it is master again.
void RoleMachine::end_bootstrap(const std::string& why) {
  const RequestId request = bootstrap_->begin != 0 ? bootstrap_->begin : bootstrap_->finish;
  bootstrap_.reset();
  asked_ = awaited_ = 0;
  step_ = Step::none;
  stale_reason_ = "a bootstrap did not end well: " + why;
  tell(TellLevel::warning, "bootstrap-failed", why);
  answer_refused(request, "the bootstrap has ended: " + why,
                 "the master serves on; bootstrap again when that is mended");
  if (settings_.has_peer) {
    actions_.push_back(action::AskPeer{++last_ticket_, BootstrapDropped{}, settings_.standby_timeout});
  }
}

std::string RoleMachine::objection_to_load(const NodeReport& master) const {
  if (!master.active() || master.epoch < slot_.epoch)
    return "the asking node is not the master of the latest epoch";
  if (found_ != SlotsFound::usable) return {};
  switch (kinship(master)) {
    case Kinship::theirs_older:
      return "the data of node " + self_name() + " is newer than the master's";
    case Kinship::forked:
    case Kinship::unrelated:
      return "the data of node " + self_name() + " is of another origin: `pgtandem giveup` on it first";
    default:
      return {};
  }
}

void RoleMachine::on_make_room(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const NodeReport& master = asked.request.report;
  if (const std::string why = objection_to_load(master); !why.empty())
    return answer_peer(asked.id, false, why);
  if (claims_at_witness()) return on_refuse_peer(event);
  if (step_ == Step::taking_leave || stop_wanted_)
    return answer_peer(asked.id, false, "the relay is stopping");
  if (init_request_ != 0) return answer_peer(asked.id, false, "an init is under way");
  if (clear_request_ != 0) answer_peer(std::exchange(clear_request_, 0), false, "asked again");
  Slot next = found_ == SlotsFound::usable ? slot_ : fresh_slot();
  adopt_record(next, master);
  next.eligible = false;
  next.clean = {};
  store(std::move(next));
  bad_note_.clear();
  enter(RoleState::bootstrap, "node " + peer_name() + " loads its data into this node");
  step_ = Step::clearing_backends;
  clear_request_ = asked.id;
  awaited_ = end_backends();
}

void RoleMachine::on_step_clear(const Event& event) {
  const auto* ended = done<event::BackendsEnded>(event);
  if (step_ != Step::clearing_backends || ended == nullptr) return;
  const RequestId request = std::exchange(clear_request_, 0);
  step_ = Step::none;
  if (ended->ok) return answer_peer(request, true, {});
  stay_stale(slot_, "its backends could not be ended for a bootstrap");
  answer_peer(
      request, false,
      "it could not be seen that all backends of node " + self_name() + " have ended: " + ended->why_not);
}

void RoleMachine::on_check_load(const Event&) {
  if (silent_for(now_.steady) < kBootstrapLease) return;
  stay_stale(slot_, "the master fell silent during a bootstrap");
}

void RoleMachine::on_check_loader(const Event&) {
  const NodeReport& master = *peer_.report;
  if (master.active() && master.bootstrapping && master.epoch == slot_.epoch) return;
  stay_stale(slot_, "the bootstrap has ended before its end");
}

void RoleMachine::on_take_join(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const auto& join = std::get<Join>(asked.request.body);
  const NodeReport& master = asked.request.report;
  const bool fits = !join.initial && master.active() && master.epoch == join.epoch &&
                    join.epoch >= slot_.epoch && master.lineage.generation == join.generation &&
                    step_ == Step::none;
  if (!fits) return on_refuse_peer(event);
  Slot next = slot_;
  adopt_record(next, master);
  next.lineage = master.lineage;
  next.sync = true;
  next.eligible = true;
  next.split = false;
  store(std::move(next));
  refuse_legs(slot_.epoch);
  stale_reason_.clear();
  enter(RoleState::standby, "bootstrapped from node " + peer_name());
  answer_peer(asked.id, true, {});
}

/// The answer to the first asking was lost.
void RoleMachine::on_join_again(const Event& event) {
  const auto& asked = std::get<event::PeerAsked>(event);
  const auto& join = std::get<Join>(asked.request.body);
  const bool same = join.epoch == slot_.epoch && join.generation == slot_.lineage.generation;
  if (same) return answer_peer(asked.id, true, {});
  // An init that is repeated, because its answer was lost, comes with a new generation.
  const bool init_again = join.initial && !asked.request.report.initialised &&
                          slot_.lineage.parents.empty() && slot_.promised_epoch == 0 &&
                          join.epoch >= slot_.epoch;
  if (!init_again) return on_refuse_peer(event);
  Slot next = slot_;
  next.epoch = join.epoch;
  next.lineage = {join.generation, {}};
  store(std::move(next));
  answer_peer(asked.id, true, {});
}

void RoleMachine::on_drop_load(const Event& event) {
  stay_stale(slot_, "the bootstrap was aborted");
  on_acknowledge(event);
}

void RoleMachine::on_acknowledge(const Event& event) {
  answer_peer(std::get<event::PeerAsked>(event).id, true, {});
}

}  // namespace pgtandem
