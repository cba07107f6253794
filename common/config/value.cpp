#include "common/config/value.h"

#include <array>
#include <charconv>
#include <sstream>
#include <utility>

#include <asio/ip/address.hpp>

namespace pgtandem::config {
namespace {

Error wrong(std::string_view text, std::string_view why) {
  return Error{"'" + std::string(text) + "' " + std::string(why)};
}

/// The leading number, and what follows it.
Result<std::pair<std::uint64_t, std::string_view>> split_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure == std::errc::result_out_of_range) return wrong(text, "is too large");
  if (failure != std::errc{}) return wrong(text, "does not begin with a whole number");
  return std::pair{number, text.substr(std::size_t(end - text.data()))};
}

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

Result<std::uint64_t> scale(std::string_view text, std::uint64_t number, std::string_view unit,
                            std::span<const Unit> units, std::string_view allowed) {
  for (const Unit& u : units) {
    if (u.name != unit) continue;
    // A quarter of the range, so that no sum or conversion of what comes out can overflow.
    if (number > (UINT64_MAX / 4) / u.factor) return wrong(text, "is too large");
    return number * u.factor;
  }
  return wrong(text, "needs one of the units " + std::string(allowed));
}

bool is_access_address(std::string_view text) {
  if (text == "all" || text == "local") return true;
  const std::size_t slash = text.find('/');
  asio::error_code failure;
  const asio::ip::address address = asio::ip::make_address(std::string(text.substr(0, slash)), failure);
  if (failure) return false;
  if (slash == std::string_view::npos) return true;
  const auto bits = parse_number(text.substr(slash + 1));
  return bits.ok() && *bits <= (address.is_v4() ? 32U : 128U);
}

Result<void> check_choice(const Setting& setting, std::string_view text) {
  std::string_view rest = setting.choices;
  while (!rest.empty()) {
    const std::size_t bar = rest.find('|');
    if (rest.substr(0, bar) == text && !text.empty()) return {};
    rest = bar == std::string_view::npos ? std::string_view{} : rest.substr(bar + 1);
  }
  return wrong(text, "is not allowed: use one of " + limits_text(setting));
}

template <typename T>
Result<void> check_range(const Setting& setting, std::string_view text, const Result<T>& value,
                         std::uint64_t number) {
  if (!value.ok()) return Error{value.error()};
  if (setting.max != 0 && (number < setting.min || number > setting.max)) {
    return wrong(text, "is out of range: allowed are " + limits_text(setting));
  }
  return {};
}

Result<void> check_host(std::string_view text) {
  if (text.empty()) return Error{"the host is empty"};
  const bool odd = text.find_first_of(" \t[]/@,") != std::string_view::npos;
  asio::error_code failure;
  if (text.find(':') != std::string_view::npos) asio::ip::make_address_v6(std::string(text), failure);
  if (odd || failure) return wrong(text, "is no host name or address (the port has a key of its own)");
  return {};
}

template <typename T>
Result<void> only_error(const Result<T>& result) {
  if (!result.ok()) return Error{result.error()};
  return {};
}

}  // namespace

