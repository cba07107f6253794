/// The current oid map of each database, shared by all sessions; loads it when it is asked for and has become
/// old.
///
/// An entry's life: unknown; loading (whoever asks meanwhile shares the load, unless it began before the
/// change that he must see: then the next one); current; dirty after mark_dirty, and loaded again at the next
/// get.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include "server-relay/oids/oid-map.h"

namespace pgtandem {

struct CataloguePair {
  OidCatalogue master;
  OidCatalogue standby;
};

/// Reads both servers' catalogues of a database, within a time limit of its own.
using CatalogueLoader = std::function<asio::awaitable<Result<CataloguePair>>(std::string database)>;

/// Thread-safe. Awaitables resume on the awaiting coroutine's executor and may be cancelled. The executor,
/// and the contexts of those who wait, outlive the cache; destroying it lets everybody who waits go on
/// without a map.
class CatalogueCache {
 public:
  /// Loads run on `executor`; they also build the map there (about 1 us a type).
  CatalogueCache(asio::any_io_executor executor, CatalogueLoader load);
  ~CatalogueCache();
  CatalogueCache(const CatalogueCache&) = delete;
  CatalogueCache& operator=(const CatalogueCache&) = delete;

  /// The map as of a moment after the last mark_dirty. Where the load fails, the failure is logged and the
  /// last map that there was is returned, null if none; the next try is not before kRetryAfter.
  asio::awaitable<std::shared_ptr<const OidMap>> get(std::string database);
  /// The last map that was loaded, dirty or not; null if there is none. Never waits.
  std::shared_ptr<const OidMap> last(const std::string& database) const;

  /// Call once what a tag_may_change_oids announced is committed and done on both servers (uncommitted
  /// objects cannot be seen by another connection), and when a rewriter has met an unknown oid.
  void mark_dirty(const std::string& database);
  /// After a join or a change of master.
  void mark_all_dirty();

  /// Rises with each mark_dirty of the database. A session keeps the counter and the value that it read
  /// before its get(), and asks again when they differ: one atomic load a unit.
  std::shared_ptr<const std::atomic<std::uint64_t>> version(const std::string& database);

  static constexpr std::chrono::milliseconds kRetryAfter{1000};

 private:
  class State;
  std::shared_ptr<State> state_;
};

/// May a statement that ended with this CommandComplete tag have made, renamed or dropped types or functions?
/// Those that hide it are included (DO, CALL); a CREATE TABLE AS or SELECT INTO that ends with the tag
/// "SELECT n", and functions that do DDL, are not seen: the unknown oid is, when it is first used.
bool tag_may_change_oids(std::string_view command_tag);

}  // namespace pgtandem
