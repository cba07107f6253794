/// How ports are listened on.
#pragma once

namespace pgtandem {

/// Elsewhere the option takes a port over whose old connections are still dying. On Windows it would take the
/// port from a program that listens on it, and old connections are in nobody's way.
#ifdef _WIN32
inline constexpr bool kReuseAddress = false;
#else
inline constexpr bool kReuseAddress = true;
#endif

}  // namespace pgtandem
