#include <algorithm>

#include "common/config/secret-file.h"
#include "common/net/tls-client.h"
#include "common/witness/etcd-link.h"
#include "common/witness/witness-value.h"
#include "server-relay/relay/witness-from-settings.h"

namespace pgtandem {
namespace {

Result<std::shared_ptr<asio::ssl::context>> make_tls(const WitnessSettings& witness) {
  TlsClientOptions options;
  options.ca_file = witness.ca_file;
  options.cert_file = witness.cert_file;
  if (!witness.key_file.empty()) {
    Result<Secret> key = read_secret_file(witness.key_file, 1);
    if (!key) return Error{key.error()};
    options.key = std::move(*key);
  }
  Result<std::shared_ptr<asio::ssl::context>> made = make_tls_client(options);
  if (!made) return Error{"[witness]: " + made.error()};
  return made;
}

}  // namespace

Result<std::shared_ptr<WitnessLink>> make_witness(const RelaySettings& settings, const Secret& pair_key) {
  if (!settings.pair_mode() || !settings.witness.configured()) return std::shared_ptr<WitnessLink>();
  Result<std::shared_ptr<EtcdLink>> link = make_etcd_link(settings, pair_key);
  if (!link) return Error{link.error()};
  return std::shared_ptr<WitnessLink>(std::move(*link));
}

Result<std::shared_ptr<EtcdLink>> make_etcd_link(const RelaySettings& settings, const Secret& pair_key) {
  const WitnessSettings& witness = settings.witness;
  EtcdLinkOptions options;
  options.endpoints = witness.endpoints;
  options.key = witness_key(witness.prefix, settings.cluster);
  options.user = witness.user;
  options.pair_key = pair_key;
  options.cluster = settings.cluster;
  if (!witness.password_file.empty()) {
    Result<Secret> password = read_secret_file(witness.password_file, 1);
    if (!password) return Error{password.error()};
    options.password = std::move(*password);
  }
  if (std::ranges::any_of(witness.endpoints, [](const WitnessEndpoint& endpoint) { return endpoint.tls; })) {
    Result<std::shared_ptr<asio::ssl::context>> tls = make_tls(witness);
    if (!tls) return Error{tls.error()};
    options.tls = std::move(*tls);
  }
  return std::make_shared<EtcdLink>(std::move(options));
}

}  // namespace pgtandem
