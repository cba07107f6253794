#include "common/net/http-parser.h"

#include <catch2/catch.hpp>

using namespace pgtandem;

namespace {

constexpr std::size_t kLimit = 1000;

/// Feeds the pieces and then the end of the connection, and says what came of it.
std::string outcome(const std::vector<std::string>& pieces, bool head = false) {
  HttpResponseParser parser(head, kLimit);
  for (const std::string& piece : pieces) {
    const auto fed = parser.feed(piece);
    if (!fed.ok()) return "error: " + fed.error();
  }
  const auto ended = parser.finish();
  if (!ended.ok()) return "error: " + ended.error();
  std::string text = std::to_string(parser.response().status);
  for (const auto& [name, value] : parser.response().headers) text += " " + name + "=" + value;
  return text + " [" + parser.response().body + "]";
}

}  // namespace

TEST_CASE("a response is read with a length, in chunks, and until the connection ends") {
  CHECK(outcome({"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"}) == "200 content-length=2 [hi]");
  CHECK(outcome({"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n"}) ==
        "503 transfer-encoding=chunked [hi!]");
  CHECK(outcome({"HTTP/1.0 200 OK\r\nX-Y: z\r\n\r\nuntil the end"}) == "200 x-y=z [until the end]");
  CHECK(outcome({"HTTP/1.1 204 Empty\r\n\r\n"}) == "204 []");
  CHECK(outcome({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"}, true) == "200 content-length=5 []");
  CHECK(outcome({"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"}) ==
        "200 content-length=1 [x]");
}

TEST_CASE("a response cut anywhere into pieces is the same, and cut off anywhere is an error") {
  for (const std::string text :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Name: some value\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}) {
    const std::string whole = outcome({text});
    REQUIRE(whole.ends_with("[hello]"));
    for (std::size_t i = 0; i <= text.size(); ++i) {
      CHECK(outcome({text.substr(0, i), text.substr(i)}) == whole);
      if (i < text.size()) CHECK(outcome({text.substr(0, i)}).starts_with("error: "));
    }
  }
}

TEST_CASE("what is no HTTP, or more than allowed, is refused with a reason") {
  CHECK(outcome({"SSH-2.0-OpenSSH_9.2\r\n"}).starts_with("error: it is no HTTP"));
  CHECK(outcome({std::string(100, '\0')}).starts_with("error: it is no HTTP"));
  CHECK(outcome({"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"}).find("larger than the allowed 1000") !=
        std::string::npos);
  CHECK(outcome({"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"}).starts_with("error: "));
  CHECK(
      outcome({"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"}).starts_with("error: "));
  CHECK(outcome({"HTTP/1.1 200 OK\r\n\r\n", std::string(600, 'x'), std::string(401, 'x')}).find("larger") !=
        std::string::npos);
  CHECK(outcome({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"})
            .starts_with("error: "));
  CHECK(
      outcome({"HTTP/1.1 101 Other\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"}).find("another protocol") !=
      std::string::npos);
  CHECK(outcome({"HTTP/1.1 200 OK\r\nA: " + std::string(40'000, 'x')}).find("header is larger") !=
        std::string::npos);
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 200; ++i) many += "a: b\r\n";
  CHECK(outcome({many}).find("header is larger") != std::string::npos);
}
