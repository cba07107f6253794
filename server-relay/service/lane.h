/// One thread that does service work in order, and the connections that it keeps between jobs. A
/// ServiceConnection has a few lanes, so that a probe never waits behind a long statement.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "server-relay/service/pq-connection.h"

namespace pgtandem {

/// One statement and its limits.
struct ServiceStatement {
  std::string database;
  std::string sql;
  std::vector<std::string> parameters;
  std::chrono::milliseconds timeout{0};
  ServiceClock::time_point deadline;
  bool repeatable = false;  ///< may be executed twice: tried once more where the connection was lost
};

/// The connections of one lane, at most one for a database. Belongs to the lane's thread.
class KeptConnections {
 public:
  KeptConnections(Endpoint server, ServiceSettings settings)
      : server_(std::move(server)), settings_(std::move(settings)) {}

  PqResult<ServiceRows> run(const ServiceStatement& statement);
  /// A new connection and SELECT 1 on it, then closed.
  PqResult<ServiceRows> run_on_new(const ServiceStatement& statement);
  /// Sleeps until `until`; returns early when the lane is stopping.
  void pause(ServiceClock::time_point until) const { interrupt_.pause(until); }
  bool stopping() const { return interrupt_.raised(); }
  /// Ends every wait for good. Thread-safe.
  void interrupt() { interrupt_.raise(); }

  /// Closes what was idle for too long, and says when to look again.
  ServiceClock::time_point close_idle(ServiceClock::time_point now);

 private:
  struct Kept {
    PqConnection connection;
    ServiceClock::time_point idle_since;
  };

  PqResult<ServiceRows> attempt(const ServiceStatement& statement, bool& was_kept);
  PqResult<PqConnection> open(const ServiceStatement& statement);
  ServiceClock::duration idle_time(const PqConnection& connection) const;

  Endpoint server_;
  ServiceSettings settings_;
  Interrupt interrupt_;
  std::list<Kept> kept_;  ///< the least recently used first; a handful
};

/// Thread-safe. The thread starts with the first job. The destructor ends what is running, lets every job
/// that waits fail, and joins (at once, save for a name resolution in progress).
class Lane {
 public:
  /// Called once, on the lane's thread; does not throw.
  using Job = std::function<void(KeptConnections&)>;

  Lane(Endpoint server, ServiceSettings settings) : connections_(std::move(server), std::move(settings)) {}
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  void submit(Job job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  KeptConnections connections_;
  std::thread thread_;
};

}  // namespace pgtandem
