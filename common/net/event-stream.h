/// Server-sent events read piece by piece (HTML standard, "Parsing an event stream"). Pure.
///
///   stream = [ BOM ] *event      event = *( comment / field ) end-of-line
///   field = "data" [ ":" [ " " ] value ] end-of-line / any other, ignored
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace pgtandem {

/// A status is a few kilobytes; a larger event is a mistake or an attack.
constexpr std::size_t kMaxEventBytes = 1U << 20;

class EventStream {
 public:
  /// Takes the next bytes and calls `on_event` for each event that they complete. Gives false as soon as
  /// `on_event` does, the rest is dropped then; an error when an event is larger than kMaxEventBytes.
  Result<bool> feed(std::string_view bytes, const std::function<bool(std::string_view data)>& on_event);

 private:
  void end_line();

  std::string line_;
  std::string data_;
  bool has_data_ = false;
  bool event_complete_ = false;
  bool after_cr_ = false;  ///< a line feed now belongs to the carriage return before it
  bool first_line_ = true;
};

}  // namespace pgtandem
