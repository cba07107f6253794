#include "tests/unit/bootstrap/support/test-server.h"

#include <regex>
#include <signal.h>

#include <catch2/catch.hpp>

#include "server-relay/bootstrap/pg-session.h"

namespace pgtandem::bootstrap::testing {
namespace {

constexpr const char* kPassword = "test-only";

std::string program(const std::string& name) {
  return std::string(kPostgresBin) + "/" + name;
}

/// initdb takes seconds: once a process, then copied.
const std::string& fresh_data_folder() {
  static const Folder folder;
  static const std::string made = [] {
    const std::string place = folder.path("data");
    const std::string password = folder.write("password", kPassword, 0644);
    REQUIRE(run({"install", "-d", "-o", "postgres", "-m", "700", place}).status == 0);
    const Outcome outcome =
        run({program("initdb"), "--pgdata=" + place, "--username=pgtandem", "--pwfile=" + password,
             "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"},
            "postgres");
    INFO(outcome.err);
    REQUIRE(outcome.status == 0);
    return place;
  }();
  return made;
}

}  // namespace

TestServer::TestServer(const Folder& folder, const std::string& name,
                       const std::vector<std::string>& settings, const std::string& data)
    : port_(free_port()), log_(folder.path(name + ".log")) {
  const std::string place = data.empty() ? folder.path(name) : data;
  passfile_ = folder.write(name + ".passfile", "*:*:*:*:" + std::string(kPassword) + "\n");
  if (data.empty()) REQUIRE(run({"install", "-d", "-o", "postgres", "-m", "700", place}).status == 0);
  REQUIRE(run({"cp", "-a", fresh_data_folder() + "/.", place}, "postgres").status == 0);
  std::string command = "exec " + program("postgres") + " -D '" + place + "' -p " + std::to_string(port_) +
                        " -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off "
                        "-c max_prepared_transactions=5 -c log_statement=all";
  for (const std::string& setting : settings) command += " -c " + setting;
  folder.write(name + ".log", "", 0666);
  program_ = std::make_unique<Program>(
      std::vector<std::string>{"sh", "-c", command + " >'" + log_ + "' 2>&1"}, "postgres");
  await("server " + name + " answers", [&] { return client("pg_isready", {"--quiet"}).status == 0; });
}

TestServer::~TestServer() {
  stop();
}

void TestServer::stop() {
  if (!program_ || !program_->running()) return;
  program_->signal(SIGINT);
  program_->child().wait(std::chrono::seconds(20));
}

Outcome TestServer::client(const std::string& name, const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv = {"env",
                                   "PGHOST=127.0.0.1",
                                   "PGPORT=" + std::to_string(port_),
                                   "PGUSER=pgtandem",
                                   "PGPASSFILE=" + passfile_,
                                   "PGDATABASE=postgres",
                                   program(name)};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run(argv, {}, std::chrono::seconds(120));
}

std::string TestServer::sql(const std::string& text, const std::string& database) const {
  const Outcome outcome = client("psql", {"-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d",
                                          conninfo_for_database(database), "-c", text});
  INFO(text << "\n" << outcome.err);
  REQUIRE(outcome.status == 0);
  std::string out = outcome.out;
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

std::string TestServer::whole_content(const std::vector<std::string>& databases) const {
  std::string out = client("pg_dumpall", {"--globals-only"}).out;
  for (const std::string& database : databases) {
    const Outcome dumped = client("pg_dump", {"--create", "-d", conninfo_for_database(database)});
    INFO(dumped.err);
    REQUIRE(dumped.status == 0);
    out += dumped.out;
  }
  return std::regex_replace(out, std::regex(R"(\\(un)?restrict [^\n]*\n)"), "");
}

}  // namespace pgtandem::bootstrap::testing
