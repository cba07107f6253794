#include "common/roles/witness-hand.h"

#include <algorithm>

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

/// R5: how often a master renews; the others read as often.
constexpr WitnessHand::Time kRenewal{500};
/// After silence, and after an answer that gives no authority.
constexpr WitnessHand::Time kAgain{100};
constexpr WitnessHand::Time kAgainUntrusted{500};
/// Older writes without an answer are forgotten: should one land, it gives no right any more.
constexpr std::size_t kMaxDoubts = 64;

}  // namespace

void WitnessHand::begin(const Uuid& identity, std::uint64_t revision) {
  identity_ = identity;
  revision_ = store_revision_ = revision;
}

std::optional<WitnessHand::Question> WitnessHand::next(Time now,
                                                       const std::optional<RoleRecord>& renewal) const {
  if (ticket_ != 0 || now < not_before_) return std::nullopt;
  const bool due = now >= next_regular_;
  if (!wanted_ && !due) return std::nullopt;
  if (!known_ || (!wanted_ && !renewal)) return Question{};
  return Question{true, {wanted_ ? *wanted_ : *renewal, boot_, beat_ + 1}, record_ ? revision_ : 0};
}

std::optional<WitnessHand::Time> WitnessHand::wake() const {
  if (ticket_ != 0) return std::nullopt;
  return wanted_ ? not_before_ : std::max(not_before_, next_regular_);
}

void WitnessHand::asked(Time now, Ticket ticket, const Question& question) {
  ticket_ = ticket;
  swapping_ = question.swap;
  next_regular_ = now + kRenewal;
  if (!question.swap) return;
  beat_ = question.record.beat;
  doubts_.push_back({question.record, now});
  if (doubts_.size() > kMaxDoubts) doubts_.pop_front();
}

/// R12. A key that has vanished is a witness that was set back, too.
bool WitnessHand::is_set_back(const WitnessReply& reply) {
  if (!identity_.is_none() && reply.identity != identity_) {
    flaw_ = "it is another witness than before";
  } else if (reply.revision < store_revision_) {
    flaw_ = "it was set back: its revision is " + std::to_string(reply.revision) + ", after " +
            std::to_string(store_revision_);
  } else if (!reply.swapped && reply.record_revision < revision_) {
    flaw_ = reply.record ? "the pair's record was set back" : "the pair's record is gone";
  } else {
    flaw_.clear();
  }
  return !flaw_.empty();
}

WitnessHand::Heard WitnessHand::hear(Time now, Ticket ticket, const WitnessReply& reply) {
  if (ticket == 0 || ticket != ticket_) return Heard::nothing;
  ticket_ = 0;
  const bool swap = swapping_;
  if (reply.swapped && (!swap || doubts_.empty())) return Heard::nothing;  // no answer to what was asked
  if (is_set_back(reply)) {
    trusted_ = known_ = false;
    not_before_ = now + kAgainUntrusted;
    return Heard::untrusted;
  }
  identity_ = reply.identity;
  store_revision_ = reply.revision;
  trusted_ = known_ = true;
  if (reply.swapped) {
    const Doubt done = doubts_.back();
    return landed(now, done.record, reply.revision, done.sent);
  }
  const bool own = reply.record && reply.record->boot == boot_;
  if (own && reply.record_revision > revision_) {
    return landed(now, *reply.record, reply.record_revision, sent_of(*reply.record));
  }
  const bool moved = reply.record_revision != revision_;
  see(now, reply.record, reply.record_revision);
  // Writes for an older revision cannot land any more.
  if (moved) doubts_.clear();
  // A write was wanted because of what the key held then: it must not build on what has come since, which a
  // read that was on its way may just have shown.
  return swap || (moved && wanted_) ? Heard::refused : Heard::seen;
}

WitnessHand::Heard WitnessHand::landed(Time now, const WitnessRecord& record, std::uint64_t revision,
                                       std::optional<Time> sent) {
  see(now, record, revision);
  doubts_.clear();
  if (sent) right_from_ = std::max(right_from_.value_or(*sent), *sent);
  if (!wanted_) return Heard::renewed;
  if (record.role != *wanted_) return Heard::renewed;
  wanted_.reset();
  return Heard::written;
}

std::optional<WitnessHand::Time> WitnessHand::sent_of(const WitnessRecord& record) const {
  const auto found =
      std::ranges::find(doubts_, record.beat, [](const Doubt& one) { return one.record.beat; });
  return found == doubts_.end() ? std::nullopt : std::optional<Time>(found->sent);
}

void WitnessHand::see(Time now, std::optional<WitnessRecord> record, std::uint64_t revision) {
  if (revision != revision_ || record.has_value() != record_.has_value()) seen_since_ = now;
  record_ = std::move(record);
  revision_ = revision;
}

void WitnessHand::silent(Time now, Ticket ticket) {
  if (ticket == 0 || ticket != ticket_) return;
  ticket_ = 0;
  not_before_ = now + kAgain;
}

}  // namespace pgtandem
