/// The goal of this target: no SQL text and no message breaks the rewriting, and a rewritten text is one
/// statement of the same sort again, with nothing left to be rewritten but what was noted.
///
/// The input is the text; as bytes it is a body of every message too.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "server-relay/rewriting/rewrite-messages.h"
#include "server-relay/rewriting/rewrite.h"
#include "server-relay/statements/lexical-scan.h"

using namespace pgtandem;

namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

const RewriteCatalogue& catalogue() {
  static const auto small = [] {
    using Rows = std::vector<std::vector<std::string>>;
    const Rows functions{{"now", "pg_catalog", "0", "0", "t"},
                         {"random", "pg_catalog", "0", "0", "t"},
                         {"random", "pg_catalog", "2", "2", "t"},
                         {"clock_timestamp", "pg_catalog", "0", "0", "t"},
                         {"gen_random_uuid", "pg_catalog", "0", "0", "t"}};
    const Rows columns{{"public", "t", "t", "a", ""},
                       {"public", "t", "t", "b", "(now() + '1 day'::interval)"},
                       {"public", "t", "t", "c", "gen_random_uuid()"},
                       {"public", "d", "t", "a", ""},
                       {"public", "d", "t", "b", "CURRENT_DATE"}};
    return *RewriteCatalogue::from_rows({functions, columns});
  }();
  return *small;
}

RewritePlan plan_of(const std::string& text) {
  return rewrite_plan({.text = text, .catalogue = &catalogue(), .passwords = {.iterations = 1}});
}

/// Values that could only be read in one way.
std::vector<std::optional<std::string>> values_of(const RewritePlan& plan) {
  std::vector<std::optional<std::string>> values(plan.expressions().size(), "'\\");
  if (!values.empty()) values.back() = std::nullopt;
  return values;
}

void check_text(const std::string& text) {
  const RewritePlan plan = plan_of(text);
  if (plan.empty()) return;
  const StatementKind kind = classify(text, nullptr).kind;
  const auto constants = plan.text(values_of(plan));
  require(constants.ok());
  const RewrittenText parameters = plan.parameter_text(plan.original_parameters(0));
  for (const RewrittenText* rewritten : {&*constants, &parameters}) {
    if (rewritten->text.size() > kMaxParsedText) continue;
    // Brackets and casts may have made it too deep or long to be parsed.
    if (!parse_cost(rewritten->text).is_bearable()) continue;
    const Statement again = classify(rewritten->text, nullptr);
    // Without its unknown functions it may be a read.
    require(again.kind == kind || again.kind == StatementKind::read);
    require(plan_of(rewritten->text).empty());
    for (std::size_t i = 1; i < rewritten->text.size(); i += 7) {
      require(rewritten->positions.original(i) <= text.size() + 1);
    }
  }
}

void check_messages(const std::string& bytes) {
  static const RewritePlan plan = plan_of("UPDATE x SET a = now(), b = $1");
  const auto values = values_of(plan);
  (void)rewrite_parse(plan, as_bytes(bytes));
  (void)rewrite_parse(plan, as_bytes(bytes), values);
  if (const auto bind = rewrite_bind(as_bytes(bytes), 1, values)) require(bind->size() > bytes.size());
  require(cut_parameter_description(as_bytes(bytes), 1).size() <= bytes.size());
  (void)restore_position(as_bytes(bytes), plan.parameter_text(1).positions);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_text(text);
  check_messages(text);
  return 0;
}
