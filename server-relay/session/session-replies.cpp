#include <algorithm>
#include <cstring>

#include <asio/steady_timer.hpp>

#include "server-relay/oids/catalogue-cache.h"
#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

/// What may be held, or wait to be written to the frontend, before the master is read further.
constexpr std::size_t kHeldLimit = IoThread::kScratchSize;

/// How much of a reply is read for a frontend that is gone. More than a window, so that the standby can
/// finish.
constexpr std::uint64_t kDrainLimit = 1U << 20;

bool ends_something(char type) {
  return type == 'C' || type == 'I' || type == 's' || type == 'V' || type == 'E' || type == 'Z';
}

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

}  // namespace

asio::awaitable<void> Session::reply_loop() {
  LegConnection& leg = *master_;
  const auto counts = [this, &leg] { return !ended() && !succeeding_ && &leg == master_.get(); };
  bool gone = false;
  while (counts() && !gone) {
    const bool congested = front_out_.pending() > kHeldLimit || held_.size() > kHeldLimit;
    if (congested || master_ahead() > env_.settings.compare_window) {
      co_await reply_event_.wait();
      continue;
    }
    gone = bool(co_await leg.stream.readable());
    if (!counts()) co_return;
    auto& scratch = env_.thread.scratch();
    const std::size_t kept = leg.kept.size();
    std::memcpy(scratch.data(), leg.kept.data(), kept);
    const Stream::Transfer got = leg.stream.try_read(std::span(scratch).subspan(kept));
    gone = gone || got.ended;
    ThreadCounters::add(env_.thread.counters().backend_bytes, got.bytes);
    const ByteSpan rest = take_replies(ByteSpan(scratch).first(kept + got.bytes), leg.splitter);
    leg.kept.assign(as_text(rest));
    if (leg.splitter.broken()) {
      end_with_error(EndReason::nonsense_master,
                     {pgtandem::Severity::fatal, "08P01", "pgtandem: the master's server broke the protocol"},
                     "a message with an impossible length from the master's server");
    }
    if (front_out_.failed() && phase_ == Phase::streaming) on_frontend_gone(false);
  }
  if (counts()) co_await on_master_gone();
}

/// Passes on what may go at once in as few writes as there are held places; returns an incomplete message's
/// beginning.
ByteSpan Session::take_replies(ByteSpan input, MessageSplitter& splitter) {
  const std::byte* const begin = input.data();
  const std::byte* run_begin = begin;
  std::size_t run = 0;
  while (std::optional<MessagePiece> piece = splitter.next(input)) {
    if (cut_off_ && guest_) {
      front_out_.send(ByteSpan(run_begin, run), owner());
      run = 0;
      const bool goes_on = is_behind_the_cut(*piece);
      if (ended()) return input;
      if (!goes_on) continue;
    }
    Unit* const of = master_unit();
    if (of != nullptr && of->prefix.of_master != 0 &&
        take_prefix_reply(of->prefix.of_master, of->prefix.extended, master_->out, *piece)) {
      front_out_.send(ByteSpan(run_begin, run), owner());
      run = 0;
      continue;
    }
    if (is_goodbye(*piece)) {
      front_out_.send(ByteSpan(run_begin, run), owner());
      run = 0;
      continue;
    }
    const std::optional<Outcome> outcome = master_reader_.on_piece(*piece);
    std::optional<std::string> with_its_oids;
    if (guest_ && oids_.active()) with_its_oids = oids_.for_frontend(*piece);
    if (with_its_oids) {
      front_out_.send(ByteSpan(run_begin, run), owner());
      run = 0;
      piece->wire = as_bytes(*with_its_oids);
      piece->body = piece->wire.subspan(MessageSplitter::kHeaderSize);
    }
    if (oids_.active()) oids_.on_master_reply(*piece);
    if (piece->type == 'S' && piece->whole()) note_parameter(piece->body);
    const Unit::Role role = of != nullptr ? of->role : Unit::Role::frontend;
    if (of != nullptr) of->master_bytes += piece->wire.size();
    if (outcome && outcome->fatal) {
      // The backend is going away. What that means is judged when its connection ends.
      farewell_ = piece->whole() ? std::string(as_text(piece->wire))
                                 : build_error_response({pgtandem::Severity::fatal, outcome->sqlstate.view(),
                                                         outcome->text.view()});
      front_out_.send(ByteSpan(run_begin, run), owner());
      run = 0;
      run_begin = input.data();
      continue;
    }
    if (outcome) note_master_outcome(*outcome);
    if (role != Unit::Role::frontend) {
      front_out_.send(ByteSpan(run_begin, run), owner());
      run = 0;
      take_serial_reply(*piece, outcome, role);
      continue;
    }
    if (outcome && serial_ != nullptr && serial_->victim && outcome->sqlstate.view() == "57014" &&
        piece->whole()) {
      front_out_.send(ByteSpan(run_begin, run), owner());
      run = 0;
      replace_victims_error(*piece, outcome);
      continue;
    }
    if (serial_ != nullptr) {
      if (const std::optional<std::string> restored = restored_reply(*piece)) {
        front_out_.send(ByteSpan(run_begin, run), owner());
        run = 0;
        pass_instead(*piece, *restored, outcome);
        continue;
      }
    }
    if (with_its_oids) {
      if (may_pass(*piece, outcome)) front_out_.send(piece->wire, owner());
      continue;
    }
    if (may_pass(*piece, outcome)) {
      if (run == 0) run_begin = piece->wire.data();
      run += piece->wire.size();
      if (outcome && outcome->kind == Outcome::Kind::ready) decided(outcome->status);
    } else {
      front_out_.send(ByteSpan(run_begin, run), owner());
      run = 0;
    }
  }
  front_out_.send(ByteSpan(run_begin, run), owner());
  if (mirrored()) {
    drop_ahead();
    handle_mismatches();
    finish_matched_units();
    standby_event_.notify();
  }
  if (!held_.empty()) release();
  end_if_idle();
  if (phase_ == Phase::draining) limit_draining(input.data() - begin);
  return input;
}

