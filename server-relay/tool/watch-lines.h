/// `pgtandem watch` where the output is no terminal: one line an event, as key=value. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/control/status-view.h"

namespace pgtandem::tool {

/// Turns the stream of statuses of all relays into lines: one for each event that a relay tells, and one
/// whenever its state, epoch, join state or bootstrap phase changed, or it was lost or found.
class WatchLines {
 public:
  /// `now` is put before lines that carry no time of their own.
  std::vector<std::string> status(const std::string& relay, const StatusView& view, const std::string& now);
  std::vector<std::string> lost(const std::string& relay, const std::string& why, const std::string& now);

 private:
  struct Seen {
    std::string summary;
    bool reachable = false;
    std::vector<StatusView::Event> events;
  };
  std::map<std::string, Seen> relays_;
};

}  // namespace pgtandem::tool
