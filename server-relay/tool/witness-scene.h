/// What `pgtandem witness` works on: this host's configuration file, both relays, the members of the witness
/// and the pair's record there. What is wrong is a Failure (command.h).
#pragma once
#include <string>
#include <vector>

#include "common/config/load.h"
#include "server-relay/tool/command.h"
#include "server-relay/tool/edited-file.h"
#include "server-relay/tool/pair-status.h"
#include "server-relay/tool/witness-options.h"
#include "server-relay/tool/witness-rules.h"

namespace pgtandem::tool {

/// This host's file, what a relay reads in it now, and this host's node.
struct Host {
  Node node;
  EditedFile file;
  RelaySettings now;
  config::SettingTexts texts;  ///< the same in words
};

/// Holds the file's lock until it ends.
Host open_host(const Context& context, const WitnessWords& words);
/// The text of the file with [witness] and these lines, or without [witness].
std::string text_with(const Host& host, const std::string& text, const std::vector<std::string>& lines);
std::string text_without(const Host& host);
/// The settings that a relay would have with this text.
Loaded<RelaySettings> settings_of(const Host& host, const std::string& text);
void replace_file(const Host& host, const std::string& text);

/// What the relays and the witness say at one moment.
struct Facts {
  PairStatus pair;
  NodesSeen nodes;
  WitnessPlace place;
  RecordFacts record;
};

void ask_relays(const Context& context, Node self, Facts& facts);
/// Every member must answer, and be of one cluster.
void ask_witness(const RelaySettings& wanted, Facts& facts);
/// Deletes the record that was shown, and no other.
void erase(const RelaySettings& settings, const RecordFacts& shown);

}  // namespace pgtandem::tool
