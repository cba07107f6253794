#include "tests/unit/statements/real-database.h"

#include <stdexcept>

#include "tests/unit/service/run-awaitable.h"

namespace pgtandem::testing {

RealDatabase::RealDatabase(std::string name, std::span<const char* const> objects)
    : name_(std::move(name)), service_(shared_postgres().endpoint(), {"postgres", "", "postgres"}) {
  TestPostgres& server = shared_postgres();
  server.sql("DROP DATABASE IF EXISTS " + name_);
  server.sql("CREATE DATABASE " + name_);
  connection_ = server.connect(name_);
  for (const char* object : objects) run(object);
}

std::vector<std::vector<std::string>> RealDatabase::rows(const char* sql) {
  auto answer = run_awaitable(service_.query(name_, sql, {}, std::chrono::seconds(20)));
  if (!answer) throw std::runtime_error(answer.error());
  return answer->rows;
}

std::shared_ptr<const StatementCatalogue> RealDatabase::read() {
  const auto functions = rows(kStatementFunctionsSql);
  const auto operators = rows(kStatementOperatorsSql);
  const auto types = rows(kStatementTypesSql);
  const auto relations = rows(kStatementRelationsSql);
  const auto row_keys = rows(kStatementRowKeysSql);
  auto catalogue = StatementCatalogue::from_rows({functions, operators, types, relations, row_keys});
  if (!catalogue) throw std::runtime_error(catalogue.error());
  return *catalogue;
}

}  // namespace pgtandem::testing
