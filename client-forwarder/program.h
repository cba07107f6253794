/// The forwarder's process: reads the settings, goes to the background if told so, serves until a signal.
#pragma once

namespace pgtandem {

/// The whole of main(): returns an exit status (exit-status.h), or ends the process with it.
int run_forwarder_program(int argc, const char* const* argv);

}  // namespace pgtandem
