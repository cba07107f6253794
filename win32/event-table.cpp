#include "win32/event-table.h"

#include <algorithm>
#include <array>

namespace pgtandem::win32 {
namespace {

using log::Level;

constexpr std::array kEvents{
    EventEntry{100, Level::info, "forwarder-started"},
    EventEntry{101, Level::info, "forwarder-stopped"},
    EventEntry{102, Level::info, "following"},
    EventEntry{103, Level::info, "reloaded"},
    EventEntry{104, Level::info, "relay-started"},
    EventEntry{105, Level::info, "relay-stopped"},
    EventEntry{200, Level::warning, ""},
    EventEntry{201, Level::warning, "no-master"},
    EventEntry{202, Level::warning, "relay-silent"},
    EventEntry{203, Level::warning, "relay-remark"},
    EventEntry{204, Level::warning, "record-refused"},
    EventEntry{205, Level::warning, "state-file-ignored"},
    EventEntry{206, Level::warning, "state-not-saved"},
    EventEntry{207, Level::warning, "configuration"},
    EventEntry{208, Level::warning, "needs-a-restart"},
    EventEntry{300, Level::error, ""},
    EventEntry{301, Level::error, "start-failed"},
    EventEntry{302, Level::error, "forwarder-failed"},
    EventEntry{303, Level::error, "reload-failed"},
    EventEntry{304, Level::error, "stop-overdue"},
};

constexpr std::uint32_t severity_bits(Level level) {
  return level == Level::error ? 3U : level == Level::warning ? 2U : 1U;
}

}  // namespace

std::span<const EventEntry> event_table() {
  return kEvents;
}

std::optional<EventEntry> find_event(Level level, std::string_view event) {
  const auto entry_of = [level](std::string_view name) -> std::optional<EventEntry> {
    const auto found = std::find_if(kEvents.begin(), kEvents.end(), [&](const EventEntry& entry) {
      return entry.level == level && entry.event == name;
    });
    if (found == kEvents.end()) return std::nullopt;
    return *found;
  };
  const auto own = event.empty() ? std::nullopt : entry_of(event);
  return own ? own : entry_of("");
}

std::uint32_t message_id(const EventEntry& entry) {
  return severity_bits(entry.level) << 30 | entry.id;
}

std::string event_details(std::string_view event, log::Fields fields) {
  std::string text = "event: " + std::string(event);
  for (const log::Field& field : fields)
    text.append("\r\n").append(field.key).append(": ").append(field.value);
  return text;
}

}  // namespace pgtandem::win32
