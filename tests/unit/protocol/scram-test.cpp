#include "common/protocol/scram.h"

#include <catch2/catch.hpp>

#include "common/base/crypto.h"
#include "tests/unit/protocol/login-script.h"

using namespace pgtandem;
using namespace pgtandem::test;

namespace {

Secret rfc_verifier() {
  return make_verifier(rfc7677::kPassword, rfc7677::kSaltBase64, 4096);
}
ScramKeys rfc_keys() {
  return make_keys(rfc7677::kPassword, rfc7677::kSaltBase64, 4096);
}
ScramClient::Options rfc_options() {
  return {std::string(rfc7677::kClientNonce), "user"};
}

ScramTranscript rfc_transcript() {
  ScramTranscript transcript;
  REQUIRE(transcript.on_client_first(rfc7677::kClientFirst).ok());
  REQUIRE(transcript.on_server_first(rfc7677::kServerFirst).ok());
  REQUIRE(transcript.on_client_final(rfc7677::kClientFinal).ok());
  return transcript;
}

/// Whether a client that is told `server_first` and `server_final` believes the server in the end.
bool believes(ScramClient client, std::string_view server_first, std::string_view server_final) {
  (void)client.client_first();
  return client.client_final(server_first).ok() && client.verify(server_final).ok();
}

}  // namespace

TEST_CASE("the example of RFC 7677 comes out of the password") {
  ScramClient client(Secret(rfc7677::kPassword), rfc_options());
  CHECK(client.client_first() == rfc7677::kClientFirst);
  const auto final = client.client_final(rfc7677::kServerFirst);
  REQUIRE(final.ok());
  CHECK(final->reveal() == rfc7677::kClientFinal);
  CHECK(client.verify(rfc7677::kServerFinal).ok());
}

TEST_CASE("the client key overheard in the example of RFC 7677 logs in again, without the password") {
  const auto keys = rfc_transcript().recover(rfc_verifier());
  REQUIRE(keys.ok());
  CHECK(keys->client_key.reveal() == rfc_keys().client_key.reveal());
  CHECK(keys->server_key.reveal() == rfc_keys().server_key.reveal());

  ScramClient client(*keys, rfc_options());
  CHECK(client.client_first() == rfc7677::kClientFirst);
  CHECK(client.client_final(rfc7677::kServerFirst)->reveal() == rfc7677::kClientFinal);
  CHECK(client.verify(rfc7677::kServerFinal).ok());
}

TEST_CASE("a login by key satisfies a server that stores the same verifier, with fresh nonces each time") {
  std::string previous;
  for (int i = 0; i < 2; ++i) {
    ScramServer server(rfc_verifier());
    ScramClient client(rfc_keys());
    const std::string first = client.client_first();
    CHECK(first != previous);
    CHECK(first.starts_with("n,,n=,r="));
    previous = first;
    const auto final = client.client_final(server.first(first));
    REQUIRE(final.ok());
    const std::string server_final = server.final(final->reveal());
    REQUIRE_FALSE(server_final.empty());
    CHECK(client.verify(server_final).ok());
  }
}

TEST_CASE("a password that is not ASCII is used as it is") {
  const std::string password = "\xc3\xa9\xc2\xa0\xff";
  ScramServer server(make_verifier(password, "AAAA", 1));
  ScramClient client{Secret(password)};
  CHECK_FALSE(server.final(client.client_final(server.first(client.client_first()))->reveal()).empty());
}

TEST_CASE("a verifier is parsed, and every cut and every damaged place is refused or gives other keys") {
  const std::string stored = text(rfc_verifier());
  const auto verifier = parse_scram_verifier(Secret(stored));
  REQUIRE(verifier.ok());
  CHECK(verifier->iterations == 4096);
  CHECK(to_base64(as_bytes(verifier->salt)) == rfc7677::kSaltBase64);
  CHECK(verifier->stored_key.reveal() == digest_text(sha256(as_bytes(rfc_keys().client_key.reveal()))));
  for (std::size_t cut = 0; cut < stored.size(); ++cut) {
    CHECK_FALSE(parse_scram_verifier(Secret(std::string_view(stored).substr(0, cut))).ok());
  }
  CHECK_FALSE(parse_scram_verifier(Secret(stored + "A")).ok());
  CHECK_FALSE(parse_scram_verifier(Secret("md5" + std::string(32, '0'))).ok());
  CHECK_FALSE(
      parse_scram_verifier(Secret("SCRAM-SHA-256$4096:$" + stored.substr(stored.rfind('$') + 1))).ok());
  // Damage before the server key, which the recovery of the client key does not use.
  const std::size_t server_key = stored.rfind(':');
  for (std::size_t i = 0; i < server_key; ++i) {
    std::string damaged = stored;
    damaged[i] = char(damaged[i] ^ 0x40);
    INFO(i);
    CHECK_FALSE(rfc_transcript().recover(Secret(damaged)).ok());
  }
}

