#include "server-relay/relay/statement-catalogues.h"

#include <chrono>

#include <asio/co_spawn.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "common/base/log.h"
#include "server-relay/rewriting/rewrite-catalogue.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kLoadLimit{20000};  ///< nobody waits for it
constexpr auto kRetryAfter = 5s;
/// DDL that no statement shows (inside of a function, or on the server itself) is found out this often.
constexpr auto kCompareEvery = 2s;

struct DatabaseFacts {
  std::shared_ptr<const StatementCatalogue> catalogue;
  std::shared_ptr<const RewriteCatalogue> rewriting;
  bool may_defer = true;
  std::string version;  ///< of all that, as the server had it before the rest was read
};
using Loaded = Result<DatabaseFacts>;

constexpr const char* kDeferrableSql = "SELECT 1 FROM pg_trigger WHERE tgdeferrable LIMIT 1";

asio::awaitable<Result<std::string>> read_version(ServiceConnection& server, const std::string& database) {
  std::string version;
  for (const char* const sql : {kStatementCatalogueVersionSql, kRewriteCatalogueVersionSql, kDeferrableSql}) {
    const Result<ServiceRows> rows = co_await server.query(database, sql, {}, kLoadLimit, true);
    if (!rows) co_return Error{rows.error()};
    for (const auto& row : rows->rows) {
      for (const auto& value : row) version += value + " ";
    }
    version += '\n';
  }
  co_return version;
}

/// `known`: what was read before, which is given back where it still holds: most of what might have changed
/// the catalogue (DO, CALL, several statements) has not.
asio::awaitable<Loaded> read_statement_catalogue(ServiceConnection& server, std::string database,
                                                 std::shared_ptr<const DatabaseFacts> known) {
  const Result<std::string> version = co_await read_version(server, database);
  if (!version) co_return Error{version.error()};
  if (known != nullptr && known->version == *version) co_return *known;
  const Result<ServiceRows> functions =
      co_await server.query(database, kStatementFunctionsSql, {}, kLoadLimit, true);
  if (!functions) co_return Error{functions.error()};
  const Result<ServiceRows> operators =
      co_await server.query(database, kStatementOperatorsSql, {}, kLoadLimit, true);
  if (!operators) co_return Error{operators.error()};
  const Result<ServiceRows> types = co_await server.query(database, kStatementTypesSql, {}, kLoadLimit, true);
  if (!types) co_return Error{types.error()};
  const Result<ServiceRows> relations =
      co_await server.query(database, kStatementRelationsSql, {}, kLoadLimit, true);
  if (!relations) co_return Error{relations.error()};
  const Result<ServiceRows> row_keys =
      co_await server.query(database, kStatementRowKeysSql, {}, kLoadLimit, true);
  if (!row_keys) co_return Error{row_keys.error()};
  const Result<ServiceRows> deferrable =
      co_await server.query(database, kDeferrableSql, {}, kLoadLimit, true);
  if (!deferrable) co_return Error{deferrable.error()};
  const Result<ServiceRows> rewritten_functions =
      co_await server.query(database, kRewriteFunctionsSql, {}, kLoadLimit, true);
  if (!rewritten_functions) co_return Error{rewritten_functions.error()};
  const Result<ServiceRows> rewritten_columns =
      co_await server.query(database, kRewriteColumnsSql, {}, kLoadLimit, true);
  if (!rewritten_columns) co_return Error{rewritten_columns.error()};
  RewriteCatalogueRows rewrite_rows;
  rewrite_rows.functions = rewritten_functions->rows;
  rewrite_rows.columns = rewritten_columns->rows;
  Result<std::shared_ptr<const RewriteCatalogue>> rewriting = RewriteCatalogue::from_rows(rewrite_rows);
  if (!rewriting) co_return Error{rewriting.error()};
  StatementCatalogueRows rows;
  rows.functions = functions->rows;
  rows.operators = operators->rows;
  rows.types = types->rows;
  rows.relations = relations->rows;
  rows.row_keys = row_keys->rows;
  Result<std::shared_ptr<const StatementCatalogue>> catalogue = StatementCatalogue::from_rows(rows);
  if (!catalogue) co_return Error{catalogue.error()};
  DatabaseFacts facts;
  facts.catalogue = std::move(*catalogue);
  facts.rewriting = std::move(*rewriting);
  facts.may_defer = !deferrable->rows.empty();
  facts.version = *version;
  co_return facts;
}

}  // namespace

struct StatementCatalogues::State {
  State(asio::any_io_executor its_executor, ServiceConnection& its_server)
      : executor(std::move(its_executor)), server(its_server) {}

  asio::any_io_executor executor;
  ServiceConnection& server;
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<Entry>, std::less<>> entries;
};

class StatementCatalogues::Entry final : public SharedCatalogue {
 public:
  Entry(std::shared_ptr<State> state, std::string database)
      : state_(std::move(state)), database_(std::move(database)) {}

  const std::string& database() const { return database_; }

