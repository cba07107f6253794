#include "server-relay/tool/witness-member.h"

#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "common/witness/etcd-link.h"
#include "server-relay/bootstrap/run-now.h"
#include "server-relay/relay/witness-from-settings.h"

namespace pgtandem::tool {
namespace {

constexpr std::chrono::milliseconds kLimit{3000};
/// A master renews its record every 500 ms; twice that and a little more shows one that lives.
constexpr std::chrono::milliseconds kWatch{1200};

/// The link ends with the coroutine, before the loop that it has its connections on.
asio::awaitable<Result<EtcdAnswer>> look(std::shared_ptr<EtcdLink> link) {
  co_return co_await link->look(kLimit);
}

bool has_revision(const EtcdAnswer& answer, std::uint64_t revision) {
  return answer.value && answer.value->mod_revision == revision;
}

Error changed() {
  return Error{"the record has changed since it was shown: a relay keeps it, or somebody else was at work"};
}

asio::awaitable<Result<EtcdAnswer>> erase(std::shared_ptr<EtcdLink> link, std::uint64_t revision) {
  asio::steady_timer timer(co_await asio::this_coro::executor, kWatch);
  co_await timer.async_wait(asio::use_awaitable);
  const Result<EtcdAnswer> seen = co_await link->look(kLimit);
  if (!seen) co_return Error{seen.error()};
  if (!has_revision(*seen, revision)) co_return changed();
  const Result<EtcdAnswer> erased = co_await link->erase(revision, kLimit);
  // It may have been asked more than once: gone is gone.
  if (erased && !erased->succeeded && erased->value) co_return changed();
  co_return erased;
}

}  // namespace

MemberAnswer ask_member(const RelaySettings& settings, const WitnessEndpoint& endpoint, const Secret& key) {
  MemberAnswer answer;
  answer.address = to_string(endpoint.address);
  RelaySettings alone = settings;
  alone.witness.endpoints = {endpoint};
  Result<std::shared_ptr<EtcdLink>> link = make_etcd_link(alone, key);
  if (!link) return answer.trouble = link.error(), answer;
  const Result<EtcdAnswer> seen = bootstrap::run_now(look(std::move(*link)));
  if (!seen) return answer.trouble = seen.error(), answer;
  if (seen->value) answer.revision = seen->value->mod_revision;
  const Result<WitnessReply> reply = to_witness_reply(*seen, key, settings.cluster);
  if (!reply) answer.flaw = reply.error();
  if (reply) answer.record = reply->record;
  EtcdAnswer header = *seen;
  header.value.reset();
  answer.identity = to_witness_reply(header, key, settings.cluster)->identity;
  return answer;
}

std::vector<MemberAnswer> ask_members(const RelaySettings& settings, const Secret& key) {
  std::vector<MemberAnswer> answers;
  for (const WitnessEndpoint& endpoint : settings.witness.endpoints)
    answers.push_back(ask_member(settings, endpoint, key));
  return answers;
}

Result<void> erase_record(const RelaySettings& settings, const Secret& key, std::uint64_t revision) {
  Result<std::shared_ptr<EtcdLink>> link = make_etcd_link(settings, key);
  if (!link) return Error{link.error()};
  const Result<EtcdAnswer> erased = bootstrap::run_now(erase(std::move(*link), revision));
  if (!erased) return Error{erased.error()};
  return {};
}

}  // namespace pgtandem::tool
