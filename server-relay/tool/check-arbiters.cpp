/// The witness, member by member, and the fencing hook.
#include "common/config/secret-file.h"
#include "server-relay/relay/arbiters.h"
#include "server-relay/tool/check-surroundings.h"
#include "server-relay/tool/witness-member.h"

namespace pgtandem::tool {
namespace {

using Severity = Finding::Severity;

std::string shown(const std::optional<WitnessRecord>& record) {
  if (!record) return "answers; it holds no record of this pair yet";
  return "answers; it holds epoch " + std::to_string(record->role.epoch) + ", master " +
         std::string(to_string(record->role.master)) +
         (record->role.sync ? ", standby joined" : ", no standby");
}

Finding judge_member(const MemberAnswer& member) {
  const std::string topic = "witness " + member.address;
  const std::string& trouble = member.trouble.empty() ? member.flaw : member.trouble;
  if (trouble.empty()) return {Severity::good, topic, shown(member.record), {}};
  return {Severity::error, topic, trouble, "while no member answers nobody takes over by itself"};
}

}  // namespace

Findings check_arbiters(const std::optional<RelaySettings>& relay) {
  Findings findings;
  if (!relay || !relay->pair_mode()) return findings;
  if (!relay->witness.configured()) {
    const Result<Arbiters> made = make_arbiters(*relay, {});
    if (!made) {
      findings.push_back(
          {Severity::error, "fencing.hook", made.error(), "install it on both hosts, chmod 755"});
    } else if (made->hook != nullptr) {
      findings.push_back(
          {Severity::good, "fencing.hook", "'" + relay->fencing.hook + "' can be executed", {}});
    }
    return findings;
  }
  const Result<Secret> key = read_secret_file(relay->key_file, 1);
  if (!key) return findings;  // told by check_files()
  for (const MemberAnswer& member : ask_members(*relay, *key)) findings.push_back(judge_member(member));
  if (relay->witness.endpoints.size() == 2) {
    findings.push_back({Severity::warning, "witness.endpoints",
                        "an etcd cluster of two members stands still when either is lost",
                        "use one member, or three"});
  }
  return findings;
}

}  // namespace pgtandem::tool
