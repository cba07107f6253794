/// Does a postmaster take new connections? (hard point 13: one probe serves all who ask.) Thread-safe.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>

#include "common/base/result.h"
#include "common/net/stream.h"
#include "common/net/wakeup.h"

namespace pgtandem {

/// Sends a startup packet and looks at the first message: an authentication request, or an error that is not
/// 57P03
/// ("starting up", "shutting down", "in recovery"), means that the server takes connections. Within `limit`.
asio::awaitable<bool> postmaster_answers(asio::io_context& context, Stream& stream, std::string user,
                                         std::chrono::milliseconds limit);

class PostmasterProbe {
 public:
  using Open = std::function<asio::awaitable<Result<Stream>>(asio::io_context&, std::chrono::milliseconds)>;

  /// `home` runs the probes; `told` gets each result on `home`'s thread.
  PostmasterProbe(asio::io_context& home, Open open, std::string user, std::function<void(bool)> told);

  /// Resumes on the caller's thread, which must run `context`.
  asio::awaitable<bool> ask(asio::io_context& context);

 private:
  struct Waiter {
    explicit Waiter(asio::io_context& its) : context(its), done(its) {}
    asio::io_context& context;
    Wakeup done;
    bool answer = false;
  };
  asio::awaitable<bool> probe();
  void finish(bool answer);

  asio::io_context& home_;
  Open open_;
  std::string user_;
  std::function<void(bool)> told_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Waiter>> waiting_;
};

}  // namespace pgtandem
