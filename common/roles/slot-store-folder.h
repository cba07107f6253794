/// The slot files in a folder, and the lock that keeps a second relay out of it. A sibling file for each kind
/// of system.
#pragma once
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/roles/slot-store.h"

namespace pgtandem {

/// `role-0` and `role-1` in `state_dir`, mode 0600; the folder is made (mode 0700) if it is missing. On
/// Windows access is a matter of the folder's access list. Takes an exclusive lock on `state_dir/lock` for
/// the life of the store. Fails with the folder's name and the reason, among them that another relay holds
/// the lock.
Result<std::unique_ptr<SlotStore>> open_slot_store(const std::string& state_dir);

}  // namespace pgtandem
