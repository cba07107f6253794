#include "server-relay/tool/check-rules.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pgtandem::tool {
namespace {

using Severity = Finding::Severity;

struct Address {
  std::array<unsigned char, 16> bytes{};
  std::size_t size = 0;
};

std::optional<Address> parse_address(const std::string& text) {
  Address address;
  if (::inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) {
    address.size = 4;
  } else if (::inet_pton(AF_INET6, text.c_str(), address.bytes.data()) == 1) {
    address.size = 16;
  } else {
    return std::nullopt;
  }
  return address;
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : text + ",") {
    if (c == ',') {
      if (!part.empty()) parts.push_back(std::exchange(part, {}));
    } else if (c != ' ') {
      part += c;
    }
  }
  return parts;
}

Finding difference(const std::string& what, const std::string& a, const std::string& b, Severity severity,
                   const std::string& consequence) {
  return {severity, "both servers", what + " is " + a + " on node a and " + b + " on node b: " + consequence,
          "use the same on both"};
}

bool asks_no_password(const HbaRule& rule) {
  return rule.method == "trust" || rule.method == "peer" || rule.method == "ident";
}

Finding judge_open_rule(const std::string& topic, const HbaRule& rule, const std::string& relay_address,
                        bool beyond_loopback) {
  const std::string text = "pg_hba.conf line " + rule.line + " (" + rule.type + " " + rule.databases + " " +
                           rule.users + " " + (rule.address.empty() ? "" : rule.address + " ") + rule.method +
                           ")";
  if (rule.method != "trust") {
    return {Severity::error, topic,
            text + " asks who the relay is, not who its client is, so logins through the relay fail",
            "use scram-sha-256 there, or let the relay reach the postmaster by TCP"};
  }
  if (beyond_loopback) {
    return {Severity::error, topic,
            text + " lets everybody in who reaches the relay, since the relay comes from " +
                (relay_address.empty() ? "the Unix socket" : relay_address),
            "use scram-sha-256 there"};
  }
  return {Severity::warning, topic, text + " trusts whoever the relay's own access list lets in",
          "use scram-sha-256 there, unless [[access]] allows local programs alone"};
}

}  // namespace

bool rule_covers(const HbaRule& rule, const std::string& relay_address) {
  if (relay_address.empty()) return rule.type == "local";
  if (!rule.type.starts_with("host")) return false;
  if (rule.type == "hostssl" || rule.type == "hostgssenc") return false;  // the relay's legs are plain TCP
  // samenet includes every address of the server itself, and the relay runs there.
  if (rule.address == "all" || rule.address == "samehost" || rule.address == "samenet") return true;
  if (rule.address == "localhost") return is_loopback(relay_address);
  const auto relay = parse_address(relay_address);
  const auto network = parse_address(rule.address);
  if (!relay || !network || relay->size != network->size) return false;
  const auto mask = parse_address(rule.netmask);
  for (std::size_t i = 0; i < relay->size; ++i) {
    const unsigned bits = mask && mask->size == relay->size ? mask->bytes[i] : 0xFFU;
    if (((relay->bytes[i] ^ network->bytes[i]) & bits) != 0) return false;
  }
  return true;
}

bool listens_beyond_loopback(const std::string& listen_addresses) {
  const auto addresses = split(listen_addresses);
  return std::any_of(addresses.begin(), addresses.end(),
                     [](const std::string& a) { return !is_loopback(a); });
}

Findings judge_hba(const std::string& topic, const ServerFacts& facts, const std::string& relay_address) {
  Findings findings;
  const bool beyond = listens_beyond_loopback(facts.listen_addresses);
  for (const HbaRule& rule : facts.hba) {
    if (!rule.error.empty()) {
      findings.push_back({Severity::error, topic,
                          "pg_hba.conf line " + rule.line + " is not read: " + rule.error,
                          "correct the line"});
    } else if (asks_no_password(rule) && rule_covers(rule, relay_address)) {
      findings.push_back(judge_open_rule(topic, rule, relay_address, beyond));
    }
  }
  return findings;
}

Findings judge_server(const std::string& topic, const ServerFacts& facts,
                      std::optional<unsigned> max_sessions) {
  // Queries, probes, logins and takeovers of the relay itself (service-connection.h).
  constexpr unsigned kOwnConnections = 4;
  Findings findings;
  findings.push_back({Severity::good, topic, "version " + facts.version, {}});
  if (!facts.superuser) {
    findings.push_back({Severity::error, topic, "the service user is no superuser there",
                        "ALTER ROLE ... SUPERUSER; it ends backends and reads password verifiers"});
  }
  if (facts.fsync == "off") {
    findings.push_back({Severity::error, topic, "fsync is off: a crash loses what was acknowledged",
                        "set fsync = on in postgresql.conf"});
  }
  const unsigned taken = facts.reserved_connections + kOwnConnections;
  const unsigned left = facts.max_connections > taken ? facts.max_connections - taken : 0;
  if (max_sessions && *max_sessions > left) {
    findings.push_back(
        {Severity::warning, topic,
         "max_connections = " + std::to_string(facts.max_connections) + " leaves " + std::to_string(left) +
             " sessions, and the relay takes up to max_sessions = " + std::to_string(*max_sessions),
         "raise max_connections on both servers, or set max_sessions to " + std::to_string(left)});
  }
  return findings;
}

