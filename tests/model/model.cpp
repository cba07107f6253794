#include "tests/model/model.h"

#include <sstream>

#include "tests/model/turn.h"

namespace pgtandem::model {
namespace {

constexpr Byte kNodes[] = {0, 1};

/// Collects what may happen to one node in one state.
class Choices {
 public:
  Choices(const State& state, const Bounds& bounds, std::vector<Successor>& out, std::string& broken,
          Coverage& coverage)
      : state_(state), bounds_(bounds), out_(out), broken_(broken), coverage_(coverage) {}

  void all() {
    for (const Byte n : kNodes) {
      peer(n);
      if (bounds_.arbiter == Arbiter::witness) witness(n);
      floor(n);
      if (bounds_.arbiter == Arbiter::hook) hook(n);
      if (state_.orders < bounds_.orders) operators(n);
      faults(n);
      if (bounds_.writes) writes(n);
    }
  }

 private:
  const NodeState& node(Byte n) const { return state_.nodes[n]; }
  bool runs(Byte n) const { return node(n).up && !node(n).frozen; }
  bool hears_peer(Byte n) const { return runs(n) && !state_.cut[1 - n]; }
  /// Whether the other node can be silent for as long as anybody waits.
  bool may_be_silent(Byte n) const {
    return bounds_.lossy || !runs(Byte(1 - n)) || state_.cut[0] || state_.cut[1];
  }
  bool may_lose_question(Byte n) const {
    const bool lost = !(state_.requests[n].waited && !state_.requests[n].taken) && !state_.answers[n].waited;
    return may_be_silent(n) || lost || node(Byte(1 - n)).state == RoleState::fenced;
  }
  bool may_lose_witness(Byte n) const { return bounds_.lossy || state_.cut_witness[n]; }
  bool has_epoch(Byte n) const { return Turn(state_, bounds_, n, coverage_).has_epoch(); }
  bool renews(Byte n) const { return is_active(node(n).state) && node(n).step != Step::handing_over; }
  /// Whether a whole term can pass without a change of what this node knows of the witness' key.
  bool term_may_pass(Byte n) const {
    const Byte p = Byte(1 - n);
    return bounds_.lossy || state_.cut_witness[n] || state_.cut_witness[p] || !runs(p) || !renews(p);
  }
  bool right_may_expire(Byte n) const {
    return bounds_.lossy || (state_.cut_witness[n] && may_be_silent(n)) || node(n).step == Step::handing_over;
  }
  bool spare(int count = 1) const { return state_.generations + count <= bounds_.generations; }

  template <typename Do>
  void turn(std::string_view what, Byte n, EventKind event, Do&& act) {
    add(what, n, Turn(state_, bounds_, n, event, coverage_), act);
  }
  template <typename Do>
  void change(std::string_view what, Byte n, Do&& act) {
    add(what, n, Turn(state_, bounds_, n, coverage_), act);
  }
  template <typename Do>
  void add(std::string_view what, Byte n, Turn turn, Do& act) {
    if (!broken_.empty()) return;
    act(turn);
    turn.check();
    out_.push_back({turn.s, what, n});
    broken_ = turn.broken;
  }

  void peer(Byte n) {
    const Byte p = Byte(1 - n);
    const NodeState& me = node(n);
    if (!runs(n)) return;
    // Both greet, and a greeting is answered with the same report: one direction is enough.
    const bool greets = is_active(me.state) || (!is_active(node(p).state) && n == 0);
    const bool reaches = node(p).up && !state_.cut[n];  // what is sent later comes to nothing new
    if (state_.requests[n].kind == Kind::nothing && greets && reaches) {
      change("greets", n, [](Turn& turn) {
        turn.s.requests[turn.id()] = {Kind::hello, 0, 0, 0, 0, 0, 0, {}};
        const NodeState& from = turn.me();
        turn.s.requests[turn.id()].report = {from.state,      from.epoch,        from.highest, from.master,
                                             from.generation, from.parents,      from.sync,    from.eligible,
                                             from.postmaster, from.bootstrapping};
      });
    }
    const Message& request = state_.requests[p];
    // Where an answer may take a generation, there must be one.
    if (request.kind != Kind::nothing && !request.taken && hears_peer(n))
      change("hears a request", n, [](Turn& t) { t.take_request(); });
    const bool needs = me.asked && (me.step == Step::joining || me.step == Step::handing_over ||
                                    (me.step == Step::asking_peer && bounds_.arbiter != Arbiter::witness));
    if (state_.answers[n].kind != Kind::nothing && hears_peer(n) && (!needs || spare()))
      change("hears an answer", n, [](Turn& t) { t.take_answer(); });
    if (me.asked && may_lose_question(n) && (!needs || spare()))
      change("hears no answer", n, [](Turn& t) { t.be_silent(); });
  }

