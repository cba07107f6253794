#include "common/roles/lineage.h"

#include <algorithm>

namespace pgtandem {
namespace {

bool holds(const std::vector<Uuid>& list, const Uuid& generation) {
  return std::ranges::find(list, generation) != list.end();
}

}  // namespace

Lineage Lineage::next(const Uuid& new_generation) const {
  Lineage result{new_generation, {}};
  if (!generation.is_none()) result.parents.push_back(generation);
  for (const Uuid& parent : parents) {
    if (result.parents.size() < kMaxParents) result.parents.push_back(parent);
  }
  return result;
}

std::string_view to_string(Kinship kinship) {
  switch (kinship) {
    case Kinship::same:
      return "same";
    case Kinship::mine_older:
      return "mine-older";
    case Kinship::theirs_older:
      return "theirs-older";
    case Kinship::forked:
      return "forked";
    case Kinship::unrelated:
      return "unrelated";
    case Kinship::mine_none:
      return "mine-none";
    case Kinship::theirs_none:
      return "theirs-none";
  }
  return "?";
}

Kinship compare_lineages(const Lineage& mine, const Lineage& theirs) {
  if (mine.generation.is_none()) return Kinship::mine_none;
  if (theirs.generation.is_none()) return Kinship::theirs_none;
  if (mine.generation == theirs.generation) return Kinship::same;
  const bool older = holds(theirs.parents, mine.generation);
  const bool newer = holds(mine.parents, theirs.generation);
  if (older && newer) return Kinship::forked;  // impossible by construction: let the operator look
  if (older) return Kinship::mine_older;
  if (newer) return Kinship::theirs_older;
  const bool common =
      std::ranges::any_of(mine.parents, [&](const Uuid& parent) { return holds(theirs.parents, parent); });
  return common ? Kinship::forked : Kinship::unrelated;
}

Epoch next_epoch_of(Node node, Epoch highest) {
  const Epoch parity = node == Node::b ? 0 : 1;
  return (highest + 1) % 2 == parity ? highest + 1 : highest + 2;
}

}  // namespace pgtandem
