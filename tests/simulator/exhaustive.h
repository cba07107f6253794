/// Every sequence of up to a few faults from a small set, at every distinguishable time of a small model: the
/// simulator with fixed delays, one pair, no operators. What is looked for is two masters that acknowledge.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pgtandem::simulator {

struct ExhaustiveResult {
  std::uint64_t sequences = 0;
  bool complete = false;
  std::vector<std::string> violations;
};

/// `seconds`: the limit, 0 for none. The order is such that a stop leaves no region out altogether.
ExhaustiveResult run_exhaustively(int depth, double seconds);

}  // namespace pgtandem::simulator
