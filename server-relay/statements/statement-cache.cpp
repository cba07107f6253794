#include "server-relay/statements/statement-cache.h"

#include "server-relay/statements/lexical-scan.h"

namespace pgtandem {
namespace {

/// Nodes of the list and the index, the strings' heads and the counts of the shared pointer.
constexpr std::size_t kOverhead = 256;

std::size_t size_of(const std::string& key, const Statement& statement) {
  std::size_t size = kOverhead + key.capacity() + sizeof(Statement) + statement.name.capacity();
  for (const std::string& flag : statement.flags) size += sizeof(std::string) + flag.capacity();
  return size;
}

}  // namespace

std::shared_ptr<const Statement> StatementCache::classify(
    std::string_view text, const std::shared_ptr<const StatementCatalogue>& catalogue, TextDialect dialect) {
  if (text.size() > kMaxText || !reads_alike(text, dialect)) {
    return std::make_shared<const Statement>(pgtandem::classify(text, catalogue.get(), dialect));
  }
  use_catalogue(catalogue);
  const bool general = generalise_numbers(text, key_);
  if (!general) key_.assign(text);
  key_ += catalogue == nullptr ? '0' : '1';
  if (const auto found = by_key_.find(key_); found != by_key_.end()) {
    ++hits_;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->statement;
  }
  ++misses_;
  auto statement = std::make_shared<const Statement>(pgtandem::classify(text, catalogue.get()));
  // What one number made unreadable, another may not.
  if (!general || statement->kind != StatementKind::opaque) remember(statement);
  return statement;
}

void StatementCache::use_catalogue(const std::shared_ptr<const StatementCatalogue>& catalogue) {
  if (catalogue == nullptr || catalogue == catalogue_) return;
  clear();
  catalogue_ = catalogue;
}

void StatementCache::remember(std::shared_ptr<const Statement> statement) {
  std::string key = key_;
  const std::size_t bytes = size_of(key, *statement);
  if (bytes > kMaxBytes) return;
  entries_.push_front({std::move(key), std::move(statement), bytes});
  by_key_.emplace(entries_.front().key, entries_.begin());
  bytes_ += bytes;
  while (entries_.size() > kMaxEntries || bytes_ > kMaxBytes) forget(std::prev(entries_.end()));
}

void StatementCache::forget(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

void StatementCache::clear() {
  by_key_.clear();
  entries_.clear();
  bytes_ = 0;
}

}  // namespace pgtandem
