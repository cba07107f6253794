/// Compares what the two legs of a session answered, unit by unit, outcome by outcome (hard points 1 to 3).
/// Pure.
///
/// An outcome's life: the master's is *waiting* from push(Leg::master) until the standby's outcome of the
/// same place is pushed; then the two are compared and it is *matched*: its number is below matched(). If one
/// leg's unit has fewer outcomes than the other's (an error skips the rest up to Sync), the rest of the
/// longer one is matched with nothing when both are ready, which is a difference. Within a unit, places are
/// compared in order, so that a difference is reported with the first outcome that shows it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "common/base/ring.h"
#include "server-relay/replies/outcome.h"

namespace pgtandem {

enum class Leg : std::uint8_t { master, standby };

/// What a difference means for the standby.
enum class MismatchKind : std::uint8_t {
  none,
  read,   ///< only what was read differs: recorded if nothing overlapped, never changes a role
  write,  ///< the outcome of something that may have written differs: the standby is not equal any more
};

struct Mismatch {
  MismatchKind kind = MismatchKind::none;
  std::string what;        ///< one sentence
  std::string master;      ///< reply in short
  std::string standby;     ///< reply in short
  std::uint64_t unit = 0;  ///< its number, as units() counts them
};

class Matcher {
 public:
  /// `statement_reads`: the unit's only statement begins with a word that reads (SELECT, SHOW, ...): used
  /// where both legs failed and no tag tells. Call before the unit's first outcome; units are counted alike
  /// on both legs.
  void start_unit(bool statement_reads);

  /// The number of this outcome on this leg, from 0. A difference that it completes is found by
  /// next_mismatch().
  std::uint64_t push(Leg leg, const Outcome& outcome);
  std::optional<Mismatch> next_mismatch();
  /// The oldest difference that next_mismatch() has not given out; null if there is none.
  const Mismatch* pending_mismatch() const { return mismatches_.empty() ? nullptr : &mismatches_.front(); }

  /// How many of the master's outcomes have been compared with the standby's.
  std::uint64_t matched() const { return matched_; }
  /// How many units this leg has finished (a ReadyForQuery each).
  std::uint64_t units(Leg leg) const { return leg == Leg::master ? master_.units : standby_.units; }
  /// The outcomes that wait for the other leg: what a lagging standby costs.
  std::size_t waiting() const { return master_.waiting.size() + standby_.waiting.size(); }

 private:
  struct Side {
    Ring<Outcome> waiting;
    std::uint64_t pushed = 0;
    std::uint64_t units = 0;
  };

  void compare_front();
  void compare_surplus(Side& longer, Leg leg);
  void report(MismatchKind kind, std::string what, const Outcome* master, const Outcome* standby);
  MismatchKind kind_of(const Outcome& master, const Outcome& standby) const;

  Side master_;
  Side standby_;
  std::uint64_t matched_ = 0;
  std::uint64_t unit_ = 0;      ///< the one that is being compared
  bool rows_differed_ = false;  ///< of a suspended portal: counts if its command turns out to have written
  Ring<char> unit_reads_;       ///< of the units that are not matched yet, oldest first
  Ring<Mismatch> mismatches_;
};

}  // namespace pgtandem
