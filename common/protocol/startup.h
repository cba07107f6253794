/// What a frontend may send first, before any message with a type byte, and what the relay itself sends there
/// (PostgreSQL manual, "Message Formats": SSLRequest, GSSENCRequest, CancelRequest, StartupMessage).
///
///   packet         = length:int32 (of itself and what follows) code:int32 rest
///   SSLRequest     = 8 80877103          GSSENCRequest = 8 80877104
///   CancelRequest  = 12+n 80877102 pid:int32 key:byte{n}            n = 4 in protocol 3.0, 1 to 256
///   since 3.2 StartupMessage = length major:int16 minor:int16 (name NUL value NUL)* NUL
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/secret.h"

namespace pgtandem {

/// PostgreSQL's MAX_STARTUP_PACKET_LENGTH: the most that may follow the length word.
inline constexpr std::size_t kMaxStartupPacket = 10000;
/// The longest cancel key (PostgreSQL manual, "Message Formats": BackendKeyData, CancelRequest).
inline constexpr std::size_t kMaxCancelKey = 256;

using StartupParameters = std::vector<std::pair<std::string, std::string>>;

struct NeedMore {};
struct SslRequest {};
struct GssEncRequest {};
struct CancelRequest {
  std::uint32_t pid = 0;
  Secret key;  ///< 1 to kMaxCancelKey bytes
};
/// Of a major version other than 3 only the version is known: its layout may be any.
struct StartupMessage {
  std::uint16_t major = 0;
  std::uint16_t minor = 0;
  StartupParameters parameters;  ///< in the order sent, `_pq_.` options included; a name may come twice
  std::string raw;  ///< the whole packet as it arrived, length included: what the servers are given
};
struct StartupError {
  std::string message;
  std::string
      sqlstate;  ///< empty where PostgreSQL closes without an answer: nothing says that the peer speaks this
};
using StartupPacket =
    std::variant<NeedMore, SslRequest, GssEncRequest, CancelRequest, StartupMessage, StartupError>;

struct ParsedStartup {
  StartupPacket packet;
  std::size_t consumed = 0;  ///< bytes of the packet; 0 for NeedMore and StartupError
};

/// Looks at everything that has arrived so far (call again with more after NeedMore). An impossible length is
/// an error as soon as the bytes that prove it are there; nothing is waited for and nothing allocated on its
/// word.
ParsedStartup parse_startup(ByteSpan arrived);

/// The value of the last parameter of this name, as a server takes it, or empty.
std::string_view startup_parameter(const StartupMessage& message, std::string_view name);
/// The role, or empty.
std::string_view startup_user(const StartupMessage& message);
/// The database: where none is named, the role's name.
std::string_view startup_database(const StartupMessage& message);
/// Whether the connection asks for the replication protocol: `replication` is present, and is nothing that
/// the server reads as false (PostgreSQL's parse_bool). A value that no server accepts counts as replication:
/// it then goes to the master alone, which refuses it in its own words.
bool is_replication(const StartupMessage& message);

/// A complete StartupMessage.
std::string build_startup(std::uint16_t major, std::uint16_t minor, const StartupParameters& parameters);
/// A complete CancelRequest; `key` has 1 to kMaxCancelKey bytes.
Secret build_cancel(std::uint32_t pid, std::string_view key);

}  // namespace pgtandem
