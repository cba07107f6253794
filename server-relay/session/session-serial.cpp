/// Discipline `serial`: what a unit needs before it may be sent (design page 2; hard points 14 to 26).
///
///   plain    sent as it comes: reads, BEGIN, whatever fails anyway, to both; settings and savepoints, to the
///            master first
///   attempt  write: inside the gate, under a short lock_timeout and a savepoint or a block of the relay's
///            own; tried again where it met a lock (session-attempt.cpp)
///   end      through the gate's other class: COMMIT to both at once, what undoes to the master first
///   alone    what may commit inside or cannot be repeated: nobody else is inside; the standby gets it when
///            the master has finished
#include "server-relay/session/session.h"
#include "server-relay/statements/lexical-scan.h"

namespace pgtandem {
namespace {

bool is_gated(StatementKind kind) {
  return kind != StatementKind::read && kind != StatementKind::session && kind != StatementKind::empty &&
         kind != StatementKind::begin && kind != StatementKind::savepoint && kind != StatementKind::release;
}

}  // namespace

void Session::begin_serial() {
  if (!mirrored() || env_.settings.discipline_of(database_, user_) != Discipline::serial) return;
  serial_ = std::make_unique<SerialState>(context_, env_.services.gates().of(database_),
                                          env_.statements_of(database_), env_.rewrite_plans_of(database_),
                                          dialect_);
  env_.services.gates().add_backends(id_, master_->key.pid, standby_->key.pid);
}

/// The session ends: nobody may wait for it any more.
void Session::leave_serial() {
  if (serial_ == nullptr) return;
  end_untried();
  leave_gate();
  end_untold();
  serial_->order.gate.leave(id_);
  if (serial_->reading) serial_->order.gate.leave_read();
  serial_->reading = false;
  serial_->order.waits.unpark(id_);
  env_.services.gates().remove_backends(id_, master_->key.pid, standby_->key.pid);
  serial_->order.forecast.drop(id_, serial_->row_keys);
  freed_locks();
  serial_->event.notify();
}

/// Serves what has been read from the frontend, as far as it goes.
asio::awaitable<void> Session::serve_serial() {
  // Without it the first reads of all sessions would be taken for writes, and wait for each other.
  if (!serial_->catalogue_awaited && mirrored()) co_await catalogue_is_read();
  serial_->catalogue_awaited = true;
  while (!ended() && phase_ == Phase::streaming && !front_kept_.empty()) {
    const bool between = tracker_.phase() == RequestTracker::Phase::between;
    const bool begins = between && !serial_->admitted && request_splitter_.at_boundary();
    if (begins && front_kept_[0] != 'X') {
      UnitPlan plan = serial_->planner.plan(as_bytes(front_kept_));
      if (plan.completeness == UnitPlan::Completeness::incomplete) {
        if (front_kept_.size() < IoThread::kScratchSize) co_return;
        plan.completeness = UnitPlan::Completeness::open;  // too long to be kept and repeated
        plan.statement = UnitStatement{.kind = StatementKind::opaque};
      }
      while (!ended() && phase_ == Phase::streaming && !may_start_unit()) co_await request_event_.wait();
      // What the standby is given of the last unit is not decided yet, or its answer to what it was given
      // instead is still to be forgiven.
      if (serial_->forgiving || serial_->deferring) co_await settled();
      if (ended() || phase_ != Phase::streaming) co_return;
      serial_->admitting = true;
      co_await admit_unit(plan);
      serial_->admitting = false;
      continue;
    }
    const std::size_t before = front_kept_.size();
    const std::size_t rest = take_requests(as_bytes(front_kept_)).size();
    front_kept_.erase(0, before - rest);
    if (has_spooled_enough()) co_await end_spooling();
    if (ended() || request_blocked_) co_return;
    if (serial_->gate_execute) {
      begin_untold(StatementKind::opaque);
      co_await enter_gate(GateMode::alone, false);
      serial_->gate_execute = false;
      serial_->wrote = true;
      begin_alone();
      continue;
    }
    if (rest == before) co_return;
  }
}

/// The master waits for the end of others' transactions, and they wait for the gate (hard point 22).
bool Session::waits_for_safe_snapshot() const {
  return serial_->serializable && serial_->read_only && serial_->deferrable;
}

/// The unit decides what all of a transaction sees, so it is in order among the writes (design page 2,
/// rule 8). A serializable one's later reads may fail on the master, which judges them, and are undone alike.
bool Session::fixes_snapshot() const {
  const SerialState& s = *serial_;
  if (s.serializable) return !s.safe_snapshot;
  return s.strict && !s.snapshot_taken;
}

Session::Way Session::way_of(const UnitPlan& plan) const {
  const UnitStatement& statement = plan.statement;
  const bool block = status_ == 'T';
  const bool failed = status_ == 'E';
  if (!mirrored()) return Way::plain;
  if (block && waits_for_safe_snapshot() && plan.completeness == UnitPlan::Completeness::whole)
    return Way::plain;
  if (plan.completeness == UnitPlan::Completeness::open)
    return is_gated(statement.kind) ? Way::alone : Way::plain;
  switch (statement.kind) {
    case StatementKind::read:
      return block && fixes_snapshot() ? Way::attempt : Way::plain;
    case StatementKind::session:
      return block && fixes_snapshot() &&
                     mentions(std::string_view(front_kept_).substr(0, plan.size), "select")
                 ? Way::attempt
                 : Way::plain;
    case StatementKind::empty:
    case StatementKind::begin:
    case StatementKind::savepoint:
    case StatementKind::release:
      return Way::plain;
    case StatementKind::commit:
    case StatementKind::rollback:
    case StatementKind::rollback_to:
    case StatementKind::prepare_transaction:
      return (block || failed) && (serial_->wrote || serial_->strict) ? Way::end : Way::plain;
    case StatementKind::finish_prepared:
      return Way::end;
    case StatementKind::opaque:
    case StatementKind::copy_in:
      return failed && statement.kind == StatementKind::copy_in ? Way::plain : Way::alone;
    default:
      break;
  }
  if (failed) return Way::plain;
  if (statement.refuses_block) return block ? Way::plain : Way::alone;
  if (statement.needs_block && !block) return Way::plain;
  return Way::attempt;
}

asio::awaitable<void> Session::admit_unit(UnitPlan& plan) {
  SerialState& s = *serial_;
  if ((status_ == 'E' || s.master.failed()) && !units_.empty()) co_await settled();
  if (s.forgiving) co_await settled();
  if (ended()) co_return;
  const bool may_ask =
      status_ == 'I' || (status_ == 'T' && !s.strict && s.timeouts == SerialState::Timeouts::of_client);
  if (!s.settings_known && may_ask && mirrored()) co_await learn_settings();
  if (ended()) co_return;
  co_await rewrite_unit(plan);
  if (ended()) co_return;
  const Way way = way_of(plan);
  note_plan(plan);
  bool untried = false;
  if (way == Way::attempt) untried = co_await admit_untried(plan);
  if (ended()) co_return;
  if (way == Way::attempt && !untried) {
    co_await run_attempts(plan);
    co_return;
  }
  const bool finishes_prepared = plan.statement.kind == StatementKind::finish_prepared;
  if (way == Way::alone || finishes_prepared) begin_untold(plan.statement.kind);
  keep_begin(plan);
  prepare_plain(plan);
  if (untried) {
    ask_for_time(plan.extended);
    s.sends_untried = s.forgivable = s.admitted = true;
    co_return;
  }
  s.calls_code = plan.statement.calls_code;
  s.alone_moves_sequences = plan.statement.may_use_sequences;
  s.open_unit = plan.completeness == UnitPlan::Completeness::open;
  if (way == Way::plain) {
    const bool reads = mirrored() && !s.reading;
    if (reads) co_await enter_read();
    if (ended()) co_return;
    s.lags = may_lag(plan);
    s.begins = status_ == 'I' && plan.statement.kind == StatementKind::begin;
    s.forgivable = s.begins || plan.statement.kind == StatementKind::read;
    s.deferring = goes_to_master_first(plan);
  } else {
    co_await settled();
    const bool commits = plan.statement.kind == StatementKind::commit ||
                         plan.statement.kind == StatementKind::prepare_transaction;
    if (commits && status_ == 'T' && s.statements.may_defer()) co_await check_deferred(plan);
    if (ended()) co_return;
    if (commits && !s.refusal.empty()) {
      co_await refuse_commit(plan);
      co_return;
    }
    if (way == Way::alone && may_spool(plan)) {
      s.spooling = s.admitted = s.deferring = true;
      s.copy_begun = false;
      co_return;
    }
    // What it makes visible, those under way without a try must not meet on one server only.
    const bool alone_among = finishes_prepared && s.order.untried.is_anything_untried();
    const GateMode mode = way == Way::alone ? GateMode::alone : alone_among ? GateMode::write : GateMode::end;
    if (s.inside == SerialState::Inside::outside) co_await enter_gate(mode, false);
    if (!ended() && s.inside == SerialState::Inside::write) {
      s.inside = SerialState::Inside::end;
      s.order.gate.turn_into_end(id_);
    }
    if (ended()) co_return;
    if (way == Way::alone && plan.statement.shared_objects) co_await enter_shared_order();
    if (ended()) co_return;
    if (way == Way::alone) co_await lift_idle_limit_of_standby(plan.extended);
    if (ended()) co_return;
    if (way == Way::alone) begin_alone();
    if (way == Way::end && goes_to_master_first(plan)) s.deferring = true;
  }
  s.admitted = true;
}

/// What the plan says about the transaction that the unit begins, or runs in.
void Session::note_plan(const UnitPlan& plan) {
  SerialState& s = *serial_;
  const UnitStatement& statement = plan.statement;
  if (statement.names_isolation) {
    const bool default_too = statement.kind != StatementKind::begin && !statement.needs_block;
    s.strict_by_default = s.strict_by_default || default_too;
    s.serializable_by_default = s.serializable_by_default || (default_too && statement.names_serializable);
    s.strict = true;
    if (statement.names_serializable && (status_ == 'T' || statement.kind == StatementKind::begin))
      s.serializable = s.soften_standby = true;
  }
  if (statement.kind == StatementKind::begin && status_ == 'I') {
    s.strict = s.strict || s.strict_by_default;
    if (s.serializable_by_default) s.serializable = s.soften_standby = true;
  }
  if (is_gated(statement.kind)) s.wrote = true;
  s.names_secret = statement.shared_objects;
  if (statement.kind == StatementKind::rollback_to) {
    // The relay's savepoint is always the youngest: any that the frontend names takes it along.
    s.youngest_savepoints = 0;
    s.timeouts = SerialState::Timeouts::unknown;
    s.standby_unlimited = false;
    if (status_ != 'I')
      begin_untold(statement.kind);  // what is claimed is forgotten, and in part still locked
  }
  const bool opaque = statement.kind == StatementKind::opaque;
  s.has_savepoints = s.has_savepoints || opaque || statement.kind == StatementKind::savepoint;
  if (statement.changes_catalogue || opaque) s.catalogue_changed = true;
  if (statement.names_settings) s.settings_known = false;
  note_words(plan);
}

/// What only the words of the text tell.
void Session::note_words(const UnitPlan& plan) {
  SerialState& s = *serial_;
  const UnitStatement& statement = plan.statement;
  const std::string_view unit = std::string_view(front_kept_).substr(0, plan.size);
  if (statement.names_settings && mentions(unit, "seed")) s.seed_of_client = true;
  const bool of_transaction = statement.kind == StatementKind::begin ||
                              (statement.kind == StatementKind::session && statement.needs_block);
  if (of_transaction) {
    s.read_only = (s.read_only || mentions(unit, "only")) && !mentions(unit, "write");
    s.deferrable = (s.deferrable || mentions(unit, "deferrable")) && !mentions(unit, "not deferrable");
  } else if (status_ == 'T') {
    s.safe_snapshot = s.safe_snapshot || waits_for_safe_snapshot();
    s.deferrable = false;  // it has its snapshot now
  }
}

/// The first write behind a BEGIN needs no savepoint: both can begin again.
void Session::keep_begin(const UnitPlan& plan) {
  constexpr std::size_t kLongest = 256;
  SerialState& s = *serial_;
  s.begin_bytes.clear();
  const bool can_be_repeated = plan.statement.kind == StatementKind::begin && status_ == 'I' &&
                               plan.completeness == UnitPlan::Completeness::whole && plan.executes == 1 &&
                               plan.prepares.empty() && plan.size <= kLongest;
  if (can_be_repeated) s.begin_bytes = front_kept_.substr(0, plan.size);
}

/// Gives the transaction the frontend's own settings back before it runs anything that the relay does not
/// limit, and keeps the relay's savepoint from hiding the frontend's.
void Session::prepare_plain(const UnitPlan& plan) {
  SerialState& s = *serial_;
  const StatementKind kind = plan.statement.kind;
  // Where the standby was lost meanwhile, the transaction still has the relay's limits.
  if (status_ != 'T' || (!mirrored() && s.timeouts == SerialState::Timeouts::of_client)) return;
  const bool end = kind == StatementKind::commit || kind == StatementKind::rollback;
  const bool names_savepoint = kind == StatementKind::savepoint || kind == StatementKind::release;
  // One that the frontend makes lies within the relay's; one that it releases takes the relay's along.
  if (names_savepoint) s.youngest_savepoints = 0;
  // The table has to be of the current subtransaction ("COPY"), which must not be one of the relay's.
  const std::string_view unit = std::string_view(front_kept_).substr(0, plan.size);
  const bool copies = kind == StatementKind::copy_in || kind == StatementKind::opaque;
  if (copies && s.youngest_savepoints != 0 && mentions(unit, "freeze"))
    release_savepoints(s.youngest_savepoints, plan.extended);
  if (!end && kind != StatementKind::rollback_to) {
    if (s.timeouts != SerialState::Timeouts::of_client) {
      restore_timeouts(plan);
    } else if (!names_savepoint) {
      lift_limits_of_standby(plan);
    }
  }
  soften_standby(plan.extended);
}

/// In a unit whose end was not seen when it began: false at an Execute that has to pass the gate first.
bool Session::may_send_in_open_unit(const MessagePiece& piece) {
  SerialState& s = *serial_;
  if (!s.open_unit || !piece.first || s.inside != SerialState::Inside::outside || !mirrored()) return true;
  if (piece.type == 'E' && is_gated(s.planner.executed(piece.body).kind)) {
    s.gate_execute = true;
    return false;
  }
  const bool names = piece.type == 'P' || piece.type == 'B';
  if (piece.whole()) {
    s.planner.note(piece.type, piece.body);
  } else if (names) {
    s.planner.forget();
  }
  return true;
}

/// The master has answered a unit of the frontend's: what that says about the transaction.
void Session::on_client_unit(char status, bool failed) {
  SerialState& s = *serial_;
  cancelled_ = s.victim = false;
  if (failed) s.planner.on_error();
  if (status == 'I') {
    s.wrote = s.strict = s.serializable = s.soften_standby = false;
    s.read_only = s.deferrable = s.safe_snapshot = s.snapshot_taken = s.parallel_off = false;
    s.transaction_time.clear();
    s.open_savepoints = s.youngest_savepoints = 0;
    s.timeouts = SerialState::Timeouts::of_client;
    s.standby_unlimited = false;
    s.planner.on_transaction_end();
    if (s.catalogue_changed && !guest_) env_.services.catalogue_changed(database_);
    s.catalogue_changed = guest_;
    s.has_savepoints = false;
    s.untold_until_settled = s.untold && !units_.empty();
    if (units_.empty()) end_untold();
    if (!mirrored()) freed_locks();
  } else if (failed || status == 'E') {
    if (s.has_savepoints) begin_untold(StatementKind::opaque);  // what came before them stays locked
    s.youngest_savepoints = 0;
    s.timeouts = SerialState::Timeouts::unknown;
    // A server frees row locks at the error (design page 2, rule 7).
    s.failed_in_block = !s.row_keys.empty() || s.wrote;
    if (s.failed_in_block && units_.empty()) freed_locks();
  }
  if (s.reading && only_laggards_left()) {
    s.reading = false;
    s.order.gate.leave_read();
  }
}

/// Sees every outcome of the master.
void Session::note_serial_outcome(const Outcome& outcome, const Unit* unit) {
  SerialState& s = *serial_;
  if (unit == nullptr || unit->role == Unit::Role::frontend) s.master.note(outcome);
  if (outcome.kind == Outcome::Kind::complete && outcome.tag_class == TagClass::commit)
    s.committed_inside = true;
  if (outcome.kind == Outcome::Kind::complete) s.completed_inside = true;
  if (outcome.kind == Outcome::Kind::complete && unit != nullptr && unit->untried) {
    s.untried_rows = tag_count(outcome.text.view());
    if (s.new_claim != 0) note_locked_rows(s.new_claim, s.untried_rows, true);
  }
  // The frontend has flushed, and waits for the reply before it sends its Sync.
  const bool answers = outcome.kind == Outcome::Kind::complete || outcome.kind == Outcome::Kind::suspended ||
                       outcome.kind == Outcome::Kind::error;
  if (s.open_unit && s.deferring && answers && !s.master.gave_up()) flush_deferred();
  // The frontend sends its data when it has been asked for them, and that stands behind a CommandComplete,
  // which waits for the standby's.
  if (outcome.kind == Outcome::Kind::copy_in && s.completed_inside) send_deferred();
  s.copy_begun = s.copy_begun || (outcome.kind == Outcome::Kind::copy_in && s.spooling);
  const bool gave_up = outcome.kind == Outcome::Kind::error && unit != nullptr &&
                       (outcome.sqlstate.view() == "57014" || (unit->untried && s.master.gave_up()));
  // Where the standby is still at an earlier unit, a cancel would end that.
  const bool standby_is_at_it = matcher_.units(Leg::standby) == master_units_;
  if (gave_up && standby_state_ == StandbyState::live && !s.deferring && unit->standby_status == 0 &&
      standby_is_at_it)
    spawn(&Session::cancel_on_standby);
}

}  // namespace pgtandem
