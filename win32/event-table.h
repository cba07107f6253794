/// Which lines of the log go to the Windows event log too, and under which number. The numbers are stable:
/// plants filter by them. Their texts are in messages.mc. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/log.h"

namespace pgtandem::win32 {

struct EventEntry {
  std::uint16_t id;
  log::Level level;        ///< info, warning or error: the event log's kinds
  std::string_view event;  ///< as the log names it; empty: every other event of that level
};

/// In the order of the numbers: 100 and up information, 200 warnings, 300 errors.
std::span<const EventEntry> event_table();

/// Nothing for information that is not in the table: the log file has it.
std::optional<EventEntry> find_event(log::Level level, std::string_view event);

/// The 32-bit identifier as messages.mc and ReportEvent have it: severity in the two highest bits.
std::uint32_t message_id(const EventEntry& entry);

/// What stands in the message behind its fixed text: "key: value" a line.
std::string event_details(std::string_view event, log::Fields fields);

}  // namespace pgtandem::win32
