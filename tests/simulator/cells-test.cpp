/// The table with a witness, a hook and the hand-over: whatever happens to a node in whatever state, it leads
/// only where the table says, and whoever asked is answered at most once.
#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "tests/simulator/world.h"

using namespace pgtandem;
using namespace pgtandem::simulator;
using namespace std::chrono_literals;

namespace {

constexpr RequestId kPeerRequest = 1'000'000'001;
constexpr RequestId kOrder = 1'000'000'002;

/// Events of every kind that comes from outside; with `ticket` for those that end something.
std::vector<Event> events_for(const RoleMachine& machine, const NodeReport& peer, Ticket ticket) {
  NodeReport later = peer;
  later.sequence += 1000;
  NodeReport higher = later;
  higher.epoch = higher.highest_seen = machine.slot().highest_seen + 3;
  NodeReport active = later;
  active.state = RoleState::alone;
  active.master = active.data_node = active.node;
  RoleRecord claim = machine.record();
  claim.epoch = machine.slot().highest_seen + 2;
  claim.master = peer.node;
  FenceYourself fence;
  fence.claim = claim;
  const Epoch epoch = machine.slot().epoch;
  const Uuid generation = machine.slot().lineage.generation;
  WitnessReply absent;
  absent.identity = machine.slot().witness;
  absent.revision = 1'000'000;
  WitnessReply foreign = absent;
  foreign.record = WitnessRecord{claim, claim.generation, 7};
  foreign.record_revision = 999'999;
  WitnessReply swapped = absent;
  swapped.swapped = true;
  std::vector<Event> events = {event::Start{},
                               event::Stop{},
                               event::Tick{},
                               event::StoreFailed{"full"},
                               event::StandbyFailed{"lost"},
                               event::Stalled{2s},
                               event::PostmasterLost{"gone"},
                               event::PostmasterBack{},
                               event::CopiesMayDiffer{"open"},
                               event::GuestsEnded{},
                               event::InForce{ticket},
                               event::SessionsEnded{ticket, true},
                               event::SessionsEnded{ticket, false},
                               event::LegsRefused{ticket},
                               event::BackendsEnded{ticket, true, ""},
                               event::BackendsEnded{ticket, false, "why"},
                               event::PeerReported{later, 1ms},
                               event::PeerReported{higher, 1ms},
                               event::PeerReported{active, 1ms},
                               event::PeerAnswered{ticket, {peer, true, false, ""}},
                               event::PeerAnswered{ticket, {peer, true, true, ""}},
                               event::PeerAnswered{ticket, {peer, false, false, "no"}},
                               event::PeerSilent{ticket},
                               event::RecordSeen{kOrder, claim},
                               event::WitnessAnswered{ticket, absent},
                               event::WitnessAnswered{ticket, foreign},
                               event::WitnessAnswered{ticket, swapped},
                               event::WitnessSilent{ticket, "away"},
                               event::HookConfirmed{ticket},
                               event::HookFailed{ticket, "no"}};
  for (const PeerBody& body : std::initializer_list<PeerBody>{
           Hello{}, AskPromise{claim.epoch, {}, false, false},
           AskPromise{claim.epoch, generation, false, false}, AskPromise{claim.epoch, {}, true, true},
           AgreeDegrade{epoch, generation}, fence, Leaving{true}, Leaving{false}, BootstrapTarget{},
           Join{false, epoch, generation}, Join{true, epoch, generation}, BootstrapDropped{},
           TakeOver{claim.epoch, false}, TakeOver{claim.epoch + 1, false}, TakeOver{0, true}}) {
    events.push_back(event::PeerAsked{kPeerRequest, {peer, body}});
    events.push_back(event::PeerAsked{kPeerRequest, {active, body}});
  }
  for (const OperatorCommand& command : std::initializer_list<OperatorCommand>{
           command::Init{machine.slot().node, true}, command::Promote{},
           command::Promote{true, "unknown", true}, command::Fence{}, command::GiveUp{},
           command::BootstrapBegin{"t", true}, command::BootstrapProgress{"x", "p", 1, 2, ""},
           command::BootstrapFinish{"x"}, command::BootstrapAbort{"x", "y"}, command::Switchover{true},
           command::Switchover{false}}) {
    events.push_back(event::Ordered{kOrder, command});
  }
  return events;
}

/// An event may bring a report, and time may bring its own; each may lead a step further.
bool table_allows(RoleState before, RoleState after, const Event& event) {
  const EventKind kinds[] = {kind_of(event),           EventKind::peer_report, EventKind::higher_epoch,
                             EventKind::right_expired, EventKind::term_over,   EventKind::long_silence};
  std::set<RoleState> reached = {before};
  for (int round = 0; round < 3; ++round) {
    for (const RoleState state : std::set<RoleState>(reached)) {
      for (const EventKind kind : kinds) {
        const auto next = next_states(reaction_to(kind, state));
        reached.insert(next.begin(), next.end());
      }
    }
  }
  return reached.contains(after);
}

int answers_in(const std::vector<Action>& actions) {
  return int(std::ranges::count_if(actions, [](const Action& action) {
    const auto* peer = std::get_if<action::AnswerPeer>(&action);
    const auto* command = std::get_if<action::AnswerCommand>(&action);
    return (peer != nullptr && peer->id == kPeerRequest) || (command != nullptr && command->id == kOrder);
  }));
}

using Cell = std::pair<RoleState, EventKind>;

void try_all(World& world, Node node, std::set<Cell>& cells) {
  const RoleMachine* machine = world.machine(node);
  const RoleMachine* peer = world.machine(other(node));
  if (machine == nullptr || peer == nullptr) return;
  const NodeReport report = RoleMachine(*peer).report();
  RoleMachine probe = *machine;
  const Ticket newest = probe.last_ticket();
  for (Ticket back = 0; back < 4 && back <= newest; ++back) {
    for (const Event& event : events_for(*machine, report, newest - back)) {
      RoleMachine copy = *machine;
      const RoleState before = copy.state();
      const std::vector<Action> actions = copy.handle(world.now(node), event);
      cells.emplace(before, kind_of(event));
      INFO(to_string(kind_of(event)) << " in " << to_string(before) << " led to " << to_string(copy.state())
                                     << " (" << copy.reason() << ")");
      REQUIRE(table_allows(before, copy.state(), event));
      REQUIRE(answers_in(actions) <= 1);
    }
  }
}

}  // namespace

