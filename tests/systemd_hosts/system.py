# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with an init system and a network manager that reboots (tests/hosts/host), and functions to read its state."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.patchbay.netdev.tests.integration.host import _without, dump

CLONE = Path(__file__).resolve().parents[2]
HOST = CLONE / "tests/hosts/host"
NETNS = Path("/run/netns")
SWITCH = "switch"
ADDRESS = "192.0.2.11/24"

# How each manager is configured to give eth0 its address: file, mode and text. eth1 is not configured.
MANAGERS: dict[str, list[tuple[str, int, str]]] = {
    "none": [],
    "networkd": [("/etc/systemd/network/20-eth0.network", 0o644, f"[Match]\nName=eth0\n[Network]\nAddress={ADDRESS}\n")],
    "networkmanager": [
        (
            "/etc/NetworkManager/system-connections/eth0.nmconnection",
            0o600,
            "[connection]\nid=eth0\ntype=ethernet\ninterface-name=eth0\n"
            f"[ipv4]\nmethod=manual\naddress1={ADDRESS}\n[ipv6]\nmethod=link-local\n",
        )
    ],
    "ifupdown": [("/etc/network/interfaces.d/eth0", 0o644, f"auto eth0\niface eth0 inet static\n  address {ADDRESS}\n")],
}
_CHECK = "python3 -I /usr/local/lib/patchbay/replay.pyz --check 2>&1; echo $?"
RELEASES = ("bookworm", "trixie")


