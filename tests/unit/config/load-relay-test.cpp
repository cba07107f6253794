#include <algorithm>

#include <catch2/catch.hpp>

#include "common/config/sources.h"
#include "tests/unit/config/config-fixture.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

const std::string kPair = R"(node = "a"
standby_timeout = "3s"
[pair]
uuid = "9b2f6c1e-5f0a-4c56-8a3e-6d4f0c2b7e11"
key_file = "/etc/pgtandem/pair.key"
[nodes.a]
host = "hosta"
[nodes.b]
host = "hostb"
relay_port = 6000
)";

const std::vector<std::string> kFlagsOnly{"--listen",  "127.0.0.1:5432", "--master",    "127.0.0.1:5433",
                                          "--standby", "127.0.0.1:5434", "--state-dir", "/tmp/state"};

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// Loads `text` as the file, with more flags.
Result<Loaded<RelaySettings>> load_text(const std::string& text, const std::vector<std::string>& flags = {},
                                        const Environment& env = {}) {
  const TemporaryFolder folder;
  return load_relay(with({"--config", folder.write("pgtandem.toml", text)}, flags), env);
}

}  // namespace

TEST_CASE("flags alone run a relay, with the defaults that settings.h documents") {
  const auto loaded = load_relay(kFlagsOnly);
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  const RelaySettings& s = loaded->settings;
  CHECK_FALSE(loaded->answer);
  CHECK_FALSE(s.pair_mode());
  CHECK(*s.master == Endpoint{"127.0.0.1", 5433});
  CHECK(*s.standby == Endpoint{"127.0.0.1", 5434});
  CHECK(s.listen == std::vector<Endpoint>{{"127.0.0.1", 5432}});
  CHECK(s.control.listen == std::vector<Endpoint>{{"127.0.0.1", 8432}});
  CHECK(s.leg_listen.empty());
  CHECK(s.state_dir == "/tmp/state");
  const RelaySettings defaults;
  CHECK(s.protocol == defaults.protocol);
  CHECK(s.ack == defaults.ack);
  CHECK(s.discipline == Discipline::classic);  // for want of a service user
  REQUIRE(loaded->warnings.size() == 1);
  CHECK(contains(loaded->warnings[0], "give --service-user"));
  CHECK(s.on_mismatch == defaults.on_mismatch);
  CHECK(s.on_standby_refusal == defaults.on_standby_refusal);
  CHECK(s.compare_rows == defaults.compare_rows);
  CHECK(s.compare_window == defaults.compare_window);
  CHECK(s.standby_timeout == defaults.standby_timeout);
  CHECK(s.stop_timeout == defaults.stop_timeout);
  CHECK(s.login_timeout == defaults.login_timeout);
  CHECK(s.takeover_timeout == defaults.takeover_timeout);
  CHECK(s.threads == defaults.threads);
  CHECK(s.max_sessions == defaults.max_sessions);
  CHECK(s.service.database == defaults.service.database);
  CHECK(s.log.level == defaults.log.level);
  CHECK(s.log.rotate_bytes == defaults.log.rotate_bytes);
  CHECK(s.a.relay_port == defaults.a.relay_port);
  CHECK(s.b.leg_port == defaults.b.leg_port);
}

TEST_CASE("every flag of the short surface reaches its setting") {
  const auto loaded = load_relay(with(
      kFlagsOnly, {"--unix-socket-dir=/run/x", "--protocol=raw", "--ack=master", "--standby-timeout=700ms",
                   "--control", "127.0.0.1:9000,127.0.0.1:9001", "--control", "[::1]:9002",
                   "--control-token-file=/t", "--service-user=u", "--service-passfile=/p", "--threads=3",
                   "--log-level=debug", "--access", "all all all deny; local all all allow"}));
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  const RelaySettings& s = loaded->settings;
  CHECK(s.unix_socket_dir == "/run/x");
  CHECK(s.protocol == Protocol::raw);
  CHECK(s.ack == Ack::master);
  CHECK(s.standby_timeout == Milliseconds(700));
  CHECK(s.control.listen == std::vector<Endpoint>{{"127.0.0.1", 9000}, {"127.0.0.1", 9001}, {"::1", 9002}});
  CHECK(s.control.token_file == "/t");
  CHECK(s.service.user == "u");
  CHECK(s.service.passfile == "/p");
  CHECK(s.threads == 3);
  CHECK(s.log.level == log::Level::debug);
  REQUIRE(s.access.size() == 2);
  CHECK_FALSE(s.access[0].allow);
  CHECK(s.access[1].address == "local");
}

