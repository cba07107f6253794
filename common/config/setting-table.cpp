#include "common/config/setting-table.h"

#include <array>
#include <cctype>

#include "common/config/value.h"

namespace pgtandem::config {
namespace {

using enum SettingType;

constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kMinute = 60 * kSecond;
constexpr std::uint64_t kHour = 60 * kMinute;
constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;

constexpr unsigned kAll = kRelay | kForwarder | kTool;

// clang-format off
constexpr std::array kSettings{
    Setting{.name = "node", .type = node, .programs = kRelay,
            .default_note = "none; a pair needs it",
            .meaning = "Which of the two nodes this host is. The only key that differs between the two hosts."},
    Setting{.name = "master", .type = endpoint, .programs = kRelay,
            .default_note = "none; its presence chooses the flags-only mode",
            .meaning = "Flags-only mode: the postmaster that is the master. Excludes `node`, `[pair]` and `[nodes]`."},
    Setting{.name = "standby", .type = endpoint, .programs = kRelay,
            .default_note = "none; without it nothing is mirrored",
            .meaning = "Flags-only mode: the postmaster that is the standby."},
    Setting{.name = "protocol", .type = choice, .programs = kRelay, .fallback = "postgres",
            .choices = "postgres|raw",
            .meaning = "`postgres` compares replies and logs in to both servers; `raw` duplicates any TCP protocol "
                       "and drops what the standby answers."},
    Setting{.name = "discipline", .type = choice, .programs = kRelay, .fallback = "serial",
            .choices = "serial|classic",
            .default_note = "`serial`; `classic` with `protocol = \"raw\"`, and without `service.user`",
            .meaning = "How units of different sessions are ordered. `classic`: each session on its own; equal only if "
                       "what they write commutes. `serial`: one write at a time in a database, on both servers at "
                       "once, commits in groups between them; writes of single rows pass side by side; needs a "
                       "service user."},
    Setting{.name = "discipline_for", .type = disciplines, .programs = kRelay, .default_note = "none",
            .meaning = "Exceptions from `discipline`, as `database/role=discipline`; `*` stands for any database or "
                       "role, the first that fits counts. Sessions of different disciplines do not wait for each "
                       "other: what they write must not meet."},
    Setting{.name = "rewrite_time", .type = choice, .programs = kRelay, .fallback = "on", .choices = "on|off",
            .meaning = "Discipline `serial`: now(), CURRENT_DATE and their like in writes, and in defaults of columns "
                       "that an INSERT leaves out, become the master's transaction time on both servers."},
    Setting{.name = "rewrite_values", .type = choice, .programs = kRelay, .fallback = "on", .choices = "on|off",
            .meaning = "Discipline `serial`: clock_timestamp(), random() and generated uuids in VALUES, and in defaults "
                       "of columns that an INSERT leaves out, are computed once, by the master, for both servers."},
    Setting{.name = "slow_write", .type = duration, .programs = kRelay, .fallback = "10s",
            .min = 100, .max = 24 * kHour,
            .meaning = "Discipline `serial`: a write that holds up the other writers of its database for longer is "
                       "logged, with its statement.",
            .at_limits = "`slow_write_policy` decides what happens.",
            .reloads = true},
    Setting{.name = "slow_write_policy", .type = choice, .programs = kRelay, .fallback = "wait",
            .choices = "wait|overlap",
            .meaning = "What happens behind a slow write: the others `wait`, or pass beside it (`overlap`); then the "
                       "tables that it writes may differ on the two servers, and the log says which statement it was.",
            .reloads = true},
    Setting{.name = "ack", .type = choice, .programs = kRelay, .fallback = "both",
            .choices = "both|master", .default_note = "`both`; `master` with `protocol = \"raw\"`",
            .meaning = "What ends a transaction is told to the client when `both` servers have matched, or when the "
                       "`master` has answered. `raw` knows no replies and so only `master`."},
    Setting{.name = "on_mismatch", .type = choice, .programs = kRelay, .fallback = "stale",
            .choices = "stale|log|refuse",
            .meaning = "When the outcome of a write differs: mark the standby `stale`, only `log` it, or `refuse` the "
                       "client with an error and mark the standby stale."},
    Setting{.name = "on_standby_refusal", .type = choice, .programs = kRelay, .fallback = "refuse",
            .choices = "refuse|degrade",
            .meaning = "When the master lets a client log in and the standby does not: `refuse` the client, or "
                       "`degrade` to the master alone."},
    Setting{.name = "compare_rows", .type = choice, .programs = kRelay, .fallback = "unordered",
            .choices = "unordered|ordered",
            .meaning = "Whether rows in another order count as a difference (`ordered`) or not (`unordered`)."},
    Setting{.name = "compare_window", .type = size, .programs = kRelay, .fallback = "262144",
            .min = 4 * kKiB, .max = 1024 * kMiB,
            .meaning = "How far the master's replies may run ahead of the standby's, for each session.",
            .at_limits = "The session's master leg is read on only when the standby has caught up; the clock of "
                         "`standby_timeout` runs."},
    Setting{.name = "client_stall", .type = duration, .programs = kRelay, .fallback = "1s",
            .min = 100, .max = kHour,
            .meaning = "Discipline `serial`: how long a session that holds up all writers of its database may wait for "
                       "its own client: for input of a COPY, for a Sync, for somebody to read its reply.",
            .at_limits = "The session ends with 57014; both servers roll its transaction back.",
            .reloads = true},
    Setting{.name = "standby_timeout", .type = duration, .programs = kRelay, .fallback = "2s",
            .min = 10, .max = kHour,
            .meaning = "How long the master's clients wait for a standby that does not answer.",
            .at_limits = "The standby is marked stale and the sessions go on without it; a standby that is alive and "
                         "busy gets half of the master's own time for the statement, if that is longer."},
    Setting{.name = "stop_timeout", .type = duration, .programs = kRelay, .fallback = "5s",
            .min = 0, .max = kHour,
            .meaning = "How long a clean stop waits for open transactions.",
            .at_limits = "What is still open is ended, and the next start is not a clean one."},
    Setting{.name = "login_timeout", .type = duration, .programs = kRelay, .fallback = "60s",
            .min = 100, .max = kHour,
            .meaning = "How long a client may take from connecting to the end of its login.",
            .at_limits = "The connection is closed.",
            .reloads = true},
    Setting{.name = "takeover_timeout", .type = duration, .programs = kRelay, .fallback = "10s",
            .min = 100, .max = kHour,
            .meaning = "How long a takeover waits until the backends of old legs have ended.",
            .at_limits = "The takeover fails and says which backends are left."},
    Setting{.name = "state_dir", .type = path, .programs = kRelay, .fallback = "/var/lib/pgtandem",
            .default_note = "`/var/lib/pgtandem`; flags-only mode: none, it must be given",
            .meaning = "The folder of the relay's durable state: role slots, divergence log. One folder a relay."},
    Setting{.name = "threads", .type = count, .programs = kRelay, .fallback = "0", .min = 0, .max = 256,
            .meaning = "Threads that move sessions' bytes. 0: one a core, at most 4."},
    Setting{.name = "max_sessions", .type = count, .programs = kRelay, .fallback = "10000",
            .min = 1, .max = 100000,
            .meaning = "How many client sessions may be open at once.",
            .at_limits = "The next client gets FATAL 53300 (too many connections).",
            .reloads = true},

    Setting{.name = "pair.uuid", .type = uuid, .programs = kRelay,
            .default_note = "none; a pair needs it",
            .meaning = "The identifier of the pair, the same on both nodes; a relay refuses one of another pair."},
    Setting{.name = "pair.key_file", .type = path, .programs = kRelay,
            .default_note = "none; a pair needs it",
            .meaning = "File with the key that the two relays share: at least 16 bytes, readable by its owner alone "
                       "(mode 0600)."},

    Setting{.name = "listen.frontends", .type = endpoints, .programs = kRelay, .flag = "listen",
            .default_note = "pair: `relay_port` of this node on every address; flags-only mode: none",
            .meaning = "Where clients connect. `\":5432\"` means every address; port 0 is not allowed."},
    Setting{.name = "listen.unix_socket_dir", .type = path, .programs = kRelay, .flag = "unix-socket-dir", .default_note = "none: no Unix socket",
            .meaning = "Folder in which the relay also listens on the socket `.s.PGSQL.<port>`, where local programs "
                       "look first."},
    Setting{.name = "listen.legs", .type = endpoints, .programs = kRelay, .flag = "legs",
            .default_note = "pair: `leg_port` of this node on every address",
            .meaning = "Where the other node's relay opens its legs to this node's postmaster. Pair only."},
    Setting{.name = "listen.control", .type = endpoints, .programs = kRelay, .flag = "control",
            .default_note = "pair: `control_port` of this node on every address; flags-only mode: `127.0.0.1:8432`",
            .meaning = "Where the control port listens: status, metrics, commands, and the other relay."},

#define PGTANDEM_NODE_SETTINGS(letter)                                                                              \
    Setting{.name = "nodes." letter ".host", .type = host, .programs = kAll,           \
            .default_note = "none; a pair needs it",                                                                \
            .meaning = "Name or address under which the other node, forwarders and tools reach node " letter "."},                                                                                       \
    Setting{.name = "nodes." letter ".relay_port", .type = port, .programs = kAll, .fallback = "5432",  \
            .min = 1, .max = 65535,                                                                                 \
            .meaning = "Port of node " letter " on which its relay serves clients."},              \
    Setting{.name = "nodes." letter ".leg_port", .type = port, .programs = kRelay | kTool,              \
            .fallback = "5442", .min = 1, .max = 65535,                                                             \
            .meaning = "Port of node " letter " for the legs of the other relay."},                \
    Setting{.name = "nodes." letter ".control_port", .type = port, .programs = kAll,                    \
            .fallback = "8432", .min = 1, .max = 65535,                                                             \
            .meaning = "Control port of node " letter "."},                                        \
    Setting{.name = "nodes." letter ".postmaster", .type = endpoint, .programs = kRelay | kTool,        \
            .fallback = "127.0.0.1:5433",                                                                           \
            .meaning = "The postmaster of node " letter ", as seen from that node itself; `/folder:port` for a "    \
                       "Unix socket."}
    PGTANDEM_NODE_SETTINGS("a"),
    PGTANDEM_NODE_SETTINGS("b"),
#undef PGTANDEM_NODE_SETTINGS

    Setting{.name = "service.user", .type = text, .programs = kRelay | kTool,
            .default_note = "none: no service connection",
            .meaning = "A superuser on both servers, for the relay's service connection: stored keys, ending "
                       "backends, the catalogue."},
    Setting{.name = "service.passfile", .type = path, .programs = kRelay | kTool,
            .default_note = "none: no password",
            .meaning = "File with that user's password, in the form of libpq's passfile."},
    Setting{.name = "service.database", .type = text, .programs = kRelay | kTool,
            .fallback = "postgres", .meaning = "The database to which the service connection connects."},

    Setting{.name = "control.token_file", .type = path, .programs = kRelay | kTool, .flag = "token-file", .default_note = "none: every command is refused",
            .meaning = "File with the token that commands on the control port need; readable by its owner alone "
                       "(mode 0600).",
            .reloads = true},

    Setting{.name = "witness.endpoints", .type = urls, .programs = kRelay,
            .default_note = "none: no witness; a takeover is an operator's command",
            .meaning = "The etcd cluster that says who is master: its members, tried one after the other. With it the "
                       "standby takes over by itself when the master has not been heard for `witness.term`. Pair only; "
                       "the same on both nodes."},
    Setting{.name = "witness.ca_file", .type = path, .programs = kRelay,
            .default_note = "none: the authorities that the system trusts",
            .meaning = "PEM file with the authorities that sign the certificates of the witness (`https` only)."},
    Setting{.name = "witness.cert_file", .type = path, .programs = kRelay, .default_note = "none",
            .meaning = "PEM file with the certificate that this relay shows to the witness; needs "
                       "`witness.key_file`."},
    Setting{.name = "witness.key_file", .type = path, .programs = kRelay, .default_note = "none",
            .meaning = "PEM file with the private key of `witness.cert_file`; readable by its owner alone (mode "
                       "0600)."},
    Setting{.name = "witness.user", .type = text, .programs = kRelay, .default_note = "none: no login",
            .meaning = "The etcd user by whom the relay logs in; it needs to read and write the pair's key alone."},
    Setting{.name = "witness.password_file", .type = path, .programs = kRelay,
            .default_note = "none; `witness.user` needs it",
            .meaning = "File with that user's password; readable by its owner alone (mode 0600)."},
    Setting{.name = "witness.prefix", .type = text, .programs = kRelay, .fallback = "/pgtandem",
            .meaning = "The pair's one key in etcd is this text, a slash and `pair.uuid`. Many pairs share one witness. "
                       "The same on both nodes."},
    Setting{.name = "witness.term", .type = duration, .programs = kRelay, .fallback = "3s",
            .min = 2 * kSecond, .max = kMinute,
            .meaning = "For how long a successful write at the witness, or the standby's promise, makes a master; it is "
                       "renewed every 500 ms. The same on both nodes.",
            .at_limits = "A master that could neither write nor hear its standby serves nobody any more; a standby that "
                         "has seen no new write for this time and a tenth takes over."},
    Setting{.name = "witness.guard", .type = duration, .programs = kRelay, .fallback = "300ms",
            .min = 100, .max = 10 * kSecond,
            .meaning = "By how much the master's right ends before the term, for what differs between two hosts. At "
                       "most a quarter of the term."},

    Setting{.name = "fencing.hook", .type = path, .programs = kRelay, .default_note = "none",
            .meaning = "An executable that powers the other host off: called with the other node's letter and its host, "
                       "exit status 0 says that it is off for certain. With it and without a witness, the two nodes "
                       "wait for it when they lose each other. Pair only."},
    Setting{.name = "fencing.hook_timeout", .type = duration, .programs = kRelay, .fallback = "5s",
            .min = 100, .max = 10 * kMinute,
            .meaning = "How long the hook may take.",
            .at_limits = "It is killed with everything that it started, and has failed."},
    Setting{.name = "fencing.hook_wait", .type = duration, .programs = kRelay, .fallback = "10s",
            .min = kSecond, .max = kHour,
            .meaning = "How long a standby that does not hear its master waits before it calls its hook, so that the "
                       "master's comes first: at least `fencing.hook_timeout`, twice `standby_timeout` and a second. "
                       "Up to 2 s chosen by chance are added."},

    Setting{.name = "log.level", .type = choice, .programs = kRelay | kForwarder, .fallback = "info",
            .choices = "debug|info|warning|error", .meaning = "The least level that is logged.",
            .reloads = true},
    Setting{.name = "log.file", .type = path, .programs = kRelay | kForwarder,
            .default_note = "none: standard error", .meaning = "The log file.",
            .reloads = true},
    Setting{.name = "log.format", .type = choice, .programs = kRelay | kForwarder, .fallback = "text",
            .choices = "text|json", .meaning = "`text`: one line of key=value an event; `json`: one object a line.",
            .reloads = true},
    Setting{.name = "log.rotate_size", .type = size, .programs = kRelay | kForwarder,
            .fallback = "16MiB", .min = 64 * kKiB, .max = 4096 * kMiB,
            .meaning = "Size at which the log file is rotated.",
            .at_limits = "The file is renamed and a new one begun; three old ones are kept.",
            .reloads = true},

    Setting{.name = "forwarder.listen", .type = endpoints, .programs = kForwarder, .flag = "listen",
            .fallback = "127.0.0.1:5432", .meaning = "Where the forwarder's own clients connect."},
    Setting{.name = "forwarder.relays", .type = relays, .programs = kForwarder | kTool, .flag = "relay", .default_note = "`[nodes.a]` and `[nodes.b]`",
            .meaning = "One or two relays as `host:relay_port/control_port`; ports left out are 5432 and 8432."},
    Setting{.name = "forwarder.connect_wait", .type = duration, .programs = kForwarder, .flag = "connect-wait",
            .fallback = "30s", .min = 0, .max = kHour,
            .meaning = "How long a new connection waits while no master is known or can be reached.",
            .at_limits = "A PostgreSQL client gets FATAL 57P03; any other is closed.",
            .reloads = true},
    Setting{.name = "forwarder.state_file", .type = path, .programs = kForwarder, .flag = "state-file", .default_note = "none: nothing is remembered over a restart",
            .meaning = "File in which the forwarder remembers the highest epoch, so that it never follows a lower one."},

    Setting{.name = "bootstrap.ssh_user", .type = text, .programs = kTool,
            .default_note = "the current user", .meaning = "User on the standby's host."},
    Setting{.name = "bootstrap.ssh_port", .type = port, .programs = kTool, .fallback = "22", .min = 1,
            .max = 65535, .meaning = "Port of the ssh server on the standby's host."},
    Setting{.name = "bootstrap.ssh_key", .type = path, .programs = kTool,
            .default_note = "none: the ssh agent", .meaning = "Private key file."},
    Setting{.name = "bootstrap.known_hosts", .type = path, .programs = kTool,
            .default_note = "`~/.ssh/known_hosts`",
            .meaning = "File of known host keys; a host that is not in it is refused."},
    Setting{.name = "bootstrap.remote_pgtandem", .type = path, .programs = kTool,
            .fallback = "pgtandem", .meaning = "The `pgtandem` program on the standby's host."},
    Setting{.name = "bootstrap.pg_bin", .type = path, .programs = kTool,
            .default_note = "none: PATH", .meaning = "Folder of pg_dump and psql here."},
    Setting{.name = "bootstrap.remote_pg_bin", .type = path, .programs = kTool,
            .default_note = "none: PATH there", .meaning = "Folder of psql on the standby's host."},

    Setting{.name = "access", .type = access, .programs = kRelay,
            .default_note = "none: clients of this host (loopback and the Unix socket) alone",
            .meaning = "Which client addresses may connect, as which user, to which database; the first rule that "
                       "fits decides, and what fits none is refused. The servers see the relay's address, not the "
                       "client's, so their pg_hba.conf cannot decide it.",
            .reloads = true},
};
// clang-format on

}  // namespace

std::span<const Setting> settings() {
  return kSettings;
}

const Setting* find_setting(std::string_view name) {
  for (const Setting& setting : kSettings) {
    if (setting.name == name) return &setting;
  }
  return nullptr;
}

std::string flag_name(const Setting& setting) {
  std::string name(setting.name);
  for (char& c : name) {
    if (c == '.' || c == '_') c = '-';
  }
  return name;
}

std::string variable_name(const Setting& setting) {
  std::string name = "PGTANDEM_";
  for (const char c : setting.name) {
    name += c == '.' ? '_' : char(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string_view type_text(SettingType type) {
  switch (type) {
    case text:
      return "text";
    case path:
      return "path";
    case host:
      return "host name or address";
    case SettingType::node:
      return "node";
    case uuid:
      return "UUID";
    case endpoint:
      return "host:port";
    case endpoints:
      return "list of host:port";
    case urls:
      return "list of http://host:port or https://host:port";
    case SettingType::relays:
      return "list of host:relay_port/control_port";
    case port:
      return "port";
    case count:
      return "number";
    case size:
      return "size";
    case duration:
      return "duration";
    case choice:
      return "word";
    case disciplines:
      return "list of database/role=discipline";
    case SettingType::access:
      return "list of rules";
  }
  return "";
}

std::string_view unit_text(SettingType type) {
  if (type == duration) return "text with ms, s, m or h";
  if (type == size) return "bytes, or text with KiB, MiB or GiB";
  return "";
}

std::string limits_text(const Setting& setting) {
  const auto range = [&](auto&& write) { return write(setting.min) + " to " + write(setting.max); };
  switch (setting.type) {
    case port:
    case count:
      return range([](std::uint64_t v) { return std::to_string(v); });
    case size:
      return range([](std::uint64_t v) { return write_size(v); });
    case duration:
      return range([](std::uint64_t v) { return write_duration(Milliseconds(v)); });
    case SettingType::node:
      return "a, b";
    case choice: {
      std::string words;
      for (const char c : setting.choices) words += c == '|' ? ", " : std::string(1, c);
      return words;
    }
    default:
      return "";
  }
}

std::string default_text(const Setting& setting) {
  if (!setting.default_note.empty()) return std::string(setting.default_note);
  return "`" + std::string(setting.fallback) + "`";
}

std::string_view section_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : name.substr(0, dot);
}

bool is_list(SettingType type) {
  return type == endpoints || type == urls || type == SettingType::relays || type == SettingType::access ||
         type == disciplines;
}

}  // namespace pgtandem::config
