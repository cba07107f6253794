/// pgtandem-model: visits every state that the model can reach within its bounds (docs/reliability.md).
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/model/search.h"

using namespace pgtandem;
using namespace pgtandem::model;

namespace {

struct Arguments {
  Bounds bounds;
  double seconds = 0;  ///< 0: no limit
  bool must_break = false;
};

void usage() {
  std::puts(
      "Usage: pgtandem-model [options]\n"
      "  --arbiter none|witness|hook   (default witness)\n"
      "  --faults N       relays killed or frozen, hosts off, postmasters lost, lines cut (default 3)\n"
      "  --orders N       of operators (default 0)\n"
      "  --generations N  how often a node may take over or go on alone, and one more (default 4, up to 7)\n"
      "  --lossy          any message may be lost and any node stand still at any time, not counted as "
      "faults\n"
      "  --no-writes      without the write: more of the rest in the same time\n"
      "  --break RULE     with a rule broken on purpose; 'help' lists them\n"
      "  --seconds N      stop after so long\n"
      "Exit status: 0 if every state was visited and no promise is broken, or, with --break, if one is; 1 if "
      "not;\n"
      "2 if there was not enough time; 64 for wrong arguments.");
}

bool parse(int argc, char** argv, Arguments& arguments) {
  Bounds& bounds = arguments.bounds;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--lossy") {
      bounds.lossy = true;
      continue;
    }
    if (name == "--no-writes") {
      bounds.writes = false;
      continue;
    }
    if (i + 1 >= argc) return false;
    const std::string_view value = argv[++i];
    const int number = std::atoi(argv[i]);
    if (name == "--arbiter") {
      if (value != "none" && value != "witness" && value != "hook") return false;
      bounds.arbiter = value == "none" ? Arbiter::none : value == "hook" ? Arbiter::hook : Arbiter::witness;
    } else if (name == "--faults") {
      bounds.faults = number;
    } else if (name == "--orders") {
      bounds.orders = number;
    } else if (name == "--generations") {
      bounds.generations = number;
    } else if (name == "--seconds") {
      arguments.seconds = number;
    } else if (name == "--break") {
      for (int rule = 1; rule < int(Broken::count); ++rule) {
        if (value == to_string(Broken(rule))) bounds.broken = Broken(rule);
      }
      if (bounds.broken == Broken::nothing) return false;
      arguments.must_break = true;
    } else {
      return false;
    }
  }
  return bounds.generations >= 1 && bounds.generations <= kNoGeneration;
}

void report(const SearchResult& result, double seconds) {
  for (const std::string& line : result.trace) std::printf("%s\n", line.c_str());
  if (!result.broken.empty()) std::printf("BROKEN: %s\n", result.broken.c_str());
  std::printf(
      "%llu states, %llu transitions, %d steps deep, %s; %zu of %zu states of a node, %zu cells of the "
      "table; %.1f s\n",
      static_cast<unsigned long long>(result.states), static_cast<unsigned long long>(result.transitions),
      result.depth,
      result.complete         ? "all visited"
      : result.broken.empty() ? "not all"
                              : "up to the broken promise",
      result.coverage.states.count(), kRoleStates, result.coverage.cells.count(), seconds);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    usage();
    std::printf("Rules:");
    for (int rule = 1; rule < int(Broken::count); ++rule) std::printf(" %s", to_string(Broken(rule)));
    std::printf("\n");
    return 64;
  }
  const auto begun = std::chrono::steady_clock::now();
  const SearchResult result = search(arguments.bounds, arguments.seconds);
  report(result, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  const bool broken = !result.broken.empty();
  if (arguments.must_break) return broken ? 0 : 1;
  if (broken) return 1;
  return result.complete ? 0 : 2;
}