  void witness(Byte n) {
    const NodeState& me = node(n);
    const bool reached = runs(n) && !state_.cut_witness[n];
    if (reached && (me.question == Question::seen || me.question == Question::written)) {
      change("hears the witness", n, [](Turn& t) { t.hear_witness(true); });
      const bool unknown = me.known && !me.current && !me.answer_current;
      if (unknown) change("hears the witness", n, [](Turn& t) { t.hear_witness(false); });
    }
    for (const int place : {2 * n, 2 * n + 1}) {
      const Swap& swap = state_.swaps[std::size_t(place)];
      if (!swap.on) continue;
      if (!state_.cut_witness[n]) change("its write arrives", n, [place](Turn& t) { t.land(place); });
      if (!swap.waited)
        change("its write is lost", n, [place](Turn& t) { t.s.swaps[std::size_t(place)] = {}; });
    }
    if (me.question != Question::idle && runs(n) && may_lose_witness(n))
      change("hears no witness", n, [](Turn& t) { t.lose_answer(); });
    if (!runs(n)) return;
    const bool renews = this->renews(n);
    const bool reads = me.state == RoleState::recover || me.state == RoleState::standby ||
                       me.state == RoleState::candidate ||
                       (me.state == RoleState::stale && state_.orders < bounds_.orders);
    if (me.question == Question::idle) {
      if (me.known && (me.wants || renews)) {
        for (const int place : {2 * n, 2 * n + 1}) {
          if (state_.swaps[std::size_t(place)].on) continue;
          change("writes to the witness", n, [place](Turn& t) { t.ask_witness(place); });
          break;
        }
      } else if (reached && (me.wants || renews || reads)) {
        change("reads the witness", n, [](Turn& t) { t.read_witness(); });
      }
    }
    if (is_active(me.state) && right_may_expire(n))
      turn("right_expired", n, EventKind::right_expired, [](Turn& t) { t.right_expired(); });
    if (Turn::entitled(me, n, bounds_) && term_may_pass(n) && spare())
      turn("term_over", n, EventKind::term_over, [](Turn& t) { t.take_over_by_term(); });
  }

  void floor(Byte n) {
    const NodeState& me = node(n);
    if (!runs(n)) return;
    const NodeState& standby = node(Byte(1 - n));
    const bool fails = may_be_silent(n) || !standby.postmaster || standby.state != RoleState::standby;
    if (me.state == RoleState::master && fails && spare())
      turn("standby_failed", n, EventKind::standby_failed, [](Turn& t) { t.degrade(); });
    const bool can_hand_over = me.state == RoleState::master && me.sync && spare() && has_epoch(n);
    if (can_hand_over && !me.postmaster)
      turn("postmaster_lost", n, EventKind::postmaster_lost, [](Turn& t) { t.hand_over(); });
    const bool holds =
        (me.state == RoleState::degrading || me.state == RoleState::draining) && me.step == Step::holding;
    if ((holds && spare()) || me.step == Step::mirroring)
      turn("in_force", n, EventKind::in_force, [](Turn& t) { t.in_force(); });
    if (me.step == Step::refusing_legs)
      turn("legs_refused", n, EventKind::legs_refused, [](Turn& t) { t.legs_refused(); });
    if (me.step == Step::clearing_backends)
      turn("backends_ended", n, EventKind::backends_ended, [](Turn& t) { t.backends_ended(); });
    if (me.state == RoleState::fenced)
      turn("sessions_ended", n, EventKind::sessions_ended, [](Turn& t) { t.sessions_ended(); });
    if (me.guests) turn("guests_ended", n, EventKind::guests_ended, [](Turn& t) { t.guests_ended(); });
    if (me.step != Step::loading) return;
    const NodeState& target = node(Byte(1 - n));
    if (target.up && target.postmaster && me.postmaster && target.state == RoleState::bootstrap)
      turn("bootstrap_finish", n, EventKind::bootstrap_finish, [](Turn& t) { t.finish_load(); });
    turn("bootstrap_abort", n, EventKind::bootstrap_abort, [](Turn& t) { t.abort_load(); });
  }

