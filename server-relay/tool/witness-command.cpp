/// A witness for a node that runs, or none any more: the configuration file of this host, and the pair's
/// record.
#include <ostream>
#include <sys/stat.h>

#include "common/config/value.h"
#include "common/witness/witness-value.h"
#include "server-relay/tool/pair-client.h"
#include "server-relay/tool/witness-scene.h"

namespace pgtandem::tool {
namespace {

constexpr const char* kRestart = "systemctl restart pgtandem-relay";

std::string name_of(Node node) {
  return "node " + std::string(to_string(node));
}

void require(const Verdict& verdict) {
  if (verdict.kind == Verdict::Kind::go) return;
  throw Failure{kRefused, verdict.text + (verdict.what_to_do.empty() ? "" : "\n  do: " + verdict.what_to_do)};
}

bool uses(const StatusView* view) {
  return view != nullptr && view->witness;
}

std::string restart_text(const Facts& facts) {
  return "next: " + std::string(kRestart) + "   (on this host, " + name_of(facts.nodes.self) + ")\n";
}

std::string then_there(const Facts& facts, const RelaySettings& settings, const char* action) {
  return "then, when pgtandem status shows the pair joined again: pgtandem witness " + std::string(action) +
         " on host " + settings.peer().host + " (" + name_of(other(facts.nodes.self)) + ")\n";
}

// add

std::string next_after_add(const Facts& facts, const RelaySettings& wanted) {
  std::string text =
      uses(facts.nodes.own) ? "The relay of this node runs with it already.\n" : restart_text(facts);
  if (!uses(facts.nodes.peer)) return text + then_there(facts, wanted, "add");
  return text + "then see the line 'witness' of both nodes in pgtandem status\n";
}

/// The verdict, where a record that may be replaced counts as none if that is wanted.
Facts facts_for_add(const Context& context, const Host& host, const WitnessWords& words,
                    const RelaySettings& wanted) {
  Facts facts;
  ask_witness(wanted, facts);
  ask_relays(context, host.node, facts);
  const Verdict verdict = judge_add(facts.nodes, facts.place, facts.record);
  const bool replaced = verdict.kind == Verdict::Kind::replace_first && words.replace_record;
  if (!replaced) require(verdict);
  if (!replaced) facts.record = {};  // stays as it is
  return facts;
}

std::string question_for_add(const Host& host, const Facts& facts, const RelaySettings& wanted) {
  std::string text = name_of(host.node) + " is to use the witness";
  for (const WitnessEndpoint& endpoint : wanted.witness.endpoints) text += " " + config::to_string(endpoint);
  text += ": [witness] is written into '" + host.file.path() + "'.";
  if (facts.record.revision != 0) {
    text += "\nThe record of an earlier time that it holds is deleted: " +
            record_text(facts.record, facts.place.key) +
            ".\nIf another pair has the same uuid, that one loses its master.";
  }
  return text;
}

int already_there(Context& context, const Host& host, const WitnessWords& words) {
  const std::string without = text_without(host);
  const std::string anew = text_with(host, without, section_lines(words, without));
  const config::SettingChanges changed = config::changes(host.texts, settings_of(host, anew).texts);
  if (!changed.need_restart.empty()) {
    throw Failure{kRefused,
                  "'" + host.file.path() + "' names a witness already, with another " +
                      config::joined(changed.need_restart) +
                      "\n  do: pgtandem witness remove on both hosts first; other addresses of the same "
                      "etcd cluster can be edited by hand, and take a restart"};
  }
  context.out << "'" << host.file.path() << "' names this witness already: nothing to do\n";
  return kOk;
}

/// A relay that may not read such a file does not start. It reads the pair's key: by that one its user is
/// known.
void warn_of_owners(Context& context, const RelaySettings& wanted) {
  struct stat pair {};
  if (::stat(wanted.key_file.c_str(), &pair) != 0) return;
  for (const std::string& file : {wanted.witness.password_file, wanted.witness.key_file}) {
    struct stat info {};
    if (file.empty() || ::stat(file.c_str(), &info) != 0 || info.st_uid == pair.st_uid) continue;
    context.err << "pgtandem: '" << file << "' belongs to another user than '" << wanted.key_file
                << "': is it one that the relay can read? (chown)\n";
  }
}

int add(Context& context, const WitnessWords& words) {
  const Host host = open_host(context, words);
  if (host.now.witness.configured()) return already_there(context, host, words);
  const std::string text = text_with(host, host.file.text(), section_lines(words, host.file.text()));
  const Loaded<RelaySettings> loaded = settings_of(host, text);
  for (const std::string& warning : loaded.warnings) context.err << "pgtandem: " << warning << "\n";
  const RelaySettings& wanted = loaded.settings;
  warn_of_owners(context, wanted);
  Facts facts = facts_for_add(context, host, words, wanted);
  if (!words.yes) {
    confirm(context, question_for_add(host, facts, wanted), "add", "--yes");
    // It may be long ago that it was shown.
    const std::uint64_t shown = facts.record.revision;
    facts = facts_for_add(context, host, words, wanted);
    if (facts.record.revision != shown)
      throw Failure{kRefused, "the record has changed since it was shown\n  do: repeat this"};
  }
  if (facts.record.revision != 0) erase(wanted, facts.record);
  replace_file(host, text);
  context.out << "'" << host.file.path() << "' names the witness now.\n" << next_after_add(facts, wanted);
  return kOk;
}

// remove

std::string next_after_remove(const Facts& facts, const RelaySettings& before) {
  std::string text =
      uses(facts.nodes.own) ? restart_text(facts) : "The relay of this node runs without it already.\n";
  if (uses(facts.nodes.peer)) return text + then_there(facts, before, "remove");
  return text + "then, to delete what the witness keeps of this pair: pgtandem witness remove --record " +
         witness_options_text(before.witness) + "\n";
}

int nothing_to_remove(Context& context, const Host& host) {
  Facts facts;
  ask_relays(context, host.node, facts);
  context.out << "'" << host.file.path() << "' names no witness: nothing to do\n";
  if (uses(facts.nodes.own)) {
    context.out << "The relay of " << name_of(host.node)
                << " runs with one: by the file as it was when it started, or by flags or variables.\n"
                << restart_text(facts);
  }
  return kOk;
}

Facts facts_for_remove(const Context& context, const Host& host) {
  Facts facts;
  ask_relays(context, host.node, facts);
  require(judge_remove(facts.nodes));
  return facts;
}

int remove_section(Context& context, const WitnessWords& words) {
  const Host host = open_host(context, words);
  if (!host.now.witness.configured()) return nothing_to_remove(context, host);
  const std::string text = text_without(host);
  const Loaded<RelaySettings> loaded = settings_of(host, text);
  Facts facts = facts_for_remove(context, host);
  if (!words.yes) {
    confirm(context,
            name_of(host.node) + " is to do without the witness: [witness] is taken out of '" +
                host.file.path() + "'. Without one, a takeover is an operator's command.",
            "remove", "--yes");
    facts = facts_for_remove(context, host);
  }
  replace_file(host, text);
  context.out << "'" << host.file.path() << "' names no witness any more.\n"
              << next_after_remove(facts, host.now);
  return kOk;
}

Facts facts_for_erase(const Context& context, const Host& host, const RelaySettings& described) {
  Facts facts;
  ask_relays(context, host.node, facts);
  require(judge_erase(facts.nodes, witness_key(described.witness.prefix, described.cluster)));
  ask_witness(described, facts);
  return facts;
}

int remove_record(Context& context, const WitnessWords& words) {
  const Host host = open_host(context, words);
  if (host.now.witness.configured()) {
    throw Failure{kRefused,
                  "'" + host.file.path() +
                      "' names a witness: its record belongs to it\n  do: pgtandem witness remove on both "
                      "hosts first"};
  }
  const std::string text = text_with(host, host.file.text(), section_lines(words, host.file.text()));
  const Loaded<RelaySettings> loaded = settings_of(host, text);
  Facts facts = facts_for_erase(context, host, loaded.settings);
  if (facts.record.revision == 0) {
    context.out << "the witness holds " << record_text(facts.record, facts.place.key) << ": nothing to do\n";
    return kOk;
  }
  if (!words.yes) {
    const std::string shown = record_text(facts.record, facts.place.key);
    confirm(context,
            "The record is deleted: " + shown +
                ".\nIf another pair has the same uuid, that one loses its master.",
            "delete", "--yes");
    ask_relays(context, host.node, facts);
    require(judge_erase(facts.nodes, facts.place.key));
  }
  erase(loaded.settings, facts.record);
  context.out << "the record " << facts.place.key << " is deleted\n";
  return kOk;
}

}  // namespace

int witness_command(Context& context) {
  const auto words = read_witness_words(context);
  if (!words) return kOk;
  if (words->add) return add(context, *words);
  return words->record ? remove_record(context, *words) : remove_section(context, *words);
}

}  // namespace pgtandem::tool
