// The goal of these tests: what is kept for later goes out once, in its place, and with what is sent next.
#include "server-relay/session/out-buffer.h"

#include <array>

#include <asio/local/connect_pair.hpp>
#include <asio/local/stream_protocol.hpp>
#include <catch2/catch.hpp>

using namespace pgtandem;

namespace {

struct Line {
  asio::io_context context;
  asio::local::stream_protocol::socket far{context};
  Stream near{context};
  Wakeup progress{context};
  OutBuffer out{near, progress};
  std::shared_ptr<void> owner = std::make_shared<int>();

  Line() {
    asio::local::stream_protocol::socket socket(context);
    asio::local::connect_pair(socket, far);
    near = Stream(Stream::Socket(std::move(socket)));
    far.non_blocking(true);
  }
  /// What one read finds on the other side.
  std::string arrived() {
    std::array<char, 1U << 20> bytes;
    std::error_code none;
    const std::size_t size = far.read_some(asio::buffer(bytes), none);
    return {bytes.data(), size};
  }
};

}  // namespace

TEST_CASE("what is kept for later goes out in front of the next bytes") {
  const auto line = std::make_unique<Line>();
  line->out.send_later(as_bytes("BEGIN "));
  line->out.send_later(as_bytes("SELECT "));
  CHECK(line->out.kept() == 2);
  CHECK(line->arrived().empty());
  line->out.send(as_bytes("UPDATE "), line->owner);
  CHECK(line->out.kept() == 0);
  CHECK(line->arrived() == "BEGIN SELECT UPDATE ");
  line->out.send(as_bytes("COMMIT"), line->owner);
  CHECK(line->arrived() == "COMMIT");
}

TEST_CASE("what is kept for later goes out when it is asked for") {
  const auto line = std::make_unique<Line>();
  line->out.send_later(as_bytes("BEGIN"));
  line->out.flush(line->owner);
  CHECK(line->arrived() == "BEGIN");
  line->out.flush(line->owner);
  CHECK(line->arrived().empty());
}

TEST_CASE("what is kept for later stays behind what the peer has not taken yet") {
  const auto line = std::make_unique<Line>();
  const std::string much(4U << 20, 'x');
  line->out.send(as_bytes(much), line->owner);
  REQUIRE(line->out.pending() != 0);
  line->out.send_later(as_bytes("later "));
  line->out.send(as_bytes("last"), line->owner);
  std::string all;
  while (all.size() < much.size() + 10) {
    all += line->arrived();
    line->context.poll();
    line->context.restart();
  }
  CHECK(all == much + "later last");
}

TEST_CASE("what is dropped takes along what was kept") {
  const auto line = std::make_unique<Line>();
  line->out.send_later(as_bytes("BEGIN"));
  line->out.drop();
  CHECK(line->out.kept() == 0);
  line->out.flush(line->owner);
  line->out.send(as_bytes("x"), line->owner);
  CHECK(line->arrived().empty());
}
