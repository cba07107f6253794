#include "common/protocol/standby-login.h"

#include <utility>

#include "common/protocol/messages.h"
#include "common/protocol/password.h"

namespace pgtandem {
namespace {

AuthMethod method_of(const AuthRequest& request) {
  switch (request.code) {
    case AuthCode::cleartext_password:
      return AuthMethod::password;
    case AuthCode::md5_password:
      return AuthMethod::md5;
    case AuthCode::sasl:
      return request.offers(kScramSha256) ? AuthMethod::scram_sha_256 : AuthMethod::other_sasl;
    case AuthCode::gss:
    case AuthCode::kerberos_v5:
      return AuthMethod::gss;
    case AuthCode::sspi:
      return AuthMethod::sspi;
    default:
      return AuthMethod::other;
  }
}

/// What an operator can do where the credential answers nothing that the standby asks for.
std::string_view remedy(const Credential& credential) {
  if (std::holds_alternative<OwnRight>(credential.held)) {
    return "the relay has no password to answer with; either let the standby's pg_hba.conf admit the relay's "
           "address "
           "by trust (the standby's own relay connects from loopback), or let the master's ask for "
           "scram-sha-256";
  }
  if (std::holds_alternative<ClearPassword>(credential.held)) {
    return "let the standby's pg_hba.conf ask for password, md5 or scram-sha-256 from the relay's address";
  }
  return "let the standby's pg_hba.conf ask for the same method, and copy the role with its password as it "
         "is stored "
         "(rolpassword) from the master to the standby";
}

std::string describe_type(char type) {
  if (type > ' ' && type <= '~') return std::string("'") + type + "'";
  return "number " + std::to_string(static_cast<unsigned char>(type));
}

/// 'p' with a text and its NUL.
Secret password_message(const Secret& text) {
  std::string body;
  body.reserve(text.reveal().size() + 1);
  body.append(text.reveal()).push_back('\0');
  const Secret secret_body = Secret::take(body);
  return build_secret_message('p', secret_body.reveal());
}

}  // namespace

std::string_view to_string(StandbyLogin::State state) {
  switch (state) {
    case StandbyLogin::State::waiting_for_request:
      return "waiting for the standby's request";
    case StandbyLogin::State::waiting_for_credential:
      return "waiting for the master's verdict";
    case StandbyLogin::State::sent_password:
      return "sent the password";
    case StandbyLogin::State::sent_sasl_first:
      return "sent the first SASL message";
    case StandbyLogin::State::sent_sasl_final:
      return "sent the SASL proof";
    case StandbyLogin::State::server_verified:
      return "verified the standby";
    case StandbyLogin::State::authenticated:
      return "authenticated";
    case StandbyLogin::State::ready:
      return "ready";
    case StandbyLogin::State::refused:
      return "refused";
  }
  return "unknown";
}

StandbyLogin::Step StandbyLogin::on_message(char type, ByteSpan body) {
  if (state_ == State::ready || state_ == State::refused) return move_to(state_);
  if (type == 'N') return move_to(state_);
  if (type == 'E') return on_error(body);
  if (state_ == State::authenticated) return on_authenticated_message(type, body);
  if (type == 'R') return on_authentication(body);
  if (type == 'v' && state_ == State::waiting_for_request) return on_negotiation(body);
  return refuse("the standby sent a message of type " + describe_type(type) + " before the login was done");
}

StandbyLogin::Step StandbyLogin::on_authentication(ByteSpan body) {
  const Result<AuthRequest> request = parse_auth_request(body);
  if (!request) return refuse(request.error());
  const AuthCode code = request->code;
  switch (state_) {
    case State::waiting_for_request:
      return on_first_request(*request);
    case State::sent_password:
    case State::server_verified:
      if (code == AuthCode::ok) return move_to(State::authenticated);
      break;
    case State::sent_sasl_first:
      if (code == AuthCode::sasl_continue) {
        Result<Secret> final = scram_->client_final(request->data);
        if (!final) return refuse(final.error());
        return send(State::sent_sasl_final, build_secret_message('p', final->reveal()));
      }
      break;
    case State::sent_sasl_final:
      if (code == AuthCode::sasl_final) {
        const Result<void> verified = scram_->verify(request->data);
        if (!verified) return refuse(verified.error());
        return move_to(State::server_verified);
      }
      break;
    default:
      break;
  }
  // AuthenticationOk too early included: a server that skips its own signature is not believed.
  return refuse("the standby sent authentication message " + std::to_string(std::uint32_t(code)) +
                " out of turn, while the relay had " + std::string(to_string(state_)));
}

StandbyLogin::Step StandbyLogin::on_first_request(const AuthRequest& request) {
  if (request.code == AuthCode::ok) return move_to(State::authenticated);
  request_ = Request{request.code, request.md5_salt, request.offers(kScramSha256),
                     std::string(pgtandem::to_string(method_of(request)))};
  return credential_ ? answer() : move_to(State::waiting_for_credential);
}

StandbyLogin::Step StandbyLogin::credential(Credential credential) {
  if (credential_ || (state_ != State::waiting_for_request && state_ != State::waiting_for_credential)) {
    return move_to(state_);
  }
  credential_ = std::move(credential);
  return request_ ? answer() : move_to(state_);
}

StandbyLogin::Step StandbyLogin::answer() {
  switch (request_->code) {
    case AuthCode::cleartext_password:
      if (const auto* held = std::get_if<ClearPassword>(&credential_->held)) return answer_password(*held);
      break;
    case AuthCode::md5_password:
      return answer_md5();
    case AuthCode::sasl:
      if (request_->offers_scram) return answer_scram();
      break;
    default:
      break;
  }
  return refuse_unfitting();
}

StandbyLogin::Step StandbyLogin::answer_password(const ClearPassword& held) {
  return send(State::sent_password, password_message(held.password));
}

StandbyLogin::Step StandbyLogin::answer_md5() {
  const ByteSpan salt = request_->md5_salt;
  if (const auto* held = std::get_if<ClearPassword>(&credential_->held)) {
    return send(State::sent_password,
                password_message(md5_answer_from_password(held->password, options_.role, salt)));
  }
  if (const auto* held = std::get_if<StoredMd5>(&credential_->held)) {
    const Result<Secret> answer = md5_answer_from_stored(held->hash, salt);
    if (!answer) return refuse(answer.error());
    return send(State::sent_password, password_message(*answer));
  }
  return refuse_unfitting();
}

/// SASLInitialResponse = 'p' length mechanism NUL length:int32 client-first
StandbyLogin::Step StandbyLogin::answer_scram() {
  const ScramClient::Options options{options_.nonce, {}};
  if (auto* keys = std::get_if<ScramKeys>(&credential_->held)) {
    scram_.emplace(std::move(*keys), options);
  } else if (auto* held = std::get_if<ClearPassword>(&credential_->held)) {
    scram_.emplace(std::move(held->password), options);
  } else {
    return refuse_unfitting();
  }
  const std::string first = scram_->client_first();
  ByteWriter body;
  body.c_string(kScramSha256).u32(std::uint32_t(first.size())).text(first);
  return send(State::sent_sasl_first, build_secret_message('p', body.str()));
}

StandbyLogin::Step StandbyLogin::on_authenticated_message(char type, ByteSpan body) {
  switch (type) {
    case 'S':
      return move_to(state_);
    case 'K': {
      Result<BackendKey> key = parse_backend_key(body);
      if (!key) return refuse(key.error());
      backend_key_ = std::move(*key);
      return move_to(state_);
    }
    case 'Z':
      if (as_text(body) != "I")
        return refuse("the standby's first ReadyForQuery does not say that it is idle");
      return move_to(State::ready);
    default:
      return refuse("the standby sent a message of type " + describe_type(type) +
                    " before its first ReadyForQuery");
  }
}

/// NegotiateProtocolVersion = 'v' length newest-version:int32 count:int32 (option NUL){count}
StandbyLogin::Step StandbyLogin::on_negotiation(ByteSpan body) {
  ByteReader reader(body);
  const Negotiated negotiated{reader.u32(), reader.u32()};
  if (reader.failed()) return refuse("the standby's NegotiateProtocolVersion is too short");
  negotiated_ = negotiated;
  return move_to(state_);
}

StandbyLogin::Step StandbyLogin::on_error(ByteSpan body) {
  Result<ServerError> error = parse_error_response(body);
  if (!error) return refuse(error.error());
  return refuse(std::move(error->message), std::move(error->sqlstate));
}

StandbyLogin::Step StandbyLogin::send(State next, Secret message) {
  state_ = next;
  if (next != State::waiting_for_request && next != State::waiting_for_credential) {
    // Answered, or never to be answered: nothing here needs the secrets any longer.
    request_.reset();
    credential_.reset();
  }
  if (next == State::server_verified || next == State::refused) scram_.reset();
  return {next, std::move(message)};
}

StandbyLogin::Step StandbyLogin::refuse(std::string message, std::string sqlstate) {
  refusal_ = {std::move(sqlstate), std::move(message)};
  return move_to(State::refused);
}

StandbyLogin::Step StandbyLogin::refuse_unfitting() {
  return refuse("the master authenticated the role by " +
                std::string(pgtandem::to_string(credential_->master_method)) + ", the standby asks for " +
                request_->method + ": " + std::string(remedy(*credential_)));
}

std::string StandbyLogin::refusal_text() const {
  const std::string whose = "role \"" + options_.role + "\", database \"" + options_.database + "\": ";
  // Only an error in the standby's own words carries a SQLSTATE.
  if (refusal_.sqlstate.empty()) return "no login to the standby for " + whose + refusal_.message;
  return "the standby refused the login of " + whose + refusal_.message;
}

std::string StandbyLogin::refusal_response() const {
  const std::string text = refusal_text();
  const std::string detail =
      refusal_.sqlstate.empty() ? std::string() : "The standby's SQLSTATE is " + refusal_.sqlstate + ".";
  return build_error_response({Severity::fatal, "08004", text, detail, {}});
}

}  // namespace pgtandem
