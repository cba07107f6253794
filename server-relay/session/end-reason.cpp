#include "server-relay/session/end-reason.h"

namespace pgtandem {

std::string_view to_string(EndReason reason) {
  switch (reason) {
    case EndReason::running:
      return "running";
    case EndReason::left:
      return "left";
    case EndReason::handed_on:
      return "handed-on";
    case EndReason::lost_frontend:
      return "lost-frontend";
    case EndReason::nonsense_frontend:
      return "nonsense-from-frontend";
    case EndReason::nonsense_master:
      return "nonsense-from-master";
    case EndReason::access_denied:
      return "access-denied";
    case EndReason::not_serving:
      return "not-serving";
    case EndReason::too_many:
      return "too-many-sessions";
    case EndReason::login_refused:
      return "login-refused";
    case EndReason::login_timeout:
      return "login-timeout";
    case EndReason::standby_refused:
      return "standby-refused";
    case EndReason::master_unreachable:
      return "master-unreachable";
    case EndReason::master_ended:
      return "master-ended";
    case EndReason::standby_ended:
      return "standby-ended";
    case EndReason::ended_by_relay:
      return "ended-by-relay";
    case EndReason::mismatch:
      return "mismatch";
  }
  return "unknown";
}

bool is_ordinary(EndReason reason) {
  return reason == EndReason::left || reason == EndReason::handed_on || reason == EndReason::running ||
         reason == EndReason::login_refused;
}

}  // namespace pgtandem
