#include "common/process/supervision.h"

#include <csignal>
#include <functional>

#include <asio/post.hpp>
#include <catch2/catch.hpp>

#include "tests/unit/config/config-fixture.h"
#include "tests/unit/process/notify-socket.h"

using namespace pgtandem;
using namespace pgtandem::test;
using namespace std::chrono_literals;

namespace {

/// Runs `context` until `done()` is true.
void run_until(asio::io_context& context, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!done() && std::chrono::steady_clock::now() < deadline) context.run_one_for(10ms);
  REQUIRE(done());
}

/// A supervised program that counts what it is told.
struct Program {
  asio::io_context context{1};
  int stops = 0, stops_at_once = 0, reloads = 0;
  std::string status = "fine";
  std::vector<std::function<void()>> probes;  ///< not answered yet

  SupervisionHandlers handlers(bool with_probe = false) {
    SupervisionHandlers handlers;
    handlers.stop = [this] { ++stops; };
    handlers.stop_at_once = [this] { ++stops_at_once; };
    handlers.reload = [this] { ++reloads; };
    handlers.status = [this] { return status; };
    handlers.stop_limit = 2s;
    if (with_probe)
      handlers.probe = [this](std::function<void()> alive) { probes.push_back(std::move(alive)); };
    return handlers;
  }
};

}  // namespace

TEST_CASE("the manager hears of the start, of a change, of a reload and of the stop, in this order") {
  const TemporaryFolder folder;
  const bool abstract = GENERATE(false, true);
  const NotifySocket manager(abstract ? "@pgtandem-test-" + std::to_string(::getpid())
                                      : folder.path("notify"));
  Program program;
  Supervision supervision(program.context, ServiceNotifier::from_environment(), program.handlers());
  CHECK(manager.at_hand().empty());
  supervision.ready();
  CHECK(manager.next() == "READY=1\nSTATUS=fine");
  supervision.status_changed();
  CHECK(manager.at_hand().empty());  // nothing has changed
  program.status = "better";
  supervision.status_changed();
  CHECK(manager.next() == "STATUS=better");

  std::raise(SIGHUP);
  run_until(program.context, [&] { return program.reloads == 1; });
  CHECK(manager.next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(manager.next() == "READY=1\nSTATUS=better");

  std::raise(SIGTERM);
  run_until(program.context, [&] { return program.stops == 1; });
  CHECK(manager.next() == "STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000\nSTATUS=stopping");
  CHECK(program.stops_at_once == 0);
  std::raise(SIGHUP);
  std::raise(SIGTERM);
  run_until(program.context, [&] { return program.stops_at_once == 1; });
  CHECK(program.stops == 1);
  CHECK(program.reloads == 1);  // what is stopping takes nothing over
}

TEST_CASE("a signal that comes during the start is not lost") {
  Program program;
  Supervision supervision(program.context, ServiceNotifier::from_environment(), program.handlers());
  std::raise(SIGHUP);
  std::raise(SIGTERM);
  supervision.ready();
  run_until(program.context, [&] { return program.stops == 1; });
}

TEST_CASE("the watchdog is fed when all loops have answered, and not while one hangs") {
  const TemporaryFolder folder;
  const NotifySocket manager(folder.path("notify"));
  ::setenv("WATCHDOG_USEC", "20000", 1);
  Program program;
  Supervision supervision(program.context, ServiceNotifier::from_environment(), program.handlers(true));
  supervision.ready();
  CHECK(manager.next().starts_with("READY=1"));
  run_until(program.context, [&] { return program.probes.size() == 1; });
  program.context.run_for(200ms);  // ten times the watchdog's time
  CHECK(program.probes.size() == 1);
  CHECK(manager.at_hand().empty());
  program.probes[0]();
  CHECK(manager.next() == "WATCHDOG=1");
  run_until(program.context, [&] { return program.probes.size() == 2; });
}

TEST_CASE("the watchdog of a single loop is fed by that loop alone") {
  const TemporaryFolder folder;
  const NotifySocket manager(folder.path("notify"));
  ::setenv("WATCHDOG_USEC", "20000", 1);
  Program program;
  Supervision supervision(program.context, ServiceNotifier::from_environment(), program.handlers());
  supervision.ready();
  CHECK(manager.next().starts_with("READY=1"));
  std::string message;
  run_until(program.context, [&] {
    if (message.empty()) message = manager.at_hand();
    return !message.empty();
  });
  CHECK(message == "WATCHDOG=1");
}

TEST_CASE("the variables of the manager are gone after they were read") {
  const TemporaryFolder folder;
  const NotifySocket manager(folder.path("notify"));
  ::setenv("WATCHDOG_USEC", "20000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  const ServiceNotifier notifier = ServiceNotifier::from_environment();
  CHECK(notifier.active());
  CHECK(notifier.watchdog_interval() == 10ms);
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
    INFO(name);
    CHECK(std::getenv(name) == nullptr);
  }
  CHECK_FALSE(ServiceNotifier::from_environment().active());
}

TEST_CASE("a manager that is gone or does not read costs nothing") {
  const TemporaryFolder folder;
  ServiceNotifier notifier;
  {
    const NotifySocket manager(folder.path("notify"));
    notifier = ServiceNotifier::from_environment();
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < 10'000; ++i) notifier.watchdog();  // more than any socket's queue holds
    CHECK(std::chrono::steady_clock::now() - began < 5s);
  }
  notifier.ready("nobody reads this");
}
