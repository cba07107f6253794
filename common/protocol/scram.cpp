#include "common/protocol/scram.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/base/crypto.h"

namespace pgtandem {
namespace {

constexpr std::size_t kKeySize = 32;
constexpr std::size_t kNonceBytes = 18;  // as PostgreSQL: 24 characters of base64
constexpr std::string_view kVerifierPrefix = "SCRAM-SHA-256$";
constexpr std::string_view kNoBinding = "biws";  // base64 of "n,,"

Secret take_digest(Sha256Digest digest) {
  Secret secret{as_text(digest)};
  clear_memory(digest.data(), digest.size());
  return secret;
}

Secret hmac(const Secret& key, std::string_view text) {
  return take_digest(hmac_sha256(as_bytes(key.reveal()), as_bytes(text)));
}

/// As long as `a`; the part of it that `b` covers is changed.
Secret exclusive_or(std::string_view a, std::string_view b) {
  std::string out(a);
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) out[i] = char(a[i] ^ b[i]);
  return Secret::take(out);
}

bool equal(const Secret& a, const Secret& b) {
  return equal_constant_time(as_bytes(a.reveal()), as_bytes(b.reveal()));
}

/// A key, proof or signature: base64 of 32 bytes.
Result<Secret> decode_key(std::string_view base64) {
  Result<std::string> decoded = from_base64(base64);
  if (!decoded) return Error{decoded.error()};
  Secret key = Secret::take(*decoded);
  if (key.reveal().size() != kKeySize) return Error{"not a key of 32 bytes"};
  return key;
}

Result<std::uint32_t> parse_iterations(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) {
    return Error{"the SCRAM iteration count is no positive number"};
  }
  if (value > kMaxScramIterations) {
    return Error{
        "the SCRAM iteration count is above 10000000, which the relay refuses: set scram_iterations lower on "
        "the server and set the role's password anew"};
  }
  return value;
}

/// Reads the attributes of a message one by one: `x=value` up to the next comma.
class Attributes {
 public:
  explicit Attributes(std::string_view text) : rest_(text) {}

  /// The value of the next attribute, which must be `name`; nothing, for good, if it is not.
  std::string_view next(char name) {
    if (failed_ || rest_.size() < 2 || rest_[0] != name || rest_[1] != '=') {
      failed_ = true;
      return {};
    }
    const std::size_t end = std::min(rest_.find(','), rest_.size());
    const std::string_view value = rest_.substr(2, end - 2);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return value;
  }
  bool failed() const { return failed_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

bool is_nonce(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c < '!' || c > '~' || c == ',') return false;
  }
  return true;
}

std::string auth_message(std::string_view client_first_bare, std::string_view server_first,
                         std::string_view without_proof) {
  std::string out;
  out.reserve(client_first_bare.size() + server_first.size() + without_proof.size() + 2);
  return out.append(client_first_bare).append(",").append(server_first).append(",").append(without_proof);
}

}  // namespace

bool is_scram_verifier(std::string_view stored) {
  return stored.starts_with(kVerifierPrefix);
}

Result<ScramVerifier> parse_scram_verifier(const Secret& stored) {
  const Error malformed{"the stored password of the role is no SCRAM-SHA-256 verifier"};
  std::string_view text = stored.reveal();
  if (!is_scram_verifier(text)) return malformed;
  text.remove_prefix(kVerifierPrefix.size());
  const std::size_t keys = text.find('$');
  const std::size_t salt = text.find(':');
  if (keys == std::string_view::npos || salt > keys) return malformed;
  const std::size_t server_key = text.find(':', keys);
  if (server_key == std::string_view::npos) return malformed;

  const Result<std::uint32_t> iterations = parse_iterations(text.substr(0, salt));
  if (!iterations) return Error{iterations.error()};
  Result<std::string> decoded_salt = from_base64(text.substr(salt + 1, keys - salt - 1));
  Result<Secret> decoded_stored = decode_key(text.substr(keys + 1, server_key - keys - 1));
  Result<Secret> decoded_server = decode_key(text.substr(server_key + 1));
  if (!decoded_salt || decoded_salt->empty() || !decoded_stored || !decoded_server) return malformed;
  return ScramVerifier{std::move(*decoded_salt), *iterations, std::move(*decoded_stored),
                       std::move(*decoded_server)};
}

