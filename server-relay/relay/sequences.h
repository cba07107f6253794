/// Sequences of a database: what is not undone by a rollback has to be made equal by hand (design page 2,
/// rule 5).
#pragma once
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "server-relay/service/service-connection.h"

namespace pgtandem {

struct SequenceValue {
  std::string schema, name;
  std::string value;    ///< the last one given out; of one that was never used, the one it begins with
  bool called = false;  ///< whether it was used

  friend bool operator==(const SequenceValue&, const SequenceValue&) = default;
};

/// All committed sequences that are not temporary, in the order of their names.
asio::awaitable<Result<std::vector<SequenceValue>>> read_sequences(ServiceConnection& server,
                                                                   std::string database);
/// Sets those that differ from `wanted`; sequences that this server does not have are left out.
asio::awaitable<Result<void>> set_sequences(ServiceConnection& server, std::string database,
                                            std::vector<SequenceValue> wanted);

nlohmann::json to_json(const std::vector<SequenceValue>& sequences);
/// Throws nlohmann::json::exception where it is none.
std::vector<SequenceValue> sequences_from(const nlohmann::json& json);

}  // namespace pgtandem
