/// The program `pgtandem` against relays that answer what the test says, over real control ports on loopback.
#include "server-relay/tool/tool.h"

#include <chrono>

#include <catch2/catch.hpp>

#include "server-relay/control/difference.h"
#include "tests/unit/control/tool-rig.h"

using namespace pgtandem;
using namespace pgtandem::control_test;
using nlohmann::json;

namespace {

/// A port of loopback where nobody listens.
std::uint16_t closed_port() {
  asio::io_context context;
  asio::ip::tcp::acceptor probe(context, {asio::ip::address_v4::loopback(), 0});
  return probe.local_endpoint().port();
}
std::string nobody() {
  return "127.0.0.1:1/" + std::to_string(closed_port());
}

ControlReply refusal(const char* error, const char* what_to_do) {
  return {409, json{{"ok", false}, {"error", error}, {"do", what_to_do}}.dump()};
}

/// Refuses a promotion until it repeats the time.
ControlReply demand(const json& body) {
  if (body["other_host_is_off"] == true && body["accept_loss_since"] == "2026-01-02T03:04:05Z") {
    return {200, "{\"ok\":true}"};
  }
  return refusal(
      "node a does not answer since 2026-01-02T03:04:05Z",
      "if host a is off: pgtandem promote --other-host-is-off --accept-loss-since=2026-01-02T03:04:05Z");
}

}  // namespace

TEST_CASE("status asks both relays and exits with 0, 1 or 2") {
  FakeRelay a(status_json("a"));
  FakeRelay b(status_json("b"));
  const std::vector<std::string> both{"--relay", a.address(), "--relay", b.address(), "status"};
  const Ran healthy = run(both);
  CHECK(healthy.status == 0);
  CHECK(contains(healthy.out, "HEALTHY"));
  CHECK(contains(healthy.out, "127.0.0.1:" + std::to_string(b.port())));
  CHECK_FALSE(contains(healthy.out, "\x1b"));
  a.set_status(in_state("a", "ALONE"));
  CHECK(run(both).status == 1);
  a.set_status(in_state("a", "FENCED"));
  CHECK(run(both).status == 2);
  CHECK(run({"--relay", nobody(), "status"}).status == 2);
  const Ran as_json = run({"status", "--json", "--relay", a.address(), "--relay", b.address()});
  CHECK(json::parse(as_json.out)["relays"].size() == 2);
}

TEST_CASE("a relay that answers nonsense is shown as an error, not as a state") {
  FakeRelay a(json{{"hello", "world"}});
  const Ran ran = run({"--relay", a.address(), "status"});
  CHECK(ran.status == 2);
  CHECK(contains(ran.out, "cannot be read"));
}

TEST_CASE("from one relay the tool learns the other") {
  FakeRelay b(status_json("b"));
  json status = status_json("a");
  status["nodes"]["b"] = {{"host", "127.0.0.1"}, {"relay_port", 1}, {"control_port", b.port()}};
  FakeRelay a(status);
  const Ran ran = run({"--relay", a.address(), "status", "--json"});
  CHECK(json::parse(ran.out)["relays"][1]["node"] == "b");
}

TEST_CASE("init goes to the node that becomes master, with the operator's word") {
  const TemporaryFolder folder;
  FakeRelay a(in_state("a", "RECOVER"));
  FakeRelay b(in_state("b", "RECOVER"));
  const std::string token = folder.file("token", kToken);
  const Ran ran = run({"--relay", b.address(), "--relay", a.address(), "init", "--master", "b",
                       "--standby-is-equal", "--token-file", token});
  CHECK(ran.status == 0);
  CHECK(a.commands().empty());
  CHECK(b.commands() == std::vector<std::string>{R"(init {"master":"b","standby_is_equal":true})"});
  CHECK(run({"--relay", a.address(), "init", "--token-file", token}).status == 0);
  CHECK(a.commands() == std::vector<std::string>{R"(init {"master":"a","standby_is_equal":false})"});
  CHECK(run({"--relay", a.address(), "init", "--master", "c", "--token-file", token}).status == 64);
}

