#include "common/protocol/login-observer.h"

#include <utility>

#include "common/base/crypto.h"
#include "common/protocol/password.h"

namespace pgtandem {

std::string_view to_string(LoginObserver::State state) {
  switch (state) {
    case LoginObserver::State::waiting_for_master:
      return "waiting for the master";
    case LoginObserver::State::waiting_for_frontend:
      return "waiting for the frontend's answer";
    case LoginObserver::State::accepted:
      return "accepted";
    case LoginObserver::State::refused:
      return "refused";
  }
  return "unknown";
}

void LoginObserver::from_master(char type, ByteSpan body) {
  if (state_ == State::accepted || state_ == State::refused) return;
  if (type == 'E') {
    state_ = State::refused;
    Result<ServerError> error = parse_error_response(body);
    refusal_ = error ? std::move(*error) : ServerError{{}, {}, error.error()};
    return;
  }
  if (type != 'R') return;
  const Result<AuthRequest> request = parse_auth_request(body);
  if (request) {
    on_request(*request);
  } else {
    give_up(request.error());
  }
}

void LoginObserver::on_request(const AuthRequest& request) {
  switch (request.code) {
    case AuthCode::ok:
      return on_accepted();
    case AuthCode::cleartext_password:
      return ask(AuthMethod::password);
    case AuthCode::md5_password:
      md5_salt_ = request.md5_salt;
      return ask(AuthMethod::md5);
    case AuthCode::sasl:
      sasl_chosen_ = false;
      return ask(AuthMethod::other_sasl);  // until the frontend has chosen
    case AuthCode::sasl_continue:
      return on_sasl_continue(request.data);
    case AuthCode::sasl_final:
      state_ = State::waiting_for_master;
      return;
    case AuthCode::gss:
    case AuthCode::kerberos_v5:
      return ask(AuthMethod::gss);
    case AuthCode::sspi:
      return ask(AuthMethod::sspi);
    case AuthCode::gss_continue:
      state_ = State::waiting_for_frontend;
      return;
    default:
      return ask(AuthMethod::other);
  }
}

void LoginObserver::on_accepted() {
  state_ = State::accepted;
  switch (method_) {
    case AuthMethod::unknown:
      method_ = AuthMethod::trust;
      [[fallthrough]];
    case AuthMethod::gss:
    case AuthMethod::sspi:
    case AuthMethod::other:
      credential_ = Credential{method_, OwnRight{}};
      return;
    case AuthMethod::other_sasl:
      if (sasl_chosen_) credential_ = Credential{method_, OwnRight{}};
      return;
    case AuthMethod::password:
      if (unusable_.empty()) credential_ = Credential{method_, ClearPassword{std::move(answer_)}};
      return;
    default:
      return;
  }
}

void LoginObserver::ask(AuthMethod method) {
  // A backend asks by one method only; a second question would leave it open which answer counted.
  if (method_ != AuthMethod::unknown) give_up("the master asked by two methods in one login");
  method_ = method;
  state_ = State::waiting_for_frontend;
}

void LoginObserver::on_sasl_continue(std::string_view data) {
  state_ = State::waiting_for_frontend;
  if (sasl_step_ == SaslStep::client_first && data.empty()) return;  // the frontend sent no first message yet
  if (sasl_step_ != SaslStep::server_first) {
    if (method_ != AuthMethod::other_sasl) give_up("the master sent a SCRAM challenge out of turn");
    return;
  }
  sasl_step_ = SaslStep::client_final;
  note(transcript_.on_server_first(data));
}

void LoginObserver::from_frontend(char type, ByteSpan body) {
  if (type != 'p' || state_ == State::accepted || state_ == State::refused) return;
  if (state_ != State::waiting_for_frontend)
    return give_up("the frontend answered before the master had asked");
  state_ = State::waiting_for_master;
  if (method_ == AuthMethod::password || method_ == AuthMethod::md5) return on_password(body);
  if (method_ == AuthMethod::other_sasl && !sasl_chosen_) return on_sasl_initial(body);
  on_sasl_response(body);
}

void LoginObserver::on_password(ByteSpan body) {
  ByteReader reader(body);
  const std::string_view text = reader.c_string();
  if (reader.failed() || reader.left() != 0) return give_up("the frontend's password message is malformed");
  answer_ = Secret(text);
}

/// SASLInitialResponse = mechanism NUL length:int32 data, length -1: no data.
void LoginObserver::on_sasl_initial(ByteSpan body) {
  ByteReader reader(body);
  const std::string_view mechanism = reader.c_string();
  const std::uint32_t length = reader.u32();
  sasl_chosen_ = true;
  if (reader.failed()) return give_up("the frontend's choice of a SASL mechanism is malformed");
  if (mechanism != kScramSha256 && mechanism != kScramSha256Plus) return;
  method_ = mechanism == kScramSha256 ? AuthMethod::scram_sha_256 : AuthMethod::scram_sha_256_plus;
  sasl_step_ = SaslStep::client_first;
  if (length == 0xFFFFFFFFU && reader.left() == 0) return;
  if (length != reader.left()) return give_up("the frontend's first SASL message has a wrong length");
  on_sasl_response(reader.rest());
}

void LoginObserver::on_sasl_response(ByteSpan body) {
  if (sasl_step_ == SaslStep::client_first) {
    sasl_step_ = SaslStep::server_first;
    note(transcript_.on_client_first(as_text(body)));
  } else if (sasl_step_ == SaslStep::client_final) {
    sasl_step_ = SaslStep::done;
    note(transcript_.on_client_final(as_text(body)));
  }
}

void LoginObserver::note(const Result<void>& outcome) {
  if (!outcome) give_up(outcome.error());
}

void LoginObserver::give_up(std::string why) {
  if (unusable_.empty()) unusable_ = std::move(why);
}

bool LoginObserver::needs_stored_password() const {
  return state_ == State::accepted && !credential_ && unusable_.empty() &&
         (method_ == AuthMethod::md5 || method_ == AuthMethod::scram_sha_256 ||
          method_ == AuthMethod::scram_sha_256_plus);
}

Result<void> LoginObserver::complete(const Secret& stored) {
  if (!needs_stored_password()) return Error{"this login needs no stored password"};
  if (stored.empty()) {
    return Error{
        "the master has no stored password for the role: the service user must be a superuser there, and the "
        "role must exist"};
  }
  if (method_ == AuthMethod::md5) {
    const Result<Secret> expected = md5_answer_from_stored(stored, md5_salt_);
    if (!expected) return Error{expected.error()};
    if (!equal_constant_time(as_bytes(expected->reveal()), as_bytes(answer_.reveal()))) {
      return Error{
          "the stored md5 hash of the role is not the one that the master used: the role's password was "
          "changed in between; read it again"};
    }
    credential_ = Credential{method_, StoredMd5{stored}};
    return {};
  }
  Result<ScramKeys> keys = transcript_.recover(stored);
  if (!keys) return Error{keys.error()};
  credential_ = Credential{method_, std::move(*keys)};
  return {};
}

Result<Credential> LoginObserver::credential() const {
  if (credential_) return *credential_;
  if (state_ != State::accepted) return Error{"the master has not said yes yet"};
  if (!unusable_.empty()) {
    return Error{"the login at the master (" + std::string(to_string(method_)) +
                 ") was not understood: " + unusable_};
  }
  if (needs_stored_password()) {
    return Error{"the role's stored password at the master is needed for a login by " +
                 std::string(to_string(method_)) + ": configure a service user ([service])"};
  }
  return Error{"nothing to log in to the standby with was found in the login at the master"};
}

std::string LoginObserver::refusal_explanation() const {
  if (state_ != State::refused || method_ != AuthMethod::scram_sha_256_plus) return {};
  return "the frontend used channel binding (SCRAM-SHA-256-PLUS), which fails unless the relay presents the "
         "master's "
         "own certificate: give the relay the master's certificate and key, or let the relay's connection to "
         "the "
         "master be without TLS (loopback), or set channel_binding=disable in the frontend";
}

}  // namespace pgtandem
