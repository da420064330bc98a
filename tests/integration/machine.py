# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with its own disk, whose kernel state is lost at a reboot, so that only the files on its disk are restored."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.patchbay.netdev.tests.integration.host import (
    CLONE,
    enter_process,
    hosts,
    ip_batch,
    lasting,
    run_in_child,
)

FOLDER = "/etc/patchbay/replay.d"
ENGINE = "/usr/local/lib/patchbay/replay.pyz"
COMMAND = f"/usr/bin/python3 -I {ENGINE}"
CARDS = ("eth0", "eth1")
NUMBERS = ("ifindex", "link_index")  # the kernel starts counting again
numbers = itertools.count(1)  # for unique names of hosts and cables


@dataclass(frozen=True)
class Machine:
    """A host with two network cards that can lose its power."""

    name: str

    @property
    def process(self) -> int:
        """Return the first process of the host."""
        return int((CLONE / f".work/hosts/running/{self.name}/process").read_text())

    def path(self, path: str) -> Path:
        """Return the path of a file of the host."""
        return Path(f"/proc/{self.process}/root{path}")

    def sh(self, command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell command."""
        return hosts("enter", self.name, "sh", "-euc", command, check=check)

    def plug(self, *cards: str) -> None:
        """Connect network cards. The other end of each cable belongs to another host."""
        self.sh("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad")
        wire = int((CLONE / ".work/hosts/running/wire/process").read_text())
        for card in cards:
            mac = f"02:00:00:00:01:{card[-1:]:0>2}"
            ip_batch(f"link add {card} netns {self.process} address {mac} type veth peer name p{next(numbers)} netns {wire}")
            self.sh(
                f"ip link set {card} up; ip link set {card} down"
            )  # its first start would change its queueing discipline permanently
        hosts("enter", "wire", "sh", "-c", "for link in /sys/class/net/p*; do ip link set ${link##*/} up; done")

    def reboot(self, *cards: str) -> None:
        """Delete the kernel state, keep the disk, and connect the network cards again."""
        hosts("restart", self.name)
        self.plug(*(cards or CARDS))

    def replay(self, *words: str) -> tuple[int, list[str]]:
        """Run the boot program, and return its exit status and output."""
        done = self.sh(f"{COMMAND} {' '.join(words)}", check=False)
        assert done.stdout == ""
        return done.returncode, done.stderr.splitlines()

    def check(self) -> tuple[int, list[str]]:
        """Run the boot program with --check and without write access."""
        return self.sealed(f"{COMMAND} --check")

    def sealed(self, command: str) -> tuple[int, list[str]]:
        """Run a command without CAP_NET_ADMIN, and with a read-only disk and a read-only /proc/sys."""
        readonly = "mount --make-rprivate / && mount -o remount,bind,ro / && mount -o remount,bind,ro /proc/sys/net"
        script = f"{readonly} && exec setpriv --bounding-set -net_admin --inh-caps -net_admin -- {command}"
        done = self.sh(f"unshare --mount sh -euc '{script}'", check=False)
        return done.returncode, done.stderr.splitlines()

    def run(
        self, module: str, /, check: bool = False, inside: Callable[[], None] = lambda: None, **params: Any
    ) -> dict[str, Any]:
        """Return the result of a module that runs on this host. inside: a function that its process calls before."""

        def enter() -> None:
            enter_process(self.process)
            inside()

        return run_in_child(enter, module, params, check)

    def apply(self, module: str, /, **params: Any) -> dict[str, Any]:
        """Run a module that must succeed."""
        result = self.run(module, **params)
        assert not result.get("failed"), result
        return result

    def kernel(self) -> dict[str, Any]:
        """Return all output of ip for all namespaces, without numbers that the kernel assigns anew."""
        names = self.sh("ls /run/netns 2>/dev/null || :").stdout.split()
        shows = [
            (name, words)
            for name in ["", *names]
            for words in ("link", "address", "-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule")
        ]
        # all in one shell, because entering the host takes longer than the commands; one line each, also if ip prints nothing
        commands = [f'shown=$(ip {f"-n {name}" if name else ""} -d -j {words}); echo "$shown"' for name, words in shows]
        lines = self.sh("\n".join(commands)).stdout.split("\n")[:-1]
        assert len(lines) == len(shows), lines
        found: dict[str, Any] = {"namespaces": names}
        for (name, words), line in zip(shows, lines):
            shown = [item for item in json.loads(line or "[]") if item.get("type") != "multicast"]
            found[f"{name} {words}"] = sorted(lasting(shown, *NUMBERS), key=str)
        return found

    def settled(self) -> dict[str, Any]:
        """Return the kernel state when two consecutive readings are equal."""
        end = time.monotonic() + 10
        now = self.kernel()
        while time.monotonic() < end:
            time.sleep(0.2)
            before, now = now, self.kernel()
            if now == before and "tentative" not in str(now):
                return now
        raise AssertionError("it does not come to rest")

    def disk(self) -> dict[str, Any]:
        """Return type, owner and content of each file below /etc and /usr/local."""
        found = {}
        for top in ("/etc", "/usr/local"):
            for folder, folders, files in os.walk(self.path(top)):
                for name in [*folders, *files]:
                    path = os.path.join(folder, name)
                    state = os.lstat(path)
                    content: Any = None
                    if stat.S_ISLNK(state.st_mode):
                        content = os.readlink(path)
                    elif stat.S_ISREG(state.st_mode):
                        small = state.st_size < 1 << 16 or "patchbay" in path
                        content = hashlib.sha256(Path(path).read_bytes()).hexdigest() if small else state.st_mtime_ns
                    place = path.split("/root", 1)[1]
                    found[place] = (oct(state.st_mode), state.st_uid, state.st_gid, content)
        return found

    def declared(self) -> list[str]:
        """Return the names of the declarations."""
        return sorted(path.stem for path in self.path(FOLDER).glob("*"))


def mac(number: int) -> str:
    """Return a MAC address for tests."""
    return f"02:00:00:00:02:{number:02x}"
