// Everything that can break on the way, on real servers: the master keeps serving, the relay is told, the
// standby stays stale, nothing is left running, and one sentence says what failed.
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/bootstrap/support/copy-place.h"

using namespace pgtandem::bootstrap::testing;

namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The loader gets so much of the stream, and then no more: inside the rows of the big table.
constexpr const char* kStallInTable = "stall 200000";

void fill_big(const CopyPlace& place) {
  place.source.sql("CREATE TABLE big AS SELECT i, md5(i::text) AS t FROM generate_series(1, 100000) i");
}

/// A bootstrap that hangs in the middle of a table's rows.
std::unique_ptr<Program> stalled(const CopyPlace& place, const std::string& filter = kStallInTable) {
  fill_big(place);
  auto program =
      std::make_unique<Program>(place.command({"--remote-pgtandem", place.spoiled_loader(filter)}));
  await("rows are being loaded", [&] {
    return place.target.sql(
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active' "
               "AND application_name LIKE 'pgtandem bootstrap%'",
               "template1") == "1";
  });
  await("the relay knows", [&] { return place.control.has_phase("copy"); });
  return program;
}

/// What every failure behind begin has in common.
void check_given_up(const Outcome& outcome, const CopyPlace& place, const std::string& reason) {
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 75);
  CHECK(says(outcome.err, reason));
  CHECK(says(outcome.err, "The master serves on, the standby is stale."));
  CHECK_FALSE(place.control.joined());
  CHECK(place.control.calls("bootstrap/finish").empty());
  await("nothing works on the target any more", [&] { return !place.target_is_busy(); });
  CHECK(place.source.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgtandem%'") ==
        "0");
}

void check_told(const CopyPlace& place, const std::string& reason) {
  const auto aborts = place.control.calls("bootstrap/abort");
  REQUIRE(aborts.size() == 1);
  CHECK(says(aborts.front().body["reason"], reason));
}

void check_nothing_changed(const Outcome& outcome, const CopyPlace& place, const std::string& reason) {
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 69);
  CHECK(says(outcome.out, reason));
  CHECK(place.control.calls("bootstrap/begin").empty());
}

std::string make_key(const CopyPlace& place, const std::string& type, const std::string& passphrase) {
  const std::string path = place.folder.path("key-" + type + (passphrase.empty() ? "" : "-closed"));
  REQUIRE(run({"ssh-keygen", "-q", "-t", type, "-N", passphrase, "-C", "test", "-f", path}).status == 0);
  return path;
}

}  // namespace

TEST_CASE("a host key that is unknown, another or revoked ends the connection before the login") {
  CopyPlace place;
  const Outcome unknown = place.bootstrap({"--known-hosts", place.sshd.empty_known_hosts()});
  check_nothing_changed(unknown, place, "is not in");
  CHECK(says(unknown.out, "SHA256:"));
  CHECK(says(unknown.out, "ssh-keyscan -p " + std::to_string(place.sshd.port()) + " -t ed25519 127.0.0.1"));
  const Outcome wrong = place.bootstrap({"--known-hosts", place.sshd.wrong_known_hosts()});
  check_nothing_changed(wrong, place, "ANOTHER host key");
  const std::string revoked =
      place.folder.write("revoked", read_file(place.sshd.known_hosts()) + "@revoked * " +
                                        read_file(place.folder.path("host_key.pub")));
  check_nothing_changed(place.bootstrap({"--known-hosts", revoked}), place, "revoked");
  check_nothing_changed(place.bootstrap({"--known-hosts", "/nowhere"}), place, "is not in");
  CHECK_FALSE(says(place.sshd.log(), "Accepted publickey"));
}

TEST_CASE("the fingerprint in the message is the host's own") {
  CopyPlace place;
  const std::string own = run({"ssh-keygen", "-lf", place.folder.path("host_key.pub")}).out;
  const std::string fingerprint =
      own.substr(own.find("SHA256:"), own.find(' ', own.find("SHA256:")) - own.find("SHA256:"));
  CHECK(says(place.bootstrap({"--known-hosts", place.sshd.empty_known_hosts()}).out, fingerprint));
}

