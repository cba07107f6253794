#include "server-relay/statements/statement-rules.h"

#include <algorithm>
#include <span>

#include "server-relay/statements/sql-lexer.h"
#include "server-relay/statements/utility-rules.h"

namespace pgtandem {
namespace {

constexpr int kCursorWithHold = 0x20;    // CURSOR_OPT_HOLD of PostgreSQL's nodes/parsenodes.h
constexpr int kAccessExclusiveLock = 8;  // of its storage/lockdefs.h

bool has_option(PgQuery__Node* const* options, std::size_t count, std::string_view name) {
  return std::ranges::any_of(std::span(options, count), [&](const PgQuery__Node* option) {
    return option->node_case == PG_QUERY__NODE__NODE_DEF_ELEM && option->def_elem->defname == name &&
           option_is_on(*option->def_elem);
  });
}

bool is_query(const PgQuery__Node* node) {
  return node != nullptr && node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT;
}

bool is_read(const PgQuery__Node* query, const TreeFacts& facts) {
  return is_query(query) && !facts.unproven && !facts.writes && !facts.changes_session;
}

class Rules {
 public:
  Rules(const TreeFacts& facts, const StatementCatalogue* catalogue) : facts_(facts), catalogue_(catalogue) {}

  Statement of(const PgQuery__Node& node) const;

 private:
  Statement of_query(const PgQuery__Node& node) const;
  Statement of_transaction(const PgQuery__TransactionStmt& transaction) const;
  Statement of_explain(const PgQuery__ExplainStmt& explain) const;
  Statement of_copy(const PgQuery__CopyStmt& copy) const;
  void refine(const PgQuery__Node& node, Statement& statement) const;
  void refine_session(const PgQuery__Node& node, Statement& statement) const;
  void refine_ddl(const PgQuery__Node& node, Statement& statement) const;
  void refine_object(PgQuery__ObjectType type, Statement& statement) const;
  bool is_partitioned(const PgQuery__RangeVar* relation) const {
    return catalogue_ != nullptr && relation != nullptr &&
           catalogue_->relation_is_partitioned(relation->schemaname, relation->relname);
  }

