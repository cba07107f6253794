/// Words for scripted logins: the messages a server would send, and a SCRAM server that knows only a
/// verifier.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/crypto.h"
#include "common/base/secret.h"
#include "common/protocol/scram.h"

namespace pgtandem::test {

/// One message of a script: type and body.
struct Message {
  char type;
  std::string body;
};

inline std::string text(const Secret& secret) {
  return std::string(secret.reveal());
}

inline Message auth(std::uint32_t code, std::string_view data = {}) {
  ByteWriter out;
  out.u32(code).text(data);
  return {'R', out.take()};
}
inline Message auth_sasl(const std::vector<std::string>& mechanisms) {
  ByteWriter out;
  out.u32(10);
  for (const std::string& mechanism : mechanisms) out.c_string(mechanism);
  out.u8(0);
  return {'R', out.take()};
}
inline Message server_error(std::string_view sqlstate, std::string_view message) {
  ByteWriter out;
  out.text("S").c_string("FATAL").text("V").c_string("FATAL").text("C").c_string(sqlstate);
  out.text("M").c_string(message).u8(0);
  return {'E', out.take()};
}
inline Message parameter_status() {
  return {'S', std::string("TimeZone\0UTC\0", 13)};
}
inline Message backend_key(std::uint32_t pid, std::string_view key) {
  ByteWriter out;
  out.u32(pid).text(key);
  return {'K', out.take()};
}
inline Message ready_for_query(std::string_view status = "I") {
  return {'Z', std::string(status)};
}

/// The body of a SASLInitialResponse.
inline std::string sasl_initial(std::string_view mechanism, std::string_view data) {
  ByteWriter out;
  out.c_string(mechanism).u32(std::uint32_t(data.size())).text(data);
  return out.take();
}

/// The body of a complete message; checks the type and the length word.
inline std::string body_of(const Secret& message, char type) {
  ByteReader reader(as_bytes(message.reveal()));
  if (char(reader.u8()) != type || reader.u32() != reader.left() + 4) return "not one message of this type";
  return std::string(as_text(reader.rest()));
}

/// RFC 7677, section 3: user "user", password "pencil".
namespace rfc7677 {
inline constexpr std::string_view kPassword = "pencil";
inline constexpr std::string_view kClientNonce = "rOprNGfwEbeRWgbNEkqO";
inline constexpr std::string_view kClientFirst = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
inline constexpr std::string_view kServerFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
inline constexpr std::string_view kClientFinal =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+"
    "Ute9ytag9zjfMHgsqmmiz7AndVQ=";
inline constexpr std::string_view kServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
inline constexpr std::string_view kSaltBase64 = "W22ZaJ0SNY7soEsUEjb6gQ==";
}  // namespace rfc7677

inline std::string digest_text(const Sha256Digest& digest) {
  return std::string(as_text(digest));
}

/// As a server stores it: computed from the password here, so that it does not come out of the code under
/// test.
inline Secret make_verifier(std::string_view password, std::string_view salt_base64, unsigned iterations) {
  const std::string salt = *from_base64(salt_base64);
  const Sha256Digest salted = pbkdf2_sha256(password, as_bytes(salt), iterations);
  const Sha256Digest client_key = hmac_sha256(salted, as_bytes("Client Key"));
  const Sha256Digest server_key = hmac_sha256(salted, as_bytes("Server Key"));
  return Secret("SCRAM-SHA-256$" + std::to_string(iterations) + ":" + std::string(salt_base64) + "$" +
                to_base64(sha256(client_key)) + ":" + to_base64(server_key));
}
inline ScramKeys make_keys(std::string_view password, std::string_view salt_base64, unsigned iterations) {
  const std::string salt = *from_base64(salt_base64);
  const Sha256Digest salted = pbkdf2_sha256(password, as_bytes(salt), iterations);
  return {Secret(digest_text(hmac_sha256(salted, as_bytes("Client Key")))),
          Secret(digest_text(hmac_sha256(salted, as_bytes("Server Key")))), salt, iterations};
}

/// The server side of one exchange, as PostgreSQL does it from its stored verifier.
class ScramServer {
 public:
  explicit ScramServer(const Secret& verifier) : verifier_(*parse_scram_verifier(verifier)) {}

  std::string first(std::string_view client_first) {
    const ScramClientFirst parsed = *parse_scram_client_first(client_first);
    bare_ = parsed.bare;
    first_ = "r=" + std::string(parsed.nonce) + "SERVERNONCE,s=" + to_base64(as_bytes(verifier_.salt)) +
             ",i=" + std::to_string(verifier_.iterations);
    return first_;
  }
  /// server-final, or empty if the proof is wrong.
  std::string final(std::string_view client_final) {
    const ScramClientFinal parsed = *parse_scram_client_final(client_final);
    const std::string message = bare_ + "," + first_ + "," + std::string(parsed.without_proof);
    const Sha256Digest signature = hmac_sha256(as_bytes(verifier_.stored_key.reveal()), as_bytes(message));
    std::string client_key(parsed.proof.reveal());
    for (std::size_t i = 0; i < client_key.size(); ++i)
      client_key[i] = char(client_key[i] ^ char(signature[i]));
    if (digest_text(sha256(as_bytes(client_key))) != verifier_.stored_key.reveal()) return {};
    return "v=" + to_base64(hmac_sha256(as_bytes(verifier_.server_key.reveal()), as_bytes(message)));
  }

 private:
  ScramVerifier verifier_;
  std::string bare_;
  std::string first_;
};

}  // namespace pgtandem::test
