/// The relay's process: reads the settings, builds the parts, runs them until a signal.
#pragma once
#include <memory>
#include <string>

#include <asio/io_context.hpp>

#include "common/base/secret.h"
#include "common/process/launch.h"
#include "common/process/supervision.h"
#include "server-relay/control/control-server.h"
#include "server-relay/keeper/keeper.h"
#include "server-relay/relay/arbiters.h"
#include "server-relay/relay/relay-inputs.h"
#include "server-relay/relay/relay.h"

namespace pgtandem {

class RelayProgram {
 public:
  /// How the inputs are read again at a reload.
  using Reread = std::function<Result<RelayInputs>()>;

  RelayProgram(RelayInputs inputs, std::unique_ptr<SlotStore> store, Arbiters arbiters,
               ServiceNotifier notifier, Reread reread);
  ~RelayProgram();

  /// Runs until SIGTERM or SIGINT (clean: units finish; a second one ends at once); SIGHUP reloads. Fails if
  /// a port cannot be opened; `launch` is told when all are.
  Result<void> run(Launch& launch);

 private:
  Result<void> open();
  SupervisionHandlers supervision_handlers();
  void reload();
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

  RelayInputs inputs_;  ///< in force
  const Reread reread_;
  const RelaySettings& settings_;  ///< as at the start; what a reload changes lives with the I/O threads
  const Secret& pair_key_;
  asio::io_context control_{1};
  Relay relay_;
  std::unique_ptr<ServiceConnection> standby_service_;  ///< flags-only mode
  Keeper keeper_;
  ControlServer control_server_;
  Supervision supervision_;
  Epoch noted_epoch_ = 0;
  std::string noted_generation_;
  SteadyTime started_ = std::chrono::steady_clock::now();
};

/// The whole of main(): returns a sysexits status.
int run_relay_program(int argc, const char* const* argv);

}  // namespace pgtandem
