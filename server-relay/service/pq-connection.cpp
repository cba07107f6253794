#include "server-relay/service/pq-connection.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "common/base/secret.h"

namespace pgtandem {
namespace {

/// What a service connection sets for itself. search_path: a superuser must not find functions that users put
/// into their schemas. The rest keeps a database's or role's own settings from stopping or colouring what we
/// ask.
constexpr const char* kOptions =
    "-c search_path=pg_catalog -c statement_timeout=0 -c lock_timeout=0 -c default_transaction_read_only=off "
    "-c default_transaction_isolation=read\\ committed -c idle_in_transaction_session_timeout=0";

/// libpq's lines as one sentence; the LOCATION line (source file and line of the server) helps nobody here.
std::string one_line(std::string_view message) {
  std::string out;
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    std::string_view line = message.substr(0, end);
    message.remove_prefix(std::min(end + 1, message.size()));
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (line.empty() || line.starts_with("LOCATION:")) continue;
    if (!out.empty()) out += "; ";
    out += line;
  }
  return out;
}

/// The SQLSTATE in `FATAL:  28P01: password ...`, as PQERRORS_VERBOSE writes it while connecting.
std::string sqlstate_in(std::string_view message) {
  constexpr std::size_t kLength = 5;
  for (std::size_t at = message.find(":  "); at != std::string_view::npos; at = message.find(":  ", at + 1)) {
    const std::string_view code = message.substr(at + 3, kLength);
    const bool plausible = code.size() == kLength && std::ranges::all_of(code, [](char c) {
                             return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
                           });
    if (plausible && message.substr(at + 3 + kLength).starts_with(": ")) return std::string(code);
  }
  return {};
}

std::string text_field(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text == nullptr ? std::string() : std::string(text);
}

bool succeeded(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/// Also given the FATAL that ends an idle connection, which libpq takes for a notice.
void note_end(void* ended, const PGresult* notice) {
  const std::string severity = text_field(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == "FATAL" || severity == "PANIC") *static_cast<bool*>(ended) = true;
}

}  // namespace

void PqConnection::Clear::operator()(PGresult* result) const {
  // A value may be a password verifier: gone before the memory is given back.
  for (int row = 0; row < PQntuples(result); ++row) {
    for (int column = 0; column < PQnfields(result); ++column) {
      if (PQgetisnull(result, row, column) != 0) continue;  // then it points to a constant
      clear_memory(PQgetvalue(result, row, column), std::size_t(PQgetlength(result, row, column)));
    }
  }
  PQclear(result);
}

PqResult<PqConnection> PqConnection::open(PqTarget target, ServiceClock::time_point deadline,
                                          const Interrupt& interrupt) {
  PqConnection opened(std::move(target), interrupt);
  if (auto failure = opened.connect(deadline)) return *std::move(failure);
  return opened;
}

std::optional<PqFailure> PqConnection::connect(ServiceClock::time_point deadline) {
  const std::string port = std::to_string(target_.server.port);
  const std::string application(kServiceApplicationName);
  const auto optional_text = [](const std::string& text) { return text.empty() ? nullptr : text.c_str(); };
  const std::array<const char*, 11> names{"host",
                                          "port",
                                          "dbname",
                                          "user",
                                          "passfile",
                                          "options",
                                          "gssencmode",
                                          "client_encoding",
                                          "keepalives_idle",
                                          "application_name",
                                          nullptr};
  const std::array<const char*, 11> values{target_.server.host.c_str(),
                                           port.c_str(),
                                           target_.database.c_str(),
                                           target_.settings.user.c_str(),
                                           optional_text(target_.settings.passfile),
                                           kOptions,
                                           "disable",
                                           "UTF8",
                                           "10",
                                           application.c_str(),
                                           nullptr};
  if (interrupt_->raised()) return PqFailure{described("the relay is stopping"), {}, true};
  connection_.reset(PQconnectStartParams(names.data(), values.data(), 0));
  if (!connection_) return PqFailure{described("out of memory in libpq"), {}, true};
  PQsetNoticeReceiver(connection_.get(), note_end, ended_.get());
  PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE);  // so that a refusal carries its SQLSTATE
  if (PQstatus(connection_.get()) == CONNECTION_BAD) return connect_failure(false);
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) return connect_failure(false);
    const bool reading = next == PGRES_POLLING_READING;
    if (!interrupt_->wait({socket(), reading, !reading}, deadline)) return connect_failure(true);
    next = PQconnectPoll(connection_.get());
  }
  if (PQsetnonblocking(connection_.get(), 1) != 0) return connect_failure(false);
  return std::nullopt;
}

