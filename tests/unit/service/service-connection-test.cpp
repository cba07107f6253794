#include "server-relay/service/service-connection.h"

#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <signal.h>
#include <sys/stat.h>
#include <thread>

#include <asio/co_spawn.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include "tests/unit/service/run-awaitable.h"
#include "tests/unit/service/test-postgres.h"

using namespace pgtandem;
using namespace pgtandem::testing;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

/// Generous for a loaded machine; every case that promises a time says its own.
constexpr std::chrono::milliseconds kAmple{20s};

ServiceSettings superuser() {
  return {"postgres", "", "postgres"};
}

ServiceConnection connection_to(const TestPostgres& server) {
  return {server.endpoint(), superuser()};
}

Result<ServiceRows> query(ServiceConnection& service, const std::string& sql,
                          std::vector<std::string> parameters = {},
                          std::chrono::milliseconds timeout = kAmple,
                          const std::string& database = "postgres", bool repeatable = false) {
  return run_awaitable(service.query(database, sql, std::move(parameters), timeout, repeatable));
}

std::string value(const Result<ServiceRows>& answer) {
  if (!answer) throw std::runtime_error(answer.error());
  return answer->rows.at(0).at(0);
}

std::string service_backends(const TestPostgres& server, const std::string& more = "") {
  return server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = '" +
                    std::string(kServiceApplicationName) + "'" + more);
}

