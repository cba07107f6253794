/// One PostgreSQL frontend and its legs (1-session.md). Owned by its coroutines; pinned to one I/O thread,
/// where all of it runs (hold_units and release_units excepted). The decisions are in RequestTracker,
/// ReleaseRule, Matcher, LoginObserver and StandbyLogin; this drives them.
///
///   session.cpp           life: start, end, what the relay tells it
///   session-login.cpp     negotiation, login to both servers
///   session-requests.cpp  f->m, f->s
///   session-replies.cpp   m->f, and what is released when
///   session-standby.cpp   s->compared; the standby's clock, loss and differences
///   session-succession.cpp  the master is lost: the session goes on with the standby
///   session-serial.cpp    discipline serial: what a unit needs before it is sent
///   session-gate.cpp      in front of the gate, inside of it, and out again
///   session-alone.cpp     and units that the master runs first
///   session-attempt.cpp   and writes that are tried again where they met a lock
///   session-untried.cpp   writes that need no such try
///   session-lag.cpp       what the standby gets together with the unit behind it
///   session-commit.cpp    how those end: checks before a COMMIT, the relay's own COMMIT, what is delivered
///   session-own-units.cpp statements of the relay's own in the legs
///   session-rewrite.cpp   what depends on the server is computed once
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "common/net/stream.h"
#include "common/net/wakeup.h"
#include "common/protocol/error-response.h"
#include "common/protocol/login-observer.h"
#include "common/protocol/message-splitter.h"
#include "common/protocol/standby-login.h"
#include "common/protocol/startup-negotiation.h"
#include "server-relay/replies/matcher.h"
#include "server-relay/replies/reply-reader.h"
#include "server-relay/session/ahead-replies.h"
#include "server-relay/session/cancel-registry.h"
#include "server-relay/session/end-reason.h"
#include "server-relay/session/held-output.h"
#include "server-relay/session/leg-connection.h"
#include "server-relay/session/out-buffer.h"
#include "server-relay/session/release-rule.h"
#include "server-relay/session/request-tracker.h"
#include "server-relay/session/serial-state.h"
#include "server-relay/session/session-environment.h"
#include "server-relay/session/session-oids.h"

namespace pgtandem {

class Session final : public SessionBase, public CancelTarget, public std::enable_shared_from_this<Session> {
 public:
  /// `client` is the frontend's address ("local" for the Unix socket).
  Session(SessionEnvironment& environment, Stream frontend, std::string client);
  ~Session() override;

  /// Begins; returns at once.
  void start();

  void on_authority() override;
  void on_tick(SteadyTime now) override;
  void end_for_operator(SessionEnd how, const std::string& message) override;
  void hold_units(std::function<void(Keys)> go) override;
  void release_units() override;

 private:
  /// How many units a standby may lag behind inside a transaction block before the next one waits for it.
  static constexpr std::size_t kMaxLaggingUnits = 256;
  enum class Phase { negotiating, waiting_for_service, login, streaming, draining, ended };
  enum class StandbyState {
    none,     ///< no leg: the master alone counts
    opening,  ///< login under way
    live,
    lost,  ///< reported; nothing is released until the authority says that the master goes on alone
  };
  struct Unit {
    enum class Role : std::uint8_t {
      frontend,  ///< its replies are passed on as they come, or held
      own,       ///< the relay's: nobody sees them
      attempt,   ///< the frontend's, but it may be undone and sent again
    };
    Role role = Role::frontend;
    SerialState::PrefixReplies prefix;
    bool deferred = false;    ///< the standby began when the master had finished
    bool untried = false;     ///< counts in SerialState::untried
    bool forgivable = false;  ///< commits nothing: what one server gives up of it, the other one may, too
    bool begins = false;      ///< a BEGIN outside of a transaction
    bool lags = false;        ///< the standby gets it together with the next one (session-lag.cpp)
    SteadyTime began{};
    SteadyTime master_done{};
    std::uint64_t master_bytes = 0;
    std::uint64_t standby_bytes = 0;
    bool wrote = false;          ///< a tag of the master said so
    bool standby_wrote = false;  ///< a tag of the standby said so
    char standby_status = 0;     ///< the standby's transaction status at its end
    std::string statement;       ///< kept when the next unit begins before this one is matched
  };