TEST_CASE("with a witness, a hook and the hand-over, every event in every state leads where the table says") {
  std::set<Cell> cells;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    WorldOptions options;
    options.seed = seed;
    options.faults = 40;
    options.hand_over = true;
    options.arbiter = seed % 3 == 0 ? Arbiter::hook : seed % 3 == 1 ? Arbiter::witness : Arbiter::none;
    World world(options);
    world.set_up();
    world.start_faults();
    std::mt19937_64 random(seed);
    for (int i = 0; i < 60 && !world.broken(); ++i) {
      world.run_for(Milliseconds{1 + int(random() % (i % 2 == 0 ? 30 : 4000))});
      for (const Node node : {Node::a, Node::b}) try_all(world, node, cells);
    }
    REQUIRE_FALSE(world.broken());
  }
  // All that is not brought about by time or told apart by the machine itself.
  std::set<EventKind> from_outside;
  for (const auto& [state, kind] : cells) from_outside.insert(kind);
  CHECK(from_outside.size() == kEventKinds - 3);  // right_expired, term_over, long_silence
  for (std::size_t state = 0; state < kRoleStates; ++state) {
    INFO(to_string(RoleState(state)));
    CHECK(cells.contains({RoleState(state), EventKind::tick}));
  }
  CHECK(cells.size() == kRoleStates * from_outside.size());
}
