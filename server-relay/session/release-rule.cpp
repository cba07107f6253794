#include "server-relay/session/release-rule.h"

namespace pgtandem {

bool ReleaseRule::must_wait(const Outcome& outcome) {
  bool wait = waiting_;
  switch (outcome.kind) {
    case Outcome::Kind::copy_in:
      break;
    case Outcome::Kind::complete:
      wait = wait_for_complete(outcome.tag_class);
      break;
    case Outcome::Kind::ready:
      return wait_for_ready(outcome.status) && !ack_master_;
    default:
      wait = waiting_ || !in_block_;
      break;
  }
  waiting_ = wait;
  return wait && !ack_master_;
}

bool ReleaseRule::wait_for_complete(TagClass tag_class) {
  switch (tag_class) {
    case TagClass::begin:
      if (in_block_) return waiting_;
      in_block_ = true;
      return waiting_;
    case TagClass::commit:
      in_block_ = false;
      return true;
    case TagClass::rollback:
      rolled_back_ = rolled_back_ || in_block_;
      in_block_ = false;
      return waiting_;
    default:
      return waiting_ || !in_block_;
  }
}

bool ReleaseRule::wait_for_ready(char status) {
  const bool outside = status == 'I';
  const bool wait = waiting_ || (outside && !rolled_back_);
  in_block_ = !outside;
  waiting_ = rolled_back_ = false;
  return wait;
}

bool ReleaseRule::may_wait(char type) const {
  const bool ends_something =
      type == 'C' || type == 'I' || type == 's' || type == 'V' || type == 'E' || type == 'Z';
  return !ack_master_ && ends_something && (waiting_ || !in_block_);
}

}  // namespace pgtandem
