#include "server-relay/rewriting/source-finder.h"

#include <algorithm>

#include "server-relay/rewriting/source-functions.h"
#include "server-relay/rewriting/time-literal.h"

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

/// Rows that are written down one by one.
bool is_list_of_values(const PgQuery__Node* source) {
  return source != nullptr && source->node_case == PG_QUERY__NODE__NODE_SELECT_STMT &&
         source->select_stmt->n_values_lists > 0;
}

/// The call that gives an unnamed column of a result its name (FigureColname in parse_target.c). Casts of
/// constants are named after the type, which stays.
const PgQuery__Node* naming_call(const PgQuery__Node* node) {
  while (node != nullptr) {
    switch (node->node_case) {
      case PG_QUERY__NODE__NODE_FUNC_CALL:
      case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return node;
      case PG_QUERY__NODE__NODE_TYPE_CAST:
        node = node->type_cast->arg;
        break;
      case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        node = node->collate_clause->arg;
        break;
      case PG_QUERY__NODE__NODE_CASE_EXPR:
        node = node->case_expr->defresult;
        break;
      case PG_QUERY__NODE__NODE_A_INDIRECTION:
        node = node->a_indirection->arg;
        break;
      default:
        return nullptr;
    }
  }
  return nullptr;
}

int location_of_call(const PgQuery__Node& node) {
  return node.node_case == PG_QUERY__NODE__NODE_FUNC_CALL ? node.func_call->location
                                                          : node.sqlvalue_function->location;
}

const void* call_of(const PgQuery__Node& node) {
  if (node.node_case == PG_QUERY__NODE__NODE_FUNC_CALL) return node.func_call;
  return node.sqlvalue_function;
}

std::string_view name_of_call(const PgQuery__Node& node) {
  if (node.node_case == PG_QUERY__NODE__NODE_FUNC_CALL) {
    return qualified_name(node.func_call->funcname, node.func_call->n_funcname).name;
  }
  return name_of_time_function(node.sqlvalue_function->op);
}

/// What the transaction's time is cast to.
std::string type_of_function(const PgQuery__SQLValueFunction& function) {
  const std::string precision = "(" + std::to_string(function.typmod) + ")";
  switch (function.op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
      return "date";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME:
      return "timetz";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N:
      return "timetz" + precision;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N:
      return "timestamptz" + precision;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
      return "time";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N:
      return "time" + precision;
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
      return "timestamp";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N:
      return "timestamp" + precision;
    default:
      return {};  // the time's own
  }
}

/// SELECT f(...), with nothing else that could run the call twice, or not at all.
const PgQuery__FuncCall* only_call_of(const PgQuery__Node& statement) {
  if (statement.node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return nullptr;
  const PgQuery__SelectStmt& select = *statement.select_stmt;
  const bool plain =
      select.n_target_list == 1 && select.n_from_clause == 0 && select.n_values_lists == 0 &&
      select.n_group_clause == 0 && select.n_distinct_clause == 0 && select.n_locking_clause == 0 &&
      select.where_clause == nullptr && select.having_clause == nullptr && select.with_clause == nullptr &&
      select.limit_count == nullptr && select.limit_offset == nullptr && select.larg == nullptr;
  if (!plain) return nullptr;
  const PgQuery__Node* value = select.target_list[0]->res_target->val;
  const bool call = value != nullptr && value->node_case == PG_QUERY__NODE__NODE_FUNC_CALL;
  return call ? value->func_call : nullptr;
}

}  // namespace

std::string_view name_of_time_function(PgQuery__SQLValueFunctionOp op) {
  switch (op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE:
      return "current_date";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N:
      return "current_time";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N:
      return "current_timestamp";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N:
      return "localtime";
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP:
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N:
      return "localtimestamp";
    default:
      return {};
  }
}

void FoundSources::miss(std::string_view flag) {
  if (std::ranges::find(missed, flag) == missed.end()) missed.push_back(flag);
}

void SourceFinder::walk(const ProtobufCMessage& root, bool once) {
  if (root.descriptor == &pg_query__node__descriptor) only_call_ = only_call_of(as<PgQuery__Node>(root));
  stack_.push_back({&root, once});
  while (!stack_.empty()) {
    const Entry entry = stack_.back();
    stack_.pop_back();
    visit(entry);
    push_children(entry);
  }
}