/// The unit that the master is answering.
Session::Unit* Session::master_unit() {
  const bool in_unit = master_units_ < first_unit_ + units_.size();
  return in_unit ? &units_[std::size_t(master_units_ - first_unit_)] : nullptr;
}

/// ParameterStatus: name value ("Message Formats"). Two of them say how the server reads texts.
void Session::note_parameter(ByteSpan body) {
  const std::string_view text = as_text(body);
  const std::size_t name_size = text.find('\0');
  if (name_size == std::string_view::npos) return;
  const std::string_view name = text.substr(0, name_size);
  std::string_view value = text.substr(name_size + 1);
  value = value.substr(0, value.find('\0'));
  if (name == "standard_conforming_strings") dialect_.standard_strings = value == "on";
  if (name != "client_encoding") return;
  dialect_.ascii_safe = encoding_is_ascii_safe(value);
  width_ = character_width(value);
}

/// Nobody waits for this reply any more, and its end may be far: as a server whose client is gone, the relay
/// gives a read up on both, unless the standby has finished it. What may write is left to finish: of two
/// backends that lose their connection near the end of a statement, one may commit.
void Session::limit_draining(std::ptrdiff_t bytes) {
  if (!tracker_.statement_reads()) return;
  drained_ += std::uint64_t(bytes);
  const bool standby_done = mirrored() && !units_.empty() && units_.front().standby_status != 0;
  if (drained_ > kDrainLimit && !standby_done) end(drain_reason_, "left in the middle of a long reply", {});
}

void Session::note_master_outcome(const Outcome& outcome) {
  if (outcome.kind == Outcome::Kind::copy_in) {
    tracker_.on_copy_in();
    request_event_.notify();
    // The data that the backends wait for will not come: both roll back.
    if (phase_ == Phase::draining) end(drain_reason_, "left in the middle of a COPY", {});
  }
  Unit* const unit = master_unit();
  if (unit != nullptr && outcome.kind == Outcome::Kind::complete &&
      (outcome.tag_class != TagClass::read || outcome.wrote_what_it_selected())) {
    unit->wrote = true;
    oids_changed_ = oids_changed_ || (oids_version_ != nullptr && tag_may_change_oids(outcome.text.view()));
  }
  if (serial_ != nullptr) note_serial_outcome(outcome, unit);
  ++master_outcomes_;
  if (standby_state_ == StandbyState::live || standby_state_ == StandbyState::lost)
    matcher_.push(Leg::master, outcome);
  if (outcome.kind != Outcome::Kind::ready || unit == nullptr) return;
  unit->master_done = std::chrono::steady_clock::now();
  status_of_master_ = outcome.status;
  ThreadCounters::add(env_.thread.counters().units);
  if (unit->wrote) ThreadCounters::add(env_.thread.counters().writes);
  ++master_units_;
  if (serial_ != nullptr) {
    serial_->watching = false;
    send_deferred();
  }
  if (!mirrored()) {
    units_.pop_front();
    ++first_unit_;
    if (serial_ != nullptr && units_.empty()) on_units_settled();
  }
}

