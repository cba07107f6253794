/// What hostile or broken clients may do to the control port, over real sockets on loopback.
#include <sys/resource.h>

#include <catch2/catch.hpp>

#include "tests/unit/control/control-test-server.h"

using namespace pgtandem;
using namespace pgtandem::control_test;
TEST_CASE("a watcher that does not read is dropped, and the others see nothing of it") {
  Server server(kToken, 1U << 20);  // events of 1 MiB fill the kernel's buffers soon
  Client deaf(server.port());
  deaf.send(watch_request());
  Client good(server.port());
  good.send(watch_request());
  good.read_until(version_event(1));
  for (unsigned version = 2; version < 40; ++version) {
    good.forget();
    server.publish();
    good.read_until(version_event(version));
  }
  // The write limit passes while nobody reads: more than its seconds of heartbeats at the good watcher.
  for (int beat = 0; beat < 9; ++beat) {
    good.forget();
    good.read_until("\n\n");
  }
  CHECK_THROWS(deaf.read_until(version_event(39)));  // cut off, and long before the newest
  CHECK(deaf.received().size() < 8U << 20);
}

TEST_CASE("the 65th watcher is refused, and served when one has left") {
  Server server;
  std::vector<std::unique_ptr<Client>> watchers;
  for (std::size_t i = 0; i < kMaxWatchers; ++i) {
    watchers.push_back(std::make_unique<Client>(server.port()));
    watchers.back()->send(watch_request());
    watchers.back()->read_until("\n\n");
  }
  CHECK(status_of(ask(server.port(), "GET", "/v1/watch")) == 503);
  watchers.pop_back();
  std::string first_line;
  do {  // the server notices at a heartbeat
    Client next(server.port());
    next.send(watch_request());
    first_line = next.read_until("\r\n");
  } while (status_of(first_line) == 503);
  CHECK(status_of(first_line) == 200);
}

TEST_CASE("connections above the limit are closed, and the port answers when some have left") {
  Server server;
  std::vector<std::unique_ptr<Client>> idle;
  for (std::size_t i = 0; i < kMaxControlConnections; ++i)
    idle.push_back(std::make_unique<Client>(server.port()));
  Client above(server.port());
  above.send("GET /v1/status HTTP/1.1\r\n\r\n");
  CHECK(above.read_all().empty());
  idle.clear();
  std::string answer;
  while ((answer = ask(server.port(), "GET", "/v1/status")).empty()) std::this_thread::yield();
  CHECK(status_of(answer) == 200);
}

TEST_CASE("what is too large is closed: body, header, URL, many fields, chunks of single bytes") {
  Server server;
  const std::string auth = bearer(kToken);
  CHECK(status_of(ask(server.port(), "POST", "/v1/x", auth, std::string(kMaxControlBody, 'x'))) == 200);
  CHECK(status_of(ask(server.port(), "POST", "/v1/x", auth, std::string(kMaxControlBody + 1, 'x'))) == 0);
  CHECK(status_of(ask(server.port(), "GET", "/v1/status", "X: " + std::string(5000, 'x') + "\r\n")) == 0);
  CHECK(status_of(ask(server.port(), "GET", "/" + std::string(3000, 'x'))) == 0);
  std::string fields;
  for (int i = 0; i < 100; ++i) fields += "X" + std::to_string(i) + ": 1\r\n";
  CHECK(status_of(ask(server.port(), "GET", "/v1/status", fields)) == 0);
  Client claims(server.port());
  claims.send("POST /v1/x HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n");
  CHECK(claims.read_all().empty());
  Client chunks(server.port());
  std::string text = "POST /v1/x HTTP/1.1\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\n";
  for (std::size_t i = 0; i < 300'000; ++i) text += "1\r\nx\r\n";
  chunks.send(text + "0\r\n\r\n");
  CHECK(status_of(chunks.read_all()) == 0);
  CHECK(status_of(ask(server.port(), "GET", "/v1/status")) == 200);
}

TEST_CASE("garbage, half requests and upgrades end their own connection only") {
  Server server;
  Client watcher(server.port());
  watcher.send(watch_request());
  watcher.read_until(version_event(1));
  const std::string garbage[] = {
      std::string("\0\0\0\x08\x04\xd2\x16\x2f", 8),
      "\x16\x03\x01\x02\x00\x01\xfc\x03\x03",
      "GET",
      "GET / HTTP/9.9\r\n\r\n",
      std::string(100'000, 'A'),
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "CONNECT x:1 HTTP/1.1\r\n\r\n",
      "GET /v1/status HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"};
  for (int round = 0; round < 5; ++round) {
    for (const std::string& bytes : garbage) {
      Client client(server.port());
      client.send(bytes);
      client.end_sending();
      client.read_all();  // closed by the server: this would throw otherwise
    }
  }
  server.publish();
  watcher.read_until(version_event(2));
  CHECK(status_of(ask(server.port(), "GET", "/v1/status")) == 200);
}

TEST_CASE("a client that says nothing, or dribbles, is closed at the time limit") {
  Server server;
  Client silent(server.port());
  Client dribbler(server.port());
  dribbler.send("GET /v1/status HTTP/1.1\r\nX: ");
  const auto begin = std::chrono::steady_clock::now();
  const timeval longer{20, 0};
  ::setsockopt(silent.socket().native_handle(), SOL_SOCKET, SO_RCVTIMEO, &longer, sizeof longer);
  CHECK(silent.read_all().empty());
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(15));
  CHECK(dribbler.read_all().empty());
}

TEST_CASE("the port comes back by itself after the process ran out of file descriptors") {
  Server server;
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  Client watcher(server.port());
  watcher.send(watch_request());
  watcher.read_until("\n\n");
  asio::io_context context;
  tcp::socket knock(context);
  knock.open(tcp::v4());
  const int lowest_free = ::dup(0);
  ::close(lowest_free);
  const rlimit none{rlim_t(lowest_free), limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  asio::error_code error;
  knock.connect(tcp::endpoint(asio::ip::address_v4::loopback(), server.port()), error);
  for (int beat = 0; beat < 2; ++beat) {  // the server has met the connection, and goes on serving
    watcher.forget();
    watcher.read_until("\n\n");
  }
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK_FALSE(error);
  std::string answer;
  for (int beat = 0; beat < 10 && status_of(answer) != 200; ++beat) {
    watcher.forget();
    watcher.read_until("\n\n");
    try {
      answer = ask(server.port(), "GET", "/v1/status");
    } catch (const std::exception&) {
      answer.clear();  // reset or silent until the port is opened again
    }
  }
  CHECK(status_of(answer) == 200);
}
