/// Makes the text of a write give the same on both servers, by replacing what each would compute differently
/// (design: "What depends on the server"). All else of the text stays, byte for byte. Pure and thread-safe;
/// needs kParseStack bytes of stack.
///
/// Replaced are
/// - the transaction's time, everywhere: now(), CURRENT_TIMESTAMP and its like, 'now' and 'today' as
/// constants
///   of a type written beside them. statement_timestamp() too, by the time of the evaluation;
/// - clock_timestamp(), timeofday(), random() and uuids within VALUES of an INSERT, each call by a value of
///   its own;
/// - both in the DEFAULT of a column that an INSERT leaves out, or that it or an UPDATE names DEFAULT;
/// - clear text behind PASSWORD of a role.
/// DDL that stores an expression is left alone, and so are reads: the caller does not ask for them.
#pragma once
#include <cstdint>
#include <string_view>

#include "server-relay/rewriting/rewrite-catalogue.h"
#include "server-relay/rewriting/rewrite-plan.h"
#include "server-relay/statements/classify.h"

namespace pgtandem {

/// Calls with a value of their own in one text; one with more is left as it is. A row of the evaluation has
/// at most 1664 columns.
inline constexpr std::size_t kMaxOwnValues = 1000;

/// How the session's server would store a clear password; the master's settings.
struct PasswordSettings {
  std::string_view encryption = "scram-sha-256";  ///< password_encryption, in any of its spellings
  std::uint32_t iterations = 4096;                ///< scram_iterations
};

struct RewriteRequest {
  std::string_view text;
  TextDialect dialect = {};
  CharacterWidth width = CharacterWidth::utf8;  ///< of client_encoding
  RewriteClasses classes = {};
  /// Null: column defaults are not known, and only the functions that every server has are replaced.
  const RewriteCatalogue* catalogue = nullptr;
  PasswordSettings passwords = {};
};

/// Quick: false if rewrite_plan would surely give an empty plan with nothing in not_rewritten. The statement
/// is what classify said of the text.
bool may_need_rewriting(std::string_view text, const Statement& statement, const RewriteCatalogue* catalogue,
                        RewriteClasses classes);

RewritePlan rewrite_plan(const RewriteRequest& request);

}  // namespace pgtandem
