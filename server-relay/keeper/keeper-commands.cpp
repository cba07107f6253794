/// What operators order by the control port, and the records that forwarders carry.
#include <array>

#include "server-relay/keeper/keeper.h"

namespace pgtandem {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxText = 1000;
/// How long an order may take on the other node when this one passes it on.
constexpr Milliseconds kPassOnLimit{15000};
/// What may pass by itself, and what as things are will not.
constexpr unsigned kAgainLater = 503;
constexpr unsigned kConflict = 409;

/// Reads optional keys of a command's body; the first mistake is kept.
class Body {
 public:
  explicit Body(const std::string& text)
      : object_(text.empty() ? json::object() : json::parse(text, nullptr, false)) {
    if (!object_.is_object()) mistake_ = "the body must be a JSON object";
  }

  bool flag(const char* key) {
    const json* value = find(key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) return note(key, "must be true or false"), false;
    return value->get<bool>();
  }
  std::string text(const char* key) {
    const json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_string()) return note(key, "must be a text"), std::string();
    std::string result = value->get<std::string>();
    if (result.size() > kMaxText) note(key, "is too long");
    return result;
  }
  std::uint64_t number(const char* key) {
    const json* value = find(key);
    if (value == nullptr) return 0;
    if (!value->is_number_unsigned()) return note(key, "must be a number"), 0;
    return value->get<std::uint64_t>();
  }
  /// A mistyped confirmation must not look like one that was left out: unknown keys are mistakes.
  Result<OperatorCommand> finish(OperatorCommand command) {
    if (mistake_.empty() && seen_ != object_.size())
      mistake_ = "there is a key that this command does not know";
    return finish_lenient(std::move(command));
  }
  /// For the bootstrap's tool, which may tell more than this version shows.
  Result<OperatorCommand> finish_lenient(OperatorCommand command) const {
    if (!mistake_.empty()) return Error{mistake_};
    return command;
  }

 private:
  const json* find(const char* key) {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    if (found == object_.end()) return nullptr;
    ++seen_;
    return &*found;
  }
  void note(const char* key, const char* what) {
    if (mistake_.empty()) mistake_ = "'" + std::string(key) + "' " + what;
  }

  json object_;
  std::size_t seen_ = 0;
  std::string mistake_;
};

Result<OperatorCommand> parse_init(Body& body) {
  command::Init init;
  const Result<Node> master = parse_node(body.text("master"));
  init.standby_is_equal = body.flag("standby_is_equal");
  if (!master) return Error{"'master' must name the node that is to be master: a or b"};
  init.master = *master;
  return body.finish(init);
}

Result<OperatorCommand> parse_promote(Body& body) {
  command::Promote promote;
  promote.other_host_is_off = body.flag("other_host_is_off");
  promote.accept_loss_since = body.text("accept_loss_since");
  promote.data_may_be_old = body.flag("data_may_be_old");
  return body.finish(promote);
}

Result<OperatorCommand> parse_switchover(Body& body) {
  command::Switchover switchover;
  switchover.server_only = body.flag("server_only");
  return body.finish(switchover);
}

Result<OperatorCommand> parse_bootstrap(const std::string& name, Body& body) {
  if (name == "bootstrap/begin") {
    command::BootstrapBegin begin;
    begin.tool = body.text("tool");
    begin.abort_clients = body.flag("abort_clients");
    return body.finish_lenient(begin);
  }
  if (name == "bootstrap/progress") {
    command::BootstrapProgress progress;
    progress.lease = body.text("lease");
    progress.phase = body.text("phase");
    progress.bytes = body.number("bytes");
    progress.total_bytes = body.number("total_bytes");
    progress.text = body.text("text");
    return body.finish_lenient(progress);
  }
  if (name == "bootstrap/finish") return body.finish_lenient(command::BootstrapFinish{body.text("lease")});
  const std::string lease = body.text("lease");
  return body.finish_lenient(command::BootstrapAbort{lease, body.text("reason")});
}

bool is_bootstrap(const std::string& name) {
  return name == "bootstrap/begin" || name == "bootstrap/progress" || name == "bootstrap/finish" ||
         name == "bootstrap/abort";
}

ControlReply refusal(unsigned status, const std::string& text, const std::string& what_to_do) {
  ControlReply reply;
  reply.status = status;
  reply.body = json{{"ok", false}, {"error", text}, {"do", what_to_do}}.dump();
  return reply;
}

}  // namespace

Result<OperatorCommand> parse_operator_command(const std::string& name, const std::string& text) {
  Body body(text);
  if (name == "init") return parse_init(body);
  if (name == "promote") return parse_promote(body);
  if (name == "fence") return body.finish(command::Fence{});
  if (name == "switchover") return parse_switchover(body);
  if (name == "giveup") return body.finish(command::GiveUp{});
  if (is_bootstrap(name)) return parse_bootstrap(name, body);
  return Error{"there is no command '" + name.substr(0, 40) + "'"};
}

