/// The calls of service-host.h, done. One thread. The handles are opened when they are needed first.
#pragma once
#include <memory>

#include "win32/service-host.h"

namespace pgtandem::win32 {

std::unique_ptr<ServiceHost> make_service_host();

}  // namespace pgtandem::win32
