#include "server-relay/service/service-connection.h"

#include <algorithm>

#include "server-relay/service/lane.h"
#include "server-relay/service/one-shot.h"

namespace pgtandem {
namespace {

using std::chrono::milliseconds;

/// How long a login may wait for a role's stored password.
constexpr milliseconds kStoredPasswordTimeout{5000};
/// The thread's own message about a deadline is the better one; the coroutine goes on without it after this.
constexpr milliseconds kGrace{50};
/// Between two looks at pg_stat_activity while backends end.
constexpr milliseconds kBackendsInterval{20};
/// A year: keeps a caller's "for ever" from overflowing the clock.
constexpr milliseconds kLongest{std::chrono::hours(24 * 365)};

constexpr const char* kStoredPasswordSql =
    "SELECT coalesce(rolpassword, '') FROM pg_catalog.pg_authid WHERE rolname = $1";

/// Only our user's connections of this name are spared: anybody may call himself so.
constexpr const char* kEndBackendsSql =
    "SELECT pid, pg_catalog.pg_terminate_backend(pid), coalesce(datname, ''), coalesce(usename, '') "
    "FROM pg_catalog.pg_stat_activity "
    "WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid() "
    "AND NOT (application_name = $1 AND usename IS NOT DISTINCT FROM current_user) ORDER BY pid";

ServiceClock::time_point deadline_in(milliseconds timeout) {
  return ServiceClock::now() + std::clamp(timeout, milliseconds(0), kLongest);
}

void clear_rows(ServiceRows& rows) {
  for (auto& row : rows.rows) {
    for (auto& value : row) clear_memory(value.data(), value.size());
  }
}

/// The server spoke, and did not say that it is starting, stopping or crashing (class 57P).
bool answered(const PqResult<ServiceRows>& answer) {
  const auto* failure = std::get_if<PqFailure>(&answer);
  return failure == nullptr || (!failure->sqlstate.empty() && !failure->sqlstate.starts_with("57P"));
}

Error still_there(const std::vector<std::vector<std::string>>& rows) {
  return Error{"client backends have not ended in time: " + std::to_string(rows.size()) +
               " left, the first has pid " + rows[0][0] + " (database \"" + rows[0][2] + "\", user \"" +
               rows[0][3] + "\"): see pg_stat_activity on the server, and end it there"};
}

Result<void> end_backends(KeptConnections& connections, const ServiceStatement& statement) {
  ServiceRows seen;
  for (;;) {
    PqResult<ServiceRows> answer = connections.run(statement);
    if (const auto* failure = std::get_if<PqFailure>(&answer)) {
      const bool late = ServiceClock::now() >= statement.deadline;
      return late && !seen.rows.empty() ? still_there(seen.rows)
                                        : Error{"cannot end the client backends: " + failure->what};
    }
    seen = std::get<ServiceRows>(std::move(answer));
    if (seen.rows.empty()) return {};
    const auto next = ServiceClock::now() + kBackendsInterval;
    if (next >= statement.deadline || connections.stopping()) return still_there(seen.rows);
    connections.pause(next);
  }
}

}  // namespace

class ServiceConnection::Impl {
 public:
  Impl(Endpoint server, ServiceSettings settings)
      : server_(server),
        settings_(settings),
        queries_(server, settings),
        urgent_(server, settings),
        probes_(std::move(server), std::move(settings)) {}

  bool configured() const { return !settings_.user.empty(); }

  Error not_configured() const {
    return Error{"no service user is configured for " + to_string(server_) +
                 ": set [service] user and passfile, or --service-user and --service-passfile"};
  }

  Error no_answer(const std::string& database) const {
    return Error{"service connection to " + to_string(server_) + ", database \"" + database + "\", user \"" +
                 settings_.user + "\": no answer in time, or the wait was cancelled"};
  }

  ServiceStatement statement(std::string database, std::string sql, std::vector<std::string> parameters,
                      milliseconds timeout, bool repeatable) const {
    return {std::move(database),  std::move(sql), std::move(parameters), timeout,
            deadline_in(timeout), repeatable};
  }

  /// Runs on the probes' thread. A probe that began after somebody asked is his answer as well.
  bool probe(KeptConnections& connections, const ServiceStatement& statement, ServiceClock::time_point asked) {
    if (last_probe_began_ >= asked && last_probe_alive_) return true;
    const auto began = ServiceClock::now();
    last_probe_alive_ = answered(connections.run_on_new(statement));
    last_probe_began_ = began;
    return last_probe_alive_;
  }

