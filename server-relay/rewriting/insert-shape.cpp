#include "server-relay/rewriting/insert-shape.h"

namespace pgtandem {
namespace {

bool read_target(const PgQuery__InsertStmt& insert, const TokenList& tokens, InsertShape& shape) {
  const auto name = tokens.at(insert.relation->location);
  const auto end = name ? tokens.end_of_name(*name) : std::nullopt;
  if (!end) return false;
  const bool has_alias = insert.relation->alias != nullptr;
  if (has_alias != tokens.is_word(*end + 1, "as")) return false;
  if (has_alias && !tokens.is_identifier(*end + 2)) return false;
  shape.target_end = *end + (has_alias ? 2 : 0);
  return true;
}

bool read_columns(const PgQuery__InsertStmt& insert, const TokenList& tokens, InsertShape& shape) {
  std::size_t at = shape.target_end + 1;
  if (insert.n_cols > 0) {
    const auto first = tokens.at(insert.cols[0]->res_target->location);
    if (!tokens.is_sign(at, '(') || first != at + 1) return false;
    shape.columns_open = at;
    shape.columns_close = tokens.closing(at);
    if (!shape.columns_close) return false;
    at = *shape.columns_close + 1;
  }
  if (tokens.is_word(at, "overriding")) at += 3;  // USER VALUE
  shape.source = at;
  return at < tokens.size();
}

bool read_rows(std::size_t count, const TokenList& tokens, InsertShape& shape) {
  std::size_t at = shape.source;
  do {
    if (!tokens.is_sign(at + 1, '(')) return false;
    const auto close = tokens.closing(at + 1);
    if (!close) return false;
    shape.row_closes.push_back(*close);
    at = *close + 1;
  } while (tokens.is_sign(at, ','));
  return shape.row_closes.size() == count;
}

}  // namespace

std::optional<InsertShape> insert_shape(const PgQuery__InsertStmt& insert, const TokenList& tokens) {
  InsertShape shape;
  if (!read_target(insert, tokens, shape) || !read_columns(insert, tokens, shape)) return std::nullopt;
  if (insert.select_stmt == nullptr) {
    shape.form = InsertShape::Form::default_values;
    const bool fits = tokens.is_word(shape.source, "default") && tokens.is_word(shape.source + 1, "values");
    return fits ? std::optional(std::move(shape)) : std::nullopt;
  }
  if (insert.select_stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return std::nullopt;
  const PgQuery__SelectStmt& select = *insert.select_stmt->select_stmt;
  if (select.n_values_lists == 0) return shape;
  shape.form = InsertShape::Form::values;
  const bool fits = tokens.is_word(shape.source, "values") && read_rows(select.n_values_lists, tokens, shape);
  return fits ? std::optional(std::move(shape)) : std::nullopt;
}

}  // namespace pgtandem
