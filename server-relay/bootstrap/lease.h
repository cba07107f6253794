/// The right to copy, as the active relay gives it: taken by bootstrap/begin, kept by a thread that reports
/// progress every second (the relay gives the bootstrap up after 15 s of silence), ended by finish or abort.
#pragma once
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/net/endpoint.h"
#include "server-relay/bootstrap/progress.h"

namespace pgtandem::bootstrap {

class Lease {
 public:
  /// POST bootstrap/begin: ends all clients, holds writes. The error is the relay's sentence with what to do.
  static Result<std::unique_ptr<Lease>> begin(const Endpoint& control, const Secret& token);
  /// Aborts if neither finish() nor abort() was called.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Node master() const { return master_; }
  Node target() const { return target_; }
  Epoch epoch() const { return epoch_; }

  /// What the thread tells the relay from now on. Thread-safe.
  void report(const ProgressView& progress);
  /// An error once the relay has not taken a report for kPatience, or has refused one. Thread-safe.
  Result<void> check() const;
  /// Becomes readable when check() begins to fail.
  int lost_fd() const { return lost_fd_; }

  /// POST bootstrap/finish: join. The new epoch. Call once, when the target is equal.
  Result<Epoch> finish(const std::string& sha256);
  /// POST bootstrap/abort; tries for a short while, then leaves it to the relay's own time limit.
  Result<void> abort(const std::string& reason);

 private:
  using Clock = std::chrono::steady_clock;

  Lease(Endpoint control, Secret token);
  void run();
  void keep_reporting();
  void lose(const std::string& why);
  void stop();

  Endpoint control_;
  Secret token_;
  std::string id_;
  Node master_ = Node::none;
  Node target_ = Node::none;
  Epoch epoch_ = 0;
  bool ended_ = false;
  int lost_fd_ = -1;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  ProgressView progress_;
  std::string lost_;
  std::thread thread_;
};

}  // namespace pgtandem::bootstrap
