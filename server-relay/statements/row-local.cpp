#include "server-relay/statements/row-local.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "server-relay/statements/parse-tree.h"

namespace pgtandem {
namespace {

using Nodes = std::span<PgQuery__Node* const>;

/// Functions of PostgreSQL's own that look at nothing but their arguments, the clock and chance.
constexpr std::array<std::string_view, 38> kPlainFunctions{"abs",
                                                           "array_append",
                                                           "array_remove",
                                                           "btrim",
                                                           "ceil",
                                                           "ceiling",
                                                           "clock_timestamp",
                                                           "concat",
                                                           "concat_ws",
                                                           "date_trunc",
                                                           "floor",
                                                           "format",
                                                           "gen_random_uuid",
                                                           "jsonb_build_array",
                                                           "jsonb_build_object",
                                                           "jsonb_set",
                                                           "left",
                                                           "length",
                                                           "lower",
                                                           "lpad",
                                                           "ltrim",
                                                           "make_interval",
                                                           "md5",
                                                           "mod",
                                                           "now",
                                                           "power",
                                                           "random",
                                                           "repeat",
                                                           "replace",
                                                           "round",
                                                           "rtrim",
                                                           "statement_timestamp",
                                                           "substr",
                                                           "substring",
                                                           "to_jsonb",
                                                           "transaction_timestamp",
                                                           "trunc",
                                                           "upper"};

/// Types of PostgreSQL's own that a cast makes without looking at more than its argument.
constexpr std::array<std::string_view, 16> kPlainTypes{
    "int2",   "int4", "int8", "float4",    "float8",      "numeric", "text",  "varchar",
    "bpchar", "uuid", "date", "timestamp", "timestamptz", "bool",    "bytea", "oid"};

/// Of these, those whose value is equal to no two keys, whatever the key's type. An int8 is compared with a
/// float8 after it has lost digits, a varchar with a bpchar without its blanks, a timestamp with a
/// timestamptz after the hour that the clock leaves out.
constexpr std::array<std::string_view, 11> kKeyTypes{
    "int2", "int4", "int8", "numeric", "text", "varchar", "uuid", "date", "timestamp", "bool", "bytea"};

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

bool is_cast_to(const PgQuery__TypeCast& cast, std::span<const std::string_view> types) {
  if (cast.type_name == nullptr) return false;
  const QualifiedName type = qualified_name(cast.type_name->names, cast.type_name->n_names);
  return (type.schema.empty() || type.schema == "pg_catalog") && is_one_of(type.name, types);
}

class LocalityTest {
 public:
  explicit LocalityTest(const StatementCatalogue& catalogue) : catalogue_(catalogue) {}

  bool is_local(const PgQuery__InsertStmt& insert) const {
    if (insert.relation == nullptr || insert.with_clause != nullptr || insert.n_returning_list != 0)
      return false;
    const bool takes =
        catalogue_.relation_takes_plain_rows(insert.relation->schemaname, insert.relation->relname);
    return takes && (insert.select_stmt == nullptr || is_plain_values(*insert.select_stmt)) &&
           (insert.on_conflict_clause == nullptr || is_plain(*insert.on_conflict_clause));
  }

  bool is_local(const PgQuery__UpdateStmt& update) const {
    return update.relation != nullptr && update.with_clause == nullptr && update.n_from_clause == 0 &&
           update.n_returning_list == 0 && are_plain({update.target_list, update.n_target_list}) &&
           has_key(*update.relation, update.where_clause) && defaults_are_plain(update);
  }

  bool is_local(const PgQuery__DeleteStmt& del) const {
    return del.relation != nullptr && del.with_clause == nullptr && del.n_using_clause == 0 &&
           del.n_returning_list == 0 && has_key(*del.relation, del.where_clause);
  }

  /// The locks of FOR UPDATE and the like last; what the client reads is compared.
  bool is_local(const PgQuery__SelectStmt& select) const {
    const bool one = select.n_from_clause == 1 && select.n_locking_clause != 0 &&
                     select.from_clause[0]->node_case == PG_QUERY__NODE__NODE_RANGE_VAR;
    const bool bare =
        select.with_clause == nullptr && select.n_distinct_clause == 0 && select.n_group_clause == 0 &&
        select.having_clause == nullptr && select.n_window_clause == 0 && select.limit_count == nullptr &&
        select.limit_offset == nullptr && select.n_sort_clause == 0 && select.into_clause == nullptr;
    return one && bare && are_plain({select.target_list, select.n_target_list}) &&
           has_key(*select.from_clause[0]->range_var, select.where_clause) && waits(select) &&
           (parameters_.empty() || excludes_its_sort(select));
  }

  // Of statements that are local.

  RowOrder order(const PgQuery__InsertStmt& insert) const {
    const bool plain = insert.on_conflict_clause == nullptr &&
                       catalogue_.relation_has_no_keys(insert.relation->schemaname, insert.relation->relname);
    return plain ? RowOrder::free : RowOrder::tried;
  }

