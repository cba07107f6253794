/// A source: something in a text that the two servers would compute each for itself, and what replaces it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server-relay/rewriting/token-list.h"

namespace pgtandem {

/// Which rewriting is wanted; the caller's settings decide.
struct RewriteClasses {
  bool time = true;             ///< the transaction's time
  bool volatile_values = true;  ///< clock_timestamp(), random(), uuids in the VALUES of an INSERT
  bool defaults = true;         ///< the same in column DEFAULTs
  bool passwords = true;        ///< PASSWORD 'clear text'
};

struct Source {
  bool once = false;       ///< each call has a value of its own; else all with the same expression share one
  std::string expression;  ///< evaluated on the master; its value as text is the same under all settings
  std::uint32_t type_oid = 0;
  std::string_view type;       ///< qualified, as the target of a cast
  std::string_view flag = {};  ///< as in Statement::flags
};

/// A part of what stands in the place of a source.
struct ReplacementPart {
  std::string text;  ///< in front of the source
  std::optional<Source> source = {};
};

struct Replacement {
  TextSpan span;  ///< empty where something is inserted
  std::vector<ReplacementPart> parts;
};

/// An identifier in quotes.
std::string quoted_identifier(std::string_view name);

}  // namespace pgtandem
