/// What happens to a role machine, and what it wants done about it. Pure data.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

#include "common/roles/peer-messages.h"
#include "common/roles/slot-store.h"
#include "common/roles/witness-record.h"

namespace pgtandem {

using Milliseconds = std::chrono::milliseconds;

/// The driver's clocks at an event. `steady` decides; `wall` (since 1970, UTC) only appears in texts.
struct Now {
  Milliseconds steady{0};
  Milliseconds wall{0};
};

/// Pairs an action with the event that reports its end; 0: nobody waits for it.
using Ticket = std::uint64_t;
/// One request of the peer or of an operator, which is answered exactly once.
using RequestId = std::uint64_t;

namespace command {
struct Init {
  Node master = Node::none;
  bool standby_is_equal = false;
};
struct Promote {
  bool other_host_is_off = false;
  std::string accept_loss_since;  ///< must equal the value that was shown
  bool data_may_be_old = false;
};
struct Fence {};
struct GiveUp {};
/// A planned change of master, to the joined standby.
struct Switchover {
  /// True: sessions stay on this relay and go on with the standby's server; this node's data is stale
  /// afterwards. False: sessions end in order, the other relay serves, and this node becomes its standby.
  bool server_only = false;
};
struct BootstrapBegin {
  std::string tool;
  bool abort_clients = false;
};
struct BootstrapProgress {
  std::string lease;
  std::string phase;
  std::uint64_t bytes = 0;
  std::uint64_t total_bytes = 0;
  std::string text;
};
struct BootstrapFinish {
  std::string lease;
};
struct BootstrapAbort {
  std::string lease;
  std::string reason;
};
}  // namespace command

using OperatorCommand = std::variant<command::Init, command::Promote, command::Fence, command::GiveUp,
                                     command::BootstrapBegin, command::BootstrapProgress,
                                     command::BootstrapFinish, command::BootstrapAbort, command::Switchover>;

namespace event {
/// The process has started; what the state folder held.
struct Start {
  LoadedSlots slots;
};
/// SIGTERM.
struct Stop {};
/// RoleMachine::wake_at() has come.
struct Tick {};
/// The last action::Record could not be made durable; the actions behind it were dropped.
struct StoreFailed {
  std::string why;
};
// From the sessions (KeeperReports) and the probe.
struct StandbyFailed {
  std::string reason;
};
struct Stalled {
  Milliseconds for_how_long{0};
};
struct PostmasterLost {
  std::string why;
};
struct PostmasterBack {};
/// R9: the own postmaster, or a backend of it, ended under a unit that the standby may have executed.
struct CopiesMayDiffer {
  std::string why;
};
// Ends of actions on the floor.
struct InForce {
  Ticket ticket = 0;
};
struct SessionsEnded {
  Ticket ticket = 0;
  bool all_matched = false;
};
struct LegsRefused {
  Ticket ticket = 0;
};
struct BackendsEnded {
  Ticket ticket = 0;
  bool ok = false;
  std::string why_not;
};
// The peer; authenticated.
struct PeerReported {
  NodeReport report;      ///< the answer to a heartbeat
  Milliseconds sent{-1};  ///< steady: when that heartbeat was sent; below 0: its promise does not count
};
struct PeerAsked {
  RequestId id = 0;
  PeerRequest request;
};
struct PeerAnswered {
  Ticket ticket = 0;
  PeerAnswer answer;
};
struct PeerSilent {
  Ticket ticket = 0;
};
/// A signed record of role that a forwarder carried here; verified.
struct RecordSeen {
  RequestId id = 0;
  RoleRecord record;
};
struct Ordered {
  RequestId id = 0;
  OperatorCommand command;
};
// The witness: the end of each action::ReadWitness and action::SwapWitness is one of these.
struct WitnessAnswered {
  Ticket ticket = 0;
  WitnessReply reply;
};
/// No answer in time, or none that makes sense: a write may have been done, or may be done yet.
struct WitnessSilent {
  Ticket ticket = 0;
  std::string why;
};
/// The fencing hook ended with status 0: the other host is off (R11).
struct HookConfirmed {
  Ticket ticket = 0;
};
struct HookFailed {
  Ticket ticket = 0;
  std::string why;
};
/// The last session that went on here with the other node's server has ended or moved (hard point 10).
struct GuestsEnded {};
}  // namespace event

using Event = std::variant<event::Start, event::Stop, event::Tick, event::StoreFailed, event::StandbyFailed,
                           event::Stalled, event::PostmasterLost, event::PostmasterBack,
                           event::CopiesMayDiffer, event::InForce, event::SessionsEnded, event::LegsRefused,
                           event::BackendsEnded, event::PeerReported, event::PeerAsked, event::PeerAnswered,
                           event::PeerSilent, event::RecordSeen, event::Ordered, event::WitnessAnswered,
                           event::WitnessSilent, event::HookConfirmed, event::HookFailed, event::GuestsEnded>;

/// What becomes of frontends; the same as `Service` of server-relay/keeper/floor.h.
enum class Frontends { refuse, pass_on, wait, serve };

/// What the I/O threads may do; the same as `Authority` of server-relay/keeper/floor.h.
struct Grant {
  Epoch epoch = 0;
  Frontends frontends = Frontends::refuse;
  bool outputs_held = true;
  bool mirrored = false;
  /// Sessions that were here before go on with the standby's server alone, which is master now (hard point
  /// 10): what its legs say is released.
  bool guests = false;
  std::string refusal;