TEST_CASE("a pair comes from the file, and its ports are where it listens") {
  const auto loaded = load_text(kPair, {"--node", "b"});
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  const RelaySettings& s = loaded->settings;
  CHECK(s.pair_mode());
  CHECK(s.node == Node::b);
  CHECK(s.self().host == "hostb");
  CHECK(s.peer().host == "hosta");
  CHECK(s.listen == std::vector<Endpoint>{{"", 6000}});
  CHECK(s.leg_listen == std::vector<Endpoint>{{"", 5442}});
  CHECK(s.control.listen == std::vector<Endpoint>{{"", 8432}});
  CHECK(s.state_dir == "/var/lib/pgtandem");
  CHECK(s.self().postmaster == Endpoint{"127.0.0.1", 5433});
  CHECK(s.standby_timeout == Milliseconds(3000));
}

TEST_CASE("a variable overrides the file, and a flag overrides the variable") {
  const Environment env{
      {"PGTANDEM_STANDBY_TIMEOUT", "4s"}, {"PGTANDEM_NODES_A_HOST", "other"}, {"PATH", "/bin"}};
  const auto by_variable = load_text(kPair, {}, env);
  REQUIRE(by_variable.ok());
  CHECK(by_variable->settings.standby_timeout == Milliseconds(4000));
  CHECK(by_variable->settings.a.host == "other");
  const auto by_flag = load_text(kPair, {"--standby-timeout=5s"}, env);
  REQUIRE(by_flag.ok());
  CHECK(by_flag->settings.standby_timeout == Milliseconds(5000));
  CHECK(by_flag->settings.a.host == "other");
}

TEST_CASE("the file may be named by a variable, and an empty variable counts as absent") {
  const TemporaryFolder folder;
  const std::string file = folder.write("pgtandem.toml", kPair);
  const auto loaded = load_relay({}, {{"PGTANDEM_CONFIG", file}, {"PGTANDEM_STANDBY_TIMEOUT", ""}});
  REQUIRE(loaded.ok());
  CHECK(loaded->settings.standby_timeout == Milliseconds(3000));
}

TEST_CASE("a misspelt variable is a warning that names the right one") {
  const auto loaded =
      load_relay(with(kFlagsOnly, {"--discipline=classic"}), {{"PGTANDEM_STANDBY_TIMOUT", "4s"}});
  REQUIRE(loaded.ok());
  REQUIRE(loaded->warnings.size() == 1);
  CHECK(contains(loaded->warnings[0], "did you mean 'PGTANDEM_STANDBY_TIMEOUT'"));
}

