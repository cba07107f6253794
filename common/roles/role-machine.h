/// Who is master: one node's side of it (docs/states.md holds the table, the flows and the reasons). Pure:
/// events in, actions out; the clock and the source of identifiers are handed in, so that a whole pair can be
/// run from a seed. The machine never believes that something is durable, ended or in force before it was
/// told so.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/roles/role-events.h"
#include "common/roles/role-table.h"
#include "common/roles/witness-hand.h"

namespace pgtandem {

struct MachineSettings {
  Node self = Node::a;
  Uuid cluster;
  bool has_peer = true;       ///< false: flags-only mode
  bool standby_named = true;  ///< flags-only mode: there is a --standby
  Milliseconds standby_timeout{2000};
  Milliseconds stop_timeout{5000};
  Milliseconds takeover_timeout{10000};
  bool witness = false;           ///< R4 to R6; only with a peer
  bool hook = false;              ///< R11; only with a peer and without a witness
  bool hand_over = false;         ///< hard point 10: sessions can go on with the standby's server
  Milliseconds term{3000};        ///< R5
  Milliseconds guard{300};        ///< R5: the right ends so much before the term
  Milliseconds hook_wait{10000};  ///< R11: how long the standby waits before its hook
  std::string state_dir;          ///< for texts
  std::string postmaster;         ///< for texts: "127.0.0.1:5433"
};

/// What is known of the other node.
struct PeerView {
  std::optional<NodeReport> report;  ///< the newest
  Milliseconds heard_wall{0};        ///< when, where `report` is set
  Milliseconds silent_from{0};       ///< steady: last heard, or began to listen (start, thaw)
};

/// A bootstrap as the master sees it.
struct BootstrapView {
  RequestId begin = 0;  ///< not answered yet
  RequestId finish = 0;
  std::string lease;
  std::string tool;
  std::string phase;
  std::string text;
  std::uint64_t bytes = 0;
  std::uint64_t total_bytes = 0;
  Milliseconds since_wall{0};
  Milliseconds lease_until{0};  ///< steady
};

/// How often the driver sends a heartbeat.
inline constexpr Milliseconds kHeartbeat{500};
/// A bootstrap that is silent for so long is over.
inline constexpr Milliseconds kBootstrapLease{15000};

class RoleMachine {
 public:
  RoleMachine(MachineSettings settings, std::function<Uuid()> new_uuid);

  [[nodiscard]] std::vector<Action> handle(Now now, const Event& event);
  /// When event::Tick is due (steady), if nothing else happens before.
  std::optional<Milliseconds> wake_at() const;
  /// The answer to this action::AskPeer still matters; asking again is of no use otherwise.
  bool wants(Ticket ticket) const { return ticket != 0 && (ticket == asked_ || ticket == stall_.hello); }
  /// What to send with the next request or answer; numbers it.
  NodeReport report();

  RoleState state() const { return state_; }
  const std::string& reason() const { return reason_; }
  Now since() const { return since_; }
  const Slot& slot() const { return slot_; }
  bool initialised() const { return found_ == SlotsFound::usable; }
  const PeerView& peer() const { return peer_; }
  bool postmaster_ok() const { return postmaster_ok_; }
  /// R5: steady; only with a witness, and while the node is active.
  Milliseconds right_until() const { return right_until_; }
  bool guests() const { return guests_; }
  /// Of the action that was asked for last.
  Ticket last_ticket() const { return last_ticket_; }
  /// What the witness holds, as far as this node trusts it; only with a witness.
  std::optional<WitnessRecord> at_witness() const {
    return hand_.trusted() ? hand_.record() : std::optional<WitnessRecord>();
  }
  /// Why the witness gives no authority, or nothing.
  const std::string& witness_flaw() const { return witness_flaw_; }
  bool forked() const { return fork_alarm_ || state_ == RoleState::split; }
  /// R1 waits for the standby.
  bool joined() const;
  /// Why the standby is not joined, where this node knows.
  const std::string& stale_reason() const { return stale_reason_; }
  const std::optional<BootstrapView>& bootstrap() const { return bootstrap_; }
  /// The newest record of role that this node knows.
  RoleRecord record() const;
  /// The next command to type, or nothing if all is well.
  std::string hint(Milliseconds steady) const;
  /// Since when the other node has been silent, as promote shows it and wants it back: an ISO time, or
  /// "unknown".
  std::string silent_since() const;

