/// The relay's own superuser connection to one server, by libpq on a thread of its own (libpq may block in name
/// resolution and TLS). One statement at a time, in order; reconnects by itself; a statement that fails because the
/// connection was lost is tried once more on a new one only where `repeatable` is set.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/config/settings.h"

namespace pgtandem {

struct ServiceRows {
  std::vector<std::vector<std::string>> rows;  ///< NULL is an empty string
};

/// application_name of these connections: takeover leaves them alone.
inline constexpr std::string_view kServiceApplicationName = "pgtandem-relay service";

/// Thread-safe. Awaitables resume on the awaiting coroutine's executor.
class ServiceConnection {
 public:
  ServiceConnection(Endpoint server, ServiceSettings settings);
  ~ServiceConnection();

  /// False where no service user is configured: every call then fails with a text that says so.
  bool configured() const;
  asio::awaitable<Result<ServiceRows>> query(std::string database, std::string sql,
                                             std::vector<std::string> parameters, std::chrono::milliseconds timeout);
  /// The role's rolpassword (pg_authid): a SCRAM verifier, an md5 hash, or empty where the role has none or is unknown.
  asio::awaitable<Result<Secret>> stored_password(std::string role);
  /// SELECT 1 within `timeout`: is the server alive?
  asio::awaitable<bool> probe(std::chrono::milliseconds timeout);
  /// pg_terminate_backend on all client backends but the service connections', then waits until none is left.
  asio::awaitable<Result<void>> end_client_backends(std::chrono::milliseconds limit);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgtandem
