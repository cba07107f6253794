#include <cstring>
#include <utility>

#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

/// What may wait to be written to a leg before the frontend is read further.
constexpr std::size_t kPendingLimit = IoThread::kScratchSize;
constexpr std::size_t kKeptCapacity = 1024;  ///< bytes that a session between units may keep allocated

void keep(std::string& kept, ByteSpan rest) {
  if (rest.empty() && kept.capacity() > kKeptCapacity) kept = std::string();
  kept.assign(as_text(rest));
}

}  // namespace

asio::awaitable<void> Session::request_loop() {
  while (!ended() && phase_ == Phase::streaming) {
    const bool again = request_blocked_;  // what is kept could not go before: nothing new is needed to try it
    if (again || legs_are_congested()) {
      co_await request_event_.wait();
      if (legs_are_congested()) continue;
      request_blocked_ = false;
      if (!again) continue;
    } else if (co_await front_.readable()) {
      break;
    }
    if (ended() || phase_ != Phase::streaming) co_return;
    // The scratch buffer is the thread's: everything up to the next co_await uses it alone.
    auto& scratch = env_.thread.scratch();
    std::size_t size = front_kept_.size();
    std::memcpy(scratch.data(), front_kept_.data(), size);
    if (!again) {
      const Stream::Transfer got = front_.try_read(std::span(scratch).subspan(size));
      if (got.ended) {
        on_frontend_gone(!got.failure);
        co_return;
      }
      ThreadCounters::add(env_.thread.counters().frontend_bytes, got.bytes);
      size += got.bytes;
    }
    if (serial_ == nullptr) {
      keep(front_kept_, take_requests(ByteSpan(scratch).first(size)));
      continue;
    }
    front_kept_.assign(as_text(ByteSpan(scratch).first(size)));
    serial_->client_moved = std::chrono::steady_clock::now();
    co_await serve_serial();
    if (front_kept_.empty() && front_kept_.capacity() > kKeptCapacity) front_kept_ = std::string();
  }
  if (!ended() && phase_ == Phase::streaming) on_frontend_gone(false);
}

bool Session::legs_are_congested() const {
  return master_->out.pending() > kPendingLimit ||
         (standby_state_ == StandbyState::live && standby_->out.pending() > kPendingLimit);
}

bool Session::may_start_unit() {
  return oids_are_current() && env_.thread.may_release() && cancels_ == 0 &&
         standby_state_ != StandbyState::lost && farewell_.empty() && !master_gone_ && !succeeding_ &&
         !standby_ended_alone_ && !(end_when_idle_ && status_ == 'I') && units_.size() < kMaxLaggingUnits;
}

/// Sends what may go and returns the rest: an incomplete message, or everything from a unit on that has to
/// wait.
ByteSpan Session::take_requests(ByteSpan input) {
  const std::byte* const begin = input.data();
  std::size_t sendable = 0;
  bool leave = false;
  while (true) {
    const MessageSplitter before = request_splitter_;
    const ByteSpan rest = input;
    const std::optional<MessagePiece> piece = request_splitter_.next(input);
    if (!piece) break;
    const bool begins_unit = piece->first && tracker_.phase() == RequestTracker::Phase::between;
    using Verdict = RequestTracker::Verdict;
    const bool must_hold =
        begins_unit ? piece->type != 'X' && (!may_start_unit() || (serial_ != nullptr && !serial_->admitted))
                    : serial_ != nullptr && !may_send_in_open_unit(*piece);
    const Verdict verdict = must_hold ? Verdict::hold : tracker_.judge(*piece);
    if (verdict == Verdict::forward) {
      if (tracker_.take_unit_began()) begin_unit();
      if (oids_.active() && oids_.append_for_standby(*piece, for_standby_))
        env_.services.oids_changed(database_);
      sendable = std::size_t(input.data() - begin);
      continue;
    }
    request_splitter_ = before;
    input = rest;
    // What waits for its plan, or for the gate, is not blocked by what is under way.
    const bool unplanned =
        serial_ != nullptr && (serial_->gate_execute || (begins_unit && !serial_->admitted));
    request_blocked_ = verdict == Verdict::hold && !unplanned;
    leave = verdict == Verdict::leave;
    break;
  }
  send_to_legs(ByteSpan(begin, sendable));
  if (request_splitter_.broken()) {
    end_with_error(EndReason::nonsense_frontend,
                   {pgtandem::Severity::fatal, "08P01", "invalid message length"},
                   "a message with an impossible length");
  } else if (leave) {
    drain(EndReason::left);
  }
  return input;
}

