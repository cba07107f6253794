/// One thing that happens to one node of the model, and what the node does about it.
#pragma once
#include "common/roles/lineage.h"
#include "tests/model/model.h"

namespace pgtandem::model {

inline bool active(RoleState state) {
  return is_active(state);
}

inline bool holds(Byte mask, Byte generation) {
  return generation != kNoGeneration && ((mask >> generation) & 1) != 0;
}

/// compare_lineages, without "unrelated": all stems from the first generation.
inline Kinship kinship(Byte mine, Byte parents, const Report& report) {
  if (mine == kNoGeneration) return Kinship::mine_none;
  if (report.generation == kNoGeneration) return Kinship::theirs_none;
  if (mine == report.generation) return Kinship::same;
  if (holds(report.parents, mine)) return Kinship::mine_older;
  if (holds(parents, report.generation)) return Kinship::theirs_older;
  return Kinship::forked;
}

inline Node node_of(Byte n) {
  return n == 0 ? Node::a : Node::b;
}

class Turn {
 public:
  /// Node `n` of `state` is told of `event`.
  Turn(const State& state, const Bounds& bounds, Byte n, EventKind event, Coverage& coverage);
  /// Something that the table does not know: faults, the network, the witness.
  Turn(const State& state, const Bounds& bounds, Byte n, Coverage& coverage);

  State s;
  std::string broken;

  NodeState& me() { return s.nodes[n_]; }
  NodeState& peer() { return s.nodes[p_]; }
  Byte id() const { return n_; }

  // turn-peer.cpp
  void take_request();
  void take_answer();
  void be_silent();
  void in_force();
  void hand_over();
  void legs_refused();
  void backends_ended();
  void sessions_ended();
  void guests_ended();
  void promote();
  void bootstrap();
  void finish_load();
  void abort_load();
  void degrade();
  void freeze_by_hook();
  void stand_by_hook();
  void hook_ended(bool confirmed);
  void fence_by_order();

  // turn-witness.cpp
  void ask_witness(int place);
  void read_witness();
  void hear_witness(bool moved_if_unknown);
  void lose_answer();
  void take_over_by_term();
  void right_expired();
  void land(int place);

  // turn-world.cpp
  void kill_relay();
  void start_relay();
  void lose_postmaster(bool undone);
  void write();
  void move_leg();
  void release();
  void check();

  static bool may_release(const State& state, const Bounds& bounds, Byte n);
  static Byte server_of(const State& state, Byte n) { return state.nodes[n].guests ? Byte(1 - n) : n; }
  bool spare(int count = 1) const { return s.generations + count <= bounds_.generations; }
  /// The next epoch is within the bounds: what is asked in vain uses one up, and no generation.
  bool has_epoch() const { return next_epoch() <= 2 * bounds_.generations; }
  bool has_witness() const { return bounds_.arbiter == Arbiter::witness; }
  bool has_hook() const { return bounds_.arbiter == Arbiter::hook; }
  bool breaks(Broken rule) const { return bounds_.broken == rule; }
  bool claims() const {
    return has_witness() && (own().step == Step::claiming || own().step == Step::confirming);
  }
  static bool entitled(const NodeState& node, Byte n, const Bounds& bounds);
  static bool mirrored(const NodeState& node);

 private:
  const NodeState& own() const { return s.nodes[n_]; }
  void begin(EventKind event);
  void fail(const std::string& what) {
    if (broken.empty()) broken = what;
  }
  void enter(RoleState next);
  void see(Byte epoch) {
    if (epoch > me().highest) me().highest = epoch;
  }
  void forget_question();
  void ask(Kind kind, Byte epoch, Byte generation);
  void reply(bool ok, bool promise = false);
  Report report_of(Byte n) const;
  void adopt(const Report& report);
  void stay_stale(const Report& report);
  void next_generation(Byte generation);
  Byte new_generation() { return s.generations++; }
  Byte next_epoch() const;
  void be_master_of(Byte epoch);
  void fence();
  void attend();
  bool joined_to(const Report& report) const;
  bool is_bound() const;

  void hear(const Report& report);
  void decide(const Report& report);
  void check_joined(const Report& report);
  void check_standby(const Report& report);
  void answer_greeting(bool promise);
  void promise(const Message& request);
  void agree(const Message& request);
  void yield_or_confirm(const Message& request);
  void take_join(const Message& request);
  void take_over(const Message& request);
  void step(const Message* answer);
  void step_claim(const Message* answer);
  void step_promotion(const Message* answer);
  void step_degrade(const Message* answer);
  void step_drain(const Message* answer);
  void found_peer(const Report& report);
  void found_silence();
  void ask_to_fence();
  void clear_way(bool by_peer);
  void begin_candidacy();
  void claim_takeover();
  void fall_back();
  void finish_takeover();
  void finish_invited();
  void go_alone();
  void become_guest_host();
  void complete_join();

  void want(Record record);
  void term_is_over();
  void promise_is_over();
  void take_witness(bool written, bool refused);
  void takeover_refused();
  void snapshot();
  void forget_answer();
  static void clear(Swap& swap) { swap = {}; }

  void drop_write();
  void end_backends();

  const Bounds& bounds_;
  Coverage& coverage_;
  Byte n_;
  Byte p_;
  bool in_event_ = false;
  Reaction reaction_{};
};

}  // namespace pgtandem::model
