/// pgtandem-forwarder: listens where programs expect their database and forwards every connection to the
/// master.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include <asio/signal_set.hpp>

#include "client-forwarder/exit-status.h"
#include "client-forwarder/forwarder.h"
#include "client-forwarder/process.h"
#include "common/base/log.h"
#include "common/config/load.h"

namespace {

using namespace pgtandem;

int fail(int status, const std::string& what) {
  log::error("start-failed", {{"error", what}});
  return status;
}

int serve(ForwarderSettings settings, std::uint64_t max_files) {
  const bool forgetful = settings.state_file.empty();
  Forwarder forwarder(std::move(settings));
  const auto memory = forwarder.load_memory();
  if (!memory.ok()) return fail(kExitCannotCreate, memory.error());
  const auto ports = forwarder.open_ports();
  if (!ports.ok()) return fail(kExitOsError, ports.error());
  log::info("forwarder-started", {{"version", PGTANDEM_VERSION}, {"max_files", max_files}});
  if (forgetful) log::info("no-state-file", {{"consequence", "the highest epoch is forgotten at a restart"}});

  asio::signal_set signals(forwarder.context(), SIGTERM, SIGINT);
  signals.async_wait([&forwarder](asio::error_code code, int) {
    if (!code) forwarder.stop();
  });
  const bool in_order = forwarder.run();
  // Everything is closed and written. A lookup of a name that hangs in the system would hold up the
  // destructors.
  std::fflush(nullptr);
  std::_Exit(in_order ? kExitOk : kExitSoftware);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    auto loaded = load_forwarder_settings(argc, argv);
    if (!loaded.ok()) {
      std::cerr << loaded.error() << "\n";
      return kExitConfig;
    }
    if (loaded->answer) {
      std::cout << *loaded->answer << std::flush;
      return kExitOk;
    }
    const auto log_opened = log::open(loaded->settings.log);
    if (!log_opened.ok()) {
      std::cerr << log_opened.error() << "\n";
      return kExitCannotCreate;
    }
    for (const std::string& warning : loaded->warnings) log::warning("configuration", {{"text", warning}});
    return serve(std::move(loaded->settings), prepare_process());
  } catch (const std::exception& failure) {
    return fail(kExitSoftware, failure.what());
  }
}