  // session.cpp
  void spawn(asio::awaitable<void> (Session::*loop)());
  void end(EndReason reason, const std::string& detail, const std::string& farewell);
  void end_with_error(EndReason reason, const ErrorReport& report, const std::string& detail);
  void close_legs();
  void log_end(const std::string& detail);
  void wake_all();
  bool ended() const { return phase_ == Phase::ended; }
  bool is_settled() const;
  void end_if_idle();
  std::shared_ptr<void> owner() { return shared_from_this(); }

  // session-login.cpp
  asio::awaitable<void> run();
  asio::awaitable<bool> negotiate();
  asio::awaitable<bool> wait_for_service();
  void hand_on();
  asio::awaitable<bool> pass_cancel_on(const CancelRequest& request);
  asio::awaitable<void> cancel_on_master();
  asio::awaitable<void> cancel_on_standby();
  bool admit();
  asio::awaitable<bool> login();
  asio::awaitable<bool> login_at_master();
  asio::awaitable<bool> pass_answer_on();
  asio::awaitable<bool> finish_standby_login();
  asio::awaitable<void> login_at_standby();
  asio::awaitable<std::optional<std::string>> read_message(Stream& stream, std::string& kept);
  asio::awaitable<Result<Credential>> learn_credential();
  void refuse_for_standby();
  void begin_streaming();

  // session-requests.cpp
  asio::awaitable<void> request_loop();
  ByteSpan take_requests(ByteSpan input);
  void send_to_legs(ByteSpan run);
  bool may_start_unit();
  void begin_unit();
  void push_unit(Unit::Role role);
  void send_to_standby(ByteSpan run);
  /// False while the oids have to be read again first; then it wakes the request loop when they are.
  bool oids_are_current();
  asio::awaitable<void> read_oids();
  bool legs_are_congested() const;
  void on_frontend_gone(bool orderly);
  void drain(EndReason reason);

  // session-serial.cpp. Coroutines take references to what lives in their caller: g++ 12 destroys a parameter
  // that is built inside a co_await expression twice.
  enum class Way { plain, attempt, end, alone };
  void begin_serial();
  void leave_serial();
  asio::awaitable<void> serve_serial();
  bool waits_for_safe_snapshot() const;
  bool fixes_snapshot() const;
  Way way_of(const UnitPlan& plan) const;
  asio::awaitable<void> admit_unit(UnitPlan& plan);
  void note_plan(const UnitPlan& plan);
  void note_words(const UnitPlan& plan);
  void keep_begin(const UnitPlan& plan);
  void prepare_plain(const UnitPlan& plan);
  bool may_send_in_open_unit(const MessagePiece& piece);
  void on_client_unit(char status, bool failed);
  void note_serial_outcome(const Outcome& outcome, const Unit* unit);
  static std::string deadlock_error();

  // session-gate.cpp
  std::function<void()> answer();
  asio::awaitable<void> enter_gate(GateMode mode, bool excludes_reads, bool before_end = false);
  asio::awaitable<void> enter_shared_order();
  void leave_gate();
  asio::awaitable<void> enter_read();
  void wake_at(SteadyTime when);
  asio::awaitable<void> settled();
  void on_units_settled();
  void freed_locks();
  void check_client_stall(SteadyTime now);
  void check_slow_write(SteadyTime now);
  void check_idle_limits(SteadyTime now);
  asio::awaitable<void> lift_idle_limit_of_standby(bool extended);
  std::string_view statement_for_log() const;

