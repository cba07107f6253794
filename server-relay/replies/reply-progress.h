/// A place in one leg's replies, counted in messages: the same one on both legs as long as they are equal.
/// Messages that a server sends when it likes (NoticeResponse, ParameterStatus, NotificationResponse) do not
/// count.
#pragma once
#include <compare>
#include <cstdint>

#include "common/protocol/message-splitter.h"

namespace pgtandem {

struct ReplyProgress {
  std::uint64_t units = 0;     ///< finished, a ReadyForQuery each
  std::uint32_t outcomes = 0;  ///< in the unit
  std::uint64_t messages = 0;  ///< since the last outcome
  /// Over these messages, in order: rows and COPY data by their contents, others by their kind.
  std::uint64_t digest = 0;

  /// A whole message that is no outcome.
  void add_message(std::uint64_t its_digest) {
    ++messages;
    digest = (digest ^ its_digest) * kMultiplier;
    digest ^= digest >> 29;
  }
  void add_outcome(bool ends_unit) {
    messages = digest = 0;
    units += ends_unit ? 1 : 0;
    outcomes = ends_unit ? 0 : outcomes + 1;
  }
  /// By place alone.
  std::strong_ordering operator<=>(const ReplyProgress& other) const {
    if (const auto by_unit = units <=> other.units; by_unit != 0) return by_unit;
    if (const auto by_outcome = outcomes <=> other.outcomes; by_outcome != 0) return by_outcome;
    return messages <=> other.messages;
  }
  bool operator==(const ReplyProgress& other) const { return (*this <=> other) == 0; }

  static bool counts(char type) { return type != 'N' && type != 'S' && type != 'A'; }

 private:
  static constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio
};

}  // namespace pgtandem
