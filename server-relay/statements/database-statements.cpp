#include "server-relay/statements/database-statements.h"

#include <xxhash.h>

namespace pgtandem {

void DatabaseStatements::refresh() {
  shared_.note_use();
  const std::uint64_t version = shared_.version();
  if (catalogue_ != nullptr && version == version_) return;
  catalogue_ = shared_.current();
  rewriting_ = shared_.rewriting();
  version_ = version;
}

std::shared_ptr<const Statement> DatabaseStatements::classify(std::string_view text, bool unproven,
                                                              TextDialect dialect) {
  if (!unproven) refresh();
  return cache_.classify(text, unproven ? nullptr : catalogue_, dialect);
}

bool DatabaseStatements::is_new_finding(std::string_view text) {
  if (findings_.size() >= kMostFindings) return false;
  return findings_.insert(XXH3_64bits(text.data(), text.size())).second;
}

}  // namespace pgtandem
