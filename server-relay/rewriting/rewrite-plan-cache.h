/// Remembers how texts are rewritten. Texts of queries that differ in whole numbers alone share an entry, as
/// in StatementCache.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

#include "server-relay/rewriting/rewrite.h"

namespace pgtandem {

/// Not thread-safe: one per I/O thread and database.
class RewritePlanCache {
 public:
  /// Beyond so many texts it begins again: they hardly come twice then.
  static constexpr std::size_t kMaxEntries = 1024;
  static constexpr std::size_t kMaxText = 4096;  ///< bytes; longer ones are not kept

  /// As rewrite_plan(). What was found with another catalogue is forgotten.
  RewritePlan plan(const RewriteRequest& request, const std::shared_ptr<const RewriteCatalogue>& catalogue);

  std::size_t size() const { return plans_.size(); }
  std::size_t hits() const { return hits_; }

 private:
  bool make_key(const RewriteRequest& request);

  std::shared_ptr<const RewriteCatalogue> catalogue_;
  std::unordered_map<std::string, RewritePlan> plans_;
  std::string key_;  ///< of the text that is looked up
  std::size_t hits_ = 0;
};

}  // namespace pgtandem
