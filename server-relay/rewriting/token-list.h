/// The tokens of a text with their places: the parse tree says where something begins, the tokens say where
/// it ends. All lookups check what they find, since the tree and the lexer may disagree on odd texts; whoever
/// gets nothing leaves the text as it is.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server-relay/statements/sql-lexer.h"

namespace pgtandem {

/// Bytes from `begin` up to `end`.
struct TextSpan {
  std::size_t begin = 0;
  std::size_t end = 0;

  friend bool operator==(const TextSpan&, const TextSpan&) = default;
};

/// Keeps views of the text.
class TokenList {
 public:
  struct Token {
    SqlToken::Kind kind;
    TextSpan span;
  };

  explicit TokenList(std::string_view text);

  std::string_view text() const { return text_; }
  std::size_t size() const { return tokens_.size(); }
  const Token& operator[](std::size_t index) const { return tokens_[index]; }
  std::string_view text(TextSpan span) const { return text_.substr(span.begin, span.end - span.begin); }
  std::string_view text_of(std::size_t index) const { return text(tokens_[index].span); }

  /// The index of the token that begins at a location of the parse tree.
  std::optional<std::size_t> at(int location) const;
  bool is_sign(std::size_t index, char sign) const;
  /// The keyword `lower`, which is in lower case.
  bool is_word(std::size_t index, std::string_view lower) const;
  bool is_identifier(std::size_t index) const;
  bool is_string(std::size_t index) const;

  // All of these give the index of the last token of what begins at `index`.
  /// The bracket that closes the one at `index`.
  std::optional<std::size_t> closing(std::size_t index) const;
  /// name.name.name
  std::optional<std::size_t> end_of_name(std::size_t index) const;
  /// name.name(...)
  std::optional<std::size_t> end_of_call(std::size_t index) const;
  /// A string constant with its continuations on later lines and UESCAPE.
  std::optional<std::size_t> end_of_string(std::size_t index) const;

  /// From the first byte of one token to the last of another.
  TextSpan span(std::size_t first, std::size_t last) const {
    return {tokens_[first].span.begin, tokens_[last].span.end};
  }
  /// The comments between two tokens, with the blanks around them; empty if there are none.
  std::string comments(std::size_t first, std::size_t last) const;
  /// The tokens joined by blanks, without comments.
  std::string joined(std::size_t first, std::size_t last) const;

 private:
  std::string_view text_;
  std::vector<Token> tokens_;
};

}  // namespace pgtandem
