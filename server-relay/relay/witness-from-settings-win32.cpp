#include "server-relay/relay/witness-from-settings.h"

namespace pgtandem {

Result<std::shared_ptr<WitnessLink>> make_witness(const RelaySettings& settings, const Secret&) {
  if (!settings.pair_mode() || !settings.witness.configured()) return std::shared_ptr<WitnessLink>();
  return Error{
      "[witness] is left out of the relay for Windows: leave it out of the settings, name a fencing hook "
      "([fencing] hook) or take over by hand, or run the pair's relays on Linux"};
}

}  // namespace pgtandem
