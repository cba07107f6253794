#include "server-relay/rewriting/default-columns.h"

#include <algorithm>
#include <optional>

namespace pgtandem {
namespace {

using Column = RewriteTable::Column;
using Columns = std::vector<const Column*>;

const Column* find_column(const RewriteTable& table, std::string_view name) {
  const auto found = std::ranges::find(table.columns, name, &Column::name);
  return found != table.columns.end() ? &*found : nullptr;
}

bool is_star(const PgQuery__Node* value) {
  if (value->node_case == PG_QUERY__NODE__NODE_COLUMN_REF) {
    const PgQuery__ColumnRef& column = *value->column_ref;
    return column.n_fields > 0 &&
           column.fields[column.n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
  }
  if (value->node_case == PG_QUERY__NODE__NODE_A_INDIRECTION) {
    const PgQuery__AIndirection& path = *value->a_indirection;
    return path.n_indirection > 0 &&
           path.indirection[path.n_indirection - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
  }
  return false;
}

/// How many columns an INSERT's source has; nothing where the text does not tell.
std::optional<std::size_t> width_of_source(const PgQuery__InsertStmt& insert) {
  if (insert.select_stmt == nullptr) return 0;
  const PgQuery__SelectStmt& select = *insert.select_stmt->select_stmt;
  if (select.n_values_lists > 0) {
    const PgQuery__Node* row = select.values_lists[0];
    return row->node_case == PG_QUERY__NODE__NODE_LIST ? std::optional(row->list->n_items) : std::nullopt;
  }
  if (select.op != PG_QUERY__SET_OPERATION__SETOP_NONE) return std::nullopt;
  for (std::size_t i = 0; i < select.n_target_list; ++i) {
    if (is_star(select.target_list[i]->res_target->val)) return std::nullopt;
  }
  return select.n_target_list;
}

/// The columns that get values, in the order of these; nothing where that is not known.
std::optional<Columns> given_columns(const PgQuery__InsertStmt& insert, const RewriteTable& table) {
  Columns columns;
  for (std::size_t i = 0; i < insert.n_cols; ++i) {
    const Column* column = find_column(table, insert.cols[i]->res_target->name);
    if (column == nullptr) return std::nullopt;
    columns.push_back(column);
  }
  if (insert.n_cols > 0) return columns;
  const auto width = width_of_source(insert);
  if (!width || *width > table.columns.size()) return std::nullopt;
  for (std::size_t i = 0; i < *width; ++i) columns.push_back(&table.columns[i]);
  return columns;
}

bool is_constant(const PgQuery__Node* node) {
  return node->node_case == PG_QUERY__NODE__NODE_A_CONST;
}

/// One more column in front changes nothing else: no ORDER BY 1, no DISTINCT, no set operation.
bool takes_one_more_column(const PgQuery__SelectStmt& select) {
  if (select.op != PG_QUERY__SET_OPERATION__SETOP_NONE || select.n_distinct_clause > 0 ||
      select.n_target_list == 0) {
    return false;
  }
  const bool plain_sort =
      std::none_of(select.sort_clause, select.sort_clause + select.n_sort_clause,
                   [](const PgQuery__Node* node) { return is_constant(node->sort_by->node); });
  return plain_sort && std::none_of(select.group_clause, select.group_clause + select.n_group_clause,
                                    [](const PgQuery__Node* node) {
                                      return is_constant(node) ||
                                             node->node_case == PG_QUERY__NODE__NODE_GROUPING_SET;
                                    });
}

std::string names_of(std::span<const Column* const> columns) {
  std::string out;
  for (const Column* column : columns) {
    out.append(out.empty() ? "" : ", ").append(quoted_identifier(column->name));
  }
  return out;
}

void append(std::vector<ReplacementPart>& parts, const Column& column) {
  parts.insert(parts.end(), column.rewritten->parts.begin(), column.rewritten->parts.end());
}

bool is_default(const PgQuery__Node& value) {
  return value.node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
}

/// SET (a, b) = (DEFAULT, 1) has the whole row at each of its columns.
const PgQuery__Node* assigned_value(const PgQuery__ResTarget& target) {
  if (target.val == nullptr || target.val->node_case != PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF) {
    return target.val;
  }
  const PgQuery__MultiAssignRef& part = *target.val->multi_assign_ref;
  if (part.source == nullptr || part.source->node_case != PG_QUERY__NODE__NODE_ROW_EXPR) return nullptr;
  const PgQuery__RowExpr& row = *part.source->row_expr;
  const auto index = std::size_t(part.colno) - 1;
  return index < row.n_args ? row.args[index] : nullptr;
}

}  // namespace

void DefaultColumns::visit(const PgQuery__Node& statement) {
  switch (statement.node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
      visit_with(statement.insert_stmt->with_clause);
      return visit_insert(*statement.insert_stmt);
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
      visit_with(statement.update_stmt->with_clause);
      return visit_assignments(statement.update_stmt->relation, statement.update_stmt->target_list,
                               statement.update_stmt->n_target_list);
    case PG_QUERY__NODE__NODE_DELETE_STMT:
      return visit_with(statement.delete_stmt->with_clause);
    case PG_QUERY__NODE__NODE_SELECT_STMT:
      return visit_with(statement.select_stmt->with_clause);
    case PG_QUERY__NODE__NODE_MERGE_STMT:
      visit_with(statement.merge_stmt->with_clause);
      return visit_merge(*statement.merge_stmt);
    case PG_QUERY__NODE__NODE_PREPARE_STMT:
      return visit(*statement.prepare_stmt->query);
    case PG_QUERY__NODE__NODE_COPY_STMT:
      return visit_copy(*statement.copy_stmt);
    default:
      return;
  }
}

/// Statements that write stand in the outermost WITH alone.
void DefaultColumns::visit_with(const PgQuery__WithClause* with) {
  if (with == nullptr) return;
  for (std::size_t i = 0; i < with->n_ctes; ++i) {
    const PgQuery__Node* node = with->ctes[i];
    if (node->node_case != PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR) continue;
    const PgQuery__Node* query = node->common_table_expr->ctequery;
    if (query == nullptr || query->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) continue;
    visit(*query);
  }
}

/// Null too where the relation cannot be told: that is then noted.
const RewriteTable* DefaultColumns::table(const PgQuery__RangeVar* relation) {
  if (relation == nullptr ||
      !catalogue_.relation_has_rewritten_default(relation->schemaname, relation->relname))
    return nullptr;
  const RewriteTable* found = catalogue_.table(relation->schemaname, relation->relname);
  if (found == nullptr) miss();
  return found;
}

bool DefaultColumns::is_usable(const RewrittenDefault& value, bool once) const {
  return classes_.defaults && value.is_replaceable() && (!value.has_time || classes_.time) &&
         (!value.has_once || (once && classes_.volatile_values));
}

void DefaultColumns::assign(const Column& column, const PgQuery__Node& value, bool once) {
  const auto at = tokens_.at(value.set_to_default->location);
  if (!is_usable(*column.rewritten, once) || !at || !tokens_.is_word(*at, "default")) return miss();
  found_.replacements.push_back({tokens_[*at].span, column.rewritten->parts});
}

void DefaultColumns::visit_assignments(const PgQuery__RangeVar* relation, PgQuery__Node* const* targets,
                                       std::size_t count) {
  const auto value_at = [&](std::size_t i) { return assigned_value(*targets[i]->res_target); };
  bool names_default = false;
  for (std::size_t i = 0; i < count; ++i) {
    names_default = names_default || (value_at(i) != nullptr && is_default(*value_at(i)));
  }
  const RewriteTable* found = names_default ? table(relation) : nullptr;
  if (found == nullptr) return;
  for (std::size_t i = 0; i < count; ++i) {
    const PgQuery__Node* value = value_at(i);
    if (value == nullptr || !is_default(*value)) continue;
    const Column* column = find_column(*found, targets[i]->res_target->name);
    if (column != nullptr && column->rewritten) assign(*column, *value, false);
  }
}

void DefaultColumns::visit_insert(const PgQuery__InsertStmt& insert) {
  if (const PgQuery__OnConflictClause* conflict = insert.on_conflict_clause; conflict != nullptr) {
    visit_assignments(insert.relation, conflict->target_list, conflict->n_target_list);
  }
  const RewriteTable* found = table(insert.relation);
  if (found == nullptr) return;
  const auto shape = insert_shape(insert, tokens_);
  const auto given = shape ? given_columns(insert, *found) : std::nullopt;
  if (!given) return miss();
  if (shape->form == InsertShape::Form::values) {
    replace_in_rows(*insert.select_stmt->select_stmt, *given);
  }
  const Columns added = left_out(*found, *given, shape->form);
  if (added.empty()) return;
  if (shape->form == InsertShape::Form::default_values) return add_to_default_values(*shape, added);
  if (shape->form == InsertShape::Form::values) return add_to_values(*shape, *given, added);
  add_to_query(*insert.select_stmt->select_stmt, *shape, *given, added);
}

Columns DefaultColumns::left_out(const RewriteTable& table, std::span<const Column* const> given,
                                 InsertShape::Form form) {
  const bool is_query = form == InsertShape::Form::query;
  Columns added;
  for (const Column& column : table.columns) {
    if (!column.rewritten || std::ranges::find(given, &column) != given.end()) continue;
    const bool ordered = is_query && column.rewritten->has_nextval;
    if (table.may_name_columns && is_usable(*column.rewritten, !is_query) && !ordered) {
      added.push_back(&column);
    } else {
      miss();
    }
  }
  return added;
}

void DefaultColumns::replace_in_rows(const PgQuery__SelectStmt& values,
                                     std::span<const Column* const> given) {
  for (std::size_t row = 0; row < values.n_values_lists; ++row) {
    if (values.values_lists[row]->node_case != PG_QUERY__NODE__NODE_LIST) continue;
    const PgQuery__List& items = *values.values_lists[row]->list;
    for (std::size_t i = 0; i < std::min(items.n_items, given.size()); ++i) {
      if (given[i]->rewritten && is_default(*items.items[i])) assign(*given[i], *items.items[i], true);
    }
  }
}

void DefaultColumns::insert_text(std::size_t at, std::string text) {
  found_.replacements.push_back({{at, at}, {{std::move(text)}}});
}

void DefaultColumns::add_to_values(const InsertShape& shape, std::span<const Column* const> given,
                                   std::span<const Column* const> added) {
  if (shape.columns_close) {
    insert_text(tokens_[*shape.columns_close].span.begin, ", " + names_of(added));
  } else {
    insert_text(tokens_[shape.target_end].span.end, " (" + names_of(given) + ", " + names_of(added) + ")");
  }
  for (const std::size_t close : shape.row_closes) {
    const std::size_t at = tokens_[close].span.begin;
    Replacement row{{at, at}, {}};
    for (const Column* column : added) {
      row.parts.push_back({", "});
      append(row.parts, *column);
    }
    found_.replacements.push_back(std::move(row));
  }
}

void DefaultColumns::add_to_query(const PgQuery__SelectStmt& select, const InsertShape& shape,
                                  std::span<const Column* const> given,
                                  std::span<const Column* const> added) {
  const auto first =
      select.n_target_list > 0 ? tokens_.at(select.target_list[0]->res_target->location) : std::nullopt;
  if (!first || !takes_one_more_column(select)) return miss();
  if (shape.columns_open) {
    insert_text(tokens_[*shape.columns_open].span.end, names_of(added) + ", ");
  } else {
    insert_text(tokens_[shape.target_end].span.end, " (" + names_of(added) + ", " + names_of(given) + ")");
  }
  const std::size_t at = tokens_[*first].span.begin;
  Replacement targets{{at, at}, {}};
  for (const Column* column : added) {
    append(targets.parts, *column);
    targets.parts.push_back({", "});
  }
  found_.replacements.push_back(std::move(targets));
}

void DefaultColumns::add_to_default_values(const InsertShape& shape, std::span<const Column* const> added) {
  std::vector<ReplacementPart> parts{{"(" + names_of(added) + ")" + " VALUES ("}};
  for (const Column* column : added) {
    if (column != added.front()) parts.push_back({", "});
    append(parts, *column);
  }
  parts.push_back({")" + tokens_.comments(shape.source, shape.source + 1)});
  found_.replacements.push_back({tokens_.span(shape.source, shape.source + 1), std::move(parts)});
}

void DefaultColumns::visit_merge(const PgQuery__MergeStmt& merge) {
  for (std::size_t i = 0; i < merge.n_merge_when_clauses; ++i) {
    const PgQuery__MergeWhenClause& clause = *merge.merge_when_clauses[i]->merge_when_clause;
    if (clause.command_type == PG_QUERY__CMD_TYPE__CMD_UPDATE) {
      visit_assignments(merge.relation, clause.target_list, clause.n_target_list);
    }
    if (clause.command_type != PG_QUERY__CMD_TYPE__CMD_INSERT) continue;
    const RewriteTable* found = table(merge.relation);
    if (found == nullptr) continue;
    std::size_t given = 0;
    for (std::size_t j = 0; j < clause.n_target_list; ++j) {
      const Column* column = find_column(*found, clause.target_list[j]->res_target->name);
      const bool by_default = j < clause.n_values && is_default(*clause.values[j]);
      if (column != nullptr && column->rewritten && !by_default) ++given;
    }
    const auto with_sources = std::size_t(std::ranges::count_if(
        found->columns, [](const Column& column) { return column.rewritten.has_value(); }));
    if (given < with_sources) miss();
  }
}

/// Rows come one by one, later: nothing can be added to them.
void DefaultColumns::visit_copy(const PgQuery__CopyStmt& copy) {
  if (copy.query != nullptr) return visit(*copy.query);
  if (!copy.is_from || copy.n_attlist == 0) return;
  const RewriteTable* found = table(copy.relation);
  if (found == nullptr) return;
  const bool all = std::ranges::all_of(found->columns, [&](const Column& column) {
    return !column.rewritten ||
           std::any_of(copy.attlist, copy.attlist + copy.n_attlist,
                       [&](const PgQuery__Node* n) { return string_of(n) == column.name; });
  });
  if (!all) miss();
}

}  // namespace pgtandem
