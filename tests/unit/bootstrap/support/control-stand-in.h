/// Speaks the control port's bootstrap commands in place of a relay, and remembers what it was asked.
#pragma once
#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/unit/bootstrap/support/places.h"

namespace pgtandem::bootstrap::testing {

struct ControlCall {
  std::string command;  ///< "bootstrap/begin"
  std::string authorization;
  nlohmann::json body;
};

/// In flags-only mode: node a serves alone, b is the standby.
class ControlStandIn {
 public:
  ControlStandIn();
  ~ControlStandIn();
  ControlStandIn(const ControlStandIn&) = delete;
  ControlStandIn& operator=(const ControlStandIn&) = delete;

  std::uint16_t port() const { return port_; }
  /// Called with each command before it is answered, on the stand-in's thread; false refuses it.
  void on_command(std::function<bool(const ControlCall&)> hook);
  /// Connections are accepted and not answered any more.
  void go_silent() { silent_ = true; }

  std::vector<ControlCall> calls(const std::string& command) const;
  bool has_phase(const std::string& phase) const;
  bool joined() const { return joined_; }

 private:
  void serve();
  void answer(int connection);
  std::string respond(const std::string& method, const std::string& path, const ControlCall& call);

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> silent_{false};
  std::atomic<bool> joined_{false};
  mutable std::mutex mutex_;
  std::function<bool(const ControlCall&)> hook_;
  std::vector<ControlCall> calls_;
  std::thread thread_;
};

}  // namespace pgtandem::bootstrap::testing
