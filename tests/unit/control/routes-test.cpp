#include <catch2/catch.hpp>

#include "server-relay/control/burst-limit.h"
#include "server-relay/control/control-routes.h"
#include "server-relay/control/watch-hub.h"

using namespace pgtandem;

TEST_CASE("each path and method leads to one route") {
  CHECK(find_route("GET", "/") == Route::page);
  CHECK(find_route("GET", "/v1/watch") == Route::watch);
  CHECK(find_route("HEAD", "/v1/watch") == Route::wrong_method);
  CHECK(find_route("HEAD", "/master") == Route::master);
  CHECK(find_route("POST", "/v1/promote") == Route::command);
  CHECK(find_route("POST", "/v1/bootstrap/begin") == Route::command);
  CHECK(find_route("GET", "/v1/promote") == Route::wrong_method);
  CHECK(find_route("POST", "/v1/record") == Route::record);
  CHECK(find_route("POST", "/v1/token") == Route::check_token);
  CHECK(find_route("POST", "/v1/peer/hello") == Route::peer);
  CHECK(find_route("PUT", "/v1/peer/hello") == Route::wrong_method);
  CHECK(find_route("POST", "/v1/") == Route::not_found);
  CHECK(find_route("GET", "/v1") == Route::not_found);
  CHECK(find_route("GET", "/../etc/passwd") == Route::not_found);
  CHECK(find_route("POST", "/master") == Route::wrong_method);
}

TEST_CASE("a token is accepted whole and only behind the scheme Bearer, in any case") {
  CHECK(check_token("Bearer abc", "abc") == TokenCheck::accepted);
  CHECK(check_token("bEARER  abc", "abc") == TokenCheck::accepted);
  CHECK(check_token("Bearer abcd", "abc") == TokenCheck::wrong);
  CHECK(check_token("Bearer ab", "abc") == TokenCheck::wrong);
  CHECK(check_token("Bearer ", "abc") == TokenCheck::wrong);
  CHECK(check_token("Bearer", "abc") == TokenCheck::missing);
  CHECK(check_token("abc", "abc") == TokenCheck::missing);
  CHECK(check_token("", "abc") == TokenCheck::missing);
  CHECK(check_token("Bearer ", "") == TokenCheck::none_configured);
}

TEST_CASE("of a burst one passes a second, and the rest is counted") {
  BurstLimit limit;
  const BurstLimit::Clock::time_point start{};
  const auto at = [&](int ms) { return start + std::chrono::milliseconds(ms); };
  CHECK(limit.pass(at(0)) == 0);
  CHECK_FALSE(limit.pass(at(1)));
  CHECK_FALSE(limit.pass(at(999)));
  CHECK(limit.flush(at(999)) == 0);
  CHECK(limit.pass(at(1000)) == 2);
  CHECK_FALSE(limit.pass(at(1500)));
  CHECK(limit.flush(at(2000)) == 1);
  CHECK(limit.flush(at(3000)) == 0);
}

namespace {

struct Recorded {
  std::vector<std::string> events;
  bool finished = false;
};

class RecordingStream : public WatchStream {
 public:
  explicit RecordingStream(Recorded& recorded) : recorded_(recorded) {}
  void send(const WatchEvent& event) override { recorded_.events.push_back(*event); }
  void finish() override { recorded_.finished = true; }

 private:
  Recorded& recorded_;
};

WatchEvent event(const char* text) {
  return std::make_shared<std::string>(text);
}

}  // namespace

TEST_CASE("a busy watcher gets the newest event once, when it is done") {
  WatchHub hub;
  Recorded slow;
  const WatchHub::Id id = hub.next_id();
  hub.add(std::make_unique<RecordingStream>(slow), event("1"));
  hub.offer(event("2"));
  hub.offer(event("3"));
  CHECK(slow.events == std::vector<std::string>{"1"});
  hub.sent(id, true);
  CHECK(slow.events == std::vector<std::string>{"1", "3"});
  hub.sent(id, true);
  CHECK(slow.events.size() == 2);
  hub.offer(event("4"));
  CHECK(slow.events.size() == 3);
}

TEST_CASE("a broken watcher is dropped, and a late word about it changes nothing") {
  WatchHub hub;
  Recorded broken, fine;
  const WatchHub::Id id = hub.next_id();
  hub.add(std::make_unique<RecordingStream>(broken), event("1"));
  hub.add(std::make_unique<RecordingStream>(fine), event("1"));
  hub.sent(id, false);
  CHECK(hub.size() == 1);
  hub.sent(id, true);
  hub.finish_all();
  CHECK(hub.size() == 0);
  CHECK(fine.finished);
  CHECK_FALSE(broken.finished);
}
