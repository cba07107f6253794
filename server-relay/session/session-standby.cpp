/// The standby's side of a session: its replies are compared with the master's and dropped (1-session.md,
/// "Comparing replies"); what its loss, its silence or a difference means.
#include <algorithm>
#include <cstring>

#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

std::int64_t nanoseconds(SteadyTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

void count_standby_wait(ThreadCounters& counters, std::chrono::steady_clock::duration wait) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(wait).count();
  const std::uint64_t positive = us > 0 ? std::uint64_t(us) : 0;
  const auto& bounds = WaitHistogram::kBounds;
  const auto bound = std::ranges::lower_bound(bounds, double(positive) / 1e6);
  ThreadCounters::add(counters.standby_wait[std::size_t(bound - bounds.begin())]);
  ThreadCounters::add(counters.standby_wait_us, positive);
}

/// So long a standby may be at something that the master has refused.
constexpr auto kRefusedLimit = std::chrono::milliseconds(200);

/// Requests that wait to be written to a standby that takes nothing more.
constexpr std::size_t kStuckLimit = IoThread::kScratchSize;

}  // namespace

asio::awaitable<void> Session::standby_loop() {
  LegConnection& leg = *standby_;
  standby_progress_ = std::chrono::steady_clock::now();
  while (!ended() && standby_state_ == StandbyState::live) {
    if (standby_ahead() > env_.settings.compare_window) {
      co_await standby_event_.wait();
      standby_progress_ = std::chrono::steady_clock::now();  // until now it was the relay that did not read
      continue;
    }
    const bool failed = bool(co_await leg.stream.readable());
    if (ended() || standby_state_ != StandbyState::live) co_return;
    auto& scratch = env_.thread.scratch();
    const std::size_t kept = leg.kept.size();
    std::memcpy(scratch.data(), leg.kept.data(), kept);
    const Stream::Transfer got = leg.stream.try_read(std::span(scratch).subspan(kept));
    ThreadCounters::add(env_.thread.counters().standby_bytes, got.bytes);
    const ByteSpan rest = take_standby_replies(ByteSpan(scratch).first(kept + got.bytes));
    leg.kept.assign(as_text(rest));
    if (got.bytes != 0) env_.standby_heard = standby_progress_ = std::chrono::steady_clock::now();
    if (ended() || standby_state_ != StandbyState::live) co_return;
    if (leg.splitter.broken()) standby_lost("the standby's server broke the protocol");
    if (failed || got.ended) {
      on_standby_gone();
      co_return;
    }
  }
}

ByteSpan Session::take_standby_replies(ByteSpan input) {
  while (std::optional<MessagePiece> piece = standby_->splitter.next(input)) {
    const std::uint64_t unit = matcher_.units(Leg::standby);
    const bool known = unit >= first_unit_ && unit < first_unit_ + units_.size();
    if (known) {
      SerialState::PrefixReplies& prefix = units_[std::size_t(unit - first_unit_)].prefix;
      if (prefix.of_standby != 0 &&
          take_prefix_reply(prefix.of_standby, prefix.extended, standby_->out, *piece))
        continue;
    }
    const ReplyProgress place = standby_reader_.progress();
    const std::optional<Outcome> outcome = standby_reader_.on_piece(*piece);
    keep_ahead(place, *piece);
    if (known) {
      Unit& current = units_[std::size_t(unit - first_unit_)];
      current.standby_bytes += piece->wire.size();
      if (outcome) note_standby_outcome(current, *outcome);
      if (outcome && serial_ != nullptr && unit >= serial_->unit) serial_->standby.note(*outcome);
    }
    if (!outcome) continue;
    if (outcome->fatal) {
      standby_fatal_ = outcome->sqlstate.view();
      standby_fatal_text_ = outcome->text.view();
    } else {
      matcher_.push(Leg::standby, *outcome);
    }
  }
  handle_mismatches();
  if (ended()) return input;
  finish_matched_units();
  release();
  end_if_idle();
  if (!ended()) catch_up();
  return input;
}

