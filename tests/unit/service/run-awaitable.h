/// Runs one coroutine to its end on an io_context of its own, as a test's main thread.
#pragma once
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

namespace pgtandem::testing {

template <typename T>
T run_awaitable(asio::awaitable<T> work) {
  asio::io_context context;
  std::optional<T> result;
  std::exception_ptr failure;
  asio::co_spawn(
      context,
      [&result, inner = std::move(work)]() mutable -> asio::awaitable<void> {
        result.emplace(co_await std::move(inner));
      },
      [&failure](std::exception_ptr thrown) { failure = std::move(thrown); });
  context.run();
  if (failure) std::rethrow_exception(failure);
  if (!result) throw std::runtime_error("the coroutine did not end");
  return std::move(*result);
}

}  // namespace pgtandem::testing
