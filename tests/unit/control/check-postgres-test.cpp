/// `pgtandem check` on a real server: what it asks must be what PostgreSQL answers.
#include <fstream>
#include <map>
#include <sstream>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "server-relay/tool/tool.h"
#include "tests/unit/service/test-postgres.h"

using namespace pgtandem;
using nlohmann::json;
using pgtandem::testing::shared_postgres;
using pgtandem::testing::TestPostgres;

namespace {

std::string secret_file(const std::string& path) {
  std::ofstream(path) << "a secret of more than sixteen bytes";
  ::chmod(path.c_str(), 0600);
  return path;
}

/// A pair on this host whose nodes a and b both have the test's server as their postmaster.
std::string config_file(const TestPostgres& server, const std::string& user) {
  const std::string& folder = server.folder();
  const std::string path = folder + "/pgtandem.toml";
  std::ofstream file(path);
  file << "node = \"a\"\nstate_dir = \"" << folder << "\"\nmax_sessions = 1000\n"
       << "[pair]\nuuid = \"5f0e8a52-7d0c-4f7e-9d53-0d6f8a1b2c3d\"\nkey_file = \""
       << secret_file(folder + "/key") << "\"\n[listen]\nfrontends = [\"127.0.0.1:1\"]\n"
       << "[control]\ntoken_file = \"" << secret_file(folder + "/token") << "\"\n"
       << "[service]\nuser = \"" << user << "\"\n";
  for (const char* node : {"a", "b"}) {
    const int port = *node == 'a' ? 1 : 4;  // nobody listens there
    file << "[nodes." << node << "]\nhost = \"127.0.0.1\"\nrelay_port = " << port
         << "\nleg_port = " << port + 1 << "\ncontrol_port = " << port + 2 << "\npostmaster = \""
         << to_string(server.endpoint()) << "\"\n";
  }
  return path;
}

/// All findings about one topic, as "severity: text".
std::multimap<std::string, std::string> check(const std::string& config) {
  const std::vector<const char*> argv{"pgtandem", "--config", config.c_str(), "check", "--json"};
  std::istringstream in;
  std::ostringstream out, err;
  const int status = tool::run_tool(int(argv.size()), argv.data(), {}, {in, out, err, false, false});
  INFO(err.str());
  CHECK(status == 78);  // no relay runs
  std::multimap<std::string, std::string> found;
  for (const json& f : json::parse(out.str())) {
    found.emplace(f["topic"], f["severity"].get<std::string>() + ": " + f["text"].get<std::string>());
  }
  return found;
}

bool has(const std::multimap<std::string, std::string>& found, const std::string& topic,
         const std::string& part) {
  for (const auto& [t, text] : found) {
    if (t.starts_with(topic) && text.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("check asks the servers of this host and judges what they say") {
  TestPostgres& server = shared_postgres();
  const auto found = check(config_file(server, "postgres"));
  for (const auto& [topic, text] : found) UNSCOPED_INFO(topic << " " << text);
  CHECK(has(found, "configuration", "ok: can be read by a relay"));
  CHECK(has(found, "pair.key_file", "ok:"));
  CHECK(has(found, "node a: postmaster", "ok: version 15."));
  CHECK(has(found, "node a: postmaster", "error: fsync is off"));
  CHECK(has(found, "node a: postmaster", "warning: max_connections = 30 leaves 23 sessions"));
  CHECK(has(found, "node b: postmaster", "warning: pg_hba.conf line 3 (local all all trust)"));
  CHECK(has(found, "both servers", "ok:"));
  CHECK(has(found, "control port", "error:"));
}

TEST_CASE("check finds peer on the relay's socket and lines that the server cannot read") {
  TestPostgres& server = shared_postgres();
  const std::string hba = server.folder() + "/data/pg_hba.conf";
  std::stringstream before;
  before << std::ifstream(hba).rdbuf();
  std::ofstream(hba, std::ios::app) << "local all other peer\nhost all all 300.0.0.1/32 md5\n";
  const auto found = check(config_file(server, "postgres"));
  std::ofstream(hba) << before.str();
  for (const auto& [topic, text] : found) UNSCOPED_INFO(topic << " " << text);
  CHECK(has(found, "node a: postmaster", "error: pg_hba.conf line 4 (local all other peer)"));
  CHECK(has(found, "node a: postmaster", "error: pg_hba.conf line 5 is not read"));
}

TEST_CASE("check finds a service user that is no superuser, and one that cannot log in") {
  TestPostgres& server = shared_postgres();
  server.sql("CREATE ROLE plain LOGIN");
  CHECK(has(check(config_file(server, "plain")), "node a: postmaster",
            "error: the service user is no superuser"));
  CHECK(has(check(config_file(server, "nobody")), "node a: postmaster", "error:"));
}