TEST_CASE("of a host with several keys the one that is known is asked for") {
  const Folder keys;
  const std::string second = keys.path("second");
  REQUIRE(run({"ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-C", "test", "-f", second}).status == 0);
  CopyPlace place({{}, "HostKey " + second + "\n"});
  const std::string known = place.folder.write(
      "second_known", "[127.0.0.1]:" + std::to_string(place.sshd.port()) + " " + read_file(second + ".pub"));
  const Outcome outcome = place.bootstrap({"--check", "--known-hosts", known});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 0);
}

TEST_CASE("a login that is not possible says why, for each kind of key") {
  CopyPlace place;
  check_nothing_changed(place.bootstrap({"--ssh-key", make_key(place, "ed25519", "")}), place,
                        "authorized_keys");
  check_nothing_changed(place.bootstrap({"--ssh-key", make_key(place, "ed25519", "secret")}), place,
                        "is encrypted: load it into the agent");
  check_nothing_changed(place.bootstrap({"--ssh-key", make_key(place, "rsa", "")}), place,
                        "use an Ed25519 key");
  check_nothing_changed(place.bootstrap({"--ssh-key", "/nowhere"}), place, "cannot read the ssh key");
  check_nothing_changed(place.bootstrap({"--ssh-key", place.sshd.known_hosts()}), place,
                        "is no ssh private key");
  check_nothing_changed(place.bootstrap({"--ssh-port", std::to_string(free_port())}), place,
                        "no ssh connection");
}

TEST_CASE("an encrypted key works by the agent") {
  CopyPlace place;
  const std::string key = make_key(place, "ed25519", "secret");
  place.folder.write("authorized_keys", read_file(key + ".pub"));
  const std::string socket = place.folder.path("agent");
  Program agent({"ssh-agent", "-D", "-a", socket});
  await("the agent listens", [&] { return std::filesystem::exists(socket); });
  const std::string ask = place.folder.write("ask", "#!/bin/sh\necho secret\n", 0700);
  REQUIRE(run({"env", "SSH_AUTH_SOCK=" + socket, "SSH_ASKPASS=" + ask, "SSH_ASKPASS_REQUIRE=force", "ssh-add",
               key})
              .status == 0);
  std::vector<std::string> command = place.command({"--ssh-key=", "--check"});
  command.insert(command.begin(), {"env", "SSH_AUTH_SOCK=" + socket});
  const Outcome outcome = run(command);
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 0);
}

TEST_CASE("a server that offers only ciphers with known weaknesses is refused") {
  for (const char* ciphers : {"aes128-cbc", "chacha20-poly1305@openssh.com"}) {
    CopyPlace place({{}, std::string("Ciphers ") + ciphers + "\n"});
    check_nothing_changed(place.bootstrap(), place, "ssh key exchange");
  }
  CopyPlace place({{}, "MACs hmac-sha1,hmac-sha2-512-etm@openssh.com\n"});
  check_nothing_changed(place.bootstrap(), place, "ssh key exchange");
}

TEST_CASE("keys that are renewed again and again in mid-copy do no harm") {
  CopyPlace place({{}, "RekeyLimit 1M\n"});
  fill_big(place);
  place.source.sql("INSERT INTO big SELECT i, md5(i::text) FROM generate_series(1, 400000) i");
  const Outcome outcome = place.bootstrap();
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 0);
  CHECK(place.control.joined());
}

TEST_CASE(
    "a program that is missing on the target, or a talkative login shell, is said before anything changes") {
  CopyPlace place;
  check_nothing_changed(place.bootstrap({"--remote-pgtandem", "/nowhere/pgtandem"}), place,
                        "name it with --remote-pgtandem");
  const std::string talkative =
      place.folder.write("talkative", "#!/bin/sh\necho Welcome\nexec " + tool_path() + " \"$@\"\n", 0755);
  check_nothing_changed(place.bootstrap({"--remote-pgtandem", talkative}), place, "cannot be read");
}

