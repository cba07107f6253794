/// Discipline `serial`: a write, run inside the gate on both servers so that nothing waits for a lock there
/// (design page 2, rules 2 and 3; hard points 14 to 17, 20).
///
///   autocommit      BEGIN; SET LOCAL lock_timeout | the unit as it came | COMMIT, as an end
///   in a block      SAVEPOINT; SET LOCAL lock_timeout | the unit as it came
///
/// What stands before and behind are units of the relay's own: their replies never reach the frontend. If
/// either server meets a lock, both are rolled back to where they were, the session leaves the gate, stands
/// aside until one of those in its way has moved, and tries again.
#include <algorithm>

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "common/protocol/messages.h"
#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

/// The master's attempt waits no longer than this for a lock. From the second try on it waits long enough for
/// the question who is in its way.
constexpr std::string_view kShortTimeout = "1ms";
constexpr std::string_view kAskingTimeout = "5ms";
/// The standby gets no longer, for it waits inside the gate too; a standby that is slower at times gets long
/// enough after some tries in vain.
constexpr std::string_view kStandbyTimeout = "2ms";
constexpr std::string_view kPatientTimeout = "50ms";
constexpr int kPatientFrom = 6;
/// A server cancels an autovacuum worker for whoever has waited for it for deadlock_timeout (1 s by default).
/// Now and then DDL waits as long.
constexpr std::string_view kAutovacuumTimeout = "1200ms";
constexpr int kAutovacuumEvery = 40;
/// Locks that no session of this relay holds are freed without its knowledge.
constexpr auto kRetryUnknown = 20ms;
constexpr auto kRetryKnown = 500ms;
constexpr int kUndoTries = 5;                     ///< each can only fail by a cancel of its own
constexpr std::size_t kOutputLimit = 256U << 10;  ///< bytes of replies that can be taken back

/// "500ms", "2s", "1min", "1h", "1d" or a number of milliseconds, as SHOW gives it; 0: no limit.
std::chrono::milliseconds time_of_setting(std::string_view text) {
  std::int64_t number = 0;
  std::size_t i = 0;
  while (i < text.size() && text[i] >= '0' && text[i] <= '9' && number < (1LL << 40))
    number = number * 10 + (text[i++] - '0');
  const std::string_view unit = text.substr(i);
  if (unit == "s") number *= 1000;
  if (unit == "min") number *= 60 * 1000;
  if (unit == "h") number *= 3600 * 1000;
  if (unit == "d") number *= 86400 * 1000LL;
  return std::chrono::milliseconds(number);
}

std::string quoted(std::string_view value) {
  std::string text = "'";
  for (const char c : value) text.append(c == '\'' ? 2 : 1, c);
  return text + "'";
}

std::string with_zero(std::string_view text) {
  return std::string(text) + '\0';
}

/// A statement in a cycle of its own that disturbs no unnamed statement or portal of the frontend ("Extended
/// Query"). What a failed one left behind is closed first.
void append_extended(std::string& out, std::string_view sql) {
  const std::string close =
      build_message('C', with_zero("Ppgtandem")) + build_message('C', with_zero("Spgtandem"));
  out += close;
  out += build_message('P', with_zero("pgtandem") + with_zero(sql) + std::string(2, '\0'));
  out += build_message('B', with_zero("pgtandem") + with_zero("pgtandem") + std::string(6, '\0'));
  out += build_message('E', with_zero("pgtandem") + std::string(4, '\0'));
  out += close;
  out += build_message('S', {});
}

}  // namespace

// Units of the relay's own.

void Session::own_unit_texts(std::string_view master_sql, std::string_view standby_sql, bool extended) {
  SerialState& s = *serial_;
  push_unit(Unit::Role::own);
  if (extended) {
    append_extended(s.to_master, master_sql);
    append_extended(s.to_standby, standby_sql);
  } else {
    s.to_master += build_message('Q', with_zero(master_sql));
    s.to_standby += build_message('Q', with_zero(standby_sql));
  }
}

void Session::own_unit_text(std::string_view sql, bool extended) {
  own_unit_texts(sql, sql, extended);
}

void Session::flush_own() {
  SerialState& s = *serial_;
  if (s.to_master.empty()) return;
  master_out_.send(as_bytes(s.to_master), owner());
  send_to_standby(as_bytes(s.to_standby));
  s.to_master.clear();
  s.to_standby.clear();
}

void Session::restore_timeouts(bool extended) {
  SerialState& s = *serial_;
  own_unit_text("SET LOCAL lock_timeout = " + quoted(s.lock_timeout), extended);
  if (s.statement_timeout != "0")
    own_unit_text("SET LOCAL statement_timeout = " + quoted(s.statement_timeout), extended);
  s.timeouts = SerialState::Timeouts::of_client;
}

