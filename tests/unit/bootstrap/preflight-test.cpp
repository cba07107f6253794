#include "server-relay/bootstrap/preflight.h"

#include <catch2/catch.hpp>

#include "server-relay/bootstrap/loader-lines.h"
#include "server-relay/bootstrap/verify.h"

using namespace pgtandem;
using namespace pgtandem::bootstrap;

namespace {

DatabaseFacts database(const std::string& name) {
  DatabaseFacts facts;
  facts.name = name;
  facts.encoding = "UTF8";
  facts.provider = "libc";
  facts.collate = facts.ctype = "en_US.UTF-8";
  facts.bytes = 1000;
  facts.counts = {{"relations of kind r", 3}};
  facts.sequences = {{"public.s", "42"}};
  facts.extensions = {{"plpgsql", "1.0"}};
  return facts;
}

ServerFacts source() {
  ServerFacts facts;
  facts.tool_version = PGTANDEM_VERSION;
  facts.server_version = 150020;
  facts.client_version = "15.20";
  facts.system_identifier = "1";
  facts.started = "1.5";
  facts.data_directory = "/data";
  facts.superuser = true;
  facts.databases = {database("orders"), database("postgres")};
  facts.databases[1].bytes = 0;
  facts.roles = {{"postgres", {"aa", false, true}}, {"alice", {"bb", false, false}}};
  facts.memberships = {{"readers", "alice", "postgres"}};
  return facts;
}

ServerFacts empty_target() {
  ServerFacts facts = source();
  facts.system_identifier = "2";
  facts.databases = {database("postgres")};
  facts.databases[0].counts.clear();
  facts.databases[0].bytes = 0;
  facts.memberships.clear();
  facts.roles.erase("alice");
  facts.available_extensions = {{"plpgsql", "1.0"}};
  facts.free_bytes = 1 << 20;
  facts.free_bytes_known = true;
  return facts;
}

using Kind = Finding::Kind;

bool has(const std::vector<Finding>& findings, Kind kind, const std::string& text) {
  return std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
    return finding.kind == kind && finding.text.find(text) != std::string::npos;
  });
}

PairView healthy_pair() {
  PairView pair;
  pair.active.role = {"ALONE", 3, Node::a, Node::a, "g", false, "", 1};
  pair.active.pair_mode = true;
  pair.active.node = Node::a;
  pair.source = Node::a;
  pair.target = Node::b;
  pair.target_relay.emplace();
  pair.target_relay->node = Node::b;
  pair.target_relay->role.state = "STALE";
  pair.target_relay->role.epoch = 2;
  return pair;
}

PreflightOptions agreed() {
  PreflightOptions options;
  options.abort_clients = true;
  return options;
}

}  // namespace

