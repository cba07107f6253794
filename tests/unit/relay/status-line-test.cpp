#include "server-relay/relay/status-line.h"

#include <catch2/catch.hpp>

using namespace pgtandem;

TEST_CASE("one line says what the relay is, whether the standby is joined, and how many sessions there are") {
  nlohmann::json status = {{"role", {{"state", "MASTER"}, {"epoch", 3}}}, {"standby", {{"joined", true}}}};
  CHECK(status_line(status, 8) == "MASTER, epoch 3, standby joined, 8 sessions");
  status["role"]["state"] = "ALONE";
  status["standby"]["joined"] = false;
  CHECK(status_line(status, 1) == "ALONE, epoch 3, standby not joined, 1 session");
}
