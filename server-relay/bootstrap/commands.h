/// The two commands of `pgtandem` that rebuild a standby: `bootstrap` on the sending side, `load` on the
/// receiving one.
#pragma once
#include <string>
#include <vector>

#include "common/config/settings.h"

namespace pgtandem {

/// `pgtandem bootstrap ...`: dump the master, compress, send, load into the standby, join. `args` are the
/// words after `bootstrap`. Installs handlers for SIGINT, SIGTERM and SIGHUP and ignores SIGPIPE. Returns an
/// exit status of sysexits: 0 done (or `--check` found nothing in the way), 64 usage, 69 something is in the
/// way and nothing was changed, 75 failed on the way and given up.
int bootstrap_command(const ToolSettings& settings, const std::vector<std::string>& args);

/// `pgtandem load --facts | --stream ...`: started on the target's host by the bootstrap, over ssh. Reads
/// frames (frames.h) from standard input, writes JSON lines (loader-lines.h) to standard output. Also
/// restores a file that `bootstrap --to-file` kept: `pgtandem load --stream ... < FILE`. 0 done, 64 usage, 69
/// failed, 76 damaged stream.
int load_command(const std::vector<std::string>& args);

}  // namespace pgtandem
