#include "server-relay/bootstrap/verify.h"

#include <set>
#include <tuple>

#include "server-relay/bootstrap/preflight.h"
#include "server-relay/bootstrap/progress.h"

namespace pgtandem::bootstrap {
namespace {

template <typename Value>
std::string text(const Value& value) {
  if constexpr (std::is_arithmetic_v<Value>) {
    return std::to_string(value);
  } else {
    return printable(value);
  }
}

template <typename Value>
void compare_maps(const std::string& who, const std::map<std::string, Value>& source,
                  const std::map<std::string, Value>& target, std::vector<std::string>& out) {
  for (const auto& [key, value] : source) {
    const auto found = target.find(key);
    const std::string there = found == target.end() ? "nothing" : text(found->second);
    if (found == target.end() || found->second != value) {
      out.push_back(who + ", " + printable(key) + ": " + text(value) + " here, " + there + " there");
    }
  }
  for (const auto& [key, value] : target) {
    if (!source.contains(key))
      out.push_back(who + ", " + printable(key) + ": nothing here, " + text(value) + " there");
  }
}

void compare_databases(const DatabaseFacts& source, const DatabaseFacts& target,
                       std::vector<std::string>& out) {
  const std::string who = "database '" + printable(source.name) + "'";
  const auto shape = [](const DatabaseFacts& d) {
    return std::tie(d.encoding, d.provider, d.collate, d.ctype);
  };
  if (shape(source) != shape(target)) out.push_back(who + ": another encoding or locale");
  compare_maps(who, source.counts, target.counts, out);
  compare_maps(who + ", sequence", source.sequences, target.sequences, out);
  for (const auto& [name, version] : source.extensions) {
    if (!target.extensions.contains(name))
      out.push_back(who + ": extension " + printable(name) + " is missing there");
  }
}

std::set<std::pair<std::string, std::string>> memberships(const ServerFacts& facts) {
  std::set<std::pair<std::string, std::string>> out;
  for (const MembershipFacts& m : facts.memberships) out.emplace(m.role, m.member);
  return out;
}

}  // namespace

std::vector<std::string> differences(const ServerFacts& source, const ServerFacts& target) {
  std::vector<std::string> out;
  for (const DatabaseFacts* database : copied_databases(source)) {
    const DatabaseFacts* there = target.find(database->name);
    if (there == nullptr) {
      out.push_back("database '" + printable(database->name) + "' is missing there");
    } else {
      compare_databases(*database, *there, out);
    }
  }
  for (const auto& [name, role] : source.roles) {
    const auto there = target.roles.find(name);
    if (there == target.roles.end() || there->second.digest != role.digest) {
      out.push_back("role " + printable(name) + " is missing there, or has other flags or another verifier");
    }
  }
  const auto theirs = memberships(target);
  for (const auto& [role, member] : memberships(source)) {
    if (!theirs.contains({role, member}))
      out.push_back("role " + printable(member) + " is no member of " + printable(role) + " there");
  }
  if (out.size() > kMaxDifferences) out.resize(kMaxDifferences);
  return out;
}

}  // namespace pgtandem::bootstrap
