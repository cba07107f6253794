#include "client-forwarder/program.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "client-forwarder/exit-status.h"
#include "client-forwarder/forwarder.h"
#include "client-forwarder/process.h"
#include "common/base/log.h"
#include "common/config/load.h"
#include "common/process/launch.h"
#include "common/process/reload-log.h"
#include "common/process/supervision.h"

namespace pgtandem {
namespace {

using Inputs = Loaded<ForwarderSettings>;
using Read = std::function<Result<Inputs>()>;

/// A stop ends every session at once: nothing is waited for.
constexpr Milliseconds kStopLimit{5000};

/// For the log, and for whoever started the program where the log is elsewhere.
int fail(Launch& launch, const log::Options& log, int status, const std::string& what) {
  log::error("start-failed", {{"error", what}});
  if (!log.file.empty()) std::cerr << "pgtandem-forwarder: " << what << std::endl;
  return launch.failed(status);
}

/// All or nothing: with an error in the new settings everything stays as it is.
void reload(const Read& read, Inputs& in_force, Forwarder& forwarder) {
  Result<Inputs> fresh = read();
  if (!fresh) return log_failed_reload(fresh.error());
  if (const Result<void> opened = log::open(fresh->settings.log); !opened)
    return log_failed_reload(opened.error());
  for (const std::string& warning : fresh->warnings) log::warning("configuration", {{"text", warning}});
  forwarder.take_over(fresh->settings);
  log_reload(config::changes(in_force.texts, fresh->texts));
  in_force.texts = config::after_reload(std::move(in_force.texts), fresh->texts);
}

SupervisionHandlers handlers_for(Forwarder& forwarder, std::function<void()> reload) {
  SupervisionHandlers handlers;
  handlers.stop = [&forwarder] { forwarder.stop(); };
  handlers.stop_at_once = [&forwarder] { forwarder.stop(); };
  handlers.reload = std::move(reload);
  handlers.status = [&forwarder] { return forwarder.status_line(); };
  handlers.stop_limit = kStopLimit;
  return handlers;
}

int serve(Inputs inputs, const Read& read, Launch& launch, ServiceNotifier notifier) {
  const log::Options log = inputs.settings.log;
  const std::uint64_t max_files = prepare_process();
  Forwarder forwarder(inputs.settings);
  const auto memory = forwarder.load_memory();
  if (!memory.ok()) return fail(launch, log, kExitCannotCreate, memory.error());
  const auto ports = forwarder.open_ports();
  if (!ports.ok()) return fail(launch, log, kExitOsError, ports.error());
  log::info("forwarder-started", {{"version", PGTANDEM_VERSION}, {"max_files", max_files}});
  if (inputs.settings.state_file.empty())
    log::info("no-state-file", {{"consequence", "the highest epoch is forgotten at a restart"}});

  Supervision supervision(forwarder.context(), std::move(notifier),
                          handlers_for(forwarder, [&] { reload(read, inputs, forwarder); }));
  forwarder.on_change([&supervision] { supervision.status_changed(); });
  supervision.ready();
  launch.ready();
  const bool in_order = forwarder.run();
  // Everything is closed and written. A lookup of a name that hangs in the system would hold up the
  // destructors.
  const int status = in_order ? kExitOk : kExitSoftware;
  std::fflush(nullptr);
  launch.ended(status);
  std::_Exit(status);
}

}  // namespace

int run_forwarder_program(int argc, const char* const* argv) {
  ServiceNotifier notifier = ServiceNotifier::from_environment();
  const Read read = [argc, argv] { return load_forwarder_settings(argc, argv); };
  Result<Inputs> inputs = read();
  if (!inputs) {
    std::cerr << inputs.error() << "\n";
    return kExitConfig;
  }
  if (inputs->answer) {
    std::cout << *inputs->answer << std::flush;
    return kExitOk;
  }
  Launch launch;
  const log::Options log = inputs->settings.log;
  try {
    Result<Launch> launched = Launch::begin(inputs->launch.daemon);
    if (!launched) return fail(launch, {}, kExitOsError, launched.error());
    launch = std::move(*launched);
    // Until the log is open its lines go to standard error.
    if (const std::string& file = inputs->launch.pid_file; !file.empty()) {
      if (const Result<void> taken = launch.take_pid_file(file); !taken)
        return fail(launch, {}, kExitCannotCreate, taken.error());
    }
    if (const Result<void> opened = log::open(log); !opened)
      return fail(launch, {}, kExitCannotCreate, opened.error());
    for (const std::string& warning : inputs->warnings) log::warning("configuration", {{"text", warning}});
    return serve(std::move(*inputs), read, launch, std::move(notifier));
  } catch (const std::exception& failure) {
    return fail(launch, log, kExitSoftware, failure.what());
  }
}

}  // namespace pgtandem
