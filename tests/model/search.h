/// Visits every state of the model, the nearest first: what is found broken is found in the fewest steps.
#pragma once
#include <string>
#include <vector>

#include "tests/model/model.h"

namespace pgtandem::model {

struct SearchResult {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  int depth = 0;
  bool complete = false;
  std::string broken;              ///< the promise, if one is
  std::vector<std::string> trace;  ///< and how it came to it
  Coverage coverage;
};

/// `seconds`: the limit, 0 for none. Two states count as one if their fingerprints of 64 bits are equal: with
/// ten million states the chance that any is missed so is 1 in 300,000.
SearchResult search(const Bounds& bounds, double seconds);

}  // namespace pgtandem::model
