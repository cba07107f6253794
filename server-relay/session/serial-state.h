/// What a session of discipline `serial` remembers beside what every session has. Data of one session, on its
/// thread; session-serial.cpp (what a unit needs before it may be sent) and session-attempt.cpp (units that
/// may have to be tried again) work on it.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/net/wakeup.h"
#include "server-relay/gate/gates.h"
#include "server-relay/replies/outcome.h"
#include "server-relay/rewriting/rewrite-plan-cache.h"
#include "server-relay/session/rewritten-statements.h"
#include "server-relay/session/unit-planner.h"
#include "server-relay/statements/database-statements.h"

namespace pgtandem {

struct SerialState final : private UnitPlanner::Classifier {
  SerialState(asio::io_context& context, DatabaseOrder& order_of_database,
              DatabaseStatements& statements_of_database, RewritePlanCache& plans_of_database,
              const TextDialect& dialect_of_session)
      : event(context),
        order(order_of_database),
        statements(statements_of_database),
        rewrite_plans(plans_of_database),
        dialect(dialect_of_session),
        planner(*this) {}

  /// Where the session is with respect to its database's gate.
  enum class Inside { outside, write, local, end, alone };
  /// Whose lock_timeout the open transaction has.
  enum class Timeouts { of_client, ours, unknown };

  Wakeup event;  ///< let in; both legs done; time to try again
  DatabaseOrder& order;
  DatabaseStatements& statements;
  RewritePlanCache& rewrite_plans;
  const TextDialect& dialect;
  UnitPlanner planner;

  // The gate.
  Inside inside = Inside::outside;
  bool let_in = false;
  /// Of the last question to the gate or to those in the way: an answer to an earlier one, which may still be
  /// on its way to this thread, says nothing.
  std::uint64_t asked = 0;
  bool reading = false;                                ///< counted among the reads under way
  bool admitted = false;                               ///< the next unit may be sent as it comes
  std::chrono::steady_clock::time_point stirred_at{};  ///< neither server has been idle for longer
  bool admitting = false;                              ///< the next unit is known, and has not been sent
  bool open_unit = false;     ///< the unit under way was sent before all of it was seen
  bool gate_execute = false;  ///< and has come to an Execute that needs the gate
  bool victim_clean = false;  ///< and had committed nothing inside
  bool victim = false;        ///< the unit that is alone was given up: its 57014 is a deadlock's 40P01
  std::chrono::steady_clock::time_point client_moved{};  ///< for client_stall
  std::uint64_t written_to_client = 0;
  std::chrono::steady_clock::time_point entered{};  ///< the gate
  bool slow_told = false;
  bool names_secret = false;  ///< the unit's text is not for the log
  bool in_shared = false;     ///< in the order of roles and databases, too

  // The frontend's transaction.
  bool wrote = false;
  std::uint32_t youngest_savepoints = 0;  ///< so many of the youngest are the relay's
  std::uint32_t open_savepoints = 0;      ///< of the relay's in the transaction
  Timeouts timeouts = Timeouts::of_client;
  bool standby_unlimited = false;  ///< there the client's time limits do not hold in the open transaction
  bool strict = false;             ///< its snapshot outlives a statement (REPEATABLE READ and above)
  bool serializable = false;       ///< and the master judges it
  std::string held_locks;          ///< session advisory locks before the attempt under way
  bool soften_standby = false;     ///< the standby's side of it has still to be told
  bool catalogue_changed = false;
  bool catalogue_awaited = false;       ///< once, at the session's first unit
  bool failed_in_block = false;         ///< and those who wait for its locks have not been told yet
  std::vector<std::uint64_t> row_keys;  ///< what the forecast has of it
  bool has_savepoints = false;          ///< of the frontend's own
  bool untold_until_settled = false;    ///< the transaction is over, on the master at least
  bool untold = false;                  ///< it may have locks that are not among those
  std::uint32_t untried = 0;  ///< units let in without a try that have still to finish (session-untried.cpp)
  std::uint64_t new_claim = 0;     ///< what the statement under way was the first to claim; 0: nothing
  std::uint64_t untried_rows = 0;  ///< in the master's tag of the last of them
  bool counts_untried = false;     ///< some of them are in the gate, and counted there
  bool sends_untried = false;      ///< the next unit is one of them
  bool forgivable = false;         ///< of the next unit (Session::Unit)
  bool begins = false;             ///< of the next unit (Session::Unit)
  bool lags = false;               ///< the next unit comes to the standby with the one behind it
  bool waits_in_server = false;    ///< and was found waiting there
  bool standby_must_fail =
      false;                ///< the master failed for reasons of its own: the standby's side has not yet
  std::string begin_bytes;  ///< the unit that began it, while nothing else has been done in it

  // The frontend's settings, as far as the relay has to answer for them.
  bool settings_known = false;
  bool strict_by_default = false;
  bool serializable_by_default = false;
  std::string lock_timeout = "0";
  std::string statement_timeout = "0";
  std::string parallel_workers = "2";                ///< max_parallel_workers_per_gather
  std::chrono::milliseconds idle_in_block_limit{0};  ///< idle_in_transaction_session_timeout; 0: none
  std::chrono::milliseconds idle_limit{0};           ///< idle_session_timeout
  bool parallel_off = false;                         ///< in the open transaction, by the relay
  bool seeded = false;                               ///< random() gives the same on both legs
  bool seed_of_client = false;                       ///< and the frontend wants its own series

