#include "tests/simulator/exhaustive.h"

#include <chrono>
#include <numeric>

#include "tests/simulator/world.h"

namespace pgtandem::simulator {
namespace {

using namespace std::chrono_literals;

struct SmallFault {
  int kind;
  Node node;
};

/// What is tried at each place of a sequence. The longer the sequence, the fewer: all of them have to fit in
/// minutes.
struct SmallModel {
  std::vector<SmallFault> faults;
  std::vector<Milliseconds> gaps;
  std::vector<Milliseconds> durations;

  std::uint64_t choices() const { return faults.size() * gaps.size() * durations.size(); }
};

// What two masters could come from: lost hosts, halted ones, links, the witness. The gap is what passes after
// the fault before: while it is noticed, before and after right and term end, and settled.
SmallModel model_of(int length) {
  if (length < 3) {
    return {{{0, Node::a},
             {0, Node::b},
             {2, Node::a},
             {3, Node::a},
             {3, Node::b},
             {4, Node::a},
             {5, Node::a},
             {6, Node::a},
             {6, Node::b},
             {7, Node::a},
             {7, Node::b},
             {9, Node::a},
             {13, Node::a}},
            {0ms, 300ms, 1200ms, 2600ms, 3100ms, 5200ms},
            {400ms, 2900ms, 8000ms}};
  }
  return {{{2, Node::a}, {3, Node::a}, {3, Node::b}, {4, Node::a}, {5, Node::a}, {7, Node::a}, {9, Node::a}},
          {0ms, 1200ms, 3100ms},
          {2900ms, 8000ms}};
}

constexpr Arbiter kArbiters[] = {Arbiter::witness, Arbiter::none, Arbiter::hook};

struct Step {
  SmallFault fault;
  Milliseconds gap;
  Milliseconds duration;
};

Step step_of(const SmallModel& model, std::uint64_t choice) {
  Step step{};
  step.fault = model.faults[choice % model.faults.size()];
  choice /= model.faults.size();
  step.gap = model.gaps[choice % model.gaps.size()];
  step.duration = model.durations[choice / model.gaps.size()];
  return step;
}

std::string describe(const std::vector<Step>& steps, Arbiter arbiter) {
  std::string text = arbiter == Arbiter::witness ? "witness" : arbiter == Arbiter::hook ? "hook" : "neither";
  for (const Step& step : steps) {
    text += "; +" + std::to_string(step.gap.count()) + " ms " + World::fault_name(step.fault.kind) + " " +
            std::string(to_string(step.fault.node)) + " for " + std::to_string(step.duration.count()) + " ms";
  }
  return text;
}

void play(World& world, const std::vector<Step>& steps) {
  world.set_up();
  for (const Step& step : steps) {
    world.run_for(step.gap);
    world.fault(step.fault.kind, step.fault.node, step.duration);
  }
  world.run_for(6s);
}

}  // namespace

ExhaustiveResult run_exhaustively(int depth, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto begun = Clock::now();
  ExhaustiveResult result;
  for (int length = 1; length <= depth; ++length) {
    const SmallModel model = model_of(length);
    std::uint64_t count = std::size(kArbiters);
    for (int i = 0; i < length; ++i) count *= model.choices();
    // A stride without a common divisor visits all, the far ones early.
    std::uint64_t stride = count * 618 / 1000 + 1;
    while (std::gcd(stride, count) != 1) ++stride;
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < count; ++i, at = (at + stride) % count) {
      if (seconds > 0 && std::chrono::duration<double>(Clock::now() - begun).count() > seconds) return result;
      std::uint64_t choice = at;
      WorldOptions options;
      options.arbiter = kArbiters[choice % std::size(kArbiters)];
      options.hand_over = true;
      options.operators = false;
      choice /= std::size(kArbiters);
      std::vector<Step> steps;
      for (int k = 0; k < length; ++k, choice /= model.choices()) {
        steps.push_back(step_of(model, choice % model.choices()));
      }
      World world(options);
      play(world, steps);
      ++result.sequences;
      if (world.broken()) {
        result.violations.push_back(describe(steps, *options.arbiter) + "\n" + world.violations().front());
        if (result.violations.size() >= 10) return result;
        if (result.violations.size() > 1) continue;
        options.trace = true;  // once more, to be read
        World again(options);
        play(again, steps);
      }
    }
  }
  result.complete = true;
  return result;
}

}  // namespace pgtandem::simulator
