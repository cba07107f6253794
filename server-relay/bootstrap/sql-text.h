/// Quoting and splitting of SQL text, as psql reads a dump with standard_conforming_strings on. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pgtandem::bootstrap {

/// "name", quotes doubled.
std::string quote_identifier(std::string_view name);
/// 'text', quotes doubled; E'...' where there is a backslash.
std::string quote_literal(std::string_view text);

/// The statements of a script without their comments, each with its semicolon; a line that begins with a
/// backslash (a psql command) is an element of its own. What is behind the last semicolon is the last
/// element, if it is not blank.
std::vector<std::string> split_statements(std::string_view script);

/// Words of a statement: keywords in upper case as they are written, identifiers unquoted, literals as
/// written.
struct SqlToken {
  enum class Kind { word, identifier, literal, other };
  Kind kind = Kind::other;
  std::string text;
  std::size_t begin = 0;  ///< where it stands in the statement
};
std::vector<SqlToken> tokenize(std::string_view statement);

/// Error texts of psql and servers quote the statement: password verifiers are replaced by "(hidden)",
/// control characters by spaces, and what is longer than `limit` bytes is cut.
std::string safe_excerpt(std::string_view text, std::size_t limit = 600);

}  // namespace pgtandem::bootstrap
