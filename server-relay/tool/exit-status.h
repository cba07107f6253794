/// What `pgtandem` exits with: its own three for `status`, sysexits for everything else.
#pragma once

namespace pgtandem::tool {

enum ExitStatus : int {
  kOk = 0,
  kDegraded = 1,       ///< status: the pair serves, but not with both nodes
  kDown = 2,           ///< status: no node serves, or nothing could be reached
  kUsage = 64,         ///< EX_USAGE: the command line
  kNoInput = 66,       ///< EX_NOINPUT: a file cannot be read
  kUnavailable = 69,   ///< EX_UNAVAILABLE: a relay does not answer
  kSoftware = 70,      ///< EX_SOFTWARE: a fault of this program
  kInputOutput = 74,   ///< EX_IOERR: the output cannot be written
  kRefused = 75,       ///< EX_TEMPFAIL: the relay refuses as things are now, and says what to do
  kNoPermission = 77,  ///< EX_NOPERM: the token is missing or not accepted
  kConfiguration = 78  ///< EX_CONFIG: settings; check: it found errors
};

}  // namespace pgtandem::tool