  // session-alone.cpp
  bool goes_to_master_first(const UnitPlan& plan) const;
  asio::awaitable<void> leave_aligned();
  bool may_spool(const UnitPlan& plan) const;
  bool has_spooled_enough() const;
  asio::awaitable<void> end_spooling();
  void begin_alone();
  void defer(ByteSpan run);
  void flush_deferred();
  void send_deferred();
  std::string names_to_keep() const;
  asio::awaitable<void> watch_alone();

  // session-own-units.cpp
  void own_unit_texts(std::string_view master_sql, std::string_view standby_sql, bool extended);
  static void append_own_statement(std::string& out, std::string_view sql);
  void own_unit_text(std::string_view sql, bool extended);
  void flush_own();
  void add_prefix(std::string_view master_sql, std::string_view standby_sql, bool extended);
  void add_prefix(std::string_view sql, bool extended);
  bool take_prefix_reply(std::uint32_t& to_come, bool extended, OutBuffer& leg, const MessagePiece& piece);
  void restore_timeouts(const UnitPlan& plan);
  void lift_limits_of_standby(const UnitPlan& plan);
  void limit_as_client(bool on_standby, bool on_master, bool extended);
  void soften_standby(bool extended);
  void limit_timeouts(int number, bool ddl, bool extended);
  void forbid_parallel_plans(bool extended);
  void ask_for_time(bool extended);
  void release_savepoints(std::uint32_t count, bool extended);
  static std::string seed_setting();
  asio::awaitable<void> learn_settings();
  asio::awaitable<void> note_advisory_locks(bool extended);
  asio::awaitable<void> free_advisory_locks(bool extended);
  void take_serial_reply(const MessagePiece& piece, const std::optional<Outcome>& outcome, Unit::Role role);
  void keep_own_values(ByteSpan body);
  void spill();

  // session-rewrite.cpp
  struct MessageRewrite;
  std::shared_ptr<const RewritePlan> plan_rewrite(std::string_view text, const Statement& statement);
  void flag_write(std::string_view text, const Statement& statement,
                  const std::vector<std::string>& not_rewritten);
  std::vector<MessageRewrite> plan_rewrites(const UnitPlan& plan, std::vector<std::string>& expressions);
  void note_rewritten_parse(std::string_view name, ByteSpan body, MessageRewrite& rewrite);
  asio::awaitable<void> rewrite_unit(UnitPlan& plan);
  std::string rewritten_unit(const UnitPlan& plan, const std::vector<MessageRewrite>& rewrites,
                             const std::vector<std::optional<std::string>>& values);
  asio::awaitable<void> catalogue_is_read();
  asio::awaitable<void> evaluate_on_master(const std::vector<std::string>& expressions);
  void forget_deallocated(const UnitPlan& plan);
  std::optional<std::string> restored_reply(const MessagePiece& piece);

  // session-attempt.cpp
  void append_attempt(ByteSpan bytes, bool again);
  /// How both servers get back to where they were before an attempt.
  enum class WayBack {
    rollback,     ///< the block is the relay's own
    begin_again,  ///< nothing but the BEGIN came before: it is sent once more
    savepoint,
  };
  /// What is tried until it meets no lock: a unit, or with no `bytes` the checks before the COMMIT `plan`.
  struct Trial {
    const UnitPlan& plan;
    ByteSpan bytes;
    bool own_block;
    WayBack way_back;
    SteadyTime began;
    bool local;  ///< may run beside others of its sort
  };
  void add_savepoint(bool extended);
  void send_attempt(const Trial& trial, int number);
  void send_undo(const Trial& trial);
  asio::awaitable<void> undo(const Trial& trial);
  asio::awaitable<std::string> try_until_free(const Trial& trial);
  bool still_local(const Trial& trial) const;
  LockForecast::Claim claim_rows(std::uint64_t key, bool certain);
  bool outcomes_differ() const;
  LockForecast::Holder foreseen(std::uint64_t key) const;
  /// Of the transaction that has the rows.
  enum class Foreseen { moved, stays, waits_for_us };
  asio::awaitable<Foreseen> wait_for_foreseen(std::uint64_t key, SteadyTime began);
  void check_standbys_locks();
  bool attempt_met_a_lock() const;
  asio::awaitable<void> run_attempts(const UnitPlan& plan);
  asio::awaitable<std::vector<std::uint32_t>> who_blocks();
  std::string over_a_limit(SteadyTime began) const;
  asio::awaitable<bool> stand_aside(const std::vector<std::uint32_t>& pids, int number);
  void drop_mismatches();

