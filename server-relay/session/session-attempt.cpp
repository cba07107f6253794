/// Discipline `serial`: a write, run inside the gate on both servers so that nothing waits for a lock there
/// (design page 2, rules 2 and 3; hard points 14 to 17, 20).
///
///   autocommit       BEGIN; SET LOCAL lock_timeout | the unit as it came | COMMIT, as an end
///   first in a block SET LOCAL lock_timeout | the unit as it came
///   in a block       SAVEPOINT; SET LOCAL lock_timeout | the unit as it came
///
/// What stands before and behind are the relay's own: their replies never reach the frontend. If
/// either server meets a lock, both are rolled back to where they were, the session leaves the gate, stands
/// aside until one of those in its way has moved, and tries again.
#include <algorithm>

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "common/protocol/messages.h"
#include "server-relay/session/session.h"
#include "server-relay/session/time-setting.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

/// Locks that no session of this relay holds are freed without its knowledge.
constexpr auto kRetryUnknown = 20ms;
constexpr auto kRetryKnown = 500ms;
/// How long the forecast is believed. Somebody whose comparison matched no row for another reason, or who
/// waits for us in turn, is found out by a try; what is certain is looked at anew.
constexpr auto kTrustForecast = 50ms;
using Claim = LockForecast::Claim;
constexpr int kUndoTries = 5;  ///< each can only fail by a cancel of its own

bool takes_advisory_locks(const UnitStatement& statement) {
  return statement.facts != nullptr && statement.facts->advisory_locks;
}

}  // namespace

std::string Session::deadlock_error() {
  return build_error_response({pgtandem::Severity::error, "40P01", "deadlock detected"});
}

/// Sends the unit as it came. `again`: it is known to everybody but the servers.
void Session::append_attempt(ByteSpan bytes, bool again) {
  SerialState& s = *serial_;
  MessageSplitter splitter(oids_.request_limit());
  bool begun = false;
  while (const std::optional<MessagePiece> piece = splitter.next(bytes)) {
    if (!again) (void)tracker_.judge(*piece);
    if (!begun) {
      (void)tracker_.take_unit_began();
      push_unit(Unit::Role::attempt);
      begun = true;
    }
    s.to_master.append(as_text(piece->wire));
    if (!oids_.active()) {
      s.to_standby.append(as_text(piece->wire));
    } else if (oids_.append_for_standby(*piece, s.to_standby)) {
      env_.services.oids_changed(database_);
    }
  }
}

/// Older ones of the same name are left in peace while they are few: a RELEASE costs both servers a
/// statement.
void Session::add_savepoint(bool extended) {
  constexpr std::uint32_t kMostOpen = 32;
  SerialState& s = *serial_;
  if (s.youngest_savepoints != 0 && s.open_savepoints >= kMostOpen) release_savepoints(1, extended);
  add_prefix("SAVEPOINT pgtandem", extended);
  ++s.open_savepoints;
  ++s.youngest_savepoints;
}

/// What was done behind them stays.
void Session::release_savepoints(std::uint32_t count, bool extended) {
  SerialState& s = *serial_;
  for (std::uint32_t i = 0; i < count; ++i) add_prefix("RELEASE SAVEPOINT pgtandem", extended);
  s.open_savepoints -= count;
  s.youngest_savepoints -= count;
}

void Session::send_attempt(const Trial& trial, int number) {
  SerialState& s = *serial_;
  const bool extended = trial.plan.extended;
  s.master = s.standby = {};
  s.output.clear();
  s.last_complete = 0;
  s.own_error.clear();
  s.unit_failed = false;
  s.rows = 0;
  s.uses_snapshot = false;
  s.rewritten.begin_again();
  if (trial.own_block) {
    add_prefix("BEGIN", extended);
    if (s.serializable_by_default) {
      s.soften_standby = true;
      soften_standby(extended);
    }
  } else {
    soften_standby(extended);
    if (trial.way_back == WayBack::savepoint && (number == 1 || s.youngest_savepoints == 0))
      add_savepoint(extended);
  }
  if (trial.own_block || number > 1 || s.timeouts != SerialState::Timeouts::ours || !mirrored())
    limit_timeouts(number, trial.plan.statement.kind == StatementKind::ddl, extended);
  const UnitStatement& statement = trial.plan.statement;
  if (statement.changes_catalogue || statement.kind == StatementKind::ddl) forbid_parallel_plans(extended);
  if (!s.seed_of_client && (number > 1 || statement.calls_random()))
    add_prefix("SET seed = " + seed_setting(), extended);
  if (!trial.own_block) ask_for_time(extended);
  append_attempt(trial.bytes, number > 1);
  // What a deferred constraint has to wait for is waited for here, not at the commit (hard point 16).
  if (trial.own_block && s.statements.may_defer()) own_unit_text("SET CONSTRAINTS ALL IMMEDIATE", extended);
  flush_own();
}

