/// Discipline `serial`: units that run alone, since they may commit inside or cannot be repeated (hard points
/// 15 to 19). The master runs them first; the standby gets what the master has answered. So it does of other
/// units that a cancel could hit on the master alone.
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>

#include "common/protocol/messages.h"
#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

/// How often a unit that is alone is looked after while the master runs it.
constexpr auto kWatchAlone = 50ms;
constexpr std::size_t kDeferredLimit = 1U << 20;  ///< bytes of input kept for the standby
/// Bytes of a COPY's data that wait in front of the gate; they are kept for the standby, too.
constexpr std::size_t kSpoolLimit = kDeferredLimit / 2;

}  // namespace

/// Its data can wait here, with the statement begun on the master (hard point 19): it holds a lock there that
/// is in the way of DDL alone, and does nothing before the first row.
bool Session::may_spool(const UnitPlan& plan) const {
  const SerialState& s = *serial_;
  const UnitStatement& statement = plan.statement;
  const bool plain = statement.kind == StatementKind::copy_in && statement.facts != nullptr &&
                     statement.facts->plain_copy && !plan.extended &&
                     plan.completeness == UnitPlan::Completeness::whole;
  return plain && standby_state_ == StandbyState::live && !s.strict && !s.serializable &&
         s.inside == SerialState::Inside::outside &&
         statement.catalogue_version == s.statements.current_version();
}

bool Session::has_spooled_enough() const {
  const SerialState& s = *serial_;
  const bool complete = tracker_.phase() != RequestTracker::Phase::copying;
  return s.spooling && s.copy_begun && (complete || s.spooled.size() > kSpoolLimit);
}

/// The data are complete, or too many to be kept: from here on it is a unit that is alone.
asio::awaitable<void> Session::end_spooling() {
  SerialState& s = *serial_;
  co_await enter_gate(GateMode::alone, false);
  if (ended() || !s.spooling) {  // the master has given it up meanwhile
    if (!ended()) leave_gate();
    co_return;
  }
  s.spooling = false;
  s.watching = true;
  spawn(&Session::watch_alone);
  master_->out.send(as_bytes(s.spooled), owner());
  s.spooled = std::string();
}

void Session::begin_alone() {
  if (ended() || standby_state_ != StandbyState::live) return;
  serial_->deferring = serial_->watching = true;
  spawn(&Session::watch_alone);
}

void Session::defer(ByteSpan run) {
  serial_->deferred.append(as_text(run));
  if (serial_->deferred.size() > kDeferredLimit) send_deferred();
}

/// What changes the state of session or transaction and waits for nobody. A cancel or the client's time limit
/// can hit it on the master alone, and the standby must then not have done it: it waits for the master's
/// answer.
bool Session::goes_to_master_first(const UnitPlan& plan) const {
  if (standby_state_ != StandbyState::live || plan.completeness != UnitPlan::Completeness::whole)
    return false;
  switch (plan.statement.kind) {
    case StatementKind::session:
      return true;
    case StatementKind::savepoint:
    case StatementKind::release:
    case StatementKind::rollback:
    case StatementKind::rollback_to:
      return status_ != 'I';
    case StatementKind::commit:
      return status_ == 'E' ||
             (status_ == 'T' && serial_->serializable);  // judged by the master (hard point 16)
    case StatementKind::prepare_transaction:
      return serial_->serializable;
    default:
      return false;
  }
}

/// The standby gets what the master has answered; the rest of the unit goes on to be kept for it.
void Session::flush_deferred() {
  SerialState& s = *serial_;
  standby_progress_ = std::chrono::steady_clock::now();
  if (standby_state_ == StandbyState::live && !s.deferred.empty())
    standby_->out.send(as_bytes(s.deferred), owner());
  s.deferred = std::string();
}