TEST_CASE("commands need a token file, and the right token") {
  const TemporaryFolder folder;
  FakeRelay a(in_state("a", "FENCED"));
  const std::vector<std::string> fence{"--relay", a.address(), "fence", "--node", "a"};
  const Ran without = run(fence);
  CHECK(without.status == 78);
  CHECK(contains(without.err, "--token-file"));
  std::vector<std::string> wrong = fence;
  wrong.insert(wrong.end(), {"--token-file", folder.file("wrong", "another token of some length")});
  const Ran refused = run(wrong);
  CHECK(refused.status == 77);
  CHECK(contains(refused.err, "not the one of this relay"));
  CHECK_FALSE(contains(refused.err, "another token"));
  wrong.back() = folder.path() + "/missing";
  CHECK(run(wrong).status == 66);
  CHECK(a.commands().empty());
}

TEST_CASE("promote goes to the standby, and a script has to repeat what was shown") {
  const TemporaryFolder folder;
  FakeRelay b(in_state("b", "STANDBY"));
  b.answer_with(demand);
  const std::vector<std::string> start{
      "--relay", nobody(), "--relay", b.address(), "--token-file", folder.file("token", kToken), "promote"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = start;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const Ran shown = run(start);
  CHECK(shown.status == 75);
  CHECK(contains(shown.err, "--accept-loss-since=2026-01-02T03:04:05Z"));
  CHECK(run(with({"--other-host-is-off"})).status == 64);
  CHECK(run(with({"--other-host-is-off", "--accept-loss-since", "2025-01-01T00:00:00Z"})).status == 75);
  const Ran done = run(with({"--other-host-is-off", "--accept-loss-since=2026-01-02T03:04:05Z"}));
  CHECK(done.status == 0);
  CHECK(contains(done.out, "node b is master"));
  CHECK(b.commands().size() == 3);
}

TEST_CASE("on a terminal promote says what it means and wants the word typed") {
  const TemporaryFolder folder;
  FakeRelay b(in_state("b", "STANDBY"));
  b.answer_with(demand);
  const std::vector<std::string> words{"--relay", b.address(), "--token-file", folder.file("token", kToken),
                                       "promote"};
  const Ran no = run(words, "yes\n", true);
  CHECK(no.status == 75);
  CHECK(contains(no.err, "Host a must be off"));
  CHECK(contains(no.err, "2026-01-02T03:04:05Z"));
  CHECK(b.commands().size() == 1);
  const Ran yes = run(words, "promote\n", true);
  CHECK(yes.status == 0);
  REQUIRE(b.commands().size() == 3);
  CHECK(contains(b.commands().back(), R"("other_host_is_off":true)"));
}

TEST_CASE("promote without a node is refused while a master answers, or where the node is not clear") {
  const TemporaryFolder folder;
  const std::string token = folder.file("token", kToken);
  FakeRelay a(status_json("a"));
  FakeRelay b(status_json("b"));
  const std::vector<std::string> words{"--relay",      a.address(), "--relay", b.address(),
                                       "--token-file", token,       "promote"};
  const Ran refused = run(words);
  CHECK(refused.status == 75);
  CHECK(contains(refused.err, "pgtandem promote --node b"));
  a.set_status(in_state("a", "RECOVER"));
  b.set_status(in_state("b", "RECOVER"));
  CHECK(run(words).status == 64);
  CHECK(run({"--relay", nobody(), "--token-file", token, "promote"}).status == 69);
  CHECK(a.commands().empty());
  CHECK(b.commands().empty());
  std::vector<std::string> named = words;
  named.insert(named.end(), {"--node", "b"});
  CHECK(run(named).status == 0);
  CHECK(b.commands().size() == 1);
}

TEST_CASE("fence and giveup name their node and ask before they hurt") {
  const TemporaryFolder folder;
  const std::string token = folder.file("token", kToken);
  FakeRelay a(status_json("a"));
  FakeRelay b(in_state("b", "SPLIT"));
  const auto words = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"--relay", a.address(), "--relay", b.address(), "--token-file", token};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  CHECK(run(words({"fence"})).status == 64);
  CHECK(run(words({"fence", "--node", "a"})).status == 64);  // no terminal to ask on
  CHECK(run(words({"fence", "--node", "a"}), "no\n", true).status == 75);
  CHECK(a.commands().empty());
  CHECK(run(words({"fence", "--node", "a"}), "fence\n", true).status == 0);
  CHECK(run(words({"fence", "--node", "a", "--yes"})).status == 0);
  CHECK(a.commands() == std::vector<std::string>{"fence {}", "fence {}"});
  CHECK(run(words({"giveup"})).status == 64);
  CHECK(run(words({"giveup", "--node", "b"})).status == 64);
  CHECK(run(words({"giveup", "--node", "b", "--yes"})).status == 0);
  CHECK(b.commands() == std::vector<std::string>{"giveup {}"});
  b.answer_with([](const json&) { return refusal("node b is not split", "pgtandem status"); });
  const Ran refused = run(words({"giveup", "--node", "b", "--yes"}));
  CHECK(refused.status == 75);
  CHECK(contains(refused.err, "node b is not split"));
  CHECK(contains(refused.err, "do: pgtandem status"));
}

