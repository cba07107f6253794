/// The state x event table: what a node in each state does about each event. It is complete, it is the one
/// place where that is written down in code, and docs/states.md shows the same table (a test compares them).
#pragma once
#include <span>
#include <string_view>

#include "common/roles/role-events.h"
#include "common/roles/role-state.h"

namespace pgtandem {

enum class EventKind : std::uint8_t {
  start,
  stop,
  tick,
  store_failed,
  standby_failed,
  stalled,
  postmaster_lost,
  postmaster_back,
  copies_may_differ,
  in_force,
  sessions_ended,
  legs_refused,
  backends_ended,
  peer_report,
  higher_epoch,
  ask_promise,
  agree_degrade,
  fence_yourself,
  leaving,
  bootstrap_target,
  join,
  bootstrap_dropped,
  peer_answer,
  peer_silent,
  init,
  promote,
  fence,
  give_up,
  bootstrap_begin,
  bootstrap_progress,
  bootstrap_finish,
  bootstrap_abort,
  take_over,
  switchover,
  witness_answer,
  witness_silent,
  right_expired,  ///< R5, R6: by time, as the two that follow
  term_over,      ///< R4
  long_silence,   ///< R11
  hook_confirmed,
  hook_failed,
  guests_ended,
};
inline constexpr std::size_t kEventKinds = 42;

/// What a node does; docs/states.md says each in a sentence.
enum class Reaction : std::uint8_t {
  ignored,
  noted,
  begin,
  decide,
  step_claim,
  init,
  leave,
  ask_leave,
  drain,
  stop_later,
  step_leave,
  step_drain,
  check_return,
  await_return,
  record_clean,
  drain_for_peer,
  stop_together,
  not_joined,
  check_time,
  write_again,
  fence_unwritable,
  fence_by_epoch,
  fence_by_order,
  already_out,
  yield,
  step_fence,
  confirm,
  confirm_when_done,
  note_epoch,
  degrade,
  step_degrade,
  ask_again,
  check_peer,
  step_check,
  check_failed,
  check_standby,
  check_joined,
  agree,
  agree_and_give_way,
  hold_frontends,
  doubt,
  verify_standby,
  promise,
  refuse_peer,
  follow,
  not_certain,
  check_fork,
  check_given_up,
  give_up,
  stand,
  step_promotion,
  give_way,
  already_master,
  degrade_first,
  invite,
  step_bootstrap,
  note_progress,
  finish_load,
  abort_load,
  check_lease,
  make_room,
  step_clear,
  check_load,
  check_loader,
  take_join,
  first_join,
  join_again,
  drop_load,
  acknowledge,
  refuse,
  note_witness,
  claim_by_record,
  watch_record,
  step_candidate,
  renew,
  fence_by_time,
  take_over_by_term,
  freeze,
  stand_by_hook,
  step_hook,
  degrade_again,
  candidate_time,
  guests_ended,
  take_over,
  take_over_again,
  switch_over,
};
inline constexpr std::size_t kReactions = 86;

Reaction reaction_to(EventKind event, RoleState state);

std::string_view to_string(EventKind event);
std::string_view to_string(Reaction reaction);
/// The states that a reaction may lead to, besides staying in the present one.
std::span<const RoleState> next_states(Reaction reaction);

/// The kind of an event as it comes; reports and records with a higher epoch are told apart by the machine.
/// Hello is a peer_report and nothing else.
EventKind kind_of(const Event& event);
EventKind kind_of(const PeerBody& body);
EventKind kind_of(const OperatorCommand& command);

}  // namespace pgtandem
