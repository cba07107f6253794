/// The master's transaction time, asked for as cheaply as a server can tell it. Pure.
#pragma once
#include <optional>
#include <string>

#include "common/base/bytes.h"

namespace pgtandem {

/// Its one value is to be asked for in the binary format.
inline constexpr std::string_view kTransactionTimeSql = "SELECT pg_catalog.now()";

/// timestamptz in the binary format, int64: microseconds since 2000-01-01 UTC (timestamptz_send(); the
/// manual, "Date/Time Types", has the resolution). The text is the one that transaction_time() gives. Nothing
/// for anything else, infinity and years before Christ included.
std::optional<std::string> transaction_time_text(ByteSpan binary);

}  // namespace pgtandem
