#include "server-relay/tool/witness-scene.h"

#include <optional>

#include "common/config/secret-file.h"
#include "common/config/toml-section.h"
#include "common/witness/witness-value.h"
#include "server-relay/tool/pair-client.h"
#include "server-relay/tool/relay-part.h"
#include "server-relay/tool/witness-member.h"

namespace pgtandem::tool {
namespace {

constexpr const char* kSection = "witness";

/// What lies over the file would be left in force, unseen.
void refuse_variables() {
  for (const auto& [name, value] : process_environment()) {
    if (!name.starts_with("PGTANDEM_WITNESS_") || value.empty()) continue;
    throw Failure{kConfiguration,
                  "the variable " + name +
                      " lies over the file, and this changes the file alone\n  do: take it out, also "
                      "where the relay is started (/etc/default/pgtandem-relay)"};
  }
}

/// What cannot be edited is left to the operator.
std::string edited(const Host& host, Result<std::string> text) {
  if (text) return std::move(*text);
  throw Failure{kConfiguration,
                "'" + host.file.path() + "', " + text.error() + "\n  do: edit the file by hand"};
}

/// A new text as the relay's own reader sees it.
struct Trial {
  std::optional<Loaded<RelaySettings>> loaded;
  std::string trouble;  ///< why a relay would not start with it
};

EditedFile::Check by_the_reader(Node node, Trial& trial) {
  return [node, &trial](const std::string& draft) -> Result<void> {
    auto loaded = load_relay_part(draft, node);
    if (!loaded) return Error{trial.trouble = loaded.error()};
    trial.loaded = std::move(*loaded);
    return {};
  };
}

[[noreturn]] void fail(const Trial& trial, const std::string& why) {
  if (!trial.trouble.empty())
    throw Failure{kConfiguration, "no relay would start with this, so nothing was changed:\n" + why};
  throw Failure{kNoPermission,
                why + "; nothing was changed\n  do: run this as a user who may (sudo), or repeat it"};
}

RecordFacts record_of(const MemberAnswer& member) {
  RecordFacts record;
  record.revision = member.revision;
  record.flaw = member.flaw;
  if (!member.record) return record;
  record.epoch = member.record->role.epoch;
  record.master = member.record->role.master;
  record.generation = to_string(member.record->role.generation);
  record.sync = member.record->role.sync;
  return record;
}

Secret pair_key_of(const RelaySettings& settings) {
  Result<Secret> key = read_secret_file(settings.key_file, 1);
  if (!key) throw Failure{kNoInput, key.error()};
  return std::move(*key);
}

}  // namespace

Host open_host(const Context& context, const WitnessWords& words) {
  if (context.config_file.empty()) {
    throw Failure{
        kConfiguration,
        "a witness is named in the relay's configuration file, and no file was given\n  do: add --config "
        "FILE (/etc/pgtandem/pgtandem.toml); a relay that has its settings by flags takes "
        "--witness-endpoints"};
  }
  refuse_variables();
  const Node node = own_node(context, words.node);
  Result<EditedFile> file = EditedFile::open(context.config_file);
  if (!file)
    throw Failure{kRefused, file.error() + "\n  do: run this as a user who may (sudo), or in a moment"};
  auto now = load_relay_part(file->path(), node);
  if (!now) throw Failure{kConfiguration, now.error()};
  if (!now->settings.pair_mode())
    throw Failure{kConfiguration, "'" + file->path() + "' describes no pair, and a witness belongs to one"};
  return {node, std::move(*file), std::move(now->settings), std::move(now->texts)};
}

std::string text_with(const Host& host, const std::string& text, const std::vector<std::string>& lines) {
  return edited(host, config::put_into_section(text, kSection, lines));
}

std::string text_without(const Host& host) {
  return edited(host, config::take_section_out(host.file.text(), kSection));
}

Loaded<RelaySettings> settings_of(const Host& host, const std::string& text) {
  Trial trial;
  const Result<void> good = host.file.try_out(text, by_the_reader(host.node, trial));
  if (!good) fail(trial, good.error());
  return std::move(*trial.loaded);
}

void replace_file(const Host& host, const std::string& text) {
  Trial trial;
  const Result<void> done = host.file.replace(text, by_the_reader(host.node, trial));
  if (!done) fail(trial, done.error());
}

void ask_witness(const RelaySettings& wanted, Facts& facts) {
  const std::vector<MemberAnswer> members = ask_members(wanted, pair_key_of(wanted));
  std::string silent;
  for (const MemberAnswer& member : members) {
    if (!member.trouble.empty()) silent += "\n  witness " + member.address + ": " + printable(member.trouble);
  }
  if (!silent.empty()) {
    throw Failure{kUnavailable, "not every member of the witness answers, so nothing was changed:" + silent +
                                    "\n  do: mend it, or correct the options"};
  }
  for (const MemberAnswer& member : members) {
    if (member.identity == members.front().identity) continue;
    throw Failure{kRefused, "the members are of different etcd clusters: " + members.front().address +
                                " and " + member.address + "\n  do: name the members of one"};
  }
  facts.place = {to_string(members.front().identity), witness_key(wanted.witness.prefix, wanted.cluster),
                 std::uint64_t(wanted.witness.term.count())};
  facts.record = record_of(members.front());
}

void ask_relays(const Context& context, Node self, Facts& facts) {
  facts.pair = ask_pair(context.settings);
  const RelayStatus* own = find_node(facts.pair, self);
  const RelayStatus* peer = find_node(facts.pair, other(self));
  facts.nodes = {self, own ? &*own->view : nullptr, peer ? &*peer->view : nullptr};
}

void erase(const RelaySettings& settings, const RecordFacts& shown) {
  const Result<void> erased = erase_record(settings, pair_key_of(settings), shown.revision);
  if (!erased)
    throw Failure{kRefused, printable(erased.error()) + "\n  do: repeat this, and compare what it shows"};
}

}  // namespace pgtandem::tool
