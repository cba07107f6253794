/// A session of `protocol = "raw"`: the frontend's bytes go to both servers, the master's come back, the
/// standby's are read, counted and dropped. Knows nothing of what the bytes mean. Owned by its coroutines, on
/// one I/O thread.
#pragma once
#include <memory>

#include "common/net/wakeup.h"
#include "server-relay/session/out-buffer.h"
#include "server-relay/session/session-environment.h"

namespace pgtandem {

class RawSession final : public SessionBase, public std::enable_shared_from_this<RawSession> {
 public:
  RawSession(SessionEnvironment& environment, Stream frontend, std::string client);
  ~RawSession() override;
  void start();

  void on_authority() override;
  void on_tick(SteadyTime now) override;
  void end_for_operator(SessionEnd how, const std::string& message) override;

 private:
  enum class StandbyState { none, live, closed, lost };

  bool admit();
  asio::awaitable<void> run();
  asio::awaitable<bool> open();
  asio::awaitable<void> request_loop();
  asio::awaitable<void> reply_loop();
  asio::awaitable<void> standby_loop();
  void spawn(asio::awaitable<void> (RawSession::*loop)());
  void standby_lost(const std::string& reason);
  void end(const std::string& why);
  std::shared_ptr<void> owner() { return shared_from_this(); }

  SessionEnvironment& env_;
  asio::io_context& context_;
  std::string client_;
  Stream front_, master_, standby_;
  Wakeup request_event_, reply_event_;
  OutBuffer front_out_, master_out_, standby_out_;
  StandbyState standby_state_ = StandbyState::none;
  SteadyTime standby_progress_{};
  std::uint64_t standby_written_seen_ = 0;
  bool ended_ = false;
  bool requests_over_ = false;
  bool replies_over_ = false;
};

}  // namespace pgtandem
