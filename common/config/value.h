/// Values as people write them: durations, sizes, addresses, rules. Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/config/setting-table.h"
#include "common/config/settings.h"

namespace pgtandem::config {

/// "500ms", "2s", "1m", "1h": whole numbers, the unit is required (0 needs none).
Result<Milliseconds> parse_duration(std::string_view text);
/// The shortest exact form: "2s", "1500ms".
std::string write_duration(Milliseconds value);
/// "262144", "256KiB", "16MiB", "1GiB" (also K, M, G, kB, MB, GB, all by 1024).
Result<std::uint64_t> parse_size(std::string_view text);
std::string write_size(std::uint64_t bytes);
Result<std::uint64_t> parse_number(std::string_view text);
/// "host", "host:5432", "[v6]:5432", each optionally with "/control_port".
Result<RelayAddress> parse_relay_address(std::string_view text);
/// "host:relay_port/control_port".
std::string to_string(const RelayAddress& address);
/// "ADDRESS DATABASE USER ACTION", as in "10.0.0.0/8 all all allow".
Result<AccessRule> parse_access_rule(std::string_view text);

/// "http://host:2379" or "https://host:2379"; the port may be left out (2379).
Result<WitnessEndpoint> parse_witness_url(std::string_view text);
std::string to_string(const WitnessEndpoint& endpoint);

/// "DATABASE/ROLE=DISCIPLINE", as in "reports/*=classic".
Result<DisciplineRule> parse_discipline_rule(std::string_view text);

/// Whether `text` is an allowed value (of a list: one item) of the setting. The error says what is allowed.
Result<void> check_value(const Setting& setting, std::string_view text);

}  // namespace pgtandem::config