void SourceFinder::visit(const Entry& entry) {
  const ProtobufCMessageDescriptor* type = entry.message->descriptor;
  if (type == &pg_query__func_call__descriptor) {
    visit_call(as<PgQuery__FuncCall>(*entry.message), entry.once);
  } else if (type == &pg_query__sqlvalue_function__descriptor) {
    visit_value_function(as<PgQuery__SQLValueFunction>(*entry.message));
  } else if (type == &pg_query__type_cast__descriptor) {
    visit_cast(as<PgQuery__TypeCast>(*entry.message));
  } else if (type == &pg_query__res_target__descriptor) {
    visit_target(as<PgQuery__ResTarget>(*entry.message));
  } else if (type == &pg_query__select_stmt__descriptor) {
    visit_select(as<PgQuery__SelectStmt>(*entry.message));
  } else if (type == &pg_query__range_function__descriptor) {
    visit_range_function(as<PgQuery__RangeFunction>(*entry.message));
  } else if (type == &pg_query__a__const__descriptor) {
    visit_constant(as<PgQuery__AConst>(*entry.message));
  } else if (type == &pg_query__param_ref__descriptor) {
    const int number = as<PgQuery__ParamRef>(*entry.message).number;
    found_.highest_parameter = std::max(found_.highest_parameter, unsigned(std::max(number, 0)));
  }
}

void SourceFinder::push_children(const Entry& entry) {
  const ProtobufCMessage& message = *entry.message;
  const ProtobufCMessageDescriptor* type = message.descriptor;
  if (type == &pg_query__a__const__descriptor || type == &pg_query__string__descriptor) return;
  if (type == &pg_query__insert_stmt__descriptor) return push_insert(as<PgQuery__InsertStmt>(message));
  if (type == &pg_query__node__descriptor) {
    // One of hundreds of fields is set; their numbers count from 1 without a gap.
    const unsigned number = unsigned(as<PgQuery__Node>(message).node_case);
    if (number > 0 && number <= type->n_fields) push_field(message, type->fields[number - 1], entry.once);
    return;
  }
  const bool is_query = type == &pg_query__sub_link__descriptor || type == &pg_query__select_stmt__descriptor;
  for (unsigned i = type->n_fields; i > 0; --i) {
    push_field(message, type->fields[i - 1], entry.once && !is_query);
  }
}

void SourceFinder::push_field(const ProtobufCMessage& message, const ProtobufCFieldDescriptor& field,
                              bool once) {
  if (field.type != PROTOBUF_C_TYPE_MESSAGE) return;
  if (field.label == PROTOBUF_C_LABEL_REPEATED) {
    const auto count = at_offset<std::size_t>(message, field.quantifier_offset);
    const auto children = at_offset<const ProtobufCMessage* const*>(message, field.offset);
    for (std::size_t i = count; i > 0; --i) stack_.push_back({children[i - 1], once});
    return;
  }
  const auto child = at_offset<const ProtobufCMessage*>(message, field.offset);
  if (child != nullptr) stack_.push_back({child, once});
}

void SourceFinder::forget_names(const PgQuery__SelectStmt& source) {
  for (std::size_t i = 0; i < source.n_target_list; ++i) {
    unseen_targets_.insert(source.target_list[i]->res_target);
  }
}

/// Each expression in its VALUES is evaluated once; its other parts are not.
void SourceFinder::push_insert(const PgQuery__InsertStmt& insert) {
  const ProtobufCMessageDescriptor* type = insert.base.descriptor;
  for (unsigned i = type->n_fields; i > 0; --i) push_field(insert.base, type->fields[i - 1], false);
  const bool has_source =
      insert.select_stmt != nullptr && insert.select_stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT;
  if (has_source) forget_names(*insert.select_stmt->select_stmt);
  if (!is_list_of_values(insert.select_stmt)) return;
  const PgQuery__SelectStmt& values = *insert.select_stmt->select_stmt;
  stack_.erase(std::ranges::find(stack_, &insert.select_stmt->base, &Entry::message));
  for (unsigned i = values.base.descriptor->n_fields; i > 0; --i) {
    const ProtobufCFieldDescriptor& field = values.base.descriptor->fields[i - 1];
    push_field(values.base, field, std::string_view(field.name) == "values_lists");
  }
}

void SourceFinder::visit_select(const PgQuery__SelectStmt& select) {
  const bool compares =
      select.n_group_clause > 0 || (select.n_distinct_clause > 0 && select.n_sort_clause > 0);
  for (std::size_t i = 0; compares && i < select.n_target_list; ++i) {
    compared_targets_.insert(select.target_list[i]->res_target);
  }
}

/// Without a name it is one of SELECT or RETURNING. A call within an expression keeps its name as a query of
/// its own, and makes another expression of it.
void SourceFinder::visit_target(const PgQuery__ResTarget& target) {
  if (target.val == nullptr || *target.name != '\0') return;
  const PgQuery__Node* call = naming_call(target.val);
  if (call == nullptr) return;
  const bool is_whole = call == target.val && target.location == location_of_call(*call);
  if (!is_whole && compared_targets_.contains(&target)) {
    if (unseen_targets_.contains(&target)) return;
    const bool is_source = call->node_case == PG_QUERY__NODE__NODE_FUNC_CALL
                               ? !flag_of_source_function(*call->func_call).empty()
                               : !name_of_time_function(call->sqlvalue_function->op).empty();
    found_.all_or_none_failed = found_.all_or_none_failed || is_source;
  }
  column_names_[call_of(*call)] = {name_of_call(*call), is_whole};
}

