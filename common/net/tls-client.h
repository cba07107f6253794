/// What a TLS client believes, and what it shows.
#pragma once
#include <memory>
#include <string>

#include <asio/ssl/context.hpp>

#include "common/base/result.h"
#include "common/base/secret.h"

namespace pgtandem {

struct TlsClientOptions {
  std::string ca_file;    ///< PEM; empty: the authorities that the system trusts
  std::string cert_file;  ///< PEM, the chain of this client; empty: none
  Secret key;             ///< PEM, of cert_file; without a password of its own
};

/// TLS 1.2 or later; servers are verified. The error names the file.
Result<std::shared_ptr<asio::ssl::context>> make_tls_client(const TlsClientOptions& options);

}  // namespace pgtandem
