#include "client-forwarder/follower.h"

namespace pgtandem {
namespace {

constexpr std::string_view kDraining = "DRAINING";

}  // namespace

Follower::Follower(std::size_t relays, FollowerMemory memory) : relays_(relays), memory_(std::move(memory)) {}

Decision Follower::on_report(std::size_t relay, const RelayReport& report) {
  Decision decision;
  relays_[relay].reachable = true;
  relays_[relay].report = report;
  if (report.pair_mode && report.record) learn(relay, report, decision);
  if (!shows_lower_epoch(relays_[relay])) relays_[relay].had_its_moment = false;
  return decide(std::move(decision));
}

Decision Follower::on_silence(std::size_t relay) {
  relays_[relay].reachable = false;
  return decide({});
}

Decision Follower::on_patience_over(std::size_t relay) {
  relays_[relay].had_its_moment = true;
  return decide({});
}

bool Follower::is_draining(std::size_t relay) const {
  return relays_[relay].report && relays_[relay].report->state == kDraining;
}

void Follower::learn(std::size_t relay, const RelayReport& report, Decision& decision) {
  const CarriedRecord& record = *report.record;
  std::string remark;
  const bool first = memory_.epoch == 0;
  const bool same_pair = record.cluster == memory_.cluster;
  if (!first && !same_pair && !adopts_other_pair(relay, report)) {
    remark = "the relay belongs to another pair (" + to_string(record.cluster) + ") than the one followed";
  } else if (first || !same_pair || record.epoch > memory_.epoch) {
    if (!first && !same_pair)
      remark = "another pair answers at this address now (" + to_string(record.cluster) + ")";
    decision.remember = record.epoch > 0;
    if (decision.remember) memory_ = record;
  } else if (record.epoch < memory_.epoch) {
    if (report.active) {
      remark = "the relay claims epoch " + std::to_string(record.epoch) + ", but epoch " +
               std::to_string(memory_.epoch) +
               " was seen: it is not followed (if the pair was set up anew, remove the "
               "forwarder's state file)";
    }
  } else if (record.master != memory_.master) {
    remark = "two nodes are called master of epoch " + std::to_string(record.epoch) + ": " +
             std::string(to_string(memory_.master)) + " was seen first and is kept";
  } else if (report.node == record.master && record != memory_) {
    memory_ = record;  // the same epoch, with a newer generation or join state
    decision.remember = true;
  }
  if (remark != relays_[relay].remark) decision.remark = remark;
  relays_[relay].remark = remark;
}

/// A forwarder that was pointed to another pair starts anew, unless a relay of the old pair is still there.
bool Follower::adopts_other_pair(std::size_t relay, const RelayReport& report) const {
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    const auto& known = relays_[i].report;
    if (i != relay && known && known->record && known->record->cluster == memory_.cluster) return false;
  }
  return report.active && report.record->master == report.node;
}

bool Follower::is_master_of_pair(const Known& known) const {
  if (!known.report || !known.report->active || !known.report->pair_mode || !known.report->record)
    return false;
  const CarriedRecord& record = *known.report->record;
  if (record.cluster != memory_.cluster || known.report->node != memory_.master) return false;
  // One that fell silent may be master of a later epoch meanwhile, as its peer's record says; one that
  // answers and shows a lower epoch was set back.
  return record.epoch == memory_.epoch || !known.reachable;
}

bool Follower::is_active_flags_only(const Known& known) const {
  return known.report && known.report->active && !known.report->pair_mode;
}

std::optional<std::size_t> Follower::choose() const {
  if (target_ && is_master_of_pair(relays_[*target_])) return target_;
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    if (is_master_of_pair(relays_[i])) return i;
  }
  return choose_flags_only();
}

std::optional<std::size_t> Follower::choose_flags_only() const {
  const bool kept = target_ && is_active_flags_only(relays_[*target_]);
  if (kept && relays_[*target_].reachable) return target_;
  std::optional<std::size_t> only;
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    if (!is_active_flags_only(relays_[i]) || !relays_[i].reachable) continue;
    if (only) return std::nullopt;  // two independent masters: nobody here can tell which one is meant
    only = i;
  }
  return only || !kept ? only : target_;
}

bool Follower::shows_lower_epoch(const Known& known) const {
  return known.report && known.report->record && known.report->record->cluster == memory_.cluster &&
         known.report->record->epoch < memory_.epoch;
}

Follower::Standing Follower::standing(std::size_t relay) const {
  const Known& known = relays_[relay];
  if (!target_ || *target_ == relay || !known.report) return Standing::entitled;
  const bool lower = shows_lower_epoch(known) && relays_[*target_].report->record;
  const bool waiting = lower && known.reachable && !known.had_its_moment;
  if (known.reachable && !known.report->active && !known.report->guests) return Standing::lost;
  if (!lower) return Standing::entitled;  // silent: the connections themselves tell
  return waiting ? Standing::in_doubt : Standing::lost;
}

bool Follower::lacks_record(const Known& known) const {
  if (memory_.epoch == 0 || !known.reachable || !known.report->pair_mode) return false;
  const auto& record = known.report->record;
  return !record || (record->cluster == memory_.cluster && record->epoch < memory_.epoch);
}

Decision Follower::decide(Decision decision) {
  const auto before = target_;
  target_ = choose();
  decision.target_changed = target_ != before;
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    const Standing sessions = standing(i);
    if (sessions == Standing::lost) decision.end_sessions.push_back(i);
    if (sessions == Standing::in_doubt) decision.wait_for.push_back(i);
    if (lacks_record(relays_[i])) decision.carry_to.push_back(i);
  }
  return decision;
}

std::string Follower::explain() const {
  std::string text;
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    const Known& known = relays_[i];
    const std::string name = known.report && known.report->node != Node::none
                                 ? "node " + std::string(to_string(known.report->node))
                                 : "relay " + std::to_string(i + 1);
    text += (text.empty() ? "" : ", ") + name +
            (known.reachable ? " is " + known.report->state : " does not answer");
  }
  return text;
}

}  // namespace pgtandem
