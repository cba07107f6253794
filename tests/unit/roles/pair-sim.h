/// Two role machines in memory with a manual clock: fake disks that lose what was not synced, a fake network,
/// fake floors, and clients that write and remember what was acknowledged. After every step the promises of
/// the roles are checked; broken ones are collected in `violations`.
#pragma once
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/roles/role-machine.h"
#include "common/roles/slot-store.h"
#include "tests/unit/roles/fake-slot-files.h"

namespace pgtandem::testing {

using WriteId = int;

/// The data of one server: what was committed there.
using Data = std::set<WriteId>;

struct SimNode {
  MachineSettings settings;
  FakeDisk disk;
  Data data;
  bool up = false;
  bool frozen = false;
  bool postmaster_up = true;
  bool backends_end = true;    ///< end_local_backends succeeds
  Milliseconds clock_skew{0};  ///< of the wall clock only
  std::unique_ptr<TwoSlotStore> store;
  std::unique_ptr<RoleMachine> machine;
  unsigned life = 0;  ///< rises with each start and crash: what belongs to an earlier life is dropped
  Grant in_force;     ///< what the I/O threads do
  Epoch legs_below = 0;
  bool stopped = false;   ///< the clean stop is done
  bool sessions = false;  ///< clients are connected, and go on while new ones wait
  int open_units = 0;     ///< writes that went out and are not decided
  int crash_after = -1;   ///< crashes when so many actions have been carried out; -1: never
  int actions = 0;
  std::vector<std::string> told;
  Slot durable;  ///< of durable_version: reading it anew at every step would take most of the time
  int durable_version = -1;
};

/// One answer to an operator.
struct Order {
  bool answered = false;
  CommandAnswer answer;
};

class PairSim {
 public:
  explicit PairSim(std::uint64_t seed = 1, bool flags_only = false);

  SimNode& node(Node which) { return nodes_[which == Node::a ? 0 : 1]; }
  SimNode& a() { return nodes_[0]; }
  SimNode& b() { return nodes_[1]; }
  RoleMachine& machine(Node which) { return *node(which).machine; }
  RoleState state(Node which) {
    return node(which).machine ? node(which).machine->state() : RoleState::recover;
  }

  void start(Node which);
  /// kill -9: the process is gone, unsynced bytes as well, clients are cut.
  void crash(Node which);
  void freeze(Node which) { node(which).frozen = true; }
  /// The process goes on; `still` is how long it stood.
  void thaw(Node which);
  void stop(Node which) { give(which, event::Stop{}); }
  /// Clean stop, until the process has ended.
  void stop_and_wait(Node which);
  void cut(bool cut) { link_cut_ = cut; }
  void lose_postmaster(Node which, bool with_open_units);
  void mend_postmaster(Node which);

  /// Something happens to a machine now; its actions are carried out.
  void give(Node which, Event event);
  std::shared_ptr<Order> order(Node which, OperatorCommand command);
  /// The order, and time until it is answered (at most 60 s).
  CommandAnswer ordered(Node which, OperatorCommand command);
  /// The forced promotion, with the words that the first refusal asks for.
  CommandAnswer promote_by_force(Node which, bool data_may_be_old = false);

  /// A client writes at a node; it is acknowledged at once, later, or never.
  WriteId write(Node which);
  bool acknowledged(WriteId id) const { return acknowledged_.contains(id); }
  /// A client writes wherever it is served, if anywhere.
  void write_anywhere();

  void run_for(Milliseconds time);
  /// False if it did not come true within `limit`.
  bool run_until(const std::function<bool()>& condition, Milliseconds limit = Milliseconds{30000});
  Now now(Node which) const;

  /// Both machines of a fresh pair: a is MASTER, b is STANDBY.
  void init_joined();
  /// The bootstrap from the active node onto the other; the answer to finish (or to begin, if that failed).
  CommandAnswer bootstrap(Node master);

  /// Durable, as a restart would find it.
  const Slot& durable(Node which);
  std::string describe();

  bool data_loss_accepted = false;  ///< an operator's word, or --data-may-be-old, allowed it
  std::vector<std::string> violations;
  std::mt19937_64 random;

 private:
  struct Later {
    Milliseconds at;
    std::uint64_t number;  ///< the order of equal times
    std::function<void()> what;
    bool operator<(const Later& other) const {
      return std::tie(at, number) < std::tie(other.at, other.number);
    }
  };
  struct Pending {
    WriteId id;
    Epoch epoch;
    unsigned life;
  };

  void later(Milliseconds delay, std::function<void()> what);
  void later_at(Node which, Milliseconds delay, std::function<void()> what);
  bool step(Milliseconds limit);
  void carry_out(Node which, std::vector<Action> actions);
  bool carry_out(Node which, const Action& action);
  void ask(Node which, Ticket ticket, PeerBody body, Milliseconds give_up);
  void greet(Node which);
  void beat(Node which);
  using Reply = std::function<void(const PeerAnswer&)>;
  void send(Node from, PeerRequest request, Reply reply);
  bool reachable(Node to);
  void tick(Node which);
  void decide_pending(Node which);
  void drop_clients(Node which);
  void acknowledge(Node which, WriteId id, Epoch epoch);
  void check();
  Milliseconds delay() { return Milliseconds{1 + int(random() % 4)}; }
  void fail(const std::string& what);

  std::array<SimNode, 2> nodes_;
  bool flags_only_;
  bool link_cut_ = false;
  Milliseconds time_{1'000'000};
  std::uint64_t numbers_ = 0;
  std::set<Later> agenda_;
  RequestId requests_ = 0;
  std::map<RequestId, Reply> replies_;
  std::map<RequestId, std::shared_ptr<Order>> orders_;
  std::array<std::vector<Pending>, 2> pending_;
  WriteId writes_ = 0;
  std::map<WriteId, Epoch> acknowledged_;
  std::map<Epoch, Node> masters_;  ///< who acknowledged in which epoch
};

}  // namespace pgtandem::testing
