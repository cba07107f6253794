/// A program with just the two commands, for the tests: `tool --control PORT --token-file F bootstrap|load
/// ARGS`. And a filter that spoils a stream on its way: `tool flip OFFSET` (one byte is another), `tool cut
/// OFFSET` (ends there), `tool stall OFFSET` (passes nothing more, and waits for its end).
#include <csignal>
#include <iostream>
#include <poll.h>
#include <unistd.h>

#include "server-relay/bootstrap/commands.h"

namespace {

bool write_all(const char* bytes, std::size_t size) {
  while (size != 0) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes, size);
    if (written <= 0) return false;
    bytes += written;
    size -= std::size_t(written);
  }
  return true;
}

int filter(const std::string& how, std::size_t offset, const std::string& file) {
  std::string buffer(65536, '\0');
  std::size_t seen = 0;
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got <= 0) return 0;
    std::size_t size = std::size_t(got);
    const bool here = offset >= seen && offset < seen + size;
    if (here && how == "flip") buffer[offset - seen] = char(buffer[offset - seen] ^ 0x20);
    const std::size_t all = size;
    if (here && how != "flip") size = offset - seen;
    if (!write_all(buffer.data(), size)) return 0;
    if (here && how == "pause") {
      while (::access(file.c_str(), F_OK) != 0) ::poll(nullptr, 0, 10);
      if (!write_all(buffer.data() + size, all - size)) return 0;
    }
    seen += std::size_t(got);
    if (here && how == "cut") return 0;
    if (here && how == "stall") {
      pollfd end{STDIN_FILENO, POLLRDHUP, 0};
      ::poll(&end, 1, -1);
      return 0;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  pgtandem::ToolSettings settings;
  while (words.size() >= 2 && words[0].starts_with("--")) {
    if (words[0] == "--control")
      settings.relays.push_back({"127.0.0.1", 5432, std::uint16_t(std::stoi(words[1]))});
    if (words[0] == "--token-file") settings.token_file = words[1];
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.empty()) return 64;
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  if (words[0] == "bootstrap") return pgtandem::bootstrap_command(settings, rest);
  if (words[0] == "load") return pgtandem::load_command(rest);
  if (!rest.empty()) return filter(words[0], std::stoul(rest[0]), rest.back());
  return 64;
}