std::string write_passfile(const TestPostgres& server, const std::string& password) {
  std::string path = server.folder() + "/passfile-" + password.substr(0, 5);
  std::ofstream(path) << "*:*:*:scram:" << password << "\n";
  chmod(path.c_str(), 0600);
  return path;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

template <typename Body>
std::chrono::milliseconds duration_of(Body body) {
  const auto begin = Clock::now();
  body();
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
}

/// Thaws on every way out.
class Frozen {
 public:
  explicit Frozen(TestPostgres& server) : server_(server) { server_.freeze(); }
  ~Frozen() { server_.thaw(); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  TestPostgres& server_;
};

}  // namespace

TEST_CASE("a query brings its parameters to the server and its rows back, NULL as an empty text") {
  auto service = connection_to(shared_postgres());
  const auto answer =
      query(service, "SELECT $1 || '!', NULL, $2::int + 1 UNION ALL SELECT 'b', 'c', 0 ORDER BY 3 DESC",
            {"it's \xC3\xA4", "41"});
  REQUIRE(answer.ok());
  CHECK(answer->rows == std::vector<std::vector<std::string>>{{"it's \xC3\xA4!", "", "42"}, {"b", "c", "0"}});
}

TEST_CASE("megabytes go both ways in one statement") {
  auto service = connection_to(shared_postgres());
  const std::string big(12U << 20, 'x');
  const auto answer = query(service, "SELECT $1 || $1", {big});
  CHECK(value(answer).size() == 2 * big.size());
}

TEST_CASE("without a service user every call fails with what to configure") {
  ServiceConnection service(shared_postgres().endpoint(), ServiceSettings{});
  CHECK_FALSE(service.configured());
  CHECK(contains(query(service, "SELECT 1").error(), "--service-user"));
  CHECK(contains(run_awaitable(service.stored_password("postgres")).error(), "--service-user"));
  CHECK(contains(run_awaitable(service.end_client_backends(1s)).error(), "--service-user"));
  CHECK_FALSE(run_awaitable(service.probe(1s)));
}

TEST_CASE("an error names server, database, user and the server's message, but not the statement") {
  auto service = connection_to(shared_postgres());
  const std::string error =
      query(service, "SELECT * FROM no_such_table WHERE 'hidden' = $1", {"hush"}).error();
  CHECK(contains(error, shared_postgres().folder()));
  CHECK(contains(error, "database \"postgres\", user \"postgres\""));
  CHECK(contains(error, "relation \"no_such_table\" does not exist (SQLSTATE 42P01)"));
  CHECK_FALSE(contains(error, "hidden"));
  CHECK_FALSE(contains(error, "hush"));
  CHECK(value(query(service, "SELECT 1")) == "1");
}

TEST_CASE("the passfile logs in, and a wrong password appears in no error") {
  auto& server = shared_postgres();
  server.sql("DROP ROLE IF EXISTS scram; CREATE ROLE scram LOGIN SUPERUSER PASSWORD 'correct-horse'");
  ServiceConnection right(server.endpoint(), {"scram", write_passfile(server, "correct-horse"), "postgres"});
  CHECK(value(query(right, "SELECT current_user")) == "scram");

  ServiceConnection wrong(server.endpoint(), {"scram", write_passfile(server, "wrong-battery"), "postgres"});
  const std::string error = query(wrong, "SELECT 1").error();
  CHECK(contains(error, "28P01"));
  CHECK(contains(error, "password authentication failed for user \"scram\""));
  CHECK_FALSE(contains(error, "wrong-battery"));

  ServiceConnection none(server.endpoint(), {"scram", server.folder() + "/no-such-passfile", "postgres"});
  CHECK(contains(query(none, "SELECT 1").error(), "give the passfile"));
}

TEST_CASE("a password that a server quotes back is struck out") {
  auto& server = shared_postgres();
  server.sql("DROP ROLE IF EXISTS scram; CREATE ROLE scram LOGIN SUPERUSER PASSWORD 'quoted-back'");
  ServiceConnection service(server.endpoint(), {"scram", write_passfile(server, "quoted-back"), "postgres"});
  const std::string error = query(service, "SELECT CAST($1 AS int)", {"quoted-back"}).error();
  CHECK(contains(error, "invalid input syntax for type integer: \"***\""));
}

TEST_CASE(
    "the stored password is what pg_authid holds, and empty for a role without one or without existence") {
  auto& server = shared_postgres();
  server.sql("DROP ROLE IF EXISTS verified; CREATE ROLE verified PASSWORD 'x'");
  auto service = connection_to(server);
  const auto stored = run_awaitable(service.stored_password("verified"));
  REQUIRE(stored.ok());
  CHECK(stored->reveal() == server.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'verified'"));
  CHECK(stored->reveal().starts_with("SCRAM-SHA-256$"));
  CHECK(run_awaitable(service.stored_password("postgres"))->empty());
  CHECK(run_awaitable(service.stored_password("nobody' OR true --"))->empty());
}

TEST_CASE("a schema of the users' cannot put its functions into a service connection's statements") {
  auto& server = shared_postgres();
  server.sql(
      "CREATE OR REPLACE FUNCTION public.upper(text) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$");
  server.sql("ALTER DATABASE postgres SET search_path = public, pg_catalog");
  auto service = connection_to(server);
  CHECK(value(query(service, "SELECT upper('a'::text)")) == "A");
  server.sql("ALTER DATABASE postgres RESET search_path");
}

TEST_CASE("a connection is kept between queries") {
  auto service = connection_to(shared_postgres());
  const std::string pid = value(query(service, "SELECT pg_backend_pid()"));
  CHECK(value(query(service, "SELECT pg_backend_pid()")) == pid);
}

TEST_CASE("a kept connection that the server has ended is replaced before the next statement is sent") {
  auto& server = shared_postgres();
  auto service = connection_to(server);
  const std::string pid = value(query(service, "SELECT pg_backend_pid()"));
  server.sql("SELECT pg_terminate_backend(" + pid + ", 10000)");
  const auto again = query(service, "SELECT pg_backend_pid()");
  REQUIRE(again.ok());
  CHECK(value(again) != pid);
}

TEST_CASE("a connection lost under a statement is an error, and a second try only where that is allowed") {
  auto& server = shared_postgres();
  server.sql("CREATE TABLE IF NOT EXISTS tries (n int); TRUNCATE tries");
  server.sql("CREATE SEQUENCE IF NOT EXISTS attempts; ALTER SEQUENCE attempts RESTART");
  auto service = connection_to(server);
  // The first attempt ends its own backend; sequences are not rolled back, so the second knows better.
  const std::string suicide =
      "SELECT CASE WHEN nextval('public.attempts') % 2 = 1 THEN pg_terminate_backend(pg_backend_pid())::text "
      "ELSE 'second' END, pg_sleep(0.01)";
  const auto once = query(service, suicide);
  REQUIRE_FALSE(once.ok());
  CHECK(contains(once.error(), "57P01"));
  CHECK(server.sql("SELECT last_value FROM attempts") == "1");
  server.sql("ALTER SEQUENCE attempts RESTART");
  CHECK(value(query(service, suicide, {}, kAmple, "postgres", true)) == "second");
}

TEST_CASE("a restart of the server is survived") {
  TestPostgres server;
  auto service = connection_to(server);
  CHECK(value(query(service, "SELECT 1")) == "1");
  server.stop();
  const auto refused = query(service, "SELECT 1");
  REQUIRE_FALSE(refused.ok());
  CHECK(contains(refused.error(), server.folder()));
  CHECK_FALSE(run_awaitable(service.probe(kAmple)));
  server.start();
  CHECK(value(query(service, "SELECT 2")) == "2");
  CHECK(run_awaitable(service.probe(kAmple)));
}

TEST_CASE("an idle connection does not keep a database from being dropped or copied, nor are many kept") {
  auto& server = shared_postgres();
  auto service = connection_to(server);
  for (int i = 0; i < 6; ++i) {
    const std::string name = "kept" + std::to_string(i);
    server.sql("DROP DATABASE IF EXISTS " + name);
    server.sql("CREATE DATABASE " + name + " STRATEGY file_copy");
    CHECK(value(query(service, "SELECT current_database()", {}, kAmple, name)) == name);
  }
  CHECK(std::stoi(service_backends(server)) <= 3);
  for (int i = 0; i < 6; ++i) CHECK_NOTHROW(server.sql("DROP DATABASE kept" + std::to_string(i)));
}

TEST_CASE("a transaction or a COPY that a statement left open does not stay open") {
  auto& server = shared_postgres();
  auto service = connection_to(server);
  CHECK(query(service, "BEGIN").ok());
  CHECK(
      eventually([&] { return service_backends(server, " AND state LIKE 'idle in transaction%'") == "0"; }));
  CHECK(value(query(service, "SELECT 1")) == "1");
  CHECK_FALSE(query(service, "COPY (SELECT 1) TO STDOUT").ok());
  CHECK(value(query(service, "SELECT 1")) == "1");
}

TEST_CASE("a statement past its timeout fails in time, and its backend does not go on") {
  auto& server = shared_postgres();
  auto service = connection_to(server);
  CHECK(value(query(service, "SELECT 1")) == "1");
  Result<ServiceRows> late = Error{""};
  CHECK(duration_of([&] { late = query(service, "SELECT pg_sleep(600)", {}, 300ms); }) < 5s);
  REQUIRE_FALSE(late.ok());
  CHECK(eventually([&] { return service_backends(server, " AND query LIKE '%pg_sleep(600)%'") == "0"; }));
  CHECK(value(query(service, "SELECT 1")) == "1");
}

TEST_CASE("a frozen server costs its callers their timeout and no more, and is used again when it thaws") {
  TestPostgres server;
  auto service = connection_to(server);
  CHECK(value(query(service, "SELECT 1")) == "1");
  {
    const Frozen frozen(server);
    for (int i = 0; i < 2; ++i) {  // once on the kept connection, once on a new one
      Result<ServiceRows> answer = Error{""};
      CHECK(duration_of([&] { answer = query(service, "SELECT 1", {}, 200ms); }) < 3s);
      REQUIRE_FALSE(answer.ok());
      CHECK(contains(answer.error(), "in time"));
    }
    CHECK(duration_of([&] { CHECK_FALSE(run_awaitable(service.probe(200ms))); }) < 3s);
    CHECK(duration_of([&] { CHECK_FALSE(run_awaitable(service.end_client_backends(200ms)).ok()); }) < 3s);
  }
  CHECK(value(query(service, "SELECT 1")) == "1");
  CHECK(run_awaitable(service.probe(kAmple)));
}

TEST_CASE("a peer that accepts and says nothing is a failure within the timeout") {
  asio::io_context context;
  asio::ip::tcp::acceptor mute(context, {asio::ip::address_v4::loopback(), 0});
  ServiceConnection service({"127.0.0.1", mute.local_endpoint().port()}, superuser());
  Result<ServiceRows> answer = Error{""};
  CHECK(duration_of([&] { answer = query(service, "SELECT 1", {}, 200ms); }) < 3s);
  REQUIRE_FALSE(answer.ok());
  CHECK(contains(answer.error(), "127.0.0.1:" + std::to_string(mute.local_endpoint().port())));
  CHECK_FALSE(run_awaitable(service.probe(200ms)));
}

TEST_CASE("a closed port says so at once") {
  asio::io_context context;
  asio::ip::tcp::acceptor taken(context, {asio::ip::address_v4::loopback(), 0});
  const std::uint16_t port = taken.local_endpoint().port();
  taken.close();
  ServiceConnection service({"127.0.0.1", port}, superuser());
  CHECK(contains(query(service, "SELECT 1").error(), "Connection refused"));
}

TEST_CASE("a probe, a login and a takeover do not wait behind a long query") {
  auto& server = shared_postgres();
  auto service = connection_to(server);
  asio::io_context context;
  std::vector<std::string> order;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        const auto answer = co_await service.query("postgres", "SELECT pg_advisory_lock(7)", {}, kAmple);
        if (!answer) throw std::runtime_error(answer.error());
        order.emplace_back("query");
      },
      [](const std::exception_ptr& failure) { CHECK_FALSE(failure); });
  const auto holder = server.connect("postgres", "application_name=holder");
  sql_on(holder.get(), "SELECT pg_advisory_lock(7)");
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        if (co_await service.probe(kAmple)) order.emplace_back("probe");
        if ((co_await service.stored_password("postgres")).ok()) order.emplace_back("login");
        // Ends the holder of the lock, and with it the query's wait.
        if ((co_await service.end_client_backends(kAmple)).ok()) order.emplace_back("takeover");
      },
      [](const std::exception_ptr& failure) { CHECK_FALSE(failure); });
  context.run();
  CHECK(order.size() == 4);
  CHECK(order.at(0) == "probe");
  CHECK(order.at(1) == "login");
}

