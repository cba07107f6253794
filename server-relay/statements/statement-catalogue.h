/// What a database's catalogue says about the functions, operators, types and relations that a text names:
/// enough to prove that a query writes nothing (hard point 22). Names are looked up without search_path: an
/// unqualified name must be safe in every schema, a qualified one in its own.
#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/result.h"

namespace pgtandem {

/// Rows as a service connection returns them.
using CatalogueRows = std::span<const std::vector<std::string>>;

/// The answers to the queries below.
struct StatementCatalogueRows {
  CatalogueRows functions;
  CatalogueRows operators;
  CatalogueRows types;
  CatalogueRows relations;
  CatalogueRows row_keys = {};
};

/// Immutable and thread-safe.
class StatementCatalogue {
 public:
  /// More objects of one sort than any database we have heard of; a bound for memory.
  static constexpr std::size_t kMaxRows = 1'000'000;

  /// Reads the answers to the queries below. Views are judged when they are first asked for.
  static Result<std::shared_ptr<const StatementCatalogue>> from_rows(const StatementCatalogueRows& rows);

  // An empty schema stands for a name that is not qualified.
  /// Known, and no candidate may write: none is volatile, save for functions of PostgreSQL's own that are
  /// known to be harmless or to change this session alone (set_config).
  bool function_is_safe(std::string_view schema, std::string_view name) const;
  /// Every candidate is PostgreSQL's own.
  bool function_is_own(std::string_view name) const;
  /// Some candidate is not.
  bool function_is_users(std::string_view name) const;
  /// `x.name` cannot be a call of a volatile function that takes the row x.
  bool attribute_is_safe(std::string_view name) const;
  /// No candidate's function is volatile.
  bool operator_is_safe(std::string_view schema, std::string_view name) const;
  /// A cast to it runs no volatile function. Where one domain's check may write, no type but PostgreSQL's own
  /// is safe: any may hold that domain.
  bool type_is_safe(std::string_view schema, std::string_view name) const;
  /// Known, and reading it writes nothing: a table, partition, sequence or materialized view without row
  /// security and foreign children, or a view whose definition passes the whole test.
  bool relation_is_safe(std::string_view schema, std::string_view name) const;
  /// The relation is known to be a plain table or partition without row security: COPY TO may read it.
  bool relation_is_table(std::string_view schema, std::string_view name) const;
  bool relation_is_known(std::string_view schema, std::string_view name) const;
  /// Unknown, or UPDATE and DELETE on it may do more than change its rows: triggers, rules, cascading keys.
  bool relation_acts(std::string_view schema, std::string_view name) const;
  /// A partitioned table or index: REINDEX and CLUSTER of it refuse a transaction block.
  bool relation_is_partitioned(std::string_view schema, std::string_view name) const;
  /// Writing a row of it does nothing but that, and `columns` hold a unique key: at most one row has these
  /// values, and whoever wants it meets its lock.
  bool relation_has_key(std::string_view schema, std::string_view name,
                        std::span<const std::string_view> columns) const;
  /// It is the only one of this name, and `columns` are just those of one of its keys.
  bool relation_key_is(std::string_view schema, std::string_view name,
                       std::span<const std::string_view> columns) const;
  /// No key, unique or foreign, constraint of exclusion or generated value of it has this column.
  bool column_is_no_key(std::string_view schema, std::string_view name, std::string_view column) const;
  /// Two rows of it exclude each other by nothing, and none refers to another relation's.
  bool relation_has_no_keys(std::string_view schema, std::string_view name) const;
  /// A new row does nothing but become one: no default takes a sequence's next value or runs a user's
  /// function.
  bool relation_takes_plain_rows(std::string_view schema, std::string_view name) const;
  /// False where a volatile implicit cast or a volatile operator of an index operator class exists: any query
  /// may then run it unnamed.
  bool implicit_calls_are_safe() const { return implicit_calls_are_safe_; }

 private:
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
  };
  template <typename Value>
  using ByName = std::unordered_map<std::string, std::vector<Value>, NameHash, std::equal_to<>>;

  struct Function {
    std::string schema;
    bool safe;
    bool takes_row;
  };
  /// An SQL text judged at most a few times: threads that race find the same.
  struct JudgedText {
    explicit JudgedText(std::string sql_text) : sql(std::move(sql_text)) {}
    std::string sql;
    mutable std::atomic<std::uint8_t> verdict{0};
  };
  struct Relation {
    std::string schema;
    char form;  ///< as kStatementRelationsSql tells
    bool acts;
    const JudgedText* view;  ///< null where it is none
    std::vector<std::vector<std::string>> keys = {};
    bool takes_plain_rows = false;
    bool keys_are_all = false;                ///< nothing but `keys` makes two rows exclude each other
    std::vector<std::string> refers_by = {};  ///< columns of its foreign keys
  };

  Result<void> add_functions(CatalogueRows rows);
  Result<void> add_operators(CatalogueRows rows);
  Result<void> add_types(CatalogueRows rows);
  Result<void> add_relations(CatalogueRows rows);
  Result<void> add_row_keys(CatalogueRows rows);
  bool is_read(const JudgedText& text) const;
  template <typename Value, typename Test>
  bool all_of(const ByName<Value>& names, std::string_view schema, std::string_view name, bool if_none,
              Test test) const;

  ByName<Function> functions_;
  ByName<std::string> volatile_operators_;
  ByName<std::string> volatile_cast_targets_;
  ByName<Relation> relations_;
  std::deque<JudgedText> views_;
  std::deque<JudgedText> domain_checks_;
  bool implicit_calls_are_safe_ = true;
};

// For PostgreSQL 12 to 18, without parameters, over a connection whose search_path is pg_catalog alone. Each
// gives the rows that from_rows wants; all but the relations take a few milliseconds in a database of the
// usual size.

/// schema, name, 'v' if a candidate (or what an aggregate is made of) is volatile else 's', 't' if a volatile
/// candidate takes a row alone else 'f'. Procedures are left out.
extern const char* const kStatementFunctionsSql;
/// schema, name of operators whose function is volatile; two empty strings if an index operator class has
/// one.
extern const char* const kStatementOperatorsSql;
/// schema, name, 'c' (the target of a volatile cast), 'i' (the same, used implicitly) or 'd' (a domain), and
/// the domain's check as an expression.
extern const char* const kStatementTypesSql;
/// schema, name, form, 't' if it acts (relation_acts) else 'f', definition of a view. Form is 'r' table,
/// 'p' partitioned table, 'm' materialized view, 'S' sequence, 'I' partitioned index, 'v' view, 'u' anything
/// else.
extern const char* const kStatementRelationsSql;
/// Of plain tables of users whose constraints run no user's function: schema, name, 't' if
/// relation_takes_plain_rows else 'f', the columns of its unique keys (a key a line, columns between tabs)
/// that hold no two rows whose columns `=` takes for equal, 't' if nothing else makes two rows exclude each
/// other and no column is generated else 'f', the columns of its foreign keys (tabs between).
extern const char* const kStatementRowKeysSql;
/// One value that is another after any change to what these queries tell: cheap enough to be asked every
/// few seconds, since functions may contain DDL.
extern const char* const kStatementCatalogueVersionSql;

}  // namespace pgtandem
