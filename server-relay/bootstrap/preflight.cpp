#include "server-relay/bootstrap/preflight.h"

#include <algorithm>
#include <cstdlib>

#include "server-relay/bootstrap/progress.h"

namespace pgtandem::bootstrap {
namespace {

using Kind = Finding::Kind;
using Findings = std::vector<Finding>;

/// pg_sequences and datconnlimit as used here, and the oldest release that anybody should run.
constexpr int kOldestServer = 120000;
/// Column defaults of types, ACLs and more changed so that older servers refuse newer dumps.
constexpr int kMajor = 10000;

void problem(Findings& findings, std::string text, std::string remedy) {
  findings.push_back({Kind::problem, std::move(text), std::move(remedy)});
}
void note(Findings& findings, std::string text) {
  findings.push_back({Kind::note, std::move(text), {}});
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + printable(word);
  return out;
}

int major_of(const std::string& client_version) {
  return std::atoi(client_version.c_str());
}

void check_versions(const ServerFacts& source, const ServerFacts& target, Findings& findings) {
  const int from = source.server_version / kMajor;
  const int to = target.server_version / kMajor;
  if (to < from) {
    problem(findings,
            "the target's server (" + version_text(target.server_version) + ") is older than the master's (" +
                version_text(source.server_version) + "), and would refuse its dump",
            "install PostgreSQL " + std::to_string(from) + " or newer on the target");
  }
  if (to > from) {
    note(findings, "a major step up: from PostgreSQL " + version_text(source.server_version) + " to " +
                       version_text(target.server_version));
  }
  if (!source.client_version.empty() && major_of(source.client_version) < to) {
    note(findings, "pg_dump " + source.client_version + " is older than the target's server " +
                       version_text(target.server_version) + "; this usually works, a newer one is better");
  }
  if (knows_restrict(source.client_version) && !target.client_version.empty() &&
      !knows_restrict(target.client_version)) {
    problem(findings,
            "psql " + target.client_version + " on the target does not understand what pg_dump " +
                source.client_version + " writes (\\restrict)",
            "update the PostgreSQL client there to the current minor release, or name another with "
            "--remote-pg-bin");
  }
}

void check_extensions(const ServerFacts& source, const ServerFacts& target, Findings& findings) {
  for (const DatabaseFacts* database : copied_databases(source)) {
    for (const auto& [name, version] : database->extensions) {
      const auto there = target.available_extensions.find(name);
      if (there == target.available_extensions.end()) {
        problem(findings,
                "database '" + printable(database->name) + "' uses the extension " + printable(name) +
                    ", which the target does not have",
                "install it there (on Debian often postgresql-" +
                    std::to_string(target.server_version / kMajor) + "-<name> or postgresql-contrib)");
      } else if (there->second != version) {
        note(findings, "extension " + printable(name) + " of database '" + printable(database->name) +
                           "': version " + version + " here, " + there->second + " there");
      }
    }
  }
}

void check_locales(const ServerFacts& source, const ServerFacts& target, Findings& findings) {
  for (const DatabaseFacts* database : copied_databases(source)) {
    const std::string who = "database '" + printable(database->name) + "'";
    for (const std::string& locale : std::set<std::string>{database->collate, database->ctype}) {
      if (database->provider == "libc" && target.missing_locales.contains(locale)) {
        problem(findings, who + " has the locale " + printable(locale) + ", which the target's system lacks",
                "make it there (on Debian: dpkg-reconfigure locales, or localedef), and restart its server");
      }
    }
    for (const std::string& collation : database->collations) {
      const auto there = target.available_collations.find(collation);
      if (there == target.available_collations.end()) {
        problem(findings,
                who + " uses the collation " + printable(collation) + ", which the target's server lacks",
                "make the locale there, then in template1: SELECT pg_import_system_collations('pg_catalog')");
        continue;
      }
      const auto here = source.available_collations.find(collation);
      if (here != source.available_collations.end() && here->second != there->second) {
        note(findings, "collation " + printable(collation) + " has version " + here->second + " here and " +
                           there->second + " there: rows may be sorted differently");
      }
    }
    const DatabaseFacts* same = target.find(database->name);
    if (same != nullptr && same->collate == database->collate && same->provider == database->provider &&
        same->collation_version != database->collation_version) {
      note(findings, who + ": its collation has version " + database->collation_version + " here and " +
                         same->collation_version + " there: rows may be sorted differently");
    }
  }
}

void check_tablespaces(const ServerFacts& source, const ServerFacts& target, const PreflightOptions& options,
                       Findings& findings) {
  for (const auto& [name, location] : source.tablespaces) {
    if (!options.tablespaces || target.tablespaces.contains(name)) continue;
    const auto found = target.tablespace_folders.find(location);
    const std::string state = found == target.tablespace_folders.end() ? "missing" : found->second;
    const std::string what =
        "tablespace " + printable(name) + " is not on the target, and its folder " + printable(location);
    if (state == "usable") {
      note(findings, what + " exists there: the tablespace is created in it");
    } else {
      problem(findings, what + " is " + state + " there",
              "make the folder, owned by the server's user, or give --no-tablespaces to put everything into "
              "the default one");
    }
  }
}

void check_space(const ServerFacts& source, const ServerFacts& target, Findings& findings) {
  std::uint64_t needed = 0;
  for (const DatabaseFacts* database : copied_databases(source)) needed += database->bytes;
  std::uint64_t freed = 0;
  for (const DatabaseFacts& database : target.databases) freed += database.bytes;
  if (!target.free_bytes_known) {
    note(findings, "free space on the target is not known; " + format_bytes(needed) + " are needed");
    return;
  }
  const std::string figures = format_bytes(needed) + " to copy, " + format_bytes(target.free_bytes) +
                              " free on the target and " + format_bytes(freed) +
                              " in databases to be replaced there";
  if (target.free_bytes + freed < needed) {
    problem(findings, "not enough space: " + figures,
            "make room in the file system of " + printable(target.data_directory));
  } else {
    note(findings, figures);
  }
}

void check_existing(const ServerFacts& source, const ServerFacts& target, const PreflightOptions& options,
                    Findings& findings) {
  std::vector<std::string> existing;
  for (const DatabaseFacts& database : target.databases) {
    if (database.name == "template1") continue;
    // An unreadable database may hold anything.
    const bool filled = database.objects() != 0 || !database.allows_connections;
    if (filled || source.find(database.name) == nullptr) existing.push_back(database.name);
  }
  if (!existing.empty()) {
    findings.push_back({options.replace ? Kind::note : Kind::question,
                        "these databases of the target are dropped: " + joined(existing), "--replace"});
  }
  std::vector<std::string> roles;
  for (const auto& [name, role] : target.roles) {
    if (!source.roles.contains(name)) roles.push_back(name);
  }
  if (roles.empty()) return;
  note(findings, std::string("these roles exist only on the target, and ") +
                     (options.replace ? "are dropped: " : "stay there: ") + joined(roles));
}

}  // namespace

std::vector<const DatabaseFacts*> copied_databases(const ServerFacts& source) {
  std::vector<const DatabaseFacts*> out;
  for (const DatabaseFacts& database : source.databases) {
    if (database.name != "template1" && database.allows_connections) out.push_back(&database);
  }
  return out;
}

bool has_problem(const std::vector<Finding>& findings) {
  return std::ranges::any_of(findings, [](const Finding& f) { return f.kind == Kind::problem; });
}

std::string version_text(int server_version) {
  return std::to_string(server_version / kMajor) + "." + std::to_string(server_version % kMajor);
}

bool knows_restrict(const std::string& client_version) {
  const int major = major_of(client_version);
  const std::size_t dot = client_version.find('.');
  const int minor = dot == std::string::npos ? 0 : std::atoi(client_version.c_str() + dot + 1);
  switch (major) {
    case 13:
      return minor >= 22;
    case 14:
      return minor >= 19;
    case 15:
      return minor >= 14;
    case 16:
      return minor >= 10;
    case 17:
      return minor >= 6;
    default:
      return major >= 18;
  }
}

FactsRequest question_about(const ServerFacts& source) {
  std::set<std::string> locales;
  for (const DatabaseFacts* database : copied_databases(source)) {
    if (database->provider == "libc") locales.insert({database->collate, database->ctype});
  }
  FactsRequest request;
  request.locales.assign(locales.begin(), locales.end());
  for (const auto& [name, location] : source.tablespaces) request.tablespace_locations.push_back(location);
  return request;
}

Findings check_pair(const PairView& pair, const PreflightOptions& options) {
  Findings findings;
  const StatusView& active = pair.active;
  if (pair.source == Node::none) {
    problem(findings, "the active relay does not say which node is master", "see pgtandem status");
  }
  if (active.protocol == "raw") {
    problem(findings, "the pair runs with protocol = \"raw\": only PostgreSQL can be bootstrapped",
            "load the standby by hand");
  }
  if (active.role.state != "MASTER" && active.role.state != "ALONE") {
    problem(findings, "the active relay is in state " + active.role.state,
            "wait until it is ALONE or MASTER: pgtandem watch");
  }
  if (active.bootstrap) {
    problem(findings, "a bootstrap is under way already (" + printable(active.bootstrap->phase) + ")",
            "wait for it, or end it where it runs; the relay forgets it after 15 s of silence");
  }
  if (active.standby_joined && !options.even_if_joined) {
    problem(findings, "the standby is joined: it needs no bootstrap",
            "give --even-if-joined to rebuild it nevertheless");
  }
  if (!options.abort_clients) {
    findings.push_back({Kind::question,
                        "every client is disconnected, and those that come back wait until the copy is done",
                        "--abort-clients"});
  }
  if (!active.pair_mode) return findings;
  if (!pair.target_relay) {
    problem(findings,
            "the relay of the target (node " + std::string(to_string(pair.target)) +
                ") does not answer: " + pair.target_error,
            "start pgtandem-relay there");
    return findings;
  }
  const StatusView& target = *pair.target_relay;
  if (target.node != pair.target) {
    problem(findings,
            "the relay at " + to_string(pair.target_control) + " is not the one of node " +
                std::string(to_string(pair.target)),
            "correct [nodes] in the configuration");
  }
  if (target.role.epoch > active.role.epoch) {
    problem(findings,
            "the target has seen epoch " + std::to_string(target.role.epoch) + ", the master only " +
                std::to_string(active.role.epoch) + ": its data may be newer",
            "see pgtandem status on both hosts first");
  }
  if (target.active()) {
    problem(findings, "the target is itself in state " + target.role.state,
            "see pgtandem status on both hosts: two masters");
  }
  if (target.role.state == "SPLIT") {
    problem(findings, "the target is SPLIT: it holds writes that the master does not have",
            "decide which copy to keep (pgtandem giveup), then bootstrap");
  }
  return findings;
}

Findings check_source(const ServerFacts& source) {
  Findings findings;
  if (source.server_version < kOldestServer) {
    problem(findings, "the master runs PostgreSQL " + version_text(source.server_version),
            "at least 12 is needed");
  }
  if (source.in_recovery)
    problem(findings, "the master's server is in recovery (a streaming standby)",
            "name the right one with --source-postmaster");
  if (source.client_version.empty()) {
    problem(findings, "pg_dump cannot be run here: " + source.client_error,
            "install the PostgreSQL client, or name its folder with --pg-bin");
  } else if (major_of(source.client_version) < source.server_version / kMajor) {
    problem(findings,
            "pg_dump " + source.client_version + " is older than the master's server " +
                version_text(source.server_version),
            "install postgresql-client-" + std::to_string(source.server_version / kMajor) +
                ", or name its folder with --pg-bin");
  }
  if (source.prepared_transactions != 0) {
    problem(findings,
            "the master has " + std::to_string(source.prepared_transactions) +
                " prepared transaction(s), which no dump can carry over",
            "end them with COMMIT PREPARED or ROLLBACK PREPARED (see pg_prepared_xacts)");
  }
  for (const DatabaseFacts& database : source.databases) {
    const std::string who = "database '" + printable(database.name) + "'";
    if (!database.allows_connections) {
      note(findings, who + " allows no connections and is not copied");
    } else if (database.name == "template1") {
      if (database.objects() != 0) note(findings, "template1 has objects of its own, which are not copied");
    } else {
      if (!database.subscriptions.empty()) {
        note(findings,
             who + " has subscriptions (" + joined(database.subscriptions) + "), which are not copied");
      }
      const auto large = database.counts.find("large objects");
      if (large != database.counts.end() && large->second > 0) {
        note(findings, who + " has " + std::to_string(large->second) + " large objects, which are copied");
      }
    }
  }
  if (!source.replication_slots.empty()) {
    note(findings, "replication slots are not copied: " + joined(source.replication_slots));
  }
  return findings;
}

Findings check_target(const ServerFacts& target) {
  Findings findings;
  if (target.tool_version != PGTANDEM_VERSION) {
    problem(findings,
            "pgtandem on the target has version " + target.tool_version + ", here it is " PGTANDEM_VERSION,
            "install the same version on both hosts");
  }
  if (target.in_recovery)
    problem(findings, "the target's server is in recovery (a streaming standby)",
            "promote it, or name the right one");
  if (target.client_version.empty()) {
    problem(findings, "psql cannot be run on the target: " + target.client_error,
            "install the PostgreSQL client there, or name its folder with --remote-pg-bin");
  }
  if (target.prepared_transactions != 0) {
    problem(findings, "the target has prepared transactions, which keep their databases from being dropped",
            "end them there with ROLLBACK PREPARED (see pg_prepared_xacts)");
  }
  if (target.find("postgres") == nullptr) {
    problem(findings, "the target has no database 'postgres', in which the relay and tools log in",
            "make it there: createdb --maintenance-db=template1 postgres");
  }
  for (const DatabaseFacts& database : target.databases) {
    if (database.subscriptions.empty()) continue;
    problem(findings,
            "database '" + printable(database.name) + "' of the target has subscriptions (" +
                joined(database.subscriptions) + "), which keep it from being dropped",
            "drop them there with DROP SUBSCRIPTION");
  }
  if (!target.replication_slots.empty()) {
    note(findings, "the target has replication slots, which are lost with their databases: " +
                       joined(target.replication_slots));
  }
  return findings;
}

Findings compare_servers(const ServerFacts& source, const ServerFacts& target,
                         const PreflightOptions& options) {
  Findings findings;
  if (source.system_identifier == target.system_identifier && source.started == target.started &&
      source.data_directory == target.data_directory) {
    problem(findings,
            "source and target are one and the same server (" + printable(source.data_directory) + ")",
            "run this on the master's host, or correct --source-postmaster, --target-postmaster and "
            "--target-host");
    return findings;
  }
  check_versions(source, target, findings);
  check_extensions(source, target, findings);
  check_locales(source, target, findings);
  check_tablespaces(source, target, options, findings);
  check_space(source, target, findings);
  check_existing(source, target, options, findings);
  return findings;
}

}  // namespace pgtandem::bootstrap
