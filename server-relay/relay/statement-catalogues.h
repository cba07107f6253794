/// The current statement catalogue of each database (what is proven to read, hard point 22), shared by all
/// sessions. A catalogue that is not there yet proves nothing: everything it would tell is taken for a write.
///
/// An entry's life: asked for, so loading; current; dropped when DDL is committed, and loading again. What a
/// load found that began before the last drop is thrown away.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <asio/any_io_executor.hpp>

#include "server-relay/service/service-connection.h"
#include "server-relay/statements/database-statements.h"

namespace pgtandem {

/// Thread-safe. Destroy it before `server` and after the executor's last handler.
class StatementCatalogues {
 public:
  StatementCatalogues(asio::any_io_executor executor, ServiceConnection& server);
  ~StatementCatalogues();

  /// Lives as long as this object.
  SharedCatalogue& of(const std::string& database);
  void drop(const std::string& database);
  void drop_all();

 private:
  class Entry;
  struct State;
  static void load(const std::shared_ptr<State>& state, Entry& entry);
  static void watch(const std::shared_ptr<State>& state, Entry& entry, const std::string& version,
                    std::uint64_t drops);
  std::shared_ptr<State> state_;
};

}  // namespace pgtandem
