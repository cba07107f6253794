/// Which writes need no order among themselves. A statement is row-local if all it reads and writes are rows
/// that it names by a unique key, or new rows made of constants, with nothing behind them that reads more (a
/// trigger, a subquery, a user's function, a sequence).
///
/// Why two servers stay equal when such statements run side by side, while none of them is committed before
/// both servers have executed it: those of different rows commute; of two on the same row, each server lets
/// one wait for the other's end, so that either both servers agree on the order or one statement gets nowhere
/// on one of them, and is undone on both. What row locks do not order is whether a row exists or fits; then
/// the tags or errors differ, and the statement is undone on both, too, and sent again in order.
#pragma once
#include <pg_query/pg_query.pb-c.h>

#include "server-relay/statements/statement-catalogue.h"
#include "server-relay/statements/statement.h"

namespace pgtandem {

/// One INSERT ... VALUES without RETURNING, UPDATE or DELETE without RETURNING, or SELECT ... FOR UPDATE that
/// waits.
bool is_row_local(const PgQuery__Node& statement, const StatementCatalogue& catalogue);

/// Of a row-local statement. For `claimed`, `compared` has to be all that its WHERE compares, as row_key()
/// will name the row by it.
RowOrder row_order(const PgQuery__Node& statement, const StatementCatalogue& catalogue,
                   const RowTarget& compared);

}  // namespace pgtandem
