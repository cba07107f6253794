#include "common/protocol/password.h"

#include <catch2/catch.hpp>

#include "common/base/crypto.h"

using namespace pgtandem;

TEST_CASE("the md5 answer is the same from the stored hash and from the password") {
  const Secret stored("md5" + md5_hex("secretbob"));
  const std::string expected = "md5" + md5_hex(md5_hex("secretbob") + "salt");
  const auto from_stored = md5_answer_from_stored(stored, as_bytes("salt"));
  REQUIRE(from_stored.ok());
  CHECK(from_stored->reveal() == expected);
  CHECK(md5_answer_from_password(Secret("secret"), "bob", as_bytes("salt")).reveal() == expected);
}

TEST_CASE("what is no md5 hash is refused without being quoted") {
  const std::string digest = md5_hex("x");
  for (const std::string& stored :
       {std::string(), std::string("md5"), "md5" + digest.substr(1), "md5" + digest + "0", "MD5" + digest,
        "md5" + digest.substr(1) + "X", std::string("SCRAM-SHA-256$x")}) {
    const auto answer = md5_answer_from_stored(Secret(stored), as_bytes("salt"));
    REQUIRE_FALSE(answer.ok());
    CHECK(answer.error() == "the stored password of the role is no md5 hash");
  }
}
