/// What a server would store for the clear password of CREATE or ALTER ROLE: computed here once, since each
/// server would take a salt of its own.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "server-relay/rewriting/rewrite.h"
#include "server-relay/statements/parse-tree.h"

namespace pgtandem {

/// SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey. Errors never quote the password. SASLprep leaves ASCII
/// as it is; any other password is refused. A random salt if `salt` is empty.
Result<std::string> scram_verifier(const Secret& password, std::uint32_t iterations,
                                   std::string_view salt = {});
/// "md5" and the digest of password and role, both ASCII.
Result<std::string> md5_verifier(const Secret& password, std::string_view role);

/// The replacement for the password of a role statement, or that there must be one and cannot.
struct PasswordRewriting {
  bool missed = false;
  std::optional<Replacement> replacement = {};
};
PasswordRewriting rewrite_password(const PgQuery__Node& statement, const TokenList& tokens,
                                   PasswordSettings settings);

}  // namespace pgtandem
