#include "server-relay/relay/arbiters.h"

#include "server-relay/relay/witness-from-settings.h"

namespace pgtandem {
namespace {

/// A hook that could never run would leave both nodes waiting for it when they need it.
Result<std::shared_ptr<FencingHook>> make_hook(const RelaySettings& settings) {
  const std::string& program = settings.fencing.hook;
  if (!settings.pair_mode() || program.empty() || settings.witness.configured())
    return std::shared_ptr<FencingHook>();
  if (const Result<void> found = can_be_run(program); !found) return Error{"fencing.hook " + found.error()};
  HookOptions options;
  options.program = program;
  options.arguments = {std::string(to_string(other(settings.node))), settings.peer().host};
  options.limit = settings.fencing.hook_timeout;
  return std::shared_ptr<FencingHook>(std::make_shared<HookProcess>(std::move(options)));
}

}  // namespace

Result<Arbiters> make_arbiters(const RelaySettings& settings, const Secret& pair_key) {
  Result<std::shared_ptr<WitnessLink>> witness = make_witness(settings, pair_key);
  if (!witness) return Error{witness.error()};
  Result<std::shared_ptr<FencingHook>> hook = make_hook(settings);
  if (!hook) return Error{hook.error()};
  return Arbiters{std::move(*witness), std::move(*hook)};
}

}  // namespace pgtandem
