#include "server-relay/statements/row-target.h"

#include <algorithm>
#include <span>
#include <string>

#include <xxhash.h>

#include "server-relay/statements/lexical-scan.h"
#include "server-relay/statements/parse-tree.h"

namespace pgtandem {
namespace {

using Term = RowTarget::Term;

/// Numbers further behind make no key: bulk statements do not compare single rows.
constexpr std::size_t kMostNumbers = 64;

/// The only relation of a FROM; null for joins, subqueries and several.
const PgQuery__RangeVar* only_relation(PgQuery__Node* const* from, std::size_t count) {
  if (count != 1 || from[0]->node_case != PG_QUERY__NODE__NODE_RANGE_VAR) return nullptr;
  return from[0]->range_var;
}

/// FOR UPDATE or FOR NO KEY UPDATE: those that share exclude nobody of their sort.
bool waits_for_locks(const PgQuery__SelectStmt& select) {
  const std::span<PgQuery__Node* const> clauses(select.locking_clause, select.n_locking_clause);
  return !clauses.empty() && std::ranges::all_of(clauses, [](const PgQuery__Node* clause) {
    return clause->node_case == PG_QUERY__NODE__NODE_LOCKING_CLAUSE &&
           clause->locking_clause->wait_policy == PG_QUERY__LOCK_WAIT_POLICY__LockWaitBlock &&
           clause->locking_clause->strength >= PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORNOKEYUPDATE;
  });
}

class TermFinder {
 public:
  TermFinder(std::string_view text, std::vector<Term>& terms) : text_(text), terms_(terms) {}

  void look_at(const PgQuery__Node* where) {
    if (where == nullptr) return;
    if (where->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR) {
      const PgQuery__BoolExpr& both = *where->bool_expr;
      if (both.boolop != PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) return;
      for (std::size_t i = 0; i < both.n_args; ++i) look_at(both.args[i]);
    } else if (where->node_case == PG_QUERY__NODE__NODE_A_EXPR) {
      compare(*where->a_expr);
    }
  }

 private:
  void compare(const PgQuery__AExpr& expression) {
    const bool equals = expression.kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP && expression.n_name == 1 &&
                        string_of(expression.name[0]) == "=";
    if (!equals || terms_.size() == RowTarget::kMostTerms || expression.lexpr == nullptr ||
        expression.rexpr == nullptr)
      return;
    if (!add(*expression.lexpr, *expression.rexpr)) add(*expression.rexpr, *expression.lexpr);
  }

  bool add(const PgQuery__Node& column, const PgQuery__Node& value) {
    if (column.node_case != PG_QUERY__NODE__NODE_COLUMN_REF || column.column_ref->n_fields == 0) return false;
    const PgQuery__ColumnRef& reference = *column.column_ref;
    Term term{.column = std::string(string_of(reference.fields[reference.n_fields - 1]))};
    if (term.column.empty() || !describe(value, term)) return false;
    terms_.push_back(std::move(term));
    return true;
  }

  bool describe(const PgQuery__Node& value, Term& term) {
    switch (value.node_case) {
      case PG_QUERY__NODE__NODE_TYPE_CAST:
        return value.type_cast->arg != nullptr && describe(*value.type_cast->arg, term);
      case PG_QUERY__NODE__NODE_PARAM_REF:
        term.source = Term::Source::parameter;
        term.index = std::size_t(std::max(value.param_ref->number - 1, 0));
        return value.param_ref->number > 0;
      case PG_QUERY__NODE__NODE_A_CONST:
        return describe_constant(*value.a_const, term);
      default:
        return false;
    }
  }

  bool describe_constant(const PgQuery__AConst& constant, Term& term) {
    if (constant.val_case == PG_QUERY__A__CONST__VAL_SVAL) {
      term.text = constant.sval->sval;
      return true;
    }
    // Numbers beyond int4 are no integers to the grammar. Those with a point are several whole numbers.
    const bool is_float = constant.val_case == PG_QUERY__A__CONST__VAL_FVAL;
    if (!is_float && constant.val_case != PG_QUERY__A__CONST__VAL_IVAL) return false;
    const std::vector<std::string_view> numbers = whole_numbers(text_, kMostNumbers);
    const auto here = std::ranges::find_if(
        numbers, [&](std::string_view number) { return number.data() - text_.data() == constant.location; });
    if (here == numbers.end() || (is_float && *here != constant.fval->fval)) return false;
    term.source = Term::Source::number;
    term.index = std::size_t(here - numbers.begin());
    return true;
  }

  std::string_view text_;
  std::vector<Term>& terms_;
};

}  // namespace

RowTarget find_row_target(const PgQuery__Node& statement, std::string_view text) {
  const PgQuery__RangeVar* relation = nullptr;
  const PgQuery__Node* where = nullptr;
  if (statement.node_case == PG_QUERY__NODE__NODE_UPDATE_STMT && statement.update_stmt->n_from_clause == 0) {
    relation = statement.update_stmt->relation;
    where = statement.update_stmt->where_clause;
  } else if (statement.node_case == PG_QUERY__NODE__NODE_DELETE_STMT &&
             statement.delete_stmt->n_using_clause == 0) {
    relation = statement.delete_stmt->relation;
    where = statement.delete_stmt->where_clause;
  } else if (statement.node_case == PG_QUERY__NODE__NODE_SELECT_STMT &&
             waits_for_locks(*statement.select_stmt)) {
    relation = only_relation(statement.select_stmt->from_clause, statement.select_stmt->n_from_clause);
    where = statement.select_stmt->where_clause;
  }
  RowTarget target;
  if (relation == nullptr) return target;
  target.relation = relation->relname;
  TermFinder(text, target.terms).look_at(where);
  return target;
}

void fix_numbers(RowTarget& target, std::string_view text) {
  const std::vector<std::string_view> numbers = whole_numbers(text, kMostNumbers);
  for (Term& term : target.terms) {
    if (term.source != Term::Source::number) continue;
    term.source = Term::Source::fixed;
    if (term.index < numbers.size()) term.text = numbers[term.index];
  }
}

std::uint64_t row_key(const RowTarget& target, std::string_view text, const ParameterValue& parameter) {
  if (target.terms.empty()) return 0;
  const std::vector<std::string_view> numbers = whole_numbers(text, kMostNumbers);
  std::uint64_t key = XXH3_64bits(target.relation.data(), target.relation.size());
  const auto mix = [&key](std::string_view part) {
    key = XXH3_64bits_withSeed(part.data(), part.size(), key);
  };
  for (const Term& term : target.terms) {
    mix(term.column);
    if (term.source == Term::Source::fixed) {
      mix(term.text);
    } else if (term.source == Term::Source::number) {
      if (term.index >= numbers.size()) return 0;
      mix(numbers[term.index]);
    } else {
      const std::optional<std::string_view> value = parameter(term.index);
      if (!value) return 0;
      mix(*value);
    }
  }
  return key != 0 ? key : 1;
}

}  // namespace pgtandem
