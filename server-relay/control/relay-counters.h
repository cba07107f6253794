/// What the relay counts. A plain struct: each I/O thread counts in one of its own, and they are added up
/// when somebody asks. See metrics.h for the names under which Prometheus sees it.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace pgtandem {

/// How long units waited for the standby's match, in seconds. Bucket i counts the waits up to kBounds[i] that
/// are above the bound before; what is longer than the last bound is only in `count`.
struct WaitHistogram {
  static constexpr std::array<double, 16> kBounds{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                  0.05,   0.1,     0.25,   0.5,   1.0,    2.5,   5.0,  10.0};
  std::array<std::uint64_t, kBounds.size()> buckets{};
  std::uint64_t count = 0;
  double sum = 0;

  void observe(double seconds) {
    ++count;
    sum += seconds;
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
      if (seconds <= kBounds[i]) {
        ++buckets[i];
        return;
      }
    }
  }
  WaitHistogram& operator+=(const WaitHistogram& other) {
    for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
    count += other.count;
    sum += other.sum;
    return *this;
  }
};

struct RelayCounters {
  // Sessions.
  std::uint64_t sessions_open = 0;
  std::uint64_t sessions_total = 0;                   ///< since the start, refused ones not counted
  std::uint64_t sessions_refused = 0;                 ///< by the access list, the role or the limit
  std::map<std::string, std::uint64_t> session_ends;  ///< by reason, e.g. "client-left", "master-lost"
  // Traffic.
  std::uint64_t units = 0;
  std::uint64_t writes = 0;          ///< units that may have written
  std::uint64_t frontend_bytes = 0;  ///< received from frontends
  std::uint64_t backend_bytes = 0;   ///< received from the master
  std::uint64_t standby_bytes = 0;   ///< received from the standby
  // Comparison.
  std::uint64_t differences_writes = 0;
  std::uint64_t differences_reads = 0;
  std::uint64_t difference_entries_lost = 0;  ///< that the divergence log could not keep
  std::uint64_t held_outputs = 0;             ///< sessions whose output waits for the standby now
  std::uint64_t standby_lag_units = 0;
  WaitHistogram standby_wait;
  // Role.
  bool standby_joined = false;
  std::uint64_t epoch = 0;
  std::string state;             ///< as the status names it, e.g. "MASTER"
  bool witness = false;          ///< one is configured
  bool witness_answers = false;  ///< and it is trusted
  double right_seconds = 0;      ///< how long the right to be master lasts; only with a witness
  bool guests = false;
  // The relay itself.
  std::string node;
  std::uint64_t uptime_seconds = 0;
  std::uint64_t log_lines_dropped = 0;

  /// Adds the counts of another thread; the role and the relay's own values stay as they are.
  RelayCounters& operator+=(const RelayCounters& other) {
    sessions_open += other.sessions_open;
    sessions_total += other.sessions_total;
    sessions_refused += other.sessions_refused;
    for (const auto& [reason, count] : other.session_ends) session_ends[reason] += count;
    units += other.units;
    writes += other.writes;
    frontend_bytes += other.frontend_bytes;
    backend_bytes += other.backend_bytes;
    standby_bytes += other.standby_bytes;
    differences_writes += other.differences_writes;
    differences_reads += other.differences_reads;
    difference_entries_lost += other.difference_entries_lost;
    held_outputs += other.held_outputs;
    standby_lag_units += other.standby_lag_units;
    standby_wait += other.standby_wait;
    log_lines_dropped += other.log_lines_dropped;
    return *this;
  }
};

}  // namespace pgtandem
