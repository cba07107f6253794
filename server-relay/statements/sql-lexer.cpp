#include "server-relay/statements/sql-lexer.h"

#include <algorithm>

namespace pgtandem {
namespace {

/// Longer runs are hostile: names of operators end at 63, and a remark's frame at a line's length.
constexpr std::size_t kLongestRun = 256;
constexpr std::uint64_t kHopeless = 1'000'000'000;
constexpr std::uint64_t kTimePerByte = 5;
constexpr std::string_view kOperatorBytes = "~!@#^&|`?+-*/%<>=";
constexpr std::string_view kSigns = "()[],;:.";

char folded(char c) {
  return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
}

}  // namespace

bool starts_word(char c) {
  const char lower = folded(c);
  return (lower >= 'a' && lower <= 'z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool continues_word(char c) {
  return starts_word(c) || is_digit(c) || c == '$';
}

bool is_sql_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

bool equals_folded(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) { return folded(a) == b; });
}

SqlToken SqlLexer::next() {
  skip_blanks();
  if (at_ >= text_.size()) return {};
  const std::size_t start = at_;
  const char c = text_[at_];
  SqlToken::Kind kind = SqlToken::Kind::operation;
  if (starts_word(c)) {
    kind = word_or_prefixed_string();
  } else if (c == '\'') {
    skip_quoted('\'', false);
    kind = SqlToken::Kind::string;
  } else if (c == '"') {
    skip_quoted('"', false);
    kind = SqlToken::Kind::quoted_identifier;
  } else if (is_digit(c)) {
    skip_number();
    kind = SqlToken::Kind::number;
  } else if (c == '$') {
    kind = dollar();
  } else if (kSigns.find(c) != std::string_view::npos) {
    ++at_;
    kind = SqlToken::Kind::sign;
  } else {
    skip_operator();
  }
  return {kind, text_.substr(start, at_ - start)};
}

void SqlLexer::skip_blanks() {
  while (at_ < text_.size()) {
    if (is_sql_blank(text_[at_])) {
      ++at_;
    } else if (at('/') && at('*', 1)) {
      skip_comment();
    } else if (!skip_line_comment()) {
      return;
    }
  }
}

/// /* ... */, which nests.
void SqlLexer::skip_comment() {
  std::size_t depth = 0;
  while (at_ < text_.size()) {
    if (at('/') && at('*', 1)) {
      ++depth;
      lost_time_ += kTimePerByte * count_run();
      if (lost_time_ >= kHopeless) break;
      at_ += 2;
    } else if (at('*') && at('/', 1)) {
      at_ += 2;
      if (--depth == 0) return;
    } else {
      ++at_;
    }
  }
  at_ = text_.size();
}

bool SqlLexer::skip_line_comment() {
  if (!at('-') || !at('-', 1)) return false;
  at_ = std::min(text_.find_first_of("\n\r", at_), text_.size());
  return true;
}

/// From the opening quote to behind the closing one; a doubled quote is none.
void SqlLexer::skip_quoted(char quote, bool backslashes) {
  for (++at_; at_ < text_.size(); ++at_) {
    if (backslashes && text_[at_] == '\\') {
      ++at_;
    } else if (text_[at_] == quote) {
      if (!at(quote, 1)) {
        ++at_;
        return;
      }
      ++at_;
    }
  }
  at_ = text_.size();  // a backslash may have stood last
}

/// E'...', with the parts that follow on other lines: backslashes escape in them too.
void SqlLexer::skip_escape_string() {
  do {
    skip_quoted('\'', true);
  } while (skip_to_continuation());
}

/// To the quote that continues a string after blanks and comments with a line break among them. Leaves the
/// place as it is if there is none.
bool SqlLexer::skip_to_continuation() {
  const std::size_t start = at_;
  bool line_break = false;
  while (at_ < text_.size()) {
    if (is_sql_blank(text_[at_])) {
      line_break = line_break || at('\n') || at('\r');
      ++at_;
    } else if (!skip_line_comment()) {
      break;
    }
  }
  if (line_break && at('\'')) return true;
  at_ = start;
  return false;
}

SqlToken::Kind SqlLexer::word_or_prefixed_string() {
  const char prefix = folded(text_[at_]);
  if (at('\'', 1) && (prefix == 'e' || prefix == 'b' || prefix == 'x' || prefix == 'n')) {
    ++at_;
    if (prefix == 'e') {
      skip_escape_string();
    } else {
      skip_quoted('\'', false);
    }
    return SqlToken::Kind::string;
  }
  if (prefix == 'u' && at('&', 1) && (at('\'', 2) || at('"', 2))) {
    const char quote = text_[at_ + 2];
    at_ += 2;
    skip_quoted(quote, false);
    return quote == '"' ? SqlToken::Kind::quoted_identifier : SqlToken::Kind::string;
  }
  while (at_ < text_.size() && continues_word(text_[at_])) ++at_;
  return SqlToken::Kind::word;
}

SqlToken::Kind SqlLexer::dollar() {
  if (at_ + 1 < text_.size() && is_digit(text_[at_ + 1])) {
    ++at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    return SqlToken::Kind::parameter;
  }
  if (skip_dollar_string()) return SqlToken::Kind::string;
  ++at_;
  return SqlToken::Kind::operation;
}

/// $tag$ ... $tag$
bool SqlLexer::skip_dollar_string() {
  std::size_t end = at_ + 1;
  if (end < text_.size() && starts_word(text_[end])) {
    while (end < text_.size() && continues_word(text_[end]) && text_[end] != '$') ++end;
  }
  if (end >= text_.size() || text_[end] != '$') return false;
  const std::string_view tag = text_.substr(at_, end + 1 - at_);
  const std::size_t close = text_.find(tag, end + 1);
  at_ = close == std::string_view::npos ? text_.size() : close + tag.size();
  return true;
}

/// Operator bytes from here on, at most kLongestRun.
std::size_t SqlLexer::count_run() {
  std::size_t run = 0;
  while (run < kLongestRun && at_ + run < text_.size() &&
         kOperatorBytes.find(text_[at_ + run]) != std::string_view::npos) {
    ++run;
  }
  if (run == kLongestRun) lost_time_ += kHopeless;
  return run;
}

/// An operator ends where a comment begins.
void SqlLexer::skip_operator() {
  if (kOperatorBytes.find(text_[at_]) == std::string_view::npos) {
    ++at_;
    return;
  }
  const std::size_t run = count_run();
  lost_time_ += kTimePerByte * run * run;
  if (lost_time_ >= kHopeless) {
    at_ = text_.size();
    return;
  }
  do {
    ++at_;
  } while (at_ < text_.size() && kOperatorBytes.find(text_[at_]) != std::string_view::npos &&
           !(at('-') && at('-', 1)) && !(at('/') && at('*', 1)));
}

void SqlLexer::skip_number() {
  while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
}

}  // namespace pgtandem
