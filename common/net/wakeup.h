/// A condition that one coroutine waits for on the thread that sets it. Owned by a session; one io_context
/// thread only, at most one waiter. Does not allocate: the waiter's handler lives inside.
#pragma once
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

namespace pgtandem {

class Wakeup {
 public:
  explicit Wakeup(asio::io_context& context) : context_(context) {}
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;
  ~Wakeup() {
    if (resume_ != nullptr) resume_(storage_, nullptr);
  }

  /// Returns at once if notify() was called since the last wait.
  asio::awaitable<void> wait() {
    if (set_) {
      set_ = false;
      co_return;
    }
    co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(
        [this](auto handler) { keep(std::move(handler)); }, asio::use_awaitable);
    set_ = false;
  }
  /// Wakes the waiter, or the next one that comes.
  void notify() {
    set_ = true;
    if (resume_ == nullptr) return;
    auto* resume = std::exchange(resume_, nullptr);
    resume(storage_, &context_);
  }

 private:
  static constexpr std::size_t kHandlerSize = 128;  ///< use_awaitable's handler is a few pointers

  template <typename Handler>
  void keep(Handler handler) {
    using Stored = std::decay_t<Handler>;
    static_assert(sizeof(Stored) <= kHandlerSize);
    new (storage_) Stored(std::move(handler));
    resume_ = [](std::byte* storage, asio::io_context* context) {
      auto* stored = std::launder(reinterpret_cast<Stored*>(storage));
      Stored moved(std::move(*stored));
      stored->~Stored();
      // Posted, not called: whoever notifies goes on first, and no stack grows with the number of wake-ups.
      if (context != nullptr) asio::post(*context, std::move(moved));
    };
  }

  asio::io_context& context_;
  alignas(std::max_align_t) std::byte storage_[kHandlerSize];
  void (*resume_)(std::byte*, asio::io_context*) = nullptr;
  bool set_ = false;
};

}  // namespace pgtandem
