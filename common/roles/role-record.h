/// The record of role: who is master of which epoch, signed under the pair's key (hard point 12). Forwarders
/// carry it between relays; an unsigned or foreign record changes nothing.
///
///   payload = "pgtandem-role 1 cluster=" uuid " epoch=" number " master=" node " data_node=" node
///             " generation=" uuid " sync=" ("true" | "false")
///   mac     = hex(HMAC-SHA256(pair key, "record\n" payload))
#pragma once
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/secret.h"

namespace pgtandem {

struct RoleRecord {
  Uuid cluster;
  Epoch epoch = 0;
  Node master = Node::none;
  Node data_node = Node::none;
  Uuid generation;
  bool sync = false;

  friend bool operator==(const RoleRecord&, const RoleRecord&) = default;
};

struct SignedRecord {
  std::string payload;
  std::string mac;
};

SignedRecord sign_record(const Secret& pair_key, const RoleRecord& record);
/// Accepts only the canonical text, signed under this key, of this cluster.
Result<RoleRecord> verify_record(const Secret& pair_key, const Uuid& cluster, const SignedRecord& record);

}  // namespace pgtandem
