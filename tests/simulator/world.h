/// A pair, its witness or hook, its forwarder and its clients, simulated from a seed: real role machines and
/// slot stores, the real follower, and models of everything around them. One event after the other; the true
/// time in milliseconds is known here only, each host has a clock of its own that runs a little off.
///
/// After every step the promises of docs/states.md and of the mission are checked (world-checks.cpp); what is
/// broken is kept in violations(), with what led to it in trace().
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "client-forwarder/follower.h"
#include "common/roles/role-machine.h"
#include "tests/simulator/agenda.h"
#include "tests/unit/roles/fake-slot-files.h"

namespace pgtandem::simulator {

enum class Arbiter { none, witness, hook };

/// What becomes of a fencing hook that is called (R11). `unconfirmed`: the other host is off, and the hook
/// says that it failed. `late`: it is given up after its time, and the power switch acts yet.
enum class HookDoes : std::uint8_t { confirms, fails, hangs, unconfirmed, late };

struct WorldOptions {
  std::uint64_t seed = 1;
  int faults = 20;
  bool trace = false;              ///< print every step to stdout as it happens
  std::optional<Arbiter> arbiter;  ///< else by the seed
  std::optional<bool> hand_over;   ///< else by the seed
  bool operators = true;           ///< promote, fence, switchover, and repairs while faults go on
};

/// The ends of links.
enum class Site : std::uint8_t { a, b, witness, office };
inline constexpr std::size_t kSites = 4;

using WriteId = std::uint32_t;

/// What one server has committed.
class Data {
 public:
  void insert(WriteId id) {
    if (id >= has_.size()) has_.resize(id + 64, false);
    has_[id] = true;
  }
  void erase(WriteId id) {
    if (id < has_.size()) has_[id] = false;
  }
  bool contains(WriteId id) const { return id < has_.size() && has_[id]; }

 private:
  std::vector<bool> has_;
};

/// A host with its relay and its postmaster.
struct Host {
  Node node = Node::none;
  MachineSettings settings;
  double rate = 1;        ///< of its clock, against the true time
  Milliseconds since{0};  ///< true time from which this rate holds
  Milliseconds shown{0};  ///< what its clock showed then
  testing::FakeDisk disk;
  Slot durable;              ///< what a restart would find, as of durable_version
  int durable_version = -1;  ///< of the disk
  std::unique_ptr<TwoSlotStore> store;
  std::unique_ptr<RoleMachine> machine;
  unsigned life = 0;  ///< of the relay's process: rises with each start and end
  bool up = false;
  bool frozen = false;
  Milliseconds frozen_at{0};
  std::deque<std::function<void()>> on_thaw;
  bool stopped = false;
  HookDoes hook = HookDoes::confirms;  ///< of this host, against the other one
  int crash_after = -1;                ///< the process dies after so many actions; below 0: never
  std::uint64_t wake = 0;

  Grant in_force;
  Milliseconds grant_at{0};     ///< when the last grant comes into force
  Milliseconds right_until{0};  ///< on its own clock
  bool io_stalled = false;      ///< the I/O threads stood still and wait for the next grant
  Epoch legs_below = 0;
  Epoch legs_epoch = 0;  ///< of the legs that sessions here have to the other server

  bool postmaster = false;
  unsigned backends = 0;  ///< rises when all backends have ended: what they were executing is undone
  Data data;
  bool gave_up = false;
  bool word_pending = false;  ///< an operator's words stand behind what it claims at the witness
};

struct WitnessServer {
  bool up = true;
  Uuid identity;
  std::uint64_t revision = 1;
  std::uint64_t key_revision = 0;
  std::optional<WitnessRecord> record;
};

class World {
 public:
  explicit World(WorldOptions options);

  /// The pair is set up, the faults happen, everything is mended; false where a promise was broken.
  bool run();

  const std::vector<std::string>& violations() const { return violations_; }
  int faults_done() const { return faults_done_; }
  std::size_t acknowledged() const { return acknowledged_.size(); }
  std::size_t takeovers() const { return takeovers_; }
  std::string describe();

  // For the exhaustive mode: single faults and the passing of time.
  void set_up();
  void run_for(Milliseconds time);
  void fault(int kind, Node where, Milliseconds duration);
  void finish();
  void start_faults() { plan_faults(Milliseconds{0}); }
  bool broken() const { return !violations_.empty(); }
  /// Null while that relay is down.
  const RoleMachine* machine(Node node) { return host(node).up ? host(node).machine.get() : nullptr; }
  Now now(Node node) { return now(host(node)); }
  static constexpr int kFaultKinds = 24;
  static const char* fault_name(int kind);

 private:
  /// A write that went out and is not decided.
  struct Unit {
    WriteId id = 0;
    Epoch epoch = 0;
    bool standby_done = false;
    bool own_done = false;
  };
  using PeerReply = std::function<void(const PeerAnswer&)>;

