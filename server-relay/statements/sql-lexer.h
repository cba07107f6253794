/// Cuts an SQL text into tokens as PostgreSQL's scan.l does with standard_conforming_strings on; blanks and
/// comments are left out. It never fails: what the server would refuse comes out as some token.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pgtandem {

struct SqlToken {
  enum class Kind : unsigned char {
    end,
    word,               ///< a keyword or identifier that is not quoted
    quoted_identifier,  ///< "..." and U&"..."
    string,             ///< every sort of string constant, dollar quotes too
    number,
    parameter,  ///< $1
    sign,       ///< one of ( ) [ ] , ; : .
    operation,  ///< an operator, or any other byte
  };
  Kind kind = Kind::end;
  std::string_view text;
};

class SqlLexer {
 public:
  explicit SqlLexer(std::string_view text) : text_(text) {}
  SqlToken next();
  /// Nanoseconds that libpg_query's lexer loses, beyond its usual time for each byte, where it looks ahead
  /// over a run of operator bytes again and again: at each of its comments and operators. So far; estimated.
  /// Where it is beyond all measure, the tokens end there.
  std::uint64_t lost_time() const { return lost_time_; }

 private:
  bool at(char c, std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() && text_[at_ + ahead] == c;
  }
  void skip_blanks();
  void skip_comment();
  bool skip_line_comment();
  void skip_quoted(char quote, bool backslashes);
  void skip_escape_string();
  bool skip_to_continuation();
  bool skip_dollar_string();
  SqlToken::Kind word_or_prefixed_string();
  SqlToken::Kind dollar();
  void skip_operator();
  std::size_t count_run();
  void skip_number();

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint64_t lost_time_ = 0;
};

/// Letters, underscore and bytes from 0x80 up.
bool starts_word(char c);
bool continues_word(char c);
bool is_sql_blank(char c);
bool is_digit(char c);
/// ASCII letters only, as keywords are compared. `lower` is in lower case.
bool equals_folded(std::string_view text, std::string_view lower);

}  // namespace pgtandem
