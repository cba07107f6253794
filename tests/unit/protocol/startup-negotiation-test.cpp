#include "common/protocol/startup-negotiation.h"

#include <catch2/catch.hpp>

#include "common/protocol/error-response.h"

using namespace pgtandem;
using Action = StartupNegotiation::Action;
using State = StartupNegotiation::State;

namespace {

const std::string kSsl("\0\0\0\x08\x04\xd2\x16\x2f", 8);
const std::string kGss("\0\0\0\x08\x04\xd2\x16\x30", 8);

std::string startup_bytes() {
  return build_startup(3, 0, {{"user", "bob"}});
}

ServerError error_in(const std::string& reply) {
  REQUIRE(reply.size() > 5);
  REQUIRE(reply[0] == 'E');
  return *parse_error_response(as_bytes(reply).subspan(5));
}

/// Feeds `packets` one after the other; returns the last step.
StartupNegotiation::Step play(StartupNegotiation& negotiation, const std::vector<std::string>& packets) {
  StartupNegotiation::Step step;
  for (const std::string& bytes : packets) step = negotiation.feed(as_bytes(bytes));
  return step;
}

}  // namespace

TEST_CASE("a startup packet alone starts the session, and what is behind it is left to the session") {
  StartupNegotiation negotiation;
  const auto step = negotiation.feed(as_bytes(startup_bytes() + "Q..."));
  CHECK(step.action == Action::start);
  CHECK(step.consumed == startup_bytes().size());
  CHECK(step.reply.empty());
  CHECK(negotiation.state() == State::started);
  CHECK(startup_user(negotiation.startup()) == "bob");
}

TEST_CASE("SSLRequest and GSSENCRequest are answered N once each, in either order") {
  for (const auto& [first, second] : {std::pair(kSsl, kGss), std::pair(kGss, kSsl)}) {
    StartupNegotiation negotiation;
    for (const std::string& request : {first, second}) {
      const auto step = negotiation.feed(as_bytes(request));
      CHECK(step.action == Action::answer);
      CHECK(step.reply == "N");
      CHECK(step.consumed == 8);
      CHECK(negotiation.state() == State::waiting);
    }
    CHECK(negotiation.feed(as_bytes(startup_bytes())).action == Action::start);
  }
}

TEST_CASE("a second request of the same kind is refused as the version that it looks like") {
  for (const auto& [packets, version] :
       {std::pair(std::vector{kSsl, kSsl}, "1234.5679"), std::pair(std::vector{kGss, kGss}, "1234.5680"),
        std::pair(std::vector{kSsl, kGss, kSsl}, "1234.5679")}) {
    StartupNegotiation negotiation;
    const auto step = play(negotiation, packets);
    CHECK(step.action == Action::refuse);
    CHECK(error_in(step.reply).sqlstate == "0A000");
    CHECK_THAT(error_in(step.reply).message, Catch::Contains(version));
    CHECK(negotiation.state() == State::refused);
  }
}

TEST_CASE(
    "bytes stuffed behind a request for encryption are refused, not read later as if they came through it") {
  for (const std::string& request : {kSsl, kGss}) {
    for (const std::string& stuffed : {std::string("x"), startup_bytes()}) {
      StartupNegotiation negotiation;
      const auto step = negotiation.feed(as_bytes(request + stuffed));
      CHECK(step.action == Action::refuse);
      CHECK(error_in(step.reply).sqlstate == "08P01");
      CHECK_THAT(negotiation.refusal(), Catch::Contains("received unencrypted data after"));
    }
  }
}

TEST_CASE("where TLS is granted it begins, and no further request for encryption is taken in it") {
  StartupNegotiation negotiation(EncryptionAnswer::tls);
  const auto step = negotiation.feed(as_bytes(kSsl));
  CHECK(step.action == Action::begin_tls);
  CHECK(step.reply == "S");
  CHECK(negotiation.state() == State::tls);
  StartupNegotiation within = negotiation;
  CHECK(within.feed(as_bytes(kGss)).action == Action::refuse);
  within = negotiation;
  CHECK(within.feed(as_bytes(kSsl)).action == Action::refuse);
  CHECK(negotiation.feed(as_bytes(startup_bytes())).action == Action::start);

  StartupNegotiation gss_first(EncryptionAnswer::tls);
  CHECK(gss_first.feed(as_bytes(kGss)).reply == "N");
  CHECK(gss_first.feed(as_bytes(kSsl)).action == Action::begin_tls);
}

