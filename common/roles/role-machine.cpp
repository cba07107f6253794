#include "common/roles/role-machine.h"

#include <algorithm>
#include <array>

namespace pgtandem {
namespace {

TellLevel level_of(RoleState state) {
  switch (state) {
    case RoleState::stale:
    case RoleState::degrading:
    case RoleState::alone:
    case RoleState::fenced:
      return TellLevel::warning;
    case RoleState::split:
      return TellLevel::error;
    default:
      return TellLevel::info;
  }
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return out;
}

}  // namespace

RoleMachine::RoleMachine(MachineSettings settings, std::function<Uuid()> new_uuid)
    : settings_(std::move(settings)), new_uuid_(std::move(new_uuid)), boot_(new_uuid_()), hand_(boot_) {}

// In the order of Reaction.
RoleMachine::Handler RoleMachine::handler_of(Reaction reaction) {
  using M = RoleMachine;
  static constexpr std::array<Handler, kReactions> kHandlers = {&M::on_ignored,
                                                                &M::on_noted,
                                                                &M::on_begin,
                                                                &M::on_decide,
                                                                &M::on_step_claim,
                                                                &M::on_init,
                                                                &M::on_leave,
                                                                &M::on_ask_leave,
                                                                &M::on_drain,
                                                                &M::on_stop_later,
                                                                &M::on_step_leave,
                                                                &M::on_step_drain,
                                                                &M::on_check_return,
                                                                &M::on_await_return,
                                                                &M::on_record_clean,
                                                                &M::on_drain_for_peer,
                                                                &M::on_stop_together,
                                                                &M::on_not_joined,
                                                                &M::on_noted,
                                                                &M::on_write_again,
                                                                &M::on_fence_unwritable,
                                                                &M::on_fence_by_epoch,
                                                                &M::on_fence_by_order,
                                                                &M::on_already_out,
                                                                &M::on_yield,
                                                                &M::on_step_fence,
                                                                &M::on_confirm,
                                                                &M::on_confirm_when_done,
                                                                &M::on_note_epoch,
                                                                &M::on_degrade,
                                                                &M::on_step_degrade,
                                                                &M::on_ask_again,
                                                                &M::on_check_peer,
                                                                &M::on_step_check,
                                                                &M::on_check_failed,
                                                                &M::on_check_standby,
                                                                &M::on_check_joined,
                                                                &M::on_agree,
                                                                &M::on_agree_and_give_way,
                                                                &M::on_hold_frontends,
                                                                &M::on_doubt,
                                                                &M::on_verify_standby,
                                                                &M::on_promise,
                                                                &M::on_refuse_peer,
                                                                &M::on_follow,
                                                                &M::on_not_certain,
                                                                &M::on_check_fork,
                                                                &M::on_check_given_up,
                                                                &M::on_give_up,
                                                                &M::on_stand,
                                                                &M::on_step_promotion,
                                                                &M::on_give_way,
                                                                &M::on_already_master,
                                                                &M::on_degrade_first,
                                                                &M::on_invite,
                                                                &M::on_step_bootstrap,
                                                                &M::on_note_progress,
                                                                &M::on_finish_load,
                                                                &M::on_abort_load,
                                                                &M::on_check_lease,
                                                                &M::on_make_room,
                                                                &M::on_step_clear,
                                                                &M::on_check_load,
                                                                &M::on_check_loader,
                                                                &M::on_take_join,
                                                                &M::on_first_join,
                                                                &M::on_join_again,
                                                                &M::on_drop_load,
                                                                &M::on_acknowledge,
                                                                &M::on_refuse,
                                                                &M::on_note_witness,
                                                                &M::on_claim_by_record,
                                                                &M::on_watch_record,
                                                                &M::on_step_candidate,
                                                                &M::on_renew,
                                                                &M::on_fence_by_time,
                                                                &M::on_take_over_by_term,
                                                                &M::on_freeze,
                                                                &M::on_stand_by_hook,
                                                                &M::on_step_hook,
                                                                &M::on_degrade_again,
                                                                &M::on_candidate_time,
                                                                &M::on_guests_ended,
                                                                &M::on_take_over,
                                                                &M::on_take_over_again,
                                                                &M::on_switch_over};
  return kHandlers[std::size_t(reaction)];
}

std::vector<Action> RoleMachine::handle(Now now, const Event& event) {
  now_ = now;
  actions_.clear();
  if (std::holds_alternative<event::StoreFailed>(event)) {
    // In doubt which of the two a restart finds: keep the old state, with what the new one would have taken
    // away.
    const Slot attempt = slot_;
    slot_ = before_;
    slot_.highest_seen = std::max(slot_.highest_seen, attempt.highest_seen);
    slot_.fenced = slot_.fenced || attempt.fenced;
    slot_.split = slot_.split || attempt.split;
    slot_.eligible = slot_.eligible && attempt.eligible;
    found_ = found_before_;
    grant_.reset();
    // What was behind the record was dropped: the question to the witness has no answer, the right was not
    // told.
    hand_.silent(now_.steady, asked_last_);
    right_told_ = Milliseconds{-1};
  } else {
    before_ = slot_;
    found_before_ = found_;
  }
  asked_last_ = 0;
  take(event);
  attend();
  // A stop waits only for what an active node, or a standby taking its leave, still has to settle.
  const bool settling = is_active(state_) || (state_ == RoleState::standby && step_ == Step::taking_leave);
  if (stop_wanted_ && !settling) leave();
  tell_right();
  update_grant();
  return std::move(actions_);
}

void RoleMachine::perform(EventKind kind, const Event& event) {
  (this->*handler_of(reaction_to(kind, state_)))(event);
}

void RoleMachine::take(const Event& event) {
  if (const auto* reported = std::get_if<event::PeerReported>(&event)) {
    see_report(reported->report, event);
    return take_promise(*reported);
  }
  if (const auto* asked = std::get_if<event::PeerAsked>(&event)) {
    const NodeReport& sender = asked->request.report;
    if (sender.cluster != settings_.cluster || sender.node != other(settings_.self) || !settings_.has_peer) {
      return answer_peer(asked->id, false,
                         "this is node " + self_name() + " of another pair: check [pair] uuid and node");
    }
    if (!begun_) return answer_peer(asked->id, false, "the relay of node " + self_name() + " is starting");
    see_report(sender, event);
    if (std::holds_alternative<Hello>(asked->request.body)) return answer_hello(asked->id, sender);
    return perform(kind_of(event), event);
  }
  if (const auto* answered = std::get_if<event::PeerAnswered>(&event)) {
    see_report(answered->answer.report, event);
    return perform(EventKind::peer_answer, event);
  }
  if (const auto* seen = std::get_if<event::RecordSeen>(&event)) {
    if (seen->record.epoch > std::max(slot_.epoch, slot_.highest_seen) && !is_own_promise(seen->record))
      perform(EventKind::higher_epoch, event);
    return answer_done(seen->id, "the highest epoch known here is " + std::to_string(slot_.highest_seen));
  }
  if (const auto* answered = std::get_if<event::WitnessAnswered>(&event))
    return hear_witness(*answered, event);
  if (const auto* silent = std::get_if<event::WitnessSilent>(&event))
    hand_.silent(now_.steady, silent->ticket);
  if (std::holds_alternative<event::Stalled>(event))
    peer_.silent_from = now_.steady;  // the silence may be our own
  if (const auto* lost = std::get_if<event::PostmasterLost>(&event)) {
    if (postmaster_ok_) postmaster_patience_ = now_.steady + settings_.standby_timeout;
    postmaster_ok_ = false;
    postmaster_why_ = lost->why;
  }
  if (std::holds_alternative<event::PostmasterBack>(event)) postmaster_ok_ = true;
  perform(kind_of(event), event);
}

/// The other node has promised this one the epoch that it asked for, and a forwarder is faster than the
/// answer.
bool RoleMachine::is_own_promise(const RoleRecord& record) const {
  return (state_ == RoleState::candidate || state_ == RoleState::standby) && candidacy_.epoch != 0 &&
         record.epoch == candidacy_.epoch && record.master == settings_.self;
}

void RoleMachine::see_report(const NodeReport& report, const Event& event) {
  if (report.cluster != settings_.cluster || report.node != other(settings_.self)) return;
  peer_.silent_from = now_.steady;
  peer_.heard_wall = now_.wall;
  const bool overtaken =
      peer_.report && peer_.report->boot == report.boot && peer_.report->sequence >= report.sequence;
  if (!overtaken) peer_.report = report;
  const Epoch known = std::max(report.epoch, report.highest_seen);
  // What the standby has used up by saying no to a hand-over is no epoch of anybody.
  const bool refused_offer = report.epoch <= slot_.epoch && known <= handed_epoch_;
  if (is_active(state_) && known > slot_.epoch && !refused_offer) {
    return perform(EventKind::higher_epoch, event);
  }
  if (known > slot_.highest_seen && found_ == SlotsFound::usable) {
    Slot next = slot_;
    next.highest_seen = known;
    store(std::move(next));
  }
  if (!overtaken) perform(EventKind::peer_report, event);
}

/// The one place that sets the state. Requests that only the old state could have granted are refused here.
void RoleMachine::enter(RoleState next, std::string reason) {
  if (next != RoleState::bootstrap && clear_request_ != 0) {
    answer_peer(std::exchange(clear_request_, 0), false, reason);
  }
  if (next != RoleState::candidate && candidacy_.request != 0) {
    answer_refused(std::exchange(candidacy_.request, 0), "the promotion has ended: " + reason,
                   "see `pgtandem status`");
  }
  if (init_request_ != 0) {
    answer_refused(std::exchange(init_request_, 0), "the init has ended: " + reason, "see `pgtandem status`");
  }
  if (next != RoleState::candidate) refuse_invitations(reason);
  if (claim_.request != 0) {
    answer_refused(std::exchange(claim_.request, 0), "the init has ended: " + reason,
                   "see `pgtandem status`");
  }
  if (switch_request_ != 0) end_switch(next, reason);
  if (next != RoleState::stale) end_guests();
  hand_.drop_want();
  state_ = next;
  step_ = Step::none;
  reason_ = std::move(reason);
  since_ = now_;
  awaited_ = 0;
  asked_ = 0;
  deadline_.reset();
  writing_again_ = false;
  if (!is_active(next) || next == RoleState::degrading) stall_ = {};
  if (next != RoleState::recover) was_clean_ = {};
  tell(level_of(next), "role-" + lower(to_string(next)),
       std::string(to_string(next)) + ", epoch " + std::to_string(slot_.epoch) + ": " + reason_);
  if (settings_.has_peer) actions_.push_back(action::Greet{});
}

void RoleMachine::store(Slot next) {
  next.highest_seen = std::max(next.highest_seen, next.epoch);
  if (settings_.witness && hand_.trusted()) {
    next.witness = hand_.identity();
    next.witness_revision = hand_.revision();
  }
  if (!settings_.witness) {
    // Whoever takes the witness out of the settings gives it up: the next one may be another (R12).
    next.witness = {};
    next.witness_revision = 0;
  }
  slot_ = std::move(next);
  found_ = SlotsFound::usable;
  actions_.push_back(action::Record{slot_});
}

/// The one way to STALE.
void RoleMachine::stay_stale(Slot next, std::string reason) {
  if (peer_.report && peer_.report->active()) adopt_record(next, *peer_.report);
  next.eligible = false;
  next.split = false;
  next.clean = {};
  store(std::move(next));
  stale_reason_ = reason;
  enter(RoleState::stale, std::move(reason));
}

void RoleMachine::ask(PeerBody body, Milliseconds patience) {
  asked_ = ++last_ticket_;
  actions_.push_back(action::AskPeer{asked_, std::move(body), patience});
}

void RoleMachine::answer_peer(RequestId id, bool ok, std::string why, bool clean) {
  actions_.push_back(action::AnswerPeer{id, ok, clean, std::move(why), report()});
}

void RoleMachine::answer_command(RequestId id, CommandAnswer answer) {
  if (id != 0) actions_.push_back(action::AnswerCommand{id, std::move(answer)});
}

void RoleMachine::answer_refused(RequestId id, std::string text, std::string what_to_do, unsigned status) {
  CommandAnswer answer;
  answer.status = status;
  answer.text = std::move(text);
  answer.what_to_do = std::move(what_to_do);
  answer_command(id, std::move(answer));
}

void RoleMachine::answer_done(RequestId id, std::string text) {
  CommandAnswer answer;
  answer.ok = true;
  answer.text = std::move(text);
  answer_command(id, std::move(answer));
}

void RoleMachine::tell(TellLevel level, std::string name, std::string text) {
  actions_.push_back(action::Tell{level, std::move(name), std::move(text)});
}

/// Sets the grant of the present state even if it is set already; the ticket comes back when it is in force.
Ticket RoleMachine::put_in_force() {
  grant_ = wanted_grant();
  actions_.push_back(action::SetGrant{++last_ticket_, *grant_});
  return last_ticket_;
}

void RoleMachine::update_grant() {
  if (!grant_ || *grant_ != wanted_grant()) put_in_force();
}

Ticket RoleMachine::end_sessions(EndHow how, Milliseconds limit, std::string message) {
  actions_.push_back(action::EndSessions{++last_ticket_, how, limit, std::move(message)});
  return last_ticket_;
}

Ticket RoleMachine::end_backends() {
  actions_.push_back(action::EndLocalBackends{++last_ticket_, settings_.takeover_timeout});
  return last_ticket_;
}

void RoleMachine::refuse_legs(Epoch epoch, Ticket ticket) {
  actions_.push_back(action::RefuseLegsBelow{ticket, epoch});
}

bool RoleMachine::is_answer(Ticket ticket, const Event& event) {
  if (ticket == 0) return false;
  if (const auto* answered = std::get_if<event::PeerAnswered>(&event)) return answered->ticket == ticket;
  const auto* silent = std::get_if<event::PeerSilent>(&event);
  return silent != nullptr && silent->ticket == ticket;
}

Epoch RoleMachine::next_epoch() const {
  Epoch highest = std::max(slot_.epoch, slot_.highest_seen);
  if (peer_.report) highest = std::max({highest, peer_.report->epoch, peer_.report->highest_seen});
  if (const RoleRecord* role = witnessed()) highest = std::max(highest, role->epoch);
  return settings_.has_peer ? next_epoch_of(settings_.self, highest) : highest + 1;
}

bool RoleMachine::peer_is_active_and_heard(Milliseconds steady) const {
  return peer_.report && peer_.report->active() && silent_for(steady) < 2 * settings_.standby_timeout;
}

std::string RoleMachine::peer_name() const {
  return std::string(to_string(other(settings_.self)));
}

bool RoleMachine::joined() const {
  return is_active(state_) ? slot_.sync : state_ == RoleState::standby;
}

NodeReport RoleMachine::report() {
  NodeReport report;
  report.node = settings_.self;
  report.cluster = settings_.cluster;
  report.boot = boot_;
  report.sequence = ++reports_;
  report.state = state_;
  report.initialised = found_ == SlotsFound::usable;
  report.epoch = slot_.epoch;
  report.highest_seen = slot_.highest_seen;
  report.master = slot_.master;
  report.data_node = slot_.data_node;
  report.lineage = slot_.lineage;
  report.sync = slot_.sync;
  report.eligible = slot_.eligible;
  report.bootstrapping = bootstrap_.has_value();
  report.postmaster_ok = postmaster_ok_;
  report.guests = guests_;
  return report;
}

RoleRecord RoleMachine::record() const {
  const bool peer_knows_more =
      peer_.report && !is_active(state_) && peer_.report->active() && peer_.report->epoch >= slot_.epoch;
  if (peer_knows_more) {
    const NodeReport& peer = *peer_.report;
    return {settings_.cluster, peer.epoch, peer.master, peer.data_node, peer.lineage.generation, peer.sync};
  }
  // A node whose data does not count cannot name the generation of its master's.
  const Uuid generation = slot_.eligible ? slot_.lineage.generation : Uuid{};
  return {settings_.cluster, slot_.epoch, slot_.master, slot_.data_node, generation, slot_.sync};
}

Grant RoleMachine::wanted_grant() const {
  Grant grant;
  grant.epoch = slot_.epoch;
  grant.mirrored = is_active(state_) && slot_.sync;
  grant.guests = guests_;
  const bool handing_over = state_ == RoleState::draining && drain_for_ == DrainFor::hand_over;
  grant.outputs_held =
      (!is_active(state_) && !guests_) || state_ == RoleState::degrading || stall_.on || handing_over;
  switch (state_) {
    case RoleState::stale:
    case RoleState::bootstrap:
    case RoleState::standby:
      if (peer_is_active_and_heard(now_.steady)) {
        grant.frontends = Frontends::pass_on;
      } else if (guests_) {
        grant.frontends = Frontends::wait;
      }
      break;
    case RoleState::candidate:
    case RoleState::degrading:
      grant.frontends = Frontends::wait;
      break;
    case RoleState::draining:
      grant.frontends = drain_for_ == DrainFor::stop ? Frontends::refuse : Frontends::wait;
      break;
    case RoleState::master:
    case RoleState::alone: {
      const bool copying = bootstrap_ && step_ != Step::none && step_ != Step::inviting;
      const bool pause = stall_.on || copying;
      if (step_ == Step::mirroring || step_ == Step::recording) grant.mirrored = true;
      if (pause || (!postmaster_ok_ && now_.steady < postmaster_patience_)) {
        grant.frontends = Frontends::wait;
      } else {
        grant.frontends = postmaster_ok_ ? Frontends::serve : Frontends::refuse;
      }
      break;
    }
    default:
      break;
  }
  if (grant.frontends == Frontends::refuse) grant.refusal = refusal();
  return grant;
}

std::optional<Milliseconds> RoleMachine::wake_at() const {
  std::optional<Milliseconds> wake = deadline_;
  const auto also = [&wake](Milliseconds at) { wake = wake ? std::min(*wake, at) : at; };
  if (!postmaster_ok_ && is_active(state_) && grant_ && grant_->frontends == Frontends::wait &&
      now_.steady < postmaster_patience_) {
    also(postmaster_patience_);
  }
  if (bootstrap_ && step_ == Step::loading) also(bootstrap_->lease_until);
  if (grant_ && grant_->frontends == Frontends::pass_on)
    also(peer_.silent_from + 2 * settings_.standby_timeout);
  if (state_ == RoleState::bootstrap) also(peer_.silent_from + kBootstrapLease);
  if (begun_ && !stopped_) {
    if (const auto at = settings_.witness ? witness_wake() : std::nullopt) also(*at);
    if (watches_silence()) also(silence_limit());
  }
  return wake;
}

}  // namespace pgtandem