def command_host(*words: str) -> str:
    """Run tests/hosts/host. The assertion shows its output if it fails."""
    done = subprocess.run([HOST, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"host {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class System:
    """A host. Only its files survive a reboot."""

    name: str
    release: str
    manager: str

    @property
    def root(self) -> Path:
        """Return its root folder as seen from outside, also while it is off, without the mounts /run, /tmp and /proc."""
        return CLONE / ".work/hosts/running" / self.name / "root"

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file, also while the host is off."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def enter(self, *command: str) -> str:
        """Return the output of a command that must succeed."""
        return command_host("enter", self.name, *command)

    def reboot(self) -> None:
        """Reboot, and wait until the host has started and its manager has configured the network."""
        command_host("reboot", self.name)
        self.wait_for_address()

    def off(self) -> None:
        """Shut the host down, and wait until it has ended."""
        command_host("off", self.name)

    def on(self) -> None:
        """Start the host, and wait as reboot does."""
        command_host("on", self.name)
        self.wait_for_address()

    def card(self, port: str) -> None:
        """Connect a network card, now and at each boot, with a MAC address that is derived from its name."""
        command_host("card", self.name, port, SWITCH)

    def pull(self, port: str) -> None:
        """Disconnect the card."""
        command_host("pull", self.name, port)

    def failed_units(self) -> list[str]:
        """Return the failed units of systemd."""
        return re.findall(r"^\S+", self.enter("systemctl", "--failed", "--plain", "--no-legend", "--no-pager"), re.MULTILINE)

    def ip(self, *words: str) -> Any:
        """Return the output of ip -d -j in the host."""
        return json.loads(self.enter("ip", "-d", "-j", *words) or "[]")

    def links(self) -> list[str]:
        """Return the names of the links in its initial namespace."""
        return [link["ifname"] for link in self.ip("link")]

    def addresses(self, name: str) -> list[str]:
        """Return the IPv4 addresses of a link."""
        [shown] = self.ip("-4", "address", "show", "dev", name) or [{"addr_info": []}]
        return [f"{item['local']}/{item['prefixlen']}" for item in shown.get("addr_info", [])]

    def wait_for_address(self) -> None:
        """Wait until the manager has applied its files."""
        wait_until(lambda: self.manager == "none" or self.addresses("eth0") == [ADDRESS], f"eth0 got no {ADDRESS}")

    # --- Ansible ---

    def run(self, module: str, /, check: bool = False, **params: Any) -> dict[str, Any]:
        """Return the result of a module that Ansible runs in the host, with the host's own Python.

        For command modules, use play.
        """
        words = ["--one-line", "--module-name", module, "--args", json.dumps(params), *(["--check", "--diff"] if check else [])]
        done = self._ansible("ansible", self.name, *words)
        found = re.search(r"^\S+ \| [^\n]*? => (\{.*)", done.stdout, re.MULTILINE)
        assert found, done.stdout
        return {**json.loads(found[1]), **({"failed": True} if done.returncode else {})}

    def apply(self, module: str, /, **params: Any) -> dict[str, Any]:
        """Run a module that must succeed."""
        result = self.run(module, **params)
        assert not result.get("failed"), result
        return result

    def play(self, tasks: Sequence[Mapping[str, Any]], *words: str) -> str:
        """Return the output of a playbook with these tasks, which must succeed."""
        playbook = self.root.parent / "playbook.yml"  # its own file, because tests run concurrently
        playbook.write_text(json.dumps([{"hosts": self.name, "gather_facts": False, "tasks": list(tasks)}]))
        done = self._ansible("ansible-playbook", "--diff", *words, str(playbook))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _ansible(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "ANSIBLE_CONNECTION_PLUGINS": str(HOST.parent / "connection"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_DEPRECATION_WARNINGS": "false",
        }
        variables = {"ansible_connection": "host", "ansible_python_interpreter": "/usr/bin/python3"}
        command = [sys.executable, str(Path(sys.executable).with_name(program)), "--inventory", f"{self.name},"]
        command += ["--extra-vars", json.dumps(variables), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **settings})

    # --- comparisons ---

    def dump(self) -> dict[str, Any]:
        """Return the output of ip for all namespaces after duplicate address detection, without numbers that change at a boot."""
        with self._namespaces_here() as names:
            wait_until(lambda: not any(_tentative(name) for name in names), "an address is still being checked")
            return _without(dump(names), {"ifindex", "link_index"})

    @contextlib.contextmanager
    def _namespaces_here(self) -> Iterator[list[str]]:
        """Give all namespaces of the host temporary names in this one. A name keeps a namespace alive."""
        process = Path("/proc") / (self.root.parent / "process").read_text().strip()
        theirs = process / "root/run/netns"
        sources = {self.name: process / "ns/net"}
        sources |= {f"{self.name}.{each.name}": each for each in sorted(theirs.iterdir())} if theirs.exists() else {}
        with contextlib.ExitStack() as undo:
            for name, source in sources.items():
                (NETNS / name).touch()
                undo.callback((NETNS / name).unlink)
                subprocess.run(["mount", "--bind", source, NETNS / name], check=True)
                undo.callback(subprocess.run, ["umount", NETNS / name], check=True)
            yield list(sources)


def _tentative(netns: str) -> str:
    command = ["ip", "-n", netns, "-oneline", "-6", "address", "show", "tentative"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wait_until(done: Any, otherwise: str, seconds: float = 10) -> None:
    """Wait until a condition is true, for at most this many seconds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, otherwise
        time.sleep(0.05)


@contextlib.contextmanager
def pinged(system: System) -> Iterator[list[int]]:
    """Ping the address of eth0 from the switch in this context, and count requests and replies."""
    command = [HOST, "enter", SWITCH, "timeout", "--signal=INT", "300", "ping", "-n", "-i", "0.05", ADDRESS.partition("/")[0]]
    answers: list[int] = []
    wait_until(lambda: system.enter("cat", "/sys/class/net/eth0/carrier") == "1\n", "eth0 has no carrier")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        while "bytes from" not in asking.stdout.readline():
            pass
        yield answers
        (pid,) = re.findall(r"\d+", command_host("enter", SWITCH, "pidof", "ping"))
        command_host("enter", SWITCH, "kill", "-INT", pid)
        text, _none = asking.communicate(timeout=10)
    (counted,) = re.findall(r"(\d+) packets transmitted, (\d+) received", text)
    answers += map(int, counted)


def index(system: System, name: str) -> int:
    """Return the index, which is different for a recreated link."""
    return int(system.enter("cat", f"/sys/class/net/{name}/ifindex"))


@contextlib.contextmanager
def monitored(system: System, name: str) -> Iterator[list[str]]:
    """Record the addresses of a link that were deleted in this context, and the deletion of the link itself."""
    lost: list[str] = []
    command = "ip -o monitor link address >/root/monitor 2>&1 & echo $! >/root/monitor.pid"
    system.enter("sh", "-c", command)
    time.sleep(0.2)
    yield lost
    time.sleep(0.5)
    system.enter("sh", "-c", "kill $(cat /root/monitor.pid)")
    lines = (system.root / "root/monitor").read_text().splitlines()
    lost += [line for line in lines if line.startswith("Deleted") and f" {name}" in line]


def files(system: System) -> list[str]:
    """Return all files in folders with configuration."""
    listed = "find /etc /usr/local -printf '%p %y %m %u:%g %l\\n'; find /etc /usr/local -type f -exec md5sum {} +"
    return sorted(line for line in system.enter("sh", "-c", listed).splitlines() if "/etc/.pwd.lock" not in line)


def check(system: System) -> tuple[str, int]:
    """Return the output and the exit status of the boot program with --check."""
    *said, status = system.enter("sh", "-c", _CHECK).splitlines()
    return "\n".join(said), int(status)


@contextlib.contextmanager
def made_system(release: str, manager: str, name: str = "n1") -> Iterator[System]:
    """Create a host with eth0 and eth1 on the switch, and wait until it has started and its network is configured."""
    system = System(name, release, manager)
    command_host("install", name, release, manager)
    try:
        for port in ("eth0", "eth1"):
            system.card(port)
        for path, mode, text in MANAGERS[manager]:
            system.put(path, text, mode)
        system.on()
        yield system
    finally:
        command_host("stop", name)