TEST_CASE("an ssh connection that is lost in mid-copy ends the bootstrap") {
  CopyPlace place;
  const auto program = stalled(place);
  place.sshd.kill_connections();
  check_given_up(program->finish(CopyPlace::kLimit), place, "127.0.0.1");
  check_told(place, "127.0.0.1");
}

TEST_CASE("a loader that is killed in mid-copy ends the bootstrap") {
  CopyPlace place;
  const auto program = stalled(place);
  for (const pid_t child : children_of(std::stoi(read_file(place.folder.path("loader.pid")))))
    ::kill(child, SIGKILL);
  check_given_up(program->finish(CopyPlace::kLimit), place, "pgtandem load on 127.0.0.1 ended early");
  check_told(place, "ended early");
}

TEST_CASE("a target server that ends its sessions in mid-copy ends the bootstrap with its words") {
  CopyPlace place;
  const std::string go_on = place.folder.path("go-on");
  const auto program = stalled(place, "pause 200000 " + go_on);
  place.target.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND pid <> "
      "pg_backend_pid()",
      "template1");
  place.folder.write("go-on", "");
  check_given_up(program->finish(CopyPlace::kLimit), place,
                 "loading database 'postgres' failed: psql ended with exit status");
  check_told(place, "loading database 'postgres' failed");
}

TEST_CASE("SIGINT, SIGTERM and SIGHUP to the tool give the bootstrap up in order") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    CopyPlace place;
    const auto program = stalled(place);
    program->signal(signal);
    check_given_up(program->finish(CopyPlace::kLimit), place, "interrupted by a signal");
    check_told(place, "interrupted");
  }
}

TEST_CASE("a tool that is killed leaves nothing running on either side") {
  CopyPlace place;
  const auto program = stalled(place);
  program->signal(SIGKILL);
  program->finish(CopyPlace::kLimit);
  await("nothing works on the target any more", [&] { return !place.target_is_busy(); });
  await("nothing works on the source any more", [&] {
    return place.source.sql(
               "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgtandem%'") == "0";
  });
  CHECK_FALSE(place.control.joined());
}

TEST_CASE("a control port that falls silent ends the copy before the relay's own patience does") {
  CopyPlace place;
  const auto program = stalled(place);
  place.control.go_silent();
  const auto begun = std::chrono::steady_clock::now();
  const Outcome outcome = program->finish(CopyPlace::kLimit);
  check_given_up(outcome, place, "the control port of the active relay");
  CHECK(says(outcome.err, "it gives the bootstrap up by itself"));
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(30));
}

TEST_CASE("a relay that takes the lease back ends the copy at once") {
  CopyPlace place;
  const auto program = stalled(place);
  place.control.on_command([](const ControlCall& call) { return call.command != "bootstrap/progress"; });
  check_given_up(program->finish(CopyPlace::kLimit), place,
                 "refused bootstrap/progress: the stand-in refuses");
  check_told(place, "refused");
}

TEST_CASE("a relay that refuses the join leaves the standby stale") {
  CopyPlace place;
  place.control.on_command([](const ControlCall& call) { return call.command != "bootstrap/finish"; });
  const Outcome outcome = place.bootstrap();
  INFO(outcome.out << outcome.err);
  CHECK(outcome.status == 75);
  CHECK(says(outcome.err, "refused bootstrap/finish"));
  CHECK(place.control.calls("bootstrap/abort").size() == 1);
  CHECK_FALSE(place.control.joined());
}

TEST_CASE("a stream that arrives damaged or cut is never joined") {
  CopyPlace place;
  fill_big(place);
  std::size_t tries = 0;
  for (const std::string filter : {"flip 13", "flip 700", "flip 150000", "cut 5", "cut 13", "cut 150000"}) {
    INFO(filter);
    const Outcome outcome = place.bootstrap({"--replace", "--remote-pgtandem", place.spoiled_loader(filter)});
    check_given_up(outcome, place, filter.starts_with("flip") ? "the stream is damaged" : "127.0.0.1");
    CHECK(place.control.calls("bootstrap/abort").size() == ++tries);
  }
}

