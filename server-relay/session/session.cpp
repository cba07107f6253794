#include "server-relay/session/session.h"

#include <asio/co_spawn.hpp>
#include <asio/dispatch.hpp>

#include "common/base/log.h"
#include "common/protocol/messages.h"

namespace pgtandem {
namespace {

std::atomic<std::uint64_t> next_session_id{1};

const std::string kTerminate = build_message('X', {});

}  // namespace

Session::Session(SessionEnvironment& environment, Stream frontend, std::string client)
    : env_(environment),
      context_(environment.thread.context()),
      id_(next_session_id.fetch_add(1)),
      client_(std::move(client)),
      front_(std::move(frontend)),
      request_event_(context_),
      reply_event_(context_),
      standby_event_(context_),
      front_out_(front_, reply_event_),
      master_(std::make_unique<LegConnection>(context_, request_event_)),
      standby_(std::make_unique<LegConnection>(context_, request_event_)),
      login_(std::make_unique<Login>()),
      rule_(env_.settings.ack == Ack::master),
      master_reader_(env_.settings.compare_rows == CompareRows::ordered),
      standby_reader_(env_.settings.compare_rows == CompareRows::ordered) {
  env_.thread.add(this);
  ThreadCounters& counters = env_.thread.counters();
  ThreadCounters::add(counters.sessions_total);
  counters.sessions_open.store(env_.thread.session_count(), std::memory_order_relaxed);
  login_->deadline = std::chrono::steady_clock::now() + env_.settings.login_timeout;
}

Session::~Session() {
  if (frontends_key_.pid != 0) env_.cancels.remove(frontends_key_);
  for (std::size_t i = 0; mirrored() && i < units_.size(); ++i)
    env_.thread.counters().open_writes.fetch_sub(1);
  env_.thread.remove(this);
}

void Session::start() {
  spawn(&Session::run);
}

void Session::spawn(asio::awaitable<void> (Session::*loop)()) {
  asio::co_spawn(context_, (this->*loop)(), [self = shared_from_this()](std::exception_ptr thrown) {
    if (!thrown) return;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      log::error("session-failed", {{"session", self->id_}, {"error", e.what()}});
    }
    self->end(EndReason::ended_by_relay, "an internal error; please report the log line before this one", {});
  });
}

void Session::end_with_error(EndReason reason, const ErrorReport& report, const std::string& detail) {
  end(reason, detail, build_error_response(report));
}

void Session::end(EndReason reason, const std::string& detail, const std::string& farewell) {
  if (ended()) return;
  if (mirrored() && !is_settled()) env_.thread.note_unmatched_end();
  end_reason_ = reason;
  phase_ = Phase::ended;
  leave_serial();
  front_out_.send(as_bytes(farewell), owner());
  if (!farewell.empty()) {
    // Closing with unread bytes would reset the connection, and the frontend might not see the last message.
    front_.shutdown_send();
    (void)front_.try_read(env_.thread.scratch());
  }
  front_.close();
  close_legs();
  log_end(detail);
  wake_all();
}

/// Between units the legs are told; inside one the backends see the end of the stream and roll back.
void Session::close_legs() {
  if (tracker_.phase() == RequestTracker::Phase::between) {
    if (master_->stream.is_open()) master_->out.send(as_bytes(kTerminate), owner());
    if (standby_->stream.is_open() && standby_state_ == StandbyState::live)
      standby_->out.send(as_bytes(kTerminate), owner());
  }
  master_->stream.close();
  standby_->stream.close();
}

void Session::log_end(const std::string& detail) {
  if (end_reason_ == EndReason::not_serving || end_reason_ == EndReason::access_denied ||
      end_reason_ == EndReason::standby_refused || end_reason_ == EndReason::too_many) {
    ThreadCounters::add(env_.thread.counters().sessions_refused);
  }
  log::write(is_ordinary(end_reason_) ? log::Level::debug : log::Level::warning, "session-ended",
             {{"session", id_},
              {"reason", to_string(end_reason_)},
              {"client", client_},
              {"user", user_},
              {"database", database_},
              {"detail", detail}});
}

