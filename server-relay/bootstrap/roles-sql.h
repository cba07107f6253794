/// Makes what `pg_dumpall --globals-only --quote-all-identifiers` writes loadable into a server that already
/// has roles: a role that is there is brought to the dump's state instead of being created. Pure.
#pragma once
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pgtandem::bootstrap {

struct RoleMembership {
  std::string role;
  std::string member;
  std::string grantor;
};

/// What the target has.
struct ExistingGlobals {
  std::set<std::string> roles;
  std::set<std::string> roles_with_expiry;  ///< rolvaliduntil is set
  std::vector<RoleMembership> memberships;
  std::set<std::string> tablespaces;
  int server_version = 0;  ///< as server_version_num
};

struct GlobalsScript {
  /// Statements for one transaction: a failure leaves the service user's password as it was.
  std::vector<std::string> roles_sql;
  /// Behind it, each on its own (CREATE TABLESPACE refuses a transaction block).
  std::vector<std::string> tablespaces_sql;
  std::set<std::string> roles;  ///< every role that the dump has
};

/// `with_tablespaces` false leaves out every statement on tablespaces. psql's commands (\restrict, \connect)
/// are left out: the statements go to the server by libpq, where a name in the dump cannot become a command
/// of psql.
GlobalsScript transform_globals(std::string_view dump, const ExistingGlobals& target, bool with_tablespaces);

}  // namespace pgtandem::bootstrap