Findings compare_servers(const ServerFacts& a, const ServerFacts& b) {
  Findings findings;
  if (a.version_number / 10000 != b.version_number / 10000) {
    findings.push_back(difference("the major version", a.version, b.version, Severity::note,
                                  "works, and results may differ where PostgreSQL changed"));
    findings.back().what_to_do.clear();
  }
  if (a.encoding != b.encoding) {
    findings.push_back(difference("the encoding", a.encoding, b.encoding, Severity::error,
                                  "texts that one takes the other refuses"));
  }
  if (a.collation != b.collation || a.character_type != b.character_type) {
    findings.push_back(difference("the locale", a.collation + "/" + a.character_type,
                                  b.collation + "/" + b.character_type, Severity::warning,
                                  "ORDER BY, upper() and unique indexes on text may differ"));
  }
  if (a.password_encryption != b.password_encryption) {
    findings.push_back(difference("password_encryption", a.password_encryption, b.password_encryption,
                                  Severity::warning,
                                  "a password set through the relay is stored in two ways"));
  }
  if (a.max_connections != b.max_connections) {
    findings.push_back(difference("max_connections", std::to_string(a.max_connections),
                                  std::to_string(b.max_connections), Severity::warning,
                                  "the smaller one limits both"));
  }
  if (findings.empty()) {
    findings.push_back({Severity::good, "both servers", "version, encoding, locale and limits agree", {}});
  }
  return findings;
}

Findings judge_pair(const PairStatus& pair) {
  Findings findings;
  for (const RelayStatus& relay : pair) {
    const std::string topic = "control port " + relay.control_port;
    if (!relay.view) {
      findings.push_back(
          {Severity::error, topic, relay.error, "start that relay; open the port in the firewall"});
      continue;
    }
    const StatusView& view = *relay.view;
    findings.push_back({Severity::good,
                        topic,
                        "node " + std::string(to_string(view.node)) + ", " + view.role.state + ", epoch " +
                            std::to_string(view.role.epoch) + ", relay " + view.version,
                        {}});
    if (view.pair_mode && (!view.peer || !view.peer->reachable)) {
      findings.push_back({Severity::error, topic, "this relay does not reach the relay of the other node",
                          "open the other's control port for this host; compare [pair] uuid and key_file"});
    }
    if (!view.postmaster.ok) {
      findings.push_back(
          {Severity::error, topic, "its postmaster does not answer", "start it; see [nodes] postmaster"});
    }
    if (view.postmaster.service_superuser == false) {
      findings.push_back(
          {Severity::error, topic, "its service user is no superuser", "ALTER ROLE ... SUPERUSER"});
    }
  }
  if (pair.size() != 2 || !pair[0].view || !pair[1].view) return findings;
  const StatusView& first = *pair[0].view;
  const StatusView& second = *pair[1].view;
  if (first.node == second.node) {
    findings.push_back({Severity::error, "pair",
                        "both relays say that they are node " + std::string(to_string(first.node)),
                        "give each host its own node in the file, or --node"});
  }
  if (first.version != second.version) {
    findings.push_back({Severity::warning, "pair",
                        "the relays have different versions: " + first.version + " and " + second.version,
                        "upgrade the older one"});
  }
  if (first.pair_mode && first.witness.has_value() != second.witness.has_value()) {
    const Node with = first.witness ? first.node : second.node;
    findings.push_back({Severity::error, "pair",
                        "node " + std::string(to_string(with)) + " uses a witness, node " +
                            std::string(to_string(other(with))) + " does not",
                        "finish it: pgtandem witness add, or remove; no switchover before"});
  }
  if (first.active() && second.active()) {
    findings.push_back(
        {Severity::error, "pair", "both nodes serve", "pgtandem status; fence the one of the lower epoch"});
  }
  return findings;
}

std::string findings_text(const Findings& findings, const Style& style) {
  std::string text;
  for (const Finding& f : findings) {
    const bool good = f.severity == Severity::good;
    const char* word = good                              ? "ok"
                       : f.severity == Severity::note    ? "note"
                       : f.severity == Severity::warning ? "warning"
                                                         : "ERROR";
    const Tone tone = good                              ? Tone::good
                      : f.severity == Severity::note    ? Tone::plain
                      : f.severity == Severity::warning ? Tone::warn
                                                        : Tone::bad;
    text += style(tone, padded(word, 7)) + "  " + printable(f.topic) + ": " + printable(f.text) + "\n";
    if (!f.what_to_do.empty()) text += "         do: " + printable(f.what_to_do) + "\n";
  }
  const auto count = [&](Severity severity) {
    return std::count_if(findings.begin(), findings.end(),
                         [&](const Finding& f) { return f.severity == severity; });
  };
  return text + "\n" + std::to_string(count(Severity::error)) + " errors, " +
         std::to_string(count(Severity::warning)) + " warnings\n";
}

bool has_error(const Findings& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.severity == Severity::error; });
}

std::string findings_json(const Findings& findings) {
  constexpr std::array<const char*, 4> kNames{"ok", "note", "warning", "error"};
  nlohmann::json all = nlohmann::json::array();
  for (const Finding& f : findings) {
    all.push_back({{"severity", kNames[std::size_t(f.severity)]},
                   {"topic", f.topic},
                   {"text", f.text},
                   {"do", f.what_to_do}});
  }
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace pgtandem::tool
