/// The words of `pgtandem witness`, and the lines of [witness] that they stand for.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/config/settings.h"
#include "server-relay/tool/command.h"

namespace pgtandem::tool {

struct WitnessWords {
  bool add = false;  ///< else: remove
  Node node = Node::none;
  bool yes = false;
  bool replace_record = false;
  bool record = false;
  /// What was given, by setting ("witness.term"); lists with all their items. Checked as the file's values
  /// are.
  std::vector<std::pair<std::string, std::vector<std::string>>> given;
};

/// Nothing where --help was given and has been printed; a Failure for words that mean nothing together.
std::optional<WitnessWords> read_witness_words(Context& context);

/// "key = value" for what was given and is not in the section of `text` already. A Failure where the section
/// says something else.
std::vector<std::string> section_lines(const WitnessWords& words, const std::string& text);

/// The options that name the witness of these settings, for a shell.
std::string witness_options_text(const WitnessSettings& witness);

}  // namespace pgtandem::tool
