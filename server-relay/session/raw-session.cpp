#include "server-relay/session/raw-session.h"

#include <asio/co_spawn.hpp>

#include "common/base/log.h"
#include "server-relay/relay/access-list.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

constexpr auto kConnectLimit = 5s;
constexpr std::size_t kPendingLimit = IoThread::kScratchSize;

}  // namespace

RawSession::RawSession(SessionEnvironment& environment, Stream frontend, std::string client)
    : env_(environment),
      context_(environment.thread.context()),
      client_(std::move(client)),
      front_(std::move(frontend)),
      master_(context_),
      standby_(context_),
      request_event_(context_),
      reply_event_(context_),
      front_out_(front_, reply_event_),
      master_out_(master_, request_event_),
      standby_out_(standby_, request_event_) {
  env_.thread.add(this);
  ThreadCounters::add(env_.thread.counters().sessions_total);
  env_.thread.counters().sessions_open.store(env_.thread.session_count(), std::memory_order_relaxed);
}

RawSession::~RawSession() {
  env_.thread.remove(this);
}

void RawSession::start() {
  spawn(&RawSession::run);
}

void RawSession::spawn(asio::awaitable<void> (RawSession::*loop)()) {
  asio::co_spawn(context_, (this->*loop)(), [self = shared_from_this()](std::exception_ptr thrown) {
    if (thrown) self->end("an internal error");
  });
}

/// Not part of the coroutine: g++ 12 miscompiles initializer lists in one.
bool RawSession::admit() {
  if (env_.access.allows(client_, "all", "all")) return true;
  ThreadCounters::add(env_.thread.counters().sessions_refused);
  log::warning("session-ended", {{"reason", "access-denied"}, {"client", client_}});
  end("access denied");
  return false;
}

asio::awaitable<void> RawSession::run() {
  if (!admit()) co_return;
  while (!ended_ && env_.thread.authority().service == Service::wait) co_await request_event_.wait();
  if (ended_) co_return;
  if (env_.thread.authority().service != Service::serve) {
    end(env_.thread.authority().refusal);
    co_return;
  }
  const bool opened = co_await open();
  if (!opened) co_return;
  spawn(&RawSession::request_loop);
  spawn(&RawSession::reply_loop);
  if (standby_state_ == StandbyState::live) spawn(&RawSession::standby_loop);
}

asio::awaitable<bool> RawSession::open() {
  env_.thread.begin_serving(this);
  Result<Stream> master = co_await connect_stream(context_, env_.settings.own_postmaster(), kConnectLimit);
  if (!master || ended_) {
    end(master ? "ended" : master.error());
    co_return false;
  }
  master_ = std::move(*master);
  if (!env_.thread.authority().mirrored) co_return true;
  Result<Stream> standby = co_await env_.legs.open(context_, LegKind::leg, env_.thread.authority().epoch,
                                                   client_, env_.settings.standby_timeout);
  if (ended_) co_return false;
  standby_state_ = StandbyState::live;
  standby_progress_ = std::chrono::steady_clock::now();
  if (standby) {
    standby_ = std::move(*standby);
  } else {
    standby_lost(standby.error());
  }
  co_return true;
}

asio::awaitable<void> RawSession::request_loop() {
  while (!ended_ && !requests_over_) {
    const bool congested = master_out_.pending() > kPendingLimit || standby_out_.pending() > kPendingLimit ||
                           !env_.thread.may_release() || standby_state_ == StandbyState::lost;
    if (congested) {
      co_await request_event_.wait();
      continue;
    }
    const bool failed = bool(co_await front_.readable());
    if (ended_) co_return;
    const Stream::Transfer got = front_.try_read(env_.thread.scratch());
    const ByteSpan bytes = ByteSpan(env_.thread.scratch()).first(got.bytes);
    ThreadCounters::add(env_.thread.counters().frontend_bytes, got.bytes);
    master_out_.send(bytes, owner());
    if (standby_state_ == StandbyState::live) standby_out_.send(bytes, owner());
    if (standby_state_ == StandbyState::closed && got.bytes != 0)
      standby_lost("the standby closed a raw connection early");
    requests_over_ = failed || got.ended;
    if (got.failure) end("the frontend's connection failed");
  }
  while (!ended_ && (master_out_.pending() != 0 || standby_out_.pending() != 0))
    co_await request_event_.wait();
  master_.shutdown_send();
  if (standby_state_ == StandbyState::live) standby_.shutdown_send();
  if (replies_over_) end({});
}