TEST_CASE("an unknown major version is refused in PostgreSQL's words") {
  for (const auto& [major, minor] : {std::pair(2, 0), std::pair(4, 0), std::pair(1, 7), std::pair(0, 0)}) {
    StartupNegotiation negotiation;
    const auto step = negotiation.feed(
        as_bytes(build_startup(std::uint16_t(major), std::uint16_t(minor), {{"user", "a"}})));
    CHECK(step.action == Action::refuse);
    const ServerError error = error_in(step.reply);
    CHECK(error.severity == "FATAL");
    CHECK(error.sqlstate == "0A000");
    CHECK(error.message == "unsupported frontend protocol " + std::to_string(major) + "." +
                               std::to_string(minor) + ": server supports 3.0 to 3.2");
    CHECK(negotiation.refusal() == error.message);
  }
}

TEST_CASE("every minor version of 3 passes: the servers negotiate it") {
  for (const int minor : {0, 1, 2, 3, 9999}) {
    StartupNegotiation negotiation;
    CHECK(
        negotiation.feed(as_bytes(build_startup(3, std::uint16_t(minor), {{"user", "a"}, {"_pq_.new", "1"}})))
            .action == Action::start);
    CHECK(negotiation.startup().minor == minor);
  }
}

TEST_CASE("a startup packet without a user is refused with 28000") {
  for (const StartupParameters& parameters : {StartupParameters{}, {{"user", ""}}, {{"database", "d"}}}) {
    StartupNegotiation negotiation;
    const auto step = negotiation.feed(as_bytes(build_startup(3, 0, parameters)));
    CHECK(step.action == Action::refuse);
    CHECK(error_in(step.reply).sqlstate == "28000");
    CHECK(error_in(step.reply).message == "no PostgreSQL user name specified in startup packet");
  }
}

TEST_CASE("a cancel request is handed over, after a refused encryption too") {
  const Secret cancel = build_cancel(42, std::string(256, 'k'));
  for (const std::vector<std::string>& before : {std::vector<std::string>{}, {kSsl}, {kGss, kSsl}}) {
    StartupNegotiation negotiation;
    play(negotiation, before);
    const auto step = negotiation.feed(as_bytes(cancel.reveal()));
    CHECK(step.action == Action::cancel);
    CHECK(negotiation.state() == State::cancelling);
    CHECK(negotiation.cancel().pid == 42);
    CHECK(negotiation.cancel().key.reveal() == std::string(256, 'k'));
  }
}

TEST_CASE("garbage is closed without an answer, at every step") {
  for (const std::vector<std::string>& before : {std::vector<std::string>{}, {kSsl}, {kGss}, {kSsl, kGss}}) {
    StartupNegotiation negotiation;
    play(negotiation, before);
    const auto step = negotiation.feed(as_bytes("GET / HTTP/1.1\r\n\r\n"));
    CHECK(step.action == Action::refuse);
    CHECK(step.reply.empty());
    CHECK_FALSE(negotiation.refusal().empty());
  }
}

TEST_CASE("a negotiation cut at every boundary gives the same steps") {
  const std::vector<std::string> script = {kGss, kSsl, startup_bytes()};
  for (std::size_t cut_packet = 0; cut_packet < script.size(); ++cut_packet) {
    for (std::size_t cut = 0; cut < script[cut_packet].size(); ++cut) {
      StartupNegotiation negotiation;
      std::string replies;
      for (std::size_t i = 0; i < script.size(); ++i) {
        if (i == cut_packet) {
          const auto part = negotiation.feed(as_bytes(script[i]).first(cut));
          REQUIRE(part.action == Action::read_more);
          REQUIRE(part.consumed == 0);
        }
        const auto step = negotiation.feed(as_bytes(script[i]));
        REQUIRE(step.consumed == script[i].size());
        replies += step.reply;
      }
      REQUIRE(replies == "NN");
      REQUIRE(negotiation.state() == State::started);
    }
  }
}
