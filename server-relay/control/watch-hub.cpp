#include "server-relay/control/watch-hub.h"

#include <utility>

namespace pgtandem {

void WatchHub::send(Watcher& watcher, const WatchEvent& event) {
  watcher.busy = true;
  watcher.last = event;
  watcher.stream->send(event);
}

void WatchHub::add(std::unique_ptr<WatchStream> stream, const WatchEvent& event) {
  newest_ = event;
  Watcher& watcher = watchers_[next_id_++];
  watcher.stream = std::move(stream);
  send(watcher, event);
}

void WatchHub::offer(const WatchEvent& event) {
  newest_ = event;
  for (auto& [id, watcher] : watchers_) {
    if (!watcher.busy) send(watcher, event);
  }
}

void WatchHub::sent(Id id, bool written) {
  const auto found = watchers_.find(id);
  if (found == watchers_.end()) return;
  if (!written) {
    watchers_.erase(found);
    return;
  }
  found->second.busy = false;
  if (found->second.last != newest_) send(found->second, newest_);
}

void WatchHub::finish_all() {
  for (auto& [id, watcher] : watchers_) watcher.stream->finish();
  watchers_.clear();
}

}  // namespace pgtandem
