/// What the servers on this host say, through the service connection.
#include <algorithm>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <set>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include "server-relay/bootstrap/run-now.h"
#include "server-relay/service/service-connection.h"
#include "server-relay/tool/check-surroundings.h"

namespace pgtandem::tool {
namespace {

using Severity = Finding::Severity;
using asio::ip::tcp;

constexpr std::chrono::seconds kQueryLimit{5};

constexpr auto kFactsQuery =
    "SELECT current_setting('server_version'), current_setting('server_version_num'),"
    " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)::text, current_setting('max_connections'),"
    " current_setting('superuser_reserved_connections'), current_setting('listen_addresses'),"
    " pg_encoding_to_char(encoding), coalesce(datcollate, ''), coalesce(datctype, ''),"
    " current_setting('fsync'), current_setting('password_encryption')"
    " FROM pg_database WHERE datname = current_database()";
constexpr auto kHbaQuery =
    "SELECT line_number::text, coalesce(type, ''), coalesce(array_to_string(database, ','), ''),"
    " coalesce(array_to_string(user_name, ','), ''), coalesce(address, ''), coalesce(netmask, ''),"
    " coalesce(auth_method, ''), coalesce(error, '') FROM pg_hba_file_rules ORDER BY line_number";
constexpr std::size_t kFactsColumns = 11;
constexpr std::size_t kHbaColumns = 8;

unsigned to_number(const std::string& text) {
  // Only figures that a server gave for an integer setting of its own: 9 digits fit.
  const bool digits =
      !text.empty() && text.size() <= 9 && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? unsigned(std::stoul(text)) : 0;
}

std::vector<asio::ip::address> addresses_of(const std::string& host) {
  asio::io_context context;
  tcp::resolver resolver(context);
  asio::error_code error;
  std::vector<asio::ip::address> addresses;
  for (const auto& entry : resolver.resolve(host, "0", error))
    addresses.push_back(entry.endpoint().address());
  return addresses;
}

std::set<asio::ip::address> own_addresses() {
  std::set<asio::ip::address> own;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return own;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr) continue;
    if (entry->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
      own.insert(asio::ip::address_v4(ntohl(v4->sin_addr.s_addr)));
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      asio::ip::address_v6::bytes_type bytes;
      std::copy_n(v6->sin6_addr.s6_addr, bytes.size(), bytes.begin());
      own.insert(asio::ip::address_v6(bytes));
    }
  }
  ::freeifaddrs(list);
  return own;
}

asio::awaitable<Result<ServerFacts>> ask_server(ServiceConnection& service, std::string database) {
  auto rows = co_await service.query(database, kFactsQuery, {}, kQueryLimit);
  if (!rows) co_return Error{rows.error()};
  if (rows->rows.size() != 1 || rows->rows[0].size() != kFactsColumns) co_return Error{"it gave no settings"};
  const auto& row = rows->rows[0];
  ServerFacts facts;
  facts.version = row[0];
  facts.version_number = to_number(row[1]);
  facts.superuser = row[2] == "true";
  facts.max_connections = to_number(row[3]);
  facts.reserved_connections = to_number(row[4]);
  facts.listen_addresses = row[5];
  facts.encoding = row[6];
  facts.collation = row[7];
  facts.character_type = row[8];
  facts.fsync = row[9];
  facts.password_encryption = row[10];
  if (!facts.superuser) co_return facts;  // the rules are for superusers
  auto rules = co_await service.query(database, kHbaQuery, {}, kQueryLimit);
  if (!rules) co_return Error{rules.error()};
  for (const auto& rule : rules->rows) {
    if (rule.size() != kHbaColumns) continue;
    facts.hba.push_back({rule[0], rule[1], rule[2], rule[3], rule[4], rule[5], rule[6], rule[7]});
  }
  co_return facts;
}

/// The address from which the relay reaches its postmaster: on one host that is the postmaster's own.
std::string relay_address(const Endpoint& postmaster) {
  if (postmaster.is_unix()) return {};
  const auto addresses = addresses_of(postmaster.host);
  return addresses.empty() ? postmaster.host : addresses.front().to_string();
}

}  // namespace

bool is_this_host(const std::string& host) {
  const auto own = own_addresses();
  const auto named = addresses_of(host);
  return std::any_of(named.begin(), named.end(),
                     [&](const asio::ip::address& a) { return a.is_loopback() || own.contains(a); });
}

Findings check_postmasters(const ToolSettings& settings, const std::optional<RelaySettings>& relay) {
  Findings findings;
  std::vector<ServerFacts> facts;
  for (const Node node : {Node::a, Node::b}) {
    const NodeSettings& named = node == Node::a ? settings.a : settings.b;
    const std::string topic =
        "node " + std::string(to_string(node)) + ": postmaster " + to_string(named.postmaster);
    if (named.host.empty()) continue;
    if (!is_this_host(named.host)) {
      findings.push_back({Severity::note, topic, "runs on " + named.host + ": looked at from there only",
                          "run pgtandem check on that host too"});
      continue;
    }
    if (settings.service.user.empty()) {
      findings.push_back({Severity::note, topic, "not looked at: no service user is set", {}});
      continue;
    }
    ServiceConnection service(named.postmaster, settings.service);
    const Result<ServerFacts> answer = bootstrap::run_now(ask_server(service, settings.service.database));
    if (!answer) {
      findings.push_back(
          {Severity::error, topic, answer.error(),
           "start it, or correct [nodes." + std::string(to_string(node)) + "] postmaster and [service]"});
      continue;
    }
    const auto max_sessions = relay ? std::optional<unsigned>(relay->max_sessions) : std::nullopt;
    for (Finding& finding : judge_server(topic, *answer, max_sessions))
      findings.push_back(std::move(finding));
    for (Finding& finding : judge_hba(topic, *answer, relay_address(named.postmaster))) {
      findings.push_back(std::move(finding));
    }
    facts.push_back(*answer);
  }
  if (facts.size() == 2) {
    for (Finding& finding : compare_servers(facts[0], facts[1])) findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace pgtandem::tool