  // Of a SERIALIZABLE READ ONLY DEFERRABLE transaction that has no snapshot yet.
  bool read_only = false;
  bool deferrable = false;
  bool safe_snapshot = false;  ///< it has one now: nobody's commit can make it fail
  bool snapshot_taken =
      false;  ///< of a transaction that keeps it, in order: its reads need no order any more

  // The open transaction's time on the master, as rewriting has it; empty: not known.
  std::string transaction_time;
  bool wants_time = false;  ///< the session's transactions use it: asked for in front of their first write

  /// What one leg said to the attempt under way.
  struct Reply {
    std::string sqlstate;       ///< of its first error
    bool lock_timeout = false;  ///< that is the short time limit of the relay's own making
    char status = 0;            ///< in its last ReadyForQuery
    bool failed() const { return !sqlstate.empty(); }
    /// For reasons of time or order: another server, or the same a moment later, may do it.
    bool gave_up() const {
      return sqlstate == "57014" || sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "55P03";
    }
    /// Says nothing of the data: that, or a disk or memory or connections that do not suffice (classes 53,
    /// 57 and 58 of "Error Codes").
    bool has_own_reasons() const {
      return gave_up() || sqlstate.starts_with("53") || sqlstate.starts_with("57") ||
             sqlstate.starts_with("58");
    }
    void note(const Outcome& outcome) {
      if (outcome.kind == Outcome::Kind::ready) status = outcome.status;
      if (outcome.kind != Outcome::Kind::error || failed()) return;
      sqlstate = outcome.sqlstate.view();
      lock_timeout = outcome.lock_timeout;
    }
  };
  Reply master, standby;
  std::uint64_t unit = 0;  ///< the frontend's last one, which both are about
  /// Since when the standby alone meets locks in what is tried, if it does.
  std::optional<std::chrono::steady_clock::time_point> standby_behind_locks;
  bool judging = false;  ///< differences wait until the attempt is judged as a whole

  /// What goes in front of the frontend's next unit.
  struct Prefix {
    std::string to_master, to_standby;
    std::uint32_t of_master = 0, of_standby = 0;  ///< replies to be dropped
    bool extended = false;
    void clear() {
      to_master.clear();
      to_standby.clear();
      of_master = of_standby = 0;
    }
  };
  Prefix prefix;
  /// How much of one unit's prefix is still to be answered.
  struct PrefixReplies {
    std::uint32_t of_master = 0, of_standby = 0;
    bool extended = false;  ///< the unit ends with a Sync
  };

  std::string output;             ///< the master's replies to the attempt, for the frontend
  std::size_t last_complete = 0;  ///< where its last CommandComplete begins
  std::uint64_t rows = 0;         ///< in the tag of the master's reply to the attempt
  bool uses_snapshot = false;     ///< says that tag: not so of SHOW, LOCK or SET CONSTRAINTS
  bool unit_failed = false;       ///< the frontend's own statement, not the check of deferred constraints
  bool spilled = false;           ///< some of it has gone out: it cannot be tried again
  std::string refusal;            ///< an ErrorResponse for a COMMIT that is not sent
  std::string own_error;          ///< the master's ErrorResponse to a unit of the relay's own
  std::vector<std::optional<std::string>> own_values;  ///< the last row of such a unit
  RewrittenStatements rewritten;
  std::string password_encryption = "scram-sha-256";  ///< the master's setting

  std::string to_master, to_standby;  ///< collected, so that one write carries them

  // A COPY whose data are kept until they are complete, so that the gate does not wait for the client.
  bool spooling = false;
  bool copy_begun = false;  ///< the master has asked for them
  std::string spooled;

  // A unit that runs on the master first.
  bool deferring = false;
  bool watching = false;  ///< the master's unit is alone and under way: is it waiting for somebody?
  std::string deferred;
  std::size_t deferred_prefix = 0;     ///< bytes of it that are the relay's
  std::size_t names_answered = 0;      ///< ParseComplete and CloseComplete of the master in this unit
  bool aligning = false;               ///< has run, and the sequences are being made equal
  bool alone_moves_sequences = false;  ///< it may have moved some
  bool calls_code = false;             ///< CALL or DO: what it commits inside is not seen
  bool committed_inside = false;       ///< a tag said so
  bool completed_inside = false;       ///< one of several statements
  bool forgiving = false;              ///< the standby was not given what the master gave up
  bool standby_cancelled = false;      ///< it is still at what the master has refused
  std::chrono::steady_clock::time_point standby_cancelled_at{};  ///< the last time

  /// A unit begins: what was to go in front of it does.
  void take_prefix(PrefixReplies& replies) {
    if (prefix.of_master == 0 && prefix.of_standby == 0) return;
    replies = {prefix.of_master, prefix.of_standby, prefix.extended};
    to_master += prefix.to_master;
    to_standby += prefix.to_standby;
    prefix.clear();
  }
  void begin_unit(std::uint64_t number) {
    unit = number;
    master = standby = {};
    committed_inside = completed_inside = forgiving = standby_cancelled = false;
    deferred_prefix = names_answered = 0;
  }

 private:
  std::shared_ptr<const Statement> classify(std::string_view text) override {
    return statements.classify(text, catalogue_changed, dialect);
  }
  // Nor does what was proven before it hold in a transaction that has changed the catalogue.
  std::uint64_t version() const override { return catalogue_changed ? 0 : statements.version(); }
  std::uint64_t current_version() const override {
    return catalogue_changed ? 0 : statements.current_version();
  }
};

}  // namespace pgtandem
