#include "server-relay/tool/status-screen.h"

#include <algorithm>
#include <cstdio>
#include <tuple>
#include <vector>

#include <nlohmann/json.hpp>

namespace pgtandem::tool {
namespace {

using nlohmann::json;

constexpr std::size_t kEventsShown = 6;
constexpr std::size_t kLabelWidth = 13;

Tone tone_of(Health health) {
  return health == Health::healthy ? Tone::good : health == Health::degraded ? Tone::warn : Tone::bad;
}

std::string yes_no(bool yes, const char* one, const char* two) {
  return yes ? one : two;
}

/// Which node an unreachable relay must be: the one that no other relay is.
std::string guess_node(const PairStatus& pair) {
  for (const RelayStatus& relay : pair) {
    if (relay.view && relay.view->pair_mode) return std::string(to_string(other(relay.view->node)));
  }
  return "?";
}

std::string node_table(const PairStatus& pair) {
  std::vector<std::vector<std::string>> rows;
  for (const RelayStatus& relay : pair) {
    if (!relay.view) {
      rows.push_back({guess_node(pair), "no answer", "", "", "", relay.control_port});
      continue;
    }
    const StatusView& view = *relay.view;
    rows.push_back({std::string(to_string(view.node)), view.role.state, duration_text(view.role.since_s),
                    count_text(view.role.epoch), yes_no(view.postmaster.ok, "answers", "lost"),
                    relay.control_port});
  }
  std::sort(rows.begin(), rows.end());
  rows.insert(rows.begin(), {"node", "state", "since", "epoch", "postmaster", "control port"});
  return table_text(rows, 2);
}

std::string line(const char* label, const std::string& value) {
  return "  " + padded(label, kLabelWidth) + value + "\n";
}

std::string one_decimal(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string traffic_text(const StatusView& view, const Rate& rate) {
  std::string text = count_text(view.units) + " units";
  if (rate.measured) {
    text += ", " + one_decimal(rate.units_a_second) + " a second now";
  } else if (view.uptime_s > 0) {
    text += ", " + one_decimal(double(view.units) / double(view.uptime_s)) + " a second since the start";
  }
  return text;
}

std::string bootstrap_text(const StatusView::Bootstrap& b) {
  std::string text = printable(b.phase) + ", " + bytes_text(b.bytes);
  if (b.total_bytes > 0) {
    text += " of " + bytes_text(b.total_bytes) + " (" +
            std::to_string(std::min<std::uint64_t>(
                100, std::uint64_t(100.0 * double(b.bytes) / double(b.total_bytes)))) +
            " %)";
  }
  return b.text.empty() ? text : text + ", " + printable(b.text);
}

std::string witness_text(const StatusView& view) {
  const StatusView::Witness& witness = *view.witness;
  std::size_t answering = 0;
  for (const auto& member : witness.members) answering += member.answers ? 1 : 0;
  std::string text;
  if (!witness.flaw.empty()) {
    text = "gives no authority: " + printable(witness.flaw);
  } else if (!witness.answers) {
    text = "does not answer" + (witness.trouble.empty() ? "" : ": " + printable(witness.trouble));
  } else {
    text = "answers, " + count_text(answering) + " of " + count_text(witness.members.size()) + " members; ";
    text += witness.epoch == 0 ? "holds no record of this pair"
                               : "epoch " + count_text(witness.epoch) + ", master " +
                                     std::string(to_string(witness.master)) +
                                     (witness.sync ? ", standby joined" : ", no standby");
  }
  if (view.right_ms) text += "; right to be master for " + count_text(*view.right_ms) + " ms";
  return text;
}

std::string figures(const StatusView& view, const Rate& rate) {
  const std::uint64_t differences = view.write_differences + view.read_differences;
  std::string text =
      line("standby", view.standby_joined ? "joined, " + count_text(view.lag_units) + " units behind"
                                          : "not joined" + (view.stale_reason.empty()
                                                                ? std::string()
                                                                : ": " + printable(view.stale_reason))) +
      line("sessions", count_text(view.sessions_open) + " open, " + count_text(view.sessions_total) +
                           " in all, " + count_text(view.sessions_refused) + " refused") +
      line("traffic", traffic_text(view, rate)) +
      line("received", bytes_text(view.frontend_bytes) + " from frontends, " +
                           bytes_text(view.backend_bytes) + " from the master, " +
                           bytes_text(view.standby_bytes) + " from the standby") +
      line("differences", count_text(view.write_differences) + " in writes, " +
                              count_text(view.read_differences) + " in reads" +
                              (differences ? " (pgtandem differences shows them)" : "")) +
      line("generation", printable(view.role.generation) + ", " + printable(view.protocol) + "/" +
                             printable(view.discipline) + ", relay " + printable(view.version) + " up " +
                             duration_text(view.uptime_s));
  if (view.witness) text += line("witness", witness_text(view));
  if (view.bootstrap) text += line("bootstrap", bootstrap_text(*view.bootstrap));
  return text;
}

/// Why each node that does not serve is in its state.
std::string reasons(const PairStatus& pair, const RelayStatus* active) {
  std::string text;
  for (const RelayStatus& relay : pair) {
    if (!relay.view) {
      text += line("no answer", relay.control_port + ": " + printable(relay.error));
    } else if (&relay != active && relay.view->role.state != "STANDBY" && !relay.view->role.reason.empty()) {
      text += line(("node " + std::string(to_string(relay.view->node))).c_str(),
                   printable(relay.view->role.reason));
    }
  }
  return text;
}

/// Sessions that went on with the other node's server (hard point 10).
std::string guests(const PairStatus& pair) {
  std::string text;
  for (const RelayStatus& relay : pair) {
    if (!relay.view || !relay.view->guests) continue;
    const std::string self(to_string(relay.view->node));
    const std::string peer(to_string(other(relay.view->node)));
    text += line("guests", "sessions of node " + self + "'s relay go on with the server of node " + peer +
                               "; a bootstrap waits for their end");
  }
  return text;
}

std::string last_events(const PairStatus& pair, const Style& style) {
  using Entry = std::tuple<std::string, std::string, const StatusView::Event*>;  // time, node
  std::vector<Entry> entries;
  for (const RelayStatus& relay : pair) {
    if (!relay.view) continue;
    for (const auto& event : relay.view->events) {
      entries.emplace_back(event.time, to_string(relay.view->node), &event);
    }
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& x, const Entry& y) {
    return std::tie(std::get<0>(x), std::get<1>(x)) < std::tie(std::get<0>(y), std::get<1>(y));
  });
  if (entries.size() > kEventsShown) entries.erase(entries.begin(), entries.end() - kEventsShown);
  if (entries.empty()) return {};
  std::vector<std::vector<std::string>> rows;
  rows.reserve(entries.size());
  for (const auto& [time, node, event] : entries) {
    rows.push_back(
        {printable(time), node, printable(event->level), printable(event->event), printable(event->text)});
  }
  return "\n  " + style(Tone::strong, "last events") + "\n" + table_text(rows, 4);
}

}  // namespace

std::string status_screen(const PairStatus& pair, const Style& style, const Rate& rate) {
  const Judgement judgement = judge(pair);
  std::string text = style(tone_of(judgement.health), judgement.word) + "  " + judgement.sentence + "\n\n" +
                     node_table(pair) + "\n";
  if (judgement.active) text += figures(*judgement.active->view, rate);
  text += guests(pair);
  text += reasons(pair, judgement.active);
  text += last_events(pair, style);
  const std::vector<std::string> steps = next_steps(pair);
  if (!steps.empty()) text += "\n";
  for (const std::string& step : steps) text += "  " + style(Tone::strong, "next") + "  " + step + "\n";
  return text;
}

std::string status_json(const PairStatus& pair) {
  const Judgement judgement = judge(pair);
  json relays = json::array();
  for (const RelayStatus& relay : pair) {
    relays.push_back({{"control", relay.control_port},
                      {"node", relay.view ? json(to_string(relay.view->node)) : json()},
                      {"error", relay.error},
                      {"status", relay.view ? json::parse(relay.json, nullptr, false) : json()}});
  }
  const char* health = judgement.health == Health::healthy    ? "healthy"
                       : judgement.health == Health::degraded ? "degraded"
                                                              : "down";
  const json all{{"health", health},
                 {"exit_status", int(exit_status(judgement.health))},
                 {"sentence", judgement.sentence},
                 {"active", judgement.active ? json(to_string(judgement.active->view->node)) : json()},
                 {"relays", relays},
                 {"next", next_steps(pair)}};
  return all.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace pgtandem::tool
