/// The relay's login to the standby, from the moment its StartupMessage was sent to ReadyForQuery.
///
///   r->s StartupMessage (with the master's)              by the driver
///   s->r 'v'? 'R' request                                waiting_for_credential until the master has said
///   yes r->s 'p' answer, SASL exchange                       only after credential() s->r 'R' 0, then 'S'...
///   'K' 'Z'                      ready
///
/// No proof leaves before the master's AuthenticationOk, because only then is there a credential (hard point
/// 27); if the master refuses, the driver closes the connection. What the standby says in its own words in
/// between is not passed on to anyone.
///
/// Pure; owned by one session, on its strand. Holds secrets until it is destroyed.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/secret.h"
#include "common/protocol/auth-request.h"
#include "common/protocol/backend-key.h"
#include "common/protocol/credential.h"
#include "common/protocol/error-response.h"
#include "common/protocol/scram.h"

namespace pgtandem {

class StandbyLogin {
 public:
  enum class State {
    waiting_for_request,     ///< the standby's first 'R'
    waiting_for_credential,  ///< it has asked; the master has not yet said yes
    sent_password,           ///< clear or md5
    sent_sasl_first,
    sent_sasl_final,
    server_verified,  ///< the standby proved that it knows the verifier; AuthenticationOk is due
    authenticated,    ///< parameters and key are due
    ready,            ///< idle for the session's first unit
    refused,          ///< refusal() says why; for good
  };
  struct Options {
    std::string role;
    std::string database;
    std::string nonce = {};  ///< SCRAM's, fresh if empty; given by tests alone
  };
  struct Step {
    State state;
    Secret send;  ///< to write to the standby before its next message is read; may be empty
  };
  /// Why there is no login. `sqlstate` and `message` are the standby's own where it gave them; where it did
  /// not (it asked for what the relay does not hold, or broke the protocol) `sqlstate` is empty and the text
  /// is the relay's.
  struct Refusal {
    std::string sqlstate;
    std::string message;
  };
  /// NegotiateProtocolVersion, if the standby sent one.
  struct Negotiated {
    std::uint32_t newest_version = 0;  ///< as servers send it: major * 65536 + minor
    std::uint32_t unknown_options = 0;
  };

  explicit StandbyLogin(Options options) : options_(std::move(options)) {}

  /// A whole message of the standby. After ready, messages are the session's and change nothing here.
  [[nodiscard]] Step on_message(char type, ByteSpan body);
  /// What the master's login gave (LoginObserver::credential()); once. May come before or after the standby's
  /// request.
  [[nodiscard]] Step credential(Credential credential);

  State state() const { return state_; }
  /// Requires state() == ready; nothing where the standby sent none (it then takes no cancel requests).
  const std::optional<BackendKey>& backend_key() const { return backend_key_; }
  const std::optional<Negotiated>& negotiated() const { return negotiated_; }

  /// Requires state() == refused.
  const Refusal& refusal() const { return refusal_; }
  /// The same as one sentence that names role and database; for the log and for the frontend.
  std::string refusal_text() const;
  /// The same as a complete ErrorResponse: FATAL 08004.
  std::string refusal_response() const;

 private:
  struct Request {
    AuthCode code = AuthCode::ok;
    std::array<std::byte, 4> md5_salt{};
    bool offers_scram = false;
    std::string method;  ///< for texts
  };

  Step on_authentication(ByteSpan body);
  Step on_first_request(const AuthRequest& request);
  Step on_authenticated_message(char type, ByteSpan body);
  Step on_error(ByteSpan body);
  Step on_negotiation(ByteSpan body);
  Step answer();
  Step answer_password(const ClearPassword& held);
  Step answer_md5();
  Step answer_scram();
  Step send(State next, Secret message);
  Step move_to(State next) { return send(next, Secret()); }
  Step refuse(std::string message, std::string sqlstate = {});
  Step refuse_unfitting();

  Options options_;
  State state_ = State::waiting_for_request;
  std::optional<Request> request_;  ///< the standby's, while it is not answered
  std::optional<Credential> credential_;
  std::optional<ScramClient> scram_;
  std::optional<BackendKey> backend_key_;
  std::optional<Negotiated> negotiated_;
  Refusal refusal_;
};

std::string_view to_string(StandbyLogin::State state);

}  // namespace pgtandem
