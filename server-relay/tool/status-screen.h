/// `pgtandem status`: one screen for both relays, or the same as JSON. Pure.
#pragma once
#include <string>

#include "server-relay/tool/pair-status.h"
#include "server-relay/tool/text.h"

namespace pgtandem::tool {

/// Units a second as `watch` measures them; status has the average since the start.
struct Rate {
  double units_a_second = 0;
  bool measured = false;
};

std::string status_screen(const PairStatus& pair, const Style& style, const Rate& rate = {});
/// {"health","exit_status","sentence","active","relays":[{"control","node","error","status"}],"next":[...]}
std::string status_json(const PairStatus& pair);

}  // namespace pgtandem::tool
