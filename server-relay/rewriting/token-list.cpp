#include "server-relay/rewriting/token-list.h"

#include <algorithm>

namespace pgtandem {

TokenList::TokenList(std::string_view text) : text_(text) {
  SqlLexer lexer(text);
  for (SqlToken token = lexer.next(); token.kind != SqlToken::Kind::end; token = lexer.next()) {
    const auto begin = std::size_t(token.text.data() - text.data());
    tokens_.push_back({token.kind, {begin, begin + token.text.size()}});
  }
}

std::optional<std::size_t> TokenList::at(int location) const {
  if (location < 0) return std::nullopt;
  const auto begin = std::size_t(location);
  const auto found =
      std::ranges::lower_bound(tokens_, begin, {}, [](const Token& t) { return t.span.begin; });
  if (found == tokens_.end() || found->span.begin != begin) return std::nullopt;
  return std::size_t(found - tokens_.begin());
}

bool TokenList::is_sign(std::size_t index, char sign) const {
  return index < size() && tokens_[index].kind == SqlToken::Kind::sign &&
         text_[tokens_[index].span.begin] == sign;
}

bool TokenList::is_word(std::size_t index, std::string_view lower) const {
  return index < size() && tokens_[index].kind == SqlToken::Kind::word &&
         equals_folded(text_of(index), lower);
}

bool TokenList::is_identifier(std::size_t index) const {
  return index < size() && (tokens_[index].kind == SqlToken::Kind::word ||
                            tokens_[index].kind == SqlToken::Kind::quoted_identifier);
}

bool TokenList::is_string(std::size_t index) const {
  return index < size() && tokens_[index].kind == SqlToken::Kind::string;
}

std::optional<std::size_t> TokenList::closing(std::size_t index) const {
  std::size_t depth = 0;
  for (; index < size(); ++index) {
    if (is_sign(index, '(') || is_sign(index, '[')) ++depth;
    if (!is_sign(index, ')') && !is_sign(index, ']')) continue;
    if (depth == 0) return std::nullopt;
    if (--depth == 0) return index;
  }
  return std::nullopt;
}

std::optional<std::size_t> TokenList::end_of_name(std::size_t index) const {
  if (!is_identifier(index)) return std::nullopt;
  while (is_sign(index + 1, '.')) {
    if (!is_identifier(index + 2)) return std::nullopt;
    index += 2;
  }
  return index;
}

std::optional<std::size_t> TokenList::end_of_call(std::size_t index) const {
  const auto name = end_of_name(index);
  return name && is_sign(*name + 1, '(') ? closing(*name + 1) : std::nullopt;
}

std::optional<std::size_t> TokenList::end_of_string(std::size_t index) const {
  if (!is_string(index)) return std::nullopt;
  while (is_string(index + 1)) ++index;
  if (is_word(index + 1, "uescape") && is_string(index + 2)) index += 2;
  return index;
}

std::string TokenList::comments(std::size_t first, std::size_t last) const {
  std::string out;
  for (std::size_t i = first; i < last; ++i) {
    const std::string_view gap = text({tokens_[i].span.end, tokens_[i + 1].span.begin});
    if (!std::ranges::all_of(gap, is_sql_blank)) out.append(gap);
  }
  return out;
}

std::string TokenList::joined(std::size_t first, std::size_t last) const {
  std::string out(text_of(first));
  for (std::size_t i = first + 1; i <= last; ++i) out.append(" ").append(text_of(i));
  return out;
}

}  // namespace pgtandem
