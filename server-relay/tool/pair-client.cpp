#include "server-relay/tool/pair-client.h"

#include <istream>
#include <ostream>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "common/config/secret-file.h"
#include "server-relay/bootstrap/run-now.h"

namespace pgtandem::tool {
namespace {

constexpr std::uint16_t kDefaultControlPort = 8432;

Endpoint parse_control(const std::string& text) {
  const auto endpoint = parse_endpoint(text, kDefaultControlPort);
  if (!endpoint) throw Failure{kSoftware, endpoint.error()};
  return *endpoint;
}

/// Asks all at once: a host that is off must not delay what the other says.
PairStatus ask(const std::vector<Endpoint>& ports) {
  asio::io_context context;
  PairStatus pair(ports.size());
  for (std::size_t i = 0; i < ports.size(); ++i) {
    pair[i].control_port = to_string(ports[i]);
    auto work = [](Endpoint port, RelayStatus& into) -> asio::awaitable<void> {
      const ControlClient client(std::move(port));
      Result<StatusAnswer> answer = co_await client.status();
      if (!answer) {
        into.error = answer.error();
        co_return;
      }
      into.view = std::move(answer->view);
      into.json = std::move(answer->json);
    };
    asio::co_spawn(context, work(ports[i], pair[i]), [&into = pair[i]](std::exception_ptr thrown) {
      try {
        if (thrown) std::rethrow_exception(thrown);
      } catch (const std::exception& e) {
        into.error = e.what();
      }
    });
  }
  context.run();
  return pair;
}

/// The control port of the node that the one relay asked is not.
std::optional<Endpoint> other_port(const RelayStatus& relay) {
  if (!relay.view || !relay.view->pair_mode) return std::nullopt;
  const auto found = relay.view->nodes.find(other(relay.view->node));
  if (found == relay.view->nodes.end() || found->second.host.empty()) return std::nullopt;
  return Endpoint{found->second.host, found->second.control_port};
}

}  // namespace

std::vector<Endpoint> control_ports(const ToolSettings& settings) {
  std::vector<Endpoint> ports;
  for (const RelayAddress& relay : settings.relays) ports.push_back({relay.host, relay.control_port});
  if (ports.empty()) ports.push_back({"127.0.0.1", kDefaultControlPort});
  return ports;
}

PairStatus ask_pair(const ToolSettings& settings) {
  PairStatus pair = ask(control_ports(settings));
  if (pair.size() == 1) {
    if (const auto second = other_port(pair.front())) pair.push_back(std::move(ask({*second}).front()));
  }
  return pair;
}

const RelayStatus& require_node(const PairStatus& pair, Node node) {
  if (const RelayStatus* relay = find_node(pair, node)) return *relay;
  std::string text = "the relay of node " + std::string(to_string(node)) + " cannot be reached";
  for (const RelayStatus& relay : pair) {
    if (!relay.view) text += "; " + relay.control_port + ": " + printable(relay.error);
  }
  throw Failure{kUnavailable,
                text + "\n  do: start that relay, or name it with --relay host:port/control-port"};
}

Secret read_token(const ToolSettings& settings) {
  if (settings.token_file.empty()) {
    throw Failure{kConfiguration,
                  "commands need the relay's token, and no token file is set\n"
                  "  do: give --token-file FILE, or set control.token_file in the configuration"};
  }
  auto token = read_secret_file(settings.token_file, 1);
  if (!token) throw Failure{kNoInput, token.error()};
  return std::move(*token);
}

CommandAnswer send_command(const Context& context, const RelayStatus& relay, const std::string& name,
                           const nlohmann::json& body) {
  const ControlClient client(parse_control(relay.control_port), read_token(context.settings));
  Result<CommandAnswer> answer = bootstrap::run_now(client.command(name, body.dump()));
  if (!answer) {
    throw Failure{kUnavailable,
                  printable(answer.error()) + "\n  do: see what became of it with pgtandem status"};
  }
  if (answer->status == 401 || answer->status == 403) {
    throw Failure{kNoPermission, relay.control_port + " refuses: " + printable(answer->error) +
                                     "\n  do: " + printable(answer->what_to_do)};
  }
  return std::move(*answer);
}

int report_answer(Context& context, const RelayStatus& relay, const CommandAnswer& answer,
                  const std::string& done) {
  if (answer.ok) {
    context.out << (answer.text.empty() ? done : printable(answer.text)) << "\n";
    return kOk;
  }
  context.err << "pgtandem: " << relay.control_port << " refuses: " << printable(answer.error) << "\n";
  if (!answer.what_to_do.empty()) context.err << "  do: " << printable(answer.what_to_do) << "\n";
  return kRefused;
}

void confirm(Context& context, const std::string& question, const std::string& word,
             const std::string& instead) {
  if (!context.in_terminal) {
    throw Failure{kUsage, question + "\n  do: there is no terminal to ask on; a script adds " + instead};
  }
  context.err << question << "\nType " << word << " to go on: " << std::flush;
  std::string answer;
  std::getline(context.in, answer);
  if (answer != word) throw Failure{kRefused, "given up, nothing was changed"};
}

}  // namespace pgtandem::tool
