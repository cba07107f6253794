#include "server-relay/tool/witness-options.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "common/config/sources.h"
#include "common/config/toml-section.h"
#include "common/config/value.h"

namespace pgtandem::tool {
namespace {

struct WitnessOption {
  const char* option;
  const char* setting;
  const char* argument;
  const char* help;
};

/// In the order in which they are written into the file.
constexpr WitnessOption kOptions[] = {
    {"endpoints", "witness.endpoints", "URL", "The members of the etcd cluster, separated by commas."},
    {"ca-file", "witness.ca_file", "FILE", "Authorities that sign the members' certificates (https only)."},
    {"cert-file", "witness.cert_file", "FILE", "This node's certificate; needs --key-file."},
    {"key-file", "witness.key_file", "FILE", "Its private key, mode 0600."},
    {"user", "witness.user", "NAME", "The etcd user; needs --password-file."},
    {"password-file", "witness.password_file", "FILE", "That user's password, mode 0600."},
    {"prefix", "witness.prefix", "TEXT",
     "The pair's key is this, a slash and its uuid; the same on both nodes."},
    {"term", "witness.term", "TIME",
     "A takeover comes so long after the master's last sign; the same on both nodes."},
    {"guard", "witness.guard", "TIME", "By how much the master's right ends before the term."},
};

cxxopts::Options make_witness_options() {
  cxxopts::Options options = make_options(
      "witness",
      "`witness add` makes this host's node use a witness, an etcd cluster that says who is master, and\n"
      "`witness remove` makes it do without. Each writes or takes out [witness] in the file of --config on "
      "the\n"
      "host where it runs, after a look at both relays and at every member, and says what to restart. Run it "
      "on\n"
      "both hosts: the standby's first, the master's when the standby's relay runs with it and is joined "
      "again. The\n"
      "wrong order is refused.\n"
      "What the witness keeps of an earlier time is not trusted: with a record there that the pair does not "
      "keep\n"
      "now, `add` is refused. `remove --record --endpoints URL` deletes the record, once both relays run "
      "without.");
  options.custom_help("add|remove [OPTION...]");
  for (const WitnessOption& one : kOptions) {
    const bool list = std::string_view(one.option) == "endpoints";
    options.add_option(
        "", cxxopts::Option(one.option, one.help,
                            list ? std::shared_ptr<cxxopts::Value>(cxxopts::value<std::vector<std::string>>())
                                 : cxxopts::value<std::string>(),
                            one.argument));
  }
  options.add_options()("replace-record", "add: delete a record of an earlier time that the witness holds.")(
      "record", "remove: delete the pair's record at the witness, for good.")(
      "node", "This host's node, where the file does not say it.", cxxopts::value<std::string>(), "a|b")(
      "yes", "Do not ask (for scripts).");
  return options;
}

/// Paths are for the relay, which starts in another folder.
std::string as_written(const config::Setting& setting, const std::string& text) {
  if (setting.type != config::SettingType::path || text.empty()) return text;
  return std::filesystem::absolute(text).lexically_normal().string();
}

std::vector<std::string> items_of(const cxxopts::ParseResult& parsed, const WitnessOption& one) {
  const config::Setting& setting = *config::find_setting(one.setting);
  std::vector<std::string> items;
  if (config::is_list(setting.type)) {
    items = parsed[one.option].as<std::vector<std::string>>();
  } else {
    items.push_back(as_written(setting, parsed[one.option].as<std::string>()));
  }
  for (const std::string& item : items) {
    if (const Result<void> good = config::check_value(setting, item); !good)
      throw Failure{kUsage, "--" + std::string(one.option) + ": " + good.error()};
  }
  return items;
}

void check_together(const WitnessWords& words) {
  const auto gives = [&words](const char* setting) {
    return std::ranges::any_of(words.given, [setting](const auto& one) { return one.first == setting; });
  };
  if (words.add && words.record) throw Failure{kUsage, "--record belongs to pgtandem witness remove"};
  if (!words.add && words.replace_record)
    throw Failure{kUsage, "--replace-record belongs to pgtandem witness add"};
  const bool names = words.add || words.record;
  if (names && !gives("witness.endpoints"))
    throw Failure{kUsage,
                  "which witness? add --endpoints http://etcd1:2379, or several, with commas between"};
  if (!names && !words.given.empty())
    throw Failure{kUsage, "pgtandem witness remove takes no description of the witness, but with --record"};
}

std::string shell_word(const std::string& word) {
  const bool plain = std::ranges::all_of(word, [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("/:.,_-[]").find(char(c)) != std::string_view::npos;
  });
  if (plain && !word.empty()) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

std::optional<WitnessWords> read_witness_words(Context& context) {
  WitnessWords words;
  const std::string action = context.args.empty() ? std::string() : context.args.front();
  const bool named = action == "add" || action == "remove";
  words.add = action == "add";
  if (named) context.args.erase(context.args.begin());
  cxxopts::Options options = make_witness_options();
  const auto parsed = parse(context, options);
  if (!parsed) return std::nullopt;
  if (!named) throw Failure{kUsage, "add or remove? see pgtandem witness --help"};
  words.node = node_option(*parsed, "node");
  words.yes = parsed->count("yes") > 0;
  words.replace_record = parsed->count("replace-record") > 0;
  words.record = parsed->count("record") > 0;
  for (const WitnessOption& one : kOptions) {
    if (parsed->count(one.option) > 0) words.given.emplace_back(one.setting, items_of(*parsed, one));
  }
  check_together(words);
  return words;
}

std::vector<std::string> section_lines(const WitnessWords& words, const std::string& text) {
  config::Values there;
  config::Findings ignored;  // of a file that was read before
  config::read_toml(text, "", there, ignored);
  std::vector<std::string> lines;
  for (const auto& [name, items] : words.given) {
    const config::Setting& setting = *config::find_setting(name);
    const std::string key = name.substr(name.find('.') + 1);
    const auto found = there.find(setting.name);
    if (found == there.end()) {
      lines.push_back(key + " = " + config::toml_value(setting, items));
    } else if (found->second.items != items) {
      throw Failure{kRefused, "[witness] has another '" + key +
                                  "' already: " + config::toml_value(setting, found->second.items) +
                                  "\n  do: leave the option out, or correct the file"};
    }
  }
  return lines;
}

std::string witness_options_text(const WitnessSettings& witness) {
  std::string urls;
  for (const WitnessEndpoint& endpoint : witness.endpoints)
    urls += (urls.empty() ? "" : ",") + config::to_string(endpoint);
  std::string text = "--endpoints " + shell_word(urls);
  const auto add = [&text](const char* option, const std::string& value) {
    if (!value.empty()) text += std::string(" --") + option + " " + shell_word(value);
  };
  if (witness.prefix != WitnessSettings{}.prefix) add("prefix", witness.prefix);
  add("ca-file", witness.ca_file);
  add("cert-file", witness.cert_file);
  add("key-file", witness.key_file);
  add("user", witness.user);
  add("password-file", witness.password_file);
  return text;
}

}  // namespace pgtandem::tool