void Session::note_standby_outcome(Unit& unit, const Outcome& outcome) {
  const bool commanded = outcome.kind == Outcome::Kind::complete && outcome.tag_class != TagClass::begin &&
                         outcome.tag_class != TagClass::rollback &&
                         (outcome.tag_class != TagClass::read || outcome.wrote_what_it_selected());
  if (commanded || outcome.kind == Outcome::Kind::function_result) unit.standby_wrote = true;
  if (outcome.kind == Outcome::Kind::ready) unit.standby_status = outcome.status;
}

void Session::finish_matched_units() {
  ThreadCounters& counters = env_.thread.counters();
  while (!units_.empty() && matcher_.units(Leg::master) > first_unit_ &&
         matcher_.units(Leg::standby) > first_unit_) {
    const Unit& unit = units_.front();
    const SteadyTime now = std::chrono::steady_clock::now();
    if (unit.wrote) counters.last_write_end.store(nanoseconds(now), std::memory_order_relaxed);
    counters.open_writes.fetch_sub(1, std::memory_order_relaxed);
    if (!unit.lags) count_standby_wait(counters, now - unit.master_done);
    // A unit that did not wait for the standby may be held back by how far that lags.
    if (units_.size() >= kMaxLaggingUnits) request_event_.notify();
    const bool untried = unit.untried;
    units_.pop_front();
    ++first_unit_;
    if (untried && --serial_->untried == 0) end_untried();
    if (serial_ == nullptr) continue;
    if (units_.empty()) {
      on_units_settled();
    } else if (standby_is_near()) {
      serial_->event.notify();
    }
  }
}

/// Those of an attempt are judged when it is over.
void Session::handle_mismatches() {
  const bool both_refused = serial_ != nullptr && serial_->standby_cancelled && serial_->master.failed() &&
                            serial_->standby.sqlstate == "57014";
  if (serial_ != nullptr && (serial_->forgiving || both_refused)) drop_mismatches();
  if (serial_ == nullptr || !serial_->judging) judge_mismatches();
}

void Session::judge_mismatches() {
  while (true) {
    if (serial_ != nullptr) forgive_what_commits_nothing();
    if (matcher_.pending_mismatch() == nullptr || must_defer(*matcher_.pending_mismatch())) return;
    std::optional<Mismatch> mismatch = matcher_.next_mismatch();
    if (ended() || standby_state_ != StandbyState::live) return;
    handle_mismatch(*mismatch);
  }
}

/// With on_mismatch = "refuse": whether the transaction can still be undone is known when the master has
/// finished what it has in hand, which may be a COMMIT.
bool Session::must_defer(const Mismatch& mismatch) const {
  return env_.settings.on_mismatch == OnMismatch::refuse && mismatch.kind == MismatchKind::write &&
         !master_is_between_units();
}

void Session::handle_mismatch(Mismatch& mismatch) {
  ThreadCounters& counters = env_.thread.counters();
  const Unit* const unit = units_.empty() ? nullptr : &units_.front();
  const std::string& statement =
      unit != nullptr && !unit->statement.empty() ? unit->statement : tracker_.statement();
  std::string_view action = "logged";
  if (mismatch.kind == MismatchKind::read) {
    if (unit != nullptr && env_.services.writes_overlapped(unit->began, int(units_.size()))) return;
    ThreadCounters::add(counters.differences_read);
  } else {
    ThreadCounters::add(counters.differences_write);
    // Before its COMMIT is on its way the transaction can still be undone on both servers.
    const bool can_undo = rule_.in_block() && master_is_between_units();
    if (env_.settings.on_mismatch == OnMismatch::stale) action = "stale";
    if (env_.settings.on_mismatch == OnMismatch::refuse) action = can_undo ? "refused" : "stale";
  }
  env_.services.record({mismatch.kind, std::to_string(id_), user_, database_, application_, statement,
                        mismatch.what, mismatch.master, mismatch.standby, action});
  if (action == "stale") {
    standby_lost("the replies to a statement of session " + std::to_string(id_) + " differ: " +
                 mismatch.what + " (master: " + mismatch.master + "; standby: " + mismatch.standby + ")");
  } else if (action == "refused") {
    const std::string text = "pgtandem: the two servers answered differently (" + mismatch.what +
                             "); the transaction was rolled back on both";
    end_with_error(EndReason::mismatch, {pgtandem::Severity::fatal, "40001", text}, text);
  }
}

