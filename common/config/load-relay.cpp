/// The relay's settings: one of two shapes, a pair (node, [pair], [nodes]) or flags-only (master, standby).
#include <algorithm>
#include <filesystem>

#include "common/config/load.h"
#include "common/config/platform.h"
#include "common/config/reader.h"

namespace pgtandem {
namespace {

using config::Findings;
using config::Reader;

const config::ProgramText kProgram{
    .name = "pgtandem-relay",
    .description =
        "Keeps two PostgreSQL servers equal: sends what clients send to both, and returns the master's "
        "replies.",
    .usage =
        "--config FILE --node a|b\n  pgtandem-relay --listen HOST:PORT --master HOST:PORT [--standby "
        "HOST:PORT] "
        "--state-dir PATH [OPTION...]",
    .program = config::kRelay,
};

/// Keys whose presence means "this is a pair".
constexpr std::array<std::string_view, 5> kPairKeys{"node", "pair.uuid", "pair.key_file", "nodes.a.host",
                                                    "nodes.b.host"};

void read_plain(const Reader& reader, RelaySettings& s) {
  using P = std::pair<std::string_view, Protocol>;
  s.protocol =
      reader.choice("protocol", std::array{P{"postgres", Protocol::postgres}, P{"raw", Protocol::raw}});
  using D = std::pair<std::string_view, Discipline>;
  s.discipline = reader.choice(
      "discipline", std::array{D{"serial", Discipline::serial}, D{"classic", Discipline::classic}});
  for (const std::string& rule : reader.list("discipline_for"))
    s.discipline_for.push_back(*config::parse_discipline_rule(rule));
  const std::array on_off{std::pair{std::string_view("on"), true}, std::pair{std::string_view("off"), false}};
  s.rewrite_time = reader.choice("rewrite_time", on_off);
  s.rewrite_values = reader.choice("rewrite_values", on_off);
  s.slow_write = reader.duration("slow_write");
  s.slow_writes_overlap = reader.choice(
      "slow_write_policy",
      std::array{std::pair{std::string_view("wait"), false}, std::pair{std::string_view("overlap"), true}});
  using A = std::pair<std::string_view, Ack>;
  s.ack = reader.choice("ack", std::array{A{"both", Ack::both}, A{"master", Ack::master}});
  using M = std::pair<std::string_view, OnMismatch>;
  s.on_mismatch = reader.choice(
      "on_mismatch",
      std::array{M{"stale", OnMismatch::stale}, M{"log", OnMismatch::log}, M{"refuse", OnMismatch::refuse}});
  using R = std::pair<std::string_view, OnStandbyRefusal>;
  s.on_standby_refusal = reader.choice(
      "on_standby_refusal",
      std::array{R{"refuse", OnStandbyRefusal::refuse}, R{"degrade", OnStandbyRefusal::degrade}});
  using C = std::pair<std::string_view, CompareRows>;
  s.compare_rows = reader.choice(
      "compare_rows", std::array{C{"unordered", CompareRows::unordered}, C{"ordered", CompareRows::ordered}});
  s.compare_window = std::uint32_t(reader.size("compare_window"));
  s.standby_timeout = reader.duration("standby_timeout");
  s.client_stall = reader.duration("client_stall");
  s.stop_timeout = reader.duration("stop_timeout");
  s.login_timeout = reader.duration("login_timeout");
  s.takeover_timeout = reader.duration("takeover_timeout");
  s.state_dir = reader.text("state_dir");
  s.threads = unsigned(reader.number("threads"));
  s.max_sessions = unsigned(reader.number("max_sessions"));
  s.listen = reader.endpoints("listen.frontends");
  s.unix_socket_dir = reader.text("listen.unix_socket_dir");
  s.leg_listen = reader.endpoints("listen.legs");
  s.control.listen = reader.endpoints("listen.control");
  s.control.token_file = reader.text("control.token_file");
  s.service = config::read_service(reader);
  s.log = config::read_log(reader);
  for (const std::string& rule : reader.list("access")) s.access.push_back(*config::parse_access_rule(rule));
}

void read_witness(const Reader& reader, RelaySettings& s) {
  for (const std::string& url : reader.list("witness.endpoints"))
    s.witness.endpoints.push_back(*config::parse_witness_url(url));
  s.witness.ca_file = reader.text("witness.ca_file");
  s.witness.cert_file = reader.text("witness.cert_file");
  s.witness.key_file = reader.text("witness.key_file");
  s.witness.user = reader.text("witness.user");
  s.witness.password_file = reader.text("witness.password_file");
  s.witness.prefix = reader.text("witness.prefix");
  s.witness.term = reader.duration("witness.term");
  s.witness.guard = reader.duration("witness.guard");
  s.fencing.hook = reader.text("fencing.hook");
  s.fencing.hook_timeout = reader.duration("fencing.hook_timeout");
  s.fencing.hook_wait = reader.duration("fencing.hook_wait");
}

/// The key must be the pair's alone, and printable in logs.
void check_prefix(const Reader& reader, const std::string& prefix, Findings& findings) {
  const bool odd = std::ranges::any_of(prefix, [](unsigned char c) { return c <= ' ' || c > '~'; });
  if (prefix.size() > 1 && prefix.starts_with('/') && !prefix.ends_with('/') && !odd) return;
  findings.error(reader.origin("witness.prefix"),
                 "witness.prefix must begin with a slash, not end with one, and hold no blanks");
}

void check_witness(const Reader& reader, const RelaySettings& s, Findings& findings) {
  const WitnessSettings& w = s.witness;
  if (reader.given("witness.prefix")) check_prefix(reader, w.prefix, findings);
  if (w.guard * 4 > w.term) {
    findings.error(reader.origin(reader.given("witness.guard") ? "witness.guard" : "witness.term"),
                   "witness.guard may be a quarter of witness.term at most");
  }
  const bool any_tls = std::ranges::any_of(w.endpoints, [](const WitnessEndpoint& e) { return e.tls; });
  for (const std::string_view key : {"witness.ca_file", "witness.cert_file", "witness.key_file"}) {
    if (reader.given(key) && w.configured() && !any_tls)
      findings.error(reader.origin(key), std::string(key) + " needs witness.endpoints with https://");
  }
  if (w.cert_file.empty() != w.key_file.empty()) {
    findings.error(reader.origin(w.cert_file.empty() ? "witness.key_file" : "witness.cert_file"),
                   "witness.cert_file and witness.key_file belong together: give both");
  }
  if (w.user.empty() != w.password_file.empty()) {
    findings.error(reader.origin(w.user.empty() ? "witness.password_file" : "witness.user"),
                   "witness.user and witness.password_file belong together: give both");
  }
  const bool plain = std::ranges::any_of(w.endpoints, [](const WitnessEndpoint& e) { return !e.tls; });
  if (!w.user.empty() && plain) {
    findings.warnings.push_back(
        "witness.user: the password goes to the witness in clear text over http://; use https://");
  }
}

void check_fencing(const Reader& reader, const RelaySettings& s, Findings& findings) {
  if (s.fencing.hook.empty()) return;
  if (!std::filesystem::path(s.fencing.hook).is_absolute()) {
    findings.error(reader.origin("fencing.hook"),
                   std::string("fencing.hook must be a full path, beginning with ") + config::kFullPathBegin);
  }
  if (s.witness.configured()) {
    findings.warnings.push_back("fencing.hook is never called: with witness.endpoints the witness decides");
    return;
  }
  // Else both hooks could run at once, and power both hosts off.
  const Milliseconds least = s.fencing.hook_timeout + 2 * s.standby_timeout + Milliseconds{1000};
  if (s.fencing.hook_wait < least) {
    findings.errors.push_back("fencing.hook_wait must be " + config::write_duration(least) +
                              " at least: fencing.hook_timeout, twice standby_timeout and a second; else the "
                              "standby's hook could run while the master's does");
  }
}

/// Both belong to a pair: flags-only mode has nobody else who could take over.
void check_arbiters(const Reader& reader, const RelaySettings& s, Findings& findings) {
  if (!s.pair_mode()) {
    for (const std::string_view key : {"witness.endpoints", "fencing.hook"}) {
      if (reader.given(key))
        findings.error(reader.origin(key),
                       std::string(key) + " belongs to a pair: leave it out with --master");
    }
    return;
  }
  check_witness(reader, s, findings);
  check_fencing(reader, s, findings);
}

void check_common(const Reader& reader, RelaySettings& s, Findings& findings) {
  if (s.protocol == Protocol::raw) {
    if (reader.given("discipline") && s.discipline == Discipline::serial) {
      findings.error(reader.origin("discipline"),
                     "discipline \"serial\" has to understand statements, and protocol \"raw\" (" +
                         reader.origin("protocol") + ") understands none; use discipline \"classic\"");
    }
    s.discipline = Discipline::classic;
    if (!s.discipline_for.empty()) {
      findings.error(reader.origin("discipline_for"),
                     "protocol \"raw\" understands no databases and roles; leave discipline_for out");
    }
    if (reader.given("ack") && s.ack == Ack::both) {
      findings.error(reader.origin("ack"),
                     "ack \"both\" needs replies that can be compared, and protocol \"raw\" (" +
                         reader.origin("protocol") +
                         ") knows none; use ack \"master\" or protocol \"postgres\"");
    }
    s.ack = Ack::master;
  }
  if (s.service.user.empty()) {
    const bool serial_for_some = std::ranges::any_of(
        s.discipline_for, [](const DisciplineRule& rule) { return rule.discipline == Discipline::serial; });
    if (serial_for_some || (reader.given("discipline") && s.discipline == Discipline::serial)) {
      findings.error(reader.origin(serial_for_some ? "discipline_for" : "discipline"),
                     "discipline \"serial\" needs service.user, a superuser by whom the relay reads the "
                     "catalogue and sets sequences: give it, or use discipline \"classic\"");
    }
    if ((s.standby || s.pair_mode()) && s.protocol == Protocol::postgres && !reader.given("discipline")) {
      findings.warnings.push_back(
          "without service.user the discipline is \"classic\": statements of sessions that meet in the same "
          "rows may make the two servers differ; give --service-user for \"serial\"");
    }
    s.discipline = Discipline::classic;
  }
  if (s.service.user.empty() && !s.service.passfile.empty()) {
    findings.error(reader.origin("service.passfile"), "service.passfile without service.user: give both");
  }
  if (s.state_dir.empty()) findings.errors.push_back("state_dir is empty: give a folder of this relay's own");
  const bool shaped = s.master || s.node != Node::none;
  if (shaped && s.listen.empty() && s.unix_socket_dir.empty()) {
    findings.errors.push_back("no address to listen on: give --listen HOST:PORT (listen.frontends)");
  }
}

bool same_machine(const std::string& host) {
  return host.empty() || host == "localhost" || host == "0.0.0.0" || host == "::" || host == "::1" ||
         host.starts_with("127.");
}

/// A relay that is its own postmaster would connect to itself for ever.
void check_no_loop(const RelaySettings& s, const Endpoint& postmaster, std::string_view key,
                   Findings& findings) {
  for (const Endpoint& listen : s.listen) {
    const bool same = listen.host == postmaster.host ||
                      (same_machine(postmaster.host) && (listen.host.empty() || listen.host == "0.0.0.0" ||
                                                         listen.host == "::" || listen.host == "localhost"));
    if (same && listen.port == postmaster.port) {
      findings.errors.push_back(std::string(key) + " " + to_string(postmaster) +
                                " is where the relay itself listens (" + to_string(listen) +
                                "); the postmaster needs a port of its own, such as 5433");
    }
  }
  if (postmaster.is_unix() && postmaster.host == s.unix_socket_dir) {
    for (const Endpoint& listen : s.listen) {
      if (listen.port != postmaster.port) continue;
      findings.errors.push_back(
          std::string(key) + " " + postmaster.unix_path() +
          " is the relay's own Unix socket; the postmaster needs a port or folder of its own");
    }
  }
}

void check_distinct_listeners(const RelaySettings& s, Findings& findings) {
  std::vector<Endpoint> all = s.listen;
  all.insert(all.end(), s.leg_listen.begin(), s.leg_listen.end());
  all.insert(all.end(), s.control.listen.begin(), s.control.listen.end());
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size(); ++j) {
      if (all[i] == all[j]) {
        findings.errors.push_back("the relay cannot listen twice on " + to_string(all[i]) +
                                  ": frontends, legs and control need addresses of their own");
      }
    }
  }
}

