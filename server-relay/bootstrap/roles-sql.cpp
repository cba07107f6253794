#include "server-relay/bootstrap/roles-sql.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "server-relay/bootstrap/sql-text.h"

namespace pgtandem::bootstrap {
namespace {

/// From here on GRANTED BY must name a role that holds ADMIN OPTION, which older servers never recorded
/// reliably.
constexpr int kGrantorsChecked = 160000;

using Tokens = std::vector<SqlToken>;

bool is_word(const Tokens& tokens, std::size_t at, std::string_view word) {
  return at < tokens.size() && tokens[at].kind == SqlToken::Kind::word && tokens[at].text == word;
}

bool is_name(const Tokens& tokens, std::size_t at) {
  return at < tokens.size() &&
         (tokens[at].kind == SqlToken::Kind::identifier || tokens[at].kind == SqlToken::Kind::word);
}

std::optional<std::string> created(const Tokens& tokens, std::string_view what) {
  if (is_word(tokens, 0, "CREATE") && is_word(tokens, 1, what) && is_name(tokens, 2)) return tokens[2].text;
  return std::nullopt;
}

bool names_tablespace(const Tokens& tokens) {
  return std::ranges::any_of(tokens, [](const SqlToken& token) {
    return token.kind == SqlToken::Kind::word && token.text == "TABLESPACE";
  });
}

/// "GRANT role TO member ..." and not a privilege ("GRANT ... ON ...").
bool is_membership(const Tokens& tokens) {
  return is_word(tokens, 0, "GRANT") && is_name(tokens, 1) && is_word(tokens, 2, "TO");
}

std::string without_grantor(const std::string& statement, const Tokens& tokens) {
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (!is_word(tokens, i, "GRANTED") || !is_word(tokens, i + 1, "BY")) continue;
    return statement.substr(0, statement.find_last_not_of(' ', tokens[i].begin - 1) + 1) + ";";
  }
  return statement;
}

std::vector<std::string> bring_to_defaults(const std::string& role, const ExistingGlobals& target) {
  const std::string alter = "ALTER ROLE " + quote_identifier(role);
  std::vector<std::string> sql = {alter + " PASSWORD NULL;", alter + " CONNECTION LIMIT -1;",
                                  alter + " RESET ALL;"};
  if (target.roles_with_expiry.contains(role)) sql.push_back(alter + " VALID UNTIL 'infinity';");
  return sql;
}

std::string revoke(const RoleMembership& membership, int server_version) {
  std::string sql =
      "REVOKE " + quote_identifier(membership.role) + " FROM " + quote_identifier(membership.member);
  if (server_version >= kGrantorsChecked && !membership.grantor.empty()) {
    sql += " GRANTED BY " + quote_identifier(membership.grantor);
  }
  return sql + " CASCADE;";
}

}  // namespace

GlobalsScript transform_globals(std::string_view dump, const ExistingGlobals& target, bool with_tablespaces) {
  GlobalsScript script;
  std::vector<std::string>& roles = script.roles_sql;
  for (const RoleMembership& m : target.memberships) roles.push_back(revoke(m, target.server_version));
  for (const std::string& statement : split_statements(dump)) {
    if (statement.starts_with('\\')) continue;
    const Tokens tokens = tokenize(statement);
    if (const auto role = created(tokens, "ROLE")) {
      script.roles.insert(*role);
      if (!target.roles.contains(*role)) {
        roles.push_back(statement);
      } else {
        std::ranges::copy(bring_to_defaults(*role, target), std::back_inserter(roles));
      }
    } else if (is_membership(tokens)) {
      roles.push_back(target.server_version >= kGrantorsChecked ? without_grantor(statement, tokens)
                                                                : statement);
    } else if (names_tablespace(tokens)) {
      const auto name = created(tokens, "TABLESPACE");
      const bool exists = name && target.tablespaces.contains(*name);
      if (with_tablespaces && !exists) script.tablespaces_sql.push_back(statement);
    } else {
      roles.push_back(statement);
    }
  }
  return script;
}

}  // namespace pgtandem::bootstrap