TEST_CASE("all errors of a file are told at once, with line, place and what is allowed") {
  const TemporaryFolder folder;
  const std::string file = folder.write("bad.toml",
                                        "standby_timeot = \"2s\"\n"         // 1
                                        "ack = \"everyone\"\n"              // 2
                                        "standby_timeout = 2\n"             // 3
                                        "threads = \"many\"\n"              // 4
                                        "max_sessions = 0\n"                // 5
                                        "stop_timeout = \"2 hours\"\n"      // 6
                                        "compare_window = \"1KiB\"\n"       // 7
                                        "[listen]\n"                        // 8
                                        "frontends = \"127.0.0.1:5432\"\n"  // 9
                                        "legs = [\"127.0.0.1:5442\", 7]\n"  // 10
                                        "[nodes.c]\n"                       // 11
                                        "host = \"x\"\n"                    // 12
                                        "[nodes.a]\n"                       // 13
                                        "relay_port = 70000\n"              // 14
                                        "host = \"hosta:5432\"\n"           // 15
                                        "[[access]]\n"                      // 16
                                        "address = \"10.0.0.0/40\"\n"       // 17
                                        "action = \"allow\"\n"              // 18
                                        "[[access]]\n"                      // 19
                                        "adress = \"all\"\n");              // 20
  const auto loaded =
      load_relay({"--config", file, "--ack", "nobody", "--unknown", "x"}, {{"PGTANDEM_THREADS", "300"}});
  REQUIRE_FALSE(loaded.ok());
  const std::string text = loaded.error();
  INFO(text);
  const auto told = [&](const std::string& start, const std::string& part) {
    INFO(start << " ... " << part);
    const std::size_t at = text.find(start);
    REQUIRE(at != std::string::npos);
    CHECK(contains(text.substr(at, text.find('\n', at) - at), part));
  };
  told(file + ":1: ", "did you mean 'standby_timeout'?");
  told(file + ":2: ", "use one of both, master");
  told(file + ":3: ", "a text with a unit");
  told(file + ":4: ", "a number (0 to 256)");
  told(file + ":5: ", "1 to 100000");
  told(file + ":6: ", "ms, s, m, h");
  told(file + ":7: ", "4KiB to 1GiB");
  told(file + ":9: ", "array");
  told(file + ":10: ", "text in quotes");
  told(file + ":11: ", "no key 'c' in [nodes]");
  told(file + ":14: ", "1 to 65535");
  told(file + ":15: ", "no host name");
  told(file + ":16: ", "10.0.0.0/40");
  told(file + ":20: ", "did you mean 'address'?");
  told("--ack: ", "both, master");
  told("--unknown: ", "no such option");
  told("PGTANDEM_THREADS: ", "0 to 256");
}

TEST_CASE("a file that is no TOML is told with its line, and so is one that is not there") {
  const auto bad = load_text("node = \"a\"\nack = = \"both\"\n");
  REQUIRE_FALSE(bad.ok());
  CHECK(contains(bad.error(), "pgtandem.toml:2: "));
  CHECK(contains(error_of(load_text("node = \"a\"\n[listen]\n[=]\n[log]\n")), "pgtandem.toml:3: "));
  CHECK(contains(error_of(load_relay({"--config", "/nowhere/pgtandem.toml"})),
                 "/nowhere/pgtandem.toml: cannot be read"));
  CHECK(contains(error_of(load_relay({"--config", "/tmp"})), "/tmp: cannot be read"));
  CHECK(contains(error_of(load_relay({"--config"})), "config"));
}

TEST_CASE("the two shapes of a relay exclude each other, and each says what it lacks") {
  CHECK(contains(error_of(load_relay({})), "neither a pair nor a master"));
  CHECK(contains(error_of(load_relay(with(kFlagsOnly, {"--node", "a"}))), "--node: node belongs to a pair"));
  CHECK(contains(error_of(load_text(kPair, {"--master", "127.0.0.1:5433"})),
                 "cannot be combined with --master"));
  CHECK(contains(error_of(load_relay({"--standby", "127.0.0.1:5434"})), "standby without master"));
  CHECK(contains(error_of(load_relay({"--listen", ":5432", "--master", "h:5433"})), "state_dir is missing"));
  CHECK(
      contains(error_of(load_relay({"--state-dir", "/s", "--master", "h:5433"})), "no address to listen on"));
  CHECK(contains(error_of(load_relay(with(kFlagsOnly, {"--legs", ":5442"}))), "only a pair has a leg port"));
  const std::string missing = error_of(load_relay({"--node", "a"}));
  for (const char* part :
       {"pair.uuid is missing", "pair.key_file is missing", "nodes.a.host", "nodes.b.host"}) {
    CHECK(contains(missing, part));
  }
}

