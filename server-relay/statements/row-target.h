/// Finds and evaluates a RowTarget: a guess at the rows that a statement locks, from its WHERE.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <pg_query/pg_query.pb-c.h>
#include <string_view>

#include "server-relay/statements/statement.h"

namespace pgtandem {

/// Of UPDATE and DELETE of one relation, and SELECT from one with FOR UPDATE and the like that waits. The
/// comparisons `column = value` that the whole WHERE needs count, the rest of it is left out.
RowTarget find_row_target(const PgQuery__Node& statement, std::string_view text);

/// Takes the text's numbers into the target, so that the text is not needed any more.
void fix_numbers(RowTarget& target, std::string_view text);

/// A parameter's value as Bind gave it; nothing for NULL, and where it is not known.
using ParameterValue = std::function<std::optional<std::string_view>(std::size_t index)>;

/// The same number for statements that name the same rows in the same way; 0: no guess. `text`: of the
/// statement at hand, which may differ in its numbers from the one that was parsed.
std::uint64_t row_key(const RowTarget& target, std::string_view text, const ParameterValue& parameter);

}  // namespace pgtandem
