/// Statuses of relays for the tests of the forwarder.
#pragma once
#include <string>

#include "client-forwarder/relay-report.h"

namespace pgtandem::test {

inline const std::string kPair = "9b2f6c1e-5f0a-4c56-8a3e-6d4f0c2b7e11";
inline const std::string kOtherPair = "11111111-2222-4333-8444-555555555555";
inline const std::string kMac(64, 'a');

inline std::string record_payload(Epoch epoch, const std::string& master, const std::string& cluster = kPair,
                                  bool sync = true) {
  return "pgtandem-role 1 cluster=" + cluster + " epoch=" + std::to_string(epoch) + " master=" + master +
         " data_node=" + master + " generation=" + kOtherPair + " sync=" + (sync ? "true" : "false");
}

/// The status of one node of a pair, with a signed record.
inline std::string pair_status(const std::string& node, const std::string& state, Epoch epoch,
                               const std::string& master, const std::string& cluster = kPair) {
  return R"({"version":"0.1.0","node":")" + node + R"(","mode":"pair","role":{"state":")" + state +
         R"(","epoch":)" + std::to_string(epoch) + R"(,"master":")" + master + R"("},"record":{"payload":")" +
         record_payload(epoch, master, cluster) + R"(","mac":")" + kMac + R"("}})";
}

/// Of one whose sessions go on with the other node's server.
inline std::string guest_host_status(const std::string& node, Epoch epoch, const std::string& master) {
  std::string status = pair_status(node, "STALE", epoch, master);
  return status.insert(1, R"("guests":true,)");
}

inline std::string flags_status(const std::string& state, Epoch epoch = 1) {
  return R"({"version":"0.1.0","node":"a","mode":"flags","role":{"state":")" + state + R"(","epoch":)" +
         std::to_string(epoch) + R"(},"record":null})";
}

}  // namespace pgtandem::test
