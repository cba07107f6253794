/// Which of the master's replies wait for the standby's match (R1, hard points 2 and 3, discipline
/// `classic`). Pure; one per session, shown every outcome of the master in order.
///
/// Inside a transaction block nothing is promised yet, so replies go out as the master gives them (else two
/// sessions that hold each other's rows on different servers would wait for ever). What ends a transaction
/// waits, and so does everything that might.
#pragma once
#include "server-relay/replies/outcome.h"

namespace pgtandem {

class ReleaseRule {
 public:
  /// `ack_master`: nothing ever waits (ack = "master").
  explicit ReleaseRule(bool ack_master) : ack_master_(ack_master) {}

  /// Must this outcome, and all behind it, wait for the standby's?
  bool must_wait(const Outcome& outcome);
  /// May a message of this type have to wait? Asked for the first piece of a message that arrives in pieces.
  bool may_wait(char type) const;
  /// The transaction status as far as it is known: inside a block?
  bool in_block() const { return in_block_; }

 private:
  bool wait_for_complete(TagClass tag_class);
  bool wait_for_ready(char status);

  bool ack_master_;
  bool in_block_ = false;
  bool waiting_ = false;      ///< something earlier in this unit waits
  bool rolled_back_ = false;  ///< the unit left its block without committing
};

}  // namespace pgtandem