TEST_CASE("impossible combinations are refused") {
  const auto refused = [](const std::vector<std::string>& words, const std::string& part) {
    const std::string error = error_of(load_relay(words));
    INFO(error);
    CHECK(contains(error, part));
  };
  refused(with(kFlagsOnly, {"--protocol", "raw", "--discipline", "serial"}), "understands none");
  refused(with(kFlagsOnly, {"--protocol", "raw", "--ack", "both"}), "protocol \"raw\"");
  refused(with(kFlagsOnly, {"--standby", "127.0.0.1:5433"}), "the same server");
  refused(with(kFlagsOnly, {"--master", "127.0.0.1:5432"}), "where the relay itself listens");
  refused(with(kFlagsOnly, {"--listen", ":5434"}), "where the relay itself listens");
  refused(with(kFlagsOnly, {"--master", ":5433"}), "lacks the host");
  refused(with(kFlagsOnly, {"--listen", "/tmp:5432"}), "Unix socket");
  refused(with(kFlagsOnly, {"--service-passfile", "/p"}), "service.passfile without service.user");
  refused(with(kFlagsOnly, {"--control", "127.0.0.1:5432"}), "cannot listen twice");
  refused(with(kFlagsOnly, {"--state-dir="}), "state_dir");
  refused(with(kFlagsOnly, {"stray"}), "stands alone");
  CHECK(contains(error_of(load_text(kPair, {"--nodes-b-host=hosta"})), "all their ports must differ"));
  CHECK(contains(error_of(load_text(kPair, {"--nodes-a-leg-port=5432"})), "must differ"));
  CHECK(contains(error_of(load_text(kPair, {"--nodes-a-postmaster=127.0.0.1:5432"})),
                 "where the relay itself listens"));
  CHECK(contains(error_of(load_text(kPair, {"--control="})), "listen.control is empty"));
  CHECK(
      contains(error_of(load_text(kPair, {"--pair-uuid=00000000-0000-0000-0000-000000000000"})), "all zero"));
}

TEST_CASE(
    "with a service user the discipline is serial, and only a word of the operator's makes it classic") {
  const std::vector<std::string> service = with(kFlagsOnly, {"--service-user", "postgres"});
  const auto discipline = [&](const std::vector<std::string>& more) {
    const auto loaded = load_relay(with(service, more));
    INFO(error_of(loaded));
    REQUIRE(loaded.ok());
    CHECK(loaded->warnings.empty());
    return loaded->settings.discipline;
  };
  CHECK(discipline({}) == Discipline::serial);
  CHECK(discipline({"--discipline", "classic"}) == Discipline::classic);
  CHECK(discipline({"--protocol", "raw"}) == Discipline::classic);
  CHECK(load_text(kPair, {"--service-user", "postgres"})->settings.discipline == Discipline::serial);
  CHECK(contains(error_of(load_relay(with(kFlagsOnly, {"--discipline", "serial"}))), "needs service.user"));
  CHECK(load_relay(with(kFlagsOnly, {"--discipline", "classic"}))->warnings.empty());
}

TEST_CASE("databases and roles may have a discipline of their own: the first rule that fits counts") {
  const auto loaded =
      load_relay(with(kFlagsOnly, {"--service-user", "postgres", "--discipline-for",
                                   "reports/*=classic,*/batch=classic", "--discipline-for", "*/*=serial"}));
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  const RelaySettings& s = loaded->settings;
  CHECK(s.discipline_of("reports", "anna") == Discipline::classic);
  CHECK(s.discipline_of("plant", "batch") == Discipline::classic);
  CHECK(s.discipline_of("plant", "anna") == Discipline::serial);
  const auto only_some = load_relay(with(kFlagsOnly, {"--discipline-for", "plant/*=serial"}));
  CHECK(contains(error_of(only_some), "needs service.user"));
  for (const char* wrong : {"reports=classic", "reports/*", "reports/*=loose", "/=classic"}) {
    INFO(wrong);
    CHECK_FALSE(load_relay(with(kFlagsOnly, {"--service-user", "u", "--discipline-for", wrong})).ok());
  }
}

TEST_CASE("in classic a mismatch may be refused, and raw acknowledges by the master") {
  const auto refuse = load_relay(with(kFlagsOnly, {"--on-mismatch=refuse"}));
  REQUIRE(refuse.ok());
  CHECK(refuse->settings.on_mismatch == OnMismatch::refuse);
  const auto raw = load_relay(with(kFlagsOnly, {"--protocol=raw"}));
  REQUIRE(raw.ok());
  CHECK(raw->settings.ack == Ack::master);
}

TEST_CASE("two nodes on one host are possible when all their ports differ") {
  const auto loaded =
      load_text(kPair, {"--nodes-b-host=hosta", "--nodes-b-leg-port=6001", "--nodes-b-control-port=6002"});
  INFO(error_of(loaded));
  CHECK(loaded.ok());
}

