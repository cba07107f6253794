/// The relay's own superuser connection to one server, by libpq on threads of its own (libpq may block in
/// name resolution). Queries run one at a time, in order; probes, and what a login or a takeover needs, have
/// a thread each, so that they never wait behind a long query. Kept connections that the server has closed
/// are replaced before a statement is sent; a statement whose connection is lost under way is tried once more
/// on a new one only where `repeatable` is set. The connections' search_path is pg_catalog alone.
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

/// Thread-safe. Awaitables resume on the awaiting coroutine's executor, at the latest when their time has
/// passed, even if the server is frozen; they may be cancelled. Destroy it before the execution contexts of
/// those who wait (calls under way then fail at once). Errors name server, database, user and the server's or
/// libpq's message, never a password or a statement.
class ServiceConnection {
 public:
  ServiceConnection(Endpoint server, ServiceSettings settings);
  ~ServiceConnection();

  /// False where no service user is configured: every call then fails with a text that says so.
  bool configured() const;
  /// One statement (no COPY). `timeout` counts from the call, waiting for earlier queries included; the
  /// server gets it as statement_timeout too. A transaction left open is rolled back.
  asio::awaitable<Result<ServiceRows>> query(std::string database, std::string sql,
                                             std::vector<std::string> parameters,
                                             std::chrono::milliseconds timeout, bool repeatable = false);
  /// The role's rolpassword (pg_authid): a SCRAM verifier, an md5 hash, or empty where the role has none or
  /// is unknown.
  asio::awaitable<Result<Secret>> stored_password(std::string role);
  /// Is the server alive: does it answer a new connection's SELECT 1 within `timeout` (hard point 13)? A
  /// login refused for any other reason than starting up, shutting down or crashing is an answer too. Probes
  /// that wait share one.
  asio::awaitable<bool> probe(std::chrono::milliseconds timeout);
  /// pg_terminate_backend on all client backends but the service connections', then waits until none is left.
  asio::awaitable<Result<void>> end_client_backends(std::chrono::milliseconds limit);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgtandem
