#include "tests/unit/bootstrap/support/control-stand-in.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace pgtandem::bootstrap::testing {
namespace {

using nlohmann::json;

constexpr const char* kLease = "c0ffee";

json status_json(bool joined) {
  return {{"version", PGTANDEM_VERSION},
          {"node", "a"},
          {"mode", "flags"},
          {"protocol", "postgres"},
          {"discipline", "classic"},
          {"uptime_s", 12},
          {"role",
           {{"state", joined ? "MASTER" : "ALONE"},
            {"epoch", joined ? 4 : 3},
            {"master", "a"},
            {"data_node", "a"},
            {"generation", "00000000-0000-0000-0000-000000000001"},
            {"sync", joined},
            {"reason", ""},
            {"since_s", 1}}},
          {"nodes",
           {{"a", {{"host", "127.0.0.1"}, {"relay_port", 5432}, {"control_port", 8432}}},
            {"b", {{"host", "127.0.0.1"}, {"relay_port", 5432}, {"control_port", 8432}}}}},
          {"record", nullptr},
          {"peer", nullptr},
          {"postmaster", {{"ok", true}}},
          {"sessions", {{"open", 0}, {"total", 0}, {"refused", 0}}},
          {"traffic", {{"units", 0}, {"frontend_bytes", 0}, {"backend_bytes", 0}, {"standby_bytes", 0}}},
          {"standby", {{"joined", joined}, {"stale_reason", ""}, {"lag_units", 0}}},
          {"differences", {{"writes", 0}, {"reads", 0}}},
          {"bootstrap", nullptr},
          {"events", json::array()},
          {"hint", ""}};
}

/// One request as our own client sends it: head, then a body of Content-Length bytes.
struct Request {
  std::string method;
  std::string path;
  std::string authorization;
  std::string body;
};

std::string header(const std::string& head, std::string name) {
  std::istringstream lines(head);
  for (std::string line; std::getline(lines, line);) {
    std::string lower = line.substr(0, name.size());
    for (char& c : lower) c = char(std::tolower(static_cast<unsigned char>(c)));
    if (lower != name) continue;
    const std::string value = line.substr(name.size() + 1);
    return value.substr(value.find_first_not_of(' '), value.find('\r') - value.find_first_not_of(' '));
  }
  return {};
}

Request read_request(int connection) {
  std::string text;
  std::size_t end = std::string::npos;
  std::size_t size = 0;
  char buffer[4096];
  while (end == std::string::npos || text.size() < end + 4 + size) {
    const ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
    if (got <= 0) return {};
    text.append(buffer, std::size_t(got));
    if (end != std::string::npos || (end = text.find("\r\n\r\n")) == std::string::npos) continue;
    const std::string length = header(text.substr(0, end + 2), "content-length");
    size = length.empty() ? 0 : std::stoul(length);
  }
  Request request;
  std::istringstream(text) >> request.method >> request.path;
  request.authorization = header(text.substr(0, end + 2), "authorization");
  request.body = text.substr(end + 4);
  return request;
}

}  // namespace

ControlStandIn::ControlStandIn() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0) {
    throw std::runtime_error("no port for the stand-in");
  }
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

ControlStandIn::~ControlStandIn() {
  stopping_ = true;
  thread_.join();
  ::close(listener_);
}

void ControlStandIn::on_command(std::function<bool(const ControlCall&)> hook) {
  const std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

void ControlStandIn::serve() {
  std::vector<int> unanswered;
  while (!stopping_) {
    pollfd entry{listener_, POLLIN, 0};
    if (::poll(&entry, 1, 20) <= 0) continue;
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (silent_) {
      unanswered.push_back(connection);
      continue;
    }
    answer(connection);
    ::close(connection);
  }
  for (const int connection : unanswered) ::close(connection);
}

void ControlStandIn::answer(int connection) {
  const Request request = read_request(connection);
  ControlCall call;
  call.command = request.path.size() > 4 ? request.path.substr(4) : "";
  call.authorization = request.authorization;
  call.body = json::parse(request.body, nullptr, false);
  const std::string response = respond(request.method, request.path, call);
  ::send(connection, response.data(), response.size(), MSG_NOSIGNAL);
}

std::string ControlStandIn::respond(const std::string& method, const std::string& path,
                                    const ControlCall& call) {
  std::string status = "200 OK";
  json body;
  if (method == "GET" && path == "/v1/status") {
    body = status_json(joined_);
  } else {
    std::function<bool(const ControlCall&)> hook;
    {
      const std::lock_guard lock(mutex_);
      calls_.push_back(call);
      hook = hook_;
    }
    const bool begin = call.command == "bootstrap/begin";
    const bool right_lease = begin || (call.body.is_object() && call.body.value("lease", "") == kLease);
    if (!right_lease || (hook && !hook(call))) {
      status = "409 Conflict";
      body = {{"ok", false}, {"error", "the stand-in refuses"}, {"do", "ask the test why"}};
    } else {
      body = {{"ok", true}, {"lease", kLease}, {"master", "a"}, {"target", "b"}, {"epoch", 3}};
      if (call.command == "bootstrap/finish") {
        joined_ = true;
        body = {{"ok", true}, {"epoch", 4}};
      }
    }
  }
  const std::string text = body.dump();
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(text.size()) +
         "\r\nConnection: close\r\n\r\n" + text;
}

std::vector<ControlCall> ControlStandIn::calls(const std::string& command) const {
  const std::lock_guard lock(mutex_);
  std::vector<ControlCall> out;
  for (const ControlCall& call : calls_) {
    if (call.command == command) out.push_back(call);
  }
  return out;
}

bool ControlStandIn::has_phase(const std::string& phase) const {
  for (const ControlCall& call : calls("bootstrap/progress")) {
    if (call.body.value("phase", "") == phase) return true;
  }
  return false;
}

}  // namespace pgtandem::bootstrap::testing
