#include "server-relay/relay/statement-catalogues.h"

#include <chrono>

#include <asio/co_spawn.hpp>

#include "common/base/log.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kLoadLimit{20000};  ///< nobody waits for it
constexpr auto kRetryAfter = 5s;

struct DatabaseFacts {
  std::shared_ptr<const StatementCatalogue> catalogue;
  bool may_defer = true;
};
using Loaded = Result<DatabaseFacts>;

constexpr const char* kDeferrableSql = "SELECT 1 FROM pg_trigger WHERE tgdeferrable LIMIT 1";

asio::awaitable<Loaded> read_statement_catalogue(ServiceConnection& server, std::string database) {
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
  const Result<ServiceRows> deferrable =
      co_await server.query(database, kDeferrableSql, {}, kLoadLimit, true);
  if (!deferrable) co_return Error{deferrable.error()};
  StatementCatalogueRows rows;
  rows.functions = functions->rows;
  rows.operators = operators->rows;
  rows.types = types->rows;
  rows.relations = relations->rows;
  Result<std::shared_ptr<const StatementCatalogue>> catalogue = StatementCatalogue::from_rows(rows);
  if (!catalogue) co_return Error{catalogue.error()};
  DatabaseFacts facts;
  facts.catalogue = std::move(*catalogue);
  facts.may_defer = !deferrable->rows.empty();
  co_return facts;
}

}  // namespace

struct StatementCatalogues::State {
  struct Entry {
    DatabaseFacts facts;
    std::uint64_t drops = 0;
    bool loading = false;
    std::chrono::steady_clock::time_point not_before{};
  };
  State(asio::any_io_executor its_executor, ServiceConnection& its_server)
      : executor(std::move(its_executor)), server(its_server) {}

  asio::any_io_executor executor;
  ServiceConnection& server;
  std::mutex mutex;
  std::map<std::string, Entry, std::less<>> entries;
};

StatementCatalogues::StatementCatalogues(asio::any_io_executor executor, ServiceConnection& server)
    : state_(std::make_shared<State>(std::move(executor), server)) {}

StatementCatalogues::~StatementCatalogues() = default;

std::shared_ptr<const StatementCatalogue> StatementCatalogues::current(const std::string& database) {
  {
    const std::lock_guard lock(state_->mutex);
    State::Entry& entry = state_->entries[database];
    const bool known = entry.facts.catalogue != nullptr;
    if (known || entry.loading || !state_->server.configured()) return entry.facts.catalogue;
    if (std::chrono::steady_clock::now() < entry.not_before) return nullptr;
    entry.loading = true;
  }
  load(state_, database);
  return nullptr;
}

void StatementCatalogues::load(const std::shared_ptr<State>& state, const std::string& database) {
  std::uint64_t drops = 0;
  {
    const std::lock_guard lock(state->mutex);
    drops = state->entries[database].drops;
  }
  const auto result = std::make_shared<Loaded>(Error{"not read"});
  const auto read = [](std::shared_ptr<State> its, std::string of,
                       std::shared_ptr<Loaded> into) -> asio::awaitable<void> {
    *into = co_await read_statement_catalogue(its->server, std::move(of));
  };
  asio::co_spawn(state->executor, read(state, database, result),
                 [state, database, drops, result](std::exception_ptr thrown) {
                   bool again = false;
                   {
                     const std::lock_guard lock(state->mutex);
                     State::Entry& entry = state->entries[database];
                     again = entry.drops != drops;
                     entry.loading = again;
                     if (!thrown && *result && !again) entry.facts = **result;
                     if (thrown || !*result)
                       entry.not_before = std::chrono::steady_clock::now() + kRetryAfter;
                   }
                   if (thrown || !*result) {
                     log::warning("statement-catalogue-unread",
                                  {{"database", database},
                                   {"error", thrown ? std::string("an internal error") : result->error()}});
                   }
                   if (again) load(state, database);
                 });
}

void StatementCatalogues::drop(const std::string& database) {
  const std::lock_guard lock(state_->mutex);
  State::Entry& entry = state_->entries[database];
  entry.facts = {};
  ++entry.drops;
}

bool StatementCatalogues::may_defer(const std::string& database) {
  const std::lock_guard lock(state_->mutex);
  const auto entry = state_->entries.find(database);
  return entry == state_->entries.end() || entry->second.facts.may_defer;
}

void StatementCatalogues::drop_all() {
  const std::lock_guard lock(state_->mutex);
  for (auto& [database, entry] : state_->entries) {
    entry.facts = {};
    ++entry.drops;
  }
}

}  // namespace pgtandem
