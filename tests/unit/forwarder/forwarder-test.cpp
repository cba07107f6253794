#include "client-forwarder/forwarder.h"

#include <chrono>

#include <catch2/catch.hpp>

#include "client-forwarder/process.h"
#include "tests/unit/config/config-fixture.h"
#include "tests/unit/forwarder/fake-relay.h"
#include "tests/unit/forwarder/reports.h"

using namespace pgtandem;
using namespace pgtandem::test;
using namespace std::chrono_literals;

namespace {

/// A forwarder on a thread of its own.
class RunningForwarder {
 public:
  explicit RunningForwarder(ForwarderSettings settings) : forwarder_(std::move(settings)) {
    prepare_process();
    REQUIRE(forwarder_.load_memory().ok());
    REQUIRE(forwarder_.open_ports().ok());
    port_ = forwarder_.ports().front();
    thread_ = std::thread([this] { forwarder_.run(); });
  }
  ~RunningForwarder() {
    forwarder_.stop();
    thread_.join();
  }
  const Endpoint& port() const { return port_; }

 private:
  Forwarder forwarder_;
  Endpoint port_;
  std::thread thread_;
};

/// Two relays, named by their greetings, and what a forwarder between them needs.
struct Pair {
  FakeRelay a{"a"}, b{"b"};

  ForwarderSettings settings(std::chrono::milliseconds connect_wait = 20s,
                             const std::string& state_file = "") const {
    ForwarderSettings s;
    s.listen = {{"127.0.0.1", 0}};
    s.relays = {a.address(), b.address()};
    s.connect_wait = connect_wait;
    s.state_file = state_file;
    return s;
  }
  void master_is_a() {
    a.show(pair_status("a", "MASTER", 3, "a"));
    b.show(pair_status("b", "STANDBY", 3, "a"));
  }
};

const std::string kStartup("\0\0\0\x10\0\3\0\0user\0x\0\0", 16);
const std::string kSslRequest("\0\0\0\x08\x04\xd2\x16\x2f", 8);

/// A new connection's greeting: which relay it came to.
std::string relay_of_new_connection(const RunningForwarder& forwarder) {
  Application application(forwarder.port());
  return application.read(1);
}

}  // namespace

TEST_CASE("a connection waits for the master, and then is passed on with all that was sent meanwhile") {
  Pair pair;
  pair.a.show(pair_status("a", "RECOVER", 3, "a"));
  pair.b.show(pair_status("b", "STANDBY", 3, "a"));
  const RunningForwarder forwarder(pair.settings());
  Application application(forwarder.port());
  application.send("early");
  const std::size_t before = pair.a.statuses_sent();
  pair.a.wait_for_more_statuses(before + 1);
  pair.a.show(pair_status("a", "MASTER", 3, "a"));
  CHECK(application.read(6) == "aearly");
}

TEST_CASE(
    "a change of master ends the old sessions, new ones go to the new master, and a lower epoch is never "
    "followed") {
  Pair pair;
  pair.master_is_a();
  const RunningForwarder forwarder(pair.settings());
  Application old_session(forwarder.port());
  REQUIRE(old_session.read(1) == "a");

  // Relay a does not know yet that it is no longer master.
  pair.b.show(pair_status("b", "ALONE", 4, "b"));
  CHECK(old_session.read_to_end().empty());
  CHECK(relay_of_new_connection(forwarder) == "b");
  // It is given the record that says so.
  const std::string record = pair.a.wait_for_record();
  CHECK(contains(record, "\"payload\":\"" + record_payload(4, "b") + "\""));
  CHECK(contains(record, "\"mac\":\"" + kMac + "\""));

  // Its claims of the old epoch count for nothing, even when b is gone.
  pair.b.show(pair_status("b", "FENCED", 4, "b"));
  const std::size_t seen = pair.a.statuses_sent();
  pair.a.wait_for_more_statuses(seen + 1);
  Application waiting(forwarder.port());
  pair.b.show(pair_status("b", "ALONE", 4, "b"));
  CHECK(waiting.read(1) == "b");
}

