#include <asio/co_spawn.hpp>

#include "common/base/log.h"
#include "common/protocol/messages.h"
#include "server-relay/relay/access-list.h"
#include "server-relay/session/pass-on-session.h"
#include "server-relay/session/session.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

constexpr auto kConnectLimit =
    5s;  ///< to a postmaster on this host or the next: longer means that it is not there
constexpr std::size_t kReadSize = 4096;

/// Reads what there is behind `kept`; false when the stream has ended.
asio::awaitable<bool> read_more(Stream& stream, std::string& kept) {
  while (true) {
    if (co_await stream.readable()) co_return false;
    std::array<std::byte, kReadSize> buffer;
    const Stream::Transfer got = stream.try_read(buffer);
    kept.append(as_text(ByteSpan(buffer).first(got.bytes)));
    clear_memory(buffer.data(), got.bytes);
    if (got.bytes != 0) co_return true;
    if (got.ended) co_return false;
  }
}

/// Sends a cancel request and waits until the server has closed: then the signal has been sent.
asio::awaitable<void> send_cancel(Stream& stream, const BackendKey& key) {
  const Secret packet = build_cancel(key.pid, key.key.reveal());
  std::byte end_of_stream[1];
  const std::error_code failure = co_await write_all(stream, as_bytes(packet.reveal()));
  if (!failure) co_await read_exactly(stream, end_of_stream);
}

struct LoginMessage {
  char type;
  ByteSpan body;
};

LoginMessage parts(const std::string& message) {
  return {message[0], as_bytes(message).subspan(MessageSplitter::kHeaderSize)};
}

}  // namespace

asio::awaitable<void> Session::run() {
  // One co_await a statement: g++ 12 miscompiles several in one short-circuit expression.
  bool going_on = co_await negotiate();
  if (going_on) going_on = co_await wait_for_service();
  if (going_on) going_on = co_await login();
  if (going_on && !ended()) begin_streaming();
}

asio::awaitable<bool> Session::negotiate() {
  StartupNegotiation negotiation;
  while (!ended()) {
    StartupNegotiation::Step step = negotiation.feed(as_bytes(front_kept_));
    front_kept_.erase(0, step.consumed);
    front_out_.send(as_bytes(step.reply), owner());
    if (step.action == StartupNegotiation::Action::read_more) {
      const bool more = co_await read_more(front_, front_kept_);
      if (!more) {
        end(front_kept_.empty() ? EndReason::left : EndReason::lost_frontend,
            "closed before a startup packet", {});
      }
    } else if (step.action == StartupNegotiation::Action::start) {
      startup_ = negotiation.startup();
      user_ = startup_user(*startup_);
      database_ = startup_database(*startup_);
      application_ = startup_parameter(*startup_, "application_name");
      co_return admit();
    } else if (step.action == StartupNegotiation::Action::cancel) {
      co_await pass_cancel_on(negotiation.cancel());
      end(EndReason::left, {}, {});
    } else if (step.action != StartupNegotiation::Action::answer) {
      end(EndReason::nonsense_frontend, negotiation.refusal(), {});
    }
  }
  co_return false;
}

bool Session::admit() {
  if (env_.access.allows(client_, database_, user_)) return true;
  const std::string text = "pgtandem: no [[access]] rule allows " + client_ + " to reach database \"" +
                           database_ + "\" as \"" + user_ + "\"";
  end_with_error(EndReason::access_denied, {pgtandem::Severity::fatal, "28000", text}, text);
  return false;
}

asio::awaitable<bool> Session::wait_for_service() {
  while (!ended()) {
    const Authority& authority = env_.thread.authority();
    if (authority.service == Service::serve) co_return true;
    if (authority.service == Service::pass_on) {
      hand_on();
      break;
    }
    if (authority.service != Service::wait) {
      const std::string text = "pgtandem: " + authority.refusal;
      end_with_error(EndReason::not_serving, {pgtandem::Severity::fatal, "57P03", text}, text);
      break;
    }
    phase_ = Phase::waiting_for_service;
    co_await request_event_.wait();
  }
  co_return false;
}