/// Both servers limit their waiting for locks; the client's statement_timeout runs on the master's clock
/// alone.
void Session::limit_timeouts(int number, bool ddl, bool extended) {
  SerialState& s = *serial_;
  const std::string set = "SET LOCAL lock_timeout = ";
  const bool against_autovacuum = ddl && number % kAutovacuumEvery == 0;
  const std::string_view master = against_autovacuum ? kAutovacuumTimeout
                                  : number > 1       ? kAskingTimeout
                                                     : kShortTimeout;
  const std::string_view standby = against_autovacuum       ? kAutovacuumTimeout
                                   : number >= kPatientFrom ? kPatientTimeout
                                   : number > 1             ? kAskingTimeout
                                                            : kStandbyTimeout;
  own_unit_texts(set + quoted(master), set + quoted(standby), extended);
  if (s.statement_timeout != "0") {
    const std::string timeout = "SET LOCAL statement_timeout = ";
    own_unit_texts(timeout + quoted(s.statement_timeout), timeout + "0", extended);
  }
  s.timeouts = SerialState::Timeouts::ours;
}

/// What the frontend's settings are, by a unit of the relay's own; outside of transactions.
asio::awaitable<void> Session::learn_settings() {
  SerialState& s = *serial_;
  co_await settled();
  s.own_row.clear();
  own_unit_text(
      "SELECT pg_catalog.current_setting('lock_timeout'), pg_catalog.current_setting('statement_timeout'), "
      "pg_catalog.current_setting('default_transaction_isolation')",
      true);
  flush_own();
  co_await settled();
  if (ended() || s.own_row.size() != 3) co_return;
  s.lock_timeout = s.own_row[0];
  s.statement_timeout = s.own_row[1];
  s.serializable_by_default = s.own_row[2] == "serializable";
  s.strict_by_default = s.serializable_by_default || s.own_row[2] == "repeatable read";
  s.settings_known = true;
}

// Replies that are not passed on as they come.

/// A reply of the master to a unit of the relay's own, or to an attempt.
void Session::take_serial_reply(const MessagePiece& piece, const std::optional<Outcome>& outcome,
                                Unit::Role role) {
  SerialState& s = *serial_;
  if (outcome) {
    (void)rule_.must_wait(*outcome);  // it follows the transaction by the outcomes
    s.master.note(*outcome);
  }
  const bool unasked = piece.type == 'A' || piece.type == 'S';
  if (role == Unit::Role::own) {
    if (unasked) front_out_.send(piece.wire, owner());
    if (piece.type == 'E' && piece.whole()) {
      s.prefix_failed = s.prefix_failed || (s.output.empty() && !s.spilled && !s.unit_failed);
      s.own_error = as_text(piece.wire);
    }
    if (piece.type == 'D' && piece.whole()) keep_own_row(piece.body);
    return;
  }
  if (outcome && outcome->kind == Outcome::Kind::error) s.unit_failed = true;
  if (piece.type == 'Z') return;
  if (piece.type == 'C' && piece.first) s.last_complete = s.output.size();
  s.output.append(as_text(piece.wire));
  // What ends the statement waits for the commit, whatever its rows did (R1).
  const bool ends = piece.type == 'C' || piece.type == 'E' || piece.type == 's' || piece.type == 'I';
  if (!ends && s.output.size() > kOutputLimit) spill();
}

/// DataRow: count:int16 { length:int32 value }* ("Message Formats").
void Session::keep_own_row(ByteSpan body) {
  std::vector<std::string>& row = serial_->own_row;
  row.clear();
  ByteReader reader(body);
  const std::uint16_t count = reader.u16();
  for (std::uint16_t i = 0; i < count && !reader.failed(); ++i) {
    const std::uint32_t length = reader.u32();
    row.emplace_back(length == 0xFFFFFFFF ? std::string_view{} : as_text(reader.take(length)));
  }
}

/// More than can be kept: from here on the frontend gets it as it comes, and nothing can be taken back.
void Session::spill() {
  SerialState& s = *serial_;
  front_out_.send(as_bytes(s.output), owner());
  s.output.clear();
  s.last_complete = 0;
  s.spilled = true;
}

// Attempts.

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

