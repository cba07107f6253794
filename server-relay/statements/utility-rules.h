/// The statements that one line each is enough for.
#pragma once
#include "server-relay/statements/parse-tree.h"
#include "server-relay/statements/statement.h"

namespace pgtandem {

/// Kind and fixed facts by the statement's type alone. Types that are not listed are taken for DDL that may
/// change anything.
Statement rule_of_utility(PgQuery__Node__NodeCase type);

/// Roles, databases and the like: named in COMMENT, GRANT, RENAME, ALTER ... OWNER.
bool is_shared_object(PgQuery__ObjectType type);

}  // namespace pgtandem
