/// promote: an operator makes this node master. The other node is always asked first; where it does not
/// answer, the operator's word about it is needed (R10, hard point 9).
#include <utility>

#include "common/roles/role-machine.h"

namespace pgtandem {
namespace {

/// How long a node is asked that has been silent for standby_timeout already.
constexpr Milliseconds kShortAsk{500};

}  // namespace

void RoleMachine::on_stand(const Event& event) {
  const auto& ordered = std::get<event::Ordered>(event);
  const RequestId id = ordered.id;
  if (found_ != SlotsFound::usable) {
    return answer_refused(id, "node " + self_name() + " has no authority: " + reason_,
                          found_ == SlotsFound::none
                              ? "`pgtandem init`, or `pgtandem bootstrap` from the other node"
                              : "`pgtandem bootstrap` from the other node");
  }
  if (step_ != Step::none)
    return answer_refused(id, "the two nodes are agreeing on a role", "try again in a moment");
  if (!postmaster_ok_ && now_.steady >= postmaster_patience_) {
    return answer_refused(id,
                          "the postmaster " + settings_.postmaster + " of node " + self_name() +
                              " does not answer: " + postmaster_why_,
                          "start it, then promote again");
  }
  if (!settings_.has_peer) {
    take_up(next_epoch(), false, slot_.sync, "promoted by the operator");
    return answer_done(id, "master of epoch " + std::to_string(slot_.epoch));
  }
  begin_candidacy(std::get<command::Promote>(ordered.command), id);
  enter(RoleState::candidate, "the operator's promote");
  step_ = Step::finding_peer;
  const bool long_silent = silent_for(now_.steady) >= settings_.standby_timeout;
  ask(Hello{}, long_silent ? kShortAsk : settings_.standby_timeout);
}

void RoleMachine::begin_candidacy(command::Promote words, RequestId request) {
  candidacy_ = {};
  candidacy_.request = request;
  candidacy_.words = std::move(words);
  candidacy_.from = state_;
  candidacy_.from_reason = reason_;
  candidacy_.generation = new_uuid_();
}

void RoleMachine::on_step_promotion(const Event& event) {
  const auto* answered = std::get_if<event::PeerAnswered>(&event);
  if (answered != nullptr || std::holds_alternative<event::PeerSilent>(event)) {
    if (!is_answer(asked_, event)) return;
    if (candidacy_.over == Over::drained) return step_drained(event);
    asked_ = 0;
    if (step_ == Step::finding_peer) return answered != nullptr ? found_peer(*peer_.report) : found_silence();
    if (step_ == Step::asking_consent && answered == nullptr) return found_silence();
    if (answered == nullptr) {
      return fall_back("node " + peer_name() + " did not confirm in time that its sessions are ended",
                       "see its status, then promote again");
    }
    if (!answered->answer.ok) {
      return fall_back("node " + peer_name() + " refused: " + answered->answer.why, "see `pgtandem status`");
    }
    return clear_way(true);
  }
  if (step_ == Step::refusing_legs && done<event::LegsRefused>(event) != nullptr) {
    step_ = Step::clearing_backends;
    awaited_ = end_backends();
    return;
  }
  const auto* ended = done<event::BackendsEnded>(event);
  if (step_ != Step::clearing_backends || ended == nullptr) return;
  if (ended->ok && settings_.witness) {
    step_ = Step::confirming;
    awaited_ = 0;
    return hand_.want(candidacy_.claim);
  }
  if (ended->ok) return finish_takeover();
  stand_after_ = now_.steady + settings_.standby_timeout;
  fall_back("it could not be seen that the backends of the old master's sessions here have ended: " +
                ended->why_not,
            "check [service] and the postmaster " + settings_.postmaster + ", then promote again");
}

void RoleMachine::found_peer(const NodeReport& peer) {
  const bool from_standby = candidacy_.from == RoleState::standby;
  const Kinship kin = kinship(peer);
  const bool left_behind =
      peer.active() ? !is_joined_to(peer) : kin == Kinship::mine_older || kin == Kinship::forked;
  if (from_standby && left_behind) {
    fall_back("node " + peer_name() + " went on without this node, whose data is therefore older",
              "`pgtandem bootstrap`");
    return stay_stale(slot_, "node " + peer_name() + " went on without this node");
  }
  if (!peer.active()) return ask_consent(peer);
  if (!from_standby) {
    return fall_back(
        "node " + peer_name() + " is master of epoch " + std::to_string(peer.epoch) + " and answers",
        "`pgtandem bootstrap` this node from it, or `pgtandem fence` it first");
  }
  ask_to_fence();
}

void RoleMachine::ask_to_fence() {
  candidacy_.epoch = next_epoch();
  step_ = Step::fencing_peer;
  FenceYourself body;
  body.claim = {settings_.cluster, candidacy_.epoch,      settings_.self,
                settings_.self,    candidacy_.generation, false};
  ask(std::move(body), settings_.takeover_timeout + settings_.standby_timeout);
}

void RoleMachine::ask_consent(const NodeReport& peer) {
  const Kinship kin = kinship(peer);
  if (kin == Kinship::forked) {
    return fall_back("both nodes went on from a common state of the data",
                     "name the copy to give up: `pgtandem giveup` on that node");
  }
  const bool old = !slot_.eligible || kin == Kinship::mine_older;
  if (old && !candidacy_.words.data_may_be_old) {
    return fall_back("the data of node " + self_name() +
                         " is not certain to be all that was acknowledged; node " + peer_name() +
                         " answers and may hold more",
                     "promote node " + peer_name() + ", or add --data-may-be-old to lose what only it holds");
  }
  // One that was fenced because it cannot write its state can promise nothing, but it can end its sessions.
  if (peer.state == RoleState::fenced) return ask_to_fence();
  candidacy_.epoch = next_epoch();
  step_ = Step::asking_consent;
  ask(AskPromise{candidacy_.epoch, {}, true, candidacy_.words.data_may_be_old}, settings_.standby_timeout);
}

void RoleMachine::found_silence() {
  const command::Promote& words = candidacy_.words;
  const bool old = !slot_.eligible || slot_.split;
  const bool confirmed = words.other_host_is_off && words.accept_loss_since == silent_since();
  if (!confirmed || (old && !words.data_may_be_old)) {
    return fall_back(loss_text(),
                     "if host " + peer_name() +
                         " is off: pgtandem promote --other-host-is-off --accept-loss-since=" +
                         silent_since() + (old ? " --data-may-be-old" : ""),
                     silent_since());
  }
  candidacy_.epoch = next_epoch();
  clear_way(false);
}

/// With a witness its compare-and-swap comes first (R4), whatever was said about the other node.
void RoleMachine::clear_way(bool cleared) {
  if (!settings_.witness) return begin_takeover();
  if (!hand_.trusted()) {
    return fall_back(
        "the witness does not answer as it should" + (witness_flaw_.empty() ? "" : ": " + witness_flaw_),
        "mend it, or take it out of the configuration of both nodes");
  }
  if (!cleared && !may_overrule()) {
    return fall_back("the witness has not yet seen node " + peer_name() + " silent for a whole term",
                     "promote again in a few seconds", silent_since());
  }
  candidacy_.cleared = cleared;
  deadline_ = now_.steady + settings_.takeover_timeout;
  claim_takeover();
}

std::string RoleMachine::loss_text() const {
  const std::string since = silent_since();
  std::string text =
      "node " + peer_name() + " does not answer" +
      (since == "unknown" ? std::string(", and has not since this relay started") : " since " + since) +
      "; what it acknowledged as master since then exists only there";
  if (slot_.split)
    text += "; both nodes had gone on, and the writes of node " + peer_name() + "'s copy stay there";
  if (!slot_.eligible) {
    text += "; the data of node " + self_name() + " is older still (" +
            (stale_reason_.empty() ? "it was left behind" : stale_reason_) +
            "): what was acknowledged after that is lost";
  }
  return text;
}

void RoleMachine::begin_takeover() {
  step_ = Step::refusing_legs;
  awaited_ = ++last_ticket_;
  refuse_legs(candidacy_.epoch, awaited_);
}

void RoleMachine::finish_takeover() {
  Slot next = slot_;
  next.epoch = candidacy_.epoch;
  next.master = next.data_node = settings_.self;
  next.sync = false;
  next.eligible = true;
  next.fenced = next.split = false;
  next.clean = {};
  next.lineage = slot_.lineage.next(candidacy_.generation);
  store(std::move(next));
  suspect_ = false;
  stale_reason_ = "node " + self_name() + " took over from it";
  const std::string reason = candidacy_.request != 0 ? std::string("promoted by the operator") : reason_;
  answer_done(std::exchange(candidacy_.request, 0),
              "node " + self_name() + " is master of epoch " + std::to_string(slot_.epoch) +
                  ", alone: bootstrap node " + peer_name() + " when it is back");
  enter(RoleState::alone, reason);
}

/// The promotion failed; back to where it came from. What the witness has as this node's is not given back:
/// there the record decides anew.
void RoleMachine::fall_back(std::string text, std::string what_to_do, std::string accept_loss_since) {
  const bool written = settings_.witness && candidacy_.claim.epoch != 0 && witnessed() != nullptr &&
                       *witnessed() == candidacy_.claim;
  if (candidacy_.request == 0) tell(TellLevel::warning, "takeover-failed", text);
  CommandAnswer answer;
  answer.status = written ? 503 : 409;
  answer.text = std::move(text);
  answer.what_to_do = written ? "nothing: the witness names this node, which takes over as soon as it can"
                              : std::move(what_to_do);
  answer.accept_loss_since = std::move(accept_loss_since);
  answer_command(std::exchange(candidacy_.request, 0), std::move(answer));
  candidacy_.claim = {};
  enter(written ? RoleState::recover : candidacy_.from, candidacy_.from_reason);
}

void RoleMachine::on_give_way(const Event& event) {
  if (claims_at_witness()) return on_note_epoch(event);  // the witness says who was first
  fall_back("a later epoch was seen during the promotion", "see `pgtandem status` of both nodes");
  if (state_ == RoleState::standby) return on_not_certain(event);
  on_note_epoch(event);
}

/// The other node is alive as master, and goes on without this one.
void RoleMachine::on_agree_and_give_way(const Event& event) {
  if (claims_at_witness() || step_ == Step::running_hook) return on_refuse_peer(event);
  fall_back("node " + peer_name() + " is alive as master and goes on without this node",
            "see `pgtandem status`");
  on_agree(event);
}

void RoleMachine::on_already_master(const Event& event) {
  answer_done(std::get<event::Ordered>(event).id,
              "node " + self_name() + " is master of epoch " + std::to_string(slot_.epoch) + " already");
}

}  // namespace pgtandem