TEST_CASE("a target that runs out of disk in mid-copy ends the bootstrap with the server's words") {
  const Folder mounts;
  const std::string data = mounts.path("small");
  REQUIRE(run({"install", "-d", data}).status == 0);
  REQUIRE(::mount("none", data.c_str(), "tmpfs", 0, "size=160m,mode=0700,uid=101,gid=104") == 0);
  REQUIRE(run({"chown", "postgres:postgres", data}).status == 0);
  {
    CopyPlace place({data, {}});
    place.source.sql(
        "CREATE TABLE big AS SELECT i, repeat(md5(i::text), 4) AS t FROM generate_series(1, 200000) i");
    place.control.on_command([&](const ControlCall& call) {
      // Full, but for a few megabytes: the preflight has already been.
      if (call.command == "bootstrap/begin") {
        const auto free = std::filesystem::space(data).available;
        run({"fallocate", "-l", std::to_string(free - (12 << 20)), data + "/filler"});
      }
      return true;
    });
    const Outcome outcome = place.bootstrap();
    INFO(outcome.out << outcome.err);
    CHECK(outcome.status == 75);
    CHECK(says(outcome.err, "loading database 'postgres' failed: psql ended with"));
    CHECK_FALSE(place.control.joined());
    CHECK(place.control.calls("bootstrap/abort").size() == 1);
    CHECK(place.source.sql("SELECT count(*) FROM big") == "200000");
    std::filesystem::remove(data + "/filler");
  }
  ::umount2(data.c_str(), MNT_DETACH);
}

TEST_CASE("too little space on the target is found before anything changes") {
  const Folder mounts;
  const std::string data = mounts.path("small");
  REQUIRE(run({"install", "-d", data}).status == 0);
  REQUIRE(::mount("none", data.c_str(), "tmpfs", 0, "size=100m,mode=0700") == 0);
  REQUIRE(run({"chown", "postgres:postgres", data}).status == 0);
  {
    CopyPlace place({data, {}});
    place.source.sql(
        "CREATE TABLE big AS SELECT i, repeat(md5(i::text), 8) AS t FROM generate_series(1, 300000) i");
    check_nothing_changed(place.bootstrap(), place, "not enough space");
  }
  ::umount2(data.c_str(), MNT_DETACH);
}

TEST_CASE("a pg_dump that fails in mid-dump ends the bootstrap with its words") {
  CopyPlace place;
  fill_big(place);
  place.folder.write("pg_dumpall", "#!/bin/sh\nexec " + std::string(kPostgresBin) + "/pg_dumpall \"$@\"\n",
                     0755);
  place.folder.write("pg_dump",
                     "#!/bin/sh\n[ \"$1\" = --version ] && exec " + std::string(kPostgresBin) +
                         "/pg_dump --version\n" + kPostgresBin +
                         "/pg_dump \"$@\" | head -c 100000\necho 'disk read error' >&2\nexit 3\n",
                     0755);
  const Outcome outcome = place.bootstrap({"--pg-bin", place.folder.path(), "--remote-pg-bin", kPostgresBin});
  check_given_up(outcome, place, "pg_dump of database 'postgres' ended with exit status 3: disk read error");
  check_told(place, "disk read error");
}

TEST_CASE("what differs after the load is named, and nothing joins") {
  CopyPlace place;
  place.source.sql("CREATE SEQUENCE s; SELECT nextval('s'); CREATE TABLE t(x int)");
  // Somebody works around the relay: on the source while the copy runs.
  place.folder.write("pg_dumpall", "#!/bin/sh\nexec " + std::string(kPostgresBin) + "/pg_dumpall \"$@\"\n",
                     0755);
  place.folder.write("pg_dump",
                     "#!/bin/sh\n" + std::string(kPostgresBin) +
                         "/pg_dump \"$@\"\nstatus=$?\n[ \"$1\" = --version ] || PGDATABASE=postgres " +
                         kPostgresBin + "/psql -q -c \"SELECT nextval('s')\" >/dev/null\nexit $status\n",
                     0755);
  const Outcome outcome = place.bootstrap({"--pg-bin", place.folder.path(), "--remote-pg-bin", kPostgresBin});
  check_given_up(outcome, place,
                 "after the load the servers differ; database 'postgres', sequence, public.s: ");
}
