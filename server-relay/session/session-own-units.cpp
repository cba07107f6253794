/// Discipline `serial`: statements of the relay's own, and replies that the frontend does not get as they
/// come.
///
///   own unit   a cycle of its own, none of whose replies reaches the frontend
///   prefix     sent in one go before a unit of the frontend's, without a cycle of its own; its replies are
///              dropped where they are read (take_prefix_reply)
#include "common/base/crypto.h"
#include "common/protocol/messages.h"
#include "server-relay/rewriting/transaction-time.h"
#include "server-relay/session/session.h"
#include "server-relay/session/time-setting.h"

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
constexpr std::size_t kOutputLimit = 256U << 10;  ///< bytes of replies that can be taken back

std::string quoted(std::string_view value) {
  std::string text = "'";
  for (const char c : value) text.append(c == '\'' ? 2 : 1, c);
  return text + "'";
}

std::string with_zero(std::string_view text) {
  return std::string(text) + '\0';
}

/// Parse, Bind and Execute of a statement by its name; the portal has the same one ("Extended Query").
/// Its rows come as text, or in the binary format: formats:int16, parameters:int16, result formats:int16.
void append_execution(std::string& out, std::string_view name, std::string_view sql, bool binary) {
  static const std::string as_text_form(6, '\0');
  static const std::string as_binary_form{'\0', '\0', '\0', '\0', '\0', '\1', '\0', '\1'};
  out += build_message('P', with_zero(name) + with_zero(sql) + std::string(2, '\0'));
  out += build_message('B', with_zero(name) + with_zero(name) + (binary ? as_binary_form : as_text_form));
  out += build_message('E', with_zero(name) + std::string(4, '\0'));
}
constexpr unsigned kRepliesToExecution = 3;  ///< ParseComplete, BindComplete, CommandComplete

/// The same so that it disturbs no unnamed statement or portal of the frontend. What a failed one left behind
/// is closed first.
void append_apart(std::string& out, std::string_view sql, bool binary = false) {
  static const std::string close =
      build_message('C', with_zero("Ppgtandem")) + build_message('C', with_zero("Spgtandem"));
  out += close;
  append_execution(out, "pgtandem", sql, binary);
  out += close;
}
constexpr unsigned kRepliesApart = kRepliesToExecution + 4;  ///< and four CloseComplete

}  // namespace

// Units of the relay's own.

/// Without a Sync.
void Session::append_own_statement(std::string& out, std::string_view sql) {
  append_apart(out, sql);
}