void Session::send_attempt(const UnitPlan& plan, ByteSpan bytes, bool own_block, int number) {
  SerialState& s = *serial_;
  s.master = s.standby = {};
  s.output.clear();
  s.last_complete = 0;
  s.own_error.clear();
  s.unit_failed = s.prefix_failed = false;
  if (own_block) {
    own_unit_text("BEGIN", plan.extended);
    if (s.serializable_by_default) {
      s.soften_standby = true;
      soften_standby(plan.extended);
    }
    limit_timeouts(number, plan.statement.kind == StatementKind::ddl, plan.extended);
  } else {
    soften_standby(plan.extended);
    if (number == 1 || !s.own_savepoint) {
      // Released savepoints do not pile up.
      if (s.own_savepoint) own_unit_text("RELEASE SAVEPOINT pgtandem", plan.extended);
      own_unit_text("SAVEPOINT pgtandem", plan.extended);
      s.own_savepoint = true;
    }
    if (number > 1 || s.timeouts != SerialState::Timeouts::ours)
      limit_timeouts(number, plan.statement.kind == StatementKind::ddl, plan.extended);
  }
  append_attempt(bytes, number > 1);
  // What a deferred constraint has to wait for is waited for here, not at the commit (hard point 16).
  if (own_block && env_.services.may_defer(database_))
    own_unit_text("SET CONSTRAINTS ALL IMMEDIATE", plan.extended);
  flush_own();
}

/// Brings both servers back to where they were before the attempt. Prepared statements outlive a rollback: a
/// second Parse of the same name would fail.
void Session::send_undo(bool own_block, const UnitPlan& plan) {
  own_unit_text(own_block ? "ROLLBACK" : "ROLLBACK TO SAVEPOINT pgtandem", plan.extended);
  for (const std::string& name : plan.prepares) {
    push_unit(Unit::Role::own);
    const std::string close = build_message('C', with_zero("S" + name)) + build_message('S', {});
    serial_->to_master += close;
    serial_->to_standby += close;
  }
  if (!own_block) serial_->timeouts = SerialState::Timeouts::unknown;
  flush_own();
}

/// A cancel that comes late may hit this instead: until it is done on both.
asio::awaitable<void> Session::undo(bool own_block, const UnitPlan& plan) {
  SerialState& s = *serial_;
  const char wanted = own_block ? 'I' : 'T';
  for (int i = 0; i < kUndoTries && !ended(); ++i) {
    send_undo(own_block, plan);
    co_await settled();
    drop_mismatches();
    const bool standby_done = standby_state_ != StandbyState::live || s.standby.status == wanted;
    if (s.master.status == wanted && standby_done) break;
  }
}

bool Session::attempt_met_a_lock() const {
  const SerialState& s = *serial_;
  const bool standby_counts = standby_state_ == StandbyState::live;
  return s.master.lock_timeout || (standby_counts && s.standby.lock_timeout);
}

asio::awaitable<void> Session::run_attempts(const UnitPlan& plan) {
  SerialState& s = *serial_;
  const std::string unit = front_kept_.substr(0, plan.size);
  front_kept_.erase(0, plan.size);
  const bool own_block = status_ == 'I';
  const SteadyTime began = std::chrono::steady_clock::now();
  co_await settled();  // an end that the standby has still to finish leaves the gate by that
  s.judging = true;
  s.spilled = false;
  std::string refusal;
  for (int number = 1; !ended(); ++number) {
    co_await enter_gate(GateMode::write, plan.statement.kind == StatementKind::ddl);
    if (ended()) co_return;
    send_attempt(plan, as_bytes(unit), own_block, number);
    std::vector<std::uint32_t> pids;
    if (number > 1) pids = co_await who_blocks();
    co_await settled();
    if (ended()) co_return;
    if (!attempt_met_a_lock() || s.spilled) break;
    drop_mismatches();
    co_await undo(own_block, plan);
    if (plan.statement.may_use_sequences) co_await align_sequences();
    leave_gate();
    if (ended()) co_return;
    refusal = over_a_limit(began);
    if (refusal.empty()) {
      const bool deadlock = co_await stand_aside(pids, number);
      if (deadlock) refusal = deadlock_error();
    }
    if (ended()) co_return;
    if (!refusal.empty()) break;
  }
  if (ended()) co_return;
  if (!refusal.empty()) {
    co_await give_up_attempt(refusal, own_block, plan.extended);
  } else {
    co_await finish_attempt(plan, own_block);
  }
}

