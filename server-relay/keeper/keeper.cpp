#include "server-relay/keeper/keeper.h"

#include <algorithm>
#include <exception>

#include <asio/co_spawn.hpp>
#include <asio/dispatch.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>

#include "common/base/log.h"
#include "server-relay/keeper/role-clock.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

/// Hard point 9: a loop that stood still for longer shakes hands before anything is released.
constexpr Milliseconds kStall{1000};
/// How often the loop looks at the clock when nothing else happens; well below kStall.
constexpr Milliseconds kLook{250};
constexpr Milliseconds kProbeEvery{1000};
/// A probe is short (hard point 13), so one that fails on a busy machine is no loss yet.
constexpr Milliseconds kProbeAgain{200};
constexpr int kProbesLost = 3;
/// A lost postmaster is back when it has answered for so long.
constexpr Milliseconds kSurelyBack{500};
constexpr std::size_t kMaxEvents = 50;

Service service_of(Frontends frontends) {
  switch (frontends) {
    case Frontends::refuse:
      return Service::refuse;
    case Frontends::pass_on:
      return Service::pass_on;
    case Frontends::wait:
      return Service::wait;
    case Frontends::serve:
      return Service::serve;
  }
  return Service::refuse;
}

asio::awaitable<void> pause(Milliseconds how_long) {
  asio::steady_timer timer(co_await asio::this_coro::executor, how_long);
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

KeeperOptions keeper_options(const RelaySettings& settings, Secret pair_key) {
  KeeperOptions options;
  options.machine.has_peer = settings.pair_mode();
  options.machine.self = settings.pair_mode() ? settings.node : Node::a;
  options.machine.cluster = settings.cluster;
  options.machine.standby_named = settings.standby.has_value();
  options.machine.standby_timeout = settings.standby_timeout;
  options.machine.stop_timeout = settings.stop_timeout;
  options.machine.takeover_timeout = settings.takeover_timeout;
  options.machine.state_dir = settings.state_dir;
  options.machine.witness = settings.pair_mode() && settings.witness.configured();
  options.machine.term = settings.witness.term;
  options.machine.guard = settings.witness.guard;
  options.machine.hook = settings.pair_mode() && !settings.fencing.hook.empty() && !options.machine.witness;
  options.machine.hook_wait = settings.fencing.hook_wait;
  options.machine.hand_over = settings.pair_mode() && settings.protocol == Protocol::postgres;
  if (settings.pair_mode()) {
    options.machine.postmaster = to_string(settings.self().postmaster);
  } else if (settings.master) {
    options.machine.postmaster = to_string(*settings.master);
  }
  options.pair_key = std::move(pair_key);
  return options;
}

Keeper::Keeper(asio::io_context& context, KeeperOptions options, Floor& floor,
               std::unique_ptr<SlotStore> store, std::unique_ptr<PeerLink> link)
    : context_(context),
      options_(std::move(options)),
      floor_(floor),
      store_(std::move(store)),
      link_(std::move(link)),
      machine_(options_.machine, options_.new_uuid),
      ticker_(context) {
  if (!options_.clock) options_.clock = role_clock_now;
  register_peer_verb("order", [this](nlohmann::json request, std::function<void(nlohmann::json)> answer) {
    serve_order(std::move(request), std::move(answer));
  });
}

Keeper::~Keeper() = default;

void Keeper::start() {
  started_ = true;
  last_seen_ = options_.clock().steady;
  feed(event::Start{store_->load()});
  if (link_) spawn(beat(alive_), "heartbeat");
  if (options_.witness != nullptr) spawn(watch_witness(alive_), "witness-watch");
  if (options_.probe) spawn(watch_postmaster(alive_), "postmaster-watch");
  plan_tick();
}

void Keeper::stop(std::function<void()> done) {
  if (stopped_ || !started_) {
    stopped_ = true;
    asio::post(context_, std::move(done));
    return;
  }
  stop_done_ = std::move(done);
  feed(event::Stop{});
}

void Keeper::post_event(Event event) {
  asio::post(context_, [this, alive = Alive(alive_), event = std::move(event)]() mutable {
    if (!alive.expired()) feed(std::move(event));
  });
}

void Keeper::standby_failed(const std::string& reason) {
  post_event(event::StandbyFailed{reason});
}
void Keeper::stalled(Milliseconds for_how_long) {
  post_event(event::Stalled{for_how_long});
}
void Keeper::copies_may_differ(const std::string& why) {
  post_event(event::CopiesMayDiffer{why});
}

void Keeper::guests_ended() {
  post_event(event::GuestsEnded{});
}

/// Dispatched, not posted: what a session reports because of the same probe comes from another thread, and
/// would overtake what this thread posts to itself. The keeper would then hear of a doubt (R9) before the
/// loss.
void Keeper::own_postmaster(bool alive, const std::string& why) {
  asio::dispatch(context_, [this, guard = Alive(alive_), alive, why] {
    if (!guard.expired()) note_postmaster(alive, why);
  });
}

/// A loss counts at once: it only makes new frontends wait. "It answers again" counts when it has been so for
/// a while: a backend of a postmaster that was just killed may still answer, and then the standby would be
/// given up as suspect (R9) towards a server that is gone.
void Keeper::note_postmaster(bool alive, const std::string& why) {
  if (!alive) {
    answers_since_.reset();
    if (machine_.postmaster_ok()) feed(event::PostmasterLost{why});
    return;
  }
  if (machine_.postmaster_ok()) return;
  const Milliseconds now = options_.clock().steady;
  if (!answers_since_) answers_since_ = now;
  if (now - *answers_since_ < kSurelyBack) return;
  answers_since_.reset();
  feed(event::PostmasterBack{});
}

/// One event after the other, even where carrying out an action brings the next one.
void Keeper::feed(Event event) {
  if (stopped_ || !started_) return;
  notice_stall();
  queue_.push_back(std::move(event));
  run_queue();
}

/// Before any event: what stood still while others went on must know it first.
void Keeper::notice_stall() {
  const Milliseconds now = options_.clock().steady;
  const Milliseconds still = now - last_seen_;
  last_seen_ = now;
  if (still <= kStall) return;
  log::warning("control-loop-stalled", {{"ms", std::int64_t(still.count())}});
  queue_.push_front(event::Stalled{still});
}

void Keeper::run_queue() {
  if (running_) return;
  running_ = true;
  bool changed = false;
  while (!queue_.empty() && !stopped_) {
    const Event event = std::move(queue_.front());
    queue_.pop_front();
    std::vector<Action> actions = machine_.handle(options_.clock(), event);
    changed = changed || !actions.empty();
    perform(std::move(actions));
  }
  running_ = false;
  last_seen_ = options_.clock().steady;
  plan_tick();
  if (changed && changed_) changed_();
}

/// Record is a barrier: nothing behind it happens unless it is durable. A disk that took over kStall for it
/// was a stall of this loop: then what the record allows is not released before the handshake of hard
/// point 9.
void Keeper::perform(std::vector<Action> actions) {
  bool slow = false;
  std::optional<action::SetGrant> late;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    if (const auto* record = std::get_if<action::Record>(&actions[i])) {
      const Milliseconds begun = options_.clock().steady;
      const Result<void> written = store_->write(record->slot);
      slow = slow || options_.clock().steady - begun > kStall;
      if (!written) {
        log::error("state-not-written", {{"why", written.error()}});
        for (std::size_t rest = i + 1; rest < actions.size(); ++rest) drop(actions[rest], written.error());
        queue_.push_front(event::StoreFailed{written.error()});
        return;
      }
    } else if (const auto* grant = std::get_if<action::SetGrant>(&actions[i]); grant != nullptr && slow) {
      late = *grant;
    } else {
      std::visit([this](const auto& action) { act(action); }, actions[i]);
    }
  }
  if (!slow) return;
  log::warning("state-written-slowly");
  std::vector<Action> more = machine_.handle(options_.clock(), event::Stalled{kStall});
  const bool replaced = std::ranges::any_of(
      more, [](const Action& action) { return std::holds_alternative<action::SetGrant>(action); });
  if (late && !replaced) act(*late);
  perform(std::move(more));
}

