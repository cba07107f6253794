/// A frontend of the standby's host: its bytes go to the active relay as they are, and back. Owned by its
/// coroutine.
///
/// While this relay has guests (hard point 10), and where a frontend waited for a new master, a Session has
/// read the startup packet before: it may have been a cancel request for a session that is here.
#pragma once
#include <memory>

#include "common/net/stream.h"
#include "server-relay/session/session-environment.h"

namespace pgtandem {

class PassOnSession final : public SessionBase, public std::enable_shared_from_this<PassOnSession> {
 public:
  /// `first` goes in front of what comes from the frontend.
  PassOnSession(SessionEnvironment& environment, Stream frontend, std::string client, std::string first = {});
  ~PassOnSession() override;
  void start();

  void on_authority() override {}
  void on_tick(SteadyTime) override {}
  void end_for_operator(SessionEnd how, const std::string& message) override;

 private:
  asio::awaitable<void> run();

  SessionEnvironment& env_;
  std::string client_;
  std::string first_;
  std::shared_ptr<Stream> front_;
  std::shared_ptr<Stream> active_;
  bool ended_ = false;
};

}  // namespace pgtandem
