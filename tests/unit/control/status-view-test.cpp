#include <catch2/catch.hpp>

#include "tests/unit/control/status-examples.h"

using namespace pgtandem;
using namespace pgtandem::control_test;
using nlohmann::json;

TEST_CASE("a status is read with everything in it") {
  const auto view = parse_status(status_json().dump());
  REQUIRE(view.ok());
  CHECK(view->node == Node::a);
  CHECK(view->pair_mode);
  CHECK(view->role.state == "MASTER");
  CHECK(view->role.epoch == 3);
  CHECK(view->nodes.at(Node::b).host == "hostb");
  CHECK(view->record->mac == "00ff");
  CHECK(view->peer->silent_ms == 120);
  CHECK(view->standby_bytes == 21474836480U);
  CHECK(view->read_differences == 2);
  CHECK_FALSE(view->bootstrap);
  CHECK(view->events.at(0).event == "standby-joined");
  CHECK(view->active());
}

TEST_CASE("keys that this version does not know do no harm") {
  json status = status_json();
  status["new"] = {{"deep", 1}};
  status["role"]["new"] = "x";
  status["events"].push_back("not an event");
  CHECK(parse_status(status.dump()).ok());
}

TEST_CASE("what flags-only mode leaves out may be null") {
  json status = status_json();
  status["mode"] = "flags";
  status["record"] = nullptr;
  status["peer"] = nullptr;
  status["nodes"].erase("b");
  const auto view = parse_status(status.dump());
  REQUIRE(view.ok());
  CHECK_FALSE(view->pair_mode);
  CHECK_FALSE(view->peer);
  CHECK(view->nodes.size() == 1);
}

TEST_CASE("what the status says of a witness and of guests is read, and older relays may leave it out") {
  json status = status_json();
  status["witness"] = witness_json();
  status["right_ms"] = 2300;
  status["guests"] = true;
  const auto view = parse_status(status.dump());
  REQUIRE(view.ok());
  REQUIRE(view->witness);
  CHECK(view->witness->answers);
  CHECK(view->witness->members.size() == 2);
  CHECK(view->witness->members[1].url == "https://etcd2:2379");
  CHECK_FALSE(view->witness->members[1].answers);
  CHECK(view->witness->epoch == 3);
  CHECK(view->witness->master == Node::a);
  CHECK(view->witness->sync);
  CHECK(view->right_ms == 2300U);
  CHECK(view->guests);
  status["witness"]["record"] = nullptr;
  CHECK(parse_status(status.dump())->witness->epoch == 0);
  status["witness"].erase("answers");
  CHECK_FALSE(parse_status(status.dump()).ok());
  for (const char* key : {"witness", "guests", "right_ms"}) status.erase(key);
  const auto older = parse_status(status.dump());
  REQUIRE(older.ok());
  CHECK_FALSE(older->witness);
  CHECK_FALSE(older->right_ms);
  CHECK_FALSE(older->guests);
}

TEST_CASE("any key that is missing or of the wrong type is an error that names it") {
  const json whole = status_json();
  for (const json::json_pointer& at :
       {"/version"_json_pointer, "/node"_json_pointer, "/mode"_json_pointer, "/uptime_s"_json_pointer,
        "/role"_json_pointer, "/role/state"_json_pointer, "/role/epoch"_json_pointer,
        "/role/sync"_json_pointer, "/nodes"_json_pointer, "/nodes/a/control_port"_json_pointer,
        "/peer/reachable"_json_pointer, "/postmaster/ok"_json_pointer, "/sessions/open"_json_pointer,
        "/traffic/units"_json_pointer, "/standby/joined"_json_pointer, "/differences/writes"_json_pointer,
        "/events"_json_pointer, "/hint"_json_pointer}) {
    const std::string key = at.back();
    CAPTURE(at.to_string());
    json wrong = whole;
    wrong[at] = json::array({1});
    if (key != "events") {
      const auto parsed = parse_status(wrong.dump());
      REQUIRE_FALSE(parsed.ok());
      CHECK(parsed.error().find(key) != std::string::npos);
    }
    json missing = whole;
    missing[at.parent_pointer()].erase(key);
    const auto parsed = parse_status(missing.dump());
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().find(key) != std::string::npos);
  }
}

TEST_CASE("values that cannot be are refused: states, nodes, ports, negative numbers, other texts") {
  json status = status_json();
  status["role"]["state"] = "KING";
  CHECK(parse_status(status.dump()).error().find("role.state") != std::string::npos);
  status = status_json();
  status["node"] = "c";
  CHECK_FALSE(parse_status(status.dump()).ok());
  status = status_json();
  status["nodes"]["a"]["relay_port"] = 65536;
  CHECK_FALSE(parse_status(status.dump()).ok());
  status = status_json();
  status["sessions"]["open"] = -1;
  CHECK_FALSE(parse_status(status.dump()).ok());
  for (const char* text : {"", "[]", "null", "{", "{}", "<html>"}) CHECK_FALSE(parse_status(text).ok());
}
