/// SCRAM-SHA-256 from three sides (RFC 5802, RFC 7677; PostgreSQL manual, "SASL Authentication"): the relay
/// overhears it between frontend and master, recovers the client key with the role's verifier, and is itself
/// the client towards the standby. Roles are copied with their verifiers, so that key is good on both servers
/// and no password is needed.
///
///   verifier     = SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey           (pg_authid.rolpassword;
///   base64) client-first = (n | y | p=binding),[a=name],BARE                           BARE = n=user,r=nonce
///   server-first = r=nonce,s=salt,i=iterations
///   client-final = WITHOUT,p=proof                                             WITHOUT = c=binding,r=nonce
///   server-final = v=signature | e=error
///   AuthMessage  = BARE , server-first , WITHOUT
///   proof = ClientKey XOR HMAC(StoredKey, AuthMessage)    StoredKey = SHA-256(ClientKey)
///   signature = HMAC(ServerKey, AuthMessage)
///
/// Pure; one object per login.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/protocol/credential.h"

namespace pgtandem {

/// More iterations than this are refused: a server could otherwise keep a thread busy for as long as it
/// likes. This many take some seconds where a password has to be hashed; PostgreSQL's default is 4096.
inline constexpr std::uint32_t kMaxScramIterations = 10'000'000;

struct ScramVerifier {
  std::string salt;
  std::uint32_t iterations = 0;
  Secret stored_key;
  Secret server_key;
};

bool is_scram_verifier(std::string_view stored);
/// Errors never quote the verifier.
Result<ScramVerifier> parse_scram_verifier(const Secret& stored);

/// The views point into the message that was parsed.
struct ScramClientFirst {
  bool channel_binding = false;
  std::string_view bare;
  std::string_view nonce;
};
struct ScramServerFirst {
  std::string_view nonce;
  std::string salt;
  std::uint32_t iterations = 0;
};
struct ScramClientFinal {
  std::string_view without_proof;
  std::string_view nonce;
  Secret proof;
};
Result<ScramClientFirst> parse_scram_client_first(std::string_view message);
Result<ScramServerFirst> parse_scram_server_first(std::string_view message);
Result<ScramClientFinal> parse_scram_client_final(std::string_view message);

/// What was overheard of one exchange, in the order in which it was said.
class ScramTranscript {
 public:
  Result<void> on_client_first(std::string_view message);
  Result<void> on_server_first(std::string_view message);
  Result<void> on_client_final(std::string_view message);
  bool complete() const { return !proof_.empty(); }

  /// The keys, with the role's stored verifier. Requires complete(). Fails, and may be tried again with a
  /// verifier that was read afresh, where this one is not what the master used: the role's password has
  /// changed since.
  Result<ScramKeys> recover(const Secret& stored) const;

 private:
  std::string client_first_bare_;
  std::string client_nonce_;
  std::string server_first_;
  std::string server_nonce_;
  std::string salt_;
  std::uint32_t iterations_ = 0;
  std::string auth_message_;
  Secret proof_;
};

/// The client of one exchange with the standby. Call client_first, client_final and verify in this order.
class ScramClient {
 public:
  struct Options {
    std::string nonce = {};  ///< a fresh random one if empty; given by tests alone
    std::string user = {};   ///< PostgreSQL ignores it and takes the startup packet's; given by tests alone
  };

  /// By the recovered key; the standby must hold the same verifier.
  explicit ScramClient(ScramKeys keys) : ScramClient(std::move(keys), Options()) {}
  ScramClient(ScramKeys keys, const Options& options);
  /// By the password, for a master that asked for it in clear. SASLprep leaves an ASCII password as it is;
  /// any other is used as it is here, as PostgreSQL does with one that SASLprep refuses. So a password that
  /// SASLprep would change (a non-ASCII space, a soft hyphen, characters not in form NFKC) fails on the
  /// standby.
  explicit ScramClient(Secret password) : ScramClient(std::move(password), Options()) {}
  ScramClient(Secret password, const Options& options);

  std::string client_first();
  /// The answer to server-first, with the proof. Hashes a password `iterations` times, a key not at all.
  Result<Secret> client_final(std::string_view server_first);
  /// Whether the standby knows the server key. Nothing may be sent to it, or believed, where this fails.
  Result<void> verify(std::string_view server_final);

 private:
  enum class State { fresh, sent_first, sent_final, verified, failed };

  Result<void> derive_keys(const ScramServerFirst& first);

  State state_ = State::fresh;
  bool by_password_ = false;
  Secret password_;
  ScramKeys keys_;
  std::string nonce_;
  std::string client_first_bare_;
  std::string auth_message_;
};

}  // namespace pgtandem
