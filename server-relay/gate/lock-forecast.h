/// Which transaction probably has the rows that a statement wants: where the same comparison has locked rows
/// before, it need not be tried inside the gate to learn that somebody is in its way. A guess: a wrong one
/// costs time, for it is believed for a moment only, and what is not foreseen is found by trying. Of
/// statements that name one row by its key (RowOrder::claimed) it is certain. Pure.
#pragma once
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace pgtandem {

/// Thread-safe. One per database.
class LockForecast {
 public:
  /// Beyond so many keys of open transactions nothing more is foreseen.
  static constexpr std::size_t kMaxKeys = 100'000;

  struct Holder {
    std::uint64_t session = 0;  ///< none is known
    bool certain = false;       ///< it has the lock, or is about to get it
    friend bool operator==(const Holder&, const Holder&) = default;
  };
  /// Who has locked what `key` (never 0) names in its open transaction, other than `asking`.
  Holder holder(std::uint64_t key, std::uint64_t asking) const;
  enum class Claim : std::uint8_t {
    taken,
    new_claim,
    own_already,
    not_kept,  ///< nobody is known to have it, and this one will not be known either
  };
  /// `session` is about to lock it: unless another one has it, nobody else is let try before this one has
  /// moved. `certain`: it will have the lock, unless there is no such row.
  Claim claim(std::uint64_t session, std::uint64_t key, bool certain = false);
  /// `session` has locked it, whatever was foreseen. True: and did not have it before.
  bool add(std::uint64_t session, std::uint64_t key, bool certain = false);
  /// The session has perhaps lost its locks on some of these.
  void doubt(std::uint64_t session, const std::vector<std::uint64_t>& keys);
  /// Forgets and clears `keys`, all that the session has added.
  void drop(std::uint64_t session, std::vector<std::uint64_t>& keys);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, Holder> holders_;
};

}  // namespace pgtandem