  const TreeFacts& facts_;
  const StatementCatalogue* catalogue_;
};

Statement Rules::of(const PgQuery__Node& node) const {
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
    case PG_QUERY__NODE__NODE_INSERT_STMT:
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
    case PG_QUERY__NODE__NODE_MERGE_STMT:
      return of_query(node);
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
      return of_transaction(*node.transaction_stmt);
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
      return of_explain(*node.explain_stmt);
    case PG_QUERY__NODE__NODE_COPY_STMT:
      return of_copy(*node.copy_stmt);
    case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT: {
      const PgQuery__DeclareCursorStmt& declare = *node.declare_cursor_stmt;
      Statement statement{.kind = StatementKind::cursor, .name = declare.portalname};
      statement.needs_block = (declare.options & kCursorWithHold) == 0;
      statement.inner_reads = is_read(declare.query, facts_);
      return statement;
    }
    default: {
      Statement statement = rule_of_utility(node.node_case);
      refine(node, statement);
      return statement;
    }
  }
}

Statement Rules::of_query(const PgQuery__Node& node) const {
  Statement statement{.kind = StatementKind::write, .changes_catalogue = facts_.makes_relation};
  if (is_read(&node, facts_)) {
    statement.kind = StatementKind::read;
  } else if (is_query(&node) && !facts_.unproven && !facts_.writes) {
    statement.kind = StatementKind::session;  // SELECT set_config(...)
  }
  return statement;
}

StatementKind kind_of(PgQuery__TransactionStmtKind kind) {
  switch (kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
      return StatementKind::begin;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
      return StatementKind::commit;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
      return StatementKind::rollback;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
      return StatementKind::savepoint;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
      return StatementKind::release;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
      return StatementKind::rollback_to;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE:
      return StatementKind::prepare_transaction;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT_PREPARED:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_PREPARED:
      return StatementKind::finish_prepared;
    default:
      return StatementKind::opaque;
  }
}

bool is_serializable_or_unnamed(const PgQuery__TransactionStmt& transaction) {
  for (std::size_t i = 0; i < transaction.n_options; ++i) {
    const PgQuery__Node& node = *transaction.options[i];
    if (node.node_case != PG_QUERY__NODE__NODE_DEF_ELEM) continue;
    if (node.def_elem->defname == std::string_view("transaction_isolation")) {
      return string_constant(node.def_elem->arg) == std::string_view("serializable");
    }
  }
  return true;
}

bool sets(const PgQuery__TransactionStmt& transaction, std::string_view property) {
  for (std::size_t i = 0; i < transaction.n_options; ++i) {
    const PgQuery__Node& node = *transaction.options[i];
    if (node.node_case != PG_QUERY__NODE__NODE_DEF_ELEM || node.def_elem->defname != property) continue;
    const PgQuery__Node* value = node.def_elem->arg;
    if (value != nullptr && value->node_case == PG_QUERY__NODE__NODE_A_CONST &&
        value->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
      return value->a_const->ival->ival != 0;
    }
  }
  return false;
}

Statement Rules::of_transaction(const PgQuery__TransactionStmt& transaction) const {
  Statement statement{.kind = kind_of(transaction.kind), .chain = transaction.chain != 0};
  statement.name = *transaction.gid != '\0' ? transaction.gid : transaction.savepoint_name;
  switch (statement.kind) {
    case StatementKind::finish_prepared:
      statement.refuses_block = true;
      break;
    case StatementKind::begin:
      statement.read_only_deferrable = sets(transaction, "transaction_read_only") &&
                                       sets(transaction, "transaction_deferrable") &&
                                       is_serializable_or_unnamed(transaction);
      break;
    case StatementKind::commit:
    case StatementKind::rollback:
      statement.needs_block = statement.chain;
      break;
    default:
      statement.needs_block = true;
  }
  return statement;
}

/// Without ANALYZE the query is only planned, but an EXECUTE's parameters are computed.
Statement Rules::of_explain(const PgQuery__ExplainStmt& explain) const {
  // What comes last holds; any ANALYZE that may hold counts.
  const bool analyze = has_option(explain.options, explain.n_options, "analyze");
  if (explain.query == nullptr) return {.kind = StatementKind::opaque};
  if (!analyze) {
    const bool computes = explain.query->node_case == PG_QUERY__NODE__NODE_EXECUTE_STMT &&
                          (facts_.unproven || facts_.changes_session);
    return {.kind = computes ? StatementKind::write : StatementKind::read};
  }
  Statement statement = of(*explain.query);
  statement.inner_reads = statement.kind == StatementKind::read;
  if (statement.kind != StatementKind::read && statement.kind != StatementKind::session &&
      statement.kind != StatementKind::ddl) {
    statement.kind = StatementKind::write;  // EXECUTE and DECLARE run what they name
  }
  statement.name.clear();
  return statement;
}

Statement Rules::of_copy(const PgQuery__CopyStmt& copy) const {
  const bool by_client = *copy.filename == '\0' && copy.is_program == 0;
  if (copy.is_from != 0) {
    Statement from{.kind = by_client ? StatementKind::copy_in : StatementKind::write,
                   .may_use_sequences = true};
    from.plain_copy =
        by_client && catalogue_ != nullptr && !facts_.unproven && copy.relation != nullptr &&
        catalogue_->relation_takes_plain_rows(copy.relation->schemaname, copy.relation->relname);
    return from;
  }
  const bool reads = copy.relation != nullptr ? catalogue_ != nullptr && !facts_.unproven &&
                                                    catalogue_->relation_is_table(copy.relation->schemaname,
                                                                                  copy.relation->relname)
                                              : is_read(copy.query, facts_);
  return {.kind = by_client && reads ? StatementKind::read : StatementKind::write};
}

void Rules::refine(const PgQuery__Node& node, Statement& statement) const {
  if (statement.kind == StatementKind::session || statement.kind == StatementKind::fetch ||
      statement.kind == StatementKind::execute) {
    refine_session(node, statement);
  } else {
    refine_ddl(node, statement);
  }
}

void Rules::refine_session(const PgQuery__Node& node, Statement& statement) const {
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT: {
      const PgQuery__VariableSetStmt& set = *node.variable_set_stmt;
      statement.needs_block = set.is_local != 0 || equals_folded(set.name, "transaction") ||
                              equals_folded(set.name, "transaction snapshot");
      break;
    }
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
      statement.refuses_block = statement.names_settings = statement.names_isolation =
          node.discard_stmt->target == PG_QUERY__DISCARD_MODE__DISCARD_ALL;
      break;
    case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
      // IMMEDIATE runs the triggers that were deferred.
      if (node.constraints_set_stmt->deferred == 0) {
        statement.kind = StatementKind::write;
        statement.may_use_sequences = true;
      }
      break;
    case PG_QUERY__NODE__NODE_PREPARE_STMT:
      statement.name = node.prepare_stmt->name;
      statement.inner_reads = is_read(node.prepare_stmt->query, facts_);
      break;
    case PG_QUERY__NODE__NODE_EXECUTE_STMT:
      statement.name = node.execute_stmt->name;
      statement.inner_reads = !facts_.unproven && !facts_.writes && !facts_.changes_session;
      break;
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
      statement.name = node.deallocate_stmt->name;
      break;
    case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
      statement.name = node.close_portal_stmt->portalname;
      break;
    case PG_QUERY__NODE__NODE_FETCH_STMT:
      statement.name = node.fetch_stmt->portalname;
      break;
    default:
      break;
  }
}

