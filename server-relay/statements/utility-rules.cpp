#include "server-relay/statements/utility-rules.h"

#include <unordered_map>

namespace pgtandem {
namespace {

enum Trait : unsigned {
  kCatalogue = 1,
  kShared = 2,
  kRefuses = 4,
  kNeeds = 8,
  kSequences = 16,
  kSettings = 32,
};

struct Rule {
  StatementKind kind;
  unsigned traits;
};

/// DDL on objects that readers do not lock, or that are new, is an ordinary write.
const std::unordered_map<int, Rule>& rules() {
  using enum StatementKind;
  static const std::unordered_map<int, Rule> all{
      // This session alone.
      {PG_QUERY__NODE__NODE_LISTEN_STMT, {session, 0}},
      {PG_QUERY__NODE__NODE_UNLISTEN_STMT, {session, 0}},
      {PG_QUERY__NODE__NODE_LOAD_STMT, {session, 0}},
      {PG_QUERY__NODE__NODE_CHECK_POINT_STMT, {session, 0}},
      {PG_QUERY__NODE__NODE_VARIABLE_SET_STMT, {session, 0}},
      {PG_QUERY__NODE__NODE_DISCARD_STMT, {session, 0}},
      {PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT, {session, 0}},
      {PG_QUERY__NODE__NODE_DEALLOCATE_STMT, {session, 0}},
      {PG_QUERY__NODE__NODE_PREPARE_STMT, {session, 0}},
      {PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT, {session, kNeeds}},
      {PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT, {read, 0}},
      {PG_QUERY__NODE__NODE_FETCH_STMT, {fetch, 0}},
      {PG_QUERY__NODE__NODE_EXECUTE_STMT, {execute, kSequences}},
      // Whatever they run.
      {PG_QUERY__NODE__NODE_CALL_STMT, {opaque, kCatalogue | kSequences}},
      {PG_QUERY__NODE__NODE_DO_STMT, {opaque, kCatalogue | kSequences}},
      // Rows and remarks.
      {PG_QUERY__NODE__NODE_NOTIFY_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_COMMENT_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_SEC_LABEL_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_GRANT_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_ALTER_DEFAULT_PRIVILEGES_STMT, {write, 0}},
      // New relations; functions, types and the like.
      {PG_QUERY__NODE__NODE_CREATE_STMT, {write, kCatalogue | kSequences}},
      {PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT, {write, kCatalogue | kSequences}},
      {PG_QUERY__NODE__NODE_CREATE_SEQ_STMT, {write, kCatalogue | kSequences}},
      {PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT, {write, kCatalogue | kSequences}},
      {PG_QUERY__NODE__NODE_CREATE_FOREIGN_TABLE_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_IMPORT_FOREIGN_SCHEMA_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_ALTER_FUNCTION_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_CAST_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_CONVERSION_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_TRANSFORM_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_DOMAIN_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_ENUM_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_RANGE_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_ALTER_ENUM_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_OP_CLASS_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_OP_FAMILY_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_ALTER_OP_FAMILY_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_ALTER_OPERATOR_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_DEFINE_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_PLANG_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_AM_STMT, {write, kCatalogue}},
      {PG_QUERY__NODE__NODE_CREATE_STATS_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_ALTER_STATS_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_ALTER_COLLATION_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_ALTER_TSDICTIONARY_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_ALTER_TSCONFIGURATION_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_CREATE_FDW_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_ALTER_FDW_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_CREATE_FOREIGN_SERVER_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_ALTER_FOREIGN_SERVER_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_CREATE_USER_MAPPING_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_ALTER_USER_MAPPING_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_DROP_USER_MAPPING_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_CREATE_PUBLICATION_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_ALTER_PUBLICATION_STMT, {write, 0}},
      // What concerns all databases.
      {PG_QUERY__NODE__NODE_CREATE_ROLE_STMT, {write, kShared}},
      {PG_QUERY__NODE__NODE_ALTER_ROLE_STMT, {write, kShared}},
      {PG_QUERY__NODE__NODE_DROP_ROLE_STMT, {write, kShared}},
      {PG_QUERY__NODE__NODE_GRANT_ROLE_STMT, {write, kShared}},
      {PG_QUERY__NODE__NODE_ALTER_ROLE_SET_STMT, {write, kShared | kSettings}},
      {PG_QUERY__NODE__NODE_ALTER_DATABASE_SET_STMT, {write, kShared | kSettings}},
      {PG_QUERY__NODE__NODE_ALTER_DATABASE_STMT, {write, kShared}},
      {PG_QUERY__NODE__NODE_ALTER_DATABASE_REFRESH_COLL_STMT, {write, kShared}},
      {PG_QUERY__NODE__NODE_CREATEDB_STMT, {ddl, kShared | kRefuses}},
      {PG_QUERY__NODE__NODE_DROPDB_STMT, {ddl, kShared | kRefuses}},
      {PG_QUERY__NODE__NODE_CREATE_TABLE_SPACE_STMT, {write, kShared | kRefuses}},
      {PG_QUERY__NODE__NODE_DROP_TABLE_SPACE_STMT, {write, kShared | kRefuses}},
      {PG_QUERY__NODE__NODE_ALTER_TABLE_SPACE_OPTIONS_STMT, {write, kShared}},
      {PG_QUERY__NODE__NODE_ALTER_SYSTEM_STMT, {write, kShared | kRefuses}},
      {PG_QUERY__NODE__NODE_CREATE_SUBSCRIPTION_STMT, {write, kShared | kRefuses}},
      {PG_QUERY__NODE__NODE_ALTER_SUBSCRIPTION_STMT, {write, kShared | kRefuses}},
      {PG_QUERY__NODE__NODE_DROP_SUBSCRIPTION_STMT, {write, kShared | kRefuses}},
      {PG_QUERY__NODE__NODE_DROP_OWNED_STMT, {ddl, kShared | kCatalogue}},
      {PG_QUERY__NODE__NODE_REASSIGN_OWNED_STMT, {ddl, kShared | kCatalogue}},
      // Locks in conflict with readers, or waits for their snapshots; no name or volatility changes.
      {PG_QUERY__NODE__NODE_INDEX_STMT, {ddl, 0}},
      {PG_QUERY__NODE__NODE_REINDEX_STMT, {ddl, 0}},
      {PG_QUERY__NODE__NODE_CLUSTER_STMT, {ddl, 0}},
      {PG_QUERY__NODE__NODE_TRUNCATE_STMT, {ddl, kSequences}},
      {PG_QUERY__NODE__NODE_LOCK_STMT, {write, kNeeds}},
      {PG_QUERY__NODE__NODE_VACUUM_STMT, {write, 0}},
      {PG_QUERY__NODE__NODE_REFRESH_MAT_VIEW_STMT, {ddl, kSequences}},
      {PG_QUERY__NODE__NODE_ALTER_TABLE_MOVE_ALL_STMT, {ddl, 0}},
      {PG_QUERY__NODE__NODE_CREATE_EVENT_TRIG_STMT, {ddl, 0}},
      {PG_QUERY__NODE__NODE_ALTER_EVENT_TRIG_STMT, {ddl, 0}},
  };
  return all;
}

}  // namespace

Statement rule_of_utility(PgQuery__Node__NodeCase type) {
  const auto found = rules().find(type);
  const Rule rule =
      found != rules().end() ? found->second : Rule{StatementKind::ddl, kCatalogue | kSequences};
  Statement statement{.kind = rule.kind};
  statement.refuses_block = (rule.traits & kRefuses) != 0;
  statement.needs_block = (rule.traits & kNeeds) != 0;
  statement.may_use_sequences = (rule.traits & kSequences) != 0;
  statement.names_settings = (rule.traits & kSettings) != 0;
  statement.changes_catalogue = (rule.traits & kCatalogue) != 0;
  statement.shared_objects = (rule.traits & kShared) != 0;
  return statement;
}

bool is_shared_object(PgQuery__ObjectType type) {
  switch (type) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_ROLE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_DATABASE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABLESPACE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_PARAMETER_ACL:
    case PG_QUERY__OBJECT_TYPE__OBJECT_SUBSCRIPTION:
      return true;
    default:
      return false;
  }
}

}  // namespace pgtandem
