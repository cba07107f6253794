/// The bytes of a request of HTTP/1.1 (RFC 9112). Pure.
#pragma once
#include <string>

#include "common/net/http-client.h"

namespace pgtandem {

/// What is asked of the server's connection.
enum class AfterAnswer { close, keep };

/// What goes over the wire, or an error if a part would break out of its place.
Result<std::string> write_http_request(const Endpoint& server, const HttpRequest& request, AfterAnswer after);

}  // namespace pgtandem