/// Asks while the master's attempt waits. Its backend may not have come to the lock yet.
asio::awaitable<std::vector<std::uint32_t>> Session::who_blocks() {
  std::vector<std::uint32_t> pids;
  for (int i = 0; i < 5 && pids.empty() && !units_.empty() && !ended(); ++i)
    pids = co_await env_.services.blockers(master_key_.pid);
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

/// The attempt has been undone; the frontend gets an error that looks like the server's own.
asio::awaitable<void> Session::give_up_attempt(const std::string& error, bool own_block, bool extended) {
  SerialState& s = *serial_;
  if (!own_block) co_await fail_transaction(extended);
  s.order.waits.moved(id_);
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
  serial_->own_savepoint = false;
}

asio::awaitable<void> Session::finish_attempt(const UnitPlan& plan, bool own_block) {
  SerialState& s = *serial_;
  const bool standby_counts = standby_state_ == StandbyState::live;
  // Undone on both, nothing has been missed: the standby took what the master refused.
  const bool only_master_failed = s.master.failed() && standby_counts && !s.standby.failed();
  if (only_master_failed) {
    drop_mismatches();
    if (!own_block) co_await fail_transaction(plan.extended);
  } else {
    // Both have failed, and nothing is left of either: that they give other reasons is no difference.
    if (s.master.failed() && s.standby.failed() && (s.master.gave_up() || s.standby.gave_up()))
      drop_mismatches();
    judge_mismatches();
  }
  if (ended()) co_return;
  const bool failed = s.master.failed();
  if (s.prefix_failed && s.unit_failed) s.output = s.own_error;
  if (failed && plan.statement.may_use_sequences) co_await align_sequences();
  if (own_block && !failed) {
    s.inside = SerialState::Inside::end;
    s.order.gate.turn_into_end(id_);
  } else {
    leave_gate();
  }
  char status = only_master_failed && !own_block ? 'E' : s.master.status;
  if (own_block) {
    if (failed) {
      if (!s.unit_failed) replace_end_by_error(plan.extended);
      co_await undo(true, plan);
    } else {
      co_await commit_attempt(plan.extended);
      if (ended()) co_return;
      leave_gate();
      if (s.master.failed()) {
        replace_end_by_error(plan.extended);
        if (s.master.status != 'I') co_await undo(true, plan);
        if (plan.statement.may_use_sequences) co_await align_sequences();
      }
    }
    status = 'I';
  }
  if (own_block || status == 'E') s.order.waits.moved(id_);
  while (!ended() && (standby_state_ == StandbyState::lost || !env_.thread.may_release()))
    co_await s.event.wait();
  s.judging = false;
  if (!ended()) deliver(status);
}

/// What a deferred constraint says at the commit stands where the tag would have stood.
void Session::replace_end_by_error(bool extended) {
  SerialState& s = *serial_;
  if (!extended) s.output.resize(std::min(s.output.size(), s.last_complete));
  s.output += s.own_error;
}

/// Runs the deferred checks of the frontend's transaction as a write, before its COMMIT. Inside the gate as
/// an end afterwards, so that nobody comes between. Where they fail, `refusal` is what the COMMIT has to say.
asio::awaitable<void> Session::check_deferred(bool extended) {
  SerialState& s = *serial_;
  s.judging = true;
  s.refusal.clear();
  const SteadyTime began = std::chrono::steady_clock::now();
  for (int number = 1; !ended() && s.refusal.empty(); ++number) {
    co_await enter_gate(GateMode::write, false);
    if (ended()) co_return;
    send_check(number, extended);
    std::vector<std::uint32_t> pids;
    if (number > 1) pids = co_await who_blocks();
    co_await settled();
    if (ended()) co_return;
    if (!attempt_met_a_lock()) break;
    drop_mismatches();
    own_unit_text("ROLLBACK TO SAVEPOINT pgtandem", extended);
    flush_own();
    co_await settled();
    leave_gate();
    if (ended()) co_return;
    s.refusal = over_a_limit(began);
    if (!s.refusal.empty()) break;
    const bool deadlock = co_await stand_aside(pids, number);
    if (deadlock) s.refusal = deadlock_error();
  }
  if (ended()) co_return;
  if (s.refusal.empty() && s.master.failed()) s.refusal = s.own_error;
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
  if (s.own_savepoint) own_unit_text("RELEASE SAVEPOINT pgtandem", extended);
  own_unit_text("SAVEPOINT pgtandem", extended);
  s.own_savepoint = true;
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
  s.order.waits.moved(id_);
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
  s.master = s.standby = {};
  const bool master_first = s.serializable_by_default && standby_state_ == StandbyState::live;
  own_unit_text("COMMIT", extended);
  if (master_first) {
    const std::string commit = std::exchange(s.to_standby, {});
    flush_own();
    while (!ended() && s.master.status == 0) co_await s.event.wait();
    if (ended()) co_return;
    if (s.master.failed()) s.forgiving = true;
    const std::string text = s.master.failed() ? build_message('Q', with_zero("ROLLBACK")) : commit;
    send_to_standby(as_bytes(text));
  } else {
    flush_own();
  }
  co_await settled();
  if (ended()) co_return;
  if (s.forgiving) drop_mismatches();
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