TEST_CASE("queries run in the order of the calls, and one that waited too long for its turn fails") {
  auto service = connection_to(shared_postgres());
  asio::io_context context;
  std::vector<int> order;
  const auto ask = [&](int number, std::string sql,
                       std::chrono::milliseconds timeout) -> asio::awaitable<void> {
    const auto answer = co_await service.query("postgres", std::move(sql), {}, timeout);
    order.push_back(answer.ok() ? number : -number);
  };
  const auto done = [](const std::exception_ptr& failure) { CHECK_FALSE(failure); };
  asio::co_spawn(context, ask(1, "SELECT pg_sleep(0.5)", kAmple), done);
  asio::co_spawn(context, ask(2, "SELECT 1", 50ms), done);
  asio::co_spawn(context, ask(3, "SELECT 1", kAmple), done);
  context.run();
  CHECK(order == std::vector<int>{-2, 1, 3});
}

TEST_CASE("every coroutine resumes on its own executor") {
  auto service = connection_to(shared_postgres());
  constexpr int kThreads = 3;
  constexpr int kCalls = 40;
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      asio::io_context context(1);
      for (int call = 0; call < kCalls; ++call) {
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
              const auto self = std::this_thread::get_id();
              const auto answer = co_await service.query("postgres", "SELECT 1", {}, kAmple);
              const bool alive = co_await service.probe(kAmple);
              if (answer.ok() && alive && std::this_thread::get_id() == self) ++right;
            },
            [](const std::exception_ptr& failure) {
              if (failure) std::terminate();
            });
      }
      context.run();
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(right == kThreads * kCalls);
}

