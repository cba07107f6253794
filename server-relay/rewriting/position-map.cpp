#include "server-relay/rewriting/position-map.h"

#include <algorithm>
#include <array>
#include <string>

#include "server-relay/statements/sql-lexer.h"

namespace pgtandem {

CharacterWidth character_width(std::string_view client_encoding) {
  using namespace std::string_view_literals;
  // As the server takes names: letters and digits alone count.
  std::string folded;
  for (const char c : client_encoding) {
    if (is_digit(c)) folded += c;
    if (starts_word(c) && c != '_') folded += char(c | 0x20);
  }
  if (folded == "utf8" || folded == "unicode") return CharacterWidth::utf8;
  static constexpr std::array kOneByte{"latin"sv, "iso8859"sv,  "win12"sv, "windows12"sv,
                                       "win8"sv,  "windows8"sv, "koi8"sv,  "abc"sv,
                                       "tcvn"sv,  "vscii"sv,    "alt"sv};
  const bool one_byte = std::ranges::any_of(kOneByte, [&](auto start) { return folded.starts_with(start); });
  return one_byte ? CharacterWidth::one_byte : CharacterWidth::unknown;
}

std::size_t count_characters(std::string_view text, CharacterWidth width) {
  if (width != CharacterWidth::utf8) return text.size();
  return std::size_t(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80U; });
}

void PositionMap::add(std::size_t gap, std::size_t original, std::size_t rewritten) {
  const Replaced before = replaced_.empty() ? Replaced{0, 0, 0, 0} : replaced_.back();
  const std::size_t rewritten_begin = before.rewritten_end + gap;
  const std::size_t original_begin = before.original_end + gap;
  replaced_.push_back(
      {rewritten_begin, rewritten_begin + rewritten, original_begin, original_begin + original});
}

std::size_t PositionMap::original(std::size_t position) const {
  if (position == 0) return 0;
  const std::size_t offset = position - 1;
  auto after = std::ranges::upper_bound(replaced_, offset, {}, &Replaced::rewritten_begin);
  if (after == replaced_.begin()) return position;
  const Replaced& last = *--after;
  if (offset < last.rewritten_end) return last.original_begin + 1;
  return last.original_end + (offset - last.rewritten_end) + 1;
}

}  // namespace pgtandem
