#include "server-relay/relay/status-line.h"

namespace pgtandem {

std::string status_line(const nlohmann::json& status, std::uint64_t sessions) {
  const nlohmann::json& role = status.at("role");
  const nlohmann::json& standby = status.at("standby");
  std::string line = role.value("state", "") + ", epoch " +
                     std::to_string(role.value("epoch", std::uint64_t{0})) +
                     (standby.value("joined", false) ? ", standby joined, " : ", standby not joined, ") +
                     std::to_string(sessions) + (sessions == 1 ? " session" : " sessions");
  return line;
}

}  // namespace pgtandem
