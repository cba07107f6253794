#include "server-relay/session/pass-on-session.h"

#include <asio/co_spawn.hpp>

#include "common/base/log.h"
#include "common/net/pump.h"
#include "common/protocol/error-response.h"

namespace pgtandem {
namespace {

using namespace std::chrono_literals;

constexpr auto kConnectLimit = 5s;

}  // namespace

PassOnSession::PassOnSession(SessionEnvironment& environment, Stream frontend, std::string client,
                             std::string first)
    : env_(environment),
      client_(std::move(client)),
      first_(std::move(first)),
      front_(std::make_shared<Stream>(std::move(frontend))) {
  env_.thread.add(this);
  env_.thread.begin_serving(this);
  ThreadCounters::add(env_.thread.counters().sessions_total);
  env_.thread.counters().sessions_open.store(env_.thread.session_count(), std::memory_order_relaxed);
}

PassOnSession::~PassOnSession() {
  env_.thread.remove(this);
}

void PassOnSession::start() {
  asio::co_spawn(env_.thread.context(), run(), [self = shared_from_this()](std::exception_ptr thrown) {
    self->ended_ = true;
    if (thrown) log::error("session-failed", {{"client", self->client_}, {"error", "passing on failed"}});
  });
}

asio::awaitable<void> PassOnSession::run() {
  Result<Stream> active = co_await env_.legs.open(env_.thread.context(), LegKind::frontend,
                                                  env_.thread.authority().epoch, client_, kConnectLimit);
  if (ended_) co_return;
  if (!active) {
    const std::string text =
        "pgtandem: this host's relay could not pass the connection on to the active relay: " + active.error();
    ThreadCounters::add(env_.thread.counters().sessions_refused);
    log::warning("session-ended", {{"reason", "not-serving"}, {"client", client_}, {"detail", text}});
    const std::string farewell = build_error_response({pgtandem::Severity::fatal, "57P03", text});
    if (first_.empty())
      (void)co_await front_
          ->readable();  // a startup packet: closing with it unread would reset the connection
    (void)front_->try_read(env_.thread.scratch());
    (void)front_->try_write(as_bytes(farewell));
    front_->close();
    co_return;
  }
  active_ = std::make_shared<Stream>(std::move(*active));
  if (!first_.empty()) (void)co_await write_all(*active_, as_bytes(first_));
  if (ended_) co_return;
  const PumpCounts counts = co_await pump_both_ways(env_.thread.context(), front_, active_);
  ThreadCounters::add(env_.thread.counters().frontend_bytes, counts.forth);
  ThreadCounters::add(env_.thread.counters().backend_bytes, counts.back);
}

void PassOnSession::end_for_operator(SessionEnd, const std::string&) {
  ended_ = true;
  front_->close();
  if (active_ != nullptr) active_->close();
}

}  // namespace pgtandem
