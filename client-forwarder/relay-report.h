/// What a forwarder takes from a relay's status (GET /v1/status, /v1/watch). Only the keys that it needs, so
/// that a forwarder follows relays of other versions. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/result.h"

namespace pgtandem {

/// The signed record of role (common/roles/role-record.h). The forwarder has no key: it reads the text and
/// carries both.
struct CarriedRecord {
  std::string payload;
  std::string mac;
  Uuid cluster;
  Epoch epoch = 0;
  Node master = Node::none;

  friend bool operator==(const CarriedRecord&, const CarriedRecord&) = default;
};

struct RelayReport {
  bool pair_mode = false;  ///< false: flags-only, its epoch means nothing to any other relay
  Node node = Node::none;
  std::string state;
  bool active = false;  ///< MASTER, ALONE, DEGRADING or DRAINING
  bool guests = false;  ///< not master any more, but its sessions go on with the master's server
  Epoch epoch = 0;      ///< as the relay says; what counts is the record's
  std::optional<CarriedRecord> record;
};

/// The longest payload and mac that a forwarder keeps and carries; real ones are about 200 and 64 bytes.
inline constexpr std::size_t kMaxRecordText = 1024;

Result<RelayReport> parse_report(std::string_view status_json);
/// Reads cluster, epoch and master out of a record's text. Whether it is genuine, only a relay can tell.
Result<CarriedRecord> parse_record(std::string_view payload, std::string_view mac);

}  // namespace pgtandem
