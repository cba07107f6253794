/// Complete messages from a type byte and a body (PostgreSQL manual, "Message Formats").
///
///   message = type:byte1 length:int32 (of itself and the body) body
#pragma once
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/secret.h"

namespace pgtandem {

/// The longest message that a login may hold in either direction: the backend's own PG_MAX_AUTH_TOKEN_LENGTH,
/// which is above libpq's limit for errors (30000). Whoever reads from a socket refuses longer ones before
/// waiting for them.
inline constexpr std::size_t kMaxLoginMessage = 65535;

inline std::string build_message(char type, std::string_view body) {
  std::string out;
  out.reserve(5 + body.size());
  out.push_back(type);
  std::byte length[4];
  store_u32(length, std::uint32_t(4 + body.size()));
  out.append(as_text(length)).append(body);
  return out;
}

/// The same for a body that holds a password or a proof; leaves no copy behind.
inline Secret build_secret_message(char type, std::string_view body) {
  std::string message = build_message(type, body);  // reserved at once: no copy is left by growing
  return Secret::take(message);
}

}  // namespace pgtandem
