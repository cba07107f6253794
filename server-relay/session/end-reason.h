/// Why a session ended: one value for each way.
#pragma once
#include <string_view>

namespace pgtandem {

enum class EndReason {
  running,
  left,               ///< Terminate, or the end of the stream between units
  handed_on,          ///< to the other relay, before its login
  lost_frontend,      ///< the frontend's connection failed, or ended inside a unit
  nonsense_frontend,  ///< the frontend broke the protocol
  nonsense_master,    ///< the master's server broke the protocol
  access_denied,
  not_serving,    ///< 57P03
  too_many,       ///< 53300
  login_refused,  ///< by the master, in its own words
  login_timeout,
  standby_refused,  ///< 08004
  master_unreachable,
  master_ended,    ///< the backend said FATAL, or went away
  standby_ended,   ///< the standby's backend ended alone
  ended_by_relay,  ///< 57P01: an operator's command, a change of role, a stop
  mismatch,        ///< on_mismatch = "refuse"
};

std::string_view to_string(EndReason reason);
/// Ended as users end sessions every day: not worth a warning.
bool is_ordinary(EndReason reason);

}  // namespace pgtandem
