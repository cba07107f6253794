/// Discipline `serial`: how an attempt ends, and what comes before a COMMIT (design page 2, rule 6; hard
/// point 16).
#include <algorithm>

#include "common/protocol/messages.h"
#include "server-relay/session/session.h"

namespace pgtandem {

/// The attempt has been undone; the frontend gets an error that looks like the server's own.
asio::awaitable<void> Session::give_up_attempt(const std::string& error, bool own_block, bool extended) {
  SerialState& s = *serial_;
  if (!own_block) co_await fail_transaction(extended);
  freed_locks();
  s.judging = false;
  s.output = error;
  deliver(own_block ? 'I' : 'E');
}

/// Puts both servers' transactions into the failed state.
asio::awaitable<void> Session::fail_transaction(bool extended) {
  own_unit_text("ROLLBACK TO SAVEPOINT pgtandem_none", extended);
  flush_own();
  co_await settled();
  drop_mismatches();
  serial_->youngest_savepoints = 0;
}

/// Of one statement there is one difference to tell: what follows from it, as the state of the transaction
/// and what its COMMIT says, is none of its own.
void Session::judge_attempt() {
  std::optional<Mismatch> first = matcher_.next_mismatch();
  if (!first || ended() || standby_state_ != StandbyState::live) return drop_mismatches();
  // By its tag a SELECT reads; but it was not proven to, and the standby did not do what the master did.
  if (serial_->standby.failed() != serial_->master.failed()) first->kind = MismatchKind::write;
  while (std::optional<Mismatch> next = matcher_.next_mismatch()) {
    if (first->kind == MismatchKind::read && next->kind == MismatchKind::write) first = std::move(next);
  }
  handle_mismatch(*first);
}

asio::awaitable<void> Session::finish_attempt(const Trial& trial) {
  SerialState& s = *serial_;
  const UnitPlan& plan = trial.plan;
  const bool own_block = trial.own_block;
  const bool standby_counts = standby_state_ == StandbyState::live;
  // Undone on both, nothing has been missed: the standby took what the master refused. Where that is for
  // what its data are, they are not the standby's.
  const bool only_master_failed = s.master.failed() && standby_counts && !s.standby.failed();
  if (only_master_failed && s.master.has_own_reasons()) {
    drop_mismatches();
    if (!own_block) co_await fail_transaction(plan.extended);
  } else {
    // Both have failed, and nothing is left of either: that they give other reasons is no difference.
    if (s.master.failed() && s.standby.failed() &&
        (s.master.has_own_reasons() || s.standby.has_own_reasons()))
      drop_mismatches();
    judge_attempt();
  }
  if (ended()) co_return;
  const bool failed = s.master.failed();
  if (failed && plan.statement.may_use_sequences) co_await align_sequences();
  if (own_block && !failed && s.inside != SerialState::Inside::outside) {
    s.inside = SerialState::Inside::end;
    s.order.gate.turn_into_end(id_);
  } else {
    leave_gate();
  }
  char status = only_master_failed && !own_block ? 'E' : s.master.status;
  if (own_block) {
    if (failed) {
      if (!s.unit_failed) replace_end_by_error(plan.extended);
      co_await undo(trial);
    } else {
      co_await commit_attempt(plan.extended);
      if (ended()) co_return;
      leave_gate();
      if (s.master.failed()) {
        replace_end_by_error(plan.extended);
        if (s.master.status != 'I') co_await undo(trial);
        if (plan.statement.may_use_sequences) co_await align_sequences();
      }
    }
    status = 'I';
  }
  if (status == 'T' && s.uses_snapshot) s.snapshot_taken = s.strict || s.serializable;
  const std::uint64_t key = plan.statement.row_key;
  if (!own_block && key != 0 && status == 'T')
    note_locked_rows(key, s.rows, trial.local && plan.statement.row_order == RowOrder::claimed);
  if (own_block || status == 'E') freed_locks();
  while (!ended() && (standby_state_ == StandbyState::lost || !env_.thread.may_release()))
    co_await s.event.wait();
  s.judging = false;
  if (!ended()) deliver(status);
}

/// The transaction goes on and holds what the attempt has locked.
void Session::note_locked_rows(std::uint64_t key, std::uint64_t rows, bool certain) {
  SerialState& s = *serial_;
  if (rows != 0) {
    if (s.order.forecast.add(id_, key, certain)) s.row_keys.push_back(key);
    return;
  }
  // There were none. Whoever stands behind this claim may try.
  if (s.new_claim != key || s.row_keys.empty() || s.row_keys.back() != key) return;
  std::vector<std::uint64_t> unused(1, key);
  s.row_keys.pop_back();
  s.order.forecast.drop(id_, unused);
  s.order.waits.moved(id_);
}

/// What a deferred constraint says at the commit stands where the tag would have stood.
void Session::replace_end_by_error(bool extended) {
  SerialState& s = *serial_;
  if (!extended) s.output.resize(std::min(s.output.size(), s.last_complete));
  s.output += s.own_error;
}

/// Runs the deferred checks of the frontend's transaction as a write, before its COMMIT. Inside the gate as
/// an end afterwards, so that nobody comes between. Where they fail, `refusal` is what the COMMIT has to say.
asio::awaitable<void> Session::check_deferred(const UnitPlan& plan) {
  SerialState& s = *serial_;
  s.judging = true;
  s.refusal.clear();
  const Trial trial{plan, {}, false, WayBack::savepoint, std::chrono::steady_clock::now(), false};
  s.refusal = co_await try_until_free(trial);
  if (ended()) co_return;
  if (s.refusal.empty() && s.master.failed()) s.refusal = s.own_error;
  // Both will roll back: what the standby would have said to the COMMIT is no difference.
  if (!s.refusal.empty()) drop_mismatches();
  s.judging = false;
  judge_mismatches();
  if (ended() || s.inside != SerialState::Inside::write) co_return;
  s.inside = SerialState::Inside::end;
  s.order.gate.turn_into_end(id_);
}

void Session::send_check(int number, bool extended) {
  SerialState& s = *serial_;
  s.master = s.standby = {};
  s.own_error.clear();
  add_savepoint(extended);
  limit_timeouts(number, false, extended);
  own_unit_text("SET CONSTRAINTS ALL IMMEDIATE", extended);
  flush_own();
}

/// The frontend's COMMIT fails by what was found before it: it is not sent; both roll back.
asio::awaitable<void> Session::refuse_commit(const UnitPlan& plan) {
  SerialState& s = *serial_;
  s.judging = true;
  if (s.inside == SerialState::Inside::outside) co_await enter_gate(GateMode::end, false);
  if (ended()) co_return;
  own_unit_text("ROLLBACK", plan.extended);
  flush_own();
  co_await settled();
  if (ended()) co_return;
  leave_gate();
  freed_locks();
  s.judging = false;
  MessageSplitter splitter(plan.size + 1);
  ByteSpan unit = as_bytes(front_kept_).first(plan.size);
  while (const std::optional<MessagePiece> piece = splitter.next(unit)) (void)tracker_.judge(*piece);
  (void)tracker_.take_unit_began();
  front_kept_.erase(0, plan.size);
  s.output = std::exchange(s.refusal, {});
  deliver('I');
}

/// The relay's own COMMIT, on both servers.
asio::awaitable<void> Session::commit_attempt(bool extended) {
  SerialState& s = *serial_;
  const bool standby_has_failed = s.standby.failed();
  s.master = s.standby = {};
  const bool master_first = s.serializable_by_default && standby_state_ == StandbyState::live;
  own_unit_text("COMMIT", extended);
  if (master_first) {
    const std::string commit = std::exchange(s.to_standby, {});
    flush_own();
    while (!ended() && s.master.status == 0) co_await s.event.wait();
    if (ended()) co_return;
    if (s.master.failed()) s.forgiving = true;
    const std::string text = s.master.failed() ? build_message('Q', std::string_view("ROLLBACK", 9)) : commit;
    send_to_standby(as_bytes(text));
  } else {
    flush_own();
  }
  co_await settled();
  if (ended()) co_return;
  if (s.forgiving || standby_has_failed) drop_mismatches();
  s.forgiving = false;
  judge_mismatches();
}

/// The unit is decided: gives its replies out.
void Session::deliver(char status) {
  SerialState& s = *serial_;
  s.output += build_message('Z', std::string_view(&status, 1));
  front_out_.send(as_bytes(s.output), owner());
  if (s.output.capacity() > 1024) s.output = std::string();
  s.output.clear();
  decided(status);
}

/// A failed attempt, or one that failed at different places, may have moved sequences differently.
asio::awaitable<void> Session::align_sequences() {
  if (standby_state_ != StandbyState::live) co_return;
  co_await env_.services.align_sequences(database_);
}

}  // namespace pgtandem
