"""A clean Debian system in a folder, to install packages into: made once by debootstrap, laid under each use."""
import ctypes
import functools
import hashlib
import os
import pathlib
import re
import shutil

from .places import REPOSITORY, new_folder, run

CACHE = REPOSITORY / "build" / "package-root"
# Written by dpkg and by the tools for users themselves, whatever the package.
OF_THE_SYSTEM = re.compile(r"/var/lib/dpkg/|/var/log/|/var/cache/|/etc/(passwd|group|shadow|gshadow|sub[ug]id)-$|"
                           r"/var/lib/systemd(/|$)|/(proc|sys|run|tmp|dev)(/|$)|/etc/\.pwd\.lock$|/root/")


def mirror():
    """(suite, address) of the Debian mirror that apt uses here."""
    release = dict(line.rstrip().split("=", 1) for line in open("/etc/os-release") if "=" in line)
    suite = release["VERSION_CODENAME"].strip('"')
    known = run("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages",
                "Origin: Debian").stdout.split("\n")
    for line in known:
        of_suite, _, address = line.partition(" ")
        if of_suite == suite:
            return suite, address
    raise AssertionError(f"apt knows no Debian mirror with {suite}: {known}")


def proxy() -> dict:
    """How apt reaches its mirror from here."""
    shown = run("apt-config", "shell", "proxy", "Acquire::http::Proxy").stdout
    found = re.search(r"proxy='(.*)'", shown)
    return {"http_proxy": found.group(1)} if found else {}


def environment() -> dict:
    return {**{k: v for k, v in os.environ.items() if k.endswith("_proxy")}, **proxy(), "LC_ALL": "C", "HOME": "/root",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}


def base(kind, packages, start=None) -> pathlib.Path:
    """A root with these packages and what they depend on, in the cache; `start`: a root to begin with."""
    suite, address = mirror()
    name = hashlib.sha256(" ".join([suite, str(start), *sorted(packages)]).encode()).hexdigest()[:12]
    made = CACHE / f"{kind}-{name}"
    if not made.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob(f"{kind}-*"):  # of other dependencies, or of an attempt that was ended
            shutil.rmtree(old)
        growing = CACHE / f"{kind}-growing"
        if start:
            run("cp", "-a", "--reflink=auto", start, growing)
        else:
            run("debootstrap", "--variant=minbase", suite, growing, address, timeout=600, env=environment())
        shutil.copy("/etc/resolv.conf", growing / "etc/resolv.conf")
        chroot(growing, "apt-get", "install", "-y", "-q", "--no-install-recommends", *packages, timeout=600)
        chroot(growing, "apt-get", "clean")
        growing.rename(made)
    return made


def chroot(root, *command, check=True, timeout=120):
    return run("chroot", root, *command, check=check, timeout=timeout, env=environment())


CLONE_NEWNS = 0x00020000


@functools.lru_cache(maxsize=None)
def own_mounts():
    """From here on what this process mounts is its own, and gone with it however it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNS)")
    run("mount", "--make-rprivate", "/")


class CleanRoot:
    """The base with a layer in memory over it, for one test."""

    def __init__(self, packages, more=()):
        """`more`: packages besides those that ours depend on."""
        self.path = new_folder("root")
        made = base("clean", packages)
        if more:
            made = base("system", more, made)
        own_mounts()
        self.layer = new_folder("layer")
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.layer)
        for name in ("upper", "work"):
            (self.layer / name).mkdir()
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={made},upperdir={self.layer}/upper,workdir={self.layer}/work", self.path)
        (self.path / "packages").mkdir()

    def run(self, *command, check=True):
        return chroot(self.path, *command, check=check)

    def install(self, *packages, check=True):
        """Installs files of packages, as dpkg does it; without their dependencies it fails."""
        for package in packages:
            shutil.copy(package, self.path / "packages")
        return self.run("dpkg", "--force-confold", "-i", *(f"/packages/{p.name}" for p in packages), check=check)

    def at(self, path) -> pathlib.Path:
        """A path of the root as seen from outside."""
        return self.path / path.lstrip("/")

    def files(self) -> set:
        """Every path that is there, besides those of the system's own book-keeping."""
        found = set()
        for place, folders, files in os.walk(self.path):
            inside = place[len(str(self.path)):]
            found.update(f"{inside}/{name}" for name in (*folders, *files))
        return {path for path in found if not OF_THE_SYSTEM.match(path) and not path.startswith("/packages")}

    def users(self) -> str:
        return self.at("/etc/passwd").read_text() + self.at("/etc/group").read_text()

    def end(self):
        for mounted in (self.path, self.layer):
            run("umount", mounted)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
