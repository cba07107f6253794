/// GET /metrics: the relay's counters as Prometheus reads them (text format 0.0.4, by prometheus-cpp).
#pragma once
#include <string>

#include "server-relay/control/relay-counters.h"

namespace pgtandem {

/// Every metric with HELP and TYPE; names begin with `pgtandem_`, counters end with `_total`, units are
/// seconds and bytes. Pure.
std::string metrics_text(const RelayCounters& counters);

}  // namespace pgtandem
