/// BackendKeyData: what a cancel request must name (PostgreSQL manual, "Message Formats").
///
///   BackendKeyData = 'K' length pid:int32 key:byte{n}      n = 4 in protocol 3.0, 4 to 256 since 3.2
#pragma once
#include <cstdint>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/protocol/startup.h"

namespace pgtandem {

struct BackendKey {
  std::uint32_t pid = 0;
  Secret key;  ///< whoever knows it can cancel this backend's statements
};

inline constexpr std::size_t kMinBackendKey = 4;

/// Parses the body (without type and length).
inline Result<BackendKey> parse_backend_key(ByteSpan body) {
  ByteReader reader(body);
  BackendKey key;
  key.pid = reader.u32();
  if (reader.failed() || reader.left() < kMinBackendKey || reader.left() > kMaxCancelKey) {
    return Error{"BackendKeyData of the server has " + std::to_string(body.size()) +
                 " bytes; a process id and a key of 4 to 256 bytes belong there"};
  }
  key.key = Secret(as_text(reader.rest()));
  return key;
}

}  // namespace pgtandem
