/// The messages that a rewritten text changes (PostgreSQL manual, "Message Formats"). Bodies are without type
/// and length. Malformed ones are refused, or left as they are: the server, or the client, says what it
/// thinks of them.
///
///   Parse                = name NUL query NUL count:int16 (type:int32)*
///   Bind                 = portal NUL name NUL formats values formats
///   formats              = count:int16 (format:int16)*
///   values               = count:int16 (length:int32 byte*)*
///   ParameterDescription = count:int16 (type:int32)*
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "server-relay/rewriting/rewrite-plan.h"

namespace pgtandem {

struct RewrittenParse {
  std::string body;
  unsigned original_parameters = 0;  ///< as the client's text and types have them; kept for Bind
  PositionMap positions;             ///< kept for errors of this statement
};

/// The body of a Parse with parameter_text() as its query. Requires that the plan was made for its text.
Result<RewrittenParse> rewrite_parse(const RewritePlan& plan, ByteSpan body);

/// The same with a text that has constants: the values are of this Parse.
Result<RewrittenParse> rewrite_parse(const RewritePlan& plan, ByteSpan body, RewriteValues values);

/// The body of a Bind with the values behind its own. Fails where the number of its own is not
/// `original_parameters`: as it came, the server refuses it.
Result<std::string> rewrite_bind(ByteSpan body, unsigned original_parameters, RewriteValues values);

/// The body of a ParameterDescription without the added parameters.
std::string cut_parameter_description(ByteSpan body, unsigned original_parameters);

/// The body of an ErrorResponse or NoticeResponse with its position in the original text.
std::string restore_position(ByteSpan body, const PositionMap& positions);

/// A FunctionCall by which a frontend makes a large object, as libpq's lo_creat() does: the server would
/// choose its oid. lo_creat(mode), lo_create(0) and lo_from_bytea(0, data), by their numbers in pg_proc.dat.
bool makes_large_object(ByteSpan function_call_body);
/// The same with `oid` (digits) as that of the new object. Nothing where the message is malformed.
std::optional<std::string> with_large_object(ByteSpan function_call_body, std::string_view oid);

}  // namespace pgtandem
