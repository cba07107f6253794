#include "server-relay/oids/catalogue-cache.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <map>
#include <mutex>
#include <vector>

#include <asio/co_spawn.hpp>

#include "common/base/log.h"
#include "server-relay/service/one-shot.h"

namespace pgtandem {
namespace {

using Clock = std::chrono::steady_clock;
using MapPtr = std::shared_ptr<const OidMap>;
using Answer = OneShot<MapPtr>;

/// Loaders have their own, shorter limits; nobody waits for ever for one that has not.
constexpr std::chrono::minutes kLongestWait{2};
/// Databases remembered at once; beyond, one that no session uses is forgotten.
constexpr std::size_t kMaxDatabases = 1000;

}  // namespace

class CatalogueCache::State : public std::enable_shared_from_this<State> {
 public:
  State(asio::any_io_executor executor, CatalogueLoader load)
      : executor_(std::move(executor)), load_(std::move(load)) {}

  /// The map at once, or through `answer` later.
  std::optional<MapPtr> ask(const std::string& database, const std::shared_ptr<Answer>& answer);
  MapPtr last(const std::string& database) const;
  void mark_dirty(const std::string& database);
  void mark_all_dirty();
  std::shared_ptr<const std::atomic<std::uint64_t>> version(const std::string& database);
  void close();

 private:
  struct Waiter {
    std::uint64_t wanted;
    std::shared_ptr<Answer> answer;
  };
  struct Entry {
    std::shared_ptr<std::atomic<std::uint64_t>> wanted = std::make_shared<std::atomic<std::uint64_t>>(1);
    std::uint64_t tried = 0;  ///< the version that the last load, good or bad, had in view
    bool tried_well = false;
    Clock::time_point retry_at;
    bool loading = false;
    MapPtr map;
    std::vector<Waiter> waiters;
  };

  Entry& entry(const std::string& database);
  void start(const std::string& database);
  static asio::awaitable<void> load(std::shared_ptr<State> state, std::string database);
  static asio::awaitable<Result<MapPtr>> load_map(CatalogueLoader loader, std::string database);
  void loaded(const std::string& database, std::uint64_t version, Result<MapPtr> map);

  const asio::any_io_executor executor_;
  const CatalogueLoader load_;
  mutable std::mutex mutex_;
  bool closed_ = false;
  std::map<std::string, Entry> entries_;
};

std::optional<MapPtr> CatalogueCache::State::ask(const std::string& database,
                                                 const std::shared_ptr<Answer>& answer) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return MapPtr();
    Entry& asked = entry(database);
    const std::uint64_t wanted = asked.wanted->load();
    if (asked.tried == wanted && (asked.tried_well || Clock::now() < asked.retry_at)) return asked.map;
    asked.waiters.push_back({wanted, answer});
    first = !std::exchange(asked.loading, true);
  }
  if (first) start(database);
  return std::nullopt;
}

/// With the mutex held.
CatalogueCache::State::Entry& CatalogueCache::State::entry(const std::string& database) {
  if (entries_.size() >= kMaxDatabases && !entries_.contains(database)) {
    const auto unused = std::ranges::find_if(entries_, [](const auto& other) {
      return !other.second.loading && other.second.waiters.empty() && other.second.wanted.use_count() == 1;
    });
    if (unused != entries_.end()) entries_.erase(unused);
  }
  return entries_[database];
}

/// Without the mutex: the load may run at once.
void CatalogueCache::State::start(const std::string& database) {
  asio::co_spawn(executor_, load(shared_from_this(), database),
                 [database](const std::exception_ptr& failure) {
                   if (failure) log::error("oid-catalogue-load-broken", {{"database", database}});
                 });
}

asio::awaitable<void> CatalogueCache::State::load(std::shared_ptr<State> state, std::string database) {
  std::uint64_t version = 0;
  {
    const std::lock_guard lock(state->mutex_);
    version = state->entry(database).wanted->load();  // a change from now on needs a load of its own
  }
  Result<MapPtr> map = Error{"the load was broken off"};
  try {
    auto loading = load_map(state->load_, database);
    map = co_await std::move(loading);
  } catch (const std::exception& thrown) {
    map = Error{thrown.what()};
  }
  state->loaded(database, version, std::move(map));
}

asio::awaitable<Result<MapPtr>> CatalogueCache::State::load_map(CatalogueLoader loader,
                                                                std::string database) {
  Result<CataloguePair> pair = co_await loader(std::move(database));
  if (!pair) co_return Error{pair.error()};
  co_return MapPtr(std::make_shared<const OidMap>(pair->master, pair->standby));
}