void check_node(const NodeSettings& node, const std::string& name, Findings& findings) {
  if (node.host.empty())
    findings.errors.push_back("nodes." + name + ".host is missing: a pair names both hosts");
  if (node.relay_port == node.leg_port || node.relay_port == node.control_port ||
      node.leg_port == node.control_port) {
    findings.errors.push_back("[nodes." + name + "]: relay_port, leg_port and control_port must differ");
  }
}

void finish_pair(const Reader& reader, RelaySettings& s, Findings& findings) {
  const std::array<std::pair<std::string_view, std::string_view>, 3> required{{
      {"node", "say which node this host is: --node a or --node b"},
      {"pair.uuid", "give the pair an identifier (uuidgen), the same on both nodes"},
      {"pair.key_file", "give the file with the key that both relays share"},
  }};
  for (const auto& [key, what] : required) {
    if (reader.text(key).empty())
      findings.errors.push_back(std::string(key) + " is missing: " + std::string(what));
  }
  s.a = config::read_node(reader, "nodes.a");
  s.b = config::read_node(reader, "nodes.b");
  check_node(s.a, "a", findings);
  check_node(s.b, "b", findings);
  if (!s.a.host.empty() && s.a.host == s.b.host &&
      (s.a.relay_port == s.b.relay_port || s.a.leg_port == s.b.leg_port ||
       s.a.control_port == s.b.control_port)) {
    findings.errors.push_back("[nodes]: both nodes are on host " + s.a.host +
                              ", so all their ports must differ");
  }
  if (reader.given("node")) s.node = *parse_node(reader.text("node"));
  if (reader.given("pair.uuid")) s.cluster = *parse_uuid(reader.text("pair.uuid"));
  s.key_file = reader.text("pair.key_file");
  if (!reader.given("listen.frontends")) s.listen = {{"", s.self().relay_port}};
  if (!reader.given("listen.legs")) s.leg_listen = {{"", s.self().leg_port}};
  if (!reader.given("listen.control")) s.control.listen = {{"", s.self().control_port}};
  if (s.leg_listen.empty())
    findings.errors.push_back("listen.legs is empty: the other relay needs the leg port");
  if (s.control.listen.empty()) {
    findings.errors.push_back(
        "listen.control is empty: the other relay and the forwarders need the control port");
  }
  check_no_loop(s, s.self().postmaster, "nodes." + std::string(to_string(s.node)) + ".postmaster", findings);
}

