/// What the relay holds after the master let a frontend in, and logs in to the standby with.
#pragma once
#include <cstdint>
#include <string>
#include <variant>

#include "common/base/secret.h"
#include "common/protocol/auth-request.h"

namespace pgtandem {

/// Nothing: the standby must let the relay in by its own right.
struct OwnRight {};
struct ClearPassword {
  Secret password;
};
/// rolpassword of an md5 role: "md5" and 32 hexadecimal digits.
struct StoredMd5 {
  Secret hash;
};
/// Enough to prove oneself by SCRAM-SHA-256 to every server that holds the same verifier, and to check that
/// server.
struct ScramKeys {
  Secret client_key;  ///< 32 bytes
  Secret server_key;  ///< 32 bytes
  std::string salt;
  std::uint32_t iterations = 0;
};

/// In memory only, and only as long as the login lasts.
struct Credential {
  AuthMethod master_method = AuthMethod::unknown;  ///< for texts: what the master asked for
  std::variant<OwnRight, ClearPassword, StoredMd5, ScramKeys> held;
};

}  // namespace pgtandem
