/// The relay as a whole: its I/O threads, ports and service connection, and what the keeper and the sessions
/// ask of it. Lives on the control thread (the one that runs `control`), except where a member says
/// otherwise.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "common/base/secret.h"
#include "server-relay/control/divergence-log.h"
#include "server-relay/control/relay-counters.h"
#include "server-relay/gate/gates.h"
#include "server-relay/legs/leg-opener.h"
#include "server-relay/legs/leg-server.h"
#include "server-relay/oids/catalogue-cache.h"
#include "server-relay/relay/access-list.h"
#include "server-relay/relay/listener.h"
#include "server-relay/relay/postmaster-probe.h"
#include "server-relay/relay/sequences.h"
#include "server-relay/relay/statement-catalogues.h"
#include "server-relay/service/service-connection.h"
#include "server-relay/session/cancel-registry.h"
#include "server-relay/session/session-environment.h"

namespace pgtandem {

class Relay final : public Floor, public SessionServices {
 public:
  Relay(asio::io_context& control, const RelaySettings& settings, const Secret& pair_key, AccessList access);
  ~Relay() override;

  /// Who hears of the sessions' findings; must be set before open() and outlive the I/O threads.
  void set_keeper(KeeperReports* keeper) { keeper_ = keeper; }
  /// Starts the threads.
  void start();
  /// Opens the ports.
  Result<void> open();
  /// Closes the ports, ends the threads.
  void stop();

  /// Takes the settings over that may change while running (setting-table.h), and the access list made of
  /// them. Each I/O thread has a copy of its own, so sessions never see half of a change.
  void take_over(const RelaySettings& settings, const AccessList& access);
  /// Calls `alive` on the control thread when every I/O thread has answered.
  void ask_threads(std::function<void()> alive);

  // Floor
  void set_authority(const Authority& authority, std::function<void()> in_force) override;
  void end_sessions(SessionEnd how, Milliseconds limit, const std::string& message,
                    std::function<void(bool)> done) override;
  void refuse_legs_below(Epoch epoch, std::function<void()> done) override;
  void end_local_backends(Milliseconds limit, std::function<void(bool, std::string)> done) override;
  void set_right(Milliseconds until) override;

  // SessionServices; thread-safe
  asio::awaitable<Result<Secret>> stored_password(std::string role) override;
  asio::awaitable<bool> probe_master() override;
  asio::awaitable<bool> probe_standby() override;
  void record(SessionDifference difference) override;
  bool writes_overlapped(SteadyTime begin, int own_open_writes) const override;
  asio::awaitable<std::shared_ptr<const OidMap>> oids(std::string database) override;
  std::shared_ptr<const std::atomic<std::uint64_t>> oids_version(const std::string& database) override;
  void oids_changed(const std::string& database) override;
  Gates& gates() override { return gates_; }
  SharedCatalogue& statement_catalogue(const std::string& database) override {
    return statements_.of(database);
  }
  void catalogue_changed(const std::string& database) override { statements_.drop(database); }
  asio::awaitable<std::vector<std::uint32_t>> blockers(std::uint32_t pid) override;
  asio::awaitable<bool> in_first_transaction(std::uint32_t pid) override;
  asio::awaitable<void> align_sequences(std::string database) override;

  /// Where the standby's sequences are set. Set before open().
  using SetSequences =
      std::function<asio::awaitable<Result<void>>(std::string database, std::vector<SequenceValue>)>;
  void set_standby_sequences(SetSequences set) { standby_sequences_ = std::move(set); }

  /// Where the standby's catalogue of a database comes from; without it oids are taken to be equal. Set
  /// before open().
  using StandbyCatalogue = std::function<asio::awaitable<Result<OidCatalogue>>(std::string database)>;
  void set_standby_catalogue(StandbyCatalogue read) { standby_catalogue_ = std::move(read); }
  /// This node's own catalogue: for the other relay, when it is the active one.
  asio::awaitable<Result<OidCatalogue>> own_catalogue(std::string database);
  /// The standby is another one, or has been loaded anew.
  void forget_oids() {
    oids_.mark_all_dirty();
    statements_.drop_all();
  }

  /// For the keeper's watch over the own postmaster.
  asio::awaitable<bool> own_postmaster_answers();
  ServiceConnection& service() { return *service_; }
  /// Sums over all threads; the role's part is left to the caller. Thread-safe.
  RelayCounters counters() const;
  /// The parts `sessions`, `traffic`, `standby.lag_units` and `differences` of the status.
  nlohmann::json status() const;

 private:
  /// What belongs to one I/O thread; used on that thread only.
  struct ThreadPart {
    ThreadPart(Relay& relay, IoThread& thread, AccessList its_access);
    RelaySettings settings;
    AccessList access;
    SessionEnvironment environment;
  };

  void on_frontend(IoThread& thread, Stream stream, std::string client);
  void run_on_all(std::function<void(IoThread&, std::function<void()>)> work, std::function<void()> done);
  ThreadPart& part_of(const IoThread& thread);
  asio::awaitable<Result<CataloguePair>> load_catalogues(std::string database);

  asio::io_context& control_;
  const RelaySettings& settings_;
  const Secret& pair_key_;
  KeeperReports* keeper_ = nullptr;
  ReleaseRight right_;
  bool guests_ = false;  ///< of the last authority
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::vector<std::unique_ptr<ThreadPart>> parts_;
  CancelRegistry cancels_;
  LegOpener legs_;
  LegServer leg_server_;
  std::unique_ptr<ServiceConnection> service_;
  PostmasterProbe master_probe_;
  PostmasterProbe standby_probe_;
  DivergenceLog divergence_;
  StandbyCatalogue standby_catalogue_;
  SetSequences standby_sequences_;
  CatalogueCache oids_;
  Gates gates_;
  StatementCatalogues statements_;
  std::unique_ptr<Listener> frontends_;
  std::unique_ptr<Listener> leg_port_;
  std::atomic<Epoch> epoch_{0};  ///< of the authority in force, for connections that no session makes
};

}  // namespace pgtandem
