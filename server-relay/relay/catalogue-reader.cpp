#include "server-relay/relay/catalogue-reader.h"

namespace pgtandem {
namespace {

constexpr std::chrono::milliseconds kReadLimit{10000};  ///< a catalogue of 100,000 types takes about a second

}  // namespace

asio::awaitable<Result<OidCatalogue>> read_catalogue(ServiceConnection& service, std::string database) {
  const Result<ServiceRows> types = co_await service.query(database, kCatalogueTypesSql, {}, kReadLimit);
  if (!types) co_return Error{types.error()};
  const Result<ServiceRows> functions =
      co_await service.query(database, kCatalogueFunctionsSql, {}, kReadLimit);
  if (!functions) co_return Error{functions.error()};
  co_return OidCatalogue::from_rows(types->rows, functions->rows);
}

}  // namespace pgtandem