TEST_CASE("a call can be cancelled, and the service goes on") {
  using namespace asio::experimental::awaitable_operators;
  auto service = connection_to(shared_postgres());
  asio::io_context context;
  bool cut = false;
  asio::co_spawn(
      context,
      [&]() -> asio::awaitable<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 50ms);
        const auto first = co_await (service.query("postgres", "SELECT pg_sleep(2)", {}, kAmple) ||
                                     timer.async_wait(asio::use_awaitable));
        cut = first.index() == 1;
      },
      [](const std::exception_ptr& failure) { CHECK_FALSE(failure); });
  CHECK(duration_of([&] { context.run(); }) < 1500ms);
  CHECK(cut);
  CHECK(value(query(service, "SELECT 1")) == "1");
}

TEST_CASE("destroying a service connection fails what is under way at once") {
  asio::io_context context;
  auto service = std::make_unique<ServiceConnection>(shared_postgres().endpoint(), superuser());
  std::vector<std::string> errors;
  const auto ask = [&]() -> asio::awaitable<void> {
    const auto answer = co_await service->query("postgres", "SELECT pg_sleep(600)", {}, 600s);
    errors.push_back(answer.ok() ? "" : answer.error());
  };
  for (int i = 0; i < 2; ++i) {
    asio::co_spawn(context, ask(), [](const std::exception_ptr& failure) { CHECK_FALSE(failure); });
  }
  context.poll();  // both calls are made
  CHECK(eventually(
      [&] { return service_backends(shared_postgres(), " AND query LIKE '%pg_sleep(600)%'") == "1"; }));
  CHECK(duration_of([&] { service.reset(); }) < 5s);
  context.run();
  REQUIRE(errors.size() == 2);
  for (const auto& error : errors) CHECK(contains(error, "the relay is stopping"));
}

