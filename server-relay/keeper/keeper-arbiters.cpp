/// The keeper's side of the witness (R3 to R6) and of the fencing hook (R11).
#include <asio/use_awaitable.hpp>

#include "common/base/log.h"
#include "server-relay/keeper/keeper.h"

namespace pgtandem {
namespace {

/// For the status: how often the members are looked at that have no question to answer.
constexpr Milliseconds kLookAround{10000};
constexpr Milliseconds kLookLimit{1000};

asio::awaitable<void> pause(Milliseconds how_long) {
  asio::steady_timer timer(co_await asio::this_coro::executor, how_long);
  co_await timer.async_wait(asio::use_awaitable);
}

nlohmann::json member_json(const WitnessMember& member) {
  return {
      {"url", member.url}, {"asked", member.asked}, {"answers", member.answers}, {"trouble", member.trouble}};
}

nlohmann::json record_json(const WitnessRecord& record) {
  return {{"epoch", record.role.epoch},
          {"master", to_string(record.role.master)},
          {"data_node", to_string(record.role.data_node)},
          {"generation", to_string(record.role.generation)},
          {"sync", record.role.sync}};
}

}  // namespace

void Keeper::act(const action::ReadWitness& action) {
  spawn(ask_witness(alive_, action.ticket, std::nullopt, 0, action.patience), "witness-read");
}

void Keeper::act(const action::SwapWitness& action) {
  spawn(ask_witness(alive_, action.ticket, action.record, action.expected, action.patience), "witness-swap");
}

/// Whatever happens, the machine hears of it once: it asks nothing else before.
asio::awaitable<void> Keeper::ask_witness(Alive alive, Ticket ticket, std::optional<WitnessRecord> record,
                                          std::uint64_t expected, Milliseconds patience) {
  const std::shared_ptr<WitnessLink> witness = options_.witness;
  Result<WitnessReply> reply = Error{"no witness is configured"};
  try {
    if (witness != nullptr && record) reply = co_await witness->swap(*record, expected, patience);
    if (witness != nullptr && !record) reply = co_await witness->read(patience);
  } catch (const std::exception& failure) {
    reply = Error{std::string("an internal error: ") + failure.what()};
  }
  if (alive.expired()) co_return;
  note_witness(reply);
  if (reply) {
    feed(event::WitnessAnswered{ticket, std::move(*reply)});
  } else {
    feed(event::WitnessSilent{ticket, reply.error()});
  }
}

/// Says once when the witness is lost, and why, and once when it is found.
void Keeper::note_witness(const Result<WitnessReply>& reply) {
  const std::string trouble = reply ? std::string() : reply.error();
  if (reply && (!witness_found_ || !witness_trouble_.empty())) log::info("witness-found");
  if (!reply && witness_trouble_.empty()) log::warning("witness-lost", {{"why", trouble}});
  const bool changed = reply.ok() != witness_trouble_.empty() || (reply && !witness_found_);
  witness_found_ = witness_found_ || reply;
  if (reply) witness_identity_ = reply->identity;
  witness_trouble_ = trouble;
  if (changed && changed_) changed_();
}

asio::awaitable<void> Keeper::watch_witness(Alive alive) {
  const std::shared_ptr<WitnessLink> witness = options_.witness;
  while (!alive.expired()) {
    co_await witness->look_around(kLookLimit);
    co_await pause(kLookAround);
  }
}

void Keeper::act(const action::RunHook& action) {
  if (options_.hook == nullptr) return post_event(event::HookFailed{action.ticket, "no hook is configured"});
  log::warning("hook-started", {{"node", to_string(other(options_.machine.self))}});
  options_.hook->run(
      [&context = context_, this, alive = Alive(alive_), ticket = action.ticket](HookOutcome outcome) {
        asio::post(context, [this, alive, ticket, outcome = std::move(outcome)] {
          if (alive.expired()) return;
          if (!outcome.output.empty()) log::info("hook-output", {{"text", outcome.output}});
          if (outcome.confirmed) {
            feed(event::HookConfirmed{ticket});
          } else {
            feed(event::HookFailed{ticket, outcome.why});
          }
        });
      });
}

nlohmann::json Keeper::witness_status() const {
  if (options_.witness == nullptr) return nullptr;
  nlohmann::json members = nlohmann::json::array();
  for (const WitnessMember& member : options_.witness->members()) members.push_back(member_json(member));
  nlohmann::json out;
  out["key"] = options_.witness_key;
  out["identity"] = witness_identity_.is_none() ? std::string() : to_string(witness_identity_);
  out["term_ms"] = options_.machine.term.count();
  out["endpoints"] = std::move(members);
  out["answers"] = witness_found_ && witness_trouble_.empty();
  out["trouble"] = witness_trouble_;
  out["record"] = nullptr;
  if (const std::optional<WitnessRecord> record = machine_.at_witness()) out["record"] = record_json(*record);
  out["flaw"] = machine_.witness_flaw();
  return out;
}

}  // namespace pgtandem
