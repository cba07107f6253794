#include "server-relay/relay/io-thread.h"

#include <future>
#include <memory>

#include <asio/post.hpp>
#include <catch2/catch.hpp>

#include "server-relay/keeper/role-clock.h"

using namespace pgtandem;
using namespace std::chrono_literals;

namespace {

/// A session that wants to release, and does when it is told that it may.
class WaitingSession final : public SessionBase {
 public:
  explicit WaitingSession(IoThread& thread) : thread_(thread) {
    thread_.add(this);
    thread_.begin_serving(this);
  }
  ~WaitingSession() override { thread_.remove(this); }
  void on_authority() override {
    ++told;
    released = thread_.may_release();
  }
  void on_tick(SteadyTime) override {}
  void end_for_operator(SessionEnd, const std::string&) override {}

  int told = 0;
  bool released = false;

 private:
  IoThread& thread_;
};

struct Rig {
  explicit Rig(bool limited) : right(limited), thread(keeper, right) {
    thread.start();
    serve(Authority{1, Service::serve, false, true, false, ""});
  }
  ~Rig() { thread.stop(); }

  /// Runs `work` on the I/O thread and gives what it returns.
  template <typename F>
  auto on_thread(F work) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto result = task.get_future();
    asio::post(thread.context(), std::ref(task));
    return result.get();
  }
  void serve(const Authority& authority) {
    on_thread([&] { thread.set_authority(authority); });
  }
  bool may_release() {
    return on_thread([&] { return thread.may_release(); });
  }

  KeeperReports* keeper = nullptr;
  ReleaseRight right;
  IoThread thread;
};

Authority guests_of(Epoch epoch) {
  return {epoch, Service::pass_on, false, false, true, ""};
}

}  // namespace

TEST_CASE("without a witness the right to release has no end") {
  Rig rig(false);
  CHECK(rig.may_release());
}

TEST_CASE("with a witness nothing is released before the right was given, nor after it has run out") {
  Rig rig(true);
  CHECK_FALSE(rig.may_release());
  rig.right.set_until(role_clock_now().steady + 1h);
  CHECK(rig.may_release());
  rig.right.set_until(role_clock_now().steady);
  CHECK_FALSE(rig.may_release());
}

TEST_CASE("the right does not replace the authority") {
  Rig rig(true);
  rig.right.set_until(role_clock_now().steady + 1h);
  rig.serve(Authority{1, Service::serve, true, true, false, ""});
  CHECK_FALSE(rig.may_release());
}

TEST_CASE("a session that found the right expired is told when it is extended, others are left alone") {
  Rig rig(true);
  auto session = rig.on_thread([&] { return std::make_unique<WaitingSession>(rig.thread); });
  rig.on_thread([&] { rig.thread.on_right(); });
  CHECK(session->told == 0);
  REQUIRE_FALSE(rig.may_release());
  rig.right.set_until(role_clock_now().steady + 1h);
  rig.on_thread([&] { rig.thread.on_right(); });
  CHECK(session->told == 1);
  CHECK(session->released);
  rig.on_thread([&] { rig.thread.on_right(); });
  CHECK(session->told == 1);
  rig.on_thread([&] { session.reset(); });
}

TEST_CASE("guests need no right of the node that they are on") {
  Rig rig(true);
  rig.serve(guests_of(2));
  CHECK(rig.may_release());
}

TEST_CASE("guests are the sessions that were served when the other node took over, no later ones") {
  Rig rig(false);
  auto first = rig.on_thread([&] { return std::make_unique<WaitingSession>(rig.thread); });
  auto second = rig.on_thread([&] { return std::make_unique<WaitingSession>(rig.thread); });
  rig.serve(guests_of(2));
  auto later = rig.on_thread([&] { return std::make_unique<WaitingSession>(rig.thread); });
  // A grant with another text is no new handing over: the later session does not become a guest by it.
  rig.serve(guests_of(2));
  int gone = 0;
  rig.on_thread([&] { rig.thread.when_guests_gone([&gone] { ++gone; }); });
  rig.on_thread([&] { first.reset(); });
  CHECK(gone == 0);
  rig.on_thread([&] { second.reset(); });
  CHECK(gone == 1);
  rig.on_thread([&] { later.reset(); });
  CHECK(gone == 1);
}

TEST_CASE("where nobody was served, the guests are gone at once") {
  Rig rig(false);
  rig.serve(guests_of(2));
  int gone = 0;
  rig.on_thread([&] { rig.thread.when_guests_gone([&gone] { ++gone; }); });
  CHECK(gone == 1);
}