/// R2: from here on nothing that waits is released until the authority says that the master goes on alone.
void Session::standby_lost(const std::string& reason) {
  if (!mirrored() || standby_state_ == StandbyState::lost) return;
  if (succeeding_) return end_unsucceeded("the master's server was lost, and then: " + reason);
  standby_state_ = StandbyState::lost;
  standby_->stream.close();
  standby_->out.drop();
  if (env_.keeper != nullptr) env_.keeper->standby_failed(reason);
}

/// The authority says that the standby counts no longer.
void Session::drop_standby() {
  standby_->stream.close();
  standby_->out.drop();
  env_.thread.counters().open_writes.fetch_sub(std::int64_t(units_.size()), std::memory_order_relaxed);
  standby_state_ = StandbyState::none;
  standby_->key = BackendKey{};
  while (!units_.empty() && first_unit_ < master_units_) {
    units_.pop_front();
    ++first_unit_;
  }
  if (serial_ == nullptr) return;
  serial_->deferring = false;
  if (units_.empty()) on_units_settled();
}

/// A FATAL that says nothing about the server ends this session's backend alone: an administrator's
/// pg_terminate_backend, the session's own time limits, a message that no server takes. What the master did
/// meanwhile decides.
void Session::on_standby_gone() {
  if (succeeding_) return standby_lost("the other server ended the connection");
  const bool of_the_server = standby_fatal_ == "57P02" || standby_fatal_ == "57P03";
  if (standby_fatal_.empty() || of_the_server) {
    standby_lost("the standby ended the connection of session " + std::to_string(id_) +
                 (standby_fatal_.empty() ? std::string() : " with SQLSTATE " + standby_fatal_));
    return;
  }
  standby_ended_alone_ = true;
  reply_event_.notify();
  spawn(&Session::judge_standby_end);
}

/// No unit begins in the meantime. If the master finishes the one under way and may have committed it, the
/// standby has missed it; otherwise the session ends on both. If the master's backend ends too,
/// on_master_gone() judges.
asio::awaitable<void> Session::judge_standby_end() {
  if (standby_fatal_ == "57P01") {
    const bool alive = co_await env_.services.probe_standby();
    if (!alive && !ended()) standby_lost("the standby's server is going away");
  }
  while (!ended() && standby_state_ == StandbyState::live && !master_is_between_units())
    co_await standby_event_.wait();
  standby_ended_alone_ = false;
  request_event_.notify();
  if (ended() || standby_state_ != StandbyState::live) co_return;  // or another session found the server lost
  // With commands behind it that were not sent as a whole unit, nothing can have been committed either.
  if (!units_.empty() && units_.back().wrote && status_of_master_ == 'I') {
    standby_lost("the standby ended the connection of session " + std::to_string(id_) + " with SQLSTATE " +
                 standby_fatal_ + " inside a statement that the master finished");
    co_return;
  }
  end_as_the_standby_did();
}

void Session::end_as_the_standby_did() {
  const std::string text = standby_fatal_ == "25P03"
                               ? "terminating connection due to idle-in-transaction timeout"
                           : standby_fatal_ == "57P05" ? "terminating connection due to idle-session timeout"
                           : standby_fatal_ == "57P01"
                               ? "terminating connection due to administrator command"
                               : "pgtandem: the standby's server ended this session: " + standby_fatal_text_;
  end_with_error(EndReason::standby_ended, {pgtandem::Severity::fatal, standby_fatal_, text}, text);
}

/// How far the master is ahead in replies, in bytes, over all units that the standby has not finished.
std::uint64_t Session::master_ahead() const {
  if (standby_state_ != StandbyState::live || standby_ended_alone_) return 0;
  if (serial_ != nullptr && serial_->deferring) return 0;
  const std::uint64_t current = matcher_.units(Leg::standby);
  std::uint64_t master = 0;
  std::uint64_t standby = 0;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    if (first_unit_ + i < current) continue;
    master += units_[i].master_bytes;
    standby += units_[i].standby_bytes;
  }
  return master > standby ? master - standby : 0;
}

