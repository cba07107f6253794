/// The goal of this target: no SQL text breaks the classification, and its short cuts (the cache's key
/// without numbers, the INSERT that is not parsed, the words that need no parser) say what the parser says.
///
/// The input is the text.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "server-relay/statements/lexical-scan.h"
#include "server-relay/statements/statement-cache.h"

using namespace pgtandem;

namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

const std::shared_ptr<const StatementCatalogue>& catalogue() {
  static const auto small = [] {
    using Rows = std::vector<std::vector<std::string>>;
    const Rows functions{{"pg_catalog", "now", "s", "f"}, {"pg_catalog", "nextval", "v", "f"}};
    const Rows types{{"public", "positive", "d", "VALUE > 0"}};
    const Rows relations{{"public", "t", "r", "f", ""}, {"public", "v", "v", "t", "SELECT a FROM t"}};
    return *StatementCatalogue::from_rows({functions, {}, types, relations});
  }();
  return small;
}

/// Does it hold wherever both are readable? The grammar itself refuses some numbers.
bool same_if_readable(const Statement& one, const Statement& other) {
  return one.kind == StatementKind::opaque || other.kind == StatementKind::opaque || one == other;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Statement statement = classify(text, catalogue().get());
  (void)classify(text, nullptr);
  StatementCache cache;
  require(*cache.classify(text, catalogue()) == statement);
  std::string key;
  if (generalise_numbers(text, key)) require(same_if_readable(classify(key, catalogue().get()), statement));
  if (classify_insert_of_constants(text)) {
    require(same_if_readable(classify("WITH x AS (SELECT 1) " + text, catalogue().get()), statement));
  }
  if (classify_by_words(text)) {
    require(same_if_readable(classify(text + std::string(64, ' '), catalogue().get()), statement));
  }
  return 0;
}