/// The other node is master: its relay gets the frontend as if this one had seen nothing of it.
void Session::hand_on() {
  const auto passed = std::make_shared<PassOnSession>(env_, std::move(front_), client_,
                                                      std::string(startup_->raw) + front_kept_);
  front_ = Stream(context_);
  front_kept_.clear();
  end(EndReason::handed_on, {}, {});
  passed->start();
}

/// To both servers at once, each with its own key. The session's next unit waits until both have closed these
/// connections, because only then has the signal been sent (hard point 21).
asio::awaitable<bool> Session::pass_cancel_on(const CancelRequest& request) {
  const std::shared_ptr<CancelTarget> target = env_.cancels.find(request.pid, request.key.reveal());
  if (target == nullptr) co_return false;
  auto keys = std::make_shared<std::optional<CancelTarget::Keys>>();
  target->hold_units([keys, self = shared_from_this()](CancelTarget::Keys found) {
    asio::post(self->context_, [keys, self, found = std::move(found)] {
      *keys = found;
      self->request_event_.notify();
    });
  });
  while (!*keys) co_await request_event_.wait();
  // `this` was accepted for this request only: its own legs are free for it.
  auto master = co_await connect_stream(context_, env_.settings.own_postmaster(), kConnectLimit);
  if (master && (*keys)->master.pid != 0) co_await send_cancel(*master, (*keys)->master);
  if ((*keys)->standby.pid != 0) {
    auto standby = co_await env_.legs.open(context_, LegKind::cancel, env_.thread.authority().epoch, client_,
                                           kConnectLimit);
    if (standby) co_await send_cancel(*standby, (*keys)->standby);
  }
  target->release_units();
  co_return true;
}

/// Cancels what this session's own backend is doing; no unit begins before the server has closed the
/// request's connection (hard point 21).
asio::awaitable<void> Session::cancel_on_master() {
  if (guest_) co_return;
  ++cancels_;
  Result<Stream> stream = co_await connect_stream(context_, env_.settings.own_postmaster(), kConnectLimit);
  if (stream && !ended()) co_await send_cancel(*stream, master_->key);
  --cancels_;
  request_event_.notify();
}

asio::awaitable<void> Session::cancel_on_standby() {
  ++cancels_;
  Result<Stream> stream = co_await env_.legs.open(context_, LegKind::cancel, env_.thread.authority().epoch,
                                                  client_, kConnectLimit);
  if (stream && !ended()) co_await send_cancel(*stream, standby_->key);
  --cancels_;
  request_event_.notify();
}

asio::awaitable<bool> Session::login() {
  phase_ = Phase::login;
  env_.thread.begin_serving(this);
  login_->deadline = std::chrono::steady_clock::now() + env_.settings.login_timeout;
  if (env_.thread.authority().mirrored && !is_replication(*startup_)) {
    standby_state_ = StandbyState::opening;
    spawn(&Session::login_at_standby);
  }
  Result<Stream> master = co_await connect_stream(context_, env_.settings.own_postmaster(), kConnectLimit);
  if (ended()) co_return false;
  if (!master) {
    co_await env_.services.probe_master();  // tells the keeper
    const std::string text = "pgtandem: the master's postmaster does not answer: " + master.error();
    end_with_error(EndReason::master_unreachable, {pgtandem::Severity::fatal, "57P03", text}, text);
    co_return false;
  }
  master_->stream = std::move(*master);
  master_->out.send(as_bytes(startup_->raw), owner());
  const bool accepted = co_await login_at_master();
  if (!accepted) co_return false;
  const bool both = co_await finish_standby_login();
  co_return both;
}

