/// The keeper's side of the peer protocol: heartbeats and questions out, requests in.
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include "common/base/log.h"
#include "server-relay/keeper/keeper.h"

namespace pgtandem {
namespace {

/// A heartbeat that takes longer has failed. The next one follows at once.
constexpr Milliseconds kBeatLimit{1000};
/// Between two attempts of the same question.
constexpr Milliseconds kAskAgain{100};
/// Requests of the peer under way at once; more is no relay of ours.
constexpr std::size_t kMaxPeerRequests = 64;
constexpr std::string_view kPeerPath = "/v1/peer/";

asio::awaitable<void> pause(Milliseconds how_long) {
  asio::steady_timer timer(co_await asio::this_coro::executor, how_long);
  co_await timer.async_wait(asio::use_awaitable);
}

nlohmann::json error_json(const std::string& text) {
  return {{"ok", false}, {"error", text}, {"do", ""}};
}

}  // namespace

asio::awaitable<void> Keeper::beat(Alive alive) {
  while (!alive.expired() && !stopped_) {
    const Milliseconds begun = options_.clock().steady;
    co_await greet(alive);
    if (alive.expired()) co_return;
    co_await pause(std::max(kHeartbeat - (options_.clock().steady - begun), Milliseconds{1}));
  }
}

asio::awaitable<void> Keeper::greet(Alive alive) {
  if (alive.expired() || stopped_) co_return;
  ++greetings_;
  const std::string body = encode_peer_request({machine_.report(), Hello{}});
  // Before the challenge is asked for: the promise in the answer counts from here (R6).
  const Milliseconds sent = options_.clock().steady;
  const Result<std::string> answer = co_await link_->call("hello", body, kBeatLimit);
  if (alive.expired()) co_return;
  --greetings_;
  note_link(answer);
  if (!answer) co_return;
  if (Result<PeerAnswer> parsed = parse_peer_answer(*answer)) feed(event::PeerReported{parsed->report, sent});
}

/// Says once when the other relay is lost, and why, and once when it is found.
void Keeper::note_link(const Result<std::string>& answer) {
  const std::string trouble = answer ? std::string() : answer.error();
  if (trouble == link_trouble_) return;
  if (!trouble.empty()) {
    if (link_trouble_.empty()) log::warning("peer-lost", {{"why", trouble}});
  } else {
    log::info("peer-found");
  }
  link_trouble_ = trouble;
  if (changed_) changed_();
}

/// Asks until there is an answer, the patience is over, or the machine no longer wants to know.
asio::awaitable<void> Keeper::ask(Alive alive, action::AskPeer asked) {
  if (auto* fence = std::get_if<FenceYourself>(&asked.body)) {
    fence->record = sign_record(options_.pair_key, fence->claim);
  }
  const std::string verb(peer_verb(asked.body));
  const Milliseconds give_up = options_.clock().steady + asked.patience;
  while (true) {
    const Milliseconds left = std::max(give_up - options_.clock().steady, Milliseconds{1});
    const std::string body = encode_peer_request({machine_.report(), asked.body});
    const Result<std::string> answer = co_await link_->call(verb, body, left);
    if (alive.expired()) co_return;
    Result<PeerAnswer> parsed =
        answer ? parse_peer_answer(*answer) : Result<PeerAnswer>(Error{answer.error()});
    if (parsed) {
      feed(event::PeerAnswered{asked.ticket, std::move(*parsed)});
      co_return;
    }
    log::debug("peer-question-unanswered", {{"verb", verb}, {"why", parsed.error()}});
    const Milliseconds rest = give_up - options_.clock().steady;
    if (rest <= Milliseconds{0} || !machine_.wants(asked.ticket) || stopped_) break;
    co_await pause(std::min(rest, kAskAgain));
    if (alive.expired()) co_return;
  }
  feed(event::PeerSilent{asked.ticket});
}

asio::awaitable<Result<nlohmann::json>> Keeper::ask_peer(std::string verb, nlohmann::json request,
                                                         Milliseconds timeout) {
  if (!link_) co_return Error{"there is no other relay in flags-only mode"};
  const Result<std::string> answer = co_await link_->call(std::move(verb), request.dump(), timeout);
  if (!answer) co_return Error{answer.error()};
  nlohmann::json parsed = nlohmann::json::parse(*answer, nullptr, false);
  if (parsed.is_discarded()) co_return Error{"the other relay's answer is no JSON"};
  co_return parsed;
}

void Keeper::handle_peer(const ControlRequest& request, ControlResponder respond) {
  const auto refuse = [&](unsigned status, const std::string& text) {
    ControlReply reply;
    reply.status = status;
    reply.body = error_json(text).dump();
    respond(std::move(reply));
  };
  if (!link_ || options_.pair_key.empty()) return refuse(404, "this relay has no peer (flags-only mode)");
  if (!request.path.starts_with(kPeerPath)) return refuse(404, "no such path");
  const std::string verb = request.path.substr(kPeerPath.size());
  const Milliseconds now = options_.clock().steady;
  if (verb == "challenge" && request.method == "GET") {
    ControlReply reply;
    reply.body = nlohmann::json{{"nonce", nonces_.issue(now)}}.dump();
    return respond(std::move(reply));
  }
  if (request.method != "POST") return refuse(405, "peer verbs are posted");
  const std::string expected = peer_request_mac(options_.pair_key, request.nonce, request.path, request.body);
  // The challenge is used up by a wrong MAC too: one guess each.
  const bool fresh = nonces_.redeem(request.nonce, now);
  if (!fresh || !mac_fits(options_.pair_key, expected, request.mac)) {
    log::warning("peer-request-refused",
                 {{"client", request.client}, {"why", fresh ? "wrong MAC" : "no challenge"}});
    return refuse(403, "not authenticated as the other relay of this pair");
  }
  PeerPending pending{request.nonce, std::move(respond)};
  if (stopped_ || !started_)
    return answer_peer(pending, 503, error_json("the relay is starting or stopping").dump());
  if (const auto found = verbs_.find(verb); found != verbs_.end()) {
    return serve_registered_verb(found->second, request.body, std::move(pending));
  }
  serve_own_verb(verb, request.body, std::move(pending));
}

void Keeper::serve_own_verb(const std::string& verb, const std::string& body, PeerPending pending) {
  Result<PeerRequest> parsed = parse_peer_request(verb, body);
  if (!parsed) {
    return answer_peer(pending, is_peer_verb(verb) ? 400 : 404, error_json(parsed.error()).dump());
  }
  if (auto* fence = std::get_if<FenceYourself>(&parsed->body)) {
    const Result<RoleRecord> claim =
        verify_record(options_.pair_key, options_.machine.cluster, fence->record);
    if (!claim) return answer_peer(pending, 400, error_json(claim.error()).dump());
    fence->claim = *claim;
  }
  if (peer_requests_.size() >= kMaxPeerRequests) {
    return answer_peer(pending, 503, error_json("too many requests of the other relay are under way").dump());
  }
  const RequestId id = ++last_request_;
  peer_requests_.emplace(id, std::move(pending));
  feed(event::PeerAsked{id, std::move(*parsed)});
}

void Keeper::serve_registered_verb(const PeerVerb& serve, const std::string& body, PeerPending pending) {
  nlohmann::json request = nlohmann::json::parse(body, nullptr, false);
  if (request.is_discarded()) return answer_peer(pending, 400, error_json("the request is no JSON").dump());
  serve(std::move(request),
        [this, alive = Alive(alive_), pending = std::move(pending)](nlohmann::json answer) {
          if (alive.expired()) return;
          answer_peer(pending, 200, answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
        });
}

void Keeper::answer_peer(const PeerPending& pending, unsigned status, std::string body) const {
  ControlReply reply;
  reply.status = status;
  reply.body = std::move(body);
  reply.headers = {
      {"X-Pgtandem-Mac", peer_response_mac(options_.pair_key, pending.nonce, status, reply.body)}};
  pending.respond(std::move(reply));
}

}  // namespace pgtandem
