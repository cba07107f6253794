/// The control port over real sockets on loopback: every route, the token and the live stream.
#include <catch2/catch.hpp>

#include "tests/unit/control/control-test-server.h"

using namespace pgtandem;
using namespace pgtandem::control_test;

TEST_CASE("every route for reading answers, and HEAD gives the same without a body") {
  Server server;
  for (const std::string path : {"/", "/v1/status", "/metrics", "/master"}) {
    CAPTURE(path);
    const std::string got = ask(server.port(), "GET", path);
    CHECK(status_of(got) == 200);
    CHECK(contains(got, "Cache-Control: no-store"));
    CHECK(contains(got, "Connection: close"));
    const std::string head = ask(server.port(), "HEAD", path);
    CHECK(status_of(head) == 200);
    CHECK(body_of(head).empty());
    CHECK(contains(head, "Content-Length: " + std::to_string(body_of(got).size())));
  }
  CHECK(nlohmann::json::parse(body_of(ask(server.port(), "GET", "/v1/status?pretty=1")))["version"] == 1);
  CHECK(contains(ask(server.port(), "GET", "/metrics"), "text/plain; version=0.0.4"));
  CHECK(status_of(ask(server.port(), "GET", "/standby")) == 503);
}

TEST_CASE("the page needs nothing from elsewhere and forbids the browser to fetch it") {
  Server server;
  const std::string page = ask(server.port(), "GET", "/");
  CHECK(contains(page, "default-src 'none'"));
  CHECK(contains(page, "text/html; charset=utf-8"));
  CHECK(contains(page, "/v1/watch"));
  CHECK_FALSE(contains(body_of(page), "http://"));
  CHECK_FALSE(contains(body_of(page), "https://"));
  CHECK_FALSE(contains(body_of(page), "innerHTML"));
  CHECK(body_of(page).ends_with("</html>\n"));
}

TEST_CASE("unknown paths give 404 and wrong methods 405, both as JSON that says what to do") {
  Server server;
  const std::string unknown = ask(server.port(), "GET", "/nothing");
  CHECK(status_of(unknown) == 404);
  CHECK(nlohmann::json::parse(body_of(unknown))["ok"] == false);
  const std::string wrong = ask(server.port(), "POST", "/v1/status", bearer(kToken));
  CHECK(status_of(wrong) == 405);
  CHECK(contains(wrong, "Allow: GET, HEAD"));
  CHECK(nlohmann::json::parse(body_of(wrong))["do"] == "use GET, HEAD");
  CHECK(status_of(ask(server.port(), "GET", "/v1/promote")) == 405);
  CHECK(status_of(ask(server.port(), "DELETE", "/v1/peer/x")) == 405);
}

TEST_CASE("a command needs the right token, and an unset one says how to set it") {
  Server server;
  const auto post = [&](const std::string& headers) {
    return ask(server.port(), "POST", "/v1/fence", headers, "{}");
  };
  const std::string good = post(bearer(kToken));
  CHECK(status_of(good) == 200);
  const auto echoed = nlohmann::json::parse(body_of(good));
  CHECK(echoed["path"] == "/v1/fence");
  CHECK(echoed["body"] == "{}");
  CHECK(echoed["client"] == "127.0.0.1");
  for (const std::string& headers :
       {std::string(), bearer(""), bearer("wrong"), bearer(std::string(kToken) + "x"),
        bearer(std::string(kToken).substr(1)), std::string("Authorization: Basic ") + kToken + "\r\n",
        std::string("Cookie: token=") + kToken + "\r\n"}) {
    CAPTURE(headers);
    const std::string refused = post(headers);
    CHECK(status_of(refused) == 401);
    CHECK(contains(refused, "WWW-Authenticate: Bearer"));
    CHECK(nlohmann::json::parse(body_of(refused))["ok"] == false);
    CHECK_FALSE(contains(refused, kToken));
  }
  Server open("");
  const std::string refused = ask(open.port(), "POST", "/v1/fence", bearer(""), "{}");
  CHECK(status_of(refused) == 403);
  CHECK(contains(body_of(refused), "control.token_file"));
}

TEST_CASE("a token can be tried without any effect") {
  Server server;
  CHECK(status_of(ask(server.port(), "POST", "/v1/token", bearer(kToken))) == 200);
  CHECK(status_of(ask(server.port(), "POST", "/v1/token", bearer("wrong"))) == 401);
}

TEST_CASE("the peer and the record pass without a token, since they authenticate themselves") {
  Server server;
  const std::string peer =
      ask(server.port(), "POST", "/v1/peer/hello", "X-Pgtandem-Nonce: n1\r\nx-pgtandem-mac: m1\r\n", "{}");
  CHECK(body_of(peer) == "POST n1 m1");
  CHECK(contains(peer, "X-Pgtandem-Mac: abc"));
  CHECK(body_of(ask(server.port(), "GET", "/v1/peer/challenge")) == "GET  ");
  CHECK(body_of(ask(server.port(), "POST", "/v1/record", {}, "signed")) == "signed");
}

TEST_CASE("a handler that throws or forgets to answer gives 500, one that answers later is waited for") {
  Server server;
  CHECK(status_of(ask(server.port(), "POST", "/v1/throw", bearer(kToken))) == 500);
  CHECK(status_of(ask(server.port(), "POST", "/v1/drop", bearer(kToken))) == 500);
  Client client(server.port());
  client.send("POST /v1/keep HTTP/1.1\r\nContent-Length: 0\r\n" + bearer(kToken) + "\r\n");
  while (server.kept() == 0) std::this_thread::yield();
  server.answer_kept();
  CHECK(contains(client.read_all(), "late"));
}

TEST_CASE("a watcher gets the status at once, at each change, and as a heartbeat") {
  Server server;
  Client watcher(server.port());
  watcher.send(watch_request());
  watcher.read_until(version_event(1));
  CHECK(contains(watcher.received(), "Content-Type: text/event-stream"));
  server.publish();
  watcher.read_until(version_event(2));
  // Nothing changes any more: what comes now are heartbeats.
  watcher.forget();
  watcher.read_until(version_event(2));
  watcher.forget();
  watcher.read_until(version_event(2));
}

TEST_CASE("changes in one go are told as one event, the newest") {
  Server server;
  Client watcher(server.port());
  watcher.send(watch_request());
  watcher.read_until(version_event(1));
  watcher.forget();
  server.publish_many(1000);
  watcher.read_until(version_event(1001));
  CHECK_FALSE(contains(watcher.received(), version_event(1000)));
}

TEST_CASE("a port that is taken is an error that names it") {
  Server server;
  asio::io_context context;
  ControlServer second(context, {{"127.0.0.1", server.port()}}, "", {});
  const Result<void> started = second.start();
  REQUIRE_FALSE(started.ok());
  CHECK(contains(started.error(), "127.0.0.1:" + std::to_string(server.port())));
  CHECK(contains(started.error(), "in use"));
  ControlServer unix_socket(context, {{"/tmp", 5432}}, "", {});
  CHECK(contains(unix_socket.start().error(), "Unix socket"));
  ControlServer nowhere(context, {{"no-such-host.invalid", 1}}, "", {});
  CHECK(contains(nowhere.start().error(), "no-such-host.invalid"));
}

TEST_CASE("stopping ends the streams in order and refuses connections") {
  Server server;
  Client watcher(server.port());
  watcher.send(watch_request());
  watcher.read_until(version_event(1));
  server.stop_control();
  CHECK(watcher.read_all().ends_with("0\r\n\r\n"));
  CHECK_THROWS(Client(server.port()));
}
