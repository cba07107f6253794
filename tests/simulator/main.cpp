/// pgtandem-simulator: simulated pairs under faults, each from its seed (docs/reliability.md).
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/simulator/exhaustive.h"
#include "tests/simulator/world.h"

using namespace pgtandem::simulator;

namespace {

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t pairs = 1000;
  int faults = 24;
  unsigned jobs = 1;
  double seconds = 0;  ///< 0: no limit
  bool one = false;
  bool exhaustive = false;
  int depth = 3;
  bool keep_going = false;
};

void usage() {
  std::puts(
      "Usage: pgtandem-simulator [options]\n"
      "  --pairs N       so many pairs, from seeds 1 to N (default 1000)\n"
      "  --first N       from this seed on\n"
      "  --faults N      faults a pair (default 24)\n"
      "  --jobs N        threads (default 1)\n"
      "  --seconds N     stop after so long\n"
      "  --keep-going    do not stop at the first broken promise\n"
      "  --seed N        one pair, with a trace\n"
      "  --exhaustive    every sequence of up to --depth N (default 3) faults in a small model\n"
      "Exit status: 0 if no promise was broken, 1 if one was, 64 for wrong arguments.");
}

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--exhaustive") {
      arguments.exhaustive = true;
      continue;
    }
    if (name == "--keep-going") {
      arguments.keep_going = true;
      continue;
    }
    if (i + 1 >= argc) return false;
    char* end = nullptr;
    const double value = std::strtod(argv[++i], &end);
    if (*end != '\0' || value < 0) return false;
    if (name == "--pairs") {
      arguments.pairs = std::uint64_t(value);
    } else if (name == "--first") {
      arguments.first = std::uint64_t(value);
    } else if (name == "--faults") {
      arguments.faults = int(value);
    } else if (name == "--jobs") {
      arguments.jobs = unsigned(value);
    } else if (name == "--seconds") {
      arguments.seconds = value;
    } else if (name == "--depth") {
      arguments.depth = int(value);
    } else if (name == "--seed") {
      arguments.first = std::uint64_t(value);
      arguments.one = true;
    } else {
      return false;
    }
  }
  return true;
}

int run_one(const Arguments& arguments) {
  WorldOptions options;
  options.seed = arguments.first;
  options.faults = arguments.faults;
  options.trace = true;
  World world(options);
  const bool held = world.run();
  for (const std::string& violation : world.violations()) std::printf("BROKEN: %s\n", violation.c_str());
  std::printf("%s\n%d faults, %zu writes acknowledged, %zu takeovers\n", world.describe().c_str(),
              world.faults_done(), world.acknowledged(), world.takeovers());
  return held ? 0 : 1;
}

int run_many(const Arguments& arguments) {
  using Clock = std::chrono::steady_clock;
  const auto begun = Clock::now();
  std::atomic<std::uint64_t> next{arguments.first};
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> acknowledged{0};
  std::atomic<std::uint64_t> takeovers{0};
  std::atomic<int> broken{0};
  std::mutex output;
  const auto work = [&] {
    while (true) {
      const std::uint64_t seed = next++;
      const double spent = std::chrono::duration<double>(Clock::now() - begun).count();
      const bool over = arguments.seconds > 0 && spent > arguments.seconds;
      if (seed >= arguments.first + arguments.pairs || over || (broken > 0 && !arguments.keep_going)) return;
      WorldOptions options;
      options.seed = seed;
      options.faults = arguments.faults;
      World world(options);
      if (!world.run()) {
        ++broken;
        const std::scoped_lock lock(output);
        std::printf("seed %llu broke a promise: %s\n  replay: pgtandem-simulator --seed %llu --faults %d\n",
                    static_cast<unsigned long long>(seed), world.violations().front().c_str(),
                    static_cast<unsigned long long>(seed), arguments.faults);
        std::fflush(stdout);
      }
      ++done;
      acknowledged += world.acknowledged();
      takeovers += world.takeovers();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1U, arguments.jobs); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  std::printf("%llu pairs, %d faults each, %llu writes acknowledged, %llu takeovers, %d broken, %.1f s\n",
              static_cast<unsigned long long>(done), arguments.faults,
              static_cast<unsigned long long>(acknowledged), static_cast<unsigned long long>(takeovers),
              int(broken), std::chrono::duration<double>(Clock::now() - begun).count());
  return broken == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    usage();
    return 64;
  }
  if (arguments.exhaustive) {
    const ExhaustiveResult result = run_exhaustively(arguments.depth, arguments.seconds);
    for (const std::string& violation : result.violations) std::printf("BROKEN: %s\n", violation.c_str());
    std::printf("%llu sequences of up to %d faults, %s, %zu broken\n",
                static_cast<unsigned long long>(result.sequences), arguments.depth,
                result.complete ? "all" : "as many as fit in the time", result.violations.size());
    return result.violations.empty() ? 0 : 1;
  }
  return arguments.one ? run_one(arguments) : run_many(arguments);
}