void SourceFinder::visit_range_function(const PgQuery__RangeFunction& range) {
  for (std::size_t i = 0; i < range.n_functions; ++i) {
    const PgQuery__Node* node = range.functions[i];
    if (node->node_case == PG_QUERY__NODE__NODE_LIST && node->list->n_items > 0) node = node->list->items[0];
    if (node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL ||
        node->node_case == PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION) {
      range_functions_.insert(call_of(*node));
    }
  }
}

bool SourceFinder::wanted(const Source& source, bool once) const {
  return source.once ? classes_.volatile_values && once : classes_.time;
}

/// lo_creat(mode) becomes lo_create(oid), the others get the oid as the argument that they have for it.
void SourceFinder::visit_large_object(const PgQuery__FuncCall& call, std::size_t first, std::size_t last) {
  const std::string_view name = qualified_name(call.funcname, call.n_funcname).name;
  if (name == "lo_creat")
    return replace_call(&call, first, last, {{"pg_catalog.lo_create(", unused_large_object()}, {")"}});
  if (name == "lo_import") {
    found_.replacements.push_back({tokens_.span(last, last), {{", ", unused_large_object()}, {")"}}});
    return;
  }
  const auto number = tokens_.at(call.args[0]->a_const->location);
  if (!number) return found_.miss("large object");
  found_.replacements.push_back({tokens_.span(*number, *number), {{"", unused_large_object()}}});
}

void SourceFinder::visit_call(const PgQuery__FuncCall& call, bool once) {
  if (lets_server_choose_oid(call)) {
    const auto first = tokens_.at(call.location);
    const auto last = first ? tokens_.end_of_call(*first) : std::nullopt;
    const bool is_once = once || only_call_ == &call;
    if (!last || !is_once || !classes_.volatile_values) return found_.miss("large object");
    return visit_large_object(call, *first, *last);
  }
  const std::string_view flag = flag_of_source_function(call);
  if (flag.empty()) return;
  const auto first = tokens_.at(call.location);
  const auto last = first ? tokens_.end_of_call(*first) : std::nullopt;
  if (last && !range_functions_.contains(&call)) {
    auto source = source_of_call(call, tokens_, *first, *last, catalogue_);
    if (source && wanted(*source, once)) return replace_call(&call, *first, *last, {{"", std::move(source)}});
  }
  found_.miss(flag);
}

void SourceFinder::visit_value_function(const PgQuery__SQLValueFunction& function) {
  const std::string_view name = name_of_time_function(function.op);
  if (name.empty()) return;
  const auto first = tokens_.at(function.location);
  if (!first || !tokens_.is_word(*first, name) || range_functions_.contains(&function) || !classes_.time) {
    return found_.miss("now");
  }
  const std::string type = type_of_function(function);
  std::vector<ReplacementPart> parts{{type.empty() ? "" : "(", transaction_time()}};
  if (!type.empty()) parts.push_back({"::pg_catalog." + type + ")"});
  const bool has_precision =
      type.ends_with(')') || function.op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N;
  const auto last = has_precision ? tokens_.closing(*first + 1) : first;
  if (!last) return found_.miss("now");
  replace_call(&function, *first, *last, std::move(parts));
}

void SourceFinder::replace_call(const void* node, std::size_t first, std::size_t last,
                                std::vector<ReplacementPart> parts) {
  const auto named = column_names_.find(node);
  if (named != column_names_.end()) {
    const std::string as_name = " AS " + quoted_identifier(named->second.name);
    if (named->second.is_whole_target) {
      parts.push_back({as_name});
    } else {
      parts.front().text.insert(0, "(SELECT ");
      parts.push_back({as_name + ")"});
    }
  }
  parts.push_back({tokens_.comments(first, last)});
  found_.replacements.push_back({tokens_.span(first, last), std::move(parts)});
}

/// What type it gets, and so whether it is a time, is not written beside it.
void SourceFinder::visit_constant(const PgQuery__AConst& constant) {
  if (constant.val_case != PG_QUERY__A__CONST__VAL_SVAL || cast_constants_.contains(&constant)) return;
  for (const std::string_view word : {"now", "today", "tomorrow", "yesterday"}) {
    if (equals_folded(constant.sval->sval, word)) found_.miss("now");
  }
}

void SourceFinder::visit_cast(const PgQuery__TypeCast& cast) {
  if (cast.arg != nullptr && cast.arg->node_case == PG_QUERY__NODE__NODE_A_CONST)
    cast_constants_.insert(cast.arg->a_const);
  TimeLiteral literal = find_time_literal(cast, tokens_);
  if (!literal.is_source) return;
  if (!classes_.time || !literal.replacement) return found_.miss("now");
  found_.replacements.push_back(*std::move(literal.replacement));
}

}  // namespace pgtandem
