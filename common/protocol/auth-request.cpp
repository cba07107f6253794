#include "common/protocol/auth-request.h"

#include <algorithm>

namespace pgtandem {

std::string_view to_string(AuthMethod method) {
  switch (method) {
    case AuthMethod::unknown:
      return "an unknown method";
    case AuthMethod::trust:
      return "trust (or cert, peer, ident)";
    case AuthMethod::password:
      return "password";
    case AuthMethod::md5:
      return "md5";
    case AuthMethod::scram_sha_256:
      return "scram-sha-256";
    case AuthMethod::scram_sha_256_plus:
      return "scram-sha-256 with channel binding";
    case AuthMethod::gss:
      return "gss";
    case AuthMethod::sspi:
      return "sspi";
    case AuthMethod::other_sasl:
      return "a SASL mechanism other than SCRAM-SHA-256";
    case AuthMethod::other:
      return "a method that the relay does not know";
  }
  return "an unknown method";
}

bool AuthRequest::offers(std::string_view mechanism) const {
  return std::find(mechanisms.begin(), mechanisms.end(), mechanism) != mechanisms.end();
}

Result<AuthRequest> parse_auth_request(ByteSpan body) {
  ByteReader reader(body);
  AuthRequest request;
  request.code = AuthCode(reader.u32());
  if (reader.failed()) return Error{"an authentication request of the server has no code"};
  switch (request.code) {
    case AuthCode::md5_password: {
      const ByteSpan salt = reader.take(request.md5_salt.size());
      if (reader.failed() || reader.left() != 0)
        return Error{"the server's md5 request has no salt of 4 bytes"};
      std::copy(salt.begin(), salt.end(), request.md5_salt.begin());
      break;
    }
    case AuthCode::sasl:
      for (;;) {
        const std::string_view mechanism = reader.c_string();
        if (reader.failed()) return Error{"the server's list of SASL mechanisms has no end"};
        if (mechanism.empty()) break;
        request.mechanisms.push_back(mechanism);
      }
      if (request.mechanisms.empty()) return Error{"the server's list of SASL mechanisms is empty"};
      break;
    case AuthCode::sasl_continue:
    case AuthCode::sasl_final:
      request.data = as_text(reader.rest());
      break;
    default:
      break;
  }
  return request;
}

std::string without_channel_binding(ByteSpan body) {
  const Result<AuthRequest> request = parse_auth_request(body);
  if (!request || request->code != AuthCode::sasl) return std::string(as_text(body));
  ByteWriter out;
  out.u32(std::uint32_t(AuthCode::sasl));
  const std::size_t empty_size = out.str().size();
  for (const std::string_view mechanism : request->mechanisms) {
    if (mechanism != kScramSha256Plus) out.c_string(mechanism);
  }
  if (out.str().size() == empty_size) return std::string(as_text(body));
  return out.u8(0).take();
}

}  // namespace pgtandem
