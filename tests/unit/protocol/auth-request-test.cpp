#include "common/protocol/auth-request.h"

#include <catch2/catch.hpp>

#include "common/protocol/backend-key.h"
#include "tests/unit/protocol/login-script.h"

using namespace pgtandem;
using namespace pgtandem::test;

TEST_CASE("an md5 request carries its salt of four bytes and nothing else") {
  const auto request = parse_auth_request(as_bytes(auth(5, "salt").body));
  REQUIRE(request.ok());
  CHECK(as_text(request->md5_salt) == "salt");
  for (const std::string_view salt : {"", "sal", "salts"}) {
    CHECK_FALSE(parse_auth_request(as_bytes(auth(5, salt).body)).ok());
  }
}

TEST_CASE("a SASL request lists its mechanisms, and a list cut at any length is refused") {
  const Message message = auth_sasl({"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"});
  const auto request = parse_auth_request(as_bytes(message.body));
  REQUIRE(request.ok());
  CHECK(request->mechanisms == std::vector<std::string_view>{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"});
  CHECK(request->offers(kScramSha256));
  CHECK_FALSE(request->offers("SCRAM-SHA"));
  for (std::size_t cut = 0; cut < message.body.size(); ++cut) {
    CHECK_FALSE(parse_auth_request(as_bytes(message.body).first(cut)).ok());
  }
  CHECK_FALSE(parse_auth_request(as_bytes(auth_sasl({}).body)).ok());
}

TEST_CASE("channel binding is taken out of an offer, and nothing else is changed") {
  const auto stripped = [](const Message& message) {
    return without_channel_binding(as_bytes(message.body));
  };
  CHECK(stripped(auth_sasl({"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"})) == auth_sasl({"SCRAM-SHA-256"}).body);
  CHECK(stripped(auth_sasl({"OAUTHBEARER", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"})) ==
        auth_sasl({"OAUTHBEARER", "SCRAM-SHA-256"}).body);
  for (const Message& untouched : {auth_sasl({"SCRAM-SHA-256"}), auth_sasl({"SCRAM-SHA-256-PLUS"}),
                                   auth_sasl({"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS"}), auth(0),
                                   auth(5, "salt"), auth(11, "SCRAM-SHA-256-PLUS"), Message{'R', "x"}}) {
    CHECK(stripped(untouched) == untouched.body);
  }
}

TEST_CASE("a backend key of 4 to 256 bytes is taken, any other is refused") {
  for (const std::size_t size : {4, 32, 256}) {
    const auto key = parse_backend_key(as_bytes(backend_key(77, std::string(size, 'k')).body));
    REQUIRE(key.ok());
    CHECK(key->pid == 77);
    CHECK(key->key.reveal() == std::string(size, 'k'));
  }
  for (const std::size_t size : {0, 3, 257}) {
    CHECK_FALSE(parse_backend_key(as_bytes(backend_key(77, std::string(size, 'k')).body)).ok());
  }
  CHECK_FALSE(parse_backend_key(as_bytes("abc")).ok());
}
