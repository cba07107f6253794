#include "server-relay/relay/io-thread.h"

#include <asio/post.hpp>

#include "common/base/boot-clock.h"
#include "common/base/log.h"

namespace pgtandem {
namespace {

void call_all(std::vector<std::function<void()>>& waiting) {
  const std::vector<std::function<void()>> all = std::exchange(waiting, {});
  for (const auto& each : all) each();
}

}  // namespace

void IoThread::start() {
  last_alive_ms_ = boottime_ms();
  thread_ = std::thread([this] {
    tick();
    context_.run();
  });
}

void IoThread::stop() {
  work_.reset();
  context_.stop();
  if (thread_.joinable()) thread_.join();
}

void IoThread::set_authority(const Authority& authority) {
  if (authority.guests && !authority_.guests) guests_ = serving_;
  authority_ = authority;
  stalled_ = false;
  last_alive_ms_ = boottime_ms();
  tell_authority();
}

void IoThread::tell_authority() {
  // A session may end, and so leave the set, while it takes the new authority over.
  const std::vector<SessionBase*> sessions(sessions_.begin(), sessions_.end());
  for (SessionBase* session : sessions) {
    if (sessions_.contains(session)) session->on_authority();
  }
}

bool IoThread::may_release() {
  if (authority_.outputs_held) return false;
  if (authority_.guests) return true;
  const std::int64_t now = boottime_ms();
  if (found_stalled(now)) return false;
  if (right_.in_force(now)) return true;
  found_expired_ = true;
  return false;
}

void IoThread::on_right() {
  if (std::exchange(found_expired_, false)) tell_authority();
}

bool IoThread::found_stalled(std::int64_t now) {
  if (stalled_) return true;
  const std::int64_t still = now - last_alive_ms_;
  if (still <= kStallLimit.count()) return false;
  stalled_ = true;
  last_alive_ms_ = now;
  if (keeper_ != nullptr) keeper_->stalled(Milliseconds(still));
  return true;
}

void IoThread::tick() {
  const std::int64_t boottime = boottime_ms();
  if (!found_stalled(boottime)) last_alive_ms_ = boottime;
  const SteadyTime now = std::chrono::steady_clock::now();
  const std::vector<SessionBase*> sessions(sessions_.begin(), sessions_.end());
  counters_.lag_units.store(0, std::memory_order_relaxed);
  for (SessionBase* session : sessions) {
    if (sessions_.contains(session)) session->on_tick(now);
  }
  ticker_.expires_after(kTick);
  ticker_.async_wait([this](std::error_code failure) {
    if (!failure) tick();
  });
}

void IoThread::remove(SessionBase* session) {
  sessions_.erase(session);
  counters_.sessions_open.store(sessions_.size(), std::memory_order_relaxed);
  const bool last_guest = guests_.erase(session) != 0 && guests_.empty();
  const bool last = serving_.erase(session) != 0 && serving_.empty();
  if (last_guest) call_all(when_guests_gone_);
  if (last) call_all(when_empty_);
}

void IoThread::when_guests_gone(std::function<void()> gone) {
  if (guests_.empty()) {
    gone();
  } else {
    when_guests_gone_.push_back(std::move(gone));
  }
}

void IoThread::when_empty(std::function<void()> empty) {
  if (serving_.empty()) {
    empty();
  } else {
    when_empty_.push_back(std::move(empty));
  }
}

void IoThread::end_sessions(SessionEnd how, const std::string& message) {
  const std::vector<SessionBase*> sessions(serving_.begin(), serving_.end());
  for (SessionBase* session : sessions) {
    if (serving_.contains(session)) session->end_for_operator(how, message);
  }
}

}  // namespace pgtandem