bool Session::may_pass(const MessagePiece& piece, const std::optional<Outcome>& outcome) {
  const std::uint64_t number = outcome ? master_outcomes_ - 1 : master_outcomes_;
  // The rule sees every outcome, released or not: it follows the transaction's state by them.
  const bool waits = outcome && rule_.must_wait(*outcome);
  const bool ready = outcome && outcome->kind == Outcome::Kind::ready;
  if (held_.has_open_message()) {
    held_.append(piece.wire);
    if (piece.last) held_.close(waits, ready, ready ? outcome->status : 0);
    return false;
  }
  if (!ends_something(piece.type)) {
    if (held_.empty()) return true;
    held_.append(piece.wire);
    return false;
  }
  if (piece.last) {
    if (held_.empty() && (!waits || may_release(number))) return true;
    held_.open(number);
    held_.append(piece.wire);
    held_.close(waits, ready, ready ? outcome->status : 0);
    return false;
  }
  if (held_.empty() && !(piece.first && rule_.may_wait(piece.type))) return true;
  held_.open(number);
  held_.append(piece.wire);
  return false;
}

/// R1: the right to be master, and the standby's match where there is a standby.
bool Session::may_release(std::uint64_t outcome) {
  if (standby_state_ == StandbyState::lost) return false;
  if (standby_state_ == StandbyState::live &&
      (matcher_.matched() <= outcome || matcher_.pending_mismatch() != nullptr)) {
    return false;
  }
  return env_.thread.may_release();
}

void Session::release() {
  while (!held_.empty() && !ended()) {
    const HeldOutput::Release next =
        held_.next([this](std::uint64_t outcome) { return may_release(outcome); });
    if (next.bytes.empty()) break;
    front_out_.send(next.bytes, owner());
    const bool unit_decided = next.decided;
    const char status = next.status;
    held_.consume(next);
    if (unit_decided) decided(status);
  }
  reply_event_.notify();
}

void Session::decided(char status) {
  status_ = status;
  if (serial_ != nullptr) on_client_unit(status, serial_->master.failed() || status == 'E');
  tracker_.on_decided();
  oids_.on_unit_end();
  if (oids_changed_ && status == 'I') {
    oids_changed_ = false;
    env_.services.oids_changed(database_);
  }
  if (request_blocked_) request_event_.notify();
  end_if_idle();
}

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
    if (got.bytes != 0) standby_progress_ = std::chrono::steady_clock::now();
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
      if (outcome && serial_ != nullptr) serial_->standby.note(*outcome);
    }
    if (!outcome) continue;
    if (outcome->fatal) {
      standby_fatal_ = outcome->sqlstate.view();
      standby_fatal_text_ = outcome->text.view();
    } else {
      matcher_.push(Leg::standby, *outcome);
    }
    if (succeeding_ && standby_reader_.progress() >= master_reader_.progress()) break;
  }
  handle_mismatches();
  if (ended()) return input;
  finish_matched_units();
  release();
  end_if_idle();
  if (!succeeding_) return input;
  MessageSplitter& splitter = standby_->splitter;
  catch_up();
  return guest_ && !ended() ? take_replies(input, splitter) : input;
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
    count_standby_wait(counters, now - unit.master_done);
    // A unit that did not wait for the standby may be held back by how far that lags.
    if (units_.size() >= kMaxLaggingUnits) request_event_.notify();
    units_.pop_front();
    ++first_unit_;
    if (serial_ != nullptr && units_.empty()) on_units_settled();
  }
}

/// Those of an attempt are judged when it is over.
void Session::handle_mismatches() {
  if (serial_ != nullptr && serial_->forgiving) drop_mismatches();
  if (serial_ == nullptr || !serial_->judging) judge_mismatches();
}