TEST_CASE("a probe calls a full server alive, and a stopped one dead") {
  TestPostgres server;
  server.sql("CREATE ROLE plain LOGIN");
  ServiceConnection service(server.endpoint(), {"plain", "", "postgres"});
  CHECK(run_awaitable(service.probe(kAmple)));
  std::vector<PgConnectionPtr> all;
  const int regular = 30 - 3;  // max_connections less superuser_reserved_connections
  while (int(all.size()) < regular) all.push_back(server.connect("postgres", "user=plain"));
  CHECK(contains(query(service, "SELECT 1").error(), "53300"));
  CHECK(run_awaitable(service.probe(kAmple)));
  all.clear();
  server.stop();
  CHECK_FALSE(run_awaitable(service.probe(kAmple)));
  server.start();
}

TEST_CASE(
    "a takeover ends every client backend, busy, open or idle, but no service connection and no walsender") {
  auto& server = shared_postgres();
  auto service = connection_to(server);
  auto other_service = connection_to(server);
  const std::string kept = value(query(other_service, "SELECT pg_backend_pid()"));
  server.sql("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN");
  const auto idle = server.connect();
  const auto open = server.connect();
  sql_on(open.get(), "BEGIN");
  const auto busy = server.connect();
  REQUIRE(PQsendQuery(busy.get(), "SELECT pg_sleep(600)") == 1);
  const auto impostor = server.connect("postgres", "user=plain application_name='pgtandem-relay service'");
  const auto walsender = server.connect("postgres", "replication=database");
  REQUIRE(eventually([&] {
    return server.sql("SELECT wait_event FROM pg_stat_activity WHERE pid = " +
                      std::to_string(PQbackendPID(busy.get()))) == "PgSleep";
  }));

  const auto ended = run_awaitable(service.end_client_backends(kAmple));
  REQUIRE(ended.ok());
  for (const auto* connection : {&idle, &open, &busy, &impostor}) {
    CHECK_THROWS(sql_on(connection->get(), "SELECT 1"));
  }
  CHECK_NOTHROW(sql_on(walsender.get(), "IDENTIFY_SYSTEM"));
  CHECK(value(query(other_service, "SELECT pg_backend_pid()")) == kept);
}

TEST_CASE("a takeover that cannot end a backend in time says which") {
  auto& server = shared_postgres();
  auto service = connection_to(server);
  const auto stubborn = server.connect();
  const pid_t pid = PQbackendPID(stubborn.get());
  REQUIRE(kill(pid, SIGSTOP) == 0);
  const auto ended = run_awaitable(service.end_client_backends(2s));
  REQUIRE(kill(pid, SIGCONT) == 0);
  REQUIRE_FALSE(ended.ok());
  CHECK(contains(ended.error(), "pid " + std::to_string(pid)));
  CHECK(run_awaitable(service.end_client_backends(kAmple)).ok());
}
