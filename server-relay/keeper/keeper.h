/// The driver of the role machine: owns it, carries out what it says, and decides nothing. Lives on the
/// control thread's io_context; only the KeeperReports members may be called from elsewhere.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <nlohmann/json.hpp>

#include "common/base/secret.h"
#include "common/config/settings.h"
#include "common/roles/peer-auth.h"
#include "common/roles/role-machine.h"
#include "common/witness/witness-link.h"
#include "server-relay/control/control-server.h"
#include "server-relay/keeper/fencing-hook.h"
#include "server-relay/keeper/floor.h"
#include "server-relay/keeper/peer-link.h"

namespace pgtandem {

struct KeeperOptions {
  MachineSettings machine;
  Secret pair_key;  ///< empty in flags-only mode
  /// Does the own postmaster answer? Empty: only the sessions' reports count.
  std::function<asio::awaitable<bool>()> probe;
  /// Where machine.witness, with the pair's key there.
  std::shared_ptr<WitnessLink> witness;
  std::string witness_key;
  /// Where machine.hook.
  std::shared_ptr<FencingHook> hook;
  /// The clocks; the default is role_clock_now().
  std::function<Now()> clock;
  std::function<Uuid()> new_uuid = random_uuid;
};

/// What a keeper needs of the settings (and of the pair key, which is read elsewhere).
KeeperOptions keeper_options(const RelaySettings& settings, Secret pair_key);

class Keeper final : public KeeperReports {
 public:
  /// `link` is null in flags-only mode. `floor` must outlive the keeper.
  Keeper(asio::io_context& context, KeeperOptions options, Floor& floor, std::unique_ptr<SlotStore> store,
         std::unique_ptr<PeerLink> link);
  ~Keeper() override;

  /// Reads the state and begins. The floor must be ready, the control port may open before or after.
  void start();
  /// The clean stop; `done` once, when the process may exit. The floor is still needed until then.
  void stop(std::function<void()> done);

  // KeeperReports: thread-safe.
  void standby_failed(const std::string& reason) override;
  void stalled(Milliseconds for_how_long) override;
  void own_postmaster(bool alive, const std::string& why) override;
  void copies_may_differ(const std::string& why) override;
  void guests_ended() override;

  // For ControlHandlers.
  /// The keys role, record, peer, postmaster, standby (joined, stale_reason), witness, guests, right_ms,
  /// bootstrap, events, hint of the status.
  nlohmann::json status() const;
  RoleAnswer role() const;
  void handle_command(const ControlRequest& request, ControlResponder respond);
  void handle_peer(const ControlRequest& request, ControlResponder respond);
  void handle_record(const ControlRequest& request, ControlResponder respond);

  /// Called after each event that changed something of status(); one callback.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }

  /// A verb of another module: `serve` gets the request's JSON and a function to answer with, to be called
  /// once on the control thread. Answers are authenticated like all of the peer's.
  using PeerVerb = std::function<void(nlohmann::json request, std::function<void(nlohmann::json)> answer)>;
  void register_peer_verb(std::string name, PeerVerb serve) { verbs_[std::move(name)] = std::move(serve); }
  /// Asks such a verb of the other relay. On the control thread.
  asio::awaitable<Result<nlohmann::json>> ask_peer(std::string verb, nlohmann::json request,
                                                   Milliseconds timeout);

  const RoleMachine& machine() const { return machine_; }

 private:
  struct PeerPending {
    std::string nonce;
    ControlResponder respond;
  };
  struct EventLine {
    std::string time;
    TellLevel level;
    std::string name;
    std::string text;
  };
  /// Expires with the keeper: what comes back later finds nobody.
  using Alive = std::weak_ptr<int>;

  // keeper.cpp
  void feed(Event event);
  void notice_stall();
  void run_queue();
  void perform(std::vector<Action> actions);
  void drop(const Action& action, const std::string& why);
  void act(const action::Record&) {}
  void act(const action::SetGrant& action);
  void act(const action::EndSessions& action);
  void act(const action::RefuseLegsBelow& action);
  void act(const action::EndLocalBackends& action);
  void act(const action::AskPeer& action);
  void act(const action::Greet& action);
  void act(const action::AnswerPeer& action);
  void act(const action::AnswerCommand& action);
  void act(const action::Tell& action);
  void act(const action::Stopped& action);
  void act(const action::SetRight& action);
  void post_event(Event event);
  void spawn(asio::awaitable<void> coroutine, const char* what);
  void plan_tick();
  void note_postmaster(bool alive, const std::string& why);
  asio::awaitable<void> watch_postmaster(Alive alive);

  // keeper-arbiters.cpp
  void act(const action::ReadWitness& action);
  void act(const action::SwapWitness& action);
  void act(const action::RunHook& action);
  asio::awaitable<void> ask_witness(Alive alive, Ticket ticket, std::optional<WitnessRecord> record,
                                    std::uint64_t expected, Milliseconds patience);
  asio::awaitable<void> watch_witness(Alive alive);
  void note_witness(const Result<WitnessReply>& reply);
  nlohmann::json witness_status() const;

  // keeper-peer.cpp
  asio::awaitable<void> beat(Alive alive);
  asio::awaitable<void> greet(Alive alive);
  asio::awaitable<void> ask(Alive alive, action::AskPeer asked);
  void note_link(const Result<std::string>& answer);
  void serve_own_verb(const std::string& verb, const std::string& body, PeerPending pending);
  void serve_registered_verb(const PeerVerb& serve, const std::string& body, PeerPending pending);
  void answer_peer(const PeerPending& pending, unsigned status, std::string body) const;
  void serve_order(nlohmann::json request, std::function<void(nlohmann::json)> answer);

  // keeper-commands.cpp
  void order(OperatorCommand command, ControlResponder respond);
  asio::awaitable<void> pass_order_on(Alive alive, std::string path, nlohmann::json body,
                                      ControlResponder respond);
  ControlResponder mark_passing(ControlResponder respond, bool server_only,
                                std::shared_ptr<const bool> at_once);
  void answer_command(const ControlResponder& respond, const CommandAnswer& answer) const;

  asio::io_context& context_;
  KeeperOptions options_;
  Floor& floor_;
  std::unique_ptr<SlotStore> store_;
  std::unique_ptr<PeerLink> link_;
  RoleMachine machine_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);

  std::deque<Event> queue_;
  bool running_ = false;
  bool started_ = false;
  bool stopped_ = false;
  Milliseconds last_seen_{0};
  asio::steady_timer ticker_;
  std::optional<Milliseconds> answers_since_;  ///< a postmaster that counts as lost; steady

  RequestId last_request_ = 0;
  std::map<RequestId, PeerPending> peer_requests_;
  std::map<RequestId, ControlResponder> commands_;
  NonceTable nonces_;
  std::map<std::string, PeerVerb> verbs_;
  unsigned greetings_ = 0;  ///< on their way
  std::string link_trouble_;
  bool witness_found_ = false;  ///< it has answered in this life
  std::string witness_trouble_;
  Uuid witness_identity_;  ///< of the last one that answered; none before

  std::deque<EventLine> events_;
  std::function<void()> changed_;
  std::function<void()> stop_done_;
};

/// The command in a request to `/v1/<name>`. The error is a sentence for the caller.
Result<OperatorCommand> parse_operator_command(const std::string& name, const std::string& body);

}  // namespace pgtandem
