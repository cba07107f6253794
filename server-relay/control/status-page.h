/// GET /: one page without outside resources that shows the live status, readable from two metres.
#pragma once
#include <string_view>

namespace pgtandem {

std::string_view status_page();
/// What the page may do: its own inline style and script, and reading from this port.
std::string_view status_page_policy();

}  // namespace pgtandem
