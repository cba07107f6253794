/// A value that one thread produces and one coroutine on another awaits. The first of value, deadline and
/// cancellation wins; the coroutine resumes by a post to its own executor, never on the producer's thread.
///
/// Lifecycle: made (shared_ptr), handed to the producer, awaited once by wait(), completed at most once with
/// effect. The producer must complete() it, or be gone, before the awaiting coroutine's execution context is
/// destroyed.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

namespace pgtandem {

template <typename T>
class OneShot : public std::enable_shared_from_this<OneShot<T>> {
 public:
  using Clock = std::chrono::steady_clock;

  /// Thread-safe. Has no effect after the first call, the deadline or a cancellation.
  void complete(T value) { finish(std::optional<T>(std::move(value))); }

  /// The value, or nothing once `deadline` has passed or the coroutine was cancelled. Call once.
  static asio::awaitable<std::optional<T>> wait(std::shared_ptr<OneShot> self, Clock::time_point deadline) {
    auto token = asio::use_awaitable;
    // Trivial captures on purpose: g++ 12 destroys the others of a lambda inside co_await twice. The frame
    // has `self`.
    co_await asio::async_initiate<asio::use_awaitable_t<>, void()>(
        [shot = self.get(), deadline](auto handler) { shot->arm(std::move(handler), deadline); }, token);
    const std::lock_guard lock(self->mutex_);
    co_return std::move(self->value_);
  }

 private:
  void finish(std::optional<T> value) {
    std::function<void()> resume;  // destroyed after the lock is given back
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    finished_ = true;
    value_ = std::move(value);
    resume = std::exchange(resume_, nullptr);
    if (resume) resume();
  }

  template <typename Handler>
  void arm(Handler handler, Clock::time_point deadline) {
    const auto self = this->shared_from_this();
    const auto executor = asio::get_associated_executor(handler);
    const auto waiting = std::make_shared<Handler>(std::move(handler));
    auto slot = asio::get_associated_cancellation_slot(*waiting);
    timer_.emplace(executor, deadline);
    timer_->async_wait([self](std::error_code failure) {
      if (!failure) self->finish(std::nullopt);
    });
    if (slot.is_connected()) {
      slot.assign([weak = std::weak_ptr(self)](asio::cancellation_type) {
        if (const auto shot = weak.lock()) shot->finish(std::nullopt);
      });
    }
    auto resume = [self, executor, waiting, slot, work = asio::make_work_guard(executor)]() mutable {
      asio::post(executor,
                 [self, waiting, slot, held = std::move(work)]() mutable { self->resumed(*waiting, slot); });
    };
    const std::lock_guard lock(mutex_);
    if (finished_) {
      resume();
    } else {
      resume_ = std::move(resume);
    }
  }

  /// In the awaiting coroutine's context. The timer is touched here and in arm() only, so never by two
  /// threads at once.
  template <typename Handler, typename Slot>
  void resumed(Handler& waiting, Slot& slot) {
    // The producer posted this with the mutex held: once we have it, he is done with our context, and the
    // coroutine may go on to destroy that.
    { const std::lock_guard lock(mutex_); }
    timer_.reset();
    if (slot.is_connected()) slot.clear();
    std::move(waiting)();
  }

  std::mutex mutex_;
  bool finished_ = false;
  std::optional<T> value_;
  std::function<void()> resume_;
  std::optional<asio::steady_timer> timer_;
};

}  // namespace pgtandem