/// Of the unit that the master gave up, what it did all the same: prepared statements outlive a failure
/// (PostgreSQL manual, "Extended Query").
std::string Session::names_to_keep() const {
  const SerialState& s = *serial_;
  std::string kept;
  MessageSplitter splitter(s.deferred.size() + 1);
  ByteSpan rest = as_bytes(s.deferred);
  const std::byte* const unit = rest.data() + s.deferred_prefix;
  std::size_t answered = s.names_answered;
  while (const std::optional<MessagePiece> piece = splitter.next(rest)) {
    if (piece->type != 'P' && piece->type != 'C') continue;
    const std::string_view body = as_text(piece->body);
    if (piece->wire.data() >= unit) {
      if (answered-- == 0) break;
    } else if (body.starts_with("pgtandem") || body.substr(1).starts_with("pgtandem")) {
      continue;  // the relay's own
    }
    kept += as_text(piece->wire);
  }
  return kept;
}

/// The master has finished the unit, or its input is too long to be kept: the standby gets it.
void Session::send_deferred() {
  SerialState& s = *serial_;
  if (!s.deferring) return;
  s.deferring = s.spooling = s.copy_begun = false;
  s.spooled = std::string();
  // What the master gave up for reasons of time (NOWAIT included), or as not serializable, the standby would
  // do.
  const bool gave_up = s.master.gave_up();
  const bool nothing_committed = !s.committed_inside && (!s.calls_code || s.victim_clean);
  s.victim_clean = false;
  if (gave_up && nothing_committed) {
    const bool fails = status_of_master_ == 'E';
    std::string text = names_to_keep();
    if (fails && status_ == 'I') append_own_statement(text, "BEGIN");
    append_own_statement(text, fails ? "ROLLBACK TO SAVEPOINT pgtandem_none" : "ROLLBACK");
    s.deferred = text + build_message('S', {});
    s.forgiving = true;
    for (std::size_t i = 0; i < units_.size(); ++i) units_[i].prefix.of_standby = 0;
  }
  flush_deferred();
}

/// While the master's backend waits for a lock, the ends of those who hold it may pass beside it. Where one
/// of them waits for this unit in turn, this one is given up: it is the one that nobody has been told about.
asio::awaitable<void> Session::watch_alone() {
  asio::steady_timer timer(context_);
  while (!ended() && serial_->watching && serial_->inside == SerialState::Inside::alone) {
    timer.expires_after(kWatchAlone);
    std::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (ended() || !serial_->watching) co_return;
    std::vector<std::uint32_t> pids = co_await env_.services.blockers(master_->key.pid);
    std::erase(pids, 0U);  // a prepared transaction is no session's
    if (ended() || !serial_->watching || pids.empty()) continue;
    const std::vector<std::uint64_t> sessions = env_.services.gates().sessions_of(pids, true);
    bool stuck = serial_->order.gate.waiting_without_end(sessions) != 0;
    for (const std::uint64_t session : sessions) stuck = stuck || serial_->order.waits.is_parked(session);
    if (stuck) {
      const bool clean = co_await env_.services.in_first_transaction(master_->key.pid);
      if (ended() || !serial_->watching) continue;
      serial_->victim_clean = clean;
      serial_->victim = true;
      co_await cancel_on_master();
    } else if (serial_->deferring) {
      // What the master's unit finds behind the wait depends on its snapshot from before it. The standby's
      // has to wait for the same transaction, so it gets the unit now, and until the next look to come to the
      // lock.
      serial_->deferring = false;
      flush_deferred();
    } else {
      serial_->order.gate.let_ends_pass(id_, sessions);
    }
  }
}

/// What ran alone may have moved sequences and failed at different places.
asio::awaitable<void> Session::leave_aligned() {
  SerialState& s = *serial_;
  const bool needed = s.alone_moves_sequences;
  if (needed) co_await align_sequences();
  s.aligning = false;
  if (ended()) co_return;
  leave_gate();
  freed_locks();
  s.event.notify();
  request_event_.notify();
}

}  // namespace pgtandem