void Session::wake_all() {
  request_event_.notify();
  reply_event_.notify();
  standby_event_.notify();
  if (serial_ != nullptr) serial_->event.notify();
}

/// Nothing is under way on either leg that the other one may not have.
bool Session::is_settled() const {
  return phase_ != Phase::streaming || (tracker_.phase() == RequestTracker::Phase::between && units_.empty());
}

void Session::end_if_idle() {
  if (phase_ == Phase::draining && units_.empty()) end(drain_reason_, {}, {});
  if (ended() || phase_ == Phase::draining) return;
  if (!end_when_idle_ || !is_settled() || status_ != 'I' || !held_.empty()) return;
  end_with_error(EndReason::ended_by_relay, {pgtandem::Severity::fatal, "57P01", end_message_}, end_message_);
}

void Session::end_for_operator(SessionEnd how, const std::string& message) {
  end_message_ = message;
  end_when_idle_ = true;
  if (serial_ != nullptr) flush_laggards();
  if (how == SessionEnd::at_once || phase_ != Phase::streaming) {
    end_with_error(EndReason::ended_by_relay, {pgtandem::Severity::fatal, "57P01", message}, message);
  } else {
    end_if_idle();
  }
}

void Session::on_authority() {
  const Authority& authority = env_.thread.authority();
  if (authority.guests && !guest_ && !succeeding_) {
    begin_succession();
  } else if (!authority.mirrored && mirrored() && !succeeding_) {
    drop_standby();
  }
  if (master_gone_) note_authority();
  if (phase_ == Phase::streaming) {
    release();
    end_if_idle();
  }
  wake_all();
}

void Session::on_tick(SteadyTime now) {
  const auto keep = shared_from_this();
  if (login_ != nullptr && phase_ != Phase::waiting_for_service && !ended() && now >= login_->deadline) {
    end_with_error(EndReason::login_timeout,
                   {pgtandem::Severity::fatal, "08006", "the login was not finished within login_timeout"},
                   "not logged in within login_timeout");
  }
  if (phase_ == Phase::streaming || phase_ == Phase::draining) check_standby_clock(now);
  if (master_gone_) reply_event_.notify();  // which waits no longer than it may
  const bool serves = phase_ == Phase::streaming || phase_ == Phase::draining;
  if (serves && serial_ != nullptr) {
    flush_laggards();
    check_untried(now);
  }
  if (phase_ == Phase::streaming && serial_ != nullptr) {
    check_slow_write(now);
    check_client_stall(now);
    check_idle_limits(now);
  }
}

void Session::hold_units(std::function<void(Keys)> go) {
  asio::dispatch(context_, [self = shared_from_this(), go = std::move(go)] {
    ++self->cancels_;
    // In `serial` the standby's statement is cancelled when the master's was (hard point 21).
    const bool both = self->serial_ == nullptr && self->standby_state_ == StandbyState::live;
    const bool between = self->tracker_.phase() == RequestTracker::Phase::between;
    if (self->serial_ != nullptr && (!between || self->serial_->admitting)) {
      self->cancelled_ = true;
      self->serial_->event.notify();
    }
    // A COMMIT that is on its way to both servers is not cancelled on one of them.
    const bool ending = self->serial_ != nullptr && self->serial_->inside == SerialState::Inside::end;
    if (self->guest_) return go({BackendKey{}, self->master_->key});
    go({ending ? BackendKey{} : self->master_->key, both ? self->standby_->key : BackendKey{}});
  });
}

void Session::release_units() {
  asio::dispatch(context_, [self = shared_from_this()] {
    --self->cancels_;
    self->request_event_.notify();
  });
}

}  // namespace pgtandem