/// Brings both servers back to where they were before the attempt. Prepared statements outlive a rollback: a
/// second Parse of the same name would fail.
void Session::send_undo(const Trial& trial) {
  SerialState& s = *serial_;
  const bool to_savepoint = trial.way_back == WayBack::savepoint;
  own_unit_text(to_savepoint ? "ROLLBACK TO SAVEPOINT pgtandem" : "ROLLBACK", trial.plan.extended);
  for (const std::string& name : trial.plan.prepares) {
    push_unit(Unit::Role::own);
    const std::string close = build_message('C', "S" + name + '\0') + build_message('S', {});
    s.to_master += close;
    s.to_standby += close;
  }
  if (trial.way_back == WayBack::begin_again) {
    push_unit(Unit::Role::own);
    s.to_master += s.begin_bytes;
    s.to_standby += s.begin_bytes;
    s.soften_standby = s.serializable;
    s.transaction_time.clear();
  }
  s.timeouts = SerialState::Timeouts::unknown;
  flush_own();
}

/// A cancel that comes late may hit this instead: until it is done on both.
asio::awaitable<void> Session::undo(const Trial& trial) {
  SerialState& s = *serial_;
  const char wanted = trial.own_block ? 'I' : 'T';
  for (int i = 0; i < kUndoTries && !ended(); ++i) {
    s.master = s.standby = {};
    send_undo(trial);
    co_await settled();
    drop_mismatches();
    const bool standby_done = standby_state_ != StandbyState::live || s.standby.status == wanted;
    if (s.master.status == wanted && standby_done) break;
  }
}

/// Locks that the master does not know are those of somebody who works on the standby's server directly: no
/// other session of this relay will free them. It is given its time, and then up.
void Session::check_standbys_locks() {
  SerialState& s = *serial_;
  const SteadyTime now = std::chrono::steady_clock::now();
  const bool alone = standby_state_ == StandbyState::live && s.standby.lock_timeout && !s.master.failed();
  if (!alone) {
    s.standby_behind_locks.reset();
  } else if (!s.standby_behind_locks) {
    s.standby_behind_locks = now;
  } else if (now - *s.standby_behind_locks > env_.settings.standby_timeout) {
    standby_lost("a statement of session " + std::to_string(id_) +
                 " waited on it for standby_timeout for a lock that nobody holds on the master");
  }
}

/// What the master has refused for good, the standby need not wait for: nothing is left of it on either. It
/// may find another row in its way first (a deferred key that is taken twice).
bool Session::attempt_met_a_lock() const {
  const SerialState& s = *serial_;
  const bool standby_counts = standby_state_ == StandbyState::live && !s.master.failed();
  return s.master.lock_timeout || (standby_counts && s.standby.lock_timeout);
}

asio::awaitable<void> Session::run_attempts(const UnitPlan& plan) {
  SerialState& s = *serial_;
  const std::string unit = front_kept_.substr(0, plan.size);
  front_kept_.erase(0, plan.size);
  const bool own_block = status_ == 'I';
  const WayBack way_back = own_block               ? WayBack::rollback
                           : s.begin_bytes.empty() ? WayBack::savepoint
                                                   : WayBack::begin_again;
  const bool local = plan.statement.row_local && !s.strict && !s.serializable;
  const Trial trial{plan, as_bytes(unit), own_block, way_back, std::chrono::steady_clock::now(), local};
  co_await settled();  // an end that the standby has still to finish leaves the gate by that
  s.judging = true;
  s.spilled = false;
  const std::string refusal = co_await try_until_free(trial);
  s.begin_bytes.clear();
  if (ended()) co_return;
  if (!refusal.empty()) {
    co_await give_up_attempt(refusal, own_block, plan.extended);
  } else {
    co_await finish_attempt(trial);
  }
}

