"""A clean Debian system with its own systemd, booted in namespaces of its own: units run as on a real host."""
import os
import signal
import subprocess
import uuid

from .clean_root import CleanRoot, environment
from .places import run
from .process import alive, descendants
from .waiting import wait_until

# Its own mounts, network, processes and control groups. The last of them needs a group to begin with.
BOOT = r"""
set -e
root=$1 group=$2
mount --make-rprivate /
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mkdir "$root/sys/fs/cgroup/$group"
echo $$ > "$root/sys/fs/cgroup/$group/cgroup.procs"
umount "$root/sys/fs/cgroup"
exec unshare --uts --ipc --net --cgroup --pid --mount --fork --kill-child bash -ec '
  mount --bind "$1" "$1"
  cd "$1"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755 tmpfs run
  mount -t tmpfs -o mode=1777 tmpfs tmp
  pivot_root . mnt
  umount -l /mnt
  exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=null --show-status=no
' bash "$root"
"""
SWEEP = r"""
mount --make-rprivate /
mount -t cgroup2 cgroup2 /mnt
find "/mnt/$1" -depth -type d -exec rmdir {} +
"""


class BootedSystem(CleanRoot):
    def __init__(self, packages, more=()):
        super().__init__(packages, ["systemd", "systemd-sysv", "procps", *more])
        (self.path / "sys/fs").mkdir(exist_ok=True)
        (self.path / "sys/fs/cgroup").mkdir(exist_ok=True)
        # A boot that asks for nothing but what is being tested.
        run("systemctl", f"--root={self.path}", "mask", "getty.target", "console-getty.service", "systemd-resolved.service")
        self.group = f"pgtandem-test-{uuid.uuid4().hex[:8]}"
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "bash", "-c", BOOT, "bash", self.path, self.group],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
        self.init = None
        try:
            wait_until(self._booted, 60, "systemd to be running")
        except AssertionError as failure:
            self.process.kill()
            raise AssertionError(f"{failure}\n{self.process.communicate()[0]}") from None

    def _booted(self):
        """The first process of the new system, when it has started what it should."""
        assert self.process.poll() is None, "the boot failed"
        for pid in descendants(self.process.pid):
            with open(f"/proc/{pid}/comm", encoding="utf-8") as name:
                if name.read() == "systemd\n" and self.init is None:
                    self.init = pid
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip() if self.init else "none"
        assert state in ("running", "degraded"), state
        return True

    def run(self, *command, check=True):
        """Inside of the running system; before it runs, or without it, in its files."""
        if self.init is None:
            return super().run(*command, check=check)
        return run("nsenter", "-t", self.init, "-a", "--", *command, check=check, env=environment())

    def shell(self, script, check=True) -> str:
        return self.run("bash", "-ec", script, check=check).stdout

    def show(self, unit, name) -> str:
        """A property of a unit as systemd has it."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def as_postgres(self, *command) -> str:
        return self.run("runuser", "-u", "postgres", "--", *command).stdout

    def end(self):
        if self.process.poll() is None:
            family = descendants(self.process.pid)
            os.kill(self.init or self.process.pid, signal.SIGKILL)
            self.process.wait(20)
            wait_until(lambda: not any(map(alive, family)), 20, "the system to be gone")
        self.process.stdout.close()
        run("unshare", "--mount", "bash", "-ec", SWEEP, "bash", self.group, check=False)
        super().end()
