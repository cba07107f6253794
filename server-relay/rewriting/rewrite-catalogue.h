/// What a database's catalogue says about the sources: functions of their names, and columns whose DEFAULT
/// has one. Names are looked up without search_path, as StatementCatalogue does it.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/result.h"
#include "server-relay/rewriting/source.h"
#include "server-relay/statements/statement-catalogue.h"

namespace pgtandem {

/// The answers to the two queries below.
struct RewriteCatalogueRows {
  CatalogueRows functions;
  CatalogueRows columns;
};

/// A column DEFAULT that has a source.
struct RewrittenDefault {
  /// The expression; nothing where it cannot be written with constants in the place of its sources.
  std::vector<ReplacementPart> parts = {};
  bool has_once = false;     ///< clock_timestamp(), random(), uuids
  bool has_time = false;     ///< the transaction's time
  bool has_nextval = false;  ///< so that the order of evaluation matters

  bool is_replaceable() const { return !parts.empty(); }
};

struct RewriteTable {
  struct Column {
    std::string name;
    std::optional<RewrittenDefault> rewritten = {};  ///< where its DEFAULT has a source
  };
  std::string schema;
  /// A table or partitioned table without rules and grants on columns: naming one more column changes
  /// nothing.
  bool may_name_columns = false;
  bool is_view = false;  ///< upon a table with such a DEFAULT: which columns are left out is not known
  std::vector<Column> columns = {};  ///< in their order; empty where no DEFAULT has a source
};

/// Immutable and thread-safe.
class RewriteCatalogue {
 public:
  static Result<std::shared_ptr<const RewriteCatalogue>> from_rows(const RewriteCatalogueRows& rows);

  // An empty schema stands for a name that is not qualified.
  /// The schema of the function that a call with so many arguments means, where it is one of PostgreSQL's own
  /// or a uuid generator of an extension, and no other function may be meant.
  std::optional<std::string> home_of_function(std::string_view schema, std::string_view name,
                                              std::size_t arguments) const;
  /// Cheap. A relation that may be meant has a column whose DEFAULT has a source.
  bool relation_has_rewritten_default(std::string_view schema, std::string_view name) const;
  /// The one relation that is meant; null where that is not certain, or no DEFAULT of it has a source.
  const RewriteTable* table(std::string_view schema, std::string_view name) const;
  bool has_rewritten_defaults() const { return has_rewritten_defaults_; }

 private:
  struct Function {
    std::string schema;
    std::size_t least_arguments;
    std::size_t most_arguments;
    bool trusted;
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>{}(name); }
  };
  template <typename Value>
  using ByName = std::unordered_map<std::string, std::vector<Value>, NameHash, std::equal_to<>>;

  Result<void> add_functions(CatalogueRows rows);
  Result<void> add_columns(CatalogueRows rows);

  ByName<Function> functions_;
  ByName<RewriteTable> relations_;
  bool has_rewritten_defaults_ = false;
};

// For PostgreSQL 12 to 18, without parameters, over a connection whose search_path is pg_catalog alone.

/// name, schema, least and most arguments, 't' if it is PostgreSQL's own or a uuid generator written in C
/// (uuid-ossp, pgcrypto), else 'f': of functions with a source's name.
extern const char* const kRewriteFunctionsSql;
/// schema, relation, 't' if columns may be named (RewriteTable), 'v' if it is a view upon such a table, else
/// 'f'; column or empty, its default where that may have a source: of relations that have such a column, in
/// its order, of views upon them, and of others of the same names.
extern const char* const kRewriteColumnsSql;
/// One value that is another after any change to what the two queries tell.
extern const char* const kRewriteCatalogueVersionSql;

}  // namespace pgtandem