TEST_CASE("a healthy pair and an empty target give no problem and no question") {
  std::vector<Finding> all = check_pair(healthy_pair(), agreed());
  for (const auto& more : {check_source(source()), check_target(empty_target()),
                           compare_servers(source(), empty_target(), agreed())}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  CHECK_FALSE(has_problem(all));
  CHECK_FALSE(has(all, Kind::question, ""));
}

TEST_CASE("the target may be neither master nor newer, and both relays must be there") {
  PairView pair = healthy_pair();
  pair.target_relay->role.epoch = 4;
  CHECK(has(check_pair(pair, agreed()), Kind::problem, "its data may be newer"));
  pair = healthy_pair();
  pair.target_relay->role.state = "ALONE";
  CHECK(has(check_pair(pair, agreed()), Kind::problem, "itself in state ALONE"));
  pair.target_relay->role.state = "SPLIT";
  CHECK(has(check_pair(pair, agreed()), Kind::problem, "SPLIT"));
  pair.target_relay->node = Node::a;
  CHECK(has(check_pair(pair, agreed()), Kind::problem, "not the one of node b"));
  pair.target_relay.reset();
  CHECK(has(check_pair(pair, agreed()), Kind::problem, "does not answer"));
  pair.active.pair_mode = false;
  CHECK_FALSE(has_problem(check_pair(pair, agreed())));
}

TEST_CASE("the master's own state must allow a bootstrap") {
  PairView pair = healthy_pair();
  pair.active.standby_joined = true;
  CHECK(has(check_pair(pair, agreed()), Kind::problem, "is joined"));
  PreflightOptions rebuild = agreed();
  rebuild.even_if_joined = true;
  CHECK_FALSE(has_problem(check_pair(pair, rebuild)));
  pair = healthy_pair();
  pair.active.role.state = "DRAINING";
  CHECK(has(check_pair(pair, agreed()), Kind::problem, "DRAINING"));
  pair = healthy_pair();
  pair.active.bootstrap.emplace();
  CHECK(has(check_pair(pair, agreed()), Kind::problem, "under way"));
  pair = healthy_pair();
  pair.active.protocol = "raw";
  CHECK(has(check_pair(pair, agreed()), Kind::problem, "raw"));
  CHECK(has(check_pair(healthy_pair(), {}), Kind::question, "every client is disconnected"));
}

TEST_CASE("the dump tool must be as new as the source; older than the target is only said") {
  ServerFacts old_tool = source();
  old_tool.client_version = "14.11";
  CHECK(has(check_source(old_tool), Kind::problem, "older than the master's server"));
  old_tool.client_version = "";
  CHECK(has(check_source(old_tool), Kind::problem, "pg_dump cannot be run"));
  ServerFacts newer = empty_target();
  newer.server_version = 180000;
  newer.client_version = "18.0";
  const std::vector<Finding> findings = compare_servers(source(), newer, agreed());
  CHECK_FALSE(has_problem(findings));
  CHECK(has(findings, Kind::note, "major step up"));
  CHECK(has(findings, Kind::note, "older than the target's server"));
  ServerFacts older = empty_target();
  older.server_version = 140011;
  CHECK(has(compare_servers(source(), older, agreed()), Kind::problem, "would refuse its dump"));
}

TEST_CASE("a psql that does not know what pg_dump writes is found before the copy") {
  ServerFacts target = empty_target();
  target.client_version = "15.13";
  CHECK(has(compare_servers(source(), target, agreed()), Kind::problem, "\\restrict"));
  for (const char* version : {"13.22", "14.19", "15.14", "16.10", "17.6", "18.0", "19beta1"})
    CHECK(knows_restrict(version));
  for (const char* version : {"12.22", "13.21", "14.18", "15.13", "16.9", "17.5", ""})
    CHECK_FALSE(knows_restrict(version));
}

TEST_CASE("what the target lacks is found: extensions, locales, collations, folders, space") {
  ServerFacts here = source();
  here.databases[0].extensions["postgis"] = "3.3";
  here.databases[0].collations = {"de_DE"};
  here.databases[0].bytes = 2 << 20;
  here.tablespaces = {{"fast", "/srv/fast"}, {"slow", "/srv/slow"}};
  ServerFacts there = empty_target();
  there.missing_locales = {"en_US.UTF-8"};
  there.tablespace_folders = {{"/srv/fast", "missing"}, {"/srv/slow", "usable"}};
  const std::vector<Finding> findings = compare_servers(here, there, agreed());
  CHECK(has(findings, Kind::problem, "extension postgis"));
  CHECK(has(findings, Kind::problem, "locale en_US.UTF-8"));
  CHECK(has(findings, Kind::problem, "collation de_DE"));
  CHECK(has(findings, Kind::problem, "/srv/fast is missing"));
  CHECK(has(findings, Kind::note, "/srv/slow exists"));
  CHECK(has(findings, Kind::problem, "not enough space"));
  PreflightOptions without = agreed();
  without.tablespaces = false;
  CHECK_FALSE(has(compare_servers(here, there, without), Kind::problem, "tablespace"));
  there.databases.push_back(database("orders"));
  there.databases[1].bytes = 2 << 20;
  CHECK_FALSE(has(compare_servers(here, there, agreed()), Kind::problem, "not enough space"));
}

TEST_CASE("databases on the target that hold something are a question, with --replace a note") {
  ServerFacts target = empty_target();
  target.databases.insert(target.databases.begin(), {database("archive"), database("orders")});
  target.databases[1].counts.clear();
  CHECK(has(compare_servers(source(), target, agreed()), Kind::question, "dropped: archive"));
  PreflightOptions replace = agreed();
  replace.replace = true;
  CHECK(has(compare_servers(source(), target, replace), Kind::note, "dropped: archive"));
  target.databases.erase(target.databases.begin());
  CHECK_FALSE(has(compare_servers(source(), target, agreed()), Kind::question, ""));
  target.roles["guest"] = {};
  CHECK(has(compare_servers(source(), target, replace), Kind::note, "are dropped: guest"));
}

TEST_CASE("a server is never copied onto itself") {
  CHECK(has(compare_servers(source(), source(), agreed()), Kind::problem, "one and the same"));
  ServerFacts from_base_backup = empty_target();
  from_base_backup.system_identifier = source().system_identifier;
  from_base_backup.started = "7.5";
  CHECK_FALSE(has_problem(compare_servers(source(), from_base_backup, agreed())));
}

TEST_CASE("what a dump cannot carry is a problem or is said") {
  ServerFacts here = source();
  here.prepared_transactions = 1;
  here.replication_slots = {"s1"};
  here.databases[0].subscriptions = {"sub"};
  here.databases[0].counts["large objects"] = 2;
  here.databases.push_back(database("closed"));
  here.databases[2].allows_connections = false;
  const std::vector<Finding> findings = check_source(here);
  CHECK(has(findings, Kind::problem, "prepared"));
  CHECK(has(findings, Kind::note, "s1"));
  CHECK(has(findings, Kind::note, "(sub)"));
  CHECK(has(findings, Kind::note, "2 large objects"));
  CHECK(has(findings, Kind::note, "'closed' allows no connections"));
  ServerFacts there = empty_target();
  there.tool_version = "0.0.9";
  there.prepared_transactions = 1;
  there.in_recovery = true;
  CHECK(has(check_target(there), Kind::problem, "version 0.0.9"));
  CHECK(has(check_target(there), Kind::problem, "prepared"));
  CHECK(has(check_target(there), Kind::problem, "recovery"));
  there.databases.clear();
  CHECK(has(check_target(there), Kind::problem, "no database 'postgres'"));
}

TEST_CASE("the copies are equal only if every database, count, sequence, role and membership is") {
  const ServerFacts here = source();
  CHECK(differences(here, here).empty());
  const auto differs = [&](const std::function<void(ServerFacts&)>& change) {
    ServerFacts there = here;
    change(there);
    return differences(here, there).size() == 1;
  };
  CHECK(differs([](ServerFacts& f) { f.databases.erase(f.databases.begin()); }));
  CHECK(differs([](ServerFacts& f) { f.databases[0].encoding = "LATIN1"; }));
  CHECK(differs([](ServerFacts& f) { f.databases[0].counts["relations of kind r"] = 2; }));
  CHECK(differs([](ServerFacts& f) { f.databases[0].counts["more"] = 1; }));
  CHECK(differs([](ServerFacts& f) { f.databases[0].sequences["public.s"] = "41"; }));
  CHECK(differs([](ServerFacts& f) { f.databases[0].extensions.clear(); }));
  CHECK(differs([](ServerFacts& f) { f.roles["alice"].digest = "cc"; }));
  CHECK(differs([](ServerFacts& f) { f.roles.erase("alice"); }));
  CHECK(differs([](ServerFacts& f) { f.memberships.clear(); }));
  ServerFacts more_roles = here;
  more_roles.roles["guest"] = {};
  CHECK(differences(here, more_roles).empty());
}

TEST_CASE("facts and lines come back as they went, and nonsense is refused") {
  ServerFacts facts = source();
  facts.tablespaces = {{"t", "/x"}};
  const Result<ServerFacts> back = parse_facts(to_json(facts));
  REQUIRE(back.ok());
  CHECK(to_json(*back) == to_json(facts));
  CHECK_FALSE(parse_facts("{}").ok());
  CHECK_FALSE(parse_facts("Welcome to host b!\n").ok());
  LoaderLine line;
  line.event = "failed";
  line.error = "x";
  line.bytes = 7;
  CHECK(to_json(*parse_loader_line(to_json(line))) == to_json(line));
  CHECK_FALSE(parse_loader_line("Last login: today").ok());
  CHECK_FALSE(parse_loader_line("{\"event\":7}").ok());
}

TEST_CASE("the active relay of the highest epoch counts") {
  const auto status = [](const char* state, Epoch epoch) {
    StatusView view;
    view.role.state = state;
    view.role.epoch = epoch;
    return std::optional(view);
  };
  CHECK(choose_active({status("STALE", 9), status("ALONE", 3)}) == 1U);
  CHECK(choose_active({status("MASTER", 2), status("ALONE", 3)}) == 1U);
  CHECK(choose_active({status("ALONE", 3), std::nullopt}) == 0U);
  CHECK_FALSE(choose_active({status("STALE", 1), std::nullopt}));
}