  RowOrder order(const PgQuery__UpdateStmt& update, const RowTarget& compared) const {
    const PgQuery__RangeVar& relation = *update.relation;
    const bool keeps_keys = std::ranges::all_of(
        Nodes(update.target_list, update.n_target_list), [&](const PgQuery__Node* target) {
          return target->node_case == PG_QUERY__NODE__NODE_RES_TARGET &&
                 catalogue_.column_is_no_key(relation.schemaname, relation.relname, target->res_target->name);
        });
    return keeps_keys ? order_by_key(relation, update.where_clause, compared) : RowOrder::tried;
  }

  RowOrder order(const PgQuery__SelectStmt& select, const RowTarget& compared) const {
    return order_by_key(*select.from_clause[0]->range_var, select.where_clause, compared);
  }

 private:
  /// The WHERE compares the columns of one key with values, and nothing else.
  RowOrder order_by_key(const PgQuery__RangeVar& relation, const PgQuery__Node* where,
                        const RowTarget& compared) const {
    std::vector<std::string_view> columns;
    find_compared(*where, columns);
    const bool nothing_else = count_conditions(*where) == columns.size() && !columns.empty() &&
                              std::ranges::equal(columns, compared.terms, {}, {}, &RowTarget::Term::column);
    return nothing_else && catalogue_.relation_key_is(relation.schemaname, relation.relname, columns)
               ? RowOrder::claimed
               : RowOrder::tried;
  }

  static std::size_t count_conditions(const PgQuery__Node& where) {
    const bool all_of_them = where.node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
                             where.bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
    if (!all_of_them) return 1;
    std::size_t count = 0;
    for (const PgQuery__Node* part : Nodes(where.bool_expr->args, where.bool_expr->n_args))
      count += count_conditions(*part);
    return count;
  }

  /// FOR SHARE and FOR KEY SHARE have no row target, by which a parameter's declared type would be judged.
  static bool excludes_its_sort(const PgQuery__SelectStmt& select) {
    return std::ranges::all_of(
        Nodes(select.locking_clause, select.n_locking_clause), [](const PgQuery__Node* clause) {
          return clause->locking_clause->strength >= PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORNOKEYUPDATE;
        });
  }

  static bool waits(const PgQuery__SelectStmt& select) {
    return std::ranges::all_of(
        Nodes(select.locking_clause, select.n_locking_clause), [](const PgQuery__Node* clause) {
          return clause->node_case == PG_QUERY__NODE__NODE_LOCKING_CLAUSE &&
                 clause->locking_clause->wait_policy == PG_QUERY__LOCK_WAIT_POLICY__LockWaitBlock;
        });
  }

  bool defaults_are_plain(const PgQuery__UpdateStmt& update) const {
    const bool none = std::ranges::none_of(
        Nodes(update.target_list, update.n_target_list), [](const PgQuery__Node* target) {
          return target->res_target->val != nullptr &&
                 target->res_target->val->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
        });
    return none ||
           catalogue_.relation_takes_plain_rows(update.relation->schemaname, update.relation->relname);
  }