TEST_CASE("iteration counts are bounded, wherever they come from") {
  const auto verifier = [](const std::string& iterations) {
    const std::string stored = text(rfc_verifier());
    return parse_scram_verifier(Secret("SCRAM-SHA-256$" + iterations + stored.substr(stored.find(':'))));
  };
  const auto server_first = [](const std::string& iterations) {
    return parse_scram_server_first("r=n,s=AAAA,i=" + iterations);
  };
  CHECK(verifier("10000000").ok());
  CHECK(server_first("10000000").ok());
  for (const std::string bad :
       {"10000001", "4294967297", "99999999999999999999", "0", "-1", "", "1x", " 1"}) {
    INFO(bad);
    CHECK_FALSE(verifier(bad).ok());
    CHECK_FALSE(server_first(bad).ok());
  }
  CHECK_THAT(server_first("10000001").error(), Catch::Contains("scram_iterations"));
}

TEST_CASE("a verifier that the master did not use gives no key, and the right one then does") {
  const ScramTranscript transcript = rfc_transcript();
  CHECK_FALSE(transcript.recover(make_verifier("pencil2", rfc7677::kSaltBase64, 4096)).ok());
  CHECK_FALSE(transcript.recover(make_verifier("pencil", "AAAAAAAAAAAAAAAAAAAAAA==", 4096)).ok());
  const auto other_count = transcript.recover(make_verifier("pencil", rfc7677::kSaltBase64, 4095));
  REQUIRE_FALSE(other_count.ok());
  CHECK_THAT(other_count.error(), Catch::Contains("read it again"));
  CHECK_FALSE(transcript.recover(Secret()).ok());
  CHECK(transcript.recover(rfc_verifier()).ok());
}

TEST_CASE(
    "a transcript with channel binding gives the key as well: the binding is only part of what is signed") {
  // As a frontend does it through a relay that presents the master's certificate.
  const ScramKeys keys = rfc_keys();
  const std::string bare = "n=,r=abc";
  const std::string server_first = "r=abcdef,s=" + std::string(rfc7677::kSaltBase64) + ",i=4096";
  const std::string without_proof = "c=" + to_base64(as_bytes("p=tls-server-end-point,,HASH")) + ",r=abcdef";
  const Sha256Digest signature = hmac_sha256(sha256(as_bytes(keys.client_key.reveal())),
                                             as_bytes(bare + "," + server_first + "," + without_proof));
  std::string proof = text(keys.client_key);
  for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = char(proof[i] ^ char(signature[i]));

  ScramTranscript transcript;
  REQUIRE(transcript.on_client_first("p=tls-server-end-point,," + bare).ok());
  REQUIRE(transcript.on_server_first(server_first).ok());
  REQUIRE(transcript.on_client_final(without_proof + ",p=" + to_base64(as_bytes(proof))).ok());
  CHECK(transcript.recover(rfc_verifier())->client_key.reveal() == keys.client_key.reveal());
}

TEST_CASE("client-first is parsed with its binding and name, and refused where malformed") {
  CHECK_FALSE(parse_scram_client_first("n,,n=user,r=abc")->channel_binding);
  CHECK_FALSE(parse_scram_client_first("y,,n=,r=abc")->channel_binding);
  const auto bound = parse_scram_client_first("p=tls-server-end-point,a=x,n=,r=abc,ext=1");
  REQUIRE(bound.ok());
  CHECK(bound->channel_binding);
  CHECK(bound->bare == "n=,r=abc,ext=1");
  CHECK(bound->nonce == "abc");
  for (const std::string_view bad :
       {"", "n", "n,", "n,,", "n,,n=", "n,,n=,r=", "n,,r=abc", "x,,n=,r=abc", "p=,,n=,r=a", "n,b=x,n=,r=abc",
        "n,,m=1,n=,r=abc", "n,,n=,r=a b", "n,,n=,r=\x7f"}) {
    INFO(bad);
    CHECK_FALSE(parse_scram_client_first(bad).ok());
  }
}

