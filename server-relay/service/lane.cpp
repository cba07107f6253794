#include "server-relay/service/lane.h"

#include <algorithm>

namespace pgtandem {
namespace {

/// A connection keeps DROP DATABASE and CREATE DATABASE ... TEMPLATE waiting; the server gives others 5 s to
/// leave.
constexpr std::chrono::seconds kIdleTime{2};
/// The service's own database is not one that is dropped or copied.
constexpr std::chrono::seconds kIdleTimeOwnDatabase{15};
/// Connections of one lane kept at once: each takes one of the server's max_connections.
constexpr std::size_t kMaxKept = 3;
/// Login to a server that answers; a statement's own limit may be shorter.
constexpr std::chrono::seconds kConnectTimeout{10};

}  // namespace

PqResult<ServiceRows> KeptConnections::run(const ServiceStatement& statement) {
  bool was_kept = false;
  PqResult<ServiceRows> answer = attempt(statement, was_kept);
  const auto* failure = std::get_if<PqFailure>(&answer);
  const bool again = failure != nullptr && failure->lost && statement.repeatable && !stopping() &&
                     ServiceClock::now() < statement.deadline;
  return again ? attempt(statement, was_kept) : std::move(answer);
}

PqResult<ServiceRows> KeptConnections::attempt(const ServiceStatement& statement, bool& was_kept) {
  const auto kept = std::ranges::find_if(
      kept_, [&](const Kept& entry) { return entry.connection.target().database == statement.database; });
  was_kept = kept != kept_.end() && kept->connection.usable();
  if (!was_kept) {
    if (kept != kept_.end()) kept_.erase(kept);
    PqResult<PqConnection> opened = open(statement);
    if (auto* failure = std::get_if<PqFailure>(&opened)) return std::move(*failure);
    while (kept_.size() >= kMaxKept) kept_.pop_front();
    kept_.push_back(Kept{std::get<PqConnection>(std::move(opened)), {}});
  } else {
    kept_.splice(kept_.end(), kept_, kept);
  }
  Kept& used = kept_.back();
  PqResult<ServiceRows> answer =
      used.connection.run(statement.sql, statement.parameters, statement.timeout, statement.deadline);
  used.idle_since = ServiceClock::now();
  if (!used.connection.usable()) kept_.pop_back();  // lost, or left inside a transaction
  return answer;
}

PqResult<ServiceRows> KeptConnections::run_on_new(const ServiceStatement& statement) {
  PqResult<PqConnection> opened = open(statement);
  if (auto* failure = std::get_if<PqFailure>(&opened)) return std::move(*failure);
  return std::get<PqConnection>(opened).run(statement.sql, statement.parameters, statement.timeout,
                                            statement.deadline);
}

PqResult<PqConnection> KeptConnections::open(const ServiceStatement& statement) {
  const auto deadline = std::min(statement.deadline, ServiceClock::now() + kConnectTimeout);
  return PqConnection::open(PqTarget{server_, settings_, statement.database}, deadline, interrupt_);
}

ServiceClock::duration KeptConnections::idle_time(const PqConnection& connection) const {
  return connection.target().database == settings_.database ? kIdleTimeOwnDatabase : kIdleTime;
}

ServiceClock::time_point KeptConnections::close_idle(ServiceClock::time_point now) {
  std::erase_if(kept_,
                [&](const Kept& entry) { return now - entry.idle_since >= idle_time(entry.connection); });
  auto next = ServiceClock::time_point::max();
  for (const Kept& entry : kept_) next = std::min(next, entry.idle_since + idle_time(entry.connection));
  return next;
}

Lane::~Lane() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  connections_.interrupt();
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Lane::submit(Job job) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  wake_.notify_one();
}

void Lane::work() {
  for (;;) {
    const auto idle_end = connections_.close_idle(ServiceClock::now());
    Job job;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [this] { return stopping_ || !jobs_.empty(); };
      if (idle_end == ServiceClock::time_point::max()) {
        wake_.wait(lock, ready);
      } else if (!wake_.wait_until(lock, idle_end, ready)) {
        continue;
      }
      if (jobs_.empty()) return;  // stopping, and nobody is left without an answer
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job(connections_);
  }
}

}  // namespace pgtandem
