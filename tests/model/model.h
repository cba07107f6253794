/// A model of two nodes and of what decides between them, small enough that every state it can reach is
/// visited: common/roles without time and without data, with the same states, events and reactions. Every
/// change of state goes through the table of common/roles/role-table.h, which has to allow it.
///
/// As in the code: epochs and their parity, lineages, promises, the slot, the witness' key with
/// compare-and-swap, which writes on their way can still land, late answers, R1 to R8, R10, R11, the
/// hand-over (hard point 10), the operator's promote with true words, and the join in the order of R3.
///
/// Abstracted:
/// - Time. What waits for a time limit may come at any time. Of clocks only what R4 and R5 rest on is left:
/// when a
///   standby has seen one revision for a whole term and its own promise is over, the right that the master
///   counted from that revision or that promise is over too, and so is what late answers would give it. A
///   right may end at any time before that. A relay that is frozen or slow is one that takes no step.
/// - The network. Messages come late while a line is cut or a process stands still, an old request after its
/// sender
///   has given up, and the witness may do an old write late. A direction holds one request and one answer;
///   where another is sent, the old one is lost. What the answer to a greeting says is heard at once or
///   never, the promise in it (R6) may be late. Lines are cut as faults, one way too, and mended at any time;
///   with `lossy` everything may be lost or stand still at any time instead, and that counts as none.
/// - Revisions of the witness' key: all that matters is whether the one that a node knows is the present one.
/// - Data: one write, at any time on whoever serves, with every way in which it may get lost. All writes are
/// alike.
/// - Between two actions of one event nothing happens; disks do not fail.
///
/// Not in it (the simulator has them): the orderly stop and the switchover with the relay, init, giveup,
/// records carried by forwarders, a wiped witness, wrong words.
#pragma once
#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/roles/role-table.h"

namespace pgtandem::model {

enum class Arbiter : std::uint8_t { none, witness, hook };

/// Rules that can be broken on purpose, so that it is seen that the model finds it.
enum class Broken : std::uint8_t {
  nothing,
  term,           ///< R4: takes over before the term is over
  promise,        ///< R6: the standby's promise does not bind it
  sync,           ///< R4: takes over although the master went on without it
  higher_epoch,   ///< R7: a higher epoch does not fence
  stale_write,    ///< R4: goes on with a takeover although the witness has moved on
  agreement,      ///< R10: goes on alone although the standby refused
  hook,           ///< R11: goes on after a hook that failed
  silence_is_no,  ///< hard point 10: goes back after a hand-over that was not answered
  late_question,  ///< hard point 10: an old question to take over counts whatever the witness holds since
  restart,        ///< R0: authority survives the start of a process
  own_word,       ///< R11: the standby's hook does not wait for the master's word that it is joined
  count
};
const char* to_string(Broken broken);

struct Bounds {
  Arbiter arbiter = Arbiter::witness;
  int faults = 3;       ///< relays killed or frozen, hosts off, postmasters lost, lines cut
  int orders = 0;       ///< of operators: switchover of the server, fence, promote, bootstrap
  int generations = 4;  ///< of data: each takeover, and each going on alone, takes one
  bool writes = true;
  /// Any message may be lost at any time, and any node stand still, and that counts as no fault.
  bool lossy = false;
  Broken broken = Broken::nothing;
};

inline constexpr std::uint8_t kNoGeneration = 7;

enum class Step : std::uint8_t {
  none,
  asking_promise,
  finding_peer,
  fencing_peer,
  asking_consent,
  refusing_legs,
  clearing_backends,
  holding,
  asking_peer,
  loading,
  joining,
  mirroring,
  claiming,
  confirming,
  recording,
  running_hook,
  handing_over,
  naming_peer
};

enum class Kind : std::uint8_t {
  nothing,
  hello,
  ask_promise,
  agree_degrade,
  fence_yourself,
  join,
  take_over,
  answer
};
enum class Question : std::uint8_t { idle, writing, seen, written };
enum class Leg : std::uint8_t { none, sent, executing, answering, matched };
enum class Write : std::uint8_t { none, open, acknowledged, dropped };

using Byte = std::uint8_t;

struct Record {
  Byte epoch, master, generation, sync;
  bool operator==(const Record&) const = default;
};
struct Report {
  RoleState state;
  Byte epoch, highest, master, generation, parents, sync, eligible, postmaster, bootstrapping;
};
struct Message {
  Kind kind;
  Byte waited, epoch, generation, ok, promise;
  Byte taken;  ///< a request that is answered later
  Report report;
};
struct Swap {
  Byte on, can, waited, own;
  Record record;
};
struct NodeState {
  RoleState state;
  Step step;
  Byte up, postmaster, frozen;
  Byte asked;  ///< the question to the peer is waited for
  Byte open;   ///< the I/O threads release output
  Byte guests, bootstrapping;
  Byte epoch, highest, master, sync, eligible, fenced, generation, parents, promised_epoch,
      promised_to;         // durable
  Byte right, peer_right;  // R5, R6
  Byte current, known, wants;
  Record seen, wanted;
  Question question;
  Byte swapping, answer_current, answer_own, answer_void;
  Record answer;
  Byte claim_epoch, claim_generation, invited, cleared;
  RoleState from;
  Byte heard_joined;  ///< the newest report of the master says that it has recorded this node as joined
  Byte handed_epoch, lone_generation, legs_epoch, legs_below;
};
/// All bytes are values: two states are the same if their bytes are.
struct State {
  std::array<NodeState, 2> nodes;
  std::array<Message, 2> requests;  ///< from each node
  std::array<Message, 2> answers;   ///< to each node
  std::array<Swap, 4> swaps;        ///< two of each node
  Record witness;
  Byte own[2];      ///< the present record was written by that node's present life
  Byte void_right;  ///< the right that its writer counts from it is over
  Byte generations, faults, orders;
  Byte cut[2], cut_witness[2];  ///< from each node to the other; between each node and the witness
  Write write;
  Leg leg;
  Byte writer, write_epoch, holds[2], excused;
  Byte top, top_server;
};

struct Successor {
  State state;
  std::string_view what;
  Byte node;
};

/// What has been seen of the table.
struct Coverage {
  std::bitset<kEventKinds * kRoleStates> cells;
  std::bitset<kRoleStates> states;
};

State first_state(const Bounds& bounds);

/// Everything that may happen next. `broken` says which promise does not hold in one of them, or which change
/// of state the table does not know: then the last successor is the one.
void successors(const State& state, const Bounds& bounds, std::vector<Successor>& out, std::string& broken,
                Coverage& coverage);

std::string describe(const State& state);

}  // namespace pgtandem::model