  const Endpoint server_;
  const ServiceSettings settings_;
  // Of the probes' thread; before the lanes, which are joined first.
  ServiceClock::time_point last_probe_began_;
  bool last_probe_alive_ = false;
  Lane queries_;
  Lane urgent_;
  Lane probes_;
};

ServiceConnection::ServiceConnection(Endpoint server, ServiceSettings settings)
    : impl_(std::make_unique<Impl>(std::move(server), std::move(settings))) {}
ServiceConnection::~ServiceConnection() = default;

bool ServiceConnection::configured() const {
  return impl_->configured();
}

// In the coroutines below nothing of `this` is used after the wait: it may be gone by then.

asio::awaitable<Result<ServiceRows>> ServiceConnection::query(std::string database, std::string sql,
                                                              std::vector<std::string> parameters,
                                                              milliseconds timeout, bool repeatable) {
  if (!impl_->configured()) co_return impl_->not_configured();
  Error late = impl_->no_answer(database);
  const auto answer = std::make_shared<OneShot<PqResult<ServiceRows>>>();
  ServiceStatement statement =
      impl_->statement(std::move(database), std::move(sql), std::move(parameters), timeout, repeatable);
  const auto deadline = statement.deadline;
  impl_->queries_.submit([answer, statement = std::move(statement)](KeptConnections& connections) {
    answer->complete(connections.run(statement));
  });
  std::optional<PqResult<ServiceRows>> result =
      co_await OneShot<PqResult<ServiceRows>>::wait(answer, deadline + kGrace);
  if (!result) co_return late;
  if (auto* failure = std::get_if<PqFailure>(&*result)) co_return Error{std::move(failure->what)};
  co_return std::get<ServiceRows>(*std::move(result));
}

asio::awaitable<Result<Secret>> ServiceConnection::stored_password(std::string role) {
  if (!impl_->configured()) co_return impl_->not_configured();
  Error late = impl_->no_answer(impl_->settings_.database);
  const auto answer = std::make_shared<OneShot<Result<Secret>>>();
  std::vector<std::string> parameters;
  parameters.push_back(std::move(role));
  ServiceStatement statement = impl_->statement(impl_->settings_.database, kStoredPasswordSql, std::move(parameters),
                                         kStoredPasswordTimeout, true);
  const auto deadline = statement.deadline;
  impl_->urgent_.submit([answer, statement = std::move(statement)](KeptConnections& connections) {
    PqResult<ServiceRows> result = connections.run(statement);
    if (auto* failure = std::get_if<PqFailure>(&result)) {
      answer->complete(Error{"cannot read the stored password of role \"" + statement.parameters[0] +
                             "\": " + failure->what});
      return;
    }
    auto& rows = std::get<ServiceRows>(result);
    Secret secret = rows.rows.empty() ? Secret() : Secret::take(rows.rows[0][0]);
    clear_rows(rows);
    answer->complete(std::move(secret));
  });
  std::optional<Result<Secret>> result = co_await OneShot<Result<Secret>>::wait(answer, deadline + kGrace);
  if (!result) co_return late;
  co_return *std::move(result);
}

asio::awaitable<bool> ServiceConnection::probe(milliseconds timeout) {
  if (!impl_->configured()) co_return false;
  const auto answer = std::make_shared<OneShot<bool>>();
  ServiceStatement statement = impl_->statement(impl_->settings_.database, "SELECT 1", {}, timeout, false);
  const auto deadline = statement.deadline;
  impl_->probes_.submit([answer, impl = impl_.get(), asked = ServiceClock::now(),
                         statement = std::move(statement)](KeptConnections& connections) {
    answer->complete(impl->probe(connections, statement, asked));
  });
  const std::optional<bool> alive = co_await OneShot<bool>::wait(answer, deadline + kGrace);
  co_return alive.value_or(false);
}

asio::awaitable<Result<void>> ServiceConnection::end_client_backends(milliseconds limit) {
  if (!impl_->configured()) co_return impl_->not_configured();
  Error late = impl_->no_answer(impl_->settings_.database);
  const auto answer = std::make_shared<OneShot<Result<void>>>();
  std::vector<std::string> parameters;
  parameters.emplace_back(kServiceApplicationName);
  ServiceStatement statement =
      impl_->statement(impl_->settings_.database, kEndBackendsSql, std::move(parameters), limit, true);
  const auto deadline = statement.deadline;
  impl_->urgent_.submit([answer, statement = std::move(statement)](KeptConnections& connections) {
    answer->complete(end_backends(connections, statement));
  });
  std::optional<Result<void>> result = co_await OneShot<Result<void>>::wait(answer, deadline + kGrace);
  if (!result) co_return late;
  co_return *std::move(result);
}

}  // namespace pgtandem
