#include "server-relay/relay/relay-inputs.h"

#include <algorithm>

#include "common/config/secret-file.h"

namespace pgtandem {
namespace {

constexpr std::size_t kMinKeySize = 16;    ///< bytes of pair.key_file: 128 bits
constexpr std::size_t kMinTokenSize = 16;  ///< bytes of control.token_file

/// Names a file's setting where its content alone has changed.
void note_content(const std::string& name, const Secret& in_force, const Secret& fresh,
                  std::vector<std::string>& names) {
  if (in_force.reveal() != fresh.reveal() && std::ranges::find(names, name) == names.end())
    names.push_back(name);
}

}  // namespace

Result<RelayInputs> read_relay_inputs(int argc, const char* const* argv) {
  Result<Loaded<RelaySettings>> loaded = load_relay_settings(argc, argv);
  if (!loaded) return Error{loaded.error()};
  RelayInputs inputs;
  inputs.loaded = std::move(*loaded);
  if (inputs.loaded.answer) return Result<RelayInputs>(std::move(inputs));
  const RelaySettings& settings = inputs.settings();
  if (settings.pair_mode()) {
    Result<Secret> read = read_secret_file(settings.key_file, kMinKeySize);
    if (!read) return Error{read.error()};
    inputs.key = std::move(*read);
  }
  if (!settings.control.token_file.empty()) {
    Result<Secret> read = read_secret_file(settings.control.token_file, kMinTokenSize);
    if (!read) return Error{read.error()};
    inputs.token = std::move(*read);
  }
  Result<AccessList> access = AccessList::parse(settings.access);
  if (!access) return Error{access.error()};
  inputs.access = std::move(*access);
  return Result<RelayInputs>(std::move(inputs));
}

config::SettingChanges changed_inputs(const RelayInputs& in_force, const RelayInputs& fresh) {
  config::SettingChanges found = config::changes(in_force.loaded.texts, fresh.loaded.texts);
  note_content("control.token_file", in_force.token, fresh.token, found.taken_over);
  note_content("pair.key_file", in_force.key, fresh.key, found.need_restart);
  return found;
}

void take_over(RelayInputs& in_force, RelayInputs fresh) {
  in_force.loaded.texts = config::after_reload(std::move(in_force.loaded.texts), fresh.loaded.texts);
  in_force.token = std::move(fresh.token);
  in_force.access = std::move(fresh.access);
}

}  // namespace pgtandem
