/// What a text's tokens tell without a parse. The lexer follows PostgreSQL's (manual, Lexical Structure) with
/// standard_conforming_strings on, as libpg_query reads it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server-relay/statements/statement.h"

namespace pgtandem {

/// Stack that a parse may take (measured: 2.5 KiB a level at most, at kMaxNesting levels).
inline constexpr std::size_t kParseStack = 4U << 20;
/// ParseCost::nesting of the deepest text that is parsed. libpg_query and protobuf-c recurse without a check
/// of the stack, and take time in the square of the depth: 5 ms at this one.
inline constexpr std::size_t kMaxNesting = 1000;

/// Longest estimated time of a parse: other sessions of the I/O thread wait that long. It lets lists of
/// 16,000 constants pass.
inline constexpr std::uint64_t kMaxParseNanoseconds = 50'000'000;

struct ParseCost {
  /// No less than the depth of the text's parse tree, in units of tokens: 1 + 1 + 1 nests as (1 + 1) + 1
  /// does. Lists, AND, OR and the branches of CASE do not add up, since the tree holds them side by side.
  std::size_t nesting = 0;
  std::uint64_t nanoseconds = 0;

  bool is_bearable() const { return nesting <= kMaxNesting && nanoseconds <= kMaxParseNanoseconds; }
};
ParseCost parse_cost(std::string_view text);

/// BEGIN, COMMIT, END, ROLLBACK, ABORT [WORK | TRANSACTION] and START TRANSACTION, with blanks and an
/// optional semicolon: half of what pgbench sends. Nothing where the parser has to tell.
std::optional<Statement> classify_by_words(std::string_view text);

/// INSERT INTO t [(a, b)] VALUES (...), ... of constants and parameters alone: a bulk load takes libpg_query
/// 0.4 us a byte, this a hundredth of it. Nothing where the parser has to tell.
std::optional<Statement> classify_insert_of_constants(std::string_view text);

/// One of the settings and views is named anywhere, in strings and comments too, that names_settings lists.
bool names_settings(std::string_view text);
/// Anywhere, in strings and comments too, in upper or lower case.
bool mentions(std::string_view text, std::string_view lower_case_word);
/// "isolation" stands anywhere: for texts that are not parsed.
bool mentions_isolation(std::string_view text);

/// Writes to `key` the text with whole numbers (not those of $1, 1e5 or x1) replaced by 0: texts with the
/// same key have the same Statement. False, and the text itself must be the key, where that is not certain:
/// it does not begin with SELECT, INSERT, UPDATE, DELETE, VALUES or WITH, or has comments, quoted
/// identifiers, backslashes or dollar quotes.
bool generalise_numbers(std::string_view text, std::string& key);

/// The whole numbers that generalise_numbers() replaces, in their order, at most `most`. Of a text that it
/// refuses: always the same ones.
std::vector<std::string_view> whole_numbers(std::string_view text, std::size_t most);

}  // namespace pgtandem
