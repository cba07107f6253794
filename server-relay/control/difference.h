/// One entry of the divergence log: what differed between the two servers, and its form as one line of JSON.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace pgtandem {

/// A statement is kept up to this many bytes.
inline constexpr std::size_t kMaxLoggedStatement = 1000;
/// Each of the other texts is kept up to this many bytes.
inline constexpr std::size_t kMaxLoggedText = 500;

struct Difference {
  enum class Kind {
    write,  ///< something that may have written: changes the role by on_mismatch
    read,   ///< recorded only (hard point 1)
  };
  enum class Action { stale, logged, refused };

  std::string time;  ///< UTC, ISO 8601 with milliseconds; record() fills it where it is empty
  Kind kind = Kind::read;
  std::uint64_t session = 0;
  std::string user;
  std::string database;
  std::string application;  ///< application_name
  std::string statement;
  std::string bind_digest;  ///< of the bind values, in hexadecimal; never the values
  std::string what;         ///< what differs, e.g. "CommandComplete: UPDATE 1 against UPDATE 0"
  std::string master;       ///< its reply in short
  std::string standby;
  Action action = Action::logged;
};

std::string_view to_string(Difference::Kind kind);
std::string_view to_string(Difference::Action action);

/// One line, with its line feed. Texts are cut to their limits at a character's border; a statement that may
/// hold a password keeps only its first two words.
std::string to_line(const Difference& difference);
/// The line that tells how many entries could not be kept.
std::string lost_line(std::string_view time, std::uint64_t lost);

/// An entry read back; `lost` is not 0 for the line that tells of lost entries.
struct DifferenceLine {
  Difference difference;
  std::uint64_t lost = 0;
};
Result<DifferenceLine> parse_difference_line(std::string_view line);

}  // namespace pgtandem
