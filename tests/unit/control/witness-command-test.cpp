/// `pgtandem witness` with relays that answer what the test says: its words, the file, the questions. The
/// witness itself is real in tests/integration/test_witness.py.
#include <catch2/catch.hpp>

#include "tests/unit/control/tool-rig.h"

using namespace pgtandem;
using namespace pgtandem::control_test;
using nlohmann::json;

namespace {

const std::string kSection = "\n[witness]\nendpoints = [\"http://127.0.0.1:1\"]  # by hand\n";

json with_witness(const std::string& node) {
  json status = status_json(node);
  status["witness"] = witness_json();
  return status;
}

/// A pair whose relays are fakes, and the file of this host.
struct Rig {
  explicit Rig(json status_a = status_json("a"), json status_b = status_json("b"))
      : a(std::move(status_a)), b(std::move(status_b)), path(write(plain())) {}

  std::string node_text(const char* name, const FakeRelay& relay, unsigned base) const {
    return std::string("[nodes.") + name + "]\nhost = \"127.0.0.1\"\nrelay_port = " + std::to_string(base) +
           "\nleg_port = " + std::to_string(base + 1) + "\ncontrol_port = " + std::to_string(relay.port()) +
           "\npostmaster = \"127.0.0.1:" + std::to_string(base + 2) + "\"\n";
  }
  std::string plain() {
    return "state_dir = \"" + folder.path() +
           "\"\n[pair]\nuuid = \"9b2f6c1e-5f0a-4c56-8a3e-6d4f0c2b7e11\"\n" + "key_file = \"" +
           folder.file("key", "a key of more than sixteen bytes") + "\"\n" + node_text("a", a, 1100) +
           node_text("b", b, 1200);
  }
  std::string write(const std::string& text) { return folder.file("pgtandem.toml", text); }
  std::string text() const {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  Ran says(std::vector<std::string> words, const std::string& typed = {}, bool terminal = false) const {
    words.insert(words.begin(), {"--config", path, "witness"});
    return run(words, typed, terminal);
  }

  TemporaryFolder folder;
  FakeRelay a;
  FakeRelay b;
  std::string path;
};

}  // namespace

TEST_CASE("witness: words that mean nothing together are told") {
  const Rig rig;
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
      {{}, "add or remove?"},
      {{"replace"}, "'replace' means nothing here"},
      {{"add"}, "--endpoints http://etcd1:2379"},
      {{"add", "--endpoints", "etcd1:2379"}, "--endpoints: "},
      {{"add", "--endpoints", "http://etcd1:2379", "--term", "3"}, "--term: "},
      {{"add", "--endpoints", "http://etcd1:2379", "--term", "1s"}, "--term: "},
      {{"add", "--endpoints", "http://etcd1:2379", "--record"},
       "--record belongs to pgtandem witness remove"},
      {{"add", "--endpoints", "http://etcd1:2379", "--node", "c"}, "--node is a or b"},
      {{"add", "--endpoints", "http://etcd1:2379", "--yes"}, "which node is this host?"},
      {{"remove", "--replace-record"}, "--replace-record belongs to pgtandem witness add"},
      {{"remove", "--endpoints", "http://etcd1:2379"}, "but with --record"},
      {{"remove", "--record"}, "--endpoints http://etcd1:2379"},
  };
  for (const auto& [words, text] : wrong) {
    const Ran ran = rig.says(words);
    INFO(ran.err);
    CHECK(ran.status == 64);
    CHECK(contains(ran.err, text));
  }
  const Ran help = rig.says({"add", "--help"});
  CHECK(help.status == 0);
  CHECK(contains(help.out, "pgtandem witness add|remove [OPTION...]"));
  const Ran nowhere = run({"witness", "remove", "--node", "a", "--yes"});
  CHECK(nowhere.status == 78);
  CHECK(contains(nowhere.err, "add --config FILE"));
}

TEST_CASE("witness add: what no relay would start with, or cannot be reached, changes nothing") {
  Rig rig;
  const std::string before = rig.text();
  const Ran long_guard =
      rig.says({"add", "--endpoints", "http://127.0.0.1:1", "--guard", "1s", "--node", "b", "--yes"});
  CHECK(long_guard.status == 78);
  CHECK(contains(long_guard.err, "witness.guard may be a quarter of witness.term at most"));
  CHECK(contains(long_guard.err, "pgtandem.toml:"));
  const Ran away =
      rig.says({"add", "--endpoints", "http://127.0.0.1:1,http://127.0.0.1:2", "--node", "b", "--yes"});
  CHECK(away.status == 69);
  CHECK(contains(away.err, "witness 127.0.0.1:1: "));
  CHECK(contains(away.err, "witness 127.0.0.1:2: "));
  CHECK(rig.text() == before);
}

