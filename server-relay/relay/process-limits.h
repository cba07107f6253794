/// What the process asks of its system at the start.
#pragma once

namespace pgtandem {

/// A write to a connection that is gone is an error there, not the process's end.
void ignore_broken_pipes();
/// As many connections as the system allows this process.
void raise_descriptor_limit();

}  // namespace pgtandem