Result<ScramClientFirst> parse_scram_client_first(std::string_view message) {
  const Error malformed{"malformed SCRAM message of the client (client-first)"};
  const std::size_t binding_end = message.find(',');
  if (binding_end == std::string_view::npos) return malformed;
  const std::string_view binding = message.substr(0, binding_end);
  const std::size_t name_end = message.find(',', binding_end + 1);
  if (name_end == std::string_view::npos) return malformed;
  const std::string_view name = message.substr(binding_end + 1, name_end - binding_end - 1);
  const bool bound = binding.size() > 2 && binding.starts_with("p=");
  if (!(bound || binding == "n" || binding == "y") || !(name.empty() || name.starts_with("a=")))
    return malformed;

  ScramClientFirst first{bound, message.substr(name_end + 1), {}};
  Attributes attributes(first.bare);
  attributes.next('n');
  first.nonce = attributes.next('r');
  if (attributes.failed() || !is_nonce(first.nonce)) return malformed;
  return first;
}

Result<ScramServerFirst> parse_scram_server_first(std::string_view message) {
  const Error malformed{"malformed SCRAM message of the server (server-first)"};
  Attributes attributes(message);
  ScramServerFirst first;
  first.nonce = attributes.next('r');
  Result<std::string> salt = from_base64(attributes.next('s'));
  const std::string_view iterations_text = attributes.next('i');
  if (attributes.failed() || !is_nonce(first.nonce) || !salt || salt->empty()) return malformed;
  const Result<std::uint32_t> iterations = parse_iterations(iterations_text);
  if (!iterations) return Error{iterations.error()};
  first.salt = std::move(*salt);
  first.iterations = *iterations;
  return first;
}

Result<ScramClientFinal> parse_scram_client_final(std::string_view message) {
  const Error malformed{"malformed SCRAM message of the client (client-final)"};
  const std::size_t proof = message.rfind(",p=");
  if (proof == std::string_view::npos) return malformed;
  ScramClientFinal final{message.substr(0, proof), {}, {}};
  Attributes attributes(final.without_proof);
  attributes.next('c');
  final.nonce = attributes.next('r');
  Result<Secret> decoded = decode_key(message.substr(proof + 3));
  if (attributes.failed() || !is_nonce(final.nonce) || !decoded) return malformed;
  final.proof = std::move(*decoded);
  return final;
}

Result<void> ScramTranscript::on_client_first(std::string_view message) {
  const Result<ScramClientFirst> first = parse_scram_client_first(message);
  if (!first) return Error{first.error()};
  client_first_bare_ = first->bare;
  client_nonce_ = first->nonce;
  return {};
}

Result<void> ScramTranscript::on_server_first(std::string_view message) {
  Result<ScramServerFirst> first = parse_scram_server_first(message);
  if (!first) return Error{first.error()};
  if (!first->nonce.starts_with(client_nonce_))
    return Error{"the server's SCRAM nonce does not begin with the client's"};
  server_first_ = message;
  server_nonce_ = first->nonce;
  salt_ = std::move(first->salt);
  iterations_ = first->iterations;
  return {};
}

Result<void> ScramTranscript::on_client_final(std::string_view message) {
  Result<ScramClientFinal> final = parse_scram_client_final(message);
  if (!final) return Error{final.error()};
  if (server_nonce_.empty() || final->nonce != server_nonce_) {
    return Error{"the client's last SCRAM message does not name the server's nonce"};
  }
  auth_message_ = auth_message(client_first_bare_, server_first_, final->without_proof);
  proof_ = std::move(final->proof);
  return {};
}