  // world.cpp: time, network, processes
  void later(Milliseconds delay, std::function<void()> what);
  void at_host(Host& host, Milliseconds delay, std::function<void()> what);
  void send(Site from, Site to, std::function<void()> arrive);
  bool step(Milliseconds limit);
  Milliseconds local(const Host& host) const;
  Milliseconds true_time(const Host& host, Milliseconds at) const;
  Now now(const Host& host) const;
  Host& host(Node node) { return hosts_[node == Node::a ? 0 : 1]; }
  Host& other_host(const Host& host_) { return host(other(host_.node)); }
  static Site site(const Host& host) { return host.node == Node::a ? Site::a : Site::b; }
  int pick(int from, int to) { return std::uniform_int_distribution<int>(from, to)(random_); }
  bool chance(int percent) { return pick(1, 100) <= percent; }
  Uuid make_uuid();
  void start_relay(Host& host);
  void end_relay(Host& host, bool torn);
  void start_postmaster(Host& host);
  void end_postmaster(Host& host);
  void power_off(Host& host);
  void power_on(Host& host);
  void freeze(Host& host);
  void thaw(Host& host);
  void trace(const std::string& text);

  // world-driver.cpp: what the keeper does
  void give(Host& host, Event event);
  void plan_wake(Host& host);
  void carry_out(Host& host, std::vector<Action> actions);
  bool carry_out(Host& host, const Action& action);
  void drop(Host& host, const Action& action);
  void ask(Host& host, Ticket ticket, PeerBody body, Milliseconds give_up);
  void send_request(Host& from, PeerRequest request, PeerReply reply);
  void greet(Host& host);
  void beat(Host& host);
  void ask_witness(Host& host, Ticket ticket, std::optional<action::SwapWitness> swap, Milliseconds patience);
  void run_hook(Host& host, Ticket ticket);
  void hook_powers_off(Host& host);
  void probe_postmaster(Host& host);

  // world-clients.cpp: sessions, forwarder, operators
  bool may_release(const Host& host) const;
  void write_at(Host& host);
  void send_leg(Host& host, WriteId id);
  void leg_answered(Host& host, WriteId id);
  void standby_lost(Host& host, const std::string& why);
  void decide_units(Host& host);
  void drop_units(Host& host);
  void end_sessions(Host& host, const action::EndSessions& end);
  void client();
  void watch_relays();
  void report_to_forwarder(Host& host);
  void order(Host& host, OperatorCommand command, std::function<void(const CommandAnswer&)> answered);
  void operate();
  void promote(Host& host);
  void excuse(const Host& kept);
  void bootstrap(Host& master);
  void bootstrap_step(Host& master, std::string lease, int steps);

  // world-faults.cpp
  void plan_faults(Milliseconds settle);
  void heal();
  void cut(Site from, Site to, Milliseconds duration);
  void change_hooks();
  Milliseconds fault_duration();
  void remove_witness();
  void insist(Host& host);
  bool is_served() const;

  // world-checks.cpp
  void fail(const std::string& what);
  void acknowledge(Host& host, WriteId id, Epoch epoch, const Host& where);
  void answer_read(Host& host);
  void check_grant(Host& host);
  void check_record(Host& host, const Slot& slot);
  void check_copy(Host& master, Host& target);
  void check_end();
  const Slot& durable(Host& host);

  WorldOptions options_;
  std::mt19937_64 random_;
  Arbiter arbiter_ = Arbiter::none;
  std::array<Host, 2> hosts_;
  WitnessServer witness_;
  bool cut_[kSites][kSites] = {};
  int loss_[kSites][kSites] = {};  ///< per cent
  int slow_[kSites][kSites] = {};  ///< up to so many ms more
  int duplicates_ = 0;             ///< per cent

  Milliseconds time_{1'000'000};
  Agenda agenda_;
  RequestId requests_ = 0;
  std::map<RequestId, PeerReply> replies_;
  std::map<RequestId, std::function<void(const CommandAnswer&)>> orders_;
  std::array<std::deque<Unit>, 2> units_;

  Follower follower_;
  Epoch followed_ = 0;

  WriteId writes_ = 0;
  bool clients_on_ = false;
  bool operators_on_ = false;
  bool bootstrapping_ = false;
  bool word_given_ = false;  ///< an operator said of a host that it is off, without a witness
  bool forked_seen_ = false;
  bool witness_lost_ = false;  ///< wiped: only operators can help
  std::map<WriteId, Epoch> acknowledged_;
  std::vector<bool> excused_;  ///< given up by an operator's explicit word
  std::map<Epoch, Node> acknowledging_;
  Epoch latest_ = 0;  ///< highest epoch that acknowledged anything
  int faults_done_ = 0;
  std::size_t takeovers_ = 0;
  Milliseconds served_at_{0};

  std::vector<std::string> violations_;
};

}  // namespace pgtandem::simulator
