/// What a request to the control port is for: the routes, the token and the ready answers. Pure; the server
/// (control-server.cpp) does what this decides.
#pragma once
#include <string>
#include <string_view>

#include "server-relay/control/control-server.h"

namespace pgtandem {

enum class Route {
  page,
  status,
  watch,
  metrics,
  master,
  standby,
  command,
  check_token,  ///< POST /v1/token: tells whether the token is accepted and changes nothing (`pgtandem
                ///< check`)
  peer,
  record,
  not_found,
  wrong_method,
};

/// `method` as HTTP writes it, `path` without the query. HEAD is taken as GET where the answer has an end.
Route find_route(std::string_view method, std::string_view path);
/// The methods that `path` takes, as the Allow header of a 405 names them.
std::string_view allowed_methods(std::string_view path);

enum class TokenCheck { accepted, missing, wrong, none_configured };
/// For the log.
std::string_view to_string(TokenCheck check);

/// `authorization` is the header's value; the comparison takes the same time wherever the first difference
/// is.
TokenCheck check_token(std::string_view authorization, std::string_view configured);

/// 200 with `body`.
ControlReply ok_reply(std::string body, std::string content_type = "application/json");
/// `{"ok":false,"error":...,"do":...}` with the status.
ControlReply error_reply(unsigned status, std::string_view error, std::string_view what_to_do);
/// The refusal of a command whose token is not accepted: 401, or 403 where none is configured.
ControlReply refuse_token(TokenCheck check);
ControlReply not_found_reply(std::string_view path);
ControlReply wrong_method_reply(std::string_view method, std::string_view path);
/// GET /master and /standby, for load balancers: 200 where the node has that role, else 503.
ControlReply role_reply(RoleAnswer asked, RoleAnswer actual);
/// The reason phrase of a status code.
std::string_view reason_phrase(unsigned status);

}  // namespace pgtandem
