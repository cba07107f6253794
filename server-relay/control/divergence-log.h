/// The divergence log: every difference between the two servers, as JSON lines in `differences.jsonl` in the
/// state folder. Written by a thread of its own from a bounded queue, so that neither a slow nor a full disk
/// can hold up a session.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "server-relay/control/difference.h"

namespace pgtandem {

class DivergenceLog {
 public:
  static constexpr const char* kFileName = "differences.jsonl";

  struct Options {
    std::string state_dir;
    std::uint64_t rotate_bytes = 16U << 20;  ///< a larger file becomes differences.jsonl.1, that one .2
    std::size_t queue_entries = 1024;  ///< what waits for the disk; above that entries are lost, and counted
  };
  struct Counts {
    std::uint64_t writes = 0;  ///< differences of writes that were recorded, kept or not
    std::uint64_t reads = 0;
    std::uint64_t kept = 0;    ///< entries that are in the file
    std::uint64_t lost = 0;    ///< entries that the full queue or the disk took
    std::uint64_t queued = 0;  ///< waiting now
  };

  /// Starts the thread. An unusable folder is no error here: it is logged, and entries count as lost.
  explicit DivergenceLog(Options options);
  /// Writes what is queued, then ends.
  ~DivergenceLog();

  /// Never blocks on the disk. Thread-safe.
  void record(Difference difference);
  /// Thread-safe.
  Counts counts() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgtandem
