/// One node's dealings with the witness: one question on its way at a time, what the pair's key holds as far
/// as this node knows, and which of its own writes may still land. Pure; the role machine decides what to
/// write, and says when.
///
/// A write is a compare-and-swap on the revision that was seen last, and carries the writer's boot and a beat
/// of its own. So a write whose answer was lost is repeated, and if the first one had landed, the second is
/// refused with a record that this node knows as its own. Of the writes for one revision at most one lands.
#pragma once
#include <chrono>
#include <deque>
#include <optional>
#include <string>

#include "common/roles/witness-record.h"

namespace pgtandem {

class WitnessHand {
 public:
  using Time = std::chrono::milliseconds;
  using Ticket = std::uint64_t;

  enum class Heard {
    nothing,    ///< not the answer that is waited for
    untrusted,  ///< R12: another witness, or one that was set back; flaw() says which
    seen,       ///< a read: record() is what is there
    renewed,    ///< a write of this node landed, but it is not what is wanted now
    written,    ///< what was wanted is in place
    refused,    ///< another's record came between what was known and what is wanted: record()
  };
  struct Question {
    bool swap = false;
    WitnessRecord record;        ///< where swap
    std::uint64_t expected = 0;  ///< where swap
  };

  explicit WitnessHand(Uuid boot) : boot_(boot) {}

  /// What the slot holds of an earlier life.
  void begin(const Uuid& identity, std::uint64_t revision);
  /// From now on this is to be written in place of what is known now, until it is in place, refused or
  /// dropped.
  void want(const RoleRecord& role) { wanted_ = role; }
  void drop_want() { wanted_.reset(); }
  bool wants() const { return wanted_.has_value(); }

  /// What to ask now, if anything. `renewal`: the node is master, and this is its record; else it reads.
  std::optional<Question> next(Time now, const std::optional<RoleRecord>& renewal) const;
  /// When next() has something, if nothing is heard before; none while a question is on its way.
  std::optional<Time> wake() const;
  void asked(Time now, Ticket ticket, const Question& question);

  Heard hear(Time now, Ticket ticket, const WitnessReply& reply);
  void silent(Time now, Ticket ticket);

  /// A trusted answer has been heard, and none since was without.
  bool trusted() const { return trusted_; }
  const std::string& flaw() const { return flaw_; }
  const std::optional<WitnessRecord>& record() const { return record_; }
  /// Since when this node has seen this revision of the key, by receipt.
  Time seen_since() const { return seen_since_; }
  const Uuid& identity() const { return identity_; }
  std::uint64_t revision() const { return revision_; }
  /// The sending of the last write that is known to have landed, of a record with this node as master.
  std::optional<Time> right_from() const { return right_from_; }

 private:
  struct Doubt {
    WitnessRecord record;
    Time sent{0};
  };
  bool is_set_back(const WitnessReply& reply);
  Heard landed(Time now, const WitnessRecord& record, std::uint64_t revision, std::optional<Time> sent);
  std::optional<Time> sent_of(const WitnessRecord& record) const;
  void see(Time now, std::optional<WitnessRecord> record, std::uint64_t revision);

  Uuid boot_;
  Uuid identity_;
  std::uint64_t store_revision_ = 0;  ///< highest seen of the whole store
  std::uint64_t revision_ = 0;        ///< of the key; never lower again
  bool known_ = false;                ///< the revision was heard in this life: writes may build on it
  bool trusted_ = false;
  std::string flaw_;
  std::optional<WitnessRecord> record_;
  Time seen_since_{0};
  std::optional<Time> right_from_;

  std::optional<RoleRecord> wanted_;
  Ticket ticket_ = 0;
  bool swapping_ = false;
  std::uint64_t beat_ = 0;
  std::deque<Doubt> doubts_;
  Time not_before_{0};
  Time next_regular_{0};
};

}  // namespace pgtandem
