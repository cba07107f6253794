#include "server-relay/bootstrap/bootstrap-options.h"

#include <pwd.h>
#include <unistd.h>

#include <cxxopts.hpp>

namespace pgtandem::bootstrap {
namespace {

constexpr const char* kDescription =
    "Dumps the master, sends it compressed over ssh, loads it into the standby, and joins it.\n"
    "Run it on the master's host. Every client is disconnected; those that come back wait until the copy is "
    "done.\n"
    "Any failure leaves the master serving and the standby stale.";

cxxopts::Options make_options() {
  cxxopts::Options options("pgtandem bootstrap", kDescription);
  const auto text = [] { return cxxopts::value<std::string>(); };
  options.add_options()                                                                      //
      ("check", "only look for what would be in the way")                                    //
      ("abort-clients", "do not ask: disconnect every client")                               //
      ("replace", "do not ask: drop what exists on the target (databases, roles)")           //
      ("even-if-joined", "rebuild a standby that is joined")                                 //
      ("no-tablespaces", "put everything into the target's default tablespace")              //
      ("to-file", "keep the compressed dump too, in this new file", text())                  //
      ("from-file", "send this kept dump, if the master has not written since", text())      //
      ("progress", "auto, line or json", text()->default_value("auto"))                      //
      ("local", "the target is on this host: no ssh")                                        //
      ("source-postmaster", "the master's server, HOST:PORT or /FOLDER:PORT", text())        //
      ("target-postmaster", "the target's server, as seen from its host", text())            //
      ("service-user", "a superuser on both servers", text())                                //
      ("service-passfile", "its password here, in libpq's passfile format", text())          //
      ("target-passfile", "the same on the target's host (default: the same path)", text())  //
      ("pg-bin", "folder of pg_dump here (default: PATH)", text())                           //
      ("remote-pg-bin", "folder of psql there (default: PATH)", text())                      //
      ("target-host", "host to reach by ssh (default: the target node's)", text())           //
      ("ssh-user", "login name there (default: the current user's)", text())                 //
      ("ssh-port", "port of sshd there (default 22)", cxxopts::value<unsigned>())            //
      ("ssh-key", "private key file, not encrypted (default: the agent)", text())            //
      ("known-hosts", "file of known host keys (default: ~/.ssh/known_hosts)", text())       //
      ("remote-pgtandem", "the program there (default: pgtandem, by PATH)", text())          //
      ("h,help", "this text");
  return options;
}

std::string current_user() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry == nullptr ? "" : entry->pw_name;
}

BootstrapOptions from_settings(const ToolSettings& settings) {
  BootstrapOptions options;
  options.service_user = settings.service.user;
  options.passfile = settings.service.passfile;
  options.target_passfile = settings.service.passfile;
  options.pg_bin = settings.pg_bin;
  options.target_pg_bin = settings.remote_pg_bin;
  options.ssh.port = settings.ssh_port;
  options.ssh.user = settings.ssh_user.empty() ? current_user() : settings.ssh_user;
  options.ssh.key_file = settings.ssh_key;
  options.ssh.known_hosts = settings.known_hosts;
  return options;
}

/// Flags over settings; the first thing that is wrong.
class Flags {
 public:
  explicit Flags(const cxxopts::ParseResult& parsed) : parsed_(parsed) {}

  bool has(const char* name) const { return parsed_.count(name) != 0; }
  void text(const char* name, std::string& out) const {
    if (has(name)) out = parsed_[name].as<std::string>();
  }
  void endpoint(const char* name, std::optional<Endpoint>& out) {
    if (!has(name)) return;
    const Result<Endpoint> parsed = parse_endpoint(parsed_[name].as<std::string>(), 5432);
    if (parsed) {
      out = *parsed;
    } else {
      wrong(std::string("--") + name + ": " + parsed.error());
    }
  }
  void port(const char* name, std::uint16_t& out) {
    if (!has(name)) return;
    const unsigned value = parsed_[name].as<unsigned>();
    if (value == 0 || value > 65535) wrong(std::string("--") + name + ": a port is a number from 1 to 65535");
    out = std::uint16_t(value);
  }
  void wrong(std::string what) {
    if (error_.empty()) error_ = std::move(what);
  }
  const std::string& error() const { return error_; }

 private:
  const cxxopts::ParseResult& parsed_;
  std::string error_;
};

Reporter::Style style_of(Flags& flags) {
  std::string progress = "auto";
  flags.text("progress", progress);
  if (progress == "json") return Reporter::Style::json;
  if (progress == "line") return Reporter::Style::line;
  if (progress != "auto") flags.wrong("--progress: '" + progress + "' is none of auto, line, json");
  return ::isatty(STDOUT_FILENO) != 0 ? Reporter::Style::line : Reporter::Style::json;
}

void apply(Flags& flags, const ToolSettings& settings, BootstrapOptions& options) {
  options.preflight.abort_clients = flags.has("abort-clients");
  options.preflight.replace = flags.has("replace");
  options.preflight.even_if_joined = flags.has("even-if-joined");
  options.preflight.tablespaces = !flags.has("no-tablespaces");
  options.check_only = flags.has("check");
  options.local = flags.has("local");
  flags.text("to-file", options.to_file);
  flags.text("from-file", options.from_file);
  flags.endpoint("source-postmaster", options.source_postmaster);
  flags.endpoint("target-postmaster", options.target_postmaster);
  flags.text("service-user", options.service_user);
  flags.text("service-passfile", options.passfile);
  flags.text("service-passfile", options.target_passfile);
  flags.text("target-passfile", options.target_passfile);
  flags.text("pg-bin", options.pg_bin);
  if (options.local && options.target_pg_bin.empty()) options.target_pg_bin = options.pg_bin;
  flags.text("remote-pg-bin", options.target_pg_bin);
  flags.text("target-host", options.ssh.host);
  flags.text("ssh-user", options.ssh.user);
  flags.port("ssh-port", options.ssh.port);
  flags.text("ssh-key", options.ssh.key_file);
  flags.text("known-hosts", options.ssh.known_hosts);
  // On this host this very program is the right one, whatever the other host's is called.
  if (!options.local) options.pgtandem = settings.remote_pgtandem;
  flags.text("remote-pgtandem", options.pgtandem);
  options.ssh.pgtandem = options.pgtandem.empty() ? "pgtandem" : options.pgtandem;
  options.style = style_of(flags);
  if (!options.to_file.empty() && !options.from_file.empty())
    flags.wrong("--to-file and --from-file exclude each other");
  if (options.local && !options.ssh.host.empty()) flags.wrong("--local and --target-host exclude each other");
}

}  // namespace

Result<ParsedOptions> parse_bootstrap_options(const ToolSettings& settings,
                                              const std::vector<std::string>& args) {
  std::vector<const char*> argv = {"bootstrap"};
  for (const std::string& arg : args) argv.push_back(arg.c_str());
  cxxopts::Options description = make_options();
  try {
    const cxxopts::ParseResult result = description.parse(int(argv.size()), argv.data());
    ParsedOptions parsed;
    if (result.count("help") != 0) {
      parsed.answer = description.help();
      return parsed;
    }
    if (!result.unmatched().empty()) return Error{"'" + result.unmatched().front() + "' is not understood"};
    parsed.options = from_settings(settings);
    Flags flags(result);
    apply(flags, settings, parsed.options);
    if (!flags.error().empty()) return Error{flags.error()};
    return parsed;
  } catch (const cxxopts::exceptions::exception& e) {
    return Error{e.what()};
  }
}

}  // namespace pgtandem::bootstrap