  void hook(Byte n) {
    const NodeState& me = node(n);
    if (!runs(n)) return;
    if (me.state == RoleState::master && me.sync && may_be_silent(n) && spare())
      turn("long_silence", n, EventKind::long_silence, [](Turn& t) { t.freeze_by_hook(); });
    const bool heard = me.heard_joined || bounds_.broken == Broken::own_word;
    const bool stands = me.state == RoleState::standby && me.step == Step::none && me.eligible && heard;
    if (stands && me.postmaster && may_be_silent(n) && spare())
      turn("long_silence", n, EventKind::long_silence, [](Turn& t) { t.stand_by_hook(); });
    if (me.step != Step::running_hook || (me.state == RoleState::degrading && !spare())) return;
    turn("hook_confirmed", n, EventKind::hook_confirmed, [n, this](Turn& t) {
      const Byte p = Byte(1 - n);
      Turn off(t.s, bounds_, p, coverage_);
      if (off.me().up) off.kill_relay();
      off.lose_postmaster(false);
      t.s = off.s;
      t.s.faults = state_.faults;  // it is none
      t.hook_ended(true);
    });
    turn("hook_failed", n, EventKind::hook_failed, [](Turn& t) { t.hook_ended(false); });
  }

  void operators(Byte n) {
    const NodeState& me = node(n);
    const NodeState& other = node(Byte(1 - n));
    if (!runs(n)) return;
    if (me.state == RoleState::master && me.sync && spare() && has_epoch(n))
      turn("switchover", n, EventKind::switchover, [](Turn& t) {
        ++t.s.orders;
        t.hand_over();
      });
    if (is_active(me.state)) turn("fence", n, EventKind::fence, [](Turn& t) { t.fence_by_order(); });
    const bool stands =
        me.state == RoleState::standby || me.state == RoleState::recover || me.state == RoleState::stale;
    if (stands && me.postmaster && me.step == Step::none && spare())
      turn("promote", n, EventKind::promote, [](Turn& t) { t.promote(); });
    const bool kin = other.generation == kNoGeneration || other.generation == me.generation ||
                     ((me.parents >> other.generation) & 1) != 0;
    const bool target = other.up && other.postmaster && other.step == Step::none && me.epoch >= other.epoch &&
                        kin && (other.state == RoleState::stale || other.state == RoleState::recover);
    if (me.state == RoleState::alone && me.postmaster && me.step == Step::none && target && spare())
      turn("bootstrap_begin", n, EventKind::bootstrap_begin, [](Turn& t) { t.bootstrap(); });
  }

  void faults(Byte n) {
    const NodeState& me = node(n);
    if (!me.up) change("relay starts", n, [](Turn& t) { t.start_relay(); });
    if (!me.postmaster) change("postmaster starts", n, [](Turn& t) { t.me().postmaster = 1; });
    if (me.frozen) change("relay goes on", n, [](Turn& t) { t.me().frozen = 0; });
    if (state_.cut[n]) change("line to the other node mended", n, [](Turn& t) { t.s.cut[t.id()] = 0; });
    if (state_.cut_witness[n])
      change("line to the witness mended", n, [](Turn& t) { t.s.cut_witness[t.id()] = 0; });
    if (state_.faults >= bounds_.faults) return;
    if (!bounds_.lossy) lines(n);
    if (me.up) change("fault: relay killed", n, [](Turn& t) { t.kill_relay(); });
    const bool open = state_.write == Write::open && state_.writer == n && state_.holds[n];
    for (const bool undone : {false, true}) {
      if (!me.postmaster || (undone && !open)) continue;
      change("fault: postmaster lost", n, [undone](Turn& t) {
        ++t.s.faults;
        t.lose_postmaster(undone);
      });
      if (!me.up) continue;
      change("fault: host off", n, [undone](Turn& t) {
        t.lose_postmaster(undone);
        t.kill_relay();
      });
    }
  }

  void lines(Byte n) {
    if (!state_.cut[n]) {
      change("fault: line to the other node cut, this way", n, [](Turn& t) {
        ++t.s.faults;
        t.s.cut[t.id()] = 1;
      });
      if (n == 0 && !state_.cut[1]) {
        change("fault: line between the nodes cut", n, [](Turn& t) {
          ++t.s.faults;
          t.s.cut[0] = t.s.cut[1] = 1;
        });
      }
    }
    if (bounds_.arbiter == Arbiter::witness && !state_.cut_witness[n]) {
      change("fault: line to the witness cut", n, [](Turn& t) {
        ++t.s.faults;
        t.s.cut_witness[t.id()] = 1;
      });
    }
    if (!runs(n)) return;
    change("fault: relay frozen", n, [](Turn& t) {
      ++t.s.faults;
      t.me().frozen = 1;
    });
  }

