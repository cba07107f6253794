/// What is yet to happen in a simulated world, by time, and what was planned first at one time first. The
/// heap moves small keys only: with the functions in it, half of a simulation's time went into moving them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "common/roles/role-events.h"

namespace pgtandem::simulator {

class Agenda {
 public:
  using What = std::function<void()>;

  bool empty() const { return keys_.empty(); }
  /// When the next is due; there must be one.
  Milliseconds next_at() const { return keys_.front().at; }

  void add(Milliseconds at, What what) {
    std::size_t place = items_.size();
    if (free_.empty()) {
      items_.push_back(std::move(what));
    } else {
      place = free_.back();
      free_.pop_back();
      items_[place] = std::move(what);
    }
    keys_.push_back({at, ++numbers_, place});
    std::push_heap(keys_.begin(), keys_.end());
  }

  /// The next one; there must be one.
  What take() {
    std::pop_heap(keys_.begin(), keys_.end());
    const std::size_t place = keys_.back().place;
    keys_.pop_back();
    free_.push_back(place);
    return std::exchange(items_[place], nullptr);
  }

 private:
  struct Key {
    Milliseconds at;
    std::uint64_t number;
    std::size_t place;  ///< in items_
    bool operator<(const Key& other) const { return at != other.at ? at > other.at : number > other.number; }
  };
  std::vector<Key> keys_;
  std::vector<What> items_;
  std::vector<std::size_t> free_;
  std::uint64_t numbers_ = 0;
};

}  // namespace pgtandem::simulator
