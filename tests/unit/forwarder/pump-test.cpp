#include "client-forwarder/pump.h"

#include <dirent.h>
#include <future>
#include <optional>
#include <poll.h>
#include <sys/resource.h>
#include <thread>

#include <asio/co_spawn.hpp>
#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/read.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <catch2/catch.hpp>

#include "client-forwarder/process.h"

using namespace pgtandem;
using asio::ip::tcp;

namespace {

/// Two connected sockets.
std::pair<tcp::socket, tcp::socket> connected(asio::io_context& one, asio::io_context& two) {
  tcp::acceptor acceptor(one, {asio::ip::make_address("127.0.0.1"), 0});
  tcp::socket client(one), server(two);
  client.connect(acceptor.local_endpoint());
  acceptor.accept(server);
  return {std::move(client), std::move(server)};
}

/// writer -> source, the pump, target -> reader; the ends are plain blocking sockets of the test.
struct Line {
  asio::io_context outside, inside;
  tcp::socket writer{outside}, source{inside}, target{inside}, reader{outside};
  std::uint64_t bytes = 0;
  std::optional<PumpResult> result;
  std::thread thread;

  Line() {
    prepare_process();
    std::tie(writer, source) = connected(outside, inside);
    std::tie(reader, target) = connected(outside, inside);
    prepare_socket(source);
    prepare_socket(target);
  }
  ~Line() {
    inside.stop();
    if (thread.joinable()) thread.join();
  }
  void start() {
    const auto run = [this]() -> asio::awaitable<void> {
      result = co_await pump(source, target, bytes);
      source.close();
      target.close();
    };
    asio::co_spawn(inside, run, [](const std::exception_ptr&) {});
    thread = std::thread([this] { inside.run(); });
  }
  void finish() { thread.join(); }
};

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t x = 1;
  for (char& c : text) c = char((x = x * 1664525 + 1013904223) >> 24);
  return text;
}

/// Writes all on a thread of its own, and gives what came out at the other end.
std::string through(Line& line, const std::string& text) {
  std::thread writing([&] {
    asio::error_code ignored;
    asio::write(line.writer, asio::buffer(text), ignored);
    line.writer.shutdown(tcp::socket::shutdown_send, ignored);
  });
  std::string out;
  asio::error_code code;
  asio::read(line.reader, asio::dynamic_buffer(out), code);
  CHECK(code == asio::error::eof);
  writing.join();
  return out;
}

std::size_t open_files() {
  DIR* folder = ::opendir("/proc/self/fd");
  std::size_t count = 0;
  while (::readdir(folder)) ++count;
  ::closedir(folder);
  return count;
}

}  // namespace

TEST_CASE("all bytes arrive in order, then the end, and the count is right") {
  Line line;
  line.start();
  const std::string text = pattern(32U << 20);
  CHECK((through(line, text) == text));
  line.finish();
  REQUIRE(line.result);
  CHECK(line.result->end == PumpEnd::orderly);
  CHECK(line.bytes == text.size());
}

TEST_CASE("the buffer does what the kernel's pipe does") {
  Line line;
  const std::string text = pattern(8U << 20);
  bool ended = false;
  const auto run = [&]() -> asio::awaitable<void> {
    while (!ended) {
      co_await line.source.async_wait(tcp::socket::wait_read, asio::use_awaitable);
      const Step step = co_await move_some_by_buffer(line.source, line.target, line.bytes);
      ended = step.end != StepEnd::moved;
    }
    line.target.shutdown(tcp::socket::shutdown_send);
  };
  asio::co_spawn(line.inside, run, [](const std::exception_ptr&) {});
  line.thread = std::thread([&] { line.inside.run(); });
  CHECK((through(line, text) == text));
  line.finish();
  CHECK(line.bytes == text.size());
}

TEST_CASE("bytes pass also when no more files may be opened for pipes") {
  Line line;
  line.start();
  // Enough for what the test has open, nothing for a pipe.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 3;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const std::string text = pattern(1U << 20);
  const std::string out = through(line, text);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK((out == text));
}

TEST_CASE("an idle direction holds no pipe, and a thread no more than its spare ones") {
  Line line;
  line.start();
  CHECK((through(line, "hello") == "hello"));
  line.finish();
  const std::size_t before = open_files();
  std::vector<std::unique_ptr<Line>> lines;
  for (int i = 0; i < 50; ++i) {
    lines.push_back(std::make_unique<Line>());
    lines.back()->start();
    asio::write(lines.back()->writer, asio::buffer("x", 1));
    char c = 0;
    asio::read(lines.back()->reader, asio::buffer(&c, 1));
  }
  // Each line is four sockets, two io_contexts of three files each, and at most one spare pipe of its thread.
  CHECK(open_files() <= before + 50 * (4 + 6 + 2));
}

TEST_CASE("a reader that is slow holds the writer back, and nothing is lost") {
  Line line;
  line.start();
  const std::string text = pattern(64U << 20);
  line.writer.non_blocking(true);
  std::size_t sent = 0;
  for (pollfd writable{line.writer.native_handle(), POLLOUT, 0}; ::poll(&writable, 1, 1000) > 0;) {
    REQUIRE(sent < text.size());  // everything between writer and reader is bounded
    asio::error_code ignored;
    sent += line.writer.write_some(asio::buffer(text.data() + sent, text.size() - sent), ignored);
  }
  line.writer.non_blocking(false);
  CHECK((through(line, text.substr(sent)) == text));
}

TEST_CASE("a reset source and a gone target are told apart") {
  {
    Line line;
    line.start();
    line.writer.set_option(asio::socket_base::linger(true, 0));
    line.writer.close();
    line.finish();
    CHECK(line.result->end == PumpEnd::source_gone);
  }
  {
    Line line;
    line.start();
    line.reader.set_option(asio::socket_base::linger(true, 0));
    line.reader.close();
    asio::error_code code;
    while (!code) asio::write(line.writer, asio::buffer("x", 1), code);
    line.finish();
    CHECK(line.result->end == PumpEnd::target_gone);
  }
}

TEST_CASE("the sockets have no Nagle delay and look whether the peer is alive") {
  Line line;
  tcp::no_delay no_delay;
  asio::socket_base::keep_alive keep_alive;
  line.source.get_option(no_delay);
  line.source.get_option(keep_alive);
  CHECK(no_delay.value());
  CHECK(keep_alive.value());
}