void finish_flags_only(const Reader& reader, RelaySettings& s, Findings& findings) {
  s.master = reader.endpoint("master");
  if (reader.given("standby")) s.standby = reader.endpoint("standby");
  if (s.standby == s.master) {
    findings.error(reader.origin("standby"),
                   "master and standby are the same server: every write would run twice");
  }
  if (!reader.given("state_dir")) {
    findings.errors.push_back(
        "state_dir is missing: without a pair, say where the state goes (--state-dir PATH)");
  }
  if (!s.leg_listen.empty()) {
    findings.error(reader.origin("listen.legs"), "only a pair has a leg port; leave it out with --master");
  }
  if (!reader.given("listen.control")) s.control.listen = {{"127.0.0.1", 8432}};
  check_no_loop(s, *s.master, "master", findings);
  if (s.standby) check_no_loop(s, *s.standby, "standby", findings);
}

void check_shape(const Reader& reader, Findings& findings) {
  if (!reader.given("master")) return;
  for (const std::string_view key : kPairKeys) {
    if (!reader.given(key)) continue;
    findings.error(reader.origin(key), std::string(key) + " belongs to a pair and cannot be combined with " +
                                           reader.origin("master") + ": give either master or a pair");
  }
}

RelaySettings complete(const config::Values& values, Findings& findings) {
  const Reader reader(values);
  RelaySettings settings;
  read_plain(reader, settings);
  read_witness(reader, settings);
  check_shape(reader, findings);
  bool pair = false;
  for (const std::string_view key : kPairKeys) pair = pair || reader.given(key);
  if (reader.given("master")) {
    finish_flags_only(reader, settings, findings);
  } else if (reader.given("standby")) {
    findings.error(reader.origin("standby"), "standby without master: give --master too");
  } else if (pair) {
    finish_pair(reader, settings, findings);
  } else {
    findings.errors.push_back(
        "neither a pair nor a master is configured: give --config FILE and --node a|b, or --listen, --master "
        "and "
        "--state-dir");
  }
  check_common(reader, settings, findings);
  check_distinct_listeners(settings, findings);
  check_arbiters(reader, settings, findings);
  return settings;
}

}  // namespace

Result<Loaded<RelaySettings>> load_relay_settings(int argc, const char* const* argv,
                                                  const Environment& environment) {
  Findings findings;
  config::Gathered gathered = config::gather(kProgram, argc, argv, environment, findings);
  Loaded<RelaySettings> loaded;
  loaded.answer = std::move(gathered.answer);
  const bool only_text = loaded.answer && gathered.values.empty();
  if (!only_text) loaded.settings = complete(gathered.values, findings);
  config::check_launch(gathered, findings);
  if (!findings.errors.empty()) return Error{config::all_errors(findings)};
  loaded.launch = std::move(gathered.launch);
  loaded.texts = config::setting_texts(gathered.values, config::kRelay);
  loaded.warnings = std::move(findings.warnings);
  return loaded;
}

}  // namespace pgtandem
