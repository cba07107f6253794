/// The witness, member by member, and the fencing hook.
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include "common/config/secret-file.h"
#include "server-relay/relay/arbiters.h"
#include "server-relay/tool/check-surroundings.h"

namespace pgtandem::tool {
namespace {

using Severity = Finding::Severity;

constexpr std::chrono::milliseconds kWitnessLimit{3000};

std::string shown(const WitnessReply& reply) {
  if (!reply.record) return "answers; it holds no record of this pair yet";
  return "answers; it holds epoch " + std::to_string(reply.record->role.epoch) + ", master " +
         std::string(to_string(reply.record->role.master)) +
         (reply.record->role.sync ? ", standby joined" : ", no standby");
}

asio::awaitable<void> read_into(std::shared_ptr<WitnessLink> witness,
                                std::optional<Result<WitnessReply>>& reply) {
  reply.emplace(co_await witness->read(kWitnessLimit));
}

/// One member alone, so that another one cannot stand in for it.
Finding ask_member(const RelaySettings& settings, const WitnessEndpoint& endpoint, const Secret& key) {
  const std::string topic = "witness " + to_string(endpoint.address);
  asio::io_context context;  // outlives the link, which keeps a connection of it
  RelaySettings alone = settings;
  alone.witness.endpoints = {endpoint};
  const Result<Arbiters> made = make_arbiters(alone, key);
  if (!made) return {Severity::error, topic, made.error(), "see [witness] in the configuration"};
  std::optional<Result<WitnessReply>> reply;
  std::string trouble = "the question was given up";
  asio::co_spawn(context, read_into(made->witness, reply), [&trouble](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      trouble = e.what();
    }
  });
  context.run();
  if (reply && *reply) return {Severity::good, topic, shown(**reply), {}};
  return {Severity::error, topic, reply ? reply->error() : trouble,
          "while no member answers nobody takes over by itself"};
}

}  // namespace

Findings check_arbiters(const std::optional<RelaySettings>& relay) {
  Findings findings;
  if (!relay || !relay->pair_mode()) return findings;
  if (!relay->witness.configured()) {
    const Result<Arbiters> made = make_arbiters(*relay, {});
    if (!made) {
      findings.push_back(
          {Severity::error, "fencing.hook", made.error(), "install it on both hosts, chmod 755"});
    } else if (made->hook != nullptr) {
      findings.push_back(
          {Severity::good, "fencing.hook", "'" + relay->fencing.hook + "' can be executed", {}});
    }
    return findings;
  }
  const Result<Secret> key = read_secret_file(relay->key_file, 1);
  if (!key) return findings;  // told by check_files()
  for (const WitnessEndpoint& endpoint : relay->witness.endpoints)
    findings.push_back(ask_member(*relay, endpoint, *key));
  if (relay->witness.endpoints.size() == 2) {
    findings.push_back({Severity::warning, "witness.endpoints",
                        "an etcd cluster of two members stands still when either is lost",
                        "use one member, or three"});
  }
  return findings;
}

}  // namespace pgtandem::tool
