#include <ostream>

#include "server-relay/tool/check-surroundings.h"
#include "server-relay/tool/pair-client.h"
#include "server-relay/tool/relay-part.h"

namespace pgtandem::tool {
namespace {

/// Without a file there is nothing of a relay to look at.
std::optional<RelaySettings> load_relay(const Context& context, Node node, Findings& findings) {
  if (context.config_file.empty()) return std::nullopt;
  auto loaded = load_relay_part(context.config_file, node);
  if (!loaded) {
    findings.push_back({Finding::Severity::error, "configuration " + context.config_file, loaded.error(),
                        "correct the file"});
    return std::nullopt;
  }
  findings.push_back(
      {Finding::Severity::good, "configuration " + context.config_file, "can be read by a relay", {}});
  for (const std::string& warning : loaded->warnings) {
    findings.push_back({Finding::Severity::warning, "configuration " + context.config_file, warning, {}});
  }
  return std::move(loaded->settings);
}

void append(Findings& all, Findings more) {
  for (Finding& finding : more) all.push_back(std::move(finding));
}

}  // namespace

int check_command(Context& context) {
  cxxopts::Options options = make_options(
      "check",
      "Looks at the configuration and its surroundings and tells everything it finds at once. Changes "
      "nothing.\n"
      "Run it on both hosts: files, and the postmaster with its pg_hba.conf, are looked at where they are.\n"
      "Exit status: 0 no errors (warnings allowed), 78 errors.");
  options.add_options()("node", "This host's node, where the file does not say it.",
                        cxxopts::value<std::string>(), "a|b")("json", "For programs.");
  const auto parsed = parse(context, options);
  if (!parsed) return kOk;
  Findings findings;
  const auto relay = load_relay(context, node_option(*parsed, "node"), findings);
  append(findings, check_files(context.settings, relay));
  const PairStatus pair = ask_pair(context.settings);
  append(findings, judge_pair(pair));
  append(findings, check_tokens(context, pair));
  append(findings, check_relay_ports(context.settings));
  append(findings, check_arbiters(relay));
  append(findings, check_postmasters(context.settings, relay));
  if (!context.settings.a.host.empty()) append(findings, check_bootstrap(context.settings));
  context.out << (parsed->count("json") > 0 ? findings_json(findings)
                                            : findings_text(findings, context.style));
  return has_error(findings) ? kConfiguration : kOk;
}

}  // namespace pgtandem::tool
