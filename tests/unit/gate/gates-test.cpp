#include "server-relay/gate/gates.h"

#include <catch2/catch.hpp>

using namespace pgtandem;

namespace {
using Sessions = std::vector<std::uint64_t>;
}

TEST_CASE("a database has one order, as long as the relay lives") {
  Gates gates;
  DatabaseOrder& first = gates.of("a");
  CHECK(&gates.of("b") != &first);
  CHECK(&gates.of("a") == &first);
  CHECK(first.gate.enter({1, GateMode::alone}, [] {}));
  CHECK(gates.of("b").gate.enter({2, GateMode::alone}, [] {}));
}

TEST_CASE("backends are told by their server, and those of nobody are left out") {
  Gates gates;
  gates.add_backends(1, 100, 200);
  gates.add_backends(2, 200, 100);  // the servers number theirs on their own
  gates.add_backends(3, 300, 0);    // has no standby
  CHECK(gates.sessions_of({100, 7, 200, 300}, true) == Sessions{1, 2, 3});
  CHECK(gates.sessions_of({100, 200, 0}, false) == Sessions{2, 1});
  CHECK(gates.sessions_of({}, true).empty());
  gates.remove_backends(1, 100, 200);
  CHECK(gates.sessions_of({100, 200}, true) == Sessions{2});
  CHECK(gates.sessions_of({100, 200}, false) == Sessions{2});
  gates.remove_backends(1, 999, 999);
  gates.add_backends(4, 100, 200);  // numbers come again
  CHECK(gates.sessions_of({100}, true) == Sessions{4});
  gates.remove_backends(1, 100, 200);  // who had them before leaves late
  CHECK(gates.sessions_of({100}, true) == Sessions{4});
  CHECK(gates.sessions_of({200}, false) == Sessions{4});
}