TEST_CASE("switchover goes to the master, asks before it ends sessions, and does nothing twice") {
  const TemporaryFolder folder;
  const std::string token = folder.file("token", kToken);
  FakeRelay a(status_json("a"));
  FakeRelay b(status_json("b"));
  const auto words = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"--relay",      a.address(), "--relay",   b.address(),
                                 "--token-file", token,       "switchover"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const Ran unasked = run(words({}));
  CHECK(unasked.status == 64);
  CHECK(contains(unasked.err, "--yes"));
  const Ran declined = run(words({}), "no\n", true);
  CHECK(declined.status == 75);
  CHECK(contains(declined.err, "the 8 sessions of node a are ended"));
  const Ran server = run(words({"--server-only"}), "no\n", true);
  CHECK(contains(server.err, "the data of node a are stale from then on"));
  const Ran there = run(words({"--to", "a", "--yes"}));
  CHECK(there.status == 0);
  CHECK(contains(there.out, "node a is master already"));
  CHECK(a.commands().empty());
  CHECK(run(words({}), "switchover\n", true).status == 0);
  CHECK(run(words({"--server-only", "--to", "b", "--yes"})).status == 0);
  CHECK(a.commands() ==
        std::vector<std::string>{"switchover {\"server_only\":false}", "switchover {\"server_only\":true}"});
  CHECK(b.commands().empty());
  a.answer_with(
      [](const json&) { return refusal("node b is not ready to take over", "see pgtandem status"); });
  const Ran refused = run(words({"--yes"}));
  CHECK(refused.status == 75);
  CHECK(contains(refused.err, "node b is not ready to take over"));
  a.set_status(in_state("a", "STALE"));
  const Ran nobody_serves = run(words({"--yes"}));
  CHECK(nobody_serves.status == 75);
  CHECK(contains(nobody_serves.err, "no node is master"));
}

TEST_CASE("switchover asks again where the relay says that the obstacle may pass, for some seconds") {
  const TemporaryFolder folder;
  FakeRelay a(status_json("a"));
  FakeRelay b(status_json("b"));
  const std::vector<std::string> words{"--relay",    a.address(),    "--relay",
                                       b.address(),  "--token-file", folder.file("token", kToken),
                                       "switchover", "--yes"};
  int asked = 0;
  const auto passing = [](int status) {
    ControlReply reply = refusal("node b is not ready to take over", "see pgtandem status");
    reply.status = unsigned(status);
    return reply;
  };
  a.answer_with([&](const json&) { return ++asked < 3 ? passing(503) : ControlReply{200, "{\"ok\":true}"}; });
  CHECK(run(words).status == 0);
  CHECK(asked == 3);
  asked = 0;
  a.answer_with([&](const json&) { return ++asked, passing(409); });
  CHECK(run(words).status == 75);
  CHECK(asked == 1);
  asked = 0;
  a.answer_with([&](const json&) { return ++asked, passing(503); });
  const auto began = std::chrono::steady_clock::now();
  const Ran refused = run(words);
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::seconds(2));
  CHECK(refused.status == 75);
  CHECK(contains(refused.err, "node b is not ready to take over"));
  CHECK(asked > 3);
}

TEST_CASE("switchover to a node that does not use the master's witness is refused") {
  const TemporaryFolder folder;
  json with = status_json("a");
  with["witness"] = witness_json();
  FakeRelay a(with);
  FakeRelay b(status_json("b"));
  const std::vector<std::string> words{"--relay",    a.address(),    "--relay",
                                       b.address(),  "--token-file", folder.file("token", kToken),
                                       "switchover", "--yes"};
  const Ran refused = run(words);
  CHECK(refused.status == 75);
  CHECK(contains(refused.err, "node b does not use the witness"));
  CHECK(contains(refused.err, "pgtandem witness add on node b's host"));
  CHECK(a.commands().empty());
  json other = status_json("b");
  other["witness"] = witness_json();
  b.set_status(other);
  CHECK(run(words).status == 0);
}

