/// Wakes every coroutine that waits for "something changed". One thread.
#pragma once
#include <algorithm>
#include <chrono>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

namespace pgtandem {

class ChangeSignal {
 public:
  void notify() {
    for (asio::steady_timer* waiter : waiters_) waiter->cancel();
  }

  /// Until the next notify() or `deadline`, whichever is first.
  asio::awaitable<void> wait_until(std::chrono::steady_clock::time_point deadline) {
    asio::steady_timer timer(co_await asio::this_coro::executor, deadline);
    const Entry entry(waiters_, &timer);
    asio::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }

 private:
  /// In the list as long as the coroutine waits, whatever way it ends.
  class Entry {
   public:
    Entry(std::vector<asio::steady_timer*>& list, asio::steady_timer* timer) : list_(list), timer_(timer) {
      list_.push_back(timer);
    }
    ~Entry() {
      const auto found = std::find(list_.begin(), list_.end(), timer_);
      *found = list_.back();
      list_.pop_back();
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    std::vector<asio::steady_timer*>& list_;
    asio::steady_timer* timer_;
  };

  std::vector<asio::steady_timer*> waiters_;
};

}  // namespace pgtandem
