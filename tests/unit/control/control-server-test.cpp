/// The control port over real sockets on loopback: every route, the token, the live stream, and what hostile
/// or broken clients may do to it.
#include "server-relay/control/control-server.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <sys/resource.h>
#include <thread>

#include <asio.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace pgtandem;
using asio::ip::tcp;

namespace {

constexpr auto kToken = "correct horse battery staple";

/// A control server on a thread of its own, with handlers that tests look into.
class Server {
 public:
  explicit Server(std::string token = kToken, std::size_t status_padding = 0)
      : control_(context_, {{"127.0.0.1", 0}}, std::move(token), handlers(status_padding)) {
    on_thread([&] {
      const Result<void> started = control_.start();
      if (!started) throw std::runtime_error(started.error());
      port_ = control_.listening().at(0).port;
    });
  }
  ~Server() {
    on_thread([&] {
      control_.stop();
      kept_.clear();
    });
    work_.reset();
    context_.stop();
    thread_.join();
  }

  std::uint16_t port() const { return port_; }
  void publish() {
    on_thread([&] {
      ++version_;
      control_.publish();
    });
  }
  void publish_many(unsigned times) {
    on_thread([&] {
      for (unsigned i = 0; i < times; ++i) {
        ++version_;
        control_.publish();
      }
    });
  }
  void stop_control() {
    on_thread([&] { control_.stop(); });
  }
  void answer_kept() {
    on_thread([&] {
      for (const auto& responder : kept_) responder({200, "{\"ok\":true,\"late\":true}"});
      kept_.clear();
    });
  }
  std::size_t kept() {
    std::size_t size = 0;
    on_thread([&] { size = kept_.size(); });
    return size;
  }

 private:
  template <typename Function>
  void on_thread(Function function) {
    // asio takes a packaged_task as a completion token and gives its future.
    std::future<void> done = asio::post(context_, std::packaged_task<void()>(std::move(function)));
    done.get();
  }

  ControlHandlers handlers(std::size_t padding) {
    ControlHandlers h;
    h.status_json = [this, padding] {
      return nlohmann::json{{"version", version_}, {"padding", std::string(padding, 'x')}}.dump();
    };
    h.metrics_text = [] { return std::string("# TYPE x gauge\nx 1\n"); };
    h.role = [] { return RoleAnswer::master; };
    h.command = [this](const ControlRequest& request, ControlResponder respond) {
      if (request.path == "/v1/drop") return;
      if (request.path == "/v1/throw") throw std::runtime_error("the handler failed");
      if (request.path == "/v1/keep") return kept_.push_back(respond);
      respond({200, nlohmann::json{{"path", request.path}, {"body", request.body}, {"client", request.client}}
                        .dump()});
      respond({500, "a second answer counts for nothing"});
    };
    h.peer = [](const ControlRequest& request, ControlResponder respond) {
      ControlReply reply{200, request.method + " " + request.nonce + " " + request.mac};
      reply.headers.emplace_back("X-Pgtandem-Mac", "abc");
      respond(reply);
    };
    h.record = [](const ControlRequest& request, ControlResponder respond) { respond({200, request.body}); };
    return h;
  }

  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  unsigned version_ = 1;
  std::vector<ControlResponder> kept_;
  ControlServer control_;
  std::uint16_t port_ = 0;
  std::thread thread_{[this] { context_.run(); }};
};

/// A client whose every read fails after ten seconds instead of hanging the test.
class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(context_) {
    socket_.connect(tcp::endpoint(asio::ip::address_v4::loopback(), port));
    const timeval limit{10, 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  void send(const std::string& text) {
    asio::error_code ignored;  // a server that closed shows in what is read
    asio::write(socket_, asio::buffer(text), ignored);
  }
  void end_sending() {
    asio::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  /// Everything until the server closes.
  std::string read_all() {
    while (read_some()) {
    }
    return received_;
  }
  std::string read_until(const std::string& end) {
    while (received_.find(end) == std::string::npos) {
      if (!read_some()) throw std::runtime_error("closed before '" + end + "': " + received_);
    }
    return received_;
  }
  const std::string& received() const { return received_; }
  void forget() { received_.clear(); }
  tcp::socket& socket() { return socket_; }

 private:
  /// False at the end of the stream; throws where nothing came in time.
  bool read_some() {
    char buffer[16384];
    const ssize_t size = ::recv(socket_.native_handle(), buffer, sizeof buffer, 0);
    if (size > 0) received_.append(buffer, std::size_t(size));
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      throw std::runtime_error("nothing came in time");
    return size > 0;
  }

  asio::io_context context_;
  tcp::socket socket_;
  std::string received_;
};

std::string ask(std::uint16_t port, const std::string& method, const std::string& path,
                const std::string& headers = {}, const std::string& body = {}) {
  Client client(port);
  client.send(method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + headers +
              (method == "POST" ? "Content-Length: " + std::to_string(body.size()) + "\r\n" : "") + "\r\n" +
              body);
  return client.read_all();
}

std::string bearer(const std::string& token) {
  return "Authorization: Bearer " + token + "\r\n";
}
unsigned status_of(const std::string& response) {
  return response.starts_with("HTTP/1.1 ") ? unsigned(std::stoul(response.substr(9))) : 0;
}
std::string body_of(const std::string& response) {
  return response.substr(response.find("\r\n\r\n") + 4);
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
std::string watch_request() {
  return "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n";
}
std::string version_event(unsigned version) {
  return "\"version\":" + std::to_string(version) + "}\n\n";
}

}  // namespace

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