bool PqConnection::usable() {
  if (!connection_ || PQstatus(connection_.get()) != CONNECTION_OK) return false;
  if (PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) return false;
  // An idle connection has nothing to say but its end, a notice or a changed parameter. More than a few of
  // these at once: not worth keeping.
  constexpr int kRounds = 16;
  for (int round = 0; round < kRounds; ++round) {
    if (PQconsumeInput(connection_.get()) != 1) return false;
    PQisBusy(connection_.get());  // parses what came
    if (*ended_ || PQstatus(connection_.get()) != CONNECTION_OK) return false;
    if (!readable_now(socket())) return true;
  }
  return false;
}

PqResult<ServiceRows> PqConnection::run(const std::string& sql, const std::vector<std::string>& parameters,
                                        std::chrono::milliseconds timeout,
                                        ServiceClock::time_point deadline) {
  if (auto failure = limit_on_server(timeout, deadline)) return *std::move(failure);
  PqResult<ResultPtr> answer = exchange(sql, parameters, deadline);
  if (auto* failure = std::get_if<PqFailure>(&answer)) return std::move(*failure);
  const PGresult* result = std::get<ResultPtr>(answer).get();
  ServiceRows rows;
  rows.rows.reserve(std::size_t(PQntuples(result)));
  for (int row = 0; row < PQntuples(result); ++row) {
    auto& values = rows.rows.emplace_back();
    values.reserve(std::size_t(PQnfields(result)));
    for (int column = 0; column < PQnfields(result); ++column) {
      values.emplace_back(PQgetvalue(result, row, column), std::size_t(PQgetlength(result, row, column)));
    }
  }
  return rows;
}

std::optional<PqFailure> PqConnection::limit_on_server(std::chrono::milliseconds timeout,
                                                       ServiceClock::time_point deadline) {
  // 0 would mean "no limit" to the server, and its setting is an int of milliseconds.
  const std::chrono::milliseconds limit{std::clamp<std::int64_t>(timeout.count(), 1, INT32_MAX)};
  if (limit == server_timeout_) return std::nullopt;
  auto answer = exchange("SET statement_timeout = " + std::to_string(limit.count()), {}, deadline);
  if (auto* failure = std::get_if<PqFailure>(&answer)) return std::move(*failure);
  server_timeout_ = limit;
  return std::nullopt;
}

PqResult<PqConnection::ResultPtr> PqConnection::exchange(const std::string& sql,
                                                         const std::vector<std::string>& parameters,
                                                         ServiceClock::time_point deadline) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  if (PQsendQueryParams(connection_.get(), sql.c_str(), int(values.size()), nullptr, values.data(), nullptr,
                        nullptr, 0) != 1 ||
      !flush(deadline)) {
    return broken("sending a statement", deadline);
  }
  ResultPtr kept;
  for (;;) {
    if (!receive(deadline)) {
      PqFailure failure =
          kept && !succeeded(kept.get()) ? refused(kept.get()) : broken("waiting for an answer", deadline);
      failure.lost = true;
      connection_.reset();
      return failure;
    }
    ResultPtr result(PQgetResult(connection_.get()));
    if (!result) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
      connection_.reset();
      return PqFailure{described("COPY cannot be used on a service connection"), {}, false};
    }
    // The first result tells; behind an error a lost connection adds a second one.
    if (!kept) kept = std::move(result);
  }
  if (!kept) return broken("waiting for an answer", deadline);
  if (!succeeded(kept.get())) return refused(kept.get());
  return kept;
}

