#include "common/net/tls-client.h"

#include <asio/buffer.hpp>

namespace pgtandem {
namespace {

Error cannot_use(const std::string& what, const asio::error_code& code) {
  return Error{what + " cannot be used: " + code.message()};
}

}  // namespace

Result<std::shared_ptr<asio::ssl::context>> make_tls_client(const TlsClientOptions& options) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  asio::error_code code;
  context->set_verify_mode(asio::ssl::verify_peer, code);
  if (options.ca_file.empty()) {
    context->set_default_verify_paths(code);
    if (code) return cannot_use("the system's certificate authorities", code);
  } else {
    context->load_verify_file(options.ca_file, code);
    if (code) return cannot_use("the file of certificate authorities " + options.ca_file, code);
  }
  if (options.cert_file.empty()) return context;
  context->use_certificate_chain_file(options.cert_file, code);
  if (code) return cannot_use("the certificate file " + options.cert_file, code);
  // A key with a password would be asked for on a terminal that is not there.
  context->set_password_callback(
      [](std::size_t, asio::ssl::context::password_purpose) { return std::string(); }, code);
  context->use_private_key(asio::buffer(options.key.reveal()), asio::ssl::context::pem, code);
  if (code) return cannot_use("the private key of " + options.cert_file, code);
  if (SSL_CTX_check_private_key(context->native_handle()) != 1)
    return Error{"the private key does not belong to the certificate in " + options.cert_file};
  return context;
}

}  // namespace pgtandem
