/// ErrorResponse, NoticeResponse and ReadyForQuery: built for what the relay itself has to say, parsed for
/// what it must tell people (PostgreSQL manual, "Error and Notice Message Fields").
///
///   ErrorResponse  = 'E' length field* NUL
///   NoticeResponse = 'N' length field* NUL
///   field          = code:byte1 text NUL
#pragma once
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace pgtandem {

enum class Severity { error, fatal };

/// What the relay tells a frontend. A NUL in a text would end its field: the text is cut there.
struct ErrorReport {
  Severity severity = Severity::fatal;
  std::string_view sqlstate;  ///< five characters
  std::string_view message;
  std::string_view detail = {};  ///< left out if empty
  std::string_view hint = {};    ///< left out if empty
};

/// A complete ErrorResponse.
std::string build_error_response(const ErrorReport& report);

/// A complete ReadyForQuery; `status` is 'I', 'T' or 'E'.
std::string build_ready_for_query(char status);

/// What a server said. Empty fields were not sent.
struct ServerError {
  std::string severity;  ///< not translated ('V'), or translated where the server is older than 9.6
  std::string sqlstate;
  std::string message;
};

/// Each text kept of a server's error is cut at this many bytes, between two characters of UTF-8: enough for
/// people, and no server fills the log.
inline constexpr std::size_t kMaxErrorText = 2048;

/// Parses the body (without type and length) of an ErrorResponse or NoticeResponse. Unknown fields are
/// skipped. Fails where the fields do not end with a NUL at the end of the body.
Result<ServerError> parse_error_response(ByteSpan body);

}  // namespace pgtandem