asio::awaitable<void> RawSession::reply_loop() {
  while (!ended_ && !replies_over_) {
    const bool held = !env_.thread.may_release() || standby_state_ == StandbyState::lost;
    if (held || front_out_.pending() > kPendingLimit) {
      co_await reply_event_.wait();
      continue;
    }
    const bool failed = bool(co_await master_.readable());
    if (ended_) co_return;
    if (!env_.thread.may_release() || standby_state_ == StandbyState::lost) continue;
    const Stream::Transfer got = master_.try_read(env_.thread.scratch());
    ThreadCounters::add(env_.thread.counters().backend_bytes, got.bytes);
    front_out_.send(ByteSpan(env_.thread.scratch()).first(got.bytes), owner());
    replies_over_ = failed || got.ended;
    if (front_out_.failed()) end("the frontend's connection failed");
  }
  while (!ended_ && front_out_.pending() != 0) co_await reply_event_.wait();
  front_.shutdown_send();
  if (requests_over_) end({});
}

asio::awaitable<void> RawSession::standby_loop() {
  while (!ended_ && standby_state_ == StandbyState::live) {
    const bool failed = bool(co_await standby_.readable());
    if (ended_ || standby_state_ != StandbyState::live) co_return;
    const Stream::Transfer got = standby_.try_read(env_.thread.scratch());
    ThreadCounters::add(env_.thread.counters().standby_bytes, got.bytes);
    if (got.bytes != 0) standby_progress_ = std::chrono::steady_clock::now();
    if (failed || got.failure) {
      standby_lost("the standby's connection failed");
    } else if (got.ended) {
      standby_state_ = StandbyState::closed;
    }
  }
}

void RawSession::standby_lost(const std::string& reason) {
  if (standby_state_ == StandbyState::none || standby_state_ == StandbyState::lost) return;
  standby_state_ = StandbyState::lost;
  standby_.close();
  standby_out_.drop();
  if (env_.keeper != nullptr) env_.keeper->standby_failed(reason);
}

void RawSession::on_authority() {
  if (!env_.thread.authority().mirrored && standby_state_ != StandbyState::none) {
    standby_state_ = StandbyState::none;
    standby_.close();
    standby_out_.drop();
  }
  request_event_.notify();
  reply_event_.notify();
}

void RawSession::on_tick(SteadyTime now) {
  if (standby_state_ != StandbyState::live) return;
  if (standby_out_.pending() == 0 || standby_out_.written() != standby_written_seen_) {
    standby_written_seen_ = standby_out_.written();
    standby_progress_ = now;
  } else if (master_out_.pending() == 0 && now - standby_progress_ > env_.settings.standby_timeout) {
    standby_lost("the standby took no bytes for standby_timeout");
  }
}

void RawSession::end_for_operator(SessionEnd, const std::string& message) {
  end(message);
}

void RawSession::end(const std::string& why) {
  if (ended_) return;
  ended_ = true;
  // In the middle of an unknown protocol nobody can say what both servers made of it.
  if (standby_state_ == StandbyState::live && !(requests_over_ && replies_over_))
    env_.thread.note_unmatched_end();
  front_.close();
  master_.close();
  standby_.close();
  request_event_.notify();
  reply_event_.notify();
  log::debug("session-ended", {{"client", client_}, {"protocol", "raw"}, {"detail", why}});
}

}  // namespace pgtandem