TEST_CASE("--help and --version answer even where nothing else is right") {
  const auto help = load_relay({"--help", "--nonsense"});
  REQUIRE(help.ok());
  REQUIRE(help->answer);
  for (const config::Setting& setting : config::settings()) {
    INFO(setting.name);
    const std::string flag =
        "--" + (setting.flag.empty() ? config::flag_name(setting) : std::string(setting.flag));
    if (setting.programs & config::kRelay) CHECK(contains(*help->answer, flag));
  }
  CHECK(contains(*help->answer, "Default: 2s. Allowed: 10ms to 1h."));
  CHECK(contains(*help->answer, "Usage:\n  pgtandem-relay --config FILE"));
  const auto version = load_relay({"-V"});
  REQUIRE(version.ok());
  CHECK(*version->answer == "pgtandem-relay " PGTANDEM_VERSION "\n");
}

TEST_CASE("what --print-config prints is a file with the same meaning, which names the origins") {
  const std::vector<std::string> more{
      "--access", "10.0.0.0/8 all all allow", "--unix-socket-dir", "/a \"b\" \\c\n", "--listen", ":5432"};
  const auto printed = load_text(kPair, with({"--print-config"}, more), {{"PGTANDEM_THREADS", "2"}});
  INFO(error_of(printed));
  REQUIRE(printed.ok());
  REQUIRE(printed->answer);
  INFO(*printed->answer);
  CHECK(contains(*printed->answer, "threads = 2  # from PGTANDEM_THREADS"));
  CHECK(contains(*printed->answer, "# ack = \"both\""));
  CHECK(contains(*printed->answer, "pgtandem.toml:2"));
  const auto again = load_text(*printed->answer);
  INFO(error_of(again));
  REQUIRE(again.ok());
  CHECK(again->settings.threads == 2);
  CHECK(again->settings.standby_timeout == Milliseconds(3000));
  CHECK(again->settings.unix_socket_dir == "/a \"b\" \\c\n");
  CHECK(again->settings.b.relay_port == 6000);
  REQUIRE(again->settings.access.size() == 1);
  CHECK(again->settings.access[0].address == "10.0.0.0/8");
}

TEST_CASE("a file of any single changed or missing byte is read or refused, never more") {
  const std::string sample = kPair + "[[access]]\naddress = \"all\"\naction = \"allow\"\n";
  for (std::size_t i = 0; i < sample.size(); ++i) {
    for (const char c : {'\0', '"', '[', '\n', '\xff', '='}) {
      std::string text = sample;
      text[i] = c;
      config::Values values;
      config::Findings findings;
      config::read_toml(text, "x", values, findings);
      for (const std::string& error : findings.errors) REQUIRE(error.starts_with("x:"));
    }
    config::Values values;
    config::Findings findings;
    config::read_toml(sample.substr(0, i), "x", values, findings);
    CHECK(values.size() <= 8);  // as many as the whole has
  }
}

TEST_CASE("a witness is read whole, and its members are tried in the order given") {
  const auto loaded = load_text(kPair + R"([witness]
endpoints = ["https://etcd1:2379", "https://[2001:db8::2]:4001", "https://etcd3/"]
ca_file = "/ca.pem"
cert_file = "/client.pem"
key_file = "/client.key"
user = "pgtandem"
password_file = "/password"
prefix = "/plant/7"
term = "6s"
guard = "1s"
)",
                                {"--node", "a"});
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  const WitnessSettings& w = loaded->settings.witness;
  REQUIRE(w.endpoints.size() == 3);
  CHECK(w.endpoints[0].tls);
  CHECK(w.endpoints[0].address == Endpoint{"etcd1", 2379});
  CHECK(w.endpoints[1].address == Endpoint{"2001:db8::2", 4001});
  CHECK(w.endpoints[2].address == Endpoint{"etcd3", 2379});
  CHECK(w.ca_file == "/ca.pem");
  CHECK(w.cert_file == "/client.pem");
  CHECK(w.key_file == "/client.key");
  CHECK(w.user == "pgtandem");
  CHECK(w.password_file == "/password");
  CHECK(w.prefix == "/plant/7");
  CHECK(w.term == Milliseconds{6000});
  CHECK(w.guard == Milliseconds{1000});
}

