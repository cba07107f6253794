/// A section of a file put in and taken out: everything else stays byte for byte.
#include "common/config/toml-section.h"

#include <catch2/catch.hpp>

using namespace pgtandem;
using namespace pgtandem::config;

namespace {

const std::vector<std::string> kLines{"endpoints = [\"http://etcd1:2379\"]", "term = \"3s\""};
const std::string kAdded = "[witness]\nendpoints = [\"http://etcd1:2379\"]\nterm = \"3s\"\n";

std::string put(std::string_view text) {
  const Result<std::string> done = put_into_section(text, "witness", kLines);
  INFO(text);
  REQUIRE(done);
  return *done;
}

std::string take(std::string_view text) {
  const Result<std::string> done = take_section_out(text, "witness");
  INFO(text);
  REQUIRE(done);
  return *done;
}

}  // namespace

TEST_CASE("a new section goes to the end, behind a blank line, and out again") {
  for (const std::string text :
       {"node = \"a\"\n", "# only a comment\n", "[log]\nlevel = \"info\"\n",
        "[[access]]\naddress = \"local\"\naction = \"allow\"\n", "node = \"a\"\n\n", "node = \"a\"\n\n\n"}) {
    CHECK(put(text) == text + "\n" + kAdded);
    CHECK(take(put(text)) == text);
  }
  CHECK(put("") == kAdded);
  CHECK(take(kAdded).empty());
}

TEST_CASE("a file whose last line has no end gets one") {
  CHECK(put("node = \"a\"") == "node = \"a\"\n\n" + kAdded);
  CHECK(take(put("node = \"a\"")) == "node = \"a\"\n");
  CHECK(take("node = \"a\"\n\n[witness]\nterm = \"3s\"") == "node = \"a\"\n");
  CHECK(put("[witness]") == kAdded);
}

TEST_CASE("line ends stay what they are in the file") {
  const std::string crlf = "node = \"a\"\r\n\r\n[log]\r\nlevel = \"info\"\r\n";
  const std::string added = "\r\n[witness]\r\nendpoints = [\"http://etcd1:2379\"]\r\nterm = \"3s\"\r\n";
  CHECK(put(crlf) == crlf + added);
  CHECK(take(put(crlf)) == crlf);
}

TEST_CASE("a section in the middle goes with its own comments, and the next one keeps its own") {
  CHECK(take("a = 1\n\n# the witness\n[witness]  # here\n# why\nendpoints = [\n  \"http://x:1\",  # "
             "one\n]\n# ca_file = \"\"\n"
             "\n# the hook\n[fencing]\nhook = \"/h\"\n") ==
        "a = 1\n\n# the witness\n\n# the hook\n[fencing]\nhook = \"/h\"\n");
  CHECK(take("a = 1\n\n[witness]\nterm = \"3s\"\n# the hook\n[fencing]\nhook = \"/h\"\n") ==
        "a = 1\n\n# the hook\n[fencing]\nhook = \"/h\"\n");
  CHECK(take("[witness]\nterm = \"3s\"\n\n[log]\nlevel = \"info\"\n") == "[log]\nlevel = \"info\"\n");
  CHECK(take("a = 1\n[witness]\nterm = \"3s\"\n[log]\nlevel = \"info\"\n") ==
        "a = 1\n[log]\nlevel = \"info\"\n");
  CHECK(take("a = 1\n\n[witness]\nterm = \"3s\"\n\n[log]\n") == "a = 1\n\n[log]\n");
}

TEST_CASE("a section that is there already gets the lines behind its header") {
  CHECK(put("[witness]\n# endpoints = []\nprefix = \"/p\"\n\n[log]\n") ==
        "[witness]\nendpoints = [\"http://etcd1:2379\"]\nterm = \"3s\"\n# endpoints = []\nprefix = "
        "\"/p\"\n\n[log]\n");
  CHECK(put(" [ \"witness\" ] # x\n[log]\n") ==
        " [ \"witness\" ] # x\nendpoints = [\"http://etcd1:2379\"]\nterm = \"3s\"\n[log]\n");
}

TEST_CASE("texts that only look like the section are left alone") {
  const std::string text =
      "a = \"\"\"\n[witness]\nterm = \"3s\"\n\"\"\"\n# [witness]\n[log]\nfile = \"[witness]\"\n";
  CHECK(take(text) == text);
  CHECK(put(text) == text + "\n" + kAdded);
  CHECK(take(put(text)) == text);
  const std::string longer = "[witness]\nx = '''\n[log]\n'''\ny = [ 1,\n 2 ]\n[log]\n";
  CHECK(take(longer) == "[log]\n");
}

TEST_CASE("dotted keys and braces are told with their line, and nothing is changed") {
  for (const std::string text : {"a = 1\nwitness.endpoints = [\"http://x:1\"]\n",
                                 "a = 1\nwitness = { endpoints = [\"http://x:1\"] }\n"}) {
    const auto taken = take_section_out(text, "witness");
    REQUIRE_FALSE(taken);
    CHECK(taken.error().find("line 2") != std::string::npos);
    CHECK(taken.error().find("write it as a section, [witness]") != std::string::npos);
    CHECK_FALSE(put_into_section(text, "witness", kLines));
  }
  CHECK_FALSE(take_section_out("witness = 1\n", "witness"));
  CHECK_FALSE(take_section_out("[=]\n", "witness"));
  CHECK_FALSE(take_section_out("a = \n", "witness"));
}

TEST_CASE("find_section tells the keys") {
  const auto place = find_section("[witness]\nterm = \"3s\"\nguard = \"1s\"\n", "witness");
  REQUIRE(place);
  CHECK(place->found);
  CHECK(place->keys == std::vector<std::string>{"guard", "term"});
  CHECK_FALSE(find_section("a = 1\n", "witness")->found);
}