 private:
  /// What a state waits for. Only one thing at a time; a state is entered with `none`.
  enum class Step {
    none,
    asking_promise,
    asking_first_join,  // RECOVER
    clearing_backends,  // BOOTSTRAP, ALONE, CANDIDATE, FENCED
    taking_leave,       // STANDBY
    finding_peer,
    fencing_peer,
    asking_consent,
    refusing_legs,  // CANDIDATE
    holding,
    asking_peer,      // DEGRADING
    ending_sessions,  // DRAINING, ALONE, FENCED
    telling_peer,
    awaiting_return,
    stopped,  // DRAINING
    inviting,
    loading,
    joining,
    mirroring,     // ALONE
    rewriting,     // FENCED
    claiming,      // RECOVER, CANDIDATE: at the witness
    confirming,    // CANDIDATE: once more, when the way is clear
    recording,     // ALONE: sync=true, at the witness
    running_hook,  // CANDIDATE, DEGRADING
    handing_over,
    naming_peer,  // DRAINING
  };
  enum class DrainFor { stop, peer, hand_over, switchover };
  /// Whose idea a candidacy was: an operator's, or that of time; the master's, which hands over; the drained
  /// master's.
  enum class Over { nobody, invited, drained };
  struct Stall {
    bool on = false;
    Ticket in_force = 0;
    Ticket hello = 0;
  };
  struct Candidacy {
    RequestId request = 0;
    command::Promote words;
    RoleState from = RoleState::standby;
    std::string from_reason;
    Epoch epoch = 0;
    Uuid generation;
    Over over = Over::nobody;
    bool cleared = false;  ///< the other node has given way: what it wrote before may be overruled
    std::vector<RequestId> invitations;  ///< the peer's question, and copies of it
    RoleRecord claim;                    ///< for the witness
    Uuid clean;                          ///< of a drained master
    Milliseconds until{0};               ///< steady: how long a drained master is asked
  };
  /// A role that is taken up in RECOVER as soon as the witness, if there is one, has it.
  struct Claim {
    Slot next;
    RoleState to = RoleState::alone;
    std::string reason;
    RequestId request = 0;  ///< of an init
    std::string done;       ///< its answer
  };
  using Handler = void (RoleMachine::*)(const Event&);
  static Handler handler_of(Reaction reaction);

  // role-machine.cpp
  void take(const Event& event);
  void perform(EventKind kind, const Event& event);
  /// The first thing done with any message of the peer.
  bool is_own_promise(const RoleRecord& record) const;
  void see_report(const NodeReport& report, const Event& event);
  void enter(RoleState next, std::string reason);
  void set_reason(std::string reason) { reason_ = std::move(reason); }
  void store(Slot next);
  void stay_stale(Slot next, std::string reason);
  void ask(PeerBody body, Milliseconds patience);
  void answer_peer(RequestId id, bool ok, std::string why, bool clean = false);
  void answer_command(RequestId id, CommandAnswer answer);
  void answer_refused(RequestId id, std::string text, std::string what_to_do, unsigned status = 409);
  void answer_done(RequestId id, std::string text);
  void tell(TellLevel level, std::string name, std::string text);
  Ticket put_in_force();
  void update_grant();
  Ticket end_sessions(EndHow how, Milliseconds limit, std::string message);
  Ticket end_backends();
  void refuse_legs(Epoch epoch, Ticket ticket = 0);
  Grant wanted_grant() const;
  /// The event is the answer to this question, or its silence.
  static bool is_answer(Ticket ticket, const Event& event);
  /// The event is the end of what the floor was asked for last, or null.
  template <typename Done>
  const Done* done(const Event& event) const {
    const Done* is = std::get_if<Done>(&event);
    return is != nullptr && awaited_ != 0 && is->ticket == awaited_ ? is : nullptr;
  }
  Epoch next_epoch() const;
  Milliseconds silent_for(Milliseconds steady) const { return steady - peer_.silent_from; }
  bool peer_is_active_and_heard(Milliseconds steady) const;
  std::string self_name() const { return std::string(to_string(settings_.self)); }
  std::string peer_name() const;
  Kinship kinship(const NodeReport& report) const { return compare_lineages(slot_.lineage, report.lineage); }

  // role-machine-recover.cpp
  void on_begin(const Event&);
  void begin_usable();
  void begin_without_peer();
  void on_decide(const Event&);
  void decide_with_active(const NodeReport& peer);
  void decide_with_idle(const NodeReport& peer);
  bool may_claim(const NodeReport& peer) const;
  bool is_joined_to(const NodeReport& master) const;
  void become_standby(std::string reason);
  void become_split(std::string reason);
  void claim(const NodeReport& peer);
  void on_step_claim(const Event&);
  void take_up(Epoch epoch, bool clean, bool new_generation, std::string reason);
  void begin_claim(Claim claim);
  void complete_claim();
  void on_promise(const Event&);
  std::string objection_to(const AskPromise& ask, const NodeReport& asker) const;
  Uuid clean_generation() const { return slot_.clean.is_none() ? was_clean_ : slot_.clean; }
  void on_follow(const Event&);
  void on_check_given_up(const Event&);
  void on_give_up(const Event&);
  void on_init(const Event&);
  void on_first_join(const Event&);
  void on_note_epoch(const Event&);
  Slot fresh_slot() const;
  void adopt_record(Slot& next, const NodeReport& master) const;

