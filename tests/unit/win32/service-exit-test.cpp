#include "win32/service-exit.h"

#include <catch2/catch.hpp>

#include "client-forwarder/exit-status.h"

using namespace pgtandem;
using namespace pgtandem::win32;

TEST_CASE("every exit status comes back from what the service manager is told") {
  for (const int status : {kExitOk, kExitSoftware, kExitOsError, kExitCannotCreate, kExitConfig})
    CHECK(exit_status(service_exit(status)) == status);
}

TEST_CASE("an end with an error counts as a failure, an end in order does not") {
  CHECK(service_exit(kExitOk).system == 0);
  CHECK(service_exit(kExitConfig).system == 1066);
  CHECK(service_exit(kExitConfig).own == 78);
}

TEST_CASE("a failed start is told in words") {
  CHECK(describe(service_exit(kExitOk)).empty());
  CHECK(describe({1077, 0}).empty());
  CHECK(describe(service_exit(kExitOsError)).find("cannot be listened on") != std::string::npos);
  CHECK(describe(service_exit(kExitConfig)).find("settings are wrong") != std::string::npos);
  CHECK(describe({1067, 0}).find("unexpectedly") != std::string::npos);
  CHECK(describe({5, 0}).find("error 5") != std::string::npos);
  CHECK(exit_status({1067, 0}) == kExitSoftware);
}
