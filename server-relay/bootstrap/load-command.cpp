#include <iostream>
#include <sysexits.h>
#include <unistd.h>

#include <cxxopts.hpp>

#include "server-relay/bootstrap/commands.h"
#include "server-relay/bootstrap/facts.h"
#include "server-relay/bootstrap/loader.h"
#include "server-relay/bootstrap/process-limits.h"
#include "server-relay/bootstrap/stop-signal.h"

namespace pgtandem {
namespace {

using namespace bootstrap;

/// A question names locales and folders: kilobytes.
constexpr std::size_t kMaxRequest = 1U << 20;

cxxopts::Options make_options() {
  cxxopts::Options options("pgtandem load", "The receiving side of a bootstrap. Reads standard input.");
  options.add_options()                                                                                    //
      ("facts", "say what this server and host are, as JSON; reads a question")                            //
      ("stream", "load a stream (also a file kept by bootstrap --to-file)")                                //
      ("postmaster", "the server to load into, HOST:PORT or /FOLDER:PORT", cxxopts::value<std::string>())  //
      ("service-user", "a superuser there", cxxopts::value<std::string>())                                 //
      ("service-passfile", "its password, in libpq's passfile format", cxxopts::value<std::string>())      //
      ("pg-bin", "folder of psql (default: PATH)", cxxopts::value<std::string>()->default_value(""))       //
      ("replace", "replace databases that have content; drop databases and roles not in the stream")       //
      ("no-tablespaces", "put everything into the default tablespace")                                     //
      ("attached", "the caller keeps standard input open until \"done\"")                                  //
      ("h,help", "this text");
  return options;
}

int facts_command(const LoaderOptions& options) {
  std::string question;
  std::string buffer(65536, '\0');
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got <= 0) break;
    question.append(buffer, 0, std::size_t(got));
    if (question.size() > kMaxRequest) {
      std::cerr << "pgtandem load: the question is too long\n";
      return EX_DATAERR;
    }
  }
  const Result<FactsRequest> request = parse_facts_request(question);
  if (!request) {
    std::cerr << "pgtandem load: " << request.error() << "\n";
    return EX_DATAERR;
  }
  Result<ServerFacts> facts = query_server_facts(options.login);
  if (!facts) {
    std::cerr << "pgtandem load: " << facts.error() << "\n";
    return EX_UNAVAILABLE;
  }
  add_host_facts(*facts, *request, "psql", options.pg_bin);
  std::cout << to_json(*facts) << std::endl;
  return std::cout ? EX_OK : EX_IOERR;
}

int usage(const std::string& why) {
  std::cerr << "pgtandem load: " << why << "\nTry: pgtandem load --help\n";
  return EX_USAGE;
}

}  // namespace

int load_command(const std::vector<std::string>& args) {
  std::vector<const char*> argv = {"load"};
  for (const std::string& arg : args) argv.push_back(arg.c_str());
  cxxopts::Options description = make_options();
  try {
    const cxxopts::ParseResult parsed = description.parse(int(argv.size()), argv.data());
    if (parsed.count("help") != 0) {
      std::cout << description.help() << "\n";
      return EX_OK;
    }
    if (!parsed.unmatched().empty()) return usage("'" + parsed.unmatched().front() + "' is not understood");
    if (parsed.count("postmaster") == 0 || parsed.count("service-user") == 0) {
      return usage("--postmaster and --service-user are needed");
    }
    const Result<Endpoint> server = parse_endpoint(parsed["postmaster"].as<std::string>(), 5432);
    if (!server) return usage("--postmaster: " + server.error());
    LoaderOptions options;
    options.login.server = *server;
    options.login.user = parsed["service-user"].as<std::string>();
    if (parsed.count("service-passfile") != 0)
      options.login.passfile = parsed["service-passfile"].as<std::string>();
    options.pg_bin = parsed["pg-bin"].as<std::string>();
    options.replace = parsed.count("replace") != 0;
    options.tablespaces = parsed.count("no-tablespaces") == 0;
    options.attached = parsed.count("attached") != 0;
    const bool facts = parsed.count("facts") != 0;
    if (facts == (parsed.count("stream") != 0)) return usage("give one of --facts and --stream");
    install_stop_signals();
    forbid_core_dumps();
    return facts ? facts_command(options) : Loader(options, STDIN_FILENO, STDOUT_FILENO).run();
  } catch (const cxxopts::exceptions::exception& e) {
    return usage(e.what());
  }
}

}  // namespace pgtandem