TEST_CASE("watch prints lines where the output is no terminal, and ends when its reader goes away") {
  FakeRelay a(status_json("a"));
  /// Takes one line and then fails, as a pipe does whose reader has left.
  class OneLine : public std::stringbuf {
    int sync() override { return str().find('\n') == std::string::npos ? 0 : -1; }
  };
  OneLine buffer;
  std::ostream out(&buffer);
  std::istringstream in;
  std::ostringstream err;
  const std::string address = a.address();
  const std::vector<const char*> argv{"pgtandem", "--relay",       address.c_str(),
                                      "--relay",  "127.0.0.2:1/1", "watch"};
  const int status = tool::run_tool(int(argv.size()), argv.data(), {}, {in, out, err, false, false});
  CHECK(status == 74);
  CHECK((contains(buffer.str(), "event=standby-joined") || contains(buffer.str(), "no_answer=")));
}

TEST_CASE("check tells everything at once") {
  const TemporaryFolder folder;
  FakeRelay a(status_json("a"));
  FakeRelay b(in_state("b", "STALE"));
  const std::string token = folder.file("token", kToken);
  const Ran ran =
      run({"--relay", a.address(), "--relay", b.address(), "--token-file", token, "check", "--json"});
  CHECK(ran.status == 78);  // nobody listens on the ports for frontends
  std::map<std::string, std::string> found;
  for (const json& finding : json::parse(ran.out)) found[finding["topic"]] = finding["severity"];
  CHECK(found.at("control.token_file") == "ok");
  CHECK(found.at("control port 127.0.0.1:" + std::to_string(a.port())) == "ok");
  CHECK(found.at("token at 127.0.0.1:" + std::to_string(b.port())) == "ok");
  CHECK(found.at("relay 127.0.0.1:" + std::to_string(a.relay_port())) == "error");
  CHECK(a.commands().empty());  // trying the token is no command
  ::chmod(token.c_str(), 0644);
  const Ran open = run({"--relay", a.address(), "--token-file", token, "check"});
  CHECK(open.status == 78);
  CHECK(contains(open.out, "ERROR    control.token_file"));
}

TEST_CASE("differences reads the old files first and passes over lines that it cannot read") {
  const TemporaryFolder folder;
  const auto entry = [](const char* statement, Difference::Kind kind) {
    Difference d;
    d.time = "2026-01-02T03:04:05.678Z";
    d.statement = statement;
    d.kind = kind;
    return to_line(d);
  };
  folder.file("differences.jsonl.1", entry("SELECT 'old\x1b[2J'", Difference::Kind::read));
  folder.file("differences.jsonl", entry("UPDATE new", Difference::Kind::write) + "torn {\n" +
                                       lost_line("2026-01-02T03:04:06Z", 7));
  const Ran ran = run({"differences", "--state-dir", folder.path()});
  CHECK(ran.status == 0);
  CHECK(ran.out.find("SELECT 'old") < ran.out.find("UPDATE new"));
  CHECK(contains(ran.out, "1 differences of writes, 1 of reads, 7 entries lost, 1 lines unreadable"));
  CHECK_FALSE(contains(ran.out, "\x1b"));
  const Ran writes =
      run({"differences", "--json", "--writes", "--file", folder.path() + "/differences.jsonl"});
  CHECK(writes.out == entry("UPDATE new", Difference::Kind::write) + lost_line("2026-01-02T03:04:06Z", 7));
  const Ran missing = run({"differences", "--state-dir", folder.path() + "/none"});
  CHECK(missing.status == 66);
}

TEST_CASE("help and mistakes on the command line") {
  CHECK(run({"--help"}).status == 0);
  CHECK(contains(run({"--help"}).out, "promote"));
  CHECK(contains(run({"--version"}).out, "pgtandem 0"));
  for (const char* command :
       {"status", "watch", "init", "promote", "fence", "giveup", "check", "differences"}) {
    CAPTURE(command);
    const Ran help = run({command, "--help"});
    CHECK(help.status == 0);
    CHECK(contains(help.out, std::string("pgtandem ") + command));
    CHECK(run({"help", command}).out == help.out);
    const Ran wrong = run({command, "--no-such-option"});
    CHECK(wrong.status == 64);
    CHECK(contains(wrong.err, "--help"));
    CHECK(run({command, "stray"}).status == 64);
  }
  CHECK(run({}).status == 64);
  const Ran unknown = run({"frobnicate"});
  CHECK(unknown.status == 64);
  CHECK(contains(unknown.err, "'frobnicate' is no command"));
}