/// Returns inside the gate with an attempt that met no lock, or outside with an ErrorResponse for the
/// frontend.
asio::awaitable<std::string> Session::try_until_free(const Trial& trial) {
  SerialState& s = *serial_;
  const bool ddl = trial.plan.statement.kind == StatementKind::ddl;
  const std::uint64_t key = trial.plan.statement.row_key;
  bool trusting = key != 0 && !trial.bytes.empty();
  bool local = trial.local;
  serial_->new_claim = 0;
  std::string refusal;
  for (int number = 1; !ended(); ++number) {
    while (trusting && refusal.empty() && foreseen(key).session != 0 && !ended()) {
      const Foreseen found = co_await wait_for_foreseen(key, trial.began);
      trusting = found != Foreseen::stays;
      refusal = found == Foreseen::waits_for_us ? deadlock_error() : over_a_limit(trial.began);
    }
    if (ended() || !refusal.empty()) break;
    const bool before_end = trial.bytes.empty();
    const RowOrder order = trial.local ? trial.plan.statement.row_order : RowOrder::tried;
    const bool claims = order == RowOrder::free || (order == RowOrder::claimed && trusting);
    if (!claims) begin_untold(trial.plan.statement.kind);
    local = local && (claims || !s.order.untried.is_anything_untried());
    co_await enter_gate(local ? GateMode::local : GateMode::write, ddl, before_end);
    if (ended()) break;
    if (cancelled_) refusal = over_a_limit(trial.began);
    if (!refusal.empty()) {
      leave_gate();
      break;
    }
    const bool changed = local && !still_local(trial);
    if (changed || (trusting && claim_rows(key, order == RowOrder::claimed) ==
                                    Claim::taken)) {  // whoever was inside before has them now
      leave_gate();
      local = local && !changed;
      --number;
      continue;
    }
    if (trial.plan.statement.shared_objects) co_await enter_shared_order();
    if (number == 1 && takes_advisory_locks(trial.plan.statement))
      co_await note_advisory_locks(trial.plan.extended);
    if (ended()) break;
    if (trial.bytes.empty()) {
      send_check(number, trial.plan.extended);
    } else {
      send_attempt(trial, number);
    }
    std::vector<std::uint32_t> pids;
    if (number > 1) pids = co_await who_blocks();
    co_await settled();
    check_standbys_locks();
    const bool met_a_lock = attempt_met_a_lock();
    const bool in_other_order = local && outcomes_differ();
    if (ended() || s.spilled || (!met_a_lock && !in_other_order)) break;
    drop_mismatches();
    co_await undo(trial);
    if (takes_advisory_locks(trial.plan.statement)) co_await free_advisory_locks(trial.plan.extended);
    if (trial.plan.statement.may_use_sequences) co_await align_sequences();
    leave_gate();
    if (ended()) break;
    refusal = over_a_limit(trial.began);
    if (!refusal.empty()) break;
    // Side by side two of them could get in each other's way for ever; in order, only those of open
    // transactions are.
    local = false;
    if (!met_a_lock) continue;
    const bool deadlock = co_await stand_aside(pids, number);
    if (deadlock) refusal = deadlock_error();
    if (!refusal.empty()) break;
  }
  co_return refusal;
}

/// What was proven of the statement still holds: no DDL has been committed since.
bool Session::still_local(const Trial& trial) const {
  return trial.plan.statement.catalogue_version == serial_->statements.current_version();
}

/// The two servers have taken the attempt differently: its order among others of its sort mattered.
bool Session::outcomes_differ() const {
  return standby_state_ == StandbyState::live && matcher_.pending_mismatch() != nullptr &&
         !serial_->master.gave_up();
}