TEST_CASE(
    "server-first and client-final are refused where malformed, and where cut at any length that loses a "
    "part") {
  for (const std::string_view bad : {"", "r=a", "r=a,s=AAAA", "r=,s=AAAA,i=1", "r=a,s=,i=1", "r=a,s=AAA,i=1",
                                     "s=AAAA,r=a,i=1", "m=x,r=a,s=AAAA,i=1"}) {
    INFO(bad);
    CHECK_FALSE(parse_scram_server_first(bad).ok());
  }
  for (std::size_t cut = 0; cut < rfc7677::kClientFinal.size(); ++cut) {
    CHECK_FALSE(parse_scram_client_final(rfc7677::kClientFinal.substr(0, cut)).ok());
  }
  CHECK_FALSE(parse_scram_client_final("c=biws,r=a,p=AAAA").ok());
  CHECK_FALSE(parse_scram_client_final("r=a,c=biws,p=" + std::string(43, 'A') + "=").ok());
}

TEST_CASE("a transcript out of order or with foreign nonces is not complete") {
  ScramTranscript transcript;
  CHECK_FALSE(transcript.on_client_final(rfc7677::kClientFinal).ok());
  CHECK(transcript.on_client_first("n,,n=,r=other").ok());
  CHECK_FALSE(transcript.on_server_first(rfc7677::kServerFirst).ok());
  CHECK_FALSE(transcript.on_client_final(rfc7677::kClientFinal).ok());
  CHECK_FALSE(transcript.complete());
  CHECK_FALSE(transcript.recover(rfc_verifier()).ok());
}

TEST_CASE("a standby with another verifier is refused with a text that says what to copy") {
  for (const auto& [salt, iterations] : {std::pair(std::string("AAAAAAAAAAAAAAAAAAAAAA=="), 4096U),
                                         std::pair(std::string(rfc7677::kSaltBase64), 4097U)}) {
    ScramServer server(make_verifier(rfc7677::kPassword, salt, iterations));
    ScramClient client(rfc_keys());
    const auto final = client.client_final(server.first(client.client_first()));
    REQUIRE_FALSE(final.ok());
    CHECK_THAT(final.error(), Catch::Contains("copy the role's password verifier"));
  }
}

TEST_CASE("a hostile standby is not believed: no nonce of its own, a foreign nonce, a wrong signature") {
  const std::string nonce(rfc7677::kClientNonce);
  const std::string rest = ",s=" + std::string(rfc7677::kSaltBase64) + ",i=4096";
  ScramClient client(rfc_keys(), rfc_options());
  (void)client.client_first();
  ScramClient reflected = client;
  CHECK_FALSE(reflected.client_final("r=" + nonce + rest).ok());
  ScramClient foreign = client;
  CHECK_FALSE(foreign.client_final("r=X" + nonce + rest).ok());
  ScramClient wrong = client;
  REQUIRE(wrong.client_final(rfc7677::kServerFirst).ok());
  const auto verified = wrong.verify("v=" + std::string(43, 'A') + "=");
  REQUIRE_FALSE(verified.ok());
  CHECK_THAT(verified.error(), Catch::Contains("wrong server signature"));
  CHECK_FALSE(wrong.verify(rfc7677::kServerFinal).ok());
}

TEST_CASE("no damaged byte of what the standby says makes it believed") {
  CHECK(believes(ScramClient(rfc_keys(), rfc_options()), rfc7677::kServerFirst, rfc7677::kServerFinal));
  for (std::size_t i = 0; i < rfc7677::kServerFirst.size(); ++i) {
    std::string damaged(rfc7677::kServerFirst);
    damaged[i] = char(damaged[i] ^ 1);
    INFO(damaged);
    CHECK_FALSE(believes(ScramClient(rfc_keys(), rfc_options()), damaged, rfc7677::kServerFinal));
  }
  // The last digit of 32 bytes in base64 holds two bits that mean nothing.
  for (std::size_t i = 0; i < rfc7677::kServerFinal.size(); ++i) {
    std::string damaged(rfc7677::kServerFinal);
    damaged[i] = char(damaged[i] ^ 4);
    INFO(damaged);
    CHECK_FALSE(believes(ScramClient(rfc_keys(), rfc_options()), rfc7677::kServerFirst, damaged));
    CHECK_FALSE(
        believes(ScramClient(rfc_keys(), rfc_options()), rfc7677::kServerFirst, damaged.substr(0, i)));
  }
  CHECK_FALSE(believes(ScramClient(rfc_keys(), rfc_options()), rfc7677::kServerFirst, "e=invalid-proof"));
}

TEST_CASE("the steps of a client are refused out of order") {
  ScramClient client(rfc_keys(), rfc_options());
  CHECK_FALSE(client.client_final(rfc7677::kServerFirst).ok());
  CHECK_FALSE(client.verify(rfc7677::kServerFinal).ok());
  (void)client.client_first();
  CHECK_FALSE(client.verify(rfc7677::kServerFinal).ok());
  CHECK(client.client_final(rfc7677::kServerFirst).ok());
  CHECK_FALSE(client.client_final(rfc7677::kServerFirst).ok());
}
