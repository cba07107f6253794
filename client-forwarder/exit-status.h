/// Exit statuses as in sysexits.h, which not every system has.
#pragma once

namespace pgtandem {

inline constexpr int kExitOk = 0;
inline constexpr int kExitUnavailable = 69;   ///< the relay: an address cannot be listened on
inline constexpr int kExitSoftware = 70;      ///< an error that nobody foresaw
inline constexpr int kExitOsError = 71;       ///< an address cannot be listened on
inline constexpr int kExitCannotCreate = 73;  ///< the state file or the log file cannot be written
inline constexpr int kExitConfig = 78;        ///< the settings are wrong

}  // namespace pgtandem