/// 0 where the master has finished the unit, or given it up: a backend that cannot send cannot be cancelled
/// either.
std::uint64_t Session::standby_ahead() const {
  const std::uint64_t current = matcher_.units(Leg::standby);
  if (current < master_units_) return 0;
  if (current < first_unit_ || current - first_unit_ >= units_.size()) return 0;
  const Unit& unit = units_[std::size_t(current - first_unit_)];
  return unit.standby_bytes > unit.master_bytes ? unit.standby_bytes - unit.master_bytes : 0;
}

/// Hard point 6: the clock runs only while the master has finished the unit, or is a full window ahead.
void Session::check_standby_clock(SteadyTime now) {
  if (standby_state_ != StandbyState::live || succeeding_) return;
  const auto& settings = env_.settings;
  if (standby_->out.written() != standby_written_seen_) {
    standby_written_seen_ = standby_->out.written();
    standby_progress_ = now;
  }
  const std::uint64_t got = matcher_.units(Leg::standby) + standby_->out.kept();
  const std::uint64_t lag = master_units_ - std::min(master_units_, got);
  auto& lag_units = env_.thread.counters().lag_units;
  lag_units.store(std::max(lag_units.load(std::memory_order_relaxed), lag), std::memory_order_relaxed);
  if (lag != 0 && !units_.empty()) {
    const Unit& unit = units_.front();
    const auto waited = now - unit.master_done;
    if (serial_ != nullptr && waited > kRefusedLimit) stop_refused_on_standby(now);
    if (waited <= settings.standby_timeout || now < extended_until_) return;
    // A standby that began when the master had finished may take as long again.
    const auto half = (unit.master_done - unit.began) * (unit.deferred ? 3 : 1) / 2;
    if (extended_until_ == SteadyTime{} && half > settings.standby_timeout) {
      if (!probing_) spawn(&Session::probe_then_judge);
      return;
    }
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(waited).count();
    standby_lost("the standby has not answered " + std::to_string(ms) +
                 " ms after the master had finished a statement");
    return;
  }
  const bool request_stuck = standby_->out.pending() > kStuckLimit && master_->out.pending() == 0;
  const bool window_full = master_ahead() > settings.compare_window;
  if ((request_stuck || window_full) && now - standby_progress_ > settings.standby_timeout) {
    standby_lost("the standby made no progress for standby_timeout while the master was a full window ahead");
  }
}

/// What the master has refused for good, and had committed nothing of, the standby need not finish: it may
/// wait there for a transaction that was not in the master's way (a deferred key that is taken twice), or not
/// have begun it when the first cancel came, and now be at it without the client's time limit.
void Session::stop_refused_on_standby(SteadyTime now) {
  SerialState& s = *serial_;
  const bool nothing_committed = !s.committed_inside && !s.calls_code;
  const bool refused = s.master.failed() && !s.standby.failed() && nothing_committed && units_.size() == 1;
  const bool undecided = s.judging && s.master.sqlstate != "57014";  // an attempt that may be sent again
  if (!refused || undecided || s.forgiving || cancels_ != 0) return;
  if (now - s.standby_cancelled_at <= kRefusedLimit) return;
  s.standby_cancelled = true;
  s.standby_cancelled_at = now;
  spawn(&Session::cancel_on_standby);
}

asio::awaitable<void> Session::probe_then_judge() {
  probing_ = true;
  const bool answers = co_await env_.services.probe_standby();
  probing_ = false;
  if (ended() || standby_state_ != StandbyState::live || units_.empty()) co_return;
  const Unit& unit = units_.front();
  // A failed probe is remembered as an extension that is over.
  extended_until_ =
      unit.master_done +
      (answers ? (unit.master_done - unit.began) * (unit.deferred ? 3 : 1) / 2 : SteadyTime::duration(1));
}

}  // namespace pgtandem
