/// Remembers what texts were classified as. Texts of queries that differ in whole numbers alone share an
/// entry, so that clients which paste values into their texts find them too.
#pragma once
#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "server-relay/statements/classify.h"

namespace pgtandem {

/// Not thread-safe: one per I/O thread and database.
class StatementCache {
 public:
  static constexpr std::size_t kMaxEntries = 4096;
  /// Of texts and what they were classified as.
  static constexpr std::size_t kMaxBytes = 4U << 20;
  /// Longer texts hardly come twice.
  static constexpr std::size_t kMaxText = 16384;

  /// As pgtandem::classify; never null. What was found with another catalogue is forgotten; a null one leaves
  /// it alone (a session whose open transaction has changed the catalogue). A hit allocates nothing.
  std::shared_ptr<const Statement> classify(std::string_view text,
                                            const std::shared_ptr<const StatementCatalogue>& catalogue,
                                            TextDialect dialect = {});

  std::size_t size() const { return entries_.size(); }
  std::size_t bytes() const { return bytes_; }
  std::size_t hits() const { return hits_; }
  std::size_t misses() const { return misses_; }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const Statement> statement;
    std::size_t bytes;
  };
  using Entries = std::list<Entry>;

  void use_catalogue(const std::shared_ptr<const StatementCatalogue>& catalogue);
  void remember(std::shared_ptr<const Statement> statement);
  void forget(Entries::iterator entry);
  void clear();

  std::shared_ptr<const StatementCatalogue> catalogue_;
  Entries entries_;  ///< the latest used in front
  std::unordered_map<std::string_view, Entries::iterator> by_key_;
  std::string key_;  ///< of the text that is looked up
  std::size_t bytes_ = 0;
  std::size_t hits_ = 0;
  std::size_t misses_ = 0;
};

}  // namespace pgtandem
