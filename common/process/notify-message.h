/// What a service manager is told by the sd_notify protocol (sd_notify(3)), and what it asks for. Pure: texts
/// and variables; service-notifier.h sends them.
///
///   message = line *(LF line)
///   line    = "READY=1" | "RELOADING=1" | "MONOTONIC_USEC=" number | "STOPPING=1" | "WATCHDOG=1"
///           | "EXTEND_TIMEOUT_USEC=" number | "STATUS=" text
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgtandem::notify {

/// Everything is open: the start is over, or a reload.
std::string ready(std::string_view status);
/// `monotonic`: CLOCK_MONOTONIC at the beginning of the reload. ready() ends it.
std::string reloading(std::chrono::microseconds monotonic);
/// The end may take as long as `limit`, whatever time-out the manager has configured.
std::string stopping(std::chrono::milliseconds limit, std::string_view status);
std::string watchdog();
/// One line for `systemctl status`; line breaks in `text` become blanks.
std::string status(std::string_view text);

/// The name of the socket as connect(2) takes it: a path, or a leading NUL for an abstract socket ("@name").
/// Nothing where the variable names no local socket, or one whose name is too long.
std::optional<std::string> socket_name(std::string_view notify_socket);

/// How often the manager wants to hear of a process that is well: half of WATCHDOG_USEC. Nothing where it
/// does not wait for that, or waits for another process.
std::optional<std::chrono::microseconds> watchdog_interval(std::string_view watchdog_usec,
                                                           std::string_view watchdog_pid,
                                                           std::int64_t own_pid);

}  // namespace pgtandem::notify