  bool is_plain_values(const PgQuery__Node& node) const {
    if (node.node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return false;
    const PgQuery__SelectStmt& values = *node.select_stmt;
    return values.n_values_lists != 0 && values.with_clause == nullptr && values.n_sort_clause == 0 &&
           values.limit_count == nullptr && values.limit_offset == nullptr &&
           are_plain({values.values_lists, values.n_values_lists});
  }

  bool is_plain(const PgQuery__OnConflictClause& clause) const {
    return (clause.infer == nullptr || is_plain(clause.infer->where_clause)) &&
           are_plain({clause.target_list, clause.n_target_list}) && is_plain(clause.where_clause);
  }

  /// Comes behind the rest of the statement: a parameter's type follows from wherever it stands.
  bool has_key(const PgQuery__RangeVar& relation, const PgQuery__Node* where) const {
    if (where == nullptr || !is_plain(where)) return false;
    std::vector<std::string_view> columns;
    find_compared(*where, columns);
    return catalogue_.relation_has_key(relation.schemaname, relation.relname, columns);
  }

  /// Columns that the whole condition wants to be equal to a value.
  void find_compared(const PgQuery__Node& where, std::vector<std::string_view>& columns) const {
    if (where.node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
        where.bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
      for (const PgQuery__Node* part : Nodes(where.bool_expr->args, where.bool_expr->n_args))
        find_compared(*part, columns);
    }
    if (where.node_case != PG_QUERY__NODE__NODE_A_EXPR) return;
    const PgQuery__AExpr& compare = *where.a_expr;
    const bool equals = compare.kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP && compare.n_name == 1 &&
                        string_of(compare.name[0]) == "=" && compare.lexpr != nullptr &&
                        compare.rexpr != nullptr;
    if (!equals) return;
    if (is_value(*compare.rexpr)) add_column(*compare.lexpr, columns);
    if (is_value(*compare.lexpr)) add_column(*compare.rexpr, columns);
  }

  bool is_value(const PgQuery__Node& node) const {
    switch (node.node_case) {
      case PG_QUERY__NODE__NODE_TYPE_CAST:
        return is_cast_to(*node.type_cast, kKeyTypes) && node.type_cast->arg != nullptr &&
               is_value(*node.type_cast->arg);
      case PG_QUERY__NODE__NODE_A_CONST:
        return node.a_const->isnull == 0;  // transform_null_equals makes IS NULL of it
      case PG_QUERY__NODE__NODE_PARAM_REF:
        // One that stands elsewhere, too, may have got its type there.
        return std::ranges::count(parameters_, node.param_ref->number) == 1;
      default:
        return false;
    }
  }

  static void add_column(const PgQuery__Node& node, std::vector<std::string_view>& columns) {
    if (node.node_case != PG_QUERY__NODE__NODE_COLUMN_REF || node.column_ref->n_fields == 0) return;
    columns.push_back(string_of(node.column_ref->fields[node.column_ref->n_fields - 1]));
  }

  bool are_plain(Nodes nodes) const {
    return std::ranges::all_of(nodes, [this](const PgQuery__Node* node) { return is_plain(node); });
  }

  bool is_plain_function(const PgQuery__FuncCall& call) const {
    const QualifiedName name = qualified_name(call.funcname, call.n_funcname);
    return (name.schema.empty() || name.schema == "pg_catalog") && is_one_of(name.name, kPlainFunctions) &&
           catalogue_.function_is_own(name.name) && call.agg_order == nullptr && call.agg_filter == nullptr &&
           call.over == nullptr && are_plain({call.args, call.n_args});
  }

  bool is_plain_operator(const PgQuery__AExpr& expression) const {
    const QualifiedName name = qualified_name(expression.name, expression.n_name);
    return catalogue_.operator_is_safe(name.schema, name.name) && is_plain(expression.lexpr) &&
           is_plain(expression.rexpr);
  }

  /// t.name may call a function that takes the row t, and reads what it likes.
  bool is_plain_column(Nodes fields) const {
    return fields.size() <= 1 || std::ranges::none_of(fields.subspan(1), [this](const PgQuery__Node* field) {
             return catalogue_.function_is_users(string_of(field));
           });
  }

  /// Computed from constants and the row alone.
  bool is_plain(const PgQuery__Node* node) const {
    if (node == nullptr) return true;
    switch (node->node_case) {
      case PG_QUERY__NODE__NODE_PARAM_REF:
        parameters_.push_back(node->param_ref->number);
        return true;
      case PG_QUERY__NODE__NODE_A_CONST:
      case PG_QUERY__NODE__NODE_SET_TO_DEFAULT:
      case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return true;
      case PG_QUERY__NODE__NODE_COLUMN_REF:
        return is_plain_column({node->column_ref->fields, node->column_ref->n_fields});
      case PG_QUERY__NODE__NODE_A_EXPR:
        return is_plain_operator(*node->a_expr);
      case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return are_plain({node->bool_expr->args, node->bool_expr->n_args});
      case PG_QUERY__NODE__NODE_NULL_TEST:
        return is_plain(node->null_test->arg);
      case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return are_plain({node->coalesce_expr->args, node->coalesce_expr->n_args});
      case PG_QUERY__NODE__NODE_TYPE_CAST:
        return is_cast_to(*node->type_cast, kPlainTypes) && is_plain(node->type_cast->arg);
      case PG_QUERY__NODE__NODE_FUNC_CALL:
        return is_plain_function(*node->func_call);
      case PG_QUERY__NODE__NODE_LIST:
        return are_plain({node->list->items, node->list->n_items});
      case PG_QUERY__NODE__NODE_RES_TARGET:
        return node->res_target->n_indirection == 0 && is_plain(node->res_target->val);
      default:
        return false;
    }
  }

  const StatementCatalogue& catalogue_;
  mutable std::vector<int> parameters_;  ///< the number of each that was looked at
};

}  // namespace

namespace {

bool is_local(const LocalityTest& test, const PgQuery__Node& statement) {
  switch (statement.node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
      return test.is_local(*statement.insert_stmt);
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
      return test.is_local(*statement.update_stmt);
    case PG_QUERY__NODE__NODE_DELETE_STMT:
      return test.is_local(*statement.delete_stmt);
    case PG_QUERY__NODE__NODE_SELECT_STMT:
      return test.is_local(*statement.select_stmt);
    default:
      return false;
  }
}

}  // namespace

bool is_row_local(const PgQuery__Node& statement, const StatementCatalogue& catalogue) {
  return catalogue.implicit_calls_are_safe() && is_local(LocalityTest(catalogue), statement);
}

RowOrder row_order(const PgQuery__Node& statement, const StatementCatalogue& catalogue,
                   const RowTarget& compared) {
  const LocalityTest test(catalogue);
  if (!is_local(test, statement)) return RowOrder::tried;  // also tells the test of the parameters
  switch (statement.node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
      return test.order(*statement.insert_stmt);
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
      return test.order(*statement.update_stmt, compared);
    case PG_QUERY__NODE__NODE_SELECT_STMT:
      return test.order(*statement.select_stmt, compared);
    default:
      return RowOrder::tried;  // DELETE: the row is there or not
  }
}

}  // namespace pgtandem
