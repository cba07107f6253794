/// How a relay reaches the witness. A real boundary: tests have one in memory.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include <asio/awaitable.hpp>

#include "common/base/result.h"
#include "common/roles/witness-record.h"

namespace pgtandem {

/// What is known of one member of the witness' cluster, for people.
struct WitnessMember {
  std::string url;
  bool asked = false;    ///< since this process started
  bool answers = false;  ///< at the last question
  std::string trouble;   ///< where it does not: why
};

/// One question at a time. On the control thread. An error is a silence: what was asked may have been done,
/// or may be done yet; it says why and holds no secret.
class WitnessLink {
 public:
  virtual ~WitnessLink() = default;
  /// A linearizable read of the pair's key.
  virtual asio::awaitable<Result<WitnessReply>> read(std::chrono::milliseconds patience) = 0;
  /// Writes the record if the key's revision is `expected` (0: if there is no such key). It may reach the
  /// witness more than once.
  virtual asio::awaitable<Result<WitnessReply>> swap(WitnessRecord record, std::uint64_t expected,
                                                     std::chrono::milliseconds patience) = 0;
  /// Asks the members how they are that have had no question of late; may run beside a question.
  virtual asio::awaitable<void> look_around(std::chrono::milliseconds patience) = 0;
  virtual std::vector<WitnessMember> members() const = 0;
};

}  // namespace pgtandem
