/// The raw parse tree of a text, as libpg_query's protobuf-c messages, in memory of its own.
#pragma once
#include <memory>
#include <optional>
#include <pg_query/pg_query.pb-c.h>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pgtandem {

/// Movable; the messages live as long as the object.
class ParseTree {
 public:
  /// Nothing where PostgreSQL's grammar refuses the text. Requires parse_cost(text).is_bearable().
  static std::optional<ParseTree> parse(const std::string& text);

  std::span<PgQuery__RawStmt* const> statements() const { return {result_->stmts, result_->n_stmts}; }

 private:
  /// Unpacking asks for many small pieces and gives all back together.
  class Arena {
   public:
    void* take(std::size_t size);

   private:
    static constexpr std::size_t kBlock = 16384;

    std::vector<std::unique_ptr<std::byte[]>> blocks_;
    std::size_t used_ = kBlock;
  };

  std::unique_ptr<Arena> arena_;
  const PgQuery__ParseResult* result_ = nullptr;
};

/// The value of a String node, else empty.
std::string_view string_of(const PgQuery__Node* node);

/// schema.name as the parser gives it; a database's name in front of both is left out.
struct QualifiedName {
  std::string_view schema;
  std::string_view name;
};
QualifiedName qualified_name(PgQuery__Node* const* parts, std::size_t count);

/// The text of a string constant, a cast around it left out; nothing for anything else.
std::optional<std::string_view> string_constant(const PgQuery__Node* node);

/// An option as EXPLAIN, VACUUM and the like take it: on unless it says false, off or 0.
bool option_is_on(const PgQuery__DefElem& option);

}  // namespace pgtandem
