/// The relay's process: reads the settings, builds the parts, runs them until a signal.
#pragma once
#include <memory>
#include <string>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>

#include "common/base/secret.h"
#include "server-relay/control/control-server.h"
#include "server-relay/keeper/keeper.h"
#include "server-relay/relay/relay.h"

namespace pgtandem {

class RelayProgram {
 public:
  RelayProgram(const RelaySettings& settings, Secret pair_key, std::string token, AccessList access,
               std::unique_ptr<SlotStore> store);
  ~RelayProgram();

  /// Runs until SIGTERM or SIGINT (clean: units finish; a second one ends at once). Fails if a port cannot be
  /// opened.
  Result<void> run();

 private:
  Result<void> open();
  void handle_signals();
  std::string status_json() const;
  RelayCounters counters() const;
  void serve_catalogues();
  void serve_sequences();
  asio::awaitable<void> answer_with_sequences(nlohmann::json request,
                                              std::function<void(nlohmann::json)> answer);
  asio::awaitable<Result<void>> ask_for_sequences(std::string database, std::vector<SequenceValue> wanted);
  asio::awaitable<void> answer_with_catalogue(std::string database,
                                              std::function<void(nlohmann::json)> answer);
  asio::awaitable<Result<OidCatalogue>> ask_for_catalogue(std::string database);
  void note_role();

  const RelaySettings& settings_;
  const Secret pair_key_;
  asio::io_context control_{1};
  Relay relay_;
  std::unique_ptr<ServiceConnection> standby_service_;  ///< flags-only mode
  Keeper keeper_;
  ControlServer control_server_;
  asio::signal_set signals_{control_};
  bool stopping_ = false;
  Epoch noted_epoch_ = 0;
  std::string noted_generation_;
  SteadyTime started_ = std::chrono::steady_clock::now();
};

/// The whole of main(): returns a sysexits status.
int run_relay_program(int argc, const char* const* argv);

}  // namespace pgtandem
