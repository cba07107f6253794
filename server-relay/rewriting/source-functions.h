/// Which functions are sources.
#pragma once
#include <optional>
#include <string>

#include "server-relay/rewriting/rewrite-catalogue.h"
#include "server-relay/rewriting/source.h"
#include "server-relay/statements/parse-tree.h"

namespace pgtandem {

/// The transaction's time and the statement's.
Source transaction_time();
Source statement_time();

/// An oid of no large object, as an expression; it takes nothing from the session's series of random().
extern const char* const kUnusedLargeObjectSql;
/// That, for lo_creat(mode), lo_create(0), lo_from_bytea(0, ...) and lo_import(file).
Source unused_large_object();
/// The call leaves it to the server which oid a large object gets.
bool lets_server_choose_oid(const PgQuery__FuncCall& call);

/// Flag of a function that two servers compute differently and this module may replace: "now",
/// "clock_timestamp", "random" or "uuid"; else empty.
std::string_view flag_of_source_function(const PgQuery__FuncCall& call);

/// The source that the call at the tokens first to last is; nothing where it cannot be replaced: an argument
/// is not constant, or a function of another schema may be meant. Null catalogue: only what every server has
/// is replaced, and taken to be PostgreSQL's own.
std::optional<Source> source_of_call(const PgQuery__FuncCall& call, const TokenList& tokens,
                                     std::size_t first, std::size_t last, const RewriteCatalogue* catalogue);

}  // namespace pgtandem
