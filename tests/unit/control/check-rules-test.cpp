#include "server-relay/tool/check-rules.h"

#include <catch2/catch.hpp>

#include "tests/unit/control/status-examples.h"

using namespace pgtandem;
using namespace pgtandem::tool;
using namespace pgtandem::control_test;

namespace {

using Severity = Finding::Severity;

HbaRule host(const std::string& address, const std::string& netmask, const std::string& method) {
  return {"7", "host", "all", "all", address, netmask, method, ""};
}

ServerFacts sound() {
  ServerFacts facts;
  facts.version = "15.4";
  facts.version_number = 150004;
  facts.superuser = true;
  facts.max_connections = 100;
  facts.reserved_connections = 3;
  facts.listen_addresses = "*";
  facts.encoding = "UTF8";
  facts.collation = facts.character_type = "C.UTF-8";
  facts.fsync = "on";
  facts.password_encryption = "scram-sha-256";
  return facts;
}

Severity worst(const Findings& findings) {
  Severity severity = Severity::good;
  for (const Finding& f : findings) severity = std::max(severity, f.severity);
  return severity;
}

}  // namespace

TEST_CASE("a rule covers the relay's address by network, by mask, and by its special words") {
  CHECK(rule_covers(host("127.0.0.1", "255.255.255.255", "trust"), "127.0.0.1"));
  CHECK_FALSE(rule_covers(host("127.0.0.1", "255.255.255.255", "trust"), "127.0.0.2"));
  CHECK(rule_covers(host("127.0.0.0", "255.0.0.0", "trust"), "127.9.9.9"));
  CHECK(rule_covers(host("0.0.0.0", "0.0.0.0", "trust"), "10.1.2.3"));
  CHECK(rule_covers(host("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "trust"), "::1"));
  CHECK_FALSE(rule_covers(host("::1", "", "trust"), "127.0.0.1"));
  CHECK(rule_covers(host("all", "", "trust"), "::1"));
  CHECK(rule_covers(host("samehost", "", "trust"), "10.0.0.1"));
  CHECK(rule_covers(host("localhost", "", "trust"), "127.0.0.1"));
  CHECK_FALSE(rule_covers(host("db.example.org", "", "trust"), "127.0.0.1"));
  HbaRule local{"1", "local", "all", "all", "", "", "peer", ""};
  CHECK(rule_covers(local, ""));
  CHECK_FALSE(rule_covers(local, "127.0.0.1"));
  HbaRule tls = host("all", "", "trust");
  tls.type = "hostssl";
  CHECK_FALSE(rule_covers(tls, "127.0.0.1"));
}

TEST_CASE("trust for the relay's address is refused where the postmaster listens beyond loopback") {
  ServerFacts facts = sound();
  facts.hba = {host("127.0.0.1", "255.255.255.255", "trust")};
  for (const char* beyond : {"*", "0.0.0.0", "::", "localhost, 10.0.0.5"}) {
    CAPTURE(beyond);
    facts.listen_addresses = beyond;
    CHECK(worst(judge_hba("x", facts, "127.0.0.1")) == Severity::error);
  }
  for (const char* here : {"", "localhost", "127.0.0.1,::1"}) {
    CAPTURE(here);
    facts.listen_addresses = here;
    CHECK(worst(judge_hba("x", facts, "127.0.0.1")) == Severity::warning);
  }
  facts.hba = {host("127.0.0.1", "255.255.255.255", "scram-sha-256"), host("10.0.0.0", "255.0.0.0", "trust")};
  facts.listen_addresses = "*";
  CHECK(judge_hba("x", facts, "127.0.0.1").empty());
}

TEST_CASE("peer on the socket that the relay uses is refused wherever the postmaster listens") {
  ServerFacts facts = sound();
  facts.listen_addresses = "";
  facts.hba = {{"89", "local", "all", "all", "", "", "peer", ""}};
  const Findings findings = judge_hba("x", facts, "");
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].severity == Severity::error);
  CHECK(findings[0].text.find("line 89") != std::string::npos);
  CHECK(judge_hba("x", facts, "127.0.0.1").empty());  // Debian's default file, and a relay on TCP
  facts.hba = {{"90", "", "", "", "", "", "", "invalid authentication method"}};
  CHECK(worst(judge_hba("x", facts, "127.0.0.1")) == Severity::error);
}

TEST_CASE("a server is judged by what the pair needs of it") {
  CHECK(worst(judge_server("x", sound(), 93)) == Severity::good);
  CHECK(worst(judge_server("x", sound(), 94)) == Severity::warning);
  CHECK(worst(judge_server("x", sound(), std::nullopt)) == Severity::good);
  ServerFacts facts = sound();
  facts.superuser = false;
  CHECK(worst(judge_server("x", facts, std::nullopt)) == Severity::error);
  facts = sound();
  facts.fsync = "off";
  CHECK(worst(judge_server("x", facts, std::nullopt)) == Severity::error);
  facts = sound();
  facts.max_connections = 2;
  CHECK(worst(judge_server("x", facts, 1)) == Severity::warning);
}

TEST_CASE("two servers that order or store texts differently are told apart") {
  CHECK(worst(compare_servers(sound(), sound())) == Severity::good);
  ServerFacts other = sound();
  other.version_number = 180001;
  CHECK(worst(compare_servers(sound(), other)) == Severity::note);
  other = sound();
  other.collation = "de_DE.UTF-8";
  CHECK(worst(compare_servers(sound(), other)) == Severity::warning);
  other = sound();
  other.encoding = "LATIN1";
  CHECK(worst(compare_servers(sound(), other)) == Severity::error);
}

TEST_CASE("the pair's answers are compared") {
  const auto a = answered(status_json("a"));
  const auto b = answered(status_json("b"), "hostb:8432");
  CHECK(worst(judge_pair({a, b})) == Severity::good);
  CHECK(worst(judge_pair({a, silent()})) == Severity::error);
  CHECK(worst(judge_pair({a, a})) == Severity::error);
  auto changed = status_json("b");
  changed["version"] = "0.2.0";
  CHECK(worst(judge_pair({a, answered(changed)})) == Severity::warning);
  changed = status_json("b");
  changed["peer"]["reachable"] = false;
  CHECK(worst(judge_pair({a, answered(changed)})) == Severity::error);
  changed = status_json("b");
  changed["postmaster"] = {{"ok", true}, {"service_superuser", false}};
  CHECK(worst(judge_pair({a, answered(changed)})) == Severity::error);
}

TEST_CASE("findings are printed with what to do, and counted") {
  const Findings findings{{Severity::good, "x", "fine", ""}, {Severity::error, "y", "bad\x1b", "mend it"}};
  CHECK(findings_text(findings, Style(false)) ==
        "ok       x: fine\nERROR    y: bad?\n         do: mend it\n\n1 errors, 0 warnings\n");
  CHECK(has_error(findings));
  CHECK(nlohmann::json::parse(findings_json(findings))[1]["severity"] == "error");
}