TEST_CASE("a control port that cannot be reached ends no session, and its relay is still followed") {
  Pair pair;
  pair.master_is_a();
  const RunningForwarder forwarder(pair.settings());
  Application session(forwarder.port());
  REQUIRE(session.read(1) == "a");
  pair.a.hide_control_port();
  const std::size_t seen = pair.b.statuses_sent();
  pair.b.wait_for_more_statuses(seen + 3);
  session.send("still here");
  CHECK(session.read(10) == "still here");
  CHECK(relay_of_new_connection(forwarder) == "a");
  // When it answers again and is master of a later epoch, nothing has to end either.
  pair.a.show(pair_status("a", "ALONE", 5, "a"));
  pair.a.show_control_port();
  const std::size_t again = pair.a.statuses_sent();
  pair.a.wait_for_more_statuses(again + 1);
  session.send("x");
  CHECK(session.read(1) == "x");
}

TEST_CASE("a relay without a stream of events is polled") {
  Pair pair;
  pair.a.refuse_watching();
  pair.b.refuse_watching();
  pair.master_is_a();
  const RunningForwarder forwarder(pair.settings());
  CHECK(relay_of_new_connection(forwarder) == "a");
  Application session(forwarder.port());
  REQUIRE(session.read(1) == "a");
  pair.b.show(pair_status("b", "ALONE", 4, "b"));
  CHECK(session.read_to_end().empty());
}

TEST_CASE("half-close passes through: the answer to the end of sending arrives") {
  Pair pair;
  pair.master_is_a();
  const RunningForwarder forwarder(pair.settings());
  Application application(forwarder.port());
  application.send("last words");
  application.end_sending();
  CHECK(application.read_to_end() == "alast wordsbye");
}

TEST_CASE("a relay that refuses is tried again within connect_wait") {
  Pair pair;
  pair.master_is_a();
  pair.a.close_frontend_port();
  const RunningForwarder forwarder(pair.settings());
  Application application(forwarder.port());
  const std::size_t seen = pair.a.statuses_sent();
  pair.a.wait_for_more_statuses(seen + 1);
  pair.a.open_frontend_port();
  CHECK(application.read(1) == "a");
}

TEST_CASE("a waiting connection goes to whoever becomes master while the old master's relay refuses") {
  Pair pair;
  pair.master_is_a();
  pair.a.close_frontend_port();
  const RunningForwarder forwarder(pair.settings());
  Application application(forwarder.port());
  const std::size_t seen = pair.b.statuses_sent();
  pair.b.wait_for_more_statuses(seen + 1);
  pair.b.show(pair_status("b", "ALONE", 4, "b"));
  CHECK(application.read(1) == "b");
}

TEST_CASE("without a master within connect_wait a PostgreSQL client is told so in its own protocol") {
  Pair pair;
  pair.a.show(pair_status("a", "FENCED", 3, "b"));
  pair.b.show(pair_status("b", "STALE", 3, "b"));
  const RunningForwarder forwarder(pair.settings(300ms));
  Application plain(forwarder.port());
  plain.send(kStartup);
  const std::string error = plain.read_to_end();
  CHECK(error.starts_with("E"));
  CHECK(contains(error, std::string("SFATAL\0", 7)));
  CHECK(contains(error, std::string("C57P03\0", 7)));
  CHECK(contains(error, "the database has no master at present"));
  CHECK(contains(error, "node a is FENCED, node b is STALE"));

  // A client that asks for encryption first gets 'N' and then the same.
  Application careful(forwarder.port());
  careful.send(kSslRequest);
  CHECK(careful.read(1) == "N");
  careful.send(kStartup);
  CHECK(contains(careful.read_to_end(), "C57P03"));
}

