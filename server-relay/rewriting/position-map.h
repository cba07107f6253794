/// Places of a rewritten text back to those of the original, in characters: an error's 'P' field counts them
/// from 1 (PostgreSQL manual, "Error and Notice Message Fields").
#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

namespace pgtandem {

/// How many bytes a character of a text has.
enum class CharacterWidth : unsigned char {
  one_byte,
  utf8,
  unknown,  ///< of a text beyond ASCII, places are not known
};

/// For a client_encoding by any of its names.
CharacterWidth character_width(std::string_view client_encoding);

/// Requires that the width is known, or the text ASCII.
std::size_t count_characters(std::string_view text, CharacterWidth width);
bool is_ascii(std::string_view text);

class PositionMap {
 public:
  /// `original` characters, which begin `gap` characters after the last replaced ones, have become
  /// `rewritten` others.
  void add(std::size_t gap, std::size_t original, std::size_t rewritten);
  /// From 1; 0, which stands for none, stays. Within what was replaced: the first of the original's
  /// characters.
  std::size_t original(std::size_t position) const;

 private:
  struct Replaced {
    std::size_t rewritten_begin;
    std::size_t rewritten_end;
    std::size_t original_begin;
    std::size_t original_end;
  };
  std::vector<Replaced> replaced_;
};

}  // namespace pgtandem