void Session::begin_unit() {
  if (serial_ != nullptr) serial_->admitted = false;
  push_unit(Unit::Role::frontend);
  if (serial_ == nullptr) return;
  units_.back().untried = std::exchange(serial_->sends_untried, false);
  units_.back().lags = std::exchange(serial_->lags, false);
  units_.back().forgivable = std::exchange(serial_->forgivable, false);
  units_.back().begins = std::exchange(serial_->begins, false);
}

void Session::push_unit(Unit::Role role) {
  const bool own = role == Unit::Role::own;
  if (serial_ != nullptr && !own) serial_->begin_unit(first_unit_ + units_.size());
  if (mirrored()) {
    if (!units_.empty() && !own) units_.back().statement = tracker_.statement();
    matcher_.start_unit(!own && tracker_.statement_reads());
    env_.thread.counters().open_writes.fetch_add(1, std::memory_order_relaxed);
  }
  Unit unit;
  unit.role = role;
  unit.deferred = serial_ != nullptr && serial_->deferring;
  unit.began = std::chrono::steady_clock::now();
  if (serial_ != nullptr) serial_->take_prefix(unit.prefix);
  units_.push_back(std::move(unit));
  extended_until_ = {};
}

void Session::send_to_legs(ByteSpan run) {
  if (run.empty()) return;
  const bool has_prefix = serial_ != nullptr && (!serial_->to_master.empty() || !serial_->to_standby.empty());
  if (has_prefix) {  // behind its prefix, in one write
    const std::string_view mapped = oids_.active() ? std::string_view(for_standby_) : as_text(run);
    serial_->deferred_prefix = serial_->to_standby.size();
    serial_->to_master.append(guest_ ? mapped : as_text(run));
    serial_->to_standby.append(mapped);
    for_standby_.clear();
    flush_own();
    return;
  }
  if (serial_ != nullptr && serial_->spooling && serial_->copy_begun) {
    serial_->spooled.append(as_text(run));
  } else {
    master_->out.send(guest_ && oids_.active() ? as_bytes(for_standby_) : run, owner());
  }
  send_to_standby(oids_.active() ? as_bytes(for_standby_) : run);
  for_standby_.clear();
}

void Session::send_to_standby(ByteSpan run) {
  if (standby_state_ != StandbyState::live) return;
  if (serial_ != nullptr && serial_->deferring) {
    defer(run);
    return;
  }
  if (!units_.empty() && units_.back().lags) return keep_for_standby(run);
  if (standby_->out.pending() == 0) standby_progress_ = std::chrono::steady_clock::now();
  standby_->out.send(run, owner());
}

bool Session::oids_are_current() {
  if (standby_state_ != StandbyState::live || oids_version_ == nullptr) return true;
  if (!reading_oids_ && oids_version_->load(std::memory_order_acquire) != oids_version_seen_) {
    reading_oids_ = true;
    spawn(&Session::read_oids);
  }
  return !reading_oids_;
}

asio::awaitable<void> Session::read_oids() {
  const std::uint64_t version = oids_version_->load(std::memory_order_acquire);
  std::shared_ptr<const OidMap> map = co_await env_.services.oids(database_);
  if (ended()) co_return;
  oids_version_seen_ = version;
  reading_oids_ = false;
  oids_.use(std::move(map));
  request_splitter_.set_whole_limit(oids_.request_limit());
  master_->splitter.set_whole_limit(oids_.reply_limit());
  standby_->splitter.set_whole_limit(oids_.reply_limit());
  master_reader_.set_mapper(oids_.mapper(OidSide::master));
  standby_reader_.set_mapper(oids_.mapper(OidSide::standby));
  request_event_.notify();
}

/// The frontend's stream ended. A unit that both backends have whole is left to finish on both, so that they
/// end equal; an incomplete one is rolled back by both when their connections end.
void Session::on_frontend_gone(bool orderly) {
  if (ended()) return;
  const bool inside = tracker_.phase() != RequestTracker::Phase::between || !request_splitter_.at_boundary();
  drain(orderly && !inside ? EndReason::left : EndReason::lost_frontend);
}

void Session::drain(EndReason reason) {
  const bool between = tracker_.phase() == RequestTracker::Phase::between;
  const bool whole = between || tracker_.phase() == RequestTracker::Phase::sent;
  if (units_.empty() || !whole || (between && status_ != 'I')) {
    end(reason, {}, {});
    return;
  }
  if (serial_ != nullptr) flush_laggards();
  drain_reason_ = reason;
  phase_ = Phase::draining;
  front_.close();
  front_out_.drop();
  wake_all();
}

}  // namespace pgtandem