Result<Milliseconds> parse_duration(std::string_view text) {
  static constexpr std::array<Unit, 4> kUnits{{{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
  const auto parts = split_number(text);
  if (!parts) return wrong(text, "is no duration: use forms like \"500ms\", \"2s\", \"1m\", \"1h\"");
  if (parts->first == 0 && parts->second.empty()) return Milliseconds(0);
  const auto value = scale(text, parts->first, parts->second, kUnits, "ms, s, m, h");
  if (!value) return Error{value.error()};
  return Milliseconds(*value);
}

std::string write_duration(Milliseconds value) {
  const auto count = value.count();
  if (count != 0 && count % 3'600'000 == 0) return std::to_string(count / 3'600'000) + "h";
  if (count != 0 && count % 60'000 == 0) return std::to_string(count / 60'000) + "m";
  if (count % 1000 == 0) return std::to_string(count / 1000) + "s";
  return std::to_string(count) + "ms";
}

Result<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::uint64_t kK = 1024, kM = kK * 1024, kG = kM * 1024;
  static constexpr std::array<Unit, 11> kUnits{{{"", 1},
                                                {"B", 1},
                                                {"K", kK},
                                                {"kB", kK},
                                                {"KiB", kK},
                                                {"M", kM},
                                                {"MB", kM},
                                                {"MiB", kM},
                                                {"G", kG},
                                                {"GB", kG},
                                                {"GiB", kG}}};
  const auto parts = split_number(text);
  if (!parts) return wrong(text, "is no size: use forms like 262144, \"256KiB\", \"16MiB\"");
  return scale(text, parts->first, parts->second, kUnits, "KiB, MiB, GiB, or none for bytes");
}

std::string write_size(std::uint64_t bytes) {
  static constexpr std::array<Unit, 3> kUnits{{{"GiB", 1U << 30}, {"MiB", 1U << 20}, {"KiB", 1U << 10}}};
  for (const Unit& unit : kUnits) {
    if (bytes != 0 && bytes % unit.factor == 0)
      return std::to_string(bytes / unit.factor) + std::string(unit.name);
  }
  return std::to_string(bytes);
}

Result<std::uint64_t> parse_number(std::string_view text) {
  const auto parts = split_number(text);
  if (!parts || !parts->second.empty()) return wrong(text, "is no whole number");
  return parts->first;
}

Result<RelayAddress> parse_relay_address(std::string_view text) {
  RelayAddress address;
  const std::size_t slash = text.rfind('/');
  std::string_view front = text;
  if (slash != std::string_view::npos && slash > 0) {
    const auto port = parse_number(text.substr(slash + 1));
    if (!port.ok() || *port == 0 || *port > 65535) {
      return wrong(text, "should end in a control port from 1 to 65535 after the slash");
    }
    address.control_port = std::uint16_t(*port);
    front = text.substr(0, slash);
  }
  const auto endpoint = parse_endpoint(front, address.relay_port);
  if (!endpoint) return Error{endpoint.error()};
  if (endpoint->host.empty() || endpoint->is_unix()) {
    return wrong(text, "is no relay: use host:relay_port/control_port");
  }
  address.host = endpoint->host;
  address.relay_port = endpoint->port;
  return address;
}

std::string to_string(const RelayAddress& address) {
  return to_string(Endpoint{address.host, address.relay_port}) + "/" + std::to_string(address.control_port);
}

Result<AccessRule> parse_access_rule(std::string_view text) {
  std::istringstream words{std::string(text)};
  AccessRule rule;
  std::string action, more;
  words >> rule.address >> rule.database >> rule.user >> action;
  if (action.empty() || (words >> more)) {
    return wrong(text, "is no rule: use ADDRESS DATABASE USER ACTION, as in \"10.0.0.0/8 all all allow\"");
  }
  if (!is_access_address(rule.address)) {
    return wrong(rule.address,
                 "is no address of a rule: use 10.0.0.0/8, ::1/128, all or local (the Unix socket)");
  }
  if (action != "allow" && action != "deny")
    return wrong(action, "is no action of a rule: use allow or deny");
  rule.allow = action == "allow";
  return rule;
}

Result<WitnessEndpoint> parse_witness_url(std::string_view text) {
  constexpr std::string_view kPlain = "http://", kTls = "https://";
  constexpr std::uint16_t kEtcdPort = 2379;
  WitnessEndpoint endpoint;
  endpoint.tls = text.starts_with(kTls);
  if (!endpoint.tls && !text.starts_with(kPlain))
    return wrong(text, "is no URL of a witness: use http://host:2379 or https://host:2379");
  std::string_view address = text.substr(endpoint.tls ? kTls.size() : kPlain.size());
  if (address.ends_with('/')) address.remove_suffix(1);
  if (address.find_first_of("/?#@") != std::string_view::npos)
    return wrong(text, "is more than the address of a witness: use http://host:2379 or https://host:2379");
  Result<Endpoint> parsed = parse_endpoint(address, kEtcdPort);
  if (!parsed) return Error{parsed.error()};
  if (parsed->host.empty()) return wrong(text, "lacks the host: use http://host:2379 or https://host:2379");
  endpoint.address = std::move(*parsed);
  return endpoint;
}

std::string to_string(const WitnessEndpoint& endpoint) {
  return (endpoint.tls ? "https://" : "http://") + to_string(endpoint.address);
}

Result<DisciplineRule> parse_discipline_rule(std::string_view text) {
  DisciplineRule rule;
  const std::size_t equals = text.rfind('=');
  const std::size_t slash = equals == std::string_view::npos ? equals : text.substr(0, equals).find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == equals) {
    return wrong(text, "is no exception: use DATABASE/ROLE=DISCIPLINE, as in \"reports/*=classic\"");
  }
  rule.database = text.substr(0, slash);
  rule.role = text.substr(slash + 1, equals - slash - 1);
  const std::string_view word = text.substr(equals + 1);
  if (word != "serial" && word != "classic") return wrong(word, "is no discipline: use serial or classic");
  rule.discipline = word == "serial" ? Discipline::serial : Discipline::classic;
  return rule;
}

Result<void> check_value(const Setting& setting, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return Error{"a NUL byte is not allowed"};
  switch (setting.type) {
    case SettingType::text:
    case SettingType::path:
      return {};
    case SettingType::host:
      return check_host(text);
    case SettingType::node: {
      if (text == "a" || text == "b") return {};
      return wrong(text, "is no node: use \"a\" or \"b\"");
    }
    case SettingType::uuid: {
      const auto uuid = parse_uuid(text);
      if (!uuid.ok()) return Error{uuid.error()};
      if (uuid->is_none()) return wrong(text, "is all zero: make one with uuidgen");
      return {};
    }
    case SettingType::endpoint: {
      const auto endpoint = parse_endpoint(text);
      if (endpoint.ok() && endpoint->host.empty()) return wrong(text, "lacks the host: use host:port");
      return only_error(endpoint);
    }
    case SettingType::endpoints: {
      const auto endpoint = parse_endpoint(text);
      if (endpoint.ok() && endpoint->is_unix())
        return wrong(text, "is a Unix socket, here only TCP is possible");
      return only_error(endpoint);
    }
    case SettingType::urls:
      return only_error(parse_witness_url(text));
    case SettingType::relays:
      return only_error(parse_relay_address(text));
    case SettingType::disciplines:
      return only_error(parse_discipline_rule(text));
    case SettingType::access:
      return only_error(parse_access_rule(text));
    case SettingType::choice:
      return check_choice(setting, text);
    case SettingType::port:
    case SettingType::count: {
      const auto value = parse_number(text);
      return check_range(setting, text, value, value.ok() ? *value : 0);
    }
    case SettingType::size: {
      const auto value = parse_size(text);
      return check_range(setting, text, value, value.ok() ? *value : 0);
    }
    case SettingType::duration: {
      const auto value = parse_duration(text);
      return check_range(setting, text, value, value.ok() ? std::uint64_t(value->count()) : 0);
    }
  }
  return {};
}

}  // namespace pgtandem::config
