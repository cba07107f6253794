#include "win32/event-table.h"

#include <fstream>
#include <map>

#include <catch2/catch.hpp>

using namespace pgtandem;
using namespace pgtandem::win32;

namespace {

/// Severity word by number, as messages.mc has them.
std::map<int, std::string> messages_of_file() {
  std::ifstream file(PGTANDEM_MESSAGES);
  std::map<int, std::string> messages;
  int id = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("MessageId=")) id = std::stoi(line.substr(10));
    if (line.starts_with("Severity=")) messages[id] = line.substr(9);
  }
  return messages;
}

}  // namespace

TEST_CASE("every event has a text of its severity, and every text an event") {
  const std::map<int, std::string> messages = messages_of_file();
  std::map<int, std::string> table;
  for (const EventEntry& entry : event_table())
    table[entry.id] = entry.level == log::Level::error     ? "Error"
                      : entry.level == log::Level::warning ? "Warning"
                                                           : "Informational";
  CHECK(table.size() == event_table().size());
  CHECK(table == messages);
}

TEST_CASE("the numbers that plants filter by do not change") {
  CHECK(find_event(log::Level::info, "forwarder-started")->id == 100);
  CHECK(find_event(log::Level::info, "forwarder-stopped")->id == 101);
  CHECK(find_event(log::Level::info, "following")->id == 102);
  CHECK(find_event(log::Level::warning, "no-master")->id == 201);
  CHECK(find_event(log::Level::error, "start-failed")->id == 301);
  CHECK(find_event(log::Level::error, "stop-overdue")->id == 304);
}

TEST_CASE("unknown warnings and errors have a number too, information stays in the log file") {
  CHECK(find_event(log::Level::warning, "something-new")->id == 200);
  CHECK(find_event(log::Level::error, "something-new")->id == 300);
  CHECK_FALSE(find_event(log::Level::info, "listening"));
  CHECK_FALSE(find_event(log::Level::debug, "session-ended"));
}

TEST_CASE("the severity stands in the highest bits of a message's identifier") {
  CHECK(message_id(*find_event(log::Level::info, "forwarder-started")) == 0x40000064);
  CHECK(message_id(*find_event(log::Level::warning, "no-master")) == 0x800000c9);
  CHECK(message_id(*find_event(log::Level::error, "start-failed")) == 0xc000012d);
}

TEST_CASE("a message says what the log line says") {
  CHECK(event_details("start-failed", {{"error", "port taken"}, {"port", 5432}}) ==
        "event: start-failed\r\nerror: port taken\r\nport: 5432");
}