  friend bool operator==(const Grant&, const Grant&) = default;
};

enum class EndHow { at_once, when_idle };
enum class TellLevel { info, warning, error };

/// The answer to an operator (and to a record).
struct CommandAnswer {
  bool ok = false;
  unsigned status = 200;          ///< HTTP
  std::string text;               ///< one sentence
  std::string what_to_do;         ///< where not ok
  std::string accept_loss_since;  ///< where promote wants it: the value to repeat
  std::string lease;              ///< of a bootstrap
  Node target = Node::none;       ///< of a bootstrap
};

/// In the order given. `Record` is a barrier: if it fails, the driver drops what is behind it (dropped
/// answers are given as refusals) and hands the machine event::StoreFailed at once, before any other event.
namespace action {
struct Record {
  Slot slot;
};
struct SetGrant {
  Ticket ticket = 0;
  Grant grant;
};
struct EndSessions {
  Ticket ticket = 0;
  EndHow how = EndHow::at_once;
  Milliseconds limit{0};
  std::string message;
};
struct RefuseLegsBelow {
  Ticket ticket = 0;
  Epoch epoch = 0;
};
struct EndLocalBackends {
  Ticket ticket = 0;
  Milliseconds limit{0};
};
/// The driver tries again on transport errors until `patience` is over; then PeerSilent.
struct AskPeer {
  Ticket ticket = 0;
  PeerBody body;
  Milliseconds patience{0};
};
/// A heartbeat now, not only at its next time: the state has changed.
struct Greet {};
struct AnswerPeer {
  RequestId id = 0;
  bool ok = false;
  bool clean = false;
  std::string why;
  NodeReport report;
};
struct AnswerCommand {
  RequestId id = 0;
  CommandAnswer answer;
};
/// For the log and the list of events. `name` is stable, kebab-case.
struct Tell {
  TellLevel level = TellLevel::info;
  std::string name;
  std::string text;
};
/// The clean stop is done: the process may exit.
struct Stopped {};
/// Read the pair's key, linearizably. event::WitnessAnswered, or WitnessSilent at the end of `patience`.
struct ReadWitness {
  Ticket ticket = 0;
  Milliseconds patience{0};
};
/// Compare-and-swap of the pair's key, if its mod_revision is `expected` (0: there is no such key). Sent at
/// most once or several times: that makes no difference.
struct SwapWitness {
  Ticket ticket = 0;
  WitnessRecord record;
  std::uint64_t expected = 0;
  Milliseconds patience{0};
};
/// R5: until then (steady) output may be released; checked before every release. Only with a witness, where
/// there is no right before the first of these.
struct SetRight {
  Milliseconds until{0};
};
/// Power the other host off; event::HookConfirmed only if that is certain.
struct RunHook {
  Ticket ticket = 0;
};
}  // namespace action

using Action = std::variant<action::Record, action::SetGrant, action::EndSessions, action::RefuseLegsBelow,
                            action::EndLocalBackends, action::AskPeer, action::Greet, action::AnswerPeer,
                            action::AnswerCommand, action::Tell, action::Stopped, action::ReadWitness,
                            action::SwapWitness, action::SetRight, action::RunHook>;

}  // namespace pgtandem