TEST_CASE("a master whose relay cannot be reached is named in the error") {
  Pair pair;
  pair.master_is_a();
  pair.a.close_frontend_port();
  const RunningForwarder forwarder(pair.settings(1s));
  Application application(forwarder.port());
  application.send(kStartup);
  const std::string error = application.read_to_end();
  CHECK(contains(error, "the master's relay cannot be reached"));
  CHECK(contains(error, "cannot connect to 127.0.0.1:" + std::to_string(pair.a.address().relay_port)));
}

TEST_CASE("without a master anything that is no PostgreSQL start-up is closed without a word") {
  Pair pair;
  const RunningForwarder forwarder(pair.settings(100ms));
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("\x16\x03\x01\x02\x00", 5),
        std::string("\0\0\0\x04", 4), std::string(16, '\0'), std::string("\0\0", 2), std::string()}) {
    Application application(forwarder.port());
    application.send(bytes);
    application.end_sending();
    CHECK(application.read_to_end().empty());
  }
}

TEST_CASE("what was seen outlives the forwarder: a lower epoch is not followed by the next one either") {
  Pair pair;
  const TemporaryFolder folder;
  const std::string state = folder.path("state");
  pair.b.show(pair_status("b", "ALONE", 4, "b"));
  {
    const RunningForwarder forwarder(pair.settings(20s, state));
    REQUIRE(relay_of_new_connection(forwarder) == "b");
  }
  pair.b.show(pair_status("b", "RECOVER", 4, "b"));
  pair.a.show(pair_status("a", "MASTER", 3, "a"));
  const RunningForwarder forwarder(pair.settings(20s, state));
  // Both relays have been heard when a has got the record of epoch 4.
  CHECK(contains(pair.a.wait_for_record(), record_payload(4, "b")));
  Application application(forwarder.port());
  pair.b.show(pair_status("b", "ALONE", 4, "b"));
  CHECK(application.read(1) == "b");
}

TEST_CASE("a damaged state file does not keep the forwarder from starting") {
  Pair pair;
  pair.master_is_a();
  const TemporaryFolder folder;
  const RunningForwarder forwarder(
      pair.settings(20s, folder.write("state", "pgtandem-forwarder 1\nrubbish")));
  CHECK(relay_of_new_connection(forwarder) == "a");
}

TEST_CASE("1,000 sessions at once each get their own bytes") {
  if (prepare_process() != 0 && prepare_process() < 5000) {
    WARN("not run: this process may not open 5,000 files");
    return;
  }
  Pair pair;
  pair.master_is_a();
  const RunningForwarder forwarder(pair.settings());
  std::vector<std::unique_ptr<Application>> applications;
  for (int i = 0; i < 1000; ++i) {
    applications.push_back(std::make_unique<Application>(forwarder.port()));
    applications.back()->send("session " + std::to_string(i));
  }
  std::size_t right = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 1000; ++i) {
      const std::string expected = (round == 0 ? "a" : "") + ("session " + std::to_string(i));
      right += applications[std::size_t(i)]->read(expected.size()) == expected;
      applications[std::size_t(i)]->send("session " + std::to_string(i));
    }
  }
  CHECK(right == 3000);
}

TEST_CASE("a port that is taken is an error that names it") {
  Pair pair;
  ForwarderSettings settings = pair.settings();
  settings.listen = {{"127.0.0.1", pair.a.address().relay_port}};
  Forwarder forwarder(settings);
  const auto opened = forwarder.open_ports();
  REQUIRE_FALSE(opened.ok());
  CHECK(
      contains(opened.error(), "cannot listen on 127.0.0.1:" + std::to_string(pair.a.address().relay_port)));
}

TEST_CASE("garbage on the control port is a relay that does not answer, and the other is followed") {
  Pair pair;
  pair.a.show("{\"role\":{\"state\":\"EMPEROR\"}}");
  pair.b.show(pair_status("b", "ALONE", 4, "b"));
  const RunningForwarder forwarder(pair.settings());
  CHECK(relay_of_new_connection(forwarder) == "b");
}
