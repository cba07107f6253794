#include "tests/model/search.h"

#include <algorithm>
#include <chrono>

#include <xxhash.h>

namespace pgtandem::model {
namespace {

std::uint64_t fingerprint_of(const State& state) {
  const std::uint64_t hash = XXH3_64bits(&state, sizeof state);
  return hash == 0 ? 1 : hash;
}

/// Fingerprints with the one that each was reached from, open addressing.
class Visited {
 public:
  Visited() : places_(1 << 20) {}

  /// False if it was there.
  bool insert(std::uint64_t fingerprint, std::uint64_t from) {
    if ((count_ + 1) * 4 > places_.size() * 3) grow();
    Place& place = find(fingerprint);
    if (place.fingerprint != 0) return false;
    place = {fingerprint, from};
    ++count_;
    return true;
  }
  std::uint64_t parent_of(std::uint64_t fingerprint) { return find(fingerprint).from; }
  std::uint64_t count() const { return count_; }

 private:
  struct Place {
    std::uint64_t fingerprint = 0;
    std::uint64_t from = 0;
  };
  Place& find(std::uint64_t fingerprint) {
    std::size_t at = fingerprint & (places_.size() - 1);
    while (places_[at].fingerprint != 0 && places_[at].fingerprint != fingerprint)
      at = (at + 1) & (places_.size() - 1);
    return places_[at];
  }
  void grow() {
    std::vector<Place> old(places_.size() * 2);
    old.swap(places_);
    for (const Place& place : old) {
      if (place.fingerprint != 0) find(place.fingerprint) = place;
    }
  }
  std::vector<Place> places_;
  std::uint64_t count_ = 0;
};

/// The way to a state, played again from the first one.
std::vector<std::string> trace_to(std::uint64_t last, Visited& visited, const Bounds& bounds) {
  std::vector<std::uint64_t> way;
  for (std::uint64_t at = last; at != 0; at = visited.parent_of(at)) way.push_back(at);
  std::ranges::reverse(way);
  State state = first_state(bounds);
  std::vector<std::string> lines = {describe(state)};
  std::vector<Successor> next;
  Coverage coverage;
  for (std::size_t i = 1; i < way.size(); ++i) {
    std::string broken;
    successors(state, bounds, next, broken, coverage);
    const auto found =
        std::ranges::find_if(next, [&](const Successor& one) { return fingerprint_of(one.state) == way[i]; });
    if (found == next.end()) break;
    state = found->state;
    lines.push_back((found->node == 0 ? "a " : "b ") + std::string(found->what) + "\n    " + describe(state));
  }
  return lines;
}

}  // namespace

SearchResult search(const Bounds& bounds, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto begun = Clock::now();
  SearchResult result;
  Visited visited;
  std::vector<State> now = {first_state(bounds)};
  std::vector<State> later;
  std::vector<Successor> next;
  visited.insert(fingerprint_of(now.front()), 0);
  for (const NodeState& node : now.front().nodes) result.coverage.states.set(std::size_t(node.state));
  for (; !now.empty(); ++result.depth) {
    for (const State& state : now) {
      successors(state, bounds, next, result.broken, result.coverage);
      result.transitions += next.size();
      const std::uint64_t from = fingerprint_of(state);
      for (const Successor& one : next) {
        const std::uint64_t to = fingerprint_of(one.state);
        if (visited.insert(to, from)) later.push_back(one.state);
        if (!result.broken.empty() && &one == &next.back()) {
          result.trace = trace_to(from, visited, bounds);
          result.trace.push_back((one.node == 0 ? "a " : "b ") + std::string(one.what) + "\n    " +
                                 describe(one.state));
        }
      }
      result.states = visited.count();
      if (!result.broken.empty()) return result;
      if (seconds > 0 && std::chrono::duration<double>(Clock::now() - begun).count() > seconds) return result;
    }
    now.clear();
    now.swap(later);
  }
  result.complete = true;
  return result;
}

}  // namespace pgtandem::model