  void writes(Byte n) {
    const NodeState& me = node(n);
    const bool releases = Turn::may_release(state_, bounds_, n);
    const bool serves = releases && !me.guests && me.postmaster && !me.bootstrapping &&
                        (me.state == RoleState::master || me.state == RoleState::alone);
    if (state_.write == Write::none && (serves || (releases && me.guests)))
      change("a client writes", n, [](Turn& t) { t.write(); });
    const NodeState& from = node(state_.writer);
    const bool at_standby = state_.writer != n && me.postmaster;
    if (state_.leg == Leg::sent && at_standby && hears_peer(n) && from.legs_epoch >= me.legs_below)
      change("the write reaches this server", n, [](Turn& t) { t.move_leg(); });
    if (state_.leg == Leg::executing && at_standby)
      change("the write is done here", n, [](Turn& t) { t.move_leg(); });
    if (state_.leg == Leg::answering && state_.writer == n && hears_peer(n))
      change("the standby's answer comes", n, [](Turn& t) { t.move_leg(); });
    if (state_.write != Write::open || state_.writer != n || !releases) return;
    const bool guest = me.guests && state_.leg == Leg::matched;
    const bool own = !me.guests && state_.write_epoch == me.epoch && me.postmaster &&
                     (!Turn::mirrored(me) || state_.leg == Leg::matched);
    if (guest || own) change("the write is acknowledged", n, [](Turn& t) { t.release(); });
  }

  const State& state_;
  const Bounds& bounds_;
  std::vector<Successor>& out_;
  std::string& broken_;
  Coverage& coverage_;
};

}  // namespace

bool Turn::entitled(const NodeState& node, Byte n, const Bounds& bounds) {
  if (node.state != RoleState::standby || node.step != Step::none || !node.known || !node.eligible ||
      !node.postmaster)
    return false;
  const bool joined = (node.seen.sync || bounds.broken == Broken::sync) && node.seen.epoch == node.epoch &&
                      node.seen.master == node.master &&
                      (node.seen.generation == node.generation || bounds.broken == Broken::sync);
  return joined || node.seen.master == n;
}

State first_state(const Bounds& bounds) {
  State state{};
  state.generations = 1;
  state.top = 1;
  for (NodeState& node : state.nodes) {
    node.up = node.postmaster = 1;
    node.epoch = node.highest = node.legs_below = 1;
    node.sync = node.eligible = 1;
    if (bounds.arbiter != Arbiter::witness) continue;
    node.current = node.known = 1;
    node.seen = {1, 0, 0, 1};
  }
  NodeState& master = state.nodes[0];
  master.state = RoleState::master;
  master.open = 1;
  master.legs_epoch = 1;
  state.nodes[1].state = RoleState::standby;
  if (bounds.arbiter != Arbiter::witness) return state;
  master.right = 1;
  state.witness = {1, 0, 0, 1};
  state.own[0] = 1;
  return state;
}

void successors(const State& state, const Bounds& bounds, std::vector<Successor>& out, std::string& broken,
                Coverage& coverage) {
  out.clear();
  Choices(state, bounds, out, broken, coverage).all();
}

std::string describe(const State& state) {
  std::ostringstream text;
  for (const Byte n : kNodes) {
    const NodeState& node = state.nodes[n];
    text << (n == 0 ? "a: " : " b: ") << pgtandem::to_string(node.state) << '/' << int(node.step) << " e"
         << int(node.epoch) << '^' << int(node.highest) << " g" << int(node.generation) << " m"
         << int(node.master) << (node.sync ? " sync" : "") << (node.eligible ? " eligible" : "")
         << (node.fenced ? " fenced" : "") << (node.up ? "" : " down")
         << (node.postmaster ? "" : " no-server") << (node.open ? " open" : "")
         << (node.right ? " right" : "") << (node.peer_right ? " promise" : "")
         << (node.guests ? " guests" : "") << ';';
  }
  text << " witness e" << int(state.witness.epoch) << " m" << int(state.witness.master) << " g"
       << int(state.witness.generation) << (state.witness.sync ? " sync" : "") << "; write "
       << int(state.write) << '/' << int(state.leg) << " on " << int(state.holds[0]) << int(state.holds[1]);
  return text.str();
}

const char* to_string(Broken broken) {
  constexpr std::array kNames = {"nothing",       "term",          "promise",   "sync",
                                 "higher_epoch",  "stale_write",   "agreement", "hook",
                                 "silence_is_no", "late_question", "restart",   "own_word"};
  static_assert(kNames.size() == std::size_t(Broken::count));
  return kNames[std::size_t(broken)];
}

}  // namespace pgtandem::model
