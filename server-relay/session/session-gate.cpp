/// Discipline `serial`: a session in front of its database's gate, inside of it, and on its way out. The gate
/// itself is pure (server-relay/gate/gate.h).
#include <utility>

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include "common/base/log.h"
#include "common/protocol/messages.h"
#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

/// How long a statement that excludes reads waits for those under way. They may wait for someone who waits
/// for it: then it tries with its short time limit.
constexpr auto kReadsLimit = 100ms;

}  // namespace

/// What the gate, or those who were in the way, are to call: tells this thread.
std::function<void()> Session::answer() {
  serial_->let_in = false;
  const std::uint64_t asked = ++serial_->asked;
  return [self = shared_from_this(), asked] {
    asio::post(self->context_, [self, asked] {
      if (self->serial_->asked != asked) return;
      self->serial_->let_in = true;
      self->serial_->event.notify();
    });
  };
}

asio::awaitable<void> Session::enter_gate(GateMode mode, bool excludes_reads, bool before_end) {
  SerialState& s = *serial_;
  GateRequest request{id_, mode, excludes_reads, before_end};
  const SteadyTime limit = std::chrono::steady_clock::now() + kReadsLimit;
  bool inside = s.order.gate.enter(request, answer());
  if (!inside && excludes_reads) wake_at(limit);
  while (!inside && !ended() && !s.let_in && mirrored()) {
    co_await s.event.wait();
    if (!excludes_reads || s.let_in || !mirrored() || std::chrono::steady_clock::now() < limit) continue;
    excludes_reads = false;
    request.excludes_reads = false;
    s.order.gate.leave(id_);
    inside = s.order.gate.enter(request, answer());
  }
  // Where there is one server only, that server orders: whoever is inside may wait there for this session.
  if (ended() || (!mirrored() && !inside && !s.let_in)) {
    s.order.gate.leave(id_);
    co_return;
  }
  s.inside = mode == GateMode::write   ? SerialState::Inside::write
             : mode == GateMode::local ? SerialState::Inside::local
             : mode == GateMode::end   ? SerialState::Inside::end
                                       : SerialState::Inside::alone;
  s.client_moved = s.entered = std::chrono::steady_clock::now();
  s.slow_told = false;
}

/// Roles, databases and tablespaces are the same ones for all databases (hard point 24). Whoever is in this
/// order is inside of its own database's gate, and waits for nobody in another one's.
asio::awaitable<void> Session::enter_shared_order() {
  SerialState& s = *serial_;
  if (s.in_shared) co_return;
  Gate& gate = env_.services.gates().of_shared_objects().gate;
  const bool inside = gate.enter({id_, GateMode::write, false}, answer());
  while (!inside && !ended() && !s.let_in && mirrored()) co_await s.event.wait();
  s.in_shared = !ended() && (inside || s.let_in);
  if (!s.in_shared) gate.leave(id_);
}

void Session::leave_gate() {
  SerialState& s = *serial_;
  if (s.in_shared) env_.services.gates().of_shared_objects().gate.leave(id_);
  s.in_shared = false;
  if (s.inside == SerialState::Inside::outside) return;
  // Whoever comes next must not rely on what this one has changed.
  if (s.catalogue_changed && !guest_ && s.inside != SerialState::Inside::write)
    env_.services.catalogue_changed(database_);
  s.inside = SerialState::Inside::outside;
  s.order.gate.leave(id_);
}

asio::awaitable<void> Session::enter_read() {
  SerialState& s = *serial_;
  const bool inside = s.order.gate.enter_read([self = shared_from_this()] {
    asio::post(self->context_, [self] {
      if (self->ended()) {
        self->serial_->order.gate.leave_read();
        return;
      }
      self->serial_->reading = true;
      self->serial_->event.notify();
    });
  });
  if (inside) s.reading = true;
  while (!ended() && !s.reading && mirrored()) co_await s.event.wait();
}

/// Wakes the session's coroutine no earlier than `when`.
void Session::wake_at(SteadyTime when) {
  const auto timer = std::make_shared<asio::steady_timer>(context_, when);
  timer->async_wait([self = shared_from_this(), timer](std::error_code) { self->serial_->event.notify(); });
}

/// Both legs have finished all that was sent.
asio::awaitable<void> Session::settled() {
  flush_laggards();
  while (!ended() && (!units_.empty() || serial_->aligning)) co_await serial_->event.wait();
}

/// Called whenever both legs have finished everything, on the session's thread.
void Session::on_units_settled() {
  SerialState& s = *serial_;
  s.event.notify();
  s.stirred_at = std::chrono::steady_clock::now();
  if (!s.sends_untried) end_untried();
  if (std::exchange(s.untold_until_settled, false)) end_untold();
  if (s.judging) return;
  if (s.standby_must_fail) {
    fail_standby_too();
    return;
  }
  if (s.failed_in_block) freed_locks();
  if (s.reading && !s.admitting && !s.admitted) {  // or it has only just been let in
    s.reading = false;
    s.order.gate.leave_read();
  }
  if (s.admitted || s.inside == SerialState::Inside::outside || s.aligning) return;
  if (s.inside == SerialState::Inside::alone && standby_state_ == StandbyState::live) {
    s.aligning = true;
    spawn(&Session::leave_aligned);
    return;
  }
  const bool was_write = s.inside == SerialState::Inside::write || s.inside == SerialState::Inside::local;
  leave_gate();
  if (!was_write) freed_locks();
}

