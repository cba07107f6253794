/// What each statement of PostgreSQL's grammar does, beyond what a walk over its tree tells.
#pragma once
#include "server-relay/statements/statement.h"
#include "server-relay/statements/tree-walker.h"

namespace pgtandem {

/// One statement. `catalogue` may be null.
Statement apply_rules(const PgQuery__Node& node, const TreeFacts& facts, const StatementCatalogue* catalogue);

}  // namespace pgtandem
