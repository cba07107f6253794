/// Where the parts of an INSERT stand in its text.
///
///   INSERT INTO name [AS alias] [( columns )] [OVERRIDING ... VALUE] (DEFAULT VALUES | VALUES ( ), ... |
///   query)
#pragma once
#include <optional>
#include <vector>

#include "server-relay/rewriting/token-list.h"
#include "server-relay/statements/parse-tree.h"

namespace pgtandem {

struct InsertShape {
  enum class Form { default_values, values, query };

  Form form = Form::query;
  /// All are indexes of tokens.
  std::size_t target_end = 0;                    ///< the name's or alias's last
  std::optional<std::size_t> columns_open = {};  ///< the bracket
  std::optional<std::size_t> columns_close = {};
  std::size_t source = 0;                    ///< DEFAULT, VALUES, or the first of the query
  std::vector<std::size_t> row_closes = {};  ///< of VALUES: each row's closing bracket
};

/// Nothing where the tokens do not fit the tree.
std::optional<InsertShape> insert_shape(const PgQuery__InsertStmt& insert, const TokenList& tokens);

}  // namespace pgtandem