  // role-machine-degrade.cpp
  void degrade(std::string reason);
  void on_degrade(const Event&);
  void on_step_degrade(const Event&);
  void go_alone();
  void on_ask_again(const Event&);
  void on_agree(const Event&);
  void on_check_standby(const Event&);
  void on_check_joined(const Event&);
  void on_not_certain(const Event&);
  void on_check_fork(const Event&);
  void on_check_peer(const Event&);
  bool step_stall(const Event&);
  void on_step_check(const Event&);
  void on_check_failed(const Event&);
  void on_hold_frontends(const Event&);
  void on_doubt(const Event&);
  void on_verify_standby(const Event&);

  // role-machine-promote.cpp
  void on_stand(const Event&);
  void on_step_promotion(const Event&);
  void found_peer(const NodeReport& peer);
  void found_silence();
  void ask_to_fence();
  std::string loss_text() const;
  void ask_consent(const NodeReport& peer);
  void begin_candidacy(command::Promote words, RequestId request);
  void clear_way(bool cleared);
  void begin_takeover();
  void finish_takeover();
  void fall_back(std::string text, std::string what_to_do, std::string accept_loss_since = {});
  void on_give_way(const Event&);
  void on_agree_and_give_way(const Event&);
  void on_already_master(const Event&);

  // role-machine-fence.cpp
  void fence(std::string reason);
  void end_sessions_of_fenced();
  void on_fence_by_epoch(const Event&);
  void on_fence_by_order(const Event&);
  void on_already_out(const Event&);
  void on_fence_unwritable(const Event&);
  void on_write_again(const Event&);
  void on_step_fence(const Event&);
  void fence_done();
  void answer_fenced();
  bool may_fence(const NodeReport& asker) const;
  void on_yield(const Event&);
  void on_confirm(const Event&);
  void on_confirm_when_done(const Event&);

  // role-machine-stop.cpp
  void leave();
  void on_leave(const Event&);
  void on_ask_leave(const Event&);
  void on_step_leave(const Event&);
  void on_stop_later(const Event&);
  void on_drain(const Event&);
  void drain_to_stop();
  void on_drain_for_peer(const Event&);
  void on_stop_together(const Event&);
  void on_step_drain(const Event&);
  void drained(bool all_matched);
  void on_check_return(const Event&);
  void on_await_return(const Event&);
  void on_record_clean(const Event&);
  void on_not_joined(const Event&);
  void answer_leaving(bool clean);

  // role-machine-bootstrap.cpp
  void on_degrade_first(const Event&);
  bool accept_begin(const Event&);
  void on_invite(const Event&);
  void invite();
  void on_step_bootstrap(const Event&);
  void complete_join();
  void load();
  void on_note_progress(const Event&);
  void on_finish_load(const Event&);
  void on_abort_load(const Event&);
  void on_check_lease(const Event&);
  bool holds_lease(RequestId id, const std::string& lease);
  void mirror();
  void drop_bootstrap(const std::string& why);
  void end_bootstrap(const std::string& why);
  void on_make_room(const Event&);
  std::string objection_to_load(const NodeReport& master) const;
  void on_step_clear(const Event&);
  void on_check_load(const Event&);
  void on_check_loader(const Event&);
  void on_take_join(const Event&);
  void on_join_again(const Event&);
  void on_drop_load(const Event&);
  void on_acknowledge(const Event&);

  // role-machine-witness.cpp
  void attend();
  void ask_witness();
  void hear_witness(const event::WitnessAnswered& answered, const Event& event);
  void note_flaw(const std::string& flaw);
  void take_promise(const event::PeerReported& reported);
  void answer_hello(RequestId id, const NodeReport& asker);
  void tell_right();
  Milliseconds term_with_margin() const;
  RoleRecord role_of(const Slot& slot) const;
  bool names_me(const RoleRecord& role) const;
  const RoleRecord* witnessed() const;
  std::optional<RoleRecord> renewal() const;
  bool claims_at_witness() const;
  bool reads_witness() const;
  std::optional<Milliseconds> witness_wake() const;
  void on_note_witness(const Event&);
  void on_claim_by_record(const Event&);
  void stand_by_record(const RoleRecord& role);
  void step_claiming(const Event&);
  bool may_take_over() const;
  bool is_entitled() const;
  Milliseconds take_over_at() const;
  void on_take_over_by_term(const Event&);
  void stand_alone(std::string reason);
  void on_watch_record(const Event&);
  void claim_takeover();
  bool may_overrule() const;
  void on_step_candidate(const Event&);
  void takeover_refused();
  void on_renew(const Event&);
  bool is_named();
  void fence_by_witness();
  void on_fence_by_time(const Event&);

