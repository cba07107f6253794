#include "common/protocol/startup.h"

#include <catch2/catch.hpp>

using namespace pgtandem;

namespace {

std::string packet(std::uint32_t length, std::uint32_t code, std::string_view rest = {}) {
  ByteWriter out;
  out.u32(length).u32(code).text(rest);
  return out.take();
}
std::string cancel_bytes(std::uint32_t pid, std::string_view key) {
  return std::string(build_cancel(pid, key).reveal());
}
StartupPacket parsed(std::string_view bytes) {
  return parse_startup(as_bytes(bytes)).packet;
}
template <typename T>
bool is(const StartupPacket& packet) {
  return std::holds_alternative<T>(packet);
}
StartupMessage message_with(const StartupParameters& parameters) {
  return std::get<StartupMessage>(parsed(build_startup(3, 0, parameters)));
}

}  // namespace

TEST_CASE("a StartupMessage gives its version, its parameters in order and its own bytes") {
  const StartupParameters parameters = {
      {"user", "bob"}, {"database", "plant"}, {"_pq_.x", ""}, {"application_name", "a b"}};
  const std::string bytes = build_startup(3, 2, parameters);
  const ParsedStartup result = parse_startup(as_bytes(bytes + "behind"));
  REQUIRE(is<StartupMessage>(result.packet));
  const auto& message = std::get<StartupMessage>(result.packet);
  CHECK(message.major == 3);
  CHECK(message.minor == 2);
  CHECK(message.parameters == parameters);
  CHECK(message.raw == bytes);
  CHECK(result.consumed == bytes.size());
}

TEST_CASE("encryption requests and cancel requests are told apart") {
  CHECK(is<SslRequest>(parsed(packet(8, 80877103))));
  CHECK(is<GssEncRequest>(parsed(packet(8, 80877104))));
  const StartupPacket cancel = parsed(packet(16, 80877102, std::string("\0\0\1\2KEY4", 8)));
  REQUIRE(is<CancelRequest>(cancel));
  CHECK(std::get<CancelRequest>(cancel).pid == 258);
  CHECK(std::get<CancelRequest>(cancel).key.reveal() == "KEY4");
}

TEST_CASE("a cancel key of 1 to 256 bytes passes, any other length is refused before it is waited for") {
  for (const std::size_t size : {1, 4, 32, 256}) {
    const StartupPacket cancel = parsed(cancel_bytes(7, std::string(size, 'k')));
    REQUIRE(is<CancelRequest>(cancel));
    CHECK(std::get<CancelRequest>(cancel).key.reveal() == std::string(size, 'k'));
  }
  CHECK(is<StartupError>(parsed(packet(12, 80877102))));
  CHECK(is<StartupError>(parsed(packet(12 + 257, 80877102))));
  CHECK(is<StartupError>(parsed(packet(8, 80877102))));
}

TEST_CASE(
    "an impossible length is refused as soon as it is known, and without an answer as PostgreSQL does") {
  const std::vector<std::string> impossible = {packet(7, 0).substr(0, 4),
                                               packet(0, 0).substr(0, 4),
                                               packet(10005, 0).substr(0, 4),
                                               packet(0xFFFFFFFF, 0).substr(0, 4),
                                               std::string("G"),
                                               std::string("\0\1", 2),
                                               packet(9, 80877103),
                                               packet(100, 80877104)};
  for (const std::string& bytes : impossible) {
    const StartupPacket result = parsed(bytes);
    REQUIRE(is<StartupError>(result));
    CHECK(std::get<StartupError>(result).sqlstate.empty());
    CHECK_FALSE(std::get<StartupError>(result).message.empty());
  }
  CHECK(is<NeedMore>(parsed(packet(10004, 196608))));
  CHECK(is<NeedMore>(parsed(packet(8, 0).substr(0, 4))));
}

