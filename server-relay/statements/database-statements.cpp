#include "server-relay/statements/database-statements.h"

namespace pgtandem {

std::shared_ptr<const Statement> DatabaseStatements::classify(std::string_view text, bool unproven,
                                                              TextDialect dialect) {
  const std::uint64_t version = shared_.version();
  if (catalogue_ == nullptr || version != version_) {
    catalogue_ = shared_.current();
    version_ = version;
  }
  return cache_.classify(text, unproven ? nullptr : catalogue_, dialect);
}

}  // namespace pgtandem