/// Whoever waits for an answer gets one, if only a refusal.
void Keeper::drop(const Action& action, const std::string& why) {
  const std::string text = "the state cannot be written: " + why;
  if (const auto* peer = std::get_if<action::AnswerPeer>(&action)) {
    act(action::AnswerPeer{peer->id, false, false, text, machine_.report()});
  }
  if (const auto* command = std::get_if<action::AnswerCommand>(&action)) {
    CommandAnswer answer;
    answer.status = 500;
    answer.text = text;
    answer.what_to_do = "make room in, or mend, " + options_.machine.state_dir;
    act(action::AnswerCommand{command->id, std::move(answer)});
  }
}

void Keeper::act(const action::SetGrant& action) {
  const Grant& grant = action.grant;
  const Authority authority{grant.epoch,        service_of(grant.frontends),
                            grant.outputs_held, grant.mirrored,
                            grant.guests,       grant.refusal};
  floor_.set_authority(authority, [this, alive = Alive(alive_), ticket = action.ticket] {
    if (!alive.expired()) feed(event::InForce{ticket});
  });
}

void Keeper::act(const action::EndSessions& action) {
  const SessionEnd how = action.how == EndHow::at_once ? SessionEnd::at_once : SessionEnd::when_idle;
  floor_.end_sessions(how, action.limit, action.message,
                      [this, alive = Alive(alive_), ticket = action.ticket](bool all_matched) {
                        if (!alive.expired()) feed(event::SessionsEnded{ticket, all_matched});
                      });
}

