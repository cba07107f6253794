/// Reads one server's user-defined types and functions over a service connection.
#pragma once
#include <string>

#include "server-relay/oids/oid-catalogue.h"
#include "server-relay/service/service-connection.h"

namespace pgtandem {

asio::awaitable<Result<OidCatalogue>> read_catalogue(ServiceConnection& service, std::string database);

}  // namespace pgtandem
