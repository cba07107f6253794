#include <windows.h>

#include "win32/event-log.h"
#include "win32/event-table.h"
#include "win32/windows-text.h"

namespace pgtandem::win32 {
namespace {

/// ReportEvent takes no longer text.
constexpr std::size_t kLongestText = 31839;

WORD kind_of(log::Level level) {
  switch (level) {
    case log::Level::error:
      return EVENTLOG_ERROR_TYPE;
    case log::Level::warning:
      return EVENTLOG_WARNING_TYPE;
    default:
      return EVENTLOG_INFORMATION_TYPE;
  }
}

}  // namespace

EventLog::EventLog(const std::string& source)
    : handle_(RegisterEventSourceW(nullptr, wide(source).c_str())) {}

void EventLog::report(log::Level level, std::string_view event, log::Fields fields) {
  const auto entry = find_event(level, event);
  if (!entry || handle_ == nullptr) return;
  std::wstring text = wide(event_details(event, fields));
  if (text.size() > kLongestText) text.resize(kLongestText);
  const wchar_t* texts[] = {text.c_str()};
  ReportEventW(handle_, kind_of(level), 0, message_id(*entry), nullptr, 1, 0, texts, nullptr);
}

}  // namespace pgtandem::win32
