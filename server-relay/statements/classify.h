/// Tells what an SQL text may do, by PostgreSQL's own grammar (libpg_query) and a copy of the catalogue.
/// Thread-safe: libpg_query keeps its memory per thread. Needs kParseStack bytes of stack.
#pragma once
#include <string_view>

#include "server-relay/statements/statement-catalogue.h"
#include "server-relay/statements/statement.h"

namespace pgtandem {

/// Longer texts are not parsed but opaque, as are those whose parse would take too much time or stack
/// (parse_cost in lexical-scan.h).
inline constexpr std::size_t kMaxParsedText = 1U << 20;

/// How the session's server reads the bytes of a text where that differs from what the parser assumes
/// (ParameterStatus tells both).
struct TextDialect {
  bool standard_strings = true;  ///< standard_conforming_strings is on
  /// client_encoding keeps bytes below 0x80 for ASCII alone. Otherwise a quote may be half a character.
  bool ascii_safe = true;
};

/// False for the client encodings (BIG5, GB18030, GBK, JOHAB, SHIFT_JIS_2004, SJIS, UHC, by any of their
/// names) that use ASCII bytes inside characters.
bool encoding_is_ascii_safe(std::string_view client_encoding);

/// False if the server may read the text in another way than the parser does: such a text is opaque.
bool reads_alike(std::string_view text, TextDialect dialect);

/// Null catalogue: every function, operator and relation is unknown, so that SELECT 1 is a read, but SELECT
/// f() and SELECT a FROM t are writes.
Statement classify(std::string_view text, const StatementCatalogue* catalogue, TextDialect dialect = {});

}  // namespace pgtandem
