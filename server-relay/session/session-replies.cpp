/// The master's replies: what of them goes to the frontend, what waits (R1), and what the end of its
/// connection means.
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

}  // namespace

asio::awaitable<void> Session::reply_loop() {
  LegConnection& leg = *master_;
  const auto counts = [this, &leg] { return !ended() && !succeeding_ && &leg == master_.get(); };
  bool gone = false;
  while (counts() && !gone) {
    const bool congested = front_out_.pending() > kHeldLimit || held_.size() > kHeldLimit;
    if (congested || master_ahead() > env_.settings.compare_window) {
      if (serial_ != nullptr) flush_laggards();
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

/// Replies that lie next to each other in what was read, so that one write carries them to the frontend.
class Session::PassingRun {
 public:
  explicit PassingRun(Session& session) : session_(session) {}

  void add(ByteSpan wire) {
    if (size_ == 0) begin_ = wire.data();
    size_ += wire.size();
  }
  /// Before anything that is not, or may not be, next to it.
  void send() {
    if (size_ != 0) session_.front_out_.send(ByteSpan(begin_, size_), session_.owner());
    size_ = 0;
  }

 private:
  Session& session_;
  const std::byte* begin_ = nullptr;
  std::size_t size_ = 0;
};

/// Passes on what may go at once in as few writes as there are held places; returns an incomplete message's
/// beginning.
ByteSpan Session::take_replies(ByteSpan input, MessageSplitter& splitter) {
  const std::byte* const begin = input.data();
  PassingRun run(*this);
  while (std::optional<MessagePiece> piece = splitter.next(input)) {
    take_reply(*piece, run);
    if (ended()) return input;
  }
  run.send();
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

void Session::take_reply(MessagePiece& piece, PassingRun& run) {
  if (cut_off_ && guest_) {
    run.send();
    if (!is_behind_the_cut(piece)) return;
  }
  Unit* const of = master_unit();
  const bool of_prefix = of != nullptr && of->prefix.of_master != 0 &&
                         take_prefix_reply(of->prefix.of_master, of->prefix.extended, master_->out, piece);
  if (of_prefix || is_goodbye(piece)) return run.send();
  const std::optional<Outcome> outcome = master_reader_.on_piece(piece);
  std::optional<std::string> mapped;
  if (guest_ && oids_.active()) mapped = oids_.for_frontend(piece);
  if (mapped) piece = in_place_of(piece, *mapped);
  if (oids_.active()) oids_.on_master_reply(piece);
  if (piece.type == 'S' && piece.whole()) note_parameter(piece.body);
  if (serial_ != nullptr && piece.last && (piece.type == '1' || piece.type == '3')) ++serial_->names_answered;
  if (of != nullptr) of->master_bytes += piece.wire.size();
  if (outcome && outcome->fatal) {
    // The backend is going away. What that means is judged when its connection ends.
    farewell_ = piece.whole() ? std::string(as_text(piece.wire))
                              : build_error_response({pgtandem::Severity::fatal, outcome->sqlstate.view(),
                                                      outcome->text.view()});
    return run.send();
  }
  const Unit::Role role = of != nullptr ? of->role : Unit::Role::frontend;
  const bool lags = of != nullptr && of->lags;
  if (outcome) note_master_outcome(*outcome);
  if (role != Unit::Role::frontend) {
    run.send();
    return take_serial_reply(piece, outcome, role);
  }
  std::optional<std::string> instead;
  const bool victim = outcome && serial_ != nullptr && serial_->victim &&
                      outcome->sqlstate.view() == "57014" && piece.whole();
  if (victim) {
    serial_->victim = false;
    instead = deadlock_error();
  } else if (serial_ != nullptr) {
    instead = restored_reply(piece);
  }
  if (!instead) instead = std::move(mapped);
  if (instead) {
    run.send();
    const MessagePiece replaced = in_place_of(piece, *instead);
    if (may_pass(replaced, outcome, lags)) front_out_.send(replaced.wire, owner());
  } else if (may_pass(piece, outcome, lags)) {
    run.add(piece.wire);
    if (outcome && outcome->kind == Outcome::Kind::ready) decided(outcome->status);
  } else {
    run.send();
  }
}

/// A whole message that the frontend gets for another one; it waits for what that one would have waited for.
MessagePiece Session::in_place_of(const MessagePiece& piece, std::string_view message) {
  MessagePiece replaced = piece;
  replaced.wire = as_bytes(message);
  replaced.body = replaced.wire.subspan(MessageSplitter::kHeaderSize);
  replaced.body_size = std::uint32_t(replaced.body.size());
  return replaced;
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

bool Session::may_pass(const MessagePiece& piece, const std::optional<Outcome>& outcome, bool lags) {
  const std::uint64_t number = outcome ? master_outcomes_ - 1 : master_outcomes_;
  // The rule sees every outcome, released or not: it follows the transaction's state by them.
  const bool ruled = outcome && rule_.must_wait(*outcome);
  // What the master alone gave up the standby may be at for long: the next unit must not get behind it.
  const bool failed = outcome && outcome->kind == Outcome::Kind::error;
  if (failed && lags) flush_laggards();
  const bool waits = ruled && !(lags && !failed && may_tell_without_standby());
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
  // In a failed block much is answered without an error: Parse of a ROLLBACK, for one.
  const bool failed_now = status == 'E' && status_ != 'E';
  status_ = status;
  if (serial_ != nullptr) on_client_unit(status, serial_->master.failed() || failed_now);
  tracker_.on_decided();
  oids_.on_unit_end();
  if (oids_changed_ && status == 'I') {
    oids_changed_ = false;
    env_.services.oids_changed(database_);
  }
  if (request_blocked_) request_event_.notify();
  end_if_idle();
}

bool Session::master_is_between_units() const {
  return master_units_ == first_unit_ + units_.size();
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
  if (alive && master_crashed_ && env_.keeper != nullptr) {
    // It is back in no time, without its sessions and what they had not committed (hard point 13).
    alive = false;
    env_.keeper->own_postmaster(false, "one of its backends crashed, and with it all sessions");
  }
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
