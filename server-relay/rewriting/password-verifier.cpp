#include "server-relay/rewriting/password-verifier.h"

#include "common/base/crypto.h"
#include "common/protocol/password.h"
#include "common/protocol/scram.h"

namespace pgtandem {
namespace {

constexpr std::size_t kSaltBytes = 16;  // as PostgreSQL's own

struct RoleOptions {
  std::string_view role;  ///< empty where it is CURRENT_USER and the like
  PgQuery__Node* const* options = nullptr;
  std::size_t count = 0;
};

RoleOptions options_of(const PgQuery__Node& statement) {
  if (statement.node_case == PG_QUERY__NODE__NODE_CREATE_ROLE_STMT) {
    const PgQuery__CreateRoleStmt& create = *statement.create_role_stmt;
    return {create.role, create.options, create.n_options};
  }
  if (statement.node_case == PG_QUERY__NODE__NODE_ALTER_ROLE_STMT) {
    const PgQuery__AlterRoleStmt& alter = *statement.alter_role_stmt;
    const bool is_named =
        alter.role != nullptr && alter.role->roletype == PG_QUERY__ROLE_SPEC_TYPE__ROLESPEC_CSTRING;
    return {is_named ? alter.role->rolename : "", alter.options, alter.n_options};
  }
  return {};
}

const PgQuery__DefElem* password_option(const RoleOptions& role) {
  for (std::size_t i = 0; i < role.count; ++i) {
    if (role.options[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM) continue;
    const PgQuery__DefElem* option = role.options[i]->def_elem;
    if (std::string_view(option->defname) == "password" && option->arg != nullptr) return option;
  }
  return nullptr;
}

/// The place of the constant behind [ENCRYPTED] PASSWORD.
std::optional<TextSpan> span_of_constant(const PgQuery__DefElem& option, const TokenList& tokens) {
  auto at = tokens.at(option.location);
  if (!at) return std::nullopt;
  if (tokens.is_word(*at, "encrypted")) ++*at;
  if (!tokens.is_word(*at, "password")) return std::nullopt;
  const auto last = tokens.end_of_string(*at + 1);
  return last ? std::optional(tokens.span(*at + 1, *last)) : std::nullopt;
}

/// Clears the copy of the digest that was made on the way.
std::string base64_of(Sha256Digest digest) {
  std::string out = to_base64(digest);
  clear_memory(digest.data(), digest.size());
  return out;
}

Result<std::string> make_verifier(const Secret& password, std::string_view role, PasswordSettings settings) {
  const std::string_view encryption = settings.encryption;
  if (equals_folded(encryption, "scram-sha-256")) return scram_verifier(password, settings.iterations);
  for (const std::string_view md5 : {"md5", "on", "true", "yes", "1"}) {
    if (equals_folded(encryption, md5)) return md5_verifier(password, role);
  }
  return Error{"the master's password_encryption is unknown to the relay: a clear password is not rewritten"};
}

}  // namespace

Result<std::string> scram_verifier(const Secret& password, std::uint32_t iterations, std::string_view salt) {
  if (!is_ascii(password.reveal())) {
    return Error{"a password with characters beyond ASCII is not rewritten: set it by its verifier"};
  }
  if (iterations == 0 || iterations > kMaxScramIterations) {
    return Error{"scram_iterations is beyond what the relay computes: set passwords by their verifier"};
  }
  const std::string salt_bytes = salt.empty() ? random_bytes(kSaltBytes) : std::string(salt);
  Sha256Digest salted = pbkdf2_sha256(password.reveal(), as_bytes(salt_bytes), iterations);
  Sha256Digest client_key = hmac_sha256(salted, as_bytes("Client Key"));
  std::string out = "SCRAM-SHA-256$" + std::to_string(iterations) + ":" + to_base64(as_bytes(salt_bytes));
  out += "$" + base64_of(sha256(client_key)) + ":" + base64_of(hmac_sha256(salted, as_bytes("Server Key")));
  clear_memory(salted.data(), salted.size());
  clear_memory(client_key.data(), client_key.size());
  return out;
}

Result<std::string> md5_verifier(const Secret& password, std::string_view role) {
  if (role.empty() || !is_ascii(role) || !is_ascii(password.reveal())) {
    return Error{"an md5 password is rewritten only where the role is named and both are ASCII"};
  }
  std::string text;
  text.reserve(password.reveal().size() + role.size());
  text.append(password.reveal()).append(role);
  const Secret joined = Secret::take(text);
  return "md5" + md5_hex(joined.reveal());
}

PasswordRewriting rewrite_password(const PgQuery__Node& statement, const TokenList& tokens,
                                   PasswordSettings settings) {
  const RoleOptions role = options_of(statement);
  const PgQuery__DefElem* option = password_option(role);
  if (option == nullptr) return {};
  const Secret password{string_of(option->arg)};
  const std::string_view clear = password.reveal();
  if (clear.empty() || is_stored_md5(clear)) return {};  // an empty one is no password at all
  // What looks like a verifier and is none the servers would hash: whether it is one is theirs to judge.
  if (is_scram_verifier(clear)) return {.missed = !parse_scram_verifier(password).ok()};
  const auto span = span_of_constant(*option, tokens);
  if (!span) return {.missed = true};
  const Result<std::string> verifier = make_verifier(password, role.role, settings);
  if (!verifier) return {.missed = true};
  // Neither quotes nor backslashes occur in a verifier. Blanks keep it apart from the words beside it.
  return {.replacement = Replacement{*span, {{" '" + *verifier + "'"}}}};
}

}  // namespace pgtandem
