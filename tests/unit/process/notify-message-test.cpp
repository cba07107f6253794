#include "common/process/notify-message.h"

#include <catch2/catch.hpp>

using namespace pgtandem;
using namespace std::chrono_literals;

TEST_CASE("each message is lines of NAME=value as sd_notify(3) has them") {
  CHECK(notify::ready("MASTER, epoch 3") == "READY=1\nSTATUS=MASTER, epoch 3");
  CHECK(notify::reloading(123456789us) == "RELOADING=1\nMONOTONIC_USEC=123456789");
  CHECK(notify::stopping(15s, "stopping") == "STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000\nSTATUS=stopping");
  CHECK(notify::watchdog() == "WATCHDOG=1");
}

TEST_CASE("a status stays on one line, so that no text can forge another message") {
  CHECK(notify::status("a\nREADY=1\r\nb") == "STATUS=a READY=1  b");
}

TEST_CASE("the socket is a path or an abstract name; anything else is none") {
  CHECK(notify::socket_name("/run/systemd/notify") == "/run/systemd/notify");
  CHECK(notify::socket_name("@name") == std::string("\0name", 5));
  for (const char* none : {"", "/", "@", "relative", "vsock:2:1234"}) {
    INFO(none);
    CHECK_FALSE(notify::socket_name(none));
  }
  CHECK(notify::socket_name("/" + std::string(106, 'x')));
  CHECK_FALSE(notify::socket_name("/" + std::string(107, 'x')));
}

TEST_CASE("the watchdog is fed at half of its time, and only by the process that it waits for") {
  CHECK(notify::watchdog_interval("30000000", "", 77) == 15s);
  CHECK(notify::watchdog_interval("30000000", "77", 77) == 15s);
  CHECK_FALSE(notify::watchdog_interval("30000000", "78", 77));
  for (const char* none : {"", "0", "1", "-5", "30s", "99999999999999999999"}) {
    INFO(none);
    CHECK_FALSE(notify::watchdog_interval(none, "", 77));
  }
}
