/// The program `pgtandem` without its main(): tests link it too.
#pragma once
#include <iosfwd>

#include "common/config/load.h"

namespace pgtandem::tool {

struct ToolStreams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool in_terminal = false;
  bool out_terminal = false;
};

/// Returns the exit status (exit-status.h); never throws.
int run_tool(int argc, const char* const* argv, const Environment& environment, ToolStreams streams);

}  // namespace pgtandem::tool
