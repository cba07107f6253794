/// The program `pgtandem` run in this process, and relays that answer what the test says, over real control
/// ports on loopback.
#pragma once
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include <asio.hpp>
#include <nlohmann/json.hpp>

#include "server-relay/control/control-server.h"
#include "server-relay/tool/tool.h"
#include "tests/unit/control/status-examples.h"

namespace pgtandem::control_test {

using nlohmann::json;

inline constexpr auto kToken = "a token of more than sixteen bytes";

/// A control port whose status and answers the test decides, and which remembers the commands it got.
class FakeRelay {
 public:
  explicit FakeRelay(json status)
      : status_(std::move(status)), control_(context_, {{"127.0.0.1", 0}}, kToken, handlers()) {
    const Result<void> started = control_.start();
    if (!started) throw std::runtime_error(started.error());
    port_ = control_.listening().at(0).port;
    thread_ = std::thread([this] { context_.run(); });
  }
  ~FakeRelay() {
    asio::post(context_, [this] {
      control_.stop();
      context_.stop();
    });
    thread_.join();
  }

  std::uint16_t port() const { return port_; }
  /// As --relay takes it; the port for frontends is one where nobody listens, another for each relay.
  std::string address() const {
    return "127.0.0.1:" + std::to_string(relay_port_) + "/" + std::to_string(port_);
  }
  unsigned relay_port() const { return relay_port_; }
  void set_status(json status) {
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
  }
  void answer_with(std::function<ControlReply(const json& body)> answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  /// "fence {}" and the like, in the order of their coming.
  std::vector<std::string> commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
  }

 private:
  ControlHandlers handlers() {
    ControlHandlers h;
    h.status_json = [this] {
      const std::lock_guard lock(mutex_);
      return status_.dump();
    };
    h.metrics_text = [] { return std::string(); };
    h.role = [] { return RoleAnswer::neither; };
    h.command = [this](const ControlRequest& request, ControlResponder respond) {
      const std::lock_guard lock(mutex_);
      commands_.push_back(request.path.substr(4) + " " + request.body);
      respond(answer_ ? answer_(json::parse(request.body)) : ControlReply{200, "{\"ok\":true}"});
    };
    return h;
  }

  mutable std::mutex mutex_;
  json status_;
  std::function<ControlReply(const json&)> answer_;
  std::vector<std::string> commands_;
  asio::io_context context_;
  ControlServer control_;
  std::uint16_t port_ = 0;
  const unsigned relay_port_ = ++last_relay_port_;
  std::thread thread_;
  static inline unsigned last_relay_port_ = 1;
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    char name[] = "/tmp/pgtandem-tool-XXXXXX";
    if (!::mkdtemp(name)) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name, const std::string& text) const {
    const std::string path = path_ + "/" + name;
    std::ofstream(path) << text;
    ::chmod(path.c_str(), 0600);
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Ran {
  int status = -1;
  std::string out;
  std::string err;
};

inline Ran run(std::vector<std::string> words, const std::string& typed = {}, bool terminal = false) {
  words.insert(words.begin(), "pgtandem");
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  std::istringstream in(typed);
  std::ostringstream out, err;
  Ran ran;
  ran.status = tool::run_tool(int(argv.size()), argv.data(), {}, {in, out, err, terminal, false});
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline json in_state(const std::string& node, const std::string& state) {
  json status = status_json(node);
  status["role"]["state"] = state;
  status["standby"]["joined"] = state == "MASTER";
  return status;
}

}  // namespace pgtandem::control_test
