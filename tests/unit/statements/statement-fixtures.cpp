#include "tests/unit/statements/statement-fixtures.h"

#include <stdexcept>
#include <vector>

namespace pgtandem::testing {
namespace {

using Rows = std::vector<std::vector<std::string>>;

Rows functions() {
  Rows rows{{"public", "pure", "s", "f"},      {"public", "writes", "v", "f"},
            {"public", "touch", "v", "t"},     {"public", "twice", "s", "f"},
            {"other", "twice", "v", "f"},      {"public", "My Func", "s", "f"},
            {"pg_catalog", "twice2", "s", "f"}};
  for (const char* name : {"now",
                           "count",
                           "sum",
                           "max",
                           "lower",
                           "abs",
                           "array_agg",
                           "string_agg",
                           "row_number",
                           "rank",
                           "extract",
                           "timezone",
                           "current_setting",
                           "txid_current",
                           "pg_backend_pid",
                           "table_to_xml",
                           "generate_series",
                           "btrim",
                           "version",
                           "age",
                           "json_agg",
                           "similar_to_escape",
                           "pg_get_userbyid",
                           "unnest",
                           "format_type"}) {
    rows.push_back({"pg_catalog", name, "s", "f"});
  }
  for (const char* name :
       {"nextval", "setval", "currval", "random", "setseed", "set_config", "pg_notify", "pg_advisory_lock",
        "pg_advisory_xact_lock", "pg_try_advisory_lock", "lo_create", "clock_timestamp", "gen_random_uuid",
        "pg_sleep", "pg_is_in_recovery", "query_to_xml", "pg_relation_size"}) {
    rows.push_back({"pg_catalog", name, "v", "f"});
  }
  return rows;
}

Rows relations() {
  return {
      {"public", "t", "r", "f", ""},
      {"public", "T 1", "r", "f", ""},
      {"public", "u", "r", "f", ""},
      {"pg_catalog", "pg_class", "r", "f", ""},
      {"public", "pgbench_accounts", "r", "f", ""},
      {"public", "pgbench_history", "r", "f", ""},
      {"public", "m", "m", "f", ""},
      {"public", "q", "S", "f", ""},
      {"public", "p", "p", "f", ""},
      {"public", "p_index", "I", "f", ""},
      {"public", "audited", "r", "t", ""},
      {"public", "guarded", "u", "f", ""},
      {"public", "away", "u", "f", ""},
      {"public", "twin", "r", "f", ""},
      {"other", "twin", "v", "t", " SELECT nextval('public.q'::regclass) AS nextval;"},
      {"public", "good", "v", "t", " SELECT t.a FROM public.t;"},
      {"public", "deep", "v", "t", " SELECT good.a FROM public.good;"},
      {"public", "bad", "v", "t", " SELECT nextval('public.q'::regclass) AS nextval;"},
      {"public", "deep_bad", "v", "t", " SELECT bad.nextval FROM public.bad;"},
      {"public", "locking", "v", "t", " SELECT t.a FROM public.t FOR UPDATE OF t;"},
      {"public", "unread", "v", "t", ""},
      {"pg_catalog", "pg_settings", "v", "t", " SELECT 1;"},
  };
}

std::shared_ptr<const StatementCatalogue> build(const Rows& operators, const Rows& types) {
  auto catalogue = StatementCatalogue::from_rows({functions(), operators, types, relations()});
  if (!catalogue) throw std::runtime_error(catalogue.error());
  return *catalogue;
}

const Rows kTypes{{"public", "positive", "d", "(VALUE > 0)"}, {"public", "odd", "c", ""}};

}  // namespace

std::shared_ptr<const StatementCatalogue> small_catalogue() {
  return build({}, kTypes);
}

std::shared_ptr<const StatementCatalogue> catalogue_with_writing_domain() {
  Rows types = kTypes;
  types.push_back({"public", "sly", "d", "(public.writes(VALUE) > 0)"});
  return build({}, types);
}

std::shared_ptr<const StatementCatalogue> catalogue_with_volatile_operator(bool implicit) {
  Rows operators{{"public", "~~~"}};
  if (implicit) operators.push_back({"", ""});
  return build(operators, kTypes);
}

std::string summary(const Statement& statement) {
  std::string out(to_string(statement.kind));
  const auto add = [&out](bool set, std::string_view word) {
    if (set) out.append(" ").append(word);
  };
  add(statement.refuses_block, "refuses");
  add(statement.needs_block, "needs");
  add(statement.inner_reads, "inner");
  add(statement.may_use_sequences, "seq");
  add(statement.names_settings, "settings");
  add(statement.names_isolation, "isolation");
  add(statement.changes_catalogue, "catalogue");
  add(statement.shared_objects, "shared");
  add(statement.parameters, "parameters");
  add(statement.chain, "chain");
  add(statement.read_only_deferrable, "deferrable");
  add(statement.advisory_locks, "advisory");
  add(statement.large_objects, "large");
  if (!statement.name.empty()) out += " name=" + statement.name;
  for (std::size_t i = 0; i < statement.flags.size(); ++i)
    out.append(i == 0 ? " [" : "; ").append(statement.flags[i]);
  if (!statement.flags.empty()) out += "]";
  return out;
}

}  // namespace pgtandem::testing