void Keeper::act(const action::RefuseLegsBelow& action) {
  floor_.refuse_legs_below(action.epoch, [this, alive = Alive(alive_), ticket = action.ticket] {
    if (!alive.expired()) feed(event::LegsRefused{ticket});
  });
}

void Keeper::act(const action::EndLocalBackends& action) {
  floor_.end_local_backends(
      action.limit, [this, alive = Alive(alive_), ticket = action.ticket](bool ok, std::string why_not) {
        if (!alive.expired()) feed(event::BackendsEnded{ticket, ok, std::move(why_not)});
      });
}

void Keeper::act(const action::AskPeer& action) {
  if (link_) spawn(ask(alive_, action), "ask-peer");
}

void Keeper::act(const action::Greet&) {
  // More than two on their way tell the other node nothing that it does not hear anyhow.
  if (link_ && greetings_ < 2) spawn(greet(alive_), "greeting");
}

void Keeper::act(const action::AnswerPeer& action) {
  const auto found = peer_requests_.find(action.id);
  if (found == peer_requests_.end()) return;
  const PeerPending pending = std::move(found->second);
  peer_requests_.erase(found);
  answer_peer(pending, 200, encode_peer_answer({action.report, action.ok, action.clean, action.why}));
}

void Keeper::act(const action::AnswerCommand& action) {
  const auto found = commands_.find(action.id);
  if (found == commands_.end()) return;
  const ControlResponder respond = std::move(found->second);
  commands_.erase(found);
  answer_command(respond, action.answer);
}

void Keeper::act(const action::Tell& action) {
  const log::Level level = action.level == TellLevel::error     ? log::Level::error
                           : action.level == TellLevel::warning ? log::Level::warning
                                                                : log::Level::info;
  log::write(level, action.name, {{"text", action.text}});
  events_.push_back({iso_time(options_.clock().wall), action.level, action.name, action.text});
  if (events_.size() > kMaxEvents) events_.pop_front();
}

void Keeper::act(const action::Stopped&) {
  stopped_ = true;
  ticker_.cancel();
  if (stop_done_) asio::post(context_, std::exchange(stop_done_, nullptr));
}

void Keeper::act(const action::SetRight& action) {
  floor_.set_right(action.until);
}

/// One completion handler for all coroutines: no exception vanishes.
void Keeper::spawn(asio::awaitable<void> coroutine, const char* what) {
  asio::co_spawn(context_, std::move(coroutine), [what](std::exception_ptr thrown) {
    if (!thrown) return;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& failure) {
      log::error("keeper-coroutine-failed", {{"what", what}, {"why", failure.what()}});
    }
  });
}

void Keeper::plan_tick() {
  if (stopped_ || !started_) return;
  Milliseconds wait = kLook;
  if (const std::optional<Milliseconds> wake = machine_.wake_at()) {
    wait = std::clamp(*wake - options_.clock().steady, 0ms, kLook);
  }
  ticker_.expires_after(wait);
  ticker_.async_wait([this, alive = Alive(alive_)](std::error_code failure) {
    if (failure || alive.expired()) return;
    notice_stall();
    const std::optional<Milliseconds> wake = machine_.wake_at();
    if (wake && *wake <= options_.clock().steady) queue_.push_back(event::Tick{});
    run_queue();
  });
}

asio::awaitable<void> Keeper::watch_postmaster(Alive alive) {
  int failures = 0;
  while (!alive.expired() && !stopped_) {
    const bool answers = co_await options_.probe();
    if (alive.expired()) co_return;
    failures = answers ? 0 : failures + 1;
    if (answers || failures >= kProbesLost) note_postmaster(answers, "it takes no new connection");
    co_await pause(answers && machine_.postmaster_ok() ? kProbeEvery : kProbeAgain);
  }
}

}  // namespace pgtandem
