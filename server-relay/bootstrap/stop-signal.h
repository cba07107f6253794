/// SIGINT, SIGTERM and SIGHUP to the tool: remembered, and readable as a descriptor, so that every wait can
/// end early and the bootstrap is given up in order.
#pragma once

namespace pgtandem::bootstrap {

/// Installs the handlers (once a process) and ignores SIGPIPE. Children get the defaults back
/// (child-process.cpp).
void install_stop_signals();
bool stop_requested();
/// Becomes readable, and stays so, with the first signal. -1 before install_stop_signals().
int stop_fd();

}  // namespace pgtandem::bootstrap