TEST_CASE("a startup packet of the greatest length passes, one byte more does not") {
  const std::size_t overhead = build_startup(3, 0, {{"user", ""}}).size();
  const std::string largest = build_startup(3, 0, {{"user", std::string(10004 - overhead, 'u')}});
  CHECK(is<StartupMessage>(parsed(largest)));
  const std::string too_large = build_startup(3, 0, {{"user", std::string(10005 - overhead, 'u')}});
  CHECK(is<StartupError>(parsed(too_large)));
}

TEST_CASE("a TLS handshake without SSLRequest is named as what it is") {
  const StartupPacket result = parsed("\x16\x03\x01");
  REQUIRE(is<StartupError>(result));
  CHECK_THAT(std::get<StartupError>(result).message, Catch::Contains("sslnegotiation=postgres"));
}

TEST_CASE("a startup packet whose terminator is not its last byte is refused") {
  const std::vector<std::string> layouts = {
      std::string(),
      std::string("user", 4),
      std::string("user\0", 5),
      std::string("user\0bob", 8),
      std::string("user\0bob\0", 9),
      std::string("user\0bob\0\0x", 11),
      std::string("user\0bob\0\0\0", 11),
  };
  for (const std::string& layout : layouts) {
    const StartupPacket result = parsed(packet(std::uint32_t(8 + layout.size()), 196608, layout));
    REQUIRE(is<StartupError>(result));
    CHECK(std::get<StartupError>(result).sqlstate == "08P01");
    CHECK(std::get<StartupError>(result).message ==
          "invalid startup packet layout: expected terminator as last byte");
  }
}

TEST_CASE("every packet cut at every boundary waits for the rest and is then the same") {
  const std::vector<std::string> packets = {packet(8, 80877103), packet(8, 80877104),
                                            cancel_bytes(7, std::string(256, 'k')),
                                            build_startup(3, 2, {{"user", "bob"}, {"database", "plant"}})};
  for (const std::string& bytes : packets) {
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      const ParsedStartup result = parse_startup(as_bytes(bytes).first(cut));
      CHECK(is<NeedMore>(result.packet));
      CHECK(result.consumed == 0);
    }
    const ParsedStartup whole = parse_startup(as_bytes(bytes));
    CHECK(whole.consumed == bytes.size());
    CHECK_FALSE(is<StartupError>(whole.packet));
  }
}

TEST_CASE("user and database are the last ones named, and the database is the user where none is named") {
  CHECK(startup_user(message_with({{"user", "a"}, {"user", "b"}})) == "b");
  CHECK(startup_database(message_with({{"user", "a"}})) == "a");
  CHECK(startup_database(message_with({{"user", "a"}, {"database", ""}})) == "a");
  CHECK(startup_database(message_with({{"user", "a"}, {"database", "d"}})) == "d");
  CHECK(startup_user(message_with({})).empty());
}

TEST_CASE("replication is asked for by every value that the server does not read as false") {
  const auto replication = [](const std::string& value) {
    return is_replication(message_with({{"user", "a"}, {"replication", value}}));
  };
  for (const std::string yes : {"true", "TRUE", "t", "yes", "y", "on", "1", "database", "tr"}) {
    INFO(yes);
    CHECK(replication(yes));
  }
  for (const std::string no : {"false", "False", "f", "no", "n", "off", "OF", "0"}) {
    INFO(no);
    CHECK_FALSE(replication(no));
  }
  // Refused by the server itself: the master says so.
  for (const std::string invalid : {"", "o", "2", "falsey", "nein"}) {
    INFO(invalid);
    CHECK(replication(invalid));
  }
  CHECK_FALSE(is_replication(message_with({{"user", "a"}})));
  CHECK_FALSE(is_replication(message_with({{"replication", "true"}, {"replication", "off"}})));
}

TEST_CASE("what is built is what PostgreSQL's manual draws") {
  CHECK(build_startup(3, 0, {{"user", "a"}}) == std::string("\0\0\0\x10\0\3\0\0user\0a\0\0", 16));
  CHECK(cancel_bytes(1, "abcd") == std::string("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1abcd", 16));
}
