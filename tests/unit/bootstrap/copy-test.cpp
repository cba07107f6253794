// The whole way, on real servers over a real ssh connection; only the control port is a stand-in.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/unit/bootstrap/support/copy-place.h"

using namespace pgtandem::bootstrap::testing;
using nlohmann::json;

namespace {

/// The events that a bootstrap wrote, by name.
std::vector<json> events(const Outcome& outcome, const std::string& name) {
  std::vector<json> out;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    json event = json::parse(line);
    if (event["event"] == name) out.push_back(std::move(event));
  }
  return out;
}

void check_success(const Outcome& outcome, const CopyPlace& place) {
  INFO(outcome.out << "\n" << outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK(place.control.joined());
  CHECK(place.control.calls("bootstrap/abort").empty());
  CHECK(events(outcome, "done").size() == 1);
}

}  // namespace

TEST_CASE("after a bootstrap both servers dump the same, and so they do after a second one over the first") {
  CopyPlace place;
  const std::vector<std::string> databases = fill_with_everything(place.source);
  place.target.sql(
      "CREATE ROLE leftover; CREATE ROLE app LOGIN PASSWORD 'another' IN ROLE leftover; ALTER ROLE app SET "
      "work_mem = '1MB'");

  const Outcome first = place.bootstrap();
  check_success(first, place);
  place.target.sql("DROP ROLE leftover");
  CHECK(place.target.whole_content(databases) == place.source.whole_content(databases));
  const json done = events(first, "done").front();
  CHECK(done["databases"] == 4);
  CHECK(done["epoch"] == 4);
  CHECK(done["only_on_target"] == json::array({"role leftover"}));
  CHECK(done["sha256"].get<std::string>().size() == 64);
  CHECK(place.control.calls("bootstrap/finish").front().body["sha256"] == done["sha256"]);
  CHECK(place.target.sql("SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'parent'", "we ird\"db") ==
        "t");

  // What the standby has alone must go; what is there is replaced.
  place.target.sql("CREATE DATABASE only_here");
  place.target.sql("CREATE TABLE gone(x int); CREATE ROLE guest; GRANT ALL ON gone TO guest", "only_here");
  CHECK(place.bootstrap().out.find("is joined: it needs no bootstrap") != std::string::npos);
  const Outcome refused = place.bootstrap({"--even-if-joined"});
  CHECK(refused.status == 69);
  CHECK(refused.err.find("only_here") != std::string::npos);
  CHECK(place.target.sql("SELECT count(*) FROM gone", "only_here") == "0");
  check_success(place.bootstrap({"--replace", "--even-if-joined"}), place);
  CHECK(place.target.whole_content(databases) == place.source.whole_content(databases));
  CHECK(place.target.sql("SELECT count(*) FROM pg_database WHERE datname = 'only_here'") == "0");
  CHECK(place.target.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'guest'") == "0");
}

TEST_CASE("no verifier and no password is in a command line, in what is printed or in a server's log") {
  CopyPlace place;
  fill_with_everything(place.source);
  const std::string verifier =
      place.source.sql("SELECT split_part(rolpassword, '$', 3) FROM pg_authid WHERE rolname = 'app'");
  REQUIRE(verifier.size() > 40);
  std::string seen;
  place.control.on_command([&](const ControlCall& call) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      seen += read_file(entry.path() / "cmdline") + read_file(entry.path() / "environ");
    }
    seen += call.body.dump();
    return true;
  });
  const Outcome outcome = place.bootstrap();
  check_success(outcome, place);
  CHECK(seen.find("bootstrap-test-tool") != std::string::npos);
  for (const std::string& text : {seen, outcome.out, outcome.err, place.target.log(), place.sshd.log()}) {
    CHECK(text.find(verifier) == std::string::npos);
    CHECK(text.find("test-only") == std::string::npos);
  }
  CHECK(place.control.calls("bootstrap/begin").front().authorization == "Bearer test-token");
}

namespace {

/// Peak of resident memory in KiB of a process; 0 if it is gone.
std::uint64_t peak_memory(const std::string& pid) {
  std::istringstream lines(read_file("/proc/" + pid + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6));
  }
  return 0;
}

/// Of all processes of the test's tool, both sides.
std::uint64_t peak_memory_of_tools() {
  std::uint64_t peak = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    if (read_file(entry.path() / "cmdline").starts_with(tool_path())) {
      peak = std::max(peak, peak_memory(entry.path().filename()));
    }
  }
  return peak;
}

}  // namespace

