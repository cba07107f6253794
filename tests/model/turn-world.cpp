/// Around the nodes: faults, the one write, and what has to hold whatever happens.
#include "tests/model/turn.h"

namespace pgtandem::model {

Turn::Turn(const State& state, const Bounds& bounds, Byte n, Coverage& coverage)
    : s(state), bounds_(bounds), coverage_(coverage), n_(n), p_(Byte(1 - n)) {}

Turn::Turn(const State& state, const Bounds& bounds, Byte n, EventKind event, Coverage& coverage)
    : Turn(state, bounds, n, coverage) {
  begin(event);
}

void Turn::begin(EventKind event) {
  in_event_ = true;
  reaction_ = reaction_to(event, me().state);
  coverage_.cells.set(std::size_t(event) * kRoleStates + std::size_t(me().state));
}

void Turn::drop_write() {
  if (s.write != Write::open || s.writer != n_) return;
  s.write = Write::dropped;
  if (s.leg != Leg::executing) s.leg = Leg::none;
}

/// Of the sessions of the other relay, on this node's server.
void Turn::end_backends() {
  if (s.leg == Leg::executing && s.writer == p_) s.leg = Leg::none;
}

void Turn::kill_relay() {
  ++s.faults;
  drop_write();
  if (s.writer == n_ || (s.writer == p_ && s.leg == Leg::sent)) s.leg = Leg::none;
  forget_question();
  forget_answer();
  const NodeState old = me();
  s.answers[n_] = {};
  if (s.requests[p_].taken) s.requests[p_] = {};
  for (const std::size_t i : {2U * n_, 2U * n_ + 1U}) s.swaps[i].own = 0;
  s.own[n_] = 0;
  NodeState& node = me();
  node = {};
  node.postmaster = old.postmaster;
  node.epoch = old.epoch;
  node.highest = old.highest;
  node.master = old.master;
  node.sync = old.sync;
  node.eligible = old.eligible;
  node.fenced = old.fenced;
  node.generation = old.generation;
  node.parents = old.parents;
  node.promised_epoch = old.promised_epoch;
  node.promised_to = old.promised_to;
  node.legs_below = old.epoch;
  if (breaks(Broken::restart) && old.state == RoleState::alone) {
    node.state = old.state;
    node.open = 1;
    node.peer_right = 1;
  }
}

void Turn::start_relay() {
  me().up = 1;
}

/// `undone`: what ran there and nobody was told of is not there afterwards.
void Turn::lose_postmaster(bool undone) {
  me().postmaster = 0;
  end_backends();
  if (!undone || s.write != Write::open || s.writer != n_) return;
  s.holds[n_] = 0;
  s.write_epoch = 0;  // only the other server can still have it
}

bool Turn::mirrored(const NodeState& node) {
  return node.sync || node.step == Step::mirroring || node.step == Step::recording;
}

void Turn::write() {
  s.write = Write::open;
  s.writer = n_;
  s.write_epoch = me().epoch;
  if (me().guests) {
    s.leg = Leg::sent;
    return;
  }
  s.holds[n_] = 1;
  s.leg = mirrored(me()) ? Leg::sent : Leg::none;
}

/// One step of the write on its way to the other server and back; `n` is where it happens.
void Turn::move_leg() {
  switch (s.leg) {
    case Leg::sent:
      s.leg = Leg::executing;
      return;
    case Leg::executing:
      s.holds[n_] = 1;
      s.leg = me().up && s.write == Write::open ? Leg::answering : Leg::none;
      return;
    case Leg::answering:
      s.leg = Leg::matched;
      return;
    default:
      return;
  }
}

void Turn::release() {
  if (!me().guests && me().sync && !s.holds[p_]) fail("acknowledged as joined, but the standby misses it");
  s.write = Write::acknowledged;
  if (s.leg != Leg::executing) s.leg = Leg::none;
}

bool Turn::may_release(const State& state, const Bounds& bounds, Byte n) {
  const NodeState& node = state.nodes[n];
  const bool right = bounds.arbiter != Arbiter::witness || node.right || node.peer_right;
  return node.up && !node.frozen && ((node.open && right) || node.guests);
}

void Turn::check() {
  const bool both = may_release(s, bounds_, 0) && may_release(s, bounds_, 1);
  if (both && server_of(s, 0) != server_of(s, 1)) fail("two masters may acknowledge at a time");
  for (const Byte n : {Byte(0), Byte(1)}) {
    if (!may_release(s, bounds_, n)) continue;
    const Byte epoch = s.nodes[n].epoch;
    const Byte server = server_of(s, n);
    if (epoch < s.top && server != s.top_server) {
      fail("a master of epoch " + std::to_string(epoch) + " may acknowledge after one of epoch " +
           std::to_string(s.top));
    }
    if (epoch > s.top) {
      s.top = epoch;
      s.top_server = server;
    }
    if (s.write == Write::acknowledged && !s.excused && !s.holds[server])
      fail("an acknowledged write is missing on the server that serves");
  }
}

}  // namespace pgtandem::model