  std::shared_ptr<const StatementCatalogue> current() override {
    const std::shared_ptr<State> state = state_.lock();
    {
      const std::lock_guard lock(mutex_);
      if (catalogue_ != nullptr || loading_ || state == nullptr || !state->server.configured())
        return catalogue_;
      if (std::chrono::steady_clock::now() < not_before_) return nullptr;
      loading_ = true;
      being_read_ = true;
    }
    load(state, *this);
    return nullptr;
  }

  std::shared_ptr<const RewriteCatalogue> rewriting() override {
    const std::lock_guard lock(mutex_);
    return rewriting_;
  }

  void drop() {
    const std::lock_guard lock(mutex_);
    catalogue_ = nullptr;
    rewriting_ = nullptr;
    may_defer_ = true;
    ++drops_;
    ++version_;
  }

  std::uint64_t drops() const {
    const std::lock_guard lock(mutex_);
    return drops_;
  }

  /// What was loaded last, in force or not.
  std::shared_ptr<const DatabaseFacts> known() const {
    const std::lock_guard lock(mutex_);
    return known_;
  }

  /// Since the last time that this was asked.
  bool was_used() { return used_.exchange(false, std::memory_order_relaxed); }

  /// What a load found that saw `drops` when it began. True: it has to begin again.
  bool take(const Loaded& loaded, std::uint64_t drops) {
    const std::lock_guard lock(mutex_);
    loading_ = drops_ != drops;
    if (!loaded) {
      not_before_ = std::chrono::steady_clock::now() + kRetryAfter;
    } else if (!loading_) {
      catalogue_ = loaded->catalogue;
      rewriting_ = loaded->rewriting;
      may_defer_ = loaded->may_defer;
      known_ = std::make_shared<const DatabaseFacts>(*loaded);
      ++version_;
    }
    being_read_ = loading_;
    return loading_;
  }

 private:
  const std::weak_ptr<State> state_;
  const std::string database_;
  mutable std::mutex mutex_;
  std::shared_ptr<const StatementCatalogue> catalogue_;
  std::shared_ptr<const RewriteCatalogue> rewriting_;
  std::shared_ptr<const DatabaseFacts> known_;
  std::uint64_t drops_ = 0;
  bool loading_ = false;
  std::chrono::steady_clock::time_point not_before_{};
};

StatementCatalogues::StatementCatalogues(asio::any_io_executor executor, ServiceConnection& server)
    : state_(std::make_shared<State>(std::move(executor), server)) {}

StatementCatalogues::~StatementCatalogues() = default;

SharedCatalogue& StatementCatalogues::of(const std::string& database) {
  const std::lock_guard lock(state_->mutex);
  std::unique_ptr<Entry>& entry = state_->entries[database];
  if (entry == nullptr) entry = std::make_unique<Entry>(state_, database);
  return *entry;
}

void StatementCatalogues::load(const std::shared_ptr<State>& state, Entry& entry) {
  const std::uint64_t drops = entry.drops();
  const auto result = std::make_shared<Loaded>(Error{"not read"});
  const auto read = [](std::shared_ptr<State> its, std::string of, std::shared_ptr<const DatabaseFacts> known,
                       std::shared_ptr<Loaded> into) -> asio::awaitable<void> {
    *into = co_await read_statement_catalogue(its->server, std::move(of), std::move(known));
  };
  asio::co_spawn(state->executor, read(state, entry.database(), entry.known(), result),
                 [state, &entry, drops, result](std::exception_ptr thrown) {
                   if (thrown) *result = Error{"an internal error"};
                   const bool again = entry.take(*result, drops);
                   if (!*result) {
                     log::warning("statement-catalogue-unread",
                                  {{"database", entry.database()}, {"error", result->error()}});
                   }
                   if (again) {
                     load(state, entry);
                   } else if (*result) {
                     watch(state, entry, (*result)->version, drops);
                   }
                 });
}

/// For as long as what was loaded is in force.
void StatementCatalogues::watch(const std::shared_ptr<State>& state, Entry& entry, const std::string& version,
                                std::uint64_t drops) {
  const auto compare = [](std::shared_ptr<State> its, Entry& of, std::string known,
                          std::uint64_t since) -> asio::awaitable<void> {
    asio::steady_timer timer(its->executor);
    while (of.drops() == since) {
      timer.expires_after(kCompareEvery);
      std::error_code ignored;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (!of.was_used()) continue;
      const Result<std::string> now = co_await read_version(its->server, of.database());
      if (now && *now != known && of.drops() == since) of.drop();
    }
  };
  asio::co_spawn(state->executor, compare(state, entry, version, drops), [&entry](std::exception_ptr thrown) {
    if (thrown) log::error("statement-catalogue-unwatched", {{"database", entry.database()}});
  });
}

void StatementCatalogues::drop(const std::string& database) {
  const std::lock_guard lock(state_->mutex);
  const auto entry = state_->entries.find(database);
  if (entry != state_->entries.end()) entry->second->drop();
}

void StatementCatalogues::drop_all() {
  const std::lock_guard lock(state_->mutex);
  for (auto& [database, entry] : state_->entries) entry->drop();
}

}  // namespace pgtandem
