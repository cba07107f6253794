#include "tests/unit/service/test-postgres.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sstream>
#include <stdexcept>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pgtandem::testing {
namespace {

constexpr const char* kBin = "/usr/lib/postgresql/15/bin/";

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// In the child, before exec: PostgreSQL refuses to run as root, and must not outlive a test that is killed.
void become_postgres() {
  if (geteuid() == 0) {
    const passwd* user = getpwnam("postgres");
    if (user == nullptr || initgroups("postgres", user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0) {
      _exit(126);
    }
  }
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
}

/// Starts a program of PostgreSQL with its output added to `log`.
pid_t spawn(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid > 0) return pid;
  become_postgres();
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(out, 1);
  dup2(out, 2);
  if (chdir("/") != 0) _exit(126);
  execv(arguments[0], arguments.data());
  _exit(127);
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

TestPostgres::TestPostgres() {
  std::string name = "/tmp/pgtandem-unit-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  folder_ = name;
  if (geteuid() == 0) {
    const passwd* user = getpwnam("postgres");
    if (user == nullptr || chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) {
      throw std::runtime_error("there is no user postgres to run the server as");
    }
  }
  const std::string log = folder_ + "/log";
  const pid_t initdb = spawn({std::string(kBin) + "initdb", "--no-sync", "-D", folder_ + "/data", "-U",
                              "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"},
                             log);
  if (wait_for(initdb) != 0) throw std::runtime_error("initdb failed: " + read_all(log));
  std::ofstream(folder_ + "/data/pg_hba.conf") << "local all scram scram-sha-256\n"
                                                  "local replication all trust\n"
                                                  "local all all trust\n";
  start();
}

TestPostgres::~TestPostgres() {
  if (postmaster_ > 0) {
    thaw();
    stop();
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void TestPostgres::start() {
  postmaster_ = spawn({std::string(kBin) + "postgres", "-D", folder_ + "/data", "-k", folder_, "-c",
                       "listen_addresses=", "-c", "port=" + std::to_string(kPort), "-c", "fsync=off", "-c",
                       "max_connections=30", "-c", "shared_buffers=16MB"},
                      folder_ + "/log");
  const std::string info =
      "host=" + folder_ + " port=" + std::to_string(kPort) + " user=postgres dbname=postgres";
  const bool up = eventually([&] { return PQping(info.c_str()) == PQPING_OK; });
  if (!up) throw std::runtime_error("the server does not start: " + read_all(folder_ + "/log"));
}

void TestPostgres::stop() {
  kill(postmaster_, SIGINT);
  wait_for(postmaster_);
  postmaster_ = -1;
}

void TestPostgres::freeze() {
  kill(postmaster_, SIGSTOP);
  for (const pid_t pid : processes()) kill(pid, SIGSTOP);
}

void TestPostgres::thaw() {
  for (const pid_t pid : processes()) kill(pid, SIGCONT);
  kill(postmaster_, SIGCONT);
}

std::vector<pid_t> TestPostgres::processes() const {
  std::ifstream children("/proc/" + std::to_string(postmaster_) + "/task/" + std::to_string(postmaster_) +
                         "/children");
  std::vector<pid_t> pids;
  for (pid_t pid = 0; children >> pid;) pids.push_back(pid);
  return pids;
}

PgConnectionPtr TestPostgres::connect(const std::string& database, const std::string& extra) const {
  const std::string info = "host=" + folder_ + " port=" + std::to_string(kPort) +
                           " user=postgres dbname=" + database + " client_encoding=UTF8 " + extra;
  PgConnectionPtr connection(PQconnectdb(info.c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  return connection;
}

std::string TestPostgres::sql(const std::string& statement, const std::string& database) const {
  return sql_on(connect(database).get(), statement);
}

std::string sql_on(PGconn* connection, const std::string& statement) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection, statement.c_str()), PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    throw std::runtime_error(statement + ": " + PQerrorMessage(connection));
  }
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

TestPostgres& shared_postgres() {
  static TestPostgres server;
  return server;
}

}  // namespace pgtandem::testing
