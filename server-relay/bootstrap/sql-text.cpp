#include "server-relay/bootstrap/sql-text.h"

#include <algorithm>
#include <cctype>
#include <regex>

namespace pgtandem::bootstrap {
namespace {

bool is_word_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
         (static_cast<unsigned char>(c) & 0x80U) != 0;
}
bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

std::string doubled(std::string_view text, char quote) {
  std::string out;
  for (const char c : text) {
    if (c == quote) out.push_back(c);
    out.push_back(c);
  }
  return out;
}

/// Where the quoted text that opens at `at` ends (one behind the closing quote, or the end of the text).
std::size_t end_of_quoted(std::string_view text, std::size_t at, bool backslashes) {
  const char quote = text[at];
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (backslashes && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (i + 1 == text.size() || text[i + 1] != quote) return i + 1;
      ++i;
    }
  }
  return text.size();
}

/// A quote at `at` opens an E'' literal: the letter stands alone before it.
bool is_escape_literal(std::string_view text, std::size_t at) {
  return at > 0 && (text[at - 1] == 'E' || text[at - 1] == 'e') && (at < 2 || !is_word_char(text[at - 2]));
}

std::size_t end_of_line(std::string_view text, std::size_t at) {
  const std::size_t end = text.find('\n', at);
  return end == std::string_view::npos ? text.size() : end + 1;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string quote_identifier(std::string_view name) {
  return "\"" + doubled(name, '"') + "\"";
}

std::string quote_literal(std::string_view text) {
  if (text.find('\\') == std::string_view::npos) return "'" + doubled(text, '\'') + "'";
  return "E'" + doubled(doubled(text, '\\'), '\'') + "'";
}

std::vector<std::string> split_statements(std::string_view script) {
  std::vector<std::string> statements;
  std::string current;
  const auto end_statement = [&] {
    const std::string_view body = trimmed(current);
    if (!body.empty()) statements.emplace_back(body);
    current.clear();
  };
  std::size_t i = 0;
  while (i < script.size()) {
    const char c = script[i];
    std::size_t next = i + 1;
    if (c == '-' && next < script.size() && script[next] == '-') {
      i = end_of_line(script, i);
      continue;
    }
    const bool command = c == '\\' && trimmed(current).empty();
    if (command) next = end_of_line(script, i);
    if (c == '\'' || c == '"') next = end_of_quoted(script, i, c == '\'' && is_escape_literal(script, i));
    current.append(script.substr(i, next - i));
    if (command || c == ';') end_statement();
    i = next;
  }
  end_statement();
  return statements;
}

std::vector<SqlToken> tokenize(std::string_view statement) {
  std::vector<SqlToken> tokens;
  std::size_t i = 0;
  while (i < statement.size()) {
    const char c = statement[i];
    std::size_t next = i + 1;
    SqlToken token{SqlToken::Kind::other, std::string(1, c), i};
    if (is_blank(c)) {
      i = next;
      continue;
    }
    if (c == '"') {
      next = end_of_quoted(statement, i, false);
      token.kind = SqlToken::Kind::identifier;
      token.text.clear();
      for (std::size_t k = i + 1; k + 1 < next; ++k) {
        token.text.push_back(statement[k]);
        if (statement[k] == '"') ++k;
      }
    } else if (c == '\'' || ((c == 'E' || c == 'e') && next < statement.size() && statement[next] == '\'')) {
      const std::size_t quote = c == '\'' ? i : next;
      next = end_of_quoted(statement, quote, quote != i);
      token = {SqlToken::Kind::literal, std::string(statement.substr(i, next - i)), i};
    } else if (is_word_char(c)) {
      while (next < statement.size() && is_word_char(statement[next])) ++next;
      token = {SqlToken::Kind::word, std::string(statement.substr(i, next - i)), i};
    }
    tokens.push_back(std::move(token));
    i = next;
  }
  return tokens;
}

std::string safe_excerpt(std::string_view text, std::size_t limit) {
  static const std::regex kVerifier(R"(SCRAM-SHA-256\$[^\s'"]*|md5[0-9a-fA-F]{32})");
  // A verifier that the cut would split must not escape the pattern: hide first, cut second.
  std::string out = std::regex_replace(std::string(trimmed(text)), kVerifier, "(hidden)");
  std::ranges::replace_if(
      out, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
  if (out.size() > limit) {
    std::size_t cut = limit;
    while (cut > 0 && (static_cast<unsigned char>(out[cut]) & 0xC0U) == 0x80U) --cut;
    out.resize(cut);
    out += " ...";
  }
  return out;
}

}  // namespace pgtandem::bootstrap
