/// Windows has services for the background; the flags for it are not offered there.
#include "common/process/launch.h"
#include "common/process/service-reports.h"

namespace pgtandem {

Result<Launch> Launch::begin(bool daemon) {
  if (daemon) return Error{"there are no daemons on Windows: install the program as a service"};
  return Launch();
}
Launch::Launch(Launch&&) noexcept {}
Launch& Launch::operator=(Launch&&) noexcept {
  return *this;
}
Launch::~Launch() = default;
Result<void> Launch::take_pid_file(const std::string& path) {
  return Error{"no pid file is written on Windows: " + path};
}
void Launch::ready() {}
int Launch::failed(int status) {
  return status;
}
void Launch::ended(int status) {
  service_reports().ended(status);
}
void Launch::tell(int) {}

Result<PidFile> PidFile::take(const std::string& path) {
  return Error{"no pid file is written on Windows: " + path};
}
PidFile::PidFile(PidFile&&) noexcept {}
PidFile& PidFile::operator=(PidFile&&) noexcept {
  return *this;
}
PidFile::~PidFile() = default;
void PidFile::remove() {}

}  // namespace pgtandem
