/// Where a set of data comes from: its generation and the generations before it (rule R8). A node takes a new
/// generation whenever it goes on as master without the other node, so that two copies that both went on can
/// be told from one that was merely left behind. Pure.
#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

#include "common/base/ids.h"

namespace pgtandem {

/// How many parents a slot holds: as many changes without a bootstrap in between are not seen in practice.
inline constexpr std::size_t kMaxParents = 8;

struct Lineage {
  Uuid generation;            ///< none: this node holds no data that counts
  std::vector<Uuid> parents;  ///< the newest first, at most kMaxParents

  friend bool operator==(const Lineage&, const Lineage&) = default;
  /// The same data going on without the other node.
  Lineage next(const Uuid& new_generation) const;
};

enum class Kinship {
  same,
  mine_older,    ///< my generation is in the other's history: the other went on, I did not
  theirs_older,  ///< the other way round
  forked,        ///< both went on from a common generation
  unrelated,     ///< nothing in common
  mine_none,     ///< I hold no data that counts (then the other's does not matter)
  theirs_none,
};
std::string_view to_string(Kinship kinship);

Kinship compare_lineages(const Lineage& mine, const Lineage& theirs);

/// The smallest epoch above `highest` that `node` may take: odd ones belong to a, even ones to b. So two
/// nodes never are masters of the same epoch, even where two operators both gave a wrong word about the other
/// host.
Epoch next_epoch_of(Node node, Epoch highest);

}  // namespace pgtandem