/// The transaction has ended, or failed, or has gone back to a savepoint: those behind it may try. What was
/// locked in front of a savepoint may still be.
void Session::freed_locks() {
  SerialState& s = *serial_;
  s.failed_in_block = false;
  const bool all = status_of_master_ == 'I' || (status_of_master_ == 'E' && !s.has_savepoints);
  if (all) {
    s.order.forecast.drop(id_, s.row_keys);
  } else {
    s.order.forecast.doubt(id_, s.row_keys);
  }
  s.order.waits.moved(id_);
}

/// To a server a session is idle while its statement stands aside, or is still being run by the other server:
/// the client's own limits for idle sessions must not end it. A Sync alone starts their clocks anew.
void Session::check_idle_limits(SteadyTime now) {
  SerialState& s = *serial_;
  std::chrono::milliseconds limit = s.idle_in_block_limit;
  if (limit.count() == 0 || (s.idle_limit.count() != 0 && s.idle_limit < limit)) limit = s.idle_limit;
  if (limit.count() == 0 || now - s.stirred_at < limit / 2 || !mirrored() || s.deferring || s.spooling)
    return;
  // In the middle of what the frontend is sending a Sync would be its own.
  using Requests = RequestTracker::Phase;
  const Requests phase = tracker_.phase();
  const bool waits =
      s.admitting ? phase == Requests::between || phase == Requests::sent : phase == Requests::sent;
  const std::uint64_t sent = first_unit_ + units_.size();
  const bool one_idles = master_units_ == sent || matcher_.units(Leg::standby) == sent;
  if (!waits || !one_idles) return;
  s.stirred_at = now;
  s.prefix.extended =
      true;  // what waits to go in front of the statement goes now, and this unit ends with a Sync
  push_unit(Unit::Role::own);
  const std::string sync = build_message('S', {});
  s.to_master += sync;
  s.to_standby += sync;
  flush_own();
}

/// The standby idles in the open transaction while the master runs what is alone. Its clock does not count
/// (design page 2, rule 4): the master ends whoever is idle too long.
asio::awaitable<void> Session::lift_idle_limit_of_standby(bool extended) {
  SerialState& s = *serial_;
  if (status_ != 'T' || s.idle_in_block_limit.count() == 0 || standby_state_ != StandbyState::live) co_return;
  const std::string set = "SET LOCAL idle_in_transaction_session_timeout = ";
  s.judging = true;  // it is in the gate, and stays there
  own_unit_texts(set + std::to_string(s.idle_in_block_limit.count()), set + "0", extended);
  flush_own();
  co_await settled();
  s.judging = false;
}

/// A write that holds up the others for long is told, and with slow_write_policy "overlap" they pass beside
/// it.
void Session::check_slow_write(SteadyTime now) {
  SerialState& s = *serial_;
  const bool excludes = s.inside == SerialState::Inside::write || s.inside == SerialState::Inside::alone;
  if (!excludes || s.slow_told || now - s.entered <= env_.settings.slow_write) return;
  s.slow_told = true;
  const bool overlap = env_.settings.slow_writes_overlap;
  log::warning("slow-write", {{"session", std::to_string(id_)},
                              {"database", database_},
                              {"user", user_},
                              {"application", application_},
                              {"then", overlap ? "others pass beside it; its tables are to be verified"
                                               : "the other writers of the database wait"},
                              {"statement", std::string(statement_for_log())}});
  if (overlap) s.order.gate.let_others_pass(id_);
}

/// Statements on roles may hold a password.
std::string_view Session::statement_for_log() const {
  constexpr std::size_t kShown = 200;
  if (serial_->names_secret) return "(of a role)";
  return std::string_view(tracker_.statement()).substr(0, kShown);
}

/// Nobody holds the gate for ever (hard point 19): what waits for its own client has `client_stall`.
void Session::check_client_stall(SteadyTime now) {
  SerialState& s = *serial_;
  if (s.inside == SerialState::Inside::outside || s.inside == SerialState::Inside::end) return;
  const bool waits_for_input = tracker_.phase() == RequestTracker::Phase::copying ||
                               tracker_.phase() == RequestTracker::Phase::sending;
  const bool waits_for_reader = front_out_.pending() != 0;
  if (front_out_.written() != s.written_to_client || (!waits_for_input && !waits_for_reader)) {
    s.written_to_client = front_out_.written();
    s.client_moved = now;
  }
  if (now - s.client_moved <= env_.settings.client_stall) return;
  const std::string text =
      "pgtandem: the session held up all writers of this database for client_stall, waiting for its own "
      "client";
  end_with_error(EndReason::ended_by_relay, {pgtandem::Severity::fatal, "57014", text}, text);
}

}  // namespace pgtandem