  // role-machine-hook.cpp
  Milliseconds silence_limit() const;
  bool watches_silence() const;
  void on_freeze(const Event&);
  void on_stand_by_hook(const Event&);
  void run_hook();
  void on_step_hook(const Event&);
  void ask_consent_later();
  void on_degrade_again(const Event&);

  // role-machine-switch.cpp
  bool standby_can_take_over() const;
  void on_switch_over(const Event&);
  void hand_over(std::string reason);
  bool is_bound() const;
  bool step_switch(const Event&);
  void stay_master(std::string reason);
  void become_guest_host();
  void on_guests_ended(const Event&);
  void end_guests();
  void end_switch(RoleState next, const std::string& reason);
  void step_yield(const Event&);
  void yield_drained(bool clean);
  bool step_yielded(const Event&);
  bool take_up_offer(const NodeReport& peer);
  void on_take_over(const Event&);
  void refuse_take_over(RequestId id, const TakeOver& body);
  void on_take_over_again(const Event&);
  void take_over_invited(RequestId id, Epoch epoch);
  void invited_by(RequestId id);
  void refuse_invitations(const std::string& why);
  void finish_invited();
  void take_over_drained();
  void ask_drained();
  void step_drained(const Event&);
  void finish_drained();
  void on_candidate_time(const Event&);

  // role-texts.cpp
  void on_ignored(const Event&) {}
  void on_noted(const Event&) {}
  void on_refuse(const Event&);
  void on_refuse_peer(const Event&);
  std::string refusal() const;
  std::string recover_refusal() const;
  std::string postmaster_refusal() const;

  MachineSettings settings_;
  std::function<Uuid()> new_uuid_;
  Uuid boot_;
  std::uint64_t reports_ = 0;

  Now now_;
  RoleState state_ = RoleState::recover;
  Step step_ = Step::none;
  std::string reason_ = "the relay is starting";
  Now since_;
  SlotsFound found_ = SlotsFound::none;
  bool begun_ = false;
  Slot slot_;    ///< what is durable, or is being made so
  Slot before_;  ///< what was durable before this event
  SlotsFound found_before_ = SlotsFound::none;
  Uuid was_clean_;  ///< the slot's `clean` as this process found it; counts only in RECOVER
  PeerView peer_;
  std::vector<Action> actions_;

  Ticket last_ticket_ = 0;
  Ticket awaited_ = 0;          ///< of the floor
  Ticket asked_ = 0;            ///< of the peer
  std::optional<Grant> grant_;  ///< the last one that was set
  Stall stall_;
  std::optional<Milliseconds> deadline_;  ///< of the present step

  bool postmaster_ok_ = true;
  Milliseconds postmaster_patience_{0};  ///< steady: until then new frontends wait for it
  std::string postmaster_why_;
  bool suspect_ = false;  ///< R9: an open unit was lost with the own postmaster

  std::string stale_reason_;
  std::string bad_note_;     ///< what is wrong with the slot files
  bool unrelated_ = false;   ///< R8: nothing in common
  bool fork_alarm_ = false;  ///< R8: forked or nothing in common, seen by the active node
  Epoch claimed_ = 0;
  Candidacy candidacy_;
  std::vector<RequestId> fence_requests_;  ///< of the peer, answered when the sessions are ended
  RequestId fence_order_ = 0;
  bool storage_bad_ = false;
  bool writing_again_ = false;  ///< and nothing but that
  DrainFor drain_for_ = DrainFor::stop;
  bool stop_wanted_ = false;
  bool stopped_ = false;
  RequestId leaving_request_ = 0;
  Uuid left_boot_;
  RequestId init_request_ = 0;
  RequestId clear_request_ = 0;  ///< of the peer: bootstrap_begin, waiting for local backends to end
  std::optional<BootstrapView> bootstrap_;

  WitnessHand hand_;
  Ticket asked_last_ = 0;  ///< the question to the witness among the last actions
  WitnessHand::Heard heard_ = WitnessHand::Heard::nothing;
  std::string witness_flaw_;
  Milliseconds right_until_{0};     ///< R5, R6; steady
  Milliseconds right_told_{0};      ///< the last action::SetRight
  Milliseconds promised_until_{0};  ///< R6: steady; no takeover by this node before
  Milliseconds stand_after_{0};     ///< steady: the next takeover of its own accord
  Claim claim_;
  Uuid lone_generation_;  ///< the one to go on alone with, already told to the witness

  Epoch handed_epoch_ = 0;  ///< the standby was asked to take it
  Uuid handed_generation_;
  bool guests_ = false;
  RequestId switch_request_ = 0;
  Milliseconds yield_until_{0};  ///< steady: a drained master does not claim before
};

/// "2026-01-31T12:00:00Z" for milliseconds since 1970.
std::string iso_time(Milliseconds wall);

}  // namespace pgtandem