/// Relays the master's authentication verbatim. What comes from AuthenticationOk on is held until the standby
/// is ready.
asio::awaitable<bool> Session::login_at_master() {
  while (!ended()) {
    std::optional<std::string> message = co_await read_message(master_->stream, master_->kept);
    if (ended()) co_return false;
    if (!message) {
      const std::string text = "pgtandem: the master's postmaster ended the connection during the login";
      end_with_error(EndReason::master_ended, {pgtandem::Severity::fatal, "08006", text}, text);
      co_return false;
    }
    const auto [type, body] = parts(*message);
    const bool was_accepted = login_->observer.state() == LoginObserver::State::accepted;
    if (!was_accepted) login_->observer.from_master(type, body);
    const LoginObserver::State state = login_->observer.state();
    if (type == 'E') {
      const std::string why =
          state == LoginObserver::State::refused
              ? login_->observer.refusal().message + " " + login_->observer.refusal_explanation()
              : "refused by the master after its AuthenticationOk";
      end(EndReason::login_refused, why, login_->held + *message);
      co_return false;
    }
    if (state != LoginObserver::State::accepted) {
      front_out_.send(as_bytes(*message), owner());
      if (state != LoginObserver::State::waiting_for_frontend) continue;
      const bool answered = co_await pass_answer_on();
      if (!answered) co_return false;
      continue;
    }
    if (!was_accepted) standby_event_.notify();  // its proof may go now (hard point 27)
    if (type == 'K') {
      if (const Result<BackendKey> key = parse_backend_key(body)) master_->key = *key;
    }
    login_->held += *message;
    if (message->front() == 'S') note_parameter(as_bytes(*message).subspan(MessageSplitter::kHeaderSize));
    if (type == 'Z') co_return true;
  }
  co_return false;
}

/// One answer of the frontend to the master's request.
asio::awaitable<bool> Session::pass_answer_on() {
  std::optional<std::string> answer = co_await read_message(front_, front_kept_);
  if (ended()) co_return false;
  if (!answer || (*answer)[0] != 'p') {
    end(answer ? EndReason::nonsense_frontend : EndReason::left, "no answer to the authentication request",
        {});
    co_return false;
  }
  const Secret kept = Secret::take(*answer);
  const ByteSpan bytes = as_bytes(kept.reveal());
  login_->observer.from_frontend('p', bytes.subspan(MessageSplitter::kHeaderSize));
  master_->out.send(bytes, owner());
  co_return true;
}

/// A whole message, header included; nothing when the stream ended or is nonsense.
asio::awaitable<std::optional<std::string>> Session::read_message(Stream& stream, std::string& kept) {
  while (!ended()) {
    if (kept.size() >= MessageSplitter::kHeaderSize) {
      const std::size_t length = load_u32(as_bytes(kept).data() + 1);
      if (length < 4 || length > kMaxLoginMessage) co_return std::nullopt;
      if (kept.size() >= length + 1) {
        std::string message = kept.substr(0, length + 1);
        clear_memory(kept.data(), length + 1);
        kept.erase(0, length + 1);
        co_return message;
      }
    }
    const bool more = co_await read_more(stream, kept);
    if (!more) co_return std::nullopt;
  }
  co_return std::nullopt;
}

/// Runs beside login_at_master(): opens the leg, and gives the proof once the master has said yes.
asio::awaitable<void> Session::login_at_standby() {
  const auto fail = [this](std::string why) {
    if (login_ != nullptr && standby_state_ == StandbyState::opening)
      login_->standby_failure = std::move(why);
    request_event_.notify();
  };
  Result<Stream> leg = co_await env_.legs.open(context_, LegKind::leg, env_.thread.authority().epoch, client_,
                                               env_.settings.standby_timeout);
  if (ended() || standby_state_ != StandbyState::opening) co_return;
  if (!leg) {
    fail(leg.error());
    co_return;
  }
  standby_->stream = std::move(*leg);
  standby_->out.send(as_bytes(startup_->raw), owner());
  login_->standby.emplace(StandbyLogin::Options{user_, database_});
  bool credential_given = false;
  while (!ended() && standby_state_ == StandbyState::opening) {
    const StandbyLogin::State state = login_->standby->state();
    if (state == StandbyLogin::State::ready || state == StandbyLogin::State::refused) break;
    std::optional<StandbyLogin::Step> step;
    if (state == StandbyLogin::State::waiting_for_credential && !credential_given) {
      while (!ended() && login_->observer.state() != LoginObserver::State::accepted)
        co_await standby_event_.wait();
      if (ended()) co_return;
      Result<Credential> credential = co_await learn_credential();
      if (ended() || standby_state_ != StandbyState::opening) co_return;
      if (!credential) {
        fail(credential.error());
        co_return;
      }
      credential_given = true;
      step.emplace(login_->standby->credential(std::move(*credential)));
    } else {
      const std::optional<std::string> message = co_await read_message(standby_->stream, standby_->kept);
      if (ended() || standby_state_ != StandbyState::opening) co_return;
      if (!message) {
        fail("the standby's postmaster ended the connection during the login");
        co_return;
      }
      const auto [type, body] = parts(*message);
      step.emplace(login_->standby->on_message(type, body));
    }
    if (!step->send.empty()) standby_->out.send(as_bytes(step->send.reveal()), owner());
  }
  request_event_.notify();
}