TEST_CASE("without witness and hook there is none, and the defaults are those of settings.h") {
  const auto loaded = load_text(kPair, {"--node", "a"});
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  const RelaySettings& s = loaded->settings;
  const RelaySettings defaults;
  CHECK_FALSE(s.witness.configured());
  CHECK(s.witness.prefix == defaults.witness.prefix);
  CHECK(s.witness.term == defaults.witness.term);
  CHECK(s.witness.guard == defaults.witness.guard);
  CHECK(s.fencing.hook.empty());
  CHECK(s.fencing.hook_timeout == defaults.fencing.hook_timeout);
  CHECK(s.fencing.hook_wait == defaults.fencing.hook_wait);
}

TEST_CASE("settings of a witness that do not fit together are refused, and the error says what to do") {
  const auto error = [](const std::string& section) {
    return error_of(load_text(kPair + section, {"--node", "a"}));
  };
  const std::string plain = "[witness]\nendpoints = [\"http://etcd1:2379\"]\n";
  const std::string tls = "[witness]\nendpoints = [\"https://etcd1:2379\"]\n";
  CHECK(contains(error("[witness]\nendpoints = [\"etcd1:2379\"]\n"), "use http://host:2379"));
  CHECK(contains(error("[witness]\nendpoints = [\"http://etcd1:2379/v3\"]\n"), "more than the address"));
  CHECK(contains(error("[witness]\nendpoints = [\"http://user@etcd1\"]\n"), "more than the address"));
  CHECK(contains(error("[witness]\nendpoints = [\"http://:2379\"]\n"), "lacks the host"));
  CHECK(contains(error(plain + "ca_file = \"/ca.pem\"\n"), "needs witness.endpoints with https://"));
  CHECK(contains(error(tls + "cert_file = \"/c.pem\"\n"), "give both"));
  CHECK(contains(error(tls + "user = \"u\"\n"), "give both"));
  CHECK(contains(error(tls + "password_file = \"/p\"\n"), "give both"));
  CHECK(contains(error(tls + "guard = \"1s\"\n"), "a quarter of witness.term"));
  CHECK(contains(error(tls + "term = \"1s\"\n"), "out of range"));
  CHECK(contains(error(tls + "prefix = \"plant\"\n"), "begin with a slash"));
  CHECK(contains(error(tls + "prefix = \"/plant/\"\n"), "begin with a slash"));
}

TEST_CASE("a fencing hook needs a full path and room for the master's to come first") {
  const auto load = [](const std::string& section) { return load_text(kPair + section, {"--node", "a"}); };
  // kPair has standby_timeout = 3s.
  CHECK(contains(error_of(load("[fencing]\nhook = \"off\"\nhook_wait = \"12s\"\n")), "full path"));
  CHECK(contains(error_of(load("[fencing]\nhook = \"/off\"\n")), "fencing.hook_wait must be 12s at least"));
  const auto fits = load("[fencing]\nhook = \"/off\"\nhook_wait = \"12s\"\n");
  INFO(error_of(fits));
  REQUIRE(fits.ok());
  CHECK(fits->settings.fencing.hook == "/off");
  CHECK(fits->settings.fencing.hook_wait == Milliseconds{12000});
}

TEST_CASE("with a witness the hook is never called, and a password in clear text is warned of") {
  const auto loaded = load_text(kPair + R"([witness]
endpoints = ["http://etcd1:2379"]
user = "u"
password_file = "/p"
[fencing]
hook = "/off"
)",
                                {"--node", "a"});
  INFO(error_of(loaded));
  REQUIRE(loaded.ok());
  const auto warned = [&](const std::string& text) {
    return std::any_of(loaded->warnings.begin(), loaded->warnings.end(),
                       [&](const std::string& warning) { return contains(warning, text); });
  };
  CHECK(warned("fencing.hook is never called"));
  CHECK(warned("clear text"));
}

TEST_CASE("the flags-only mode has neither witness nor hook") {
  CHECK(contains(error_of(load_relay(with(kFlagsOnly, {"--witness-endpoints", "http://etcd1:2379"}))),
                 "belongs to a pair"));
  CHECK(contains(error_of(load_relay(with(kFlagsOnly, {"--fencing-hook", "/off"}))), "belongs to a pair"));
}