LockForecast::Claim Session::claim_rows(std::uint64_t key, bool certain) {
  SerialState& s = *serial_;
  const Claim claim = s.order.forecast.claim(id_, key, certain);
  if (claim == Claim::new_claim) {
    s.row_keys.push_back(key);
    s.new_claim = key;
  }
  return claim;
}

LockForecast::Holder Session::foreseen(std::uint64_t key) const {
  return serial_->order.forecast.holder(key, id_);
}

/// Stands aside until the transaction that has the rows has moved, or for so long that only a try can tell.
/// Where it is certain that it has them it is waited for as by a server: who waits for this session in turn
/// would wait for ever.
asio::awaitable<Session::Foreseen> Session::wait_for_foreseen(std::uint64_t key, SteadyTime began) {
  SerialState& s = *serial_;
  LockForecast::Holder holder;
  bool moved = false;
  bool again = true;
  while (again && !moved && !ended()) {
    holder = foreseen(key);
    const SteadyTime limit = std::chrono::steady_clock::now() + kTrustForecast;
    if (!holder.certain) {
      s.order.waits.park_behind(id_, holder.session, answer(), key);
    } else if (!s.order.waits.park(id_, {holder.session}, answer(), key)) {
      co_return Foreseen::waits_for_us;
    }
    wake_at(limit);
    // It forgets its keys before it lets others try: who finds them here is told.
    while (!ended() && !s.let_in && !cancelled_ && std::chrono::steady_clock::now() < limit &&
           foreseen(key) == holder)
      co_await s.event.wait();
    moved = s.let_in || foreseen(key) != holder;
    // With one server left, that server orders; whoever is in the way there tells nobody here any more.
    again = holder.certain && mirrored() && over_a_limit(began).empty();
  }
  s.order.waits.unpark(id_);
  co_return moved ? Foreseen::moved : Foreseen::stays;
}

/// Asks while the master's attempt waits. Its backend may not have come to the lock yet.
asio::awaitable<std::vector<std::uint32_t>> Session::who_blocks() {
  std::vector<std::uint32_t> pids;
  for (int i = 0; i < 5 && pids.empty() && !units_.empty() && !ended(); ++i)
    pids = co_await env_.services.blockers(master_->key.pid);
  std::erase(pids, 0U);  // of a prepared transaction nobody tells when it ends
  co_return pids;
}

/// The client's own limits hold for the time that its statement stands aside, too.
std::string Session::over_a_limit(SteadyTime began) const {
  const SerialState& s = *serial_;
  const auto waited = std::chrono::steady_clock::now() - began;
  const auto lock_limit = time_of_setting(s.lock_timeout);
  const auto statement_limit = time_of_setting(s.statement_timeout);
  if (cancelled_) {
    return build_error_response(
        {pgtandem::Severity::error, "57014", "canceling statement due to user request"});
  }
  if (statement_limit.count() != 0 && waited >= statement_limit) {
    return build_error_response(
        {pgtandem::Severity::error, "57014", "canceling statement due to statement timeout"});
  }
  if (lock_limit.count() != 0 && waited >= lock_limit)
    return build_error_response(
        {pgtandem::Severity::error, "55P03", "canceling statement due to lock timeout"});
  return {};
}

/// True: a deadlock, and this session is the one to give up.
asio::awaitable<bool> Session::stand_aside(const std::vector<std::uint32_t>& pids, int number) {
  SerialState& s = *serial_;
  const std::vector<std::uint64_t> blockers = env_.services.gates().sessions_of(pids, true);
  if (!s.order.waits.park(id_, blockers, answer())) co_return true;
  // A second try at once tells who is in the way.
  SteadyTime limit = std::chrono::steady_clock::now();
  if (number > 1)
    limit += blockers.empty() ? SteadyTime::duration(kRetryUnknown) : SteadyTime::duration(kRetryKnown);
  wake_at(limit);
  while (!ended() && !s.let_in && !cancelled_ && std::chrono::steady_clock::now() < limit)
    co_await s.event.wait();
  s.order.waits.unpark(id_);
  co_return false;
}

void Session::drop_mismatches() {
  while (matcher_.next_mismatch()) {
  }
}

}  // namespace pgtandem
