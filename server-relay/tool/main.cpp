#include <csignal>
#include <iostream>
#include <unistd.h>

#include "server-relay/tool/tool.h"

int main(int argc, char** argv) {
  // A reader that goes away (`pgtandem watch | head`) shows as a failed write instead of ending the program.
  std::signal(SIGPIPE, SIG_IGN);
  return pgtandem::tool::run_tool(
      argc, argv, pgtandem::process_environment(),
      {std::cin, std::cout, std::cerr, ::isatty(STDIN_FILENO) == 1, ::isatty(STDOUT_FILENO) == 1});
}
