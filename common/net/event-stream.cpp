#include "common/net/event-stream.h"

namespace pgtandem {

Result<bool> EventStream::feed(std::string_view bytes,
                               const std::function<bool(std::string_view)>& on_event) {
  for (const char c : bytes) {
    const bool second_of_pair = after_cr_ && c == '\n';
    after_cr_ = c == '\r';
    if (second_of_pair) continue;
    if (c != '\n' && c != '\r') {
      line_ += c;
      if (line_.size() + data_.size() > kMaxEventBytes) return Error{"an event is larger than 1 MiB"};
      continue;
    }
    end_line();
    if (!event_complete_) continue;
    event_complete_ = false;
    const std::string data = std::move(data_);
    data_.clear();
    if (!on_event(data)) return false;
  }
  return true;
}

void EventStream::end_line() {
  std::string_view line = line_;
  if (first_line_ && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  first_line_ = false;
  if (line.empty()) {
    event_complete_ = has_data_;
    has_data_ = false;
  } else if (line == "data" || line.starts_with("data:")) {
    line.remove_prefix(line == "data" ? 4 : 5);
    if (line.starts_with(' ')) line.remove_prefix(1);
    if (has_data_) data_ += '\n';
    data_ += line;
    has_data_ = true;
  }
  line_.clear();
}

}  // namespace pgtandem
