/// Decides which relay a forwarder follows: what it knows of each, the highest epoch ever seen, and the
/// consequences. Pure: reports in, decisions out.
///
/// Rules (3-roles, hard point 12):
///  - Of a pair, the master of the highest epoch is followed while its relay is active; never one of a lower
///  epoch.
///    Of one epoch there is one master: the first that was seen.
///  - A relay that merely cannot be asked any more stays as it was last known.
///  - A flags-only relay has an epoch of its own that no other relay knows: it is followed if it is the only
///  active one.
///  - Sessions of another relay than the one followed end when it is known to be not active, or of a lower
///  epoch; unless it says that they go on with the followed master's server (its guests). One that shows a
///  lower epoch may be about to say so: it is given a moment.
///  - A relay that shows a lower epoch than was seen is given the record of the highest.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "client-forwarder/relay-report.h"

namespace pgtandem {

/// What outlives the process: the record of the highest epoch. Epoch 0 means "nothing was seen yet".
using FollowerMemory = CarriedRecord;

/// What follows from one event. Empty where nothing changed.
struct Decision {
  bool target_changed = false;
  bool remember = false;                  ///< memory() changed: write it down before anything else is done
  std::vector<std::size_t> end_sessions;  ///< relays whose sessions have no right to go on
  std::vector<std::size_t> wait_for;      ///< relays that may be about to say so: on_patience_over() follows
  std::vector<std::size_t> carry_to;      ///< relays to be given the record in memory()
  std::string remark;                     ///< something that an operator should know; told once
};

class Follower {
 public:
  Follower(std::size_t relays, FollowerMemory memory);

  /// Relay number `relay` said this.
  Decision on_report(std::size_t relay, const RelayReport& report);
  /// Its control port does not answer, or makes no sense.
  Decision on_silence(std::size_t relay);
  /// It had its moment to say what becomes of its sessions.
  Decision on_patience_over(std::size_t relay);
  /// Whether it was last seen ending its work in order, so that its word is worth a longer wait.
  bool is_draining(std::size_t relay) const;

  /// The relay to which new connections go, if there is one.
  std::optional<std::size_t> target() const { return target_; }
  const FollowerMemory& memory() const { return memory_; }
  /// Why there is no target, for people: one clause a relay.
  std::string explain() const;

 private:
  struct Known {
    bool reachable = false;
    std::optional<RelayReport> report;  ///< the last one, kept when the relay falls silent
    std::string remark;                 ///< the last one told
    bool had_its_moment = false;        ///< on_patience_over(), since it last showed the highest epoch
  };
  /// Of a relay's sessions.
  enum class Standing { entitled, in_doubt, lost };

  void learn(std::size_t relay, const RelayReport& report, Decision& decision);
  bool adopts_other_pair(std::size_t relay, const RelayReport& report) const;
  bool is_master_of_pair(const Known& known) const;
  bool is_active_flags_only(const Known& known) const;
  std::optional<std::size_t> choose() const;
  std::optional<std::size_t> choose_flags_only() const;
  bool shows_lower_epoch(const Known& known) const;
  Standing standing(std::size_t relay) const;
  bool lacks_record(const Known& known) const;
  Decision decide(Decision decision);

  std::vector<Known> relays_;
  FollowerMemory memory_;
  std::optional<std::size_t> target_;
};

}  // namespace pgtandem
