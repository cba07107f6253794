#include "server-relay/statements/tree-walker.h"

#include <algorithm>
#include <unordered_map>

#include "server-relay/statements/known-functions.h"
#include "server-relay/statements/sql-lexer.h"

namespace pgtandem {
namespace {

template <typename Message>
const Message& as(const ProtobufCMessage& message) {
  return reinterpret_cast<const Message&>(message);
}

template <typename Value>
Value at_offset(const ProtobufCMessage& message, unsigned offset) {
  return *reinterpret_cast<const Value*>(reinterpret_cast<const std::byte*>(&message) + offset);
}

bool is_query_of_rows(const PgQuery__SelectStmt& select) {
  return select.n_from_clause > 0 || select.op > PG_QUERY__SET_OPERATION__SETOP_NONE;
}

}  // namespace

struct TreeWalker::Visits {
  std::unordered_map<const ProtobufCMessageDescriptor*, Visit> by_type{
      {&pg_query__select_stmt__descriptor, &TreeWalker::visit_select},
      {&pg_query__insert_stmt__descriptor, &TreeWalker::visit_insert},
      {&pg_query__update_stmt__descriptor, &TreeWalker::visit_update},
      {&pg_query__delete_stmt__descriptor, &TreeWalker::visit_delete},
      {&pg_query__merge_stmt__descriptor, &TreeWalker::visit_merge},
      {&pg_query__locking_clause__descriptor, &TreeWalker::visit_locking},
      {&pg_query__into_clause__descriptor, &TreeWalker::visit_into},
      {&pg_query__range_var__descriptor, &TreeWalker::visit_range_var},
      {&pg_query__range_table_sample__descriptor, &TreeWalker::visit_table_sample},
      {&pg_query__common_table_expr__descriptor, &TreeWalker::visit_cte},
      {&pg_query__func_call__descriptor, &TreeWalker::visit_function},
      {&pg_query__a__expr__descriptor, &TreeWalker::visit_expression},
      {&pg_query__sub_link__descriptor, &TreeWalker::visit_sub_link},
      {&pg_query__sort_by__descriptor, &TreeWalker::visit_sort},
      {&pg_query__column_ref__descriptor, &TreeWalker::visit_column},
      {&pg_query__a__indirection__descriptor, &TreeWalker::visit_indirection},
      {&pg_query__type_cast__descriptor, &TreeWalker::visit_cast},
      {&pg_query__type_name__descriptor, &TreeWalker::visit_type},
      {&pg_query__sqlvalue_function__descriptor, &TreeWalker::visit_value_function},
      {&pg_query__set_to_default__descriptor, &TreeWalker::visit_default},
      {&pg_query__variable_set_stmt__descriptor, &TreeWalker::visit_set},
      {&pg_query__variable_show_stmt__descriptor, &TreeWalker::visit_show},
      {&pg_query__def_elem__descriptor, &TreeWalker::visit_option},
  };
};

void TreeWalker::walk(const ProtobufCMessage& root) {
  stack_.push_back({&root, false});
  while (!stack_.empty()) {
    const Entry entry = stack_.back();
    stack_.pop_back();
    visit(entry);
    push_children(entry);
  }
}

void TreeWalker::visit(const Entry& entry) {
  static const Visits visits;
  const ProtobufCMessageDescriptor* type = entry.message->descriptor;
  if (type == &pg_query__node__descriptor) return;
  if (type == &pg_query__param_ref__descriptor) {
    facts_.parameters = facts_.parameters || !entry.own_parameters;
    return;
  }
  const auto found = visits.by_type.find(type);
  if (found != visits.by_type.end()) (this->*found->second)(*entry.message);
}

void TreeWalker::push_children(const Entry& entry) {
  const ProtobufCMessage& message = *entry.message;
  const ProtobufCMessageDescriptor* type = message.descriptor;
  if (type == &pg_query__a__const__descriptor || type == &pg_query__string__descriptor) return;
  if (type == &pg_query__node__descriptor) {
    // One of hundreds of fields is set; their numbers count from 1 without a gap.
    const unsigned number = unsigned(as<PgQuery__Node>(message).node_case);
    if (number == 0 || number > type->n_fields) return;
    push_field(message, type->fields[number - 1], entry.own_parameters);
    return;
  }
  const bool own_parameters = entry.own_parameters || type == &pg_query__prepare_stmt__descriptor ||
                              type == &pg_query__create_function_stmt__descriptor;
  // What is pushed last is visited first: in the order of the text.
  for (unsigned i = type->n_fields; i > 0; --i) push_field(message, type->fields[i - 1], own_parameters);
}

void TreeWalker::push_field(const ProtobufCMessage& message, const ProtobufCFieldDescriptor& field,
                            bool own_parameters) {
  if (field.type != PROTOBUF_C_TYPE_MESSAGE) return;
  if (field.label == PROTOBUF_C_LABEL_REPEATED) {
    const auto count = at_offset<std::size_t>(message, field.quantifier_offset);
    const auto children = at_offset<const ProtobufCMessage* const*>(message, field.offset);
    for (std::size_t i = count; i > 0; --i) stack_.push_back({children[i - 1], own_parameters});
    return;
  }
  const auto child = at_offset<const ProtobufCMessage*>(message, field.offset);
  if (child != nullptr) stack_.push_back({child, own_parameters});
}

TreeFacts TreeWalker::finish() {
  judge_relations();
  if (catalogue_ != nullptr && !catalogue_->implicit_calls_are_safe()) facts_.unproven = true;
  return std::move(facts_);
}

void TreeWalker::flag(std::string_view text) {
  if (std::ranges::find(facts_.flags, text) == facts_.flags.end()) facts_.flags.push_back(text);
}

/// A name that a CTE has may still be a relation's elsewhere in the statement: it has to be safe as that too.
void TreeWalker::judge_relations() {
  for (const QualifiedName& relation : relations_) {
    if (catalogue_ == nullptr) {
      facts_.unproven = true;
      return;
    }
    if (catalogue_->relation_is_safe(relation.schema, relation.name)) continue;
    const bool is_cte =
        relation.schema.empty() && std::ranges::find(cte_names_, relation.name) != cte_names_.end();
    if (!is_cte || catalogue_->relation_is_known(relation.schema, relation.name)) facts_.unproven = true;
  }
}

void TreeWalker::visit_select(const ProtobufCMessage& message) {
  const auto& select = as<PgQuery__SelectStmt>(message);
  if (select.n_sort_clause > 0) return;
  if (select.limit_count != nullptr || select.limit_offset != nullptr) flag("LIMIT without ORDER BY");
  // Plain DISTINCT is a list of one node that is not set.
  if (select.n_distinct_clause > 0 && select.distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET) {
    flag("DISTINCT ON without ORDER BY");
  }
}

void TreeWalker::visit_insert(const ProtobufCMessage& message) {
  const auto& insert = as<PgQuery__InsertStmt>(message);
  facts_.writes = facts_.may_use_sequences = true;
  if (insert.select_stmt == nullptr || insert.select_stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
    return;
  const PgQuery__SelectStmt& source = *insert.select_stmt->select_stmt;
  if (is_query_of_rows(source) && source.n_sort_clause == 0) flag("INSERT ... SELECT without ORDER BY");
}

void TreeWalker::visit_update(const ProtobufCMessage& message) {
  const auto& update = as<PgQuery__UpdateStmt>(message);
  facts_.writes = true;
  target(update.relation);
  if (update.n_from_clause > 0) flag("UPDATE ... FROM");
}

void TreeWalker::visit_delete(const ProtobufCMessage& message) {
  facts_.writes = true;
  target(as<PgQuery__DeleteStmt>(message).relation);
}

void TreeWalker::visit_merge(const ProtobufCMessage&) {
  facts_.writes = facts_.may_use_sequences = true;
}

void TreeWalker::target(const PgQuery__RangeVar* relation) {
  if (catalogue_ == nullptr || relation == nullptr ||
      catalogue_->relation_acts(relation->schemaname, relation->relname)) {
    facts_.may_use_sequences = true;
  }
}

void TreeWalker::visit_locking(const ProtobufCMessage&) {
  facts_.writes = true;
}

void TreeWalker::visit_into(const ProtobufCMessage&) {
  facts_.writes = facts_.makes_relation = facts_.may_use_sequences = true;
}

void TreeWalker::visit_range_var(const ProtobufCMessage& message) {
  const auto& relation = as<PgQuery__RangeVar>(message);
  relations_.push_back({relation.schemaname, relation.relname});
}

void TreeWalker::visit_table_sample(const ProtobufCMessage& message) {
  const auto& sample = as<PgQuery__RangeTableSample>(message);
  const QualifiedName method = qualified_name(sample.method, sample.n_method);
  flag("TABLESAMPLE");
  if (method.name != "system" && method.name != "bernoulli") facts_.unproven = true;
}

void TreeWalker::visit_cte(const ProtobufCMessage& message) {
  cte_names_.emplace_back(as<PgQuery__CommonTableExpr>(message).ctename);
}

void TreeWalker::visit_function(const ProtobufCMessage& message) {
  const auto& call = as<PgQuery__FuncCall>(message);
  const QualifiedName function = qualified_name(call.funcname, call.n_funcname);
  if (catalogue_ == nullptr || !catalogue_->function_is_safe(function.schema, function.name)) {
    facts_.unproven = facts_.may_use_sequences = true;
  }
  const std::string_view divergence = divergence_of_function(function.name);
  if (!divergence.empty() && (function.name != "age" || call.n_args == 1)) flag(divergence);
  if (is_session_advisory_lock(function.name)) facts_.advisory_locks = true;
  if (changes_session_only(function.name)) facts_.changes_session = true;
  if (makes_large_object(function.name)) facts_.large_objects = true;
  look_at_setting(call, function.name);
  look_at_order(call, function.name);
}

void TreeWalker::look_at_setting(const PgQuery__FuncCall& call, std::string_view name) {
  if (name == "setseed") facts_.names_settings = true;
  const bool sets = name == "set_config";
  if (!sets && name != "current_setting") return;
  const auto setting = call.n_args > 0 ? string_constant(call.args[0]) : std::nullopt;
  if (sets || !setting || is_watched_setting(*setting)) facts_.names_settings = true;
  if (sets && (!setting || is_isolation_setting(*setting))) facts_.names_isolation = true;
}

void TreeWalker::look_at_order(const PgQuery__FuncCall& call, std::string_view name) {
  if (is_order_dependent(name) && call.n_agg_order == 0 && call.over == nullptr) {
    flag("array_agg or the like without ORDER BY");
  }
  // A window that is named may be ordered where it is defined.
  if (call.over != nullptr && is_order_window(name) && call.over->n_order_clause == 0 &&
      *call.over->name == '\0' && *call.over->refname == '\0') {
    flag("window without ORDER BY");
  }
}

void TreeWalker::need_operator(std::string_view schema, std::string_view name) {
  if (catalogue_ == nullptr || !catalogue_->operator_is_safe(schema, name)) {
    facts_.unproven = facts_.may_use_sequences = true;
  }
}

void TreeWalker::need_operator(PgQuery__Node* const* parts, std::size_t count) {
  if (count == 0) return;
  const QualifiedName name = qualified_name(parts, count);
  need_operator(name.schema, name.name);
}

void TreeWalker::visit_expression(const ProtobufCMessage& message) {
  const auto& expression = as<PgQuery__AExpr>(message);
  switch (expression.kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
      for (const std::string_view name : {"<", "<=", ">", ">="}) need_operator("", name);
      break;
    default:
      need_operator(expression.name, expression.n_name);
  }
}

void TreeWalker::visit_sub_link(const ProtobufCMessage& message) {
  const auto& link = as<PgQuery__SubLink>(message);
  if (link.testexpr != nullptr && link.n_oper_name == 0) need_operator("", "=");  // IN
  need_operator(link.oper_name, link.n_oper_name);
}

void TreeWalker::visit_sort(const ProtobufCMessage& message) {
  const auto& sort = as<PgQuery__SortBy>(message);
  need_operator(sort.use_op, sort.n_use_op);
}

void TreeWalker::need_attribute(std::string_view name) {
  if (catalogue_ == nullptr || !catalogue_->attribute_is_safe(name))
    facts_.unproven = facts_.may_use_sequences = true;
}

/// x.name may be a function of the row x.
void TreeWalker::visit_column(const ProtobufCMessage& message) {
  const auto& column = as<PgQuery__ColumnRef>(message);
  if (column.n_fields == 0) return;
  const std::string_view name = string_of(column.fields[column.n_fields - 1]);
  if (name.empty()) return;  // x.*
  if (column.n_fields > 1) need_attribute(name);
  if (name == "ctid") flag("ctid");
  if (name == "xmin" || name == "xmax" || name == "cmin" || name == "cmax") flag("txid_current");
  if (name == "oid" || name == "tableoid") flag("oid");
}

void TreeWalker::visit_indirection(const ProtobufCMessage& message) {
  const auto& indirection = as<PgQuery__AIndirection>(message);
  for (std::size_t i = 0; i < indirection.n_indirection; ++i) {
    const std::string_view name = string_of(indirection.indirection[i]);
    if (!name.empty()) need_attribute(name);
  }
}

/// 'now'::timestamp
void TreeWalker::visit_cast(const ProtobufCMessage& message) {
  const auto& cast = as<PgQuery__TypeCast>(message);
  const auto constant = string_constant(cast.arg);
  if (!constant || cast.type_name == nullptr) return;
  const std::string_view type = qualified_name(cast.type_name->names, cast.type_name->n_names).name;
  const bool is_time = type.starts_with("date") || type.starts_with("time");
  for (const std::string_view word : {"now", "today", "tomorrow", "yesterday"}) {
    if (is_time && equals_folded(*constant, word)) flag("now");
  }
  if (type.starts_with("reg") && constant->find_first_of("0123456789") == 0) flag("oid");
}

void TreeWalker::visit_type(const ProtobufCMessage& message) {
  const auto& type = as<PgQuery__TypeName>(message);
  const QualifiedName name = qualified_name(type.names, type.n_names);
  const bool is_safe =
      catalogue_ != nullptr ? catalogue_->type_is_safe(name.schema, name.name) : name.schema == "pg_catalog";
  if (!is_safe) facts_.unproven = true;
}

void TreeWalker::visit_value_function(const ProtobufCMessage& message) {
  switch (as<PgQuery__SQLValueFunction>(message).op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA:
      return;
    default:
      flag("now");
  }
}

void TreeWalker::visit_default(const ProtobufCMessage&) {
  facts_.may_use_sequences = true;
}

void TreeWalker::visit_set(const ProtobufCMessage& message) {
  const auto& set = as<PgQuery__VariableSetStmt>(message);
  const std::string_view name = set.name;
  const bool all = set.kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL;
  if (all || is_watched_setting(name)) facts_.names_settings = true;
  if (all || is_isolation_setting(name)) facts_.names_isolation = true;
  if (equals_folded(name, "transaction snapshot")) {
    facts_.names_isolation = true;
    flag("exported snapshot");
  }
}

void TreeWalker::visit_show(const ProtobufCMessage& message) {
  const std::string_view name = as<PgQuery__VariableShowStmt>(message).name;
  if (equals_folded(name, "all") || is_watched_setting(name)) facts_.names_settings = true;
}

void TreeWalker::visit_option(const ProtobufCMessage& message) {
  if (is_isolation_setting(as<PgQuery__DefElem>(message).defname)) facts_.names_isolation = true;
}

bool is_watched_setting(std::string_view name) {
  for (const std::string_view watched :
       {"lock_timeout", "statement_timeout", "role", "session_authorization", "seed",
        "idle_in_transaction_session_timeout", "idle_session_timeout", "max_parallel_workers_per_gather"}) {
    if (equals_folded(name, watched)) return true;
  }
  return false;
}

bool is_isolation_setting(std::string_view name) {
  return equals_folded(name, "transaction_isolation") || equals_folded(name, "default_transaction_isolation");
}

}  // namespace pgtandem
