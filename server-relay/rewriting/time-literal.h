/// Literals such as 'today'::date, whose value each server would take from its own clock.
#pragma once
#include <string>
#include <string_view>

#include "server-relay/rewriting/source.h"
#include "server-relay/statements/parse-tree.h"

namespace pgtandem {

struct TimeLiteral {
  bool is_source = false;                  ///< the server would read its clock
  std::optional<Replacement> replacement;  ///< nothing where it cannot be replaced
};

/// The cast of a constant to date, time, timetz, timestamp or timestamptz, in each of its spellings.
TimeLiteral find_time_literal(const PgQuery__TypeCast& cast, const TokenList& tokens);

}  // namespace pgtandem
