#include "common/roles/role-table.h"

#include <algorithm>
#include <array>
#include <vector>

namespace pgtandem {
namespace {

using Row = std::array<Reaction, kRoleStates>;

// clang-format off
std::array<Row, kEventKinds> make_table() {
  using enum Reaction;
  return {{
    // RECOVER, STALE, BOOTSTRAP, STANDBY, CANDIDATE, MASTER, DEGRADING, ALONE, DRAINING, FENCED, SPLIT
    /* start */ {begin, ignored, ignored, ignored, ignored, ignored, ignored, ignored, ignored, ignored, ignored},
    /* stop */ {leave, leave, leave, ask_leave, leave, drain, stop_later, drain, drain, leave, leave},
    /* tick */ {check_time, check_time, check_load, check_time, candidate_time,
        check_time, degrade_again, check_lease, check_return, write_again, check_time},
    /* store_failed */ {fence_unwritable, fence_unwritable, fence_unwritable, fence_unwritable, fence_unwritable,
        fence_unwritable, fence_unwritable, fence_unwritable, fence_unwritable, fence_unwritable, fence_unwritable},
    /* standby_failed */ {ignored, ignored, ignored, ignored, ignored,
        degrade, ignored, ignored, degrade, ignored, ignored},
    /* stalled */ {noted, noted, noted, noted, noted, check_peer, ask_again, check_peer, check_peer, noted, noted},
    /* postmaster_lost */ {noted, noted, noted, noted, noted,
        hold_frontends, noted, hold_frontends, noted, noted, noted},
    /* postmaster_back */ {noted, noted, noted, noted, noted, verify_standby, noted, noted, noted, noted, noted},
    /* copies_may_differ */ {ignored, ignored, ignored, ignored, ignored, doubt, ignored, ignored, doubt, ignored, ignored},
    /* in_force */ {ignored, ignored, ignored, ignored, ignored,
        step_check, step_degrade, step_bootstrap, step_drain, ignored, ignored},
    /* sessions_ended */ {ignored, ignored, ignored, ignored, ignored,
        ignored, ignored, step_bootstrap, step_drain, step_fence, ignored},
    /* legs_refused */ {ignored, ignored, ignored, ignored, step_promotion,
        ignored, ignored, ignored, ignored, ignored, ignored},
    /* backends_ended */ {ignored, ignored, step_clear, ignored, step_promotion,
        ignored, ignored, step_bootstrap, ignored, step_fence, ignored},
    /* peer_report */ {decide, follow, check_loader, check_joined, noted,
        check_standby, noted, check_fork, await_return, noted, check_given_up},
    /* higher_epoch */ {note_epoch, note_epoch, note_epoch, not_certain, give_way,
        fence_by_epoch, fence_by_epoch, fence_by_epoch, fence_by_epoch, note_epoch, note_epoch},
    /* ask_promise */ {promise, promise, promise, promise, refuse_peer,
        refuse_peer, refuse_peer, refuse_peer, refuse_peer, refuse_peer, refuse_peer},
    /* agree_degrade */ {agree, agree, agree, agree, agree_and_give_way,
        refuse_peer, refuse_peer, refuse_peer, refuse_peer, refuse_peer, refuse_peer},
    /* fence_yourself */ {confirm, confirm, confirm, confirm, refuse_peer,
        yield, refuse_peer, refuse_peer, yield, confirm_when_done, refuse_peer},
    /* leaving */ {not_joined, not_joined, not_joined, record_clean, not_joined,
        drain_for_peer, not_joined, not_joined, stop_together, not_joined, not_joined},
    /* bootstrap_target */ {make_room, make_room, make_room, make_room, refuse_peer,
        refuse_peer, refuse_peer, refuse_peer, refuse_peer, refuse_peer, refuse_peer},
    /* join */ {first_join, refuse_peer, take_join, join_again, refuse_peer,
        refuse_peer, refuse_peer, refuse_peer, refuse_peer, refuse_peer, refuse_peer},
    /* bootstrap_dropped */ {acknowledge, acknowledge, drop_load, drop_load, acknowledge,
        acknowledge, acknowledge, acknowledge, acknowledge, acknowledge, acknowledge},
    /* peer_answer */ {step_claim, ignored, ignored, step_leave, step_promotion,
        step_check, step_degrade, step_bootstrap, step_drain, ignored, ignored},
    /* peer_silent */ {step_claim, ignored, ignored, step_leave, step_promotion,
        check_failed, step_degrade, step_bootstrap, step_drain, ignored, ignored},
    /* init */ {init, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse},
    /* promote */ {stand, stand, refuse, stand, refuse,
        already_master, already_master, already_master, refuse, refuse, stand},
    /* fence */ {already_out, already_out, already_out, already_out, refuse,
        fence_by_order, fence_by_order, fence_by_order, fence_by_order, already_out, already_out},
    /* give_up */ {give_up, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, refuse, give_up},
    /* bootstrap_begin */ {refuse, refuse, refuse, refuse, refuse,
        degrade_first, refuse, invite, refuse, refuse, refuse},
    /* bootstrap_progress */ {refuse, refuse, refuse, refuse, refuse,
        refuse, refuse, note_progress, refuse, refuse, refuse},
    /* bootstrap_finish */ {refuse, refuse, refuse, refuse, refuse,
        refuse, refuse, finish_load, refuse, refuse, refuse},
    /* bootstrap_abort */ {refuse, refuse, refuse, refuse, refuse,
        refuse, refuse, abort_load, refuse, refuse, refuse},
    /* take_over */ {refuse_peer, refuse_peer, refuse_peer, take_over, take_over_again,
        take_over_again, take_over_again, take_over_again, take_over_again, refuse_peer, refuse_peer},
    /* switchover */ {refuse, refuse, refuse, refuse, refuse,
        switch_over, refuse, refuse, refuse, refuse, refuse},
    /* witness_answer */ {claim_by_record, note_witness, note_witness, watch_record, step_candidate,
        renew, renew, renew, renew, note_witness, note_witness},
    /* witness_silent */ {note_witness, note_witness, note_witness, note_witness, note_witness,
        note_witness, note_witness, note_witness, note_witness, note_witness, note_witness},
    /* right_expired */ {ignored, ignored, ignored, ignored, ignored,
        fence_by_time, fence_by_time, fence_by_time, fence_by_time, ignored, ignored},
    /* term_over */ {ignored, ignored, ignored, take_over_by_term, ignored,
        ignored, ignored, ignored, ignored, ignored, ignored},
    /* long_silence */ {ignored, ignored, ignored, stand_by_hook, ignored,
        freeze, ignored, ignored, ignored, ignored, ignored},
    /* hook_confirmed */ {ignored, ignored, ignored, ignored, step_hook,
        ignored, step_hook, ignored, ignored, ignored, ignored},
    /* hook_failed */ {ignored, ignored, ignored, ignored, step_hook,
        ignored, step_hook, ignored, ignored, ignored, ignored},
    /* guests_ended */ {ignored, guests_ended, ignored, ignored, ignored,
        ignored, ignored, ignored, ignored, ignored, ignored},
  }};
}
// clang-format on

const std::array<Row, kEventKinds>& table() {
  static const std::array<Row, kEventKinds> cells = make_table();
  return cells;
}

constexpr std::array<std::string_view, kEventKinds> kEventNames = {"start",
                                                                   "stop",
                                                                   "tick",
                                                                   "store_failed",
                                                                   "standby_failed",
                                                                   "stalled",
                                                                   "postmaster_lost",
                                                                   "postmaster_back",
                                                                   "copies_may_differ",
                                                                   "in_force",
                                                                   "sessions_ended",
                                                                   "legs_refused",
                                                                   "backends_ended",
                                                                   "peer_report",
                                                                   "higher_epoch",
                                                                   "ask_promise",
                                                                   "agree_degrade",
                                                                   "fence_yourself",
                                                                   "leaving",
                                                                   "bootstrap_target",
                                                                   "join",
                                                                   "bootstrap_dropped",
                                                                   "peer_answer",
                                                                   "peer_silent",
                                                                   "init",
                                                                   "promote",
                                                                   "fence",
                                                                   "give_up",
                                                                   "bootstrap_begin",
                                                                   "bootstrap_progress",
                                                                   "bootstrap_finish",
                                                                   "bootstrap_abort",
                                                                   "take_over",
                                                                   "switchover",
                                                                   "witness_answer",
                                                                   "witness_silent",
                                                                   "right_expired",
                                                                   "term_over",
                                                                   "long_silence",
                                                                   "hook_confirmed",
                                                                   "hook_failed",
                                                                   "guests_ended"};

struct ReactionInfo {
  std::string_view name;
  std::vector<RoleState> next;
};

// clang-format off
std::vector<ReactionInfo> make_reactions() {
  using enum RoleState;
  return {
    {"ignored", {}},
    {"noted", {}},
    {"begin", {split, master, alone}},
    {"decide", {stale, standby, split}},
    {"step_claim", {master, alone, stale, standby, split}},
    {"init", {master, alone}},
    {"leave", {}},
    {"ask_leave", {}},
    {"drain", {draining}},
    {"stop_later", {}},
    {"step_leave", {}},
    {"step_drain", {degrading, master, stale, recover}},
    {"check_return", {degrading}},
    {"await_return", {master, degrading}},
    {"record_clean", {}},
    {"drain_for_peer", {draining}},
    {"stop_together", {}},
    {"not_joined", {}},
    {"check_time", {}},
    {"write_again", {recover}},
    {"fence_unwritable", {fenced}},
    {"fence_by_epoch", {fenced, stale}},
    {"fence_by_order", {fenced}},
    {"already_out", {}},
    {"yield", {fenced}},
    {"step_fence", {recover}},
    {"confirm", {stale}},
    {"confirm_when_done", {}},
    {"note_epoch", {}},
    {"degrade", {degrading}},
    {"step_degrade", {alone, draining}},
    {"ask_again", {}},
    {"check_peer", {}},
    {"step_check", {}},
    {"check_failed", {degrading}},
    {"check_standby", {degrading, draining}},
    {"check_joined", {stale, candidate, alone}},
    {"agree", {stale}},
    {"agree_and_give_way", {recover, stale, standby, split}},
    {"hold_frontends", {draining}},
    {"doubt", {degrading}},
    {"verify_standby", {degrading}},
    {"promise", {stale, standby}},
    {"refuse_peer", {}},
    {"follow", {}},
    {"not_certain", {stale}},
    {"check_fork", {}},
    {"check_given_up", {recover}},
    {"give_up", {stale}},
    {"stand", {candidate}},
    {"step_promotion", {alone, master, recover, stale, standby, split}},
    {"give_way", {recover, stale, standby, split}},
    {"already_master", {}},
    {"degrade_first", {degrading}},
    {"invite", {}},
    {"step_bootstrap", {master, degrading}},
    {"note_progress", {}},
    {"finish_load", {}},
    {"abort_load", {}},
    {"check_lease", {}},
    {"make_room", {bootstrap}},
    {"step_clear", {stale}},
    {"check_load", {stale}},
    {"check_loader", {stale}},
    {"take_join", {standby}},
    {"first_join", {standby}},
    {"join_again", {}},
    {"drop_load", {stale}},
    {"acknowledge", {}},
    {"refuse", {}},
    {"note_witness", {}},
    {"claim_by_record", {standby, candidate, master, alone}},
    {"watch_record", {stale}},
    {"step_candidate", {master, alone, recover, stale, standby, split}},
    {"renew", {fenced, alone, master, stale}},
    {"fence_by_time", {fenced}},
    {"take_over_by_term", {candidate}},
    {"freeze", {degrading}},
    {"stand_by_hook", {candidate}},
    {"step_hook", {alone, recover, stale, standby, split}},
    {"degrade_again", {}},
    {"candidate_time", {recover, stale, standby, split}},
    {"guests_ended", {}},
    {"take_over", {candidate, alone}},
    {"take_over_again", {}},
    {"switch_over", {draining}},
  };
}
// clang-format on

const ReactionInfo& info(Reaction reaction) {
  static const std::vector<ReactionInfo> all = make_reactions();
  return all[std::size_t(reaction)];
}

}  // namespace

Reaction reaction_to(EventKind event, RoleState state) {
  return table()[std::size_t(event)][std::size_t(state)];
}
std::string_view to_string(EventKind event) {
  return kEventNames[std::size_t(event)];
}
std::string_view to_string(Reaction reaction) {
  return info(reaction).name;
}
std::span<const RoleState> next_states(Reaction reaction) {
  return info(reaction).next;
}

EventKind kind_of(const PeerBody& body) {
  constexpr std::array kKinds = {
      EventKind::peer_report,    EventKind::ask_promise,       EventKind::agree_degrade,
      EventKind::fence_yourself, EventKind::leaving,           EventKind::bootstrap_target,
      EventKind::join,           EventKind::bootstrap_dropped, EventKind::take_over};
  static_assert(kKinds.size() == std::variant_size_v<PeerBody>);
  return kKinds[body.index()];
}

EventKind kind_of(const OperatorCommand& command) {
  constexpr std::array kKinds = {EventKind::init,
                                 EventKind::promote,
                                 EventKind::fence,
                                 EventKind::give_up,
                                 EventKind::bootstrap_begin,
                                 EventKind::bootstrap_progress,
                                 EventKind::bootstrap_finish,
                                 EventKind::bootstrap_abort,
                                 EventKind::switchover};
  static_assert(kKinds.size() == std::variant_size_v<OperatorCommand>);
  return kKinds[command.index()];
}

EventKind kind_of(const Event& event) {
  if (const auto* asked = std::get_if<event::PeerAsked>(&event)) return kind_of(asked->request.body);
  if (const auto* ordered = std::get_if<event::Ordered>(&event)) return kind_of(ordered->command);
  constexpr std::array kKinds = {EventKind::start,
                                 EventKind::stop,
                                 EventKind::tick,
                                 EventKind::store_failed,
                                 EventKind::standby_failed,
                                 EventKind::stalled,
                                 EventKind::postmaster_lost,
                                 EventKind::postmaster_back,
                                 EventKind::copies_may_differ,
                                 EventKind::in_force,
                                 EventKind::sessions_ended,
                                 EventKind::legs_refused,
                                 EventKind::backends_ended,
                                 EventKind::peer_report,
                                 EventKind::peer_report,
                                 EventKind::peer_answer,
                                 EventKind::peer_silent,
                                 EventKind::higher_epoch,
                                 EventKind::init,
                                 EventKind::witness_answer,
                                 EventKind::witness_silent,
                                 EventKind::hook_confirmed,
                                 EventKind::hook_failed,
                                 EventKind::guests_ended};
  static_assert(kKinds.size() == std::variant_size_v<Event>);
  return kKinds[event.index()];
}

}  // namespace pgtandem
