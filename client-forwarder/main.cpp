/// pgtandem-forwarder: listens where programs expect their database and forwards every connection to the
/// master.
#include "client-forwarder/program.h"

int main(int argc, char** argv) {
  return pgtandem::run_forwarder_program(argc, argv);
}
