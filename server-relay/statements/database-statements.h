/// What the sessions of one database need to classify their texts: the catalogue as all threads share it, and
/// each thread's cache of what texts were classified as.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_set>

#include "server-relay/statements/statement-cache.h"

namespace pgtandem {

class RewriteCatalogue;

/// One per database; thread-safe. Lives as long as the relay.
class SharedCatalogue {
 public:
  virtual ~SharedCatalogue() = default;
  /// Never waits; null while there is none, which proves nothing. Asks for it to be read.
  virtual std::shared_ptr<const StatementCatalogue> current() = 0;
  /// Of the same version as the last current(); null where that was.
  virtual std::shared_ptr<const RewriteCatalogue> rewriting() = 0;
  /// Another one after each change: who has seen this one need not ask current() again.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  /// Deferrable constraints or constraint triggers exist; true while that is not known.
  bool may_defer() const { return may_defer_.load(std::memory_order_acquire); }
  /// It has been asked for and will soon be there, or be known to be unreadable.
  bool is_being_read() const { return being_read_.load(std::memory_order_acquire); }
  /// Somebody relies on it, so it is worth comparing with the server's. Cheap where many call it.
  void note_use() {
    if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
  }

 protected:
  std::atomic<std::uint64_t> version_{1};
  std::atomic<bool> may_defer_{true};
  std::atomic<bool> used_{false};
  std::atomic<bool> being_read_{false};
};

/// One per I/O thread and database; used on that thread.
class DatabaseStatements {
 public:
  explicit DatabaseStatements(SharedCatalogue& shared) : shared_(shared) {}

  /// With `unproven` nothing is taken from the catalogue: the caller's open transaction has changed it.
  std::shared_ptr<const Statement> classify(std::string_view text, bool unproven, TextDialect dialect);
  /// Of the catalogue that the last text was classified by.
  std::uint64_t version() const { return version_; }
  /// Another one than version(): what was proven need not hold any more.
  std::uint64_t current_version() const { return shared_.version(); }
  bool may_defer() const { return shared_.may_defer(); }
  bool is_being_read() const { return shared_.is_being_read(); }
  /// Null while it is not known.
  std::shared_ptr<const RewriteCatalogue> rewriting() {
    refresh();
    return rewriting_;
  }
  /// True once for each text, as long as there are not too many.
  bool is_new_finding(std::string_view text);

 private:
  static constexpr std::size_t kMostFindings = 1000;
  void refresh();

  SharedCatalogue& shared_;
  std::shared_ptr<const StatementCatalogue> catalogue_;
  std::shared_ptr<const RewriteCatalogue> rewriting_;
  std::unordered_set<std::uint64_t> findings_;  ///< digests of texts
  std::uint64_t version_ = 0;                   ///< of catalogue_
  StatementCache cache_;
};

}  // namespace pgtandem
