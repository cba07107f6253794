"""What an installation lays out: files, units, manual pages, completions."""
import gzip
import os
import pathlib
import pty
import re
import select
import shutil
import time

import pytest

from harness.places import REPOSITORY, build_folder, new_folder, program, run

PROGRAMS = ("pgtandem-relay", "pgtandem-forwarder", "pgtandem")
PAGES = ("pgtandem-relay.8", "pgtandem-forwarder.8", "pgtandem.1", "pgtandem.toml.5")
UNITS = ("pgtandem-relay", "pgtandem-forwarder")
COMPLETION = REPOSITORY / "scripts" / "completion"
MOST_EXPOSED = 15  # tenths: what `systemd-analyze security` may say of a unit


@pytest.fixture(scope="module")
def prefix():
    """An installation by `cmake --install` below a prefix of its own."""
    folder = new_folder("installed") / "usr" / "local"
    run("cmake", "--install", build_folder(), "--prefix", folder)
    return folder


# Files.
def test_an_installation_lies_below_its_prefix(prefix):
    """`cmake --install` writes where GNU's conventions say, and nothing outside of its prefix."""
    for name in PROGRAMS:
        assert run(prefix / "bin" / name, "--version").stdout.startswith(name)
        assert (prefix / "share/bash-completion/completions" / name).is_file()
        assert (prefix / "share/zsh/site-functions" / f"_{name}").is_file()
    for page in PAGES:
        assert (prefix / "share/man" / f"man{page[-1]}" / f"{page}.gz").is_file()
    for unit in UNITS:
        assert (prefix / "lib/systemd/system" / f"{unit}.service").is_file()
        assert (prefix / "lib/sysusers.d" / f"{unit}.conf").is_file()
        assert (prefix / "share/doc" / unit / "examples/pgtandem.toml").is_file()
    assert os.access(prefix / "share/pgtandem/bootstrap-standby", os.X_OK)
    listed = {pathlib.Path(line) for line in (build_folder() / "install_manifest.txt").read_text().split()}
    assert listed and all(path.is_relative_to(prefix) for path in listed)


def test_one_program_can_be_installed_alone():
    """The forwarder's component brings nothing of the relay."""
    folder = new_folder("installed")
    run("cmake", "--install", build_folder(), "--prefix", folder, "--component", "forwarder")
    assert sorted(os.listdir(folder / "bin")) == ["pgtandem-forwarder"]
    assert os.listdir(folder / "lib/systemd/system") == ["pgtandem-forwarder.service"]


def test_the_bootstrap_script_finds_the_installed_tool(prefix):
    """bootstrap-standby runs the `pgtandem` of the PATH."""
    done = run(prefix / "share/pgtandem/bootstrap-standby", "--help",
               env={"PATH": f"{prefix}/bin:/usr/bin:/bin", "HOME": "/nonexistent"})
    assert "pgtandem bootstrap" in done.stdout