void Rules::refine_object(PgQuery__ObjectType type, Statement& statement) const {
  if (!is_shared_object(type)) return;
  statement.kind = StatementKind::write;
  statement.shared_objects = true;
  statement.changes_catalogue = statement.may_use_sequences = false;
}

bool detaches_concurrently(const PgQuery__AlterTableStmt& alter) {
  return std::ranges::any_of(std::span(alter.cmds, alter.n_cmds), [](const PgQuery__Node* node) {
    const PgQuery__Node* def =
        node->node_case == PG_QUERY__NODE__NODE_ALTER_TABLE_CMD ? node->alter_table_cmd->def : nullptr;
    return def != nullptr && def->node_case == PG_QUERY__NODE__NODE_PARTITION_CMD &&
           def->partition_cmd->concurrent != 0;
  });
}

bool reindex_refuses_block(const PgQuery__ReindexStmt& reindex) {
  return (reindex.kind != PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_INDEX &&
          reindex.kind != PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_TABLE) ||
         has_option(reindex.params, reindex.n_params, "concurrently");
}

void Rules::refine_ddl(const PgQuery__Node& node, Statement& statement) const {
  switch (node.node_case) {
    case PG_QUERY__NODE__NODE_CREATE_STMT:
      // A partition takes a lock on its siblings' default one.
      if (node.create_stmt->partbound != nullptr) statement.kind = StatementKind::ddl;
      break;
    case PG_QUERY__NODE__NODE_VIEW_STMT:
      statement.kind = node.view_stmt->replace != 0 ? StatementKind::ddl : StatementKind::write;
      break;
    case PG_QUERY__NODE__NODE_LOCK_STMT:
      if (node.lock_stmt->mode == kAccessExclusiveLock) statement.kind = StatementKind::ddl;
      break;
    case PG_QUERY__NODE__NODE_INDEX_STMT:
      statement.refuses_block = node.index_stmt->concurrent != 0;
      break;
    case PG_QUERY__NODE__NODE_REINDEX_STMT:
      statement.refuses_block =
          reindex_refuses_block(*node.reindex_stmt) || is_partitioned(node.reindex_stmt->relation);
      break;
    case PG_QUERY__NODE__NODE_CLUSTER_STMT:
      statement.refuses_block =
          node.cluster_stmt->relation == nullptr || is_partitioned(node.cluster_stmt->relation);
      break;
    case PG_QUERY__NODE__NODE_VACUUM_STMT:
      statement.refuses_block = node.vacuum_stmt->is_vacuumcmd != 0;
      if (has_option(node.vacuum_stmt->options, node.vacuum_stmt->n_options, "full")) {
        statement.kind = StatementKind::ddl;
      }
      break;
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
      statement.refuses_block = detaches_concurrently(*node.alter_table_stmt);
      break;
    case PG_QUERY__NODE__NODE_ALTER_DATABASE_STMT:
      statement.refuses_block =
          has_option(node.alter_database_stmt->options, node.alter_database_stmt->n_options, "tablespace");
      if (statement.refuses_block) statement.kind = StatementKind::ddl;
      break;
    case PG_QUERY__NODE__NODE_DROP_STMT:
      statement.refuses_block = node.drop_stmt->concurrent != 0;
      statement.may_use_sequences = false;
      if (node.drop_stmt->remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX)
        statement.changes_catalogue = false;
      break;
    case PG_QUERY__NODE__NODE_COMMENT_STMT:
      refine_object(node.comment_stmt->objtype, statement);
      break;
    case PG_QUERY__NODE__NODE_SEC_LABEL_STMT:
      refine_object(node.sec_label_stmt->objtype, statement);
      break;
    case PG_QUERY__NODE__NODE_GRANT_STMT:
      refine_object(node.grant_stmt->objtype, statement);
      break;
    case PG_QUERY__NODE__NODE_RENAME_STMT:
      refine_object(node.rename_stmt->rename_type, statement);
      break;
    case PG_QUERY__NODE__NODE_ALTER_OWNER_STMT:
      refine_object(node.alter_owner_stmt->object_type, statement);
      break;
    default:
      break;
  }
}

}  // namespace

Statement apply_rules(const PgQuery__Node& node, const TreeFacts& facts,
                      const StatementCatalogue* catalogue) {
  Statement statement = Rules(facts, catalogue).of(node);
  statement.may_use_sequences |= facts.may_use_sequences;
  statement.parameters = facts.parameters;
  statement.names_settings |= facts.names_settings;
  statement.names_isolation |= facts.names_isolation;
  statement.advisory_locks = facts.advisory_locks;
  statement.large_objects = facts.large_objects;
  if (statement.kind == StatementKind::read) {
    statement.may_use_sequences = false;  // EXPLAIN of an INSERT
  } else {
    statement.flags.assign(facts.flags.begin(), facts.flags.end());
  }
  return statement;
}

}  // namespace pgtandem