  // session-untried.cpp
  bool may_go_untried(const UnitPlan& plan) const;
  asio::awaitable<bool> admit_untried(const UnitPlan& plan);
  bool begin_untried();
  void end_untried();
  void begin_untold(StatementKind kind);
  void end_untold();
  void check_untried(SteadyTime now);
  asio::awaitable<void> watch_untried();
  void forgive_what_commits_nothing();
  void fail_standby_too();
  void let_untried_be();

  // session-lag.cpp
  bool may_lag(const UnitPlan& plan) const;
  bool only_laggards_left() const;
  bool standby_is_near() const;
  asio::awaitable<void> nearly_settled();
  void keep_for_standby(ByteSpan run);
  bool standby_was_heard() const;
  bool may_tell_without_standby();
  void flush_laggards();

  // session-commit.cpp
  asio::awaitable<void> give_up_attempt(const std::string& error, bool own_block, bool extended);
  asio::awaitable<void> fail_transaction(bool extended);
  asio::awaitable<void> finish_attempt(const Trial& trial);
  void note_locked_rows(std::uint64_t key, std::uint64_t rows, bool certain);
  asio::awaitable<void> commit_attempt(bool extended);
  void replace_end_by_error(bool extended);
  asio::awaitable<void> check_deferred(const UnitPlan& plan);
  void send_check(int number, bool extended);
  asio::awaitable<void> refuse_commit(const UnitPlan& plan);
  void deliver(char status);
  asio::awaitable<void> align_sequences();

  // session-replies.cpp
  asio::awaitable<void> reply_loop();
  class PassingRun;
  ByteSpan take_replies(ByteSpan input, MessageSplitter& splitter);
  void take_reply(MessagePiece& piece, PassingRun& run);
  static MessagePiece in_place_of(const MessagePiece& piece, std::string_view message);
  /// Holds the piece, or says that it may go at once.
  bool may_pass(const MessagePiece& piece, const std::optional<Outcome>& outcome, bool lags);
  void limit_draining(std::ptrdiff_t bytes);
  void note_master_outcome(const Outcome& outcome);
  bool may_release(std::uint64_t outcome);
  void release();
  void decided(char status);
  bool master_is_between_units() const;
  void judge_attempt();
  Unit* master_unit();
  void note_parameter(ByteSpan body);
  asio::awaitable<void> on_master_gone();
  asio::awaitable<bool> standby_settles();
  // session-standby.cpp
  asio::awaitable<void> standby_loop();
  ByteSpan take_standby_replies(ByteSpan input);
  static void note_standby_outcome(Unit& unit, const Outcome& outcome);
  void finish_matched_units();
  bool must_defer(const Mismatch& mismatch) const;
  asio::awaitable<void> judge_standby_end();
  void handle_mismatches();
  void judge_mismatches();
  void handle_mismatch(Mismatch& mismatch);
  void standby_lost(const std::string& reason);
  void drop_standby();
  void on_standby_gone();
  void end_as_the_standby_did();
  std::uint64_t master_ahead() const;
  std::uint64_t standby_ahead() const;
  void check_standby_clock(SteadyTime now);
  void stop_refused_on_standby(SteadyTime now);
  asio::awaitable<void> probe_then_judge();
  bool mirrored() const { return standby_state_ != StandbyState::none; }

  // session-succession.cpp
  bool may_be_succeeded() const;
  asio::awaitable<void> await_successor();
  void begin_succession();
  void catch_up();
  void succeed();
  void note_authority();
  bool is_behind_the_cut(MessagePiece& piece);
  bool is_goodbye(const MessagePiece& piece);
  void end_unsucceeded(const std::string& why, std::string_view sqlstate = "57P01");
  AheadReplies::Reading standbys_reading() const;
  void keep_ahead(const ReplyProgress& place, const MessagePiece& piece);
  void drop_ahead();

