#include "tests/unit/rewriting/rewriting-fixtures.h"

#include <stdexcept>
#include <vector>

namespace pgtandem::testing {
namespace {

using Rows = std::vector<std::vector<std::string>>;

const Rows kFunctions{
    {"now", "pg_catalog", "0", "0", "t"},
    {"transaction_timestamp", "pg_catalog", "0", "0", "t"},
    {"statement_timestamp", "pg_catalog", "0", "0", "t"},
    {"clock_timestamp", "pg_catalog", "0", "0", "t"},
    {"timeofday", "pg_catalog", "0", "0", "t"},
    {"timeofday", "public", "0", "0", "f"},
    {"random", "pg_catalog", "0", "0", "t"},
    {"random", "pg_catalog", "2", "2", "t"},
    {"random_normal", "pg_catalog", "0", "2", "t"},
    {"gen_random_uuid", "pg_catalog", "0", "0", "t"},
    {"gen_random_uuid", "public", "0", "0", "t"},
    {"uuidv7", "pg_catalog", "0", "1", "t"},
    {"uuid_generate_v4", "public", "0", "0", "t"},
};

const Rows kColumns{
    {"public", "t", "t", "id", ""},
    {"public", "t", "t", "at", "now()"},
    {"public", "t", "t", "note", ""},
    {"public", "log", "t", "line", ""},
    {"public", "log", "t", "at", "CURRENT_TIMESTAMP"},
    {"public", "v", "t", "id", "gen_random_uuid()"},
    {"public", "v", "t", "at", "(clock_timestamp() + '1 day'::interval)"},
    {"public", "v", "t", "n", ""},
    {"public", "Odd", "t", "a \"b", ""},
    {"public", "Odd", "t", "day", "CURRENT_DATE"},
    {"public", "seq", "t", "id", "((nextval('public.s'::regclass))::text || (now())::text)"},
    {"public", "seq", "t", "n", ""},
    {"public", "granted", "f", "id", ""},
    {"public", "granted", "f", "at", "now()"},
    {"public", "strange", "t", "id", ""},
    {"public", "strange", "t", "at", "('now'::text)::timestamp without time zone"},
    {"public", "harmless", "t", "id", "'known'::text"},
    {"public", "twin", "t", "id", ""},
    {"public", "twin", "t", "at", "now()"},
    {"other", "twin", "f", "", ""},
    {"public", "seen", "v", "", ""},
};

std::string with_rest(std::string text, const RewritePlan& plan) {
  for (std::size_t i = 0; i < plan.not_rewritten().size(); ++i) {
    text.append(i == 0 ? " [" : "; ").append(plan.not_rewritten()[i]);
  }
  return plan.not_rewritten().empty() ? text : text + "]";
}

}  // namespace

std::shared_ptr<const RewriteCatalogue> small_catalogue() {
  static const auto catalogue = RewriteCatalogue::from_rows({kFunctions, kColumns});
  if (!catalogue) throw std::runtime_error(catalogue.error());
  return *catalogue;
}

RewritePlan plan_of(std::string_view sql, RewriteClasses classes) {
  return rewrite_plan({.text = sql, .classes = classes, .catalogue = small_catalogue().get()});
}

std::string rewritten(std::string_view sql, RewriteClasses classes) {
  const RewritePlan plan = plan_of(sql, classes);
  std::vector<std::optional<std::string>> values;
  for (std::size_t i = 0; i < plan.expressions().size(); ++i)
    values.push_back("<" + std::to_string(i + 1) + ">");
  const auto text = plan.text(values);
  if (!text) throw std::runtime_error(text.error());
  return with_rest(plan.empty() ? std::string("same") : text->text, plan);
}

std::string with_parameters(std::string_view sql) {
  const RewritePlan plan = plan_of(sql);
  return with_rest(plan.empty() ? std::string("same") : plan.parameter_text(plan.original_parameters(0)).text,
                   plan);
}

}  // namespace pgtandem::testing