# Units.
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong_with_the_unit(prefix, unit):
    """`systemd-analyze verify` says nothing about the unit."""
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
               prefix / "lib/systemd/system" / f"{unit}.service", check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "pgtandem" in line]
    assert done.returncode == 0 and not said, done.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_the_sandbox_is_tight(prefix, unit):
    """`systemd-analyze security` gives at most 1.5."""
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}",
               prefix / "lib/systemd/system" / f"{unit}.service", check=False)
    level = re.search(r"Overall exposure level for .*?: ([\d.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert done.returncode == 0 and float(level.group(1)) * 10 <= MOST_EXPOSED, done.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_says_what_a_service_needs(prefix, unit):
    """Readiness, watchdog, restart, reload, folders and a user of its own; the program is that of the prefix."""
    text = (prefix / "lib/systemd/system" / f"{unit}.service").read_text()
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert settings["Type"] == "notify" and int(settings["WatchdogSec"]) > 0
    assert settings["Restart"] == "on-failure" and settings["StartLimitIntervalSec"] == "0"
    assert settings["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert settings["ExecStart"].split()[0] == f"{prefix}/bin/{unit}"
    user = "pgtandem" if unit == "pgtandem-relay" else unit
    assert settings["User"] == settings["StateDirectory"] == settings["LogsDirectory"] == user
    assert settings["ConfigurationDirectory"] == "pgtandem"
    users = (prefix / "lib/sysusers.d" / f"{unit}.conf").read_text().split()
    assert users[:2] == ["u", user]


def test_sysusers_makes_the_users(prefix):
    """Without a package's scripts, systemd-sysusers makes the users of both units."""
    root = new_folder("users")
    (root / "etc").mkdir()
    run("systemd-sysusers", f"--root={root}", *(prefix / "lib/sysusers.d" / f"{unit}.conf" for unit in UNITS))
    users = {line.split(":")[0]: line.split(":")[5:] for line in (root / "etc/passwd").read_text().splitlines()}
    assert users["pgtandem"] == ["/var/lib/pgtandem", "/usr/sbin/nologin"]
    assert users["pgtandem-forwarder"] == ["/var/lib/pgtandem-forwarder", "/usr/sbin/nologin"]


# Manual pages.
@pytest.mark.parametrize("page", PAGES)
def test_mandoc_has_no_complaint(page):
    """`mandoc -T lint` finds nothing; pages that are referred to are ours or known ones of others."""
    known = {"logrotate 8", "sd_notify 3", "systemd 1"} | {f"{p.rpartition('.')[0]} {p[-1]}" for p in PAGES}
    complaints = []
    for line in run("mandoc", "-T", "lint", REPOSITORY / "docs/man" / page, check=False).stdout.splitlines():
        reference = re.search(r"referenced manual not found: Xr (\S+ \d)", line)
        if not reference or reference.group(1) not in known:
            complaints.append(line)
    assert not complaints, "\n".join(complaints)


def test_the_pages_repeat_what_stands_elsewhere():
    """Settings and commands in the manual pages are those of docs/configuration.md and of the tool's --help."""
    run(REPOSITORY / "scripts/man-pages", "--check", "--build", build_folder())


def help_texts(name) -> dict:
    """The --help of a program, and of each command of the tool by its name."""
    texts = {"": run(program(name), "--help").stdout}
    commands = re.search(r"^Commands.*?:\n((?:  .*\n)+)", texts[""], re.M)
    for command in re.findall(r"^  (\S+)", commands.group(1), re.M) if commands else ():
        texts[command] = run(program(name), command, "--help").stdout
    return texts


def flags_of(shown) -> set:
    return set(re.findall(r"^ {2,6}(?:-\w, )?(--[a-z-]+)", shown, re.M))


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_flag_stands_in_the_manual_page(prefix, name):
    """Every flag and command of --help stands in the installed page, and the page names no flag besides."""
    [page] = (prefix / "share/man").glob(f"man?/{name}.[18].gz")
    with gzip.open(page) as compressed:
        source = page.with_suffix("").name
        file = new_folder("page") / source
        file.write_bytes(compressed.read())
    shown = re.sub(".\x08", "", run("mandoc", "-T", "ascii", file).stdout)
    texts = help_texts(name)
    flags = set().union(*map(flags_of, texts.values()))
    assert len(flags) > 10
    missing = {flag for flag in flags if not re.search(rf"{flag}\b(?!-)", shown)}
    assert not missing
    assert all(re.search(rf"^ +{command}\b", shown, re.M) for command in texts if command)
    allowed = flags | {f"--{flag}" for flag in re.findall(r"`--([a-z-]+)`", (REPOSITORY / "docs/configuration.md").read_text())}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", shown)) <= allowed


# Completions.
def complete_in_bash(*words) -> set:
    """What bash offers for the last of these words."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pgtandem "$1"; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return set(run("bash", "-c", script, "bash", COMPLETION / "pgtandem.bash", *words).stdout.split())


@pytest.mark.parametrize("name", PROGRAMS)
def test_bash_offers_every_flag(name):
    """Every flag of --help, with those of the command that was given."""
    for command, shown in help_texts(name).items():
        words = [program(name), *([command] if command else []), "--"]
        offered = complete_in_bash(*words)
        assert flags_of(shown) <= offered, f"{name} {command}"
        assert offered == flags_of(shown) | flags_of(run(program(name), "--help").stdout)


def test_bash_offers_commands_words_and_files():
    """Commands of the tool, words of a setting in both spellings, files of a path; and nothing that does not fit."""
    relay, tool = program("pgtandem-relay"), program("pgtandem")
    assert complete_in_bash(tool, "pro") == {"promote"}
    assert complete_in_bash(relay, "--ack", "") == {"both", "master"}
    assert complete_in_bash(relay, "--ack", "=") == {"both", "master"}
    assert complete_in_bash(relay, "--ack", "=", "b") == {"both"}
    assert complete_in_bash(tool, "promote", "--node", "") == {"a", "b"}
    folder = new_folder("files")
    (folder / "settings.toml").touch()
    assert complete_in_bash(relay, "--config", f"{folder}/") == {f"{folder}/settings.toml"}
    assert complete_in_bash(relay, "-c", f"{folder}/") == {f"{folder}/settings.toml"}
    assert complete_in_bash(relay, "--stop-timeout", "") == set()
    assert complete_in_bash(tool, "promote", "prom") == set()
    assert complete_in_bash(tool, "witness", "r") == {"remove"}
    assert complete_in_bash(tool, "witness", "add", "r") == set()
    assert "--endpoints" in complete_in_bash(tool, "witness", "add", "--en")


@pytest.mark.parametrize("name", PROGRAMS)
def test_zsh_offers_every_flag(name):
    """The same of zsh's list, from which its completion offers."""
    for command, shown in help_texts(name).items():
        script = 'source $1; shift; _pgtandem_flags "$("$@" --help)"'
        lines = run("zsh", "-fc", script, "zsh", COMPLETION / "pgtandem.zsh", program(name), *([command] if command else []))
        assert {line.split(":")[0] for line in lines.stdout.splitlines()} == flags_of(shown), f"{name} {command}"


class Zsh:
    """An interactive zsh with our completion, on a terminal of its own."""

    def __init__(self):
        folder = new_folder("zsh")
        for name in PROGRAMS:
            shutil.copy(COMPLETION / "pgtandem.zsh", folder / f"_{name}")
            (folder / name).symlink_to(program(name))
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {"PATH": f"{folder}:/usr/bin:/bin", "TERM": "dumb", "HOME": str(folder),
                                                    "PS1": "", "LC_ALL": "C.UTF-8"})
        self.type(f"unsetopt zle_bracketed_paste; fpath=({folder} $fpath); autoload -U compinit; compinit -D -u; print RE''ADY\n")
        self.read("READY")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def read(self, until, timeout=20) -> str:
        seen, deadline = "", time.monotonic() + timeout
        while not re.search(until, seen):
            assert time.monotonic() < deadline, f"zsh does not show {until}: {seen!r}"
            if select.select([self.terminal], [], [], 0.1)[0]:
                seen += os.read(self.terminal, 4096).decode(errors="replace")
        return seen

    def completed(self, line) -> str:
        """The line after the tabulator: moved to its beginning, it is printed instead of run."""
        self.type(f"{line}\t\x01print -r -- RE''SULT \x05 EN''D\n")
        return re.search(r"RESULT (.*?) +END", self.read(r"RESULT .*END")).group(1).strip()

    def close(self):
        self.type("\x03\nexit\n")
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


def test_zsh_completes():
    """Flags, words of a setting, commands and files, typed into an interactive zsh."""
    zsh = Zsh()
    try:
        assert zsh.completed("pgtandem-relay --takeover-t") == "pgtandem-relay --takeover-timeout"
        assert zsh.completed("pgtandem-relay --ack m") == "pgtandem-relay --ack master"
        assert zsh.completed("pgtandem-relay --ack=m") == "pgtandem-relay --ack=master"
        assert zsh.completed("pgtandem promo") == "pgtandem promote"
        assert zsh.completed("pgtandem promote --other-host") == "pgtandem promote --other-host-is-off"
        assert zsh.completed("pgtandem witness rem") == "pgtandem witness remove"
        assert zsh.completed("pgtandem witness remove --endp") == "pgtandem witness remove --endpoints"
        assert zsh.completed("pgtandem-forwarder --conn") == "pgtandem-forwarder --connect-wait"
        assert zsh.completed("pgtandem-forwarder --config _pgtandem-f") == "pgtandem-forwarder --config _pgtandem-forwarder"
    finally:
        zsh.close()