/// Sends what libpq has buffered, reading meanwhile (the server may be blocked in writing to us).
bool PqConnection::flush(ServiceClock::time_point deadline) {
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left <= 0) return left == 0;
    if (!interrupt_->wait({socket(), true, true}, deadline)) return false;
    if (PQconsumeInput(connection_.get()) != 1) return false;
  }
}

/// Until PQgetResult would not block.
bool PqConnection::receive(ServiceClock::time_point deadline) {
  while (PQisBusy(connection_.get()) != 0) {
    if (!interrupt_->wait({socket(), true}, deadline)) return false;
    if (PQconsumeInput(connection_.get()) != 1 && PQisBusy(connection_.get()) != 0) return false;
  }
  return true;
}

PqFailure PqConnection::connect_failure(bool ended_waiting) const {
  PqFailure failure;
  failure.lost = true;
  if (ended_waiting) {
    failure.what =
        described(interrupt_->raised() ? "the relay is stopping" : "no answer to the login in time");
    return failure;
  }
  const std::string message = PQerrorMessage(connection_.get());
  failure.sqlstate = sqlstate_in(message);
  std::string text = one_line(message);
  if (PQconnectionNeedsPassword(connection_.get()) != 0) {
    text += target_.settings.passfile.empty()
                ? "; name a passfile with a line for it ([service] passfile)"
                : "; give the passfile " + target_.settings.passfile +
                      " a line host:port:database:user:password for it, and mode 0600";
  }
  failure.what = described(std::move(text));
  return failure;
}

/// The connection is of no use any more: an answer may still come for what was sent.
PqFailure PqConnection::broken(const std::string& doing, ServiceClock::time_point deadline) {
  PqFailure failure;
  failure.lost = true;
  if (interrupt_->raised()) {
    failure.what = described("the relay is stopping");
  } else if (PQstatus(connection_.get()) == CONNECTION_OK && ServiceClock::now() >= deadline) {
    failure.what = described("no answer in time while " + doing);
  } else {
    failure.what = described(doing + " failed: " + one_line(PQerrorMessage(connection_.get())));
  }
  connection_.reset();
  return failure;
}

/// An ErrorResponse. Built from its fields, for libpq's own text quotes the statement.
PqFailure PqConnection::refused(const PGresult* result) const {
  PqFailure failure;
  failure.sqlstate = text_field(result, PG_DIAG_SQLSTATE);
  failure.lost = PQstatus(connection_.get()) != CONNECTION_OK;
  std::string message = text_field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) message = one_line(PQresultErrorMessage(result));
  const std::string detail = text_field(result, PG_DIAG_MESSAGE_DETAIL);
  if (!detail.empty()) message += "; " + one_line(detail);
  if (!failure.sqlstate.empty()) message += " (SQLSTATE " + failure.sqlstate + ")";
  failure.what = described(std::move(message));
  return failure;
}

std::string PqConnection::described(std::string message) const {
  // libpq puts no password into its messages; a server might quote one back.
  const char* password = connection_ ? PQpass(connection_.get()) : nullptr;
  const std::string_view secret = password == nullptr ? std::string_view() : std::string_view(password);
  for (std::size_t at = secret.empty() ? std::string::npos : message.find(secret); at != std::string::npos;
       at = message.find(secret, at + 3)) {
    message.replace(at, secret.size(), "***");
  }
  return "service connection to " + to_string(target_.server) + ", database \"" + target_.database +
         "\", user \"" + target_.settings.user + "\": " + message;
}

}  // namespace pgtandem
