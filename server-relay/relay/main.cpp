#include "server-relay/relay/program.h"

int main(int argc, char** argv) {
  return pgtandem::run_relay_program(argc, argv);
}
