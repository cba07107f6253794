/// Everything that can be known before anything is changed, as one list of findings. Pure.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "server-relay/bootstrap/facts.h"
#include "server-relay/bootstrap/pair-view.h"

namespace pgtandem::bootstrap {

struct Finding {
  enum class Kind {
    note,      ///< worth knowing
    question,  ///< the operator must agree, at the terminal or by a flag
    problem,   ///< in the way
  };
  Kind kind = Kind::note;
  std::string text;
  std::string remedy;  ///< what to do; the flag that answers a question
};

struct PreflightOptions {
  bool replace = false;
  bool tablespaces = true;
  bool abort_clients = false;
  bool even_if_joined = false;
};

/// The pair's part: who is master, which states, which epochs.
std::vector<Finding> check_pair(const PairView& pair, const PreflightOptions& options);
/// What one server alone shows.
std::vector<Finding> check_source(const ServerFacts& source);
std::vector<Finding> check_target(const ServerFacts& target);
/// What the two show together.
std::vector<Finding> compare_servers(const ServerFacts& source, const ServerFacts& target,
                                     const PreflightOptions& options);
/// What to ask the target's host for, given the source.
FactsRequest question_about(const ServerFacts& source);

/// Databases that a copy carries.
std::vector<const DatabaseFacts*> copied_databases(const ServerFacts& source);
bool has_problem(const std::vector<Finding>& findings);

/// "15.20" for 150020.
std::string version_text(int server_version);
/// Does this version of pg_dump write, or of psql understand, \restrict (CVE-2025-8714)? "15.14", "16.10",
/// "17.6", 18.
bool knows_restrict(const std::string& client_version);

}  // namespace pgtandem::bootstrap