Result<ScramKeys> ScramTranscript::recover(const Secret& stored) const {
  Result<ScramVerifier> verifier = parse_scram_verifier(stored);
  if (!verifier) return Error{verifier.error()};
  if (!complete()) return Error{"the SCRAM exchange with the master was not complete"};
  const Error stale{
      "the stored SCRAM verifier of the role is not the one that the master used: the role's password "
      "was changed in between; read it again"};
  if (verifier->salt != salt_ || verifier->iterations != iterations_) return stale;
  Secret client_key = exclusive_or(proof_.reveal(), hmac(verifier->stored_key, auth_message_).reveal());
  if (!equal(take_digest(sha256(as_bytes(client_key.reveal()))), verifier->stored_key)) return stale;
  return ScramKeys{std::move(client_key), std::move(verifier->server_key), salt_, iterations_};
}

ScramClient::ScramClient(ScramKeys keys, const Options& options)
    : keys_(std::move(keys)),
      nonce_(options.nonce.empty() ? to_base64(as_bytes(random_bytes(kNonceBytes))) : options.nonce),
      client_first_bare_("n=" + options.user + ",r=" + nonce_) {}

ScramClient::ScramClient(Secret password, const Options& options) : ScramClient(ScramKeys(), options) {
  by_password_ = true;
  password_ = std::move(password);
}

std::string ScramClient::client_first() {
  state_ = State::sent_first;
  return "n,," + client_first_bare_;
}

Result<void> ScramClient::derive_keys(const ScramServerFirst& first) {
  if (!by_password_) {
    if (first.salt == keys_.salt && first.iterations == keys_.iterations) return {};
    return Error{
        "the standby holds another SCRAM verifier for the role than the master (salt or iteration count "
        "differ): copy the role's password verifier (rolpassword) from the master to the standby"};
  }
  const Secret salted =
      take_digest(pbkdf2_sha256(password_.reveal(), as_bytes(first.salt), first.iterations));
  keys_.client_key = hmac(salted, "Client Key");
  keys_.server_key = hmac(salted, "Server Key");
  password_.clear();
  return {};
}

Result<Secret> ScramClient::client_final(std::string_view server_first) {
  if (state_ != State::sent_first)
    return Error{"the standby sent a SCRAM challenge that nothing had asked for"};
  state_ = State::failed;
  const Result<ScramServerFirst> first = parse_scram_server_first(server_first);
  if (!first) return Error{"the standby: " + first.error()};
  if (!first->nonce.starts_with(nonce_) || first->nonce.size() == nonce_.size()) {
    return Error{"the standby's SCRAM nonce does not continue the relay's: it is no honest server"};
  }
  if (const Result<void> derived = derive_keys(*first); !derived) return Error{derived.error()};

  std::string message = "c=" + std::string(kNoBinding) + ",r=" + std::string(first->nonce);
  auth_message_ = auth_message(client_first_bare_, server_first, message);
  const Secret stored_key = take_digest(sha256(as_bytes(keys_.client_key.reveal())));
  const Secret proof = exclusive_or(keys_.client_key.reveal(), hmac(stored_key, auth_message_).reveal());
  std::string encoded = to_base64(as_bytes(proof.reveal()));
  message.reserve(message.size() + 3 + encoded.size());
  message.append(",p=").append(encoded);
  clear_memory(encoded.data(), encoded.size());
  keys_.client_key.clear();
  state_ = State::sent_final;
  return Secret::take(message);
}

Result<void> ScramClient::verify(std::string_view server_final) {
  if (state_ != State::sent_final)
    return Error{"the standby sent a SCRAM signature that nothing had asked for"};
  state_ = State::failed;
  if (server_final.starts_with("e=")) return Error{"the standby refused the SCRAM exchange"};
  Attributes attributes(server_final);
  const Result<Secret> signature = decode_key(attributes.next('v'));
  if (attributes.failed() || !signature)
    return Error{"malformed SCRAM message of the standby (server-final)"};
  if (!equal(*signature, hmac(keys_.server_key, auth_message_))) {
    return Error{
        "the standby did not prove that it knows the role's SCRAM verifier (wrong server signature): another "
        "server answers at its address, or the role's verifiers differ"};
  }
  state_ = State::verified;
  return {};
}

}  // namespace pgtandem