void Session::judge_mismatches() {
  while (matcher_.pending_mismatch() != nullptr && !must_defer(*matcher_.pending_mismatch())) {
    std::optional<Mismatch> mismatch = matcher_.next_mismatch();
    if (ended() || standby_state_ != StandbyState::live) return;
    handle_mismatch(*mismatch);
  }
}

bool Session::master_is_between_units() const {
  return master_units_ == first_unit_ + units_.size();
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

std::uint64_t Session::standby_ahead() const {
  const std::uint64_t current = matcher_.units(Leg::standby);
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
  const std::uint64_t lag = master_units_ - std::min(master_units_, matcher_.units(Leg::standby));
  auto& lag_units = env_.thread.counters().lag_units;
  lag_units.store(std::max(lag_units.load(std::memory_order_relaxed), lag), std::memory_order_relaxed);
  if (lag != 0 && !units_.empty()) {
    const Unit& unit = units_.front();
    const auto waited = now - unit.master_done;
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
  const bool request_stuck = standby_->out.pending() > kHeldLimit && master_->out.pending() == 0;
  const bool window_full = master_ahead() > settings.compare_window;
  if ((request_stuck || window_full) && now - standby_progress_ > settings.standby_timeout) {
    standby_lost("the standby made no progress for standby_timeout while the master was a full window ahead");
  }
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

/// The master's connection ended. What both servers may have done with the unit under way decides what
/// follows: they must end equal, or the standby is not joined any more.
asio::awaitable<void> Session::on_master_gone() {
  const bool was_guest = guest_;
  const bool inside = tracker_.phase() != RequestTracker::Phase::between;
  const bool sent = tracker_.phase() == RequestTracker::Phase::sent;
  master_gone_ = true;
  bool alive = true;
  if (!guest_) alive = co_await env_.services.probe_master();
  if (ended() || succeeding_ || guest_ != was_guest) co_return;
  if (!alive && may_be_succeeded()) {
    co_await await_successor();
    if (ended() || succeeding_ || guest_) co_return;
  }
  // Where the postmaster itself is lost, the keeper decides for all sessions: the standby has all that was
  // acknowledged.
  const bool both_have_it = inside && sent && mirrored();
  if (!alive && both_have_it && env_.keeper != nullptr) {
    env_.keeper->copies_may_differ("the master's postmaster was lost inside a statement of session " +
                                   std::to_string(id_));
  }
  const bool in_doubt = alive && both_have_it;
  bool settles = true;
  if (in_doubt) settles = co_await standby_settles();
  if (!settles && !ended()) {
    standby_lost("the master's backend of session " + std::to_string(id_) +
                 " ended inside a statement that the standby may have committed");
    while (!ended() && standby_state_ == StandbyState::lost) co_await reply_event_.wait();
  }
  if (ended()) co_return;
  release();
  if (farewell_.empty()) {
    farewell_ = build_error_response(
        {pgtandem::Severity::fatal, "57P01", "pgtandem: the connection to the master's server was lost",
         inside ? "Whether the running statement took effect is not known." : ""});
  }
  end(EndReason::master_ended, alive ? "the master's backend ended" : "the master's postmaster was lost",
      farewell_);
}

/// Waits up to standby_timeout for the standby's answer to the unit under way: true if it cannot have
/// committed anything that the master may not have.
asio::awaitable<bool> Session::standby_settles() {
  asio::steady_timer timer(context_, env_.settings.standby_timeout);
  const auto over = std::make_shared<bool>(false);
  timer.async_wait([self = shared_from_this(), over](std::error_code failure) {
    *over = true;
    if (!failure) self->reply_event_.notify();
  });
  const auto settled = [this] {
    return units_.empty() || units_.front().standby_status != 0 || standby_ended_alone_;
  };
  while (!ended() && !*over && standby_state_ == StandbyState::live && !settled())
    co_await reply_event_.wait();
  if (standby_state_ != StandbyState::live || !settled()) co_return false;
  // A backend that ended by a FATAL of its own has rolled back what it had not committed before.
  if (units_.empty() || !units_.back().standby_wrote) co_return true;
  const char status = units_.back().standby_status;
  co_return status != 'I' && status != 0;
}

}  // namespace pgtandem