void CatalogueCache::State::loaded(const std::string& database, std::uint64_t version, Result<MapPtr> map) {
  if (map) {
    log::debug("oid-map-loaded", {{"database", database},
                                  {"types", std::uint64_t((*map)->types())},
                                  {"functions", std::uint64_t((*map)->functions())},
                                  {"agree", (*map)->empty() ? "yes" : "no"}});
  } else {
    log::warning("oid-catalogue-load-failed", {{"database", database}, {"reason", map.error()}});
  }
  std::vector<Waiter> served;
  MapPtr answer;
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    Entry& done = entry(database);
    done.tried = version;
    done.tried_well = map.ok();
    if (map) {
      done.map = *map;
    } else {
      done.retry_at = Clock::now() + kRetryAfter;
    }
    answer = done.map;
    auto& waiters = done.waiters;
    const auto rest = std::partition(waiters.begin(), waiters.end(),
                                     [version](const Waiter& waiter) { return waiter.wanted > version; });
    served.assign(rest, waiters.end());
    waiters.erase(rest, waiters.end());
    again = !done.waiters.empty();
    done.loading = again;
  }
  if (again) start(database);
  for (const Waiter& waiter : served) waiter.answer->complete(answer);
}

MapPtr CatalogueCache::State::last(const std::string& database) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(database);
  return found == entries_.end() ? nullptr : found->second.map;
}

void CatalogueCache::State::mark_dirty(const std::string& database) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(database);
  if (found != entries_.end()) ++*found->second.wanted;
}

void CatalogueCache::State::mark_all_dirty() {
  const std::lock_guard lock(mutex_);
  for (auto& [database, one] : entries_) ++*one.wanted;
}

std::shared_ptr<const std::atomic<std::uint64_t>> CatalogueCache::State::version(
    const std::string& database) {
  const std::lock_guard lock(mutex_);
  return entry(database).wanted;
}

void CatalogueCache::State::close() {
  std::vector<Waiter> waiting;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto& [database, one] : entries_) {
      waiting.insert(waiting.end(), one.waiters.begin(), one.waiters.end());
    }
    entries_.clear();
  }
  for (const Waiter& waiter : waiting) waiter.answer->complete(nullptr);
}

CatalogueCache::CatalogueCache(asio::any_io_executor executor, CatalogueLoader load)
    : state_(std::make_shared<State>(std::move(executor), std::move(load))) {}

CatalogueCache::~CatalogueCache() {
  state_->close();
}

asio::awaitable<MapPtr> CatalogueCache::get(std::string database) {
  const std::shared_ptr<State> state = state_;  // outlives *this while we wait
  const auto answer = std::make_shared<Answer>();
  std::optional<MapPtr> map = state->ask(database, answer);
  if (!map) map = co_await Answer::wait(answer, Clock::now() + kLongestWait);
  co_return map ? *map : state->last(database);
}

MapPtr CatalogueCache::last(const std::string& database) const {
  return state_->last(database);
}
void CatalogueCache::mark_dirty(const std::string& database) {
  state_->mark_dirty(database);
}
void CatalogueCache::mark_all_dirty() {
  state_->mark_all_dirty();
}
std::shared_ptr<const std::atomic<std::uint64_t>> CatalogueCache::version(const std::string& database) {
  return state_->version(database);
}

bool tag_may_change_oids(std::string_view command_tag) {
  constexpr std::array<std::string_view, 5> kWhole{"DO", "CALL", "SELECT INTO", "IMPORT FOREIGN SCHEMA",
                                                   "DROP OWNED"};
  constexpr std::array<std::string_view, 3> kVerbs{"CREATE ", "ALTER ", "DROP "};
  constexpr std::array<std::string_view, 13> kObjects{
      "TYPE",      "DOMAIN",  "TABLE",     "TABLE AS",  "VIEW",   "MATERIALIZED VIEW", "FUNCTION",
      "PROCEDURE", "ROUTINE", "AGGREGATE", "EXTENSION", "SCHEMA", "FOREIGN TABLE"};
  if (std::ranges::find(kWhole, command_tag) != kWhole.end()) return true;
  return std::ranges::any_of(kVerbs, [&](std::string_view verb) {
    return command_tag.starts_with(verb) &&
           std::ranges::find(kObjects, command_tag.substr(verb.size())) != kObjects.end();
  });
}

}  // namespace pgtandem