void Keeper::handle_command(const ControlRequest& request, ControlResponder respond) {
  constexpr std::string_view kPrefix = "/v1/";
  const std::string name =
      request.path.starts_with(kPrefix) ? request.path.substr(kPrefix.size()) : request.path;
  Result<OperatorCommand> command = parse_operator_command(name, request.body);
  if (!command) return respond(refusal(400, command.error(), "see `pgtandem --help`"));
  if (stopped_ || !started_)
    return respond(refusal(503, "the relay is starting or stopping", "try again in a moment"));
  const auto* init = std::get_if<command::Init>(&*command);
  if (init != nullptr && link_ && init->master != options_.machine.self) {
    const json order = {{"command", name}, {"body", request.body}};
    return spawn(pass_order_on(alive_, name, order, std::move(respond)), "pass-order-on");
  }
  order(std::move(*command), std::move(respond));
}

/// A switchover that is refused at once by a master whose standby is joined meets what passes: the last sign
/// of the standby is a moment too old, its relay is just coming back, this one has just stood still. After a
/// draining that failed it is another matter: repeated, it would end the sessions once more.
ControlResponder Keeper::mark_passing(ControlResponder respond, bool server_only,
                                      std::shared_ptr<const bool> at_once) {
  const bool possible = !server_only || options_.machine.hand_over;
  return [this, possible, at_once = std::move(at_once), respond = std::move(respond)](ControlReply reply) {
    const bool joined_master = machine_.state() == RoleState::master && machine_.joined();
    if (reply.status == kConflict && *at_once && possible && joined_master) reply.status = kAgainLater;
    respond(std::move(reply));
  };
}

void Keeper::order(OperatorCommand command, ControlResponder respond) {
  const auto at_once = std::make_shared<bool>(true);
  if (const auto* switchover = std::get_if<command::Switchover>(&command))
    respond = mark_passing(std::move(respond), switchover->server_only, at_once);
  const RequestId id = ++last_request_;
  commands_.emplace(id, std::move(respond));
  feed(event::Ordered{id, std::move(command)});
  *at_once = false;
}

/// init may be given to either node; it is carried out by the master-to-be.
asio::awaitable<void> Keeper::pass_order_on(Alive alive, std::string path, json body,
                                            ControlResponder respond) {
  const Result<json> answer = co_await ask_peer("order", std::move(body), kPassOnLimit);
  if (alive.expired()) co_return;
  const bool sound = answer.ok() && answer->is_object() && answer->contains("status") &&
                     answer->contains("body") && (*answer).at("status").is_number_unsigned() &&
                     (*answer).at("body").is_string();
  if (!sound) {
    respond(refusal(409,
                    "the other relay, which must carry out " + path +
                        ", does not answer: " + (answer ? "its answer is malformed" : answer.error()),
                    "start it, then repeat the command"));
    co_return;
  }
  ControlReply reply;
  reply.status = (*answer).at("status").get<unsigned>();
  reply.body = (*answer).at("body").get<std::string>();
  respond(std::move(reply));
}

void Keeper::serve_order(json request, std::function<void(json)> answer) {
  const ControlResponder respond = [answer](ControlReply reply) {
    answer({{"status", reply.status}, {"body", reply.body}});
  };
  const bool sound = request.is_object() && request.contains("command") && request["command"].is_string() &&
                     request.contains("body") && request["body"].is_string();
  Result<OperatorCommand> command = sound ? parse_operator_command(request["command"].get<std::string>(),
                                                                   request["body"].get<std::string>())
                                          : Result<OperatorCommand>(Error{"the order is malformed"});
  if (command && std::holds_alternative<command::Init>(*command)) return order(std::move(*command), respond);
  respond(refusal(400, command ? "only init is passed on" : command.error(),
                  "give the command to this node itself"));
}

void Keeper::answer_command(const ControlResponder& respond, const CommandAnswer& answer) const {
  if (!answer.ok) {
    ControlReply reply = refusal(answer.status, answer.text, answer.what_to_do);
    if (!answer.accept_loss_since.empty()) {
      json body = json::parse(reply.body);
      body["accept_loss_since"] = answer.accept_loss_since;
      reply.body = body.dump();
    }
    return respond(std::move(reply));
  }
  json body = {{"ok", true},
               {"text", answer.text},
               {"epoch", machine_.slot().epoch},
               {"state", to_string(machine_.state())}};
  if (!answer.lease.empty()) {
    body["lease"] = answer.lease;
    body["master"] = to_string(options_.machine.self);
    body["target"] = to_string(answer.target);
  }
  ControlReply reply;
  reply.body = body.dump();
  respond(std::move(reply));
}

void Keeper::handle_record(const ControlRequest& request, ControlResponder respond) {
  const json body = json::parse(request.body, nullptr, false);
  const bool sound = body.is_object() && body.contains("payload") && body.contains("mac") &&
                     body["payload"].is_string() && body["mac"].is_string();
  if (!sound) return respond(refusal(400, "a record is {\"payload\":text,\"mac\":text}", ""));
  if (!link_) return respond(refusal(404, "this relay has no pair (flags-only mode)", ""));
  const SignedRecord record{body["payload"].get<std::string>(), body["mac"].get<std::string>()};
  const Result<RoleRecord> verified = verify_record(options_.pair_key, options_.machine.cluster, record);
  if (!verified) return respond(refusal(403, verified.error(), ""));
  if (stopped_ || !started_) return respond(refusal(503, "the relay is starting or stopping", ""));
  const RequestId id = ++last_request_;
  commands_.emplace(id, std::move(respond));
  feed(event::RecordSeen{id, *verified});
}

}  // namespace pgtandem
