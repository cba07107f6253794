/// Runs one asio coroutine to its end on the calling thread, for a program that otherwise has no event loop.
#pragma once
#include <exception>
#include <optional>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include "common/base/result.h"

namespace pgtandem::bootstrap {

template <typename T>
Result<T> run_now(asio::awaitable<Result<T>> work) {
  asio::io_context context;
  std::optional<Result<T>> result;
  std::exception_ptr thrown;
  auto keep = [](asio::awaitable<Result<T>> inner, std::optional<Result<T>>& out) -> asio::awaitable<void> {
    out.emplace(co_await std::move(inner));
  };
  asio::co_spawn(context, keep(std::move(work), result),
                 [&](std::exception_ptr exception) { thrown = exception; });
  context.run();
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return Error{e.what()};
  }
  if (!result) return Error{"the request was given up"};
  return std::move(*result);
}

}  // namespace pgtandem::bootstrap
