#include "server-relay/tool/watch-lines.h"

#include "server-relay/tool/text.h"

namespace pgtandem::tool {
namespace {

bool same(const StatusView::Event& x, const StatusView::Event& y) {
  return x.time == y.time && x.event == y.event && x.text == y.text;
}

/// The events at the end of `now` that `before` has not: relays keep the last few, oldest first.
std::size_t first_new(const std::vector<StatusView::Event>& before,
                      const std::vector<StatusView::Event>& now) {
  if (before.empty()) return 0;
  for (std::size_t i = now.size(); i > 0; --i) {
    if (same(now[i - 1], before.back())) return i;
  }
  return 0;
}

std::string summary(const StatusView& view) {
  std::string text = "state=" + view.role.state + " epoch=" + std::to_string(view.role.epoch) +
                     " joined=" + (view.standby_joined ? "yes" : "no") +
                     " postmaster=" + (view.postmaster.ok ? "ok" : "lost");
  if (view.bootstrap) text += " bootstrap=" + quoted(view.bootstrap->phase);
  return text;
}

}  // namespace

std::vector<std::string> WatchLines::status(const std::string& relay, const StatusView& view,
                                            const std::string& now) {
  Seen& seen = relays_[relay];
  std::vector<std::string> lines;
  const std::string node(to_string(view.node));
  for (std::size_t i = first_new(seen.events, view.events); i < view.events.size(); ++i) {
    const StatusView::Event& event = view.events[i];
    lines.push_back(printable(event.time) + " node=" + node + " event=" + quoted(event.event) +
                    " level=" + quoted(event.level) + " text=" + quoted(event.text));
  }
  const std::string current = summary(view);
  if (!seen.reachable || current != seen.summary) {
    lines.push_back(now + " node=" + node + " relay=" + quoted(relay) + " " + current +
                    (view.role.reason.empty() ? "" : " reason=" + quoted(view.role.reason)));
  }
  seen = {current, true, view.events};
  return lines;
}

std::vector<std::string> WatchLines::lost(const std::string& relay, const std::string& why,
                                          const std::string& now) {
  const auto found = relays_.find(relay);
  if (found != relays_.end() && !found->second.reachable) return {};
  relays_[relay].reachable = false;
  return {now + " relay=" + quoted(relay) + " no_answer=" + quoted(why)};
}

}  // namespace pgtandem::tool
