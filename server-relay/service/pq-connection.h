/// One libpq connection used without ever blocking longer than a deadline: connecting, sending and receiving
/// wait for sockets, which a deadline or an Interrupt ends. (Name resolution alone may take the system's own
/// time.) Belongs to one thread; only Interrupt is shared.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <libpq-fe.h>

#include "common/config/settings.h"
#include "server-relay/service/interrupt.h"
#include "server-relay/service/service-connection.h"

namespace pgtandem {

/// Why a connection or a statement failed.
struct PqFailure {
  std::string what;      ///< one sentence; names server, database and user; no password, no statement text
  std::string sqlstate;  ///< empty where the server did not say one
  bool lost = false;     ///< the connection broke: whether a statement was executed is unknown
};

template <typename T>
using PqResult = std::variant<T, PqFailure>;

/// Where to, as whom, and what ends the waiting.
struct PqTarget {
  Endpoint server;
  ServiceSettings settings;
  std::string database;
};

class PqConnection {
 public:
  static PqResult<PqConnection> open(PqTarget target, ServiceClock::time_point deadline,
                                     const Interrupt& interrupt);

  /// One statement with text parameters, text results. `timeout` is also given to the server as
  /// statement_timeout, so that what we stopped waiting for ends there too. After a failure that broke the
  /// connection, usable() is false.
  PqResult<ServiceRows> run(const std::string& sql, const std::vector<std::string>& parameters,
                            std::chrono::milliseconds timeout, ServiceClock::time_point deadline);

  /// False after a loss, a deadline, or when the server has closed the idle connection; asks the socket,
  /// never waits.
  bool usable();
  const PqTarget& target() const { return target_; }

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  struct Clear {
    void operator()(PGresult* result) const;
  };
  using ResultPtr = std::unique_ptr<PGresult, Clear>;

  PqConnection(PqTarget target, const Interrupt& interrupt)
      : target_(std::move(target)), interrupt_(&interrupt) {}

  SocketHandle socket() const { return SocketHandle(PQsocket(connection_.get())); }
  std::optional<PqFailure> connect(ServiceClock::time_point deadline);
  std::optional<PqFailure> limit_on_server(std::chrono::milliseconds timeout,
                                           ServiceClock::time_point deadline);
  PqResult<ResultPtr> exchange(const std::string& sql, const std::vector<std::string>& parameters,
                               ServiceClock::time_point deadline);
  bool flush(ServiceClock::time_point deadline);
  bool receive(ServiceClock::time_point deadline);
  PqFailure connect_failure(bool ended_waiting) const;
  PqFailure broken(const std::string& doing, ServiceClock::time_point deadline);
  PqFailure refused(const PGresult* result) const;
  std::string described(std::string message) const;

  PqTarget target_;
  const Interrupt* interrupt_;
  std::unique_ptr<bool> ended_ =
      std::make_unique<bool>(false);  ///< set by the notice receiver; outlives connection_
  std::unique_ptr<PGconn, Finish> connection_;
  std::chrono::milliseconds server_timeout_{0};
};

}  // namespace pgtandem
