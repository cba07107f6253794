"""The documentation tells the truth about the tree: every path that it names exists."""
import os
import re
import subprocess

import pytest

from harness.places import REPOSITORY, build_folder, program, programs_exist, run

PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")])
# What looks like a path of this tree: begins with one of its folders.
TOP = ("client-forwarder", "common", "docs", "scripts", "server-relay", "tests", "win32", ".ci")
PATH = re.compile(r"(?<![\w./-])((?:" + "|".join(map(re.escape, TOP)) + r")/[\w./*{},-]*[\w*}/])")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def paths_in(page) -> set:
    text = page.read_text()
    found = set()
    for match in PATH.findall(text):
        found.update(braces(match.rstrip("/.")))
    return found


def braces(path) -> list:
    """a/{b,c}.h names two files."""
    match = re.search(r"\{([^}]*)\}", path)
    if not match:
        return [path]
    return [one for part in match.group(1).split(",")
            for one in braces(path[:match.start()] + part + path[match.end():])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page):
    """Every path of this tree that a page names is there."""
    missing = [path for path in paths_in(page)
               if not (list(REPOSITORY.glob(path)) if "*" in path else (REPOSITORY / path).exists())]
    assert not missing, f"{page.name} names {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    """Relative links between the pages lead to files."""
    targets = [t for t in LINK.findall(page.read_text()) if "://" not in t and not t.startswith("mailto:")]
    missing = [t for t in targets if not (page.parent / t).exists()]
    assert not missing, f"{page.name} links to {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_flag_exists(page):
    """Every flag that a page shows behind one of our programs is one that the program knows."""
    for name in ("pgtandem-relay", "pgtandem-forwarder", "pgtandem"):
        lines = [line for line in page.read_text().replace("\\\n", " ").splitlines()
                 if re.search(rf"(?<![\w./-]){name} (?!-relay|-forwarder)", line)]
        flags = {flag for line in lines for command in re.findall(rf"(?<![\w./-]){name} ([^`|;&#]*)", line)
                 for flag in re.findall(r"(?<!\S)--([a-z][a-z-]+)", command)}
        if flags:
            known = help_text(name)
            unknown = sorted(f for f in flags if not re.search(rf"--{f}\b", known))
            assert not unknown, f"{page.name} shows {name} with {unknown}"


def help_text(name) -> str:
    texts = [run(program(name), "--help").stdout]
    if name == "pgtandem":
        for command in re.findall(r"^  ([a-z]+) {2,}", texts[0] + run(program(name), "help", check=False).stdout, re.M):
            texts.append(run(program(name), command, "--help", check=False).stdout)
    return "\n".join(texts)


def test_the_programs_are_where_the_readme_says():
    """The two commands of the README are there and can be executed."""
    for script in ("setup", "test", "demo"):
        assert os.access(REPOSITORY / "scripts" / script, os.X_OK)
    assert programs_exist("pgtandem-relay", "pgtandem-forwarder", "pgtandem"), build_folder()


def test_no_private_key_is_in_the_tree():
    """Keys are made by the tests themselves and never committed."""
    files = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False).stdout
    for name in files.split():
        path = REPOSITORY / name
        if path.is_file() and path.stat().st_size < 1 << 20:
            assert b"PRIVATE KEY-----\n" not in path.read_bytes(), name
