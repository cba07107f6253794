/// After the load: do both servers hold the same, as far as that can be seen cheaply? Pure.
#pragma once
#include <string>
#include <vector>

#include "server-relay/bootstrap/facts.h"

namespace pgtandem::bootstrap {

/// One sentence for each difference: databases and their encodings, numbers of tables and other objects,
/// values of sequences, roles with flags and verifiers, memberships. Empty: equal. At most kMaxDifferences.
std::vector<std::string> differences(const ServerFacts& source, const ServerFacts& target);

inline constexpr std::size_t kMaxDifferences = 20;

}  // namespace pgtandem::bootstrap