void Session::own_unit_texts(std::string_view master_sql, std::string_view standby_sql, bool extended) {
  SerialState& s = *serial_;
  push_unit(Unit::Role::own);
  if (extended) {
    append_apart(s.to_master, master_sql);
    append_apart(s.to_standby, standby_sql);
    s.to_master += build_message('S', {});
    s.to_standby += build_message('S', {});
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
  if (s.to_master.empty() && s.to_standby.empty()) return;
  master_->out.send(as_bytes(s.to_master), owner());
  send_to_standby(as_bytes(s.to_standby));
  s.to_master.clear();
  s.to_standby.clear();
}

/// A statement that is sent in front of the frontend's next unit; an empty one to one server: to the other
/// alone. In the simple protocol the unnamed statement and portal may be used for it, for a Query destroys
/// them anyway. The backend takes a Query behind an Execute without a Sync; had the Execute failed, it skips
/// all up to a Sync, which is then sent (take_prefix_reply).
void Session::add_prefix(std::string_view master_sql, std::string_view standby_sql, bool extended) {
  SerialState::Prefix& prefix = serial_->prefix;
  const auto add = [extended](std::string& out, std::uint32_t& replies, std::string_view sql) {
    if (sql.empty()) return;
    const bool binary = sql == kTransactionTimeSql;
    if (extended) {
      append_apart(out, sql, binary);
    } else {
      append_execution(out, {}, sql, binary);
    }
    replies += extended ? kRepliesApart : kRepliesToExecution;
  };
  add(prefix.to_master, prefix.of_master, master_sql);
  add(prefix.to_standby, prefix.of_standby, standby_sql);
  prefix.extended = extended;
}

void Session::add_prefix(std::string_view sql, bool extended) {
  add_prefix(sql, sql, extended);
}

/// True: `piece` answers the unit's prefix, and nobody wants it. An error there is the unit's own: the rest
/// of it has been skipped.
bool Session::take_prefix_reply(std::uint32_t& to_come, bool extended, OutBuffer& leg,
                                const MessagePiece& piece) {
  if (piece.type == 'E') {
    to_come = 0;
    if (!extended) leg.send(as_bytes(build_message('S', {})), owner());
    return false;
  }
  if (piece.type == 'D') {  // the transaction's time: nothing else in front of a unit has rows
    if (&leg == &master_->out && piece.whole()) {
      keep_own_values(piece.body);
      if (!serial_->own_values.empty())
        serial_->transaction_time =
            transaction_time_text(as_bytes(serial_->own_values[0].value_or(""))).value_or("");
    }
    return true;
  }
  const bool counts = piece.type == '1' || piece.type == '2' || piece.type == '3' || piece.type == 'C';
  if (counts && piece.last) --to_come;
  return counts;
}

/// The client's limits run on the master's clock alone (design page 2, rule 4), save in a unit that may show
/// them.
void Session::restore_timeouts(const UnitPlan& plan) {
  SerialState& s = *serial_;
  limit_as_client(plan.statement.names_settings, true, plan.extended);
  if (s.parallel_off)
    add_prefix("SET LOCAL max_parallel_workers_per_gather = " + quoted(s.parallel_workers), plan.extended);
  s.parallel_off = false;
  s.timeouts = SerialState::Timeouts::of_client;
}

/// The same where the master has them already.
void Session::lift_limits_of_standby(const UnitPlan& plan) {
  const SerialState& s = *serial_;
  const bool has_some = s.lock_timeout != "0" || s.statement_timeout != "0";
  const bool shown = plan.statement.names_settings;
  if (!mirrored() || !s.settings_known || !has_some || s.standby_unlimited != shown) return;
  limit_as_client(shown, false, plan.extended);
}

void Session::limit_as_client(bool on_standby, bool on_master, bool extended) {
  SerialState& s = *serial_;
  const auto limit = [&](std::string_view name, const std::string& value) {
    const std::string set = "SET LOCAL " + std::string(name) + " = ";
    add_prefix(on_master ? set + quoted(value) : "", set + (on_standby ? quoted(value) : "0"), extended);
  };
  limit("lock_timeout", s.lock_timeout);
  if (s.statement_timeout != "0") limit("statement_timeout", s.statement_timeout);
  s.standby_unlimited = !on_standby;
}

/// What random() gives inside of triggers and functions is equal as long as every call runs on both servers:
/// not after a failed attempt, and not where one stopped earlier. `SET seed` does what setseed() does
/// ("SET").
std::string Session::seed_setting() {
  std::uint32_t number = 0;
  for (const char byte : random_bytes(sizeof number)) number = number << 8 | std::uint8_t(byte);
  return std::to_string(double(number % 1000000000U) / 1e9);
}

/// The master alone judges what is serializable (design page 2, rule 8).
void Session::soften_standby(bool extended) {
  SerialState& s = *serial_;
  if (!s.soften_standby) return;
  s.soften_standby = false;
  add_prefix("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
             "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", extended);
}

/// Both servers limit their waiting for locks; the client's statement_timeout runs on the master's clock
/// alone.
void Session::limit_timeouts(int number, bool ddl, bool extended) {
  SerialState& s = *serial_;
  const std::string set = "SET LOCAL lock_timeout = ";
  const bool against_autovacuum = ddl && number % kAutovacuumEvery == 0;
  // One server alone finds its deadlocks by itself, but only among those who really wait.
  const std::string_view master = !mirrored()          ? std::string_view(s.lock_timeout)
                                  : against_autovacuum ? kAutovacuumTimeout
                                  : number > 1         ? kAskingTimeout
                                                       : kShortTimeout;
  const std::string_view standby = against_autovacuum       ? kAutovacuumTimeout
                                   : number >= kPatientFrom ? kPatientTimeout
                                   : number > 1             ? kAskingTimeout
                                                            : kStandbyTimeout;
  add_prefix(set + quoted(master), set + quoted(standby), extended);
  if (s.statement_timeout != "0") {
    const std::string timeout = "SET LOCAL statement_timeout = ";
    add_prefix(timeout + quoted(s.statement_timeout), timeout + "0", extended);
  }
  s.timeouts = SerialState::Timeouts::ours;
}

/// Sums of several workers come together in any order: what a query fills a table with has one.
void Session::forbid_parallel_plans(bool extended) {
  SerialState& s = *serial_;
  if (s.parallel_off || s.parallel_workers == "0") return;
  add_prefix("SET LOCAL max_parallel_workers_per_gather = 0", extended);
  s.parallel_off = true;
}

/// In front of a transaction's first write, where its later ones are going to want it. The standby need not
/// say.
void Session::ask_for_time(bool extended) {
  SerialState& s = *serial_;
  if (s.wants_time && s.transaction_time.empty()) add_prefix(kTransactionTimeSql, {}, extended);
}

/// What the frontend's settings are, by a unit of the relay's own; outside of transactions.
asio::awaitable<void> Session::learn_settings() {
  SerialState& s = *serial_;
  co_await settled();
  s.own_values.clear();
  const std::string seed = s.seeded ? "" : ", pg_catalog.setseed(" + seed_setting() + ")";
  own_unit_text(
      "SELECT pg_catalog.current_setting('lock_timeout'), pg_catalog.current_setting('statement_timeout'), "
      "pg_catalog.current_setting('default_transaction_isolation'), "
      "pg_catalog.current_setting('password_encryption'), "
      "pg_catalog.current_setting('max_parallel_workers_per_gather'), "
      "pg_catalog.current_setting('idle_in_transaction_session_timeout'), "
      "coalesce(pg_catalog.current_setting('idle_session_timeout', true), '0')" +
          seed,
      true);
  flush_own();
  co_await settled();
  if (ended() || s.own_values.size() < 7) co_return;
  s.seeded = true;
  s.lock_timeout = s.own_values[0].value_or("0");
  s.statement_timeout = s.own_values[1].value_or("0");
  s.serializable_by_default = s.own_values[2] == "serializable";
  s.strict_by_default = s.serializable_by_default || s.own_values[2] == "repeatable read";
  s.password_encryption = s.own_values[3].value_or("scram-sha-256");
  s.parallel_workers = s.own_values[4].value_or("2");
  s.idle_in_block_limit = time_of_setting(s.own_values[5].value_or("0"));
  s.idle_limit = time_of_setting(s.own_values[6].value_or("0"));
  s.settings_known = true;
}

/// Session advisory locks outlive the rollback of a failed attempt, on one server or both: those that were
/// not there before it are given back (hard point 15). Of a lock that was held already, only the count is
/// wrong.
asio::awaitable<void> Session::note_advisory_locks(bool extended) {
  SerialState& s = *serial_;
  s.own_values.clear();
  own_unit_text(
      "SELECT coalesce(pg_catalog.string_agg(pg_catalog.concat_ws('.', classid, objid, objsubid, mode), "
      "','), "
      "'') FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND pid = "
      "pg_catalog.pg_backend_pid()",
      extended);
  flush_own();
  co_await settled();
  drop_mismatches();
  s.held_locks = s.own_values.empty() ? std::string() : s.own_values[0].value_or("");
}

asio::awaitable<void> Session::free_advisory_locks(bool extended) {
  own_unit_text(
      "SELECT CASE objsubid WHEN 1 THEN CASE mode WHEN 'ShareLock' "
      "THEN pg_catalog.pg_advisory_unlock_shared(classid::int8 << 32 | objid::int8) "
      "ELSE pg_catalog.pg_advisory_unlock(classid::int8 << 32 | objid::int8) END "
      "ELSE CASE mode WHEN 'ShareLock' "
      "THEN pg_catalog.pg_advisory_unlock_shared(classid::int8::bit(32)::int4, objid::int8::bit(32)::int4) "
      "ELSE pg_catalog.pg_advisory_unlock(classid::int8::bit(32)::int4, objid::int8::bit(32)::int4) END END "
      "FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND pid = "
      "pg_catalog.pg_backend_pid() AND pg_catalog.concat_ws('.', classid, objid, objsubid, mode) "
      "<> ALL (pg_catalog.string_to_array('" +
          serial_->held_locks + "', ','))",
      extended);
  flush_own();
  co_await settled();
  drop_mismatches();
}

// Replies that are not passed on as they come.

/// A reply of the master to a unit of the relay's own, or to an attempt.
void Session::take_serial_reply(const MessagePiece& piece, const std::optional<Outcome>& outcome,
                                Unit::Role role) {
  SerialState& s = *serial_;
  if (outcome) {
    (void)rule_.must_wait(*outcome);  // it follows the transaction by the outcomes
    s.master.note(*outcome);
    if (outcome->kind == Outcome::Kind::complete && role == Unit::Role::attempt) {
      const std::string_view tag = outcome->text.view();
      s.rows = tag_count(tag);
      s.uses_snapshot = tag.starts_with("SELECT") || tag.starts_with("INSERT") || tag.starts_with("UPDATE") ||
                        tag.starts_with("DELETE") || tag.starts_with("MERGE");
    }
  }
  const bool unasked = piece.type == 'A' || piece.type == 'S';
  if (role == Unit::Role::own) {
    if (unasked) front_out_.send(piece.wire, owner());
    if (piece.type == 'E' && piece.whole()) {
      s.own_error = as_text(piece.wire);
    }
    if (piece.type == 'D' && piece.whole()) keep_own_values(piece.body);
    return;
  }
  if (outcome && outcome->kind == Outcome::Kind::error) s.unit_failed = true;
  if (piece.type == 'Z') return;
  if (piece.type == 'C' && piece.first) s.last_complete = s.output.size();
  const std::optional<std::string> restored = restored_reply(piece);
  s.output.append(restored ? std::string_view(*restored) : as_text(piece.wire));
  // What ends the statement waits for the commit, whatever its rows did (R1).
  const bool ends = piece.type == 'C' || piece.type == 'E' || piece.type == 's' || piece.type == 'I';
  if (!ends && s.output.size() > kOutputLimit) spill();
}

/// DataRow: count:int16 { length:int32 value }* ("Message Formats").
void Session::keep_own_values(ByteSpan body) {
  std::vector<std::optional<std::string>>& row = serial_->own_values;
  row.clear();
  ByteReader reader(body);
  const std::uint16_t count = reader.u16();
  for (std::uint16_t i = 0; i < count && !reader.failed(); ++i) {
    const std::uint32_t length = reader.u32();
    row.emplace_back(length == 0xFFFFFFFF ? std::nullopt
                                          : std::optional(std::string(as_text(reader.take(length)))));
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

}  // namespace pgtandem