TEST_CASE("a large copy is reported to the relay and as events, and takes little memory on either side") {
  CopyPlace place;
  place.source.sql(
      "CREATE TABLE big AS SELECT i, repeat(md5(i::text), 8) AS t FROM generate_series(1, 500000) i");
  std::uint64_t peak = 0;
  place.control.on_command([&](const ControlCall&) {
    peak = std::max(peak, peak_memory_of_tools());
    return true;
  });
  const Outcome outcome = place.bootstrap();
  check_success(outcome, place);
  const std::vector<json> progress = events(outcome, "progress");
  REQUIRE(progress.size() >= 4);
  CHECK(progress.back()["bytes"].get<std::uint64_t>() > 120000000U);
  CHECK(progress.back()["wire_bytes"].get<std::uint64_t>() > 1000000U);
  bool rate = false;
  for (const json& event : progress) rate = rate || event["bytes_per_second"].get<std::uint64_t>() > 0;
  CHECK(rate);
  CHECK(place.control.calls("bootstrap/progress").size() >= 2);
  CHECK(peak > 1000);
#ifndef __SANITIZE_ADDRESS__
  CHECK(peak < 48 * 1024);
#endif
}

TEST_CASE("without ssh the loader runs here, on the same stream") {
  CopyPlace place;
  const std::vector<std::string> databases = fill_with_everything(place.source);
  check_success(run(place.local_command(), {}, CopyPlace::kLimit), place);
  CHECK(place.target.whole_content(databases) == place.source.whole_content(databases));
}

TEST_CASE(
    "a kept dump is closed to others, restores by itself, and is sent again only while the master stands "
    "still") {
  CopyPlace place;
  const std::vector<std::string> databases = fill_with_everything(place.source);
  const std::string file = place.folder.path("kept.dump");
  check_success(place.bootstrap({"--to-file", file}), place);
  struct stat info {};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK_FALSE(std::filesystem::exists(file + ".part"));
  const Outcome twice = place.bootstrap({"--to-file", file, "--replace", "--even-if-joined"});
  CHECK(twice.status == 69);
  CHECK(twice.out.find("exists already") != std::string::npos);

  place.target.sql("DROP DATABASE \"we ird\"\"db\"");
  check_success(place.bootstrap({"--from-file", file, "--replace", "--even-if-joined"}), place);
  CHECK(place.target.whole_content(databases) == place.source.whole_content(databases));

  place.source.sql("INSERT INTO in_postgres VALUES (99)");
  const Outcome late = place.bootstrap({"--from-file", file, "--replace", "--even-if-joined"});
  CHECK(late.status == 75);
  CHECK(late.err.find("has written since") != std::string::npos);

  const Outcome restored = run({"sh", "-c",
                                tool_path() + " load --stream --replace --postmaster " +
                                    place.target.address() + " --service-user pgtandem --service-passfile " +
                                    place.target.passfile() + " --pg-bin " + kPostgresBin + " < " + file});
  INFO(restored.out << restored.err);
  CHECK(restored.status == 0);
  CHECK(place.target.sql("SELECT count(*) FROM in_postgres") == "10");
}

TEST_CASE("--check changes nothing and asks the relay for nothing") {
  CopyPlace place;
  fill_with_everything(place.source);
  const Outcome outcome = place.bootstrap({"--check"});
  CHECK(outcome.status == 0);
  CHECK(place.control.calls("bootstrap/begin").empty());
  CHECK(place.target.sql(
            "SELECT count(*) FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')") ==
        "0");
}

TEST_CASE("all problems are said at once, before anything changes") {
  CopyPlace place;
  place.source.sql("CREATE TABLE t(x int)");
  place.source.sql("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'open'");
  const Outcome outcome = place.bootstrap(
      {"--pg-bin", "/nowhere", "--remote-pg-bin", "/neither", "--known-hosts", place.sshd.known_hosts()});
  CHECK(outcome.status == 69);
  for (const char* text :
       {"prepared transaction", "pg_dump cannot be run", "psql cannot be run on the target"}) {
    INFO(text);
    CHECK(outcome.out.find(text) != std::string::npos);
  }
  CHECK(outcome.err.find("nothing was changed") != std::string::npos);
  CHECK(place.control.calls("bootstrap/begin").empty());
}

TEST_CASE("a relay that refuses to begin is quoted with its advice") {
  CopyPlace place;
  place.control.on_command([](const ControlCall&) { return false; });
  const Outcome outcome = place.bootstrap();
  CHECK(outcome.status == 69);
  CHECK(outcome.err.find("the stand-in refuses; ask the test why; nothing was changed") != std::string::npos);
}

TEST_CASE("source and target that are one server are refused") {
  CopyPlace place;
  const Outcome outcome = place.bootstrap(
      {"--target-postmaster", place.source.address(), "--target-passfile", place.source.passfile()});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 69);
  CHECK(outcome.out.find("one and the same server") != std::string::npos);
}
