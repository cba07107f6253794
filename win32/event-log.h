/// The Windows event log, as far as event-table.h sends lines there. Thread-safe.
#pragma once
#include <string>
#include <string_view>

#include "common/base/log.h"

namespace pgtandem::win32 {

/// Opened once, kept for the life of the process. A log that cannot be reached takes nothing, and says
/// nothing.
class EventLog {
 public:
  explicit EventLog(const std::string& source);
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  void report(log::Level level, std::string_view event, log::Fields fields);

 private:
  void* handle_;
};

}  // namespace pgtandem::win32
