#include "server-relay/tool/status-screen.h"

#include <catch2/catch.hpp>

#include "server-relay/tool/watch-lines.h"
#include "tests/unit/control/status-examples.h"

using namespace pgtandem;
using namespace pgtandem::tool;
using namespace pgtandem::control_test;
using nlohmann::json;

namespace {

const Style kPlain(false);

PairStatus healthy() {
  return {answered(status_json("a")), answered(status_json("b"), "hostb:8432")};
}

json alone() {
  json status = status_json();
  status["role"]["state"] = "ALONE";
  status["standby"] = {{"joined", false}, {"stale_reason", "silent for 2 s"}, {"lag_units", 0}};
  status["peer"]["reachable"] = false;
  status["hint"] = "pgtandem bootstrap";
  return status;
}

json in_state(const std::string& node, const std::string& state) {
  json status = status_json(node);
  status["role"]["state"] = state;
  return status;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the screen of a healthy pair") {
  CHECK(status_screen(healthy(), kPlain) ==
        R"(HEALTHY  node a is master, node b is joined and may take over

  node  state    since      epoch  postmaster  control port
  a     MASTER   2 h 4 min  3      answers     hosta:8432
  b     STANDBY  2 h 4 min  3      answers     hostb:8432

  standby      joined, 0 units behind
  sessions     8 open, 1,123 in all, 0 refused
  traffic      1,000 units, 83.3 a second since the start
  received     17 B from frontends, 1.5 KiB from the master, 20.0 GiB from the standby
  differences  0 in writes, 2 in reads (pgtandem differences shows them)
  generation   5f0e8a52-7d0c-4f7e-9d53-0d6f8a1b2c3d, postgres/classic, relay 0.1.0 up 12 s

  last events
    2026-01-02T03:04:05Z  a  info  standby-joined  b is joined
    2026-01-02T03:04:05Z  b  info  standby-joined  b is joined
)");
}

TEST_CASE("the screen of a pair whose standby is gone says so first, and what to type last") {
  CHECK(status_screen({answered(alone()), silent()}, kPlain) ==
        R"(DEGRADED  node a serves alone, node b is not joined: silent for 2 s

  node  state      since      epoch  postmaster  control port
  a     ALONE      2 h 4 min  3      answers     hosta:8432
  b     no answer                                hostb:8432

  standby      not joined: silent for 2 s
  sessions     8 open, 1,123 in all, 0 refused
  traffic      1,000 units, 83.3 a second since the start
  received     17 B from frontends, 1.5 KiB from the master, 20.0 GiB from the standby
  differences  0 in writes, 2 in reads (pgtandem differences shows them)
  generation   5f0e8a52-7d0c-4f7e-9d53-0d6f8a1b2c3d, postgres/classic, relay 0.1.0 up 12 s
  no answer    hostb:8432: cannot connect to hostb:8432: Connection refused

  last events
    2026-01-02T03:04:05Z  a  info  standby-joined  b is joined

  next  pgtandem bootstrap
  next  look at the relay of hostb:8432: systemctl status pgtandem-relay
)");
}

TEST_CASE("a witness has a line: what it holds, why it is not trusted, or why it is not heard") {
  const auto shown = [](const json& witness, const json& right) {
    json status = status_json("a");
    status["witness"] = witness;
    status["right_ms"] = right;
    const std::string screen = status_screen({answered(status), answered(status_json("b"))}, kPlain);
    const std::size_t at = screen.find("  witness ");
    REQUIRE(at != std::string::npos);
    return screen.substr(at, screen.find('\n', at) - at);
  };
  json witness = witness_json();
  CHECK(shown(witness, 2300) ==
        "  witness      answers, 1 of 2 members; epoch 3, master a, standby joined; right to be master for "
        "2,300 ms");
  witness["record"] = nullptr;
  CHECK(shown(witness, nullptr) == "  witness      answers, 1 of 2 members; holds no record of this pair");
  witness["answers"] = false;
  witness["trouble"] = "no answer within 1000 ms";
  CHECK(shown(witness, nullptr) == "  witness      does not answer: no answer within 1000 ms");
  witness["flaw"] = "the pair's record is gone";
  CHECK(shown(witness, 0) ==
        "  witness      gives no authority: the pair's record is gone; right to be master for 0 ms");
}

TEST_CASE("guests are shown with the node on whose server they are") {
  json old_master = status_json("a");
  old_master["role"]["state"] = "STALE";
  old_master["role"]["master"] = "b";
  old_master["guests"] = true;
  json master = status_json("b");
  master["role"]["state"] = "ALONE";
  const std::string screen = status_screen({answered(old_master), answered(master)}, kPlain);
  CHECK(screen.find("  guests       sessions of node a's relay go on with the server of node b") !=
        std::string::npos);
}

TEST_CASE("the exit status tells a joined pair from one that serves and from one that does not") {
  const auto status_of = [](const PairStatus& pair) { return exit_status(judge(pair).health); };
  CHECK(status_of(healthy()) == 0);
  CHECK(status_of({answered(status_json("a")), silent()}) == 0);  // the master says that it is joined
  CHECK(status_of({answered(alone()), silent()}) == 1);
  for (const char* state : {"ALONE", "DEGRADING", "DRAINING"}) {
    CAPTURE(state);
    CHECK(status_of({answered(in_state("a", state)), answered(status_json("b"))}) == 1);
  }
  for (const char* state : {"RECOVER", "STALE", "BOOTSTRAP", "STANDBY", "CANDIDATE", "FENCED", "SPLIT"}) {
    CAPTURE(state);
    CHECK(status_of({answered(in_state("a", state)), answered(in_state("b", state))}) == 2);
  }
  CHECK(status_of({silent(), silent()}) == 2);
  json guest = status_json();
  guest["role"]["data_node"] = "b";
  CHECK(status_of({answered(guest), answered(status_json("b"))}) == 1);
}

TEST_CASE("flags-only mode is judged by its one relay") {
  json status = status_json();
  status["mode"] = "flags";
  status["peer"] = nullptr;
  status["record"] = nullptr;
  CHECK(exit_status(judge({answered(status)}).health) == 0);
  status["standby"]["joined"] = false;
  CHECK(exit_status(judge({answered(status)}).health) == 1);
}

TEST_CASE("of two nodes that both serve, the higher epoch counts") {
  json old = alone();
  json newer = in_state("b", "ALONE");
  newer["role"]["epoch"] = 4;
  newer["role"]["data_node"] = "b";
  newer["standby"]["joined"] = false;
  const PairStatus pair{answered(old), answered(newer, "hostb:8432")};
  CHECK(find_active(pair)->control_port == "hostb:8432");
  CHECK(contains(status_screen(pair, kPlain), "node b serves alone"));
}

TEST_CASE("a split is called a split") {
  CHECK(judge({answered(in_state("a", "SPLIT")), answered(in_state("b", "SPLIT"))}).word == "SPLIT");
}

TEST_CASE("colours come only where they are wanted, and texts from a server cannot bring their own") {
  json status = status_json();
  status["events"][0]["text"] =
      "\x1b[31mred\x07\r\n\xC2\x9B"
      "2J";
  status["hint"] = "\x1b]0;title\x07";
  const PairStatus pair{answered(status), silent()};
  CHECK_FALSE(contains(status_screen(pair, kPlain), "\x1b"));
  CHECK_FALSE(contains(status_screen(pair, kPlain), "\xC2\x9B"));
  const std::string coloured = status_screen(pair, Style(true));
  CHECK(contains(coloured, "\x1b[1;32mHEALTHY\x1b[0m"));
  CHECK_FALSE(contains(coloured, "\x1b[31m"));
  CHECK_FALSE(contains(coloured, "\x1b]"));
}

TEST_CASE("the JSON of the pair holds both statuses as they came") {
  const json all = json::parse(status_json({answered(alone()), silent()}));
  CHECK(all["health"] == "degraded");
  CHECK(all["exit_status"] == 1);
  CHECK(all["active"] == "a");
  CHECK(all["relays"][0]["status"] == alone());
  CHECK(all["relays"][1]["status"].is_null());
  CHECK(contains(all["relays"][1]["error"], "refused"));
  CHECK(all["next"][0] == "pgtandem bootstrap");
}

TEST_CASE("a bootstrap shows how far it is") {
  json status = alone();
  status["bootstrap"] = {
      {"phase", "copy"}, {"bytes", 512}, {"total_bytes", 2048}, {"text", "table t"}, {"lease", "x"}};
  CHECK(contains(status_screen({answered(status)}, kPlain),
                 "bootstrap    copy, 512 B of 2.0 KiB (25 %), table t"));
}

TEST_CASE("watching prints one line an event, and nothing while nothing happens") {
  WatchLines lines;
  json status = status_json();
  const auto view = [&] { return *parse_status(status.dump()); };
  CHECK(lines.status("hosta:8432", view(), "NOW") ==
        std::vector<std::string>{
            "2026-01-02T03:04:05Z node=a event=standby-joined level=info text=\"b is joined\"",
            "NOW node=a relay=hosta:8432 state=MASTER epoch=3 joined=yes postmaster=ok reason=joined"});
  CHECK(lines.status("hosta:8432", view(), "NOW").empty());
  status["sessions"]["open"] = 9;
  CHECK(lines.status("hosta:8432", view(), "NOW").empty());
  status["events"].push_back(
      {{"time", "T2"}, {"level", "warning"}, {"event", "standby-lost"}, {"text", "a \"quoted\"\nline"}});
  status["role"]["state"] = "ALONE";
  const auto changed = lines.status("hosta:8432", view(), "NOW");
  REQUIRE(changed.size() == 2);
  CHECK(changed[0] == "T2 node=a event=standby-lost level=warning text=\"a \\\"quoted\\\"?line\"");
  CHECK(contains(changed[1], "state=ALONE"));
  CHECK(lines.lost("hosta:8432", "silent", "NOW") ==
        std::vector<std::string>{"NOW relay=hosta:8432 no_answer=silent"});
  CHECK(lines.lost("hosta:8432", "silent", "NOW").empty());
  CHECK(lines.status("hosta:8432", view(), "NOW").size() == 1);  // back: its state again, the old events not
  // A relay that started anew has forgotten its events: all that it tells now are new.
  status["events"] = json::array({{{"time", "T3"}, {"level", "info"}, {"event", "started"}, {"text", ""}}});
  CHECK(lines.status("hosta:8432", view(), "NOW").size() == 1);
}

TEST_CASE("figures read as people write them") {
  CHECK(duration_text(0) == "0 s");
  CHECK(duration_text(60) == "1 min");
  CHECK(duration_text(185) == "3 min 5 s");
  CHECK(duration_text(86400 + 3600) == "1 d 1 h");
  CHECK(count_text(0) == "0");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1000) == "1,000");
  CHECK(count_text(1234567) == "1,234,567");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(~0ULL) == "16384.0 PiB");
  CHECK(printable("\xC3\xA4\t\x7F") == "\xC3\xA4??");
}
