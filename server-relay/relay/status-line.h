/// How the relay is, on one line: for `systemctl status`. Pure.
#pragma once
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace pgtandem {

/// `status`: the keeper's part of the status, with `role` and `standby`.
std::string status_line(const nlohmann::json& status, std::uint64_t sessions);

}  // namespace pgtandem