  SessionEnvironment& env_;
  asio::io_context& context_;
  const std::uint64_t id_;
  const std::string client_;
  Phase phase_ = Phase::negotiating;
  StandbyState standby_state_ = StandbyState::none;
  EndReason end_reason_ = EndReason::running;
  EndReason drain_reason_ = EndReason::left;

  Stream front_;
  Wakeup request_event_, reply_event_, standby_event_;
  OutBuffer front_out_;
  std::unique_ptr<LegConnection> master_, standby_;
  std::string front_kept_;  ///< what a splitter left, or what had to wait

  /// Only until streaming begins.
  struct Login {
    SteadyTime deadline{};
    std::optional<StandbyLogin> standby;
    LoginObserver observer;
    std::optional<Credential> credential;
    std::string standby_failure;  ///< the leg could not be opened, or broke
    std::string held;             ///< the master's messages from AuthenticationOk to ReadyForQuery
    bool master_ready = false;
  };
  std::unique_ptr<Login> login_;
  std::optional<StartupMessage> startup_;
  std::string user_, database_, application_;
  BackendKey frontends_key_;  ///< the one that the frontend was given

  MessageSplitter request_splitter_;
  RequestTracker tracker_;
  ReleaseRule rule_;
  ReplyReader master_reader_, standby_reader_;
  Matcher matcher_;
  HeldOutput held_;
  std::uint64_t master_outcomes_ = 0;
  Ring<Unit> units_;                ///< those not finished on both legs
  std::uint64_t first_unit_ = 0;    ///< the number of units_[0]
  std::uint64_t master_units_ = 0;  ///< finished on the master
  char status_ = 'I';
  std::string farewell_;              ///< the master's FATAL, until it is clear what it means
  bool standby_ended_alone_ = false;  ///< being judged
  std::string standby_fatal_;         ///< SQLSTATE of the standby's FATAL
  std::string standby_fatal_text_;
  char status_of_master_ = 'I';  ///< in its last ReadyForQuery, released or not
  bool request_blocked_ = false;
  std::uint64_t drained_ = 0;  ///< bytes of replies that nobody waits for
  bool end_when_idle_ = false;
  std::string end_message_;
  int cancels_ = 0;
  CharacterWidth width_ = CharacterWidth::utf8;
  TextDialect dialect_;     ///< how the server reads the frontend's texts
  bool cancelled_ = false;  ///< a cancel request came while the unit under way was decided by the relay
  std::unique_ptr<SerialState> serial_;  ///< only in discipline serial with a standby
  SteadyTime standby_progress_{};        ///< when the standby leg last moved
  std::uint64_t standby_written_seen_ = 0;
  SessionOids oids_;
  std::shared_ptr<const std::atomic<std::uint64_t>> oids_version_;
  std::uint64_t oids_version_seen_ = 0;
  bool reading_oids_ = false;
  bool oids_changed_ = false;  ///< a tag of the running transaction may have changed them
  std::string for_standby_;    ///< requests as the standby gets them, while they are being collected
  // The succession (session-succession.cpp).
  AheadReplies ahead_;
  bool master_gone_ = false;     ///< its connection ended: what that means is being judged
  bool master_crashed_ = false;  ///< it said so: 57P02
  bool no_successor_ = false;
  bool succeeding_ = false;  ///< the standby has still to come to the place where the master was lost
  bool guest_ = false;       ///< its server is the other node's
  std::optional<ReplyReader::Unfinished> cut_off_;  ///< a row that the lost master had sent in part
  std::optional<ReplyReader> cut_reader_;           ///< of the other server's row, up to there

  bool probing_ = false;
  SteadyTime
      extended_until_{};  ///< the standby's server answered a probe: its clock ends here (hard point 6)
};

}  // namespace pgtandem
