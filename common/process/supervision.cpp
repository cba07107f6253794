#include "common/process/supervision.h"

#include "common/base/log.h"
#include "common/process/process-signals.h"

namespace pgtandem {
namespace {

/// How old the status line may be where no watchdog sets the pace.
constexpr std::chrono::seconds kStatusInterval{5};

}  // namespace

Supervision::Supervision(asio::io_context& context, ServiceNotifier notifier, SupervisionHandlers handlers)
    : context_(context),
      notifier_(std::move(notifier)),
      handlers_(std::move(handlers)),
      stop_(context),
      reload_(context),
      round_(context) {
  for (const int number : stop_signals()) stop_.add(number);
  for (const int number : reload_signals()) reload_.add(number);
}

void Supervision::ready() {
  ready_ = true;
  await_stop();
  await_reload();
  notifier_.ready(handlers_.status());
  if (notifier_.active()) plan_round();
}

void Supervision::status_changed() {
  if (ready_ && !stopping_ && notifier_.active()) notifier_.status(handlers_.status());
}

void Supervision::await_stop() {
  stop_.async_wait([this](std::error_code failure, int) {
    if (failure) return;
    if (stopping_) {
      log::warning("stopping-at-once");
      return handlers_.stop_at_once();
    }
    stopping_ = true;
    log::info("stopping");
    notifier_.stopping(handlers_.stop_limit);
    await_stop();
    handlers_.stop();
  });
}

void Supervision::await_reload() {
  reload_.async_wait([this](std::error_code failure, int) {
    if (failure) return;
    await_reload();
    if (stopping_) return;
    notifier_.reloading();
    handlers_.reload();
    notifier_.ready(handlers_.status());
  });
}

void Supervision::plan_round() {
  round_.expires_after(notifier_.watchdog_interval().value_or(kStatusInterval));
  round_.async_wait([this](std::error_code failure) {
    if (failure) return;
    plan_round();
    begin_round();
  });
}

void Supervision::begin_round() {
  status_changed();
  if (asking_ || !notifier_.watchdog_interval()) return;
  if (!handlers_.probe) return notifier_.watchdog();
  asking_ = true;
  handlers_.probe([this] {
    asking_ = false;
    notifier_.watchdog();
  });
}

}  // namespace pgtandem