asio::awaitable<Result<Credential>> Session::learn_credential() {
  if (login_->observer.needs_stored_password()) {
    const Result<Secret> stored = co_await env_.services.stored_password(user_);
    if (login_ == nullptr) co_return Error{"the session ended"};
    if (!stored)
      co_return Error{"the stored key of role \"" + user_ +
                      "\" could not be read from the master: " + stored.error()};
    if (const Result<void> fitted = login_->observer.complete(*stored); !fitted)
      co_return Error{fitted.error()};
  }
  co_return login_->observer.credential();
}

/// The master is ready: waits for the standby, and decides what becomes of the session without it.
asio::awaitable<bool> Session::finish_standby_login() {
  const SteadyTime limit = std::chrono::steady_clock::now() + env_.settings.standby_timeout;
  login_->master_ready = true;
  while (!ended() && standby_state_ == StandbyState::opening) {
    using State = StandbyLogin::State;
    const bool opened = login_->standby.has_value();
    if (opened && login_->standby->state() == State::ready) {
      standby_state_ = StandbyState::live;
      if (login_->standby->backend_key()) standby_->key = *login_->standby->backend_key();
    } else if (opened && login_->standby->state() == State::refused) {
      refuse_for_standby();
    } else if (!login_->standby_failure.empty()) {
      standby_lost(login_->standby_failure);
    } else if (std::chrono::steady_clock::now() >= limit) {
      standby_lost("the standby did not finish the login within standby_timeout");
    } else {
      asio::steady_timer timer(context_, limit);
      timer.async_wait([self = shared_from_this()](std::error_code failure) {
        if (!failure) self->request_event_.notify();
      });
      co_await request_event_.wait();
    }
  }
  while (!ended() && standby_state_ == StandbyState::lost) co_await request_event_.wait();
  if (!ended() && standby_state_ == StandbyState::live) {
    oids_version_ = env_.services.oids_version(database_);
    if (oids_version_ != nullptr) co_await read_oids();
  }
  co_return !ended();
}

/// The standby's server is there, but does not let this role in. 57P03 and 53300 are no verdict about the
/// role.
void Session::refuse_for_standby() {
  const StandbyLogin& login = *login_->standby;
  const std::string text = login.refusal_text();
  const std::string& sqlstate = login.refusal().sqlstate;
  const bool unavailable = sqlstate.starts_with("57P");
  if (unavailable || env_.settings.on_standby_refusal == OnStandbyRefusal::degrade) {
    standby_lost(text);
    return;
  }
  end(EndReason::standby_refused, text, login.refusal_response());
}

void Session::begin_streaming() {
  phase_ = Phase::streaming;
  frontends_key_ = master_->key;
  if (frontends_key_.pid != 0) env_.cancels.add(frontends_key_, weak_from_this());
  front_out_.send(as_bytes(login_->held), owner());
  login_.reset();
  startup_.reset();
  begin_serial();
  spawn(&Session::request_loop);
  spawn(&Session::reply_loop);
  if (standby_state_ == StandbyState::live) spawn(&Session::standby_loop);
  end_if_idle();
}

}  // namespace pgtandem