TEST_CASE("witness add: the same once more is done, another one is refused") {
  Rig rig;
  rig.write(rig.plain() + kSection);
  const Ran same =
      rig.says({"add", "--endpoints", "http://127.0.0.1:1", "--term", "3s", "--node", "b", "--yes"});
  INFO(same.err);
  CHECK(same.status == 0);
  CHECK(contains(same.out, "nothing to do"));
  const Ran other = rig.says({"add", "--endpoints", "http://127.0.0.1:2", "--node", "b", "--yes"});
  CHECK(other.status == 75);
  CHECK(contains(other.err, "with another witness.endpoints"));
  CHECK(rig.text() == rig.plain() + kSection);
  rig.write(rig.plain() + "\n[witness]\nterm = \"5s\"\n");
  const Ran term =
      rig.says({"add", "--endpoints", "http://127.0.0.1:1", "--term", "3s", "--node", "b", "--yes"});
  CHECK(term.status == 75);
  CHECK(contains(term.err, "[witness] has another 'term' already: \"5s\""));
}

TEST_CASE("witness remove: the standby first, after a question, and then it says what is next") {
  Rig rig(with_witness("a"), with_witness("b"));
  rig.write(rig.plain() + kSection);
  const Ran master = rig.says({"remove", "--node", "a", "--yes"});
  CHECK(master.status == 75);
  CHECK(contains(master.err, "on the host of node b first"));
  const Ran unasked = rig.says({"remove", "--node", "b"});
  CHECK(unasked.status == 64);
  CHECK(contains(unasked.err, "a script adds --yes"));
  CHECK(rig.says({"remove", "--node", "b"}, "yes\n", true).status == 75);
  CHECK(rig.text() == rig.plain() + kSection);
  const Ran done = rig.says({"remove", "--node", "b"}, "remove\n", true);
  INFO(done.err);
  CHECK(done.status == 0);
  CHECK(contains(done.out, "systemctl restart pgtandem-relay   (on this host, node b)"));
  CHECK(contains(done.out, "pgtandem witness remove on host 127.0.0.1 (node a)"));
  CHECK(rig.text() == rig.plain());
  const Ran again = rig.says({"remove", "--node", "b", "--yes"});
  CHECK(again.status == 0);
  CHECK(contains(again.out, "nothing to do"));
  CHECK(contains(again.out, "runs with one"));
  CHECK(contains(again.out, "systemctl restart"));
}

TEST_CASE("witness remove: the last one is told how to delete the record") {
  Rig rig(with_witness("a"), status_json("b"));
  rig.write(rig.plain() + "[witness]\nendpoints = [\"http://127.0.0.1:1\"]\nprefix = \"/plant 7's\"\n");
  CHECK(rig.says({"remove", "--node", "a", "--yes"}).status == 78);  // a prefix holds no blanks
  rig.write(rig.plain() + "[witness]\nendpoints = [\"http://127.0.0.1:1\"]\nprefix = \"/plant'7\"\n");
  const Ran done = rig.says({"remove", "--node", "a", "--yes"});
  INFO(done.err);
  CHECK(done.status == 0);
  CHECK(contains(done.out,
                 "pgtandem witness remove --record --endpoints http://127.0.0.1:1 --prefix '/plant'\\''7'"));
  const Ran early =
      rig.says({"remove", "--record", "--endpoints", "http://127.0.0.1:1", "--node", "a", "--yes"});
  CHECK(early.status == 75);
  CHECK(contains(early.err, "relay of node a still uses a witness"));
  rig.a.set_status(status_json("a"));
  CHECK(
      rig.says({"remove", "--record", "--endpoints", "http://127.0.0.1:1", "--node", "a", "--yes"}).status ==
      69);
}

TEST_CASE("witness remove: a section without lines of its own is left to the operator") {
  Rig rig(status_json("a"), status_json("b"));
  rig.write("witness.endpoints = [\"http://127.0.0.1:1\"]\n" + rig.plain());
  const Ran ran = rig.says({"remove", "--node", "a", "--yes"});
  CHECK(ran.status == 78);
  CHECK(contains(ran.err, "line 1"));
  CHECK(contains(ran.err, "edit the file by hand"));
}
