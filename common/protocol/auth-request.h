/// What a server asks of a frontend during login (PostgreSQL manual, "Message Formats": Authentication...).
///
///   Authentication = 'R' length code:int32 data
///   MD5Password    = code 5, salt:byte{4}
///   SASL           = code 10, (mechanism NUL)+ NUL
///   SASLContinue, SASLFinal = code 11, 12, the mechanism's own data
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace pgtandem {

inline constexpr std::string_view kScramSha256 = "SCRAM-SHA-256";
inline constexpr std::string_view kScramSha256Plus = "SCRAM-SHA-256-PLUS";

/// How a server makes sure who is there; `trust` stands for all methods that ask the frontend for nothing.
enum class AuthMethod {
  unknown,
  trust,  ///< trust, cert, peer, ident: no question was asked
  password,
  md5,
  scram_sha_256,
  scram_sha_256_plus,
  gss,
  sspi,
  other_sasl,  ///< OAUTHBEARER and what may come
  other,
};
/// As pg_hba.conf and the manual call it.
std::string_view to_string(AuthMethod method);

/// The codes that matter here; others are passed on and not understood.
enum class AuthCode : std::uint32_t {
  ok = 0,
  kerberos_v5 = 2,
  cleartext_password = 3,
  md5_password = 5,
  scm_credential = 6,
  gss = 7,
  gss_continue = 8,
  sspi = 9,
  sasl = 10,
  sasl_continue = 11,
  sasl_final = 12,
};

struct AuthRequest {
  AuthCode code = AuthCode::ok;
  std::array<std::byte, 4> md5_salt{};       ///< of md5_password
  std::vector<std::string_view> mechanisms;  ///< of sasl; into the body that was parsed
  std::string_view data;  ///< of sasl_continue and sasl_final; into the body that was parsed

  bool offers(std::string_view mechanism) const;
};

/// Parses the body (without type and length) of an 'R' message.
Result<AuthRequest> parse_auth_request(ByteSpan body);

/// The body of AuthenticationSASL without SCRAM-SHA-256-PLUS, for a frontend whose own connection has no TLS:
/// libpq takes the offer of PLUS on such a connection for an attack. Unchanged where the body is anything
/// else, where PLUS is not offered, or where nothing would be left to choose. Never for a frontend with TLS:
/// that would be the downgrade that PLUS is there to show.
std::string without_channel_binding(ByteSpan body);

}  // namespace pgtandem
