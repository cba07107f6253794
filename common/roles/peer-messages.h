/// What the two relays say to each other: typed messages, and their JSON (docs/states.md, "Peer messages").
/// The parser takes exactly the keys of a verb with exactly their types, from at most kMaxPeerBody bytes.
/// Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/roles/lineage.h"
#include "common/roles/role-record.h"
#include "common/roles/role-state.h"

namespace pgtandem {

inline constexpr std::size_t kMaxPeerBody = 16U << 10;

/// What a node says about itself in every request and every answer.
struct NodeReport {
  Node node = Node::none;
  Uuid cluster;
  Uuid boot;                   ///< of this process: a restart changes it
  std::uint64_t sequence = 0;  ///< rises with each report of a boot, so that an overtaken one is seen as such
  RoleState state = RoleState::recover;
  bool initialised = false;  ///< has a sound slot
  Epoch epoch = 0;
  Epoch highest_seen = 0;
  Node master = Node::none;
  Node data_node = Node::none;
  Lineage lineage;
  bool sync = false;
  bool eligible = false;
  bool bootstrapping = false;  ///< as master: a bootstrap of the other node is under way
  bool postmaster_ok = false;
  bool guests = false;  ///< sessions go on here with the other node's server (hard point 10)
  /// In the answer to a heartbeat: the sender will not take over by itself for so long from now (R6), ms.
  std::uint64_t promise_ms = 0;

  friend bool operator==(const NodeReport&, const NodeReport&) = default;
  /// This node acts as the master of the record that it reports.
  bool active() const { return is_active(state) && master == node; }
};

/// The heartbeat, and the handshake after a stall.
struct Hello {
  friend bool operator==(const Hello&, const Hello&) = default;
};
/// "Promise durably that nobody else gets this epoch, and give up your own right to it."
struct AskPromise {
  Epoch epoch = 0;
  Uuid clean;                ///< the generation at which the asker stopped in order, or none
  bool by_operator = false;  ///< an operator's promote stands behind it
  bool data_may_be_old = false;
  friend bool operator==(const AskPromise&, const AskPromise&) = default;
};
/// "I am about to go on without you: record durably that you are stale."
struct AgreeDegrade {
  Epoch epoch = 0;
  Uuid generation;
  friend bool operator==(const AgreeDegrade&, const AgreeDegrade&) = default;
};
/// "An operator promotes me: end your sessions, and say when they are ended."
struct FenceYourself {
  RoleRecord claim;  ///< the epoch that is about to begin; not on the wire: the driver, which holds the key,
                     ///< signs it into `record` and verifies `record` into it
  SignedRecord record;
};
/// A clean stop. `clean` (of the master): every session had matched.
struct Leaving {
  bool clean = false;
  friend bool operator==(const Leaving&, const Leaving&) = default;
};
/// "Your data is about to be replaced by mine."
struct BootstrapTarget {
  friend bool operator==(const BootstrapTarget&, const BootstrapTarget&) = default;
};
/// R3: "your data is now mine of this generation: record it."
struct Join {
  bool initial = false;  ///< `init` with the standby taken as equal
  Epoch epoch = 0;
  Uuid generation;
  friend bool operator==(const Join&, const Join&) = default;
};
struct BootstrapDropped {
  friend bool operator==(const BootstrapDropped&, const BootstrapDropped&) = default;
};

/// Of the master to its joined standby: "be master of this epoch". `drained`: my sessions have ended and all
/// had matched; ask for my promise. Else my sessions wait for your word, and go on with your server.
struct TakeOver {
  Epoch epoch = 0;
  bool drained = false;
  friend bool operator==(const TakeOver&, const TakeOver&) = default;
};

using PeerBody = std::variant<Hello, AskPromise, AgreeDegrade, FenceYourself, Leaving, BootstrapTarget, Join,
                              BootstrapDropped, TakeOver>;

struct PeerRequest {
  NodeReport report;  ///< of the sender
  PeerBody body;
};

/// One shape for every verb.
struct PeerAnswer {
  NodeReport report;  ///< of the answering node, after it did what was asked
  bool ok = false;
  bool clean =
      false;  ///< promise: both stopped in order and are still joined; leaving: every session had matched
  std::string why;  ///< where not ok: one sentence
};

/// The last part of the path: POST /v1/peer/<verb>.
std::string_view peer_verb(const PeerBody& body);
/// One of this protocol's own verbs (others may be registered beside them).
bool is_peer_verb(std::string_view verb);

std::string encode_peer_request(const PeerRequest& request);
Result<PeerRequest> parse_peer_request(std::string_view verb, std::string_view body);
std::string encode_peer_answer(const PeerAnswer& answer);
Result<PeerAnswer> parse_peer_answer(std::string_view body);

}  // namespace pgtandem
