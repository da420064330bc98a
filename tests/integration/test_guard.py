# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of the management path over real ssh: what is refused would have cut the connection, and does when it is allowed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CLONE = Path(__file__).resolve().parents[2]
MODULES = "ansible_collections.patchbay.netdev.plugins.modules"
CONTROLLER = "192.0.2.9"
CONTROLLER_MAC = "02:00:00:00:00:09"
MEANT = ". Write allow_lockout: true if that is meant"
RESULT = "/run/result"

_numbers = itertools.count(1)


def hosts(*words: str, given: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """tests/hosts/host, which ends soon whatever happens."""
    command = [str(CLONE / "tests/hosts/host"), *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done


@dataclass(frozen=True)
class Managed:
    """A host with a card, eth0, that a controller reaches by ssh at this address."""

    name: str
    address: str
    mac: str

    def here(self, command: str) -> str:
        """Run a shell command on the host, as somebody who sits there."""
        return hosts("enter", self.name, "sh", "-euc", command).stdout

    def alive(self) -> bool:
        """Whether the controller reaches it: the first answers decide."""
        ping = ["ping", "-q", "-n", "-c", "3", "-i", "0.2", "-W", "1", self.address]
        return hosts("enter", "controller", *ping, check=False).returncode == 0

    def run(self, module: str, /, through: str = "{}", **params: Any) -> dict[str, Any]:
        """The result of a module that runs over ssh, while the connection lasts; through: a command line around it."""
        with self._begun(through.format(f"{_python()} -m {MODULES}.{module}"), params) as process:
            output, errors = process.communicate(timeout=30)
        assert output, errors
        return dict(json.loads(output))

    def cut(self, module: str, /, **params: Any) -> dict[str, Any]:
        """The result of a module that runs over ssh and that the connection does not outlive."""
        command = f"{_python()} -m {MODULES}.{module} >{RESULT}.part; mv {RESULT}.part {RESULT}"
        with self._begun(command, {**params, "allow_lockout": True}):
            end = time.monotonic() + 30
            while hosts("enter", self.name, "test", "-e", RESULT, check=False).returncode:
                assert time.monotonic() < end, "the module did not end"
                time.sleep(0.05)
        return dict(json.loads(self.here(f"cat {RESULT}; rm {RESULT}")))

    def local(self, module: str, /, **params: Any) -> dict[str, Any]:
        """The result of a module that somebody at the host runs."""
        command = [_python(), "-m", f"{MODULES}.{module}"]
        return dict(json.loads(hosts("enter", self.name, *command, given=_arguments(params), check=False).stdout))

    @contextlib.contextmanager
    def _begun(self, command: str, params: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
        ssh = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", self.address, command]
        process = subprocess.Popen(
            [str(CLONE / "tests/hosts/host"), "enter", "controller", *ssh],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                assert process.stdin is not None
                process.stdin.write(_arguments(params))
                process.stdin.close()
                process.stdin = None
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def _python() -> str:
    """The interpreter of these tests, which a host has at the same place."""
    return shlex.quote(sys.executable)


def _arguments(params: dict[str, Any]) -> str:
    return json.dumps({"ANSIBLE_MODULE_ARGS": {**params, "_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False}})


@pytest.fixture(scope="module", autouse=True)
def controller() -> Iterator[None]:
    """A switch, and a controller on it."""
    hosts("switch", "switch", "192.0.2.1/24")
    hosts("start", "controller")
    hosts("cable", "switch", "controller", f"{CONTROLLER}/24", CONTROLLER_MAC)
    yield
    hosts("stop", "controller", "switch")


def plugged() -> Managed:
    """A new host, with its cable plugged in."""
    number = next(_numbers)
    made = Managed(f"managed{number}", f"192.0.2.{20 + number}", f"02:00:00:00:01:{number:02x}")
    hosts("start", made.name)
    hosts("cable", "switch", made.name, f"{made.address}/24", made.mac)
    return made


@pytest.fixture
def managed() -> Iterator[Managed]:
    """A host that the controller reaches; it is thrown away."""
    made = plugged()
    try:
        hosts("ssh", "controller", made.name, made.address)
        yield made
    finally:
        hosts("stop", made.name)


@dataclass(frozen=True)
class Cut:
    """What cuts the connection, how the guard calls it, and what was there before (shell commands).

    learns: whether the controller takes a new MAC from an ARP request; a switch with port security does not.
    """

    module: str
    params: dict[str, Any]
    told: str
    before: str = ":"
    learns: bool = True


ON_ETH0 = f", and the connection from {CONTROLLER} uses eth0"
MAC = "02:00:00:00:00:77"

CUTS = {
    "passthru that is down": Cut(
        "macvlan",
        {"name": "mv0", "lower_device": "eth0", "mode": "passthru"},
        "create mv0: macvlan on eth0, mode passthru: that would cut this host off: in mode passthru it takes eth0 over" + ON_ETH0,
    ),
    "macvtap passthru that is down": Cut(
        "macvtap",
        {"name": "mt0", "lower_device": "eth0", "mode": "passthru"},
        "create mt0: macvtap on eth0, mode passthru: that would cut this host off: in mode passthru it takes eth0 over" + ON_ETH0,
    ),
    "passthru in another namespace": Cut(
        "macvlan",
        {"name": "mv0", "netns": "room", "lower_device": "eth0", "mode": "passthru", "admin_state": "up"},
        "create mv0 in netns room: macvlan on eth0, mode passthru, admin_state up: that would cut this host off: "
        "in mode passthru it takes eth0 over" + ON_ETH0,
        before="ip netns add room",
    ),
    "source list that consumes": Cut(
        "macvlan",
        {"name": "mv0", "lower_device": "eth0", "mode": "source", "nodst": True, "source_addresses": [CONTROLLER_MAC]},
        f"create mv0: macvlan on eth0, mode source, nodst true, source_addresses [{CONTROLLER_MAC}]: "
        "that would cut this host off: with nodst it takes frames away from eth0" + ON_ETH0,
    ),
    "nodst set later": Cut(
        "macvlan",
        {"name": "mv0", "nodst": True},
        "set mv0: nodst false -> true: that would cut this host off: with nodst it takes frames away from eth0" + ON_ETH0,
        before=f"ip link add mv0 link eth0 type macvlan mode source; ip link set mv0 type macvlan macaddr add {CONTROLLER_MAC}",
    ),
    "controller put on a list that consumes": Cut(
        "macvlan",
        {"name": "mv0", "source_addresses": [MAC, CONTROLLER_MAC]},
        f"set mv0: source_addresses [{MAC}] -> [{CONTROLLER_MAC}, {MAC}]: that would cut this host off: "
        "with nodst it takes frames away from eth0" + ON_ETH0,
        before=f"ip link add mv0 link eth0 type macvlan mode source nodst; ip link set mv0 type macvlan macaddr add {MAC}",
    ),
    "passthru goes down": Cut(
        "macvlan",
        {"name": "mv0", "admin_state": "down"},
        "set mv0: admin_state up -> down: that would cut this host off: mv0 goes down"
        f", and the connection from {CONTROLLER} uses eth0, mv0",
        before="ip link add mv0 link eth0 type macvlan mode passthru; ip link set mv0 up",
    ),
    "down": Cut(
        "link",
        {"name": "eth0", "admin_state": "down"},
        "set eth0: admin_state up -> down: that would cut this host off: eth0 goes down" + ON_ETH0,
    ),
    "MAC": Cut(
        "link",
        {"name": "eth0", "address": MAC},
        "set eth0: address {mac} -> " + MAC + ": that would cut this host off: the MAC of eth0 changes" + ON_ETH0,
        learns=False,  # the host's own next ARP request would tell the controller at once
    ),
    "bridge that is down": Cut(
        "bridge_port",
        {"port": "eth0", "bridge": "br0"},
        'set eth0: controller "" -> br0: that would cut this host off: eth0 is attached to br0' + ON_ETH0,
        before="ip link add br0 type bridge",
    ),
    "deleted": Cut(
        "veth",
        {"name": "eth0", "state": "absent"},
        "delete eth0: that would cut this host off: eth0 goes" + ON_ETH0,
    ),
}


@pytest.mark.parametrize("name", CUTS)
def test_cut(managed: Managed, name: str) -> None:
    """Refused, and the connection lives; allowed, and it is dead."""
    case = CUTS[name]
    managed.here(case.before)
    if not case.learns:
        known = ["ip", "neigh", "replace", managed.address, "lladdr", managed.mac, "nud", "permanent", "dev", "eth0"]
        hosts("enter", "controller", *known)
    assert managed.alive()
    links = "ip -d link; ip address"
    state = _steady(managed.here(links))
    for check in (True, False):
        refused = managed.run(case.module, **case.params, _ansible_check_mode=check)
        assert refused.get("failed"), refused
        assert refused["msg"] == case.told.replace("{mac}", managed.mac) + MEANT
    assert _steady(managed.here(links)) == state
    assert managed.alive()
    told = managed.run(case.module, **case.params, _ansible_check_mode=True, allow_lockout=True)
    assert told.get("changed"), told
    assert managed.alive(), "check mode did it"
    done = managed.cut(case.module, **case.params)
    assert done.get("changed"), done
    assert done["operations"] == told["operations"]
    assert not managed.alive()


def _steady(shown: str) -> str:
    """What ip shows, without what changes by itself."""
    return re.sub(r"promiscuity \d+|(valid|preferred)_lft \w+|tentative *", "", shown)


def test_repaired(managed: Managed) -> None:
    """What was cut comes back when the change is taken back: it was this change that cut it."""
    passthru = {"name": "mv0", "lower_device": "eth0", "mode": "passthru"}
    managed.cut("macvlan", **passthru)
    assert not managed.alive()
    assert managed.local("macvlan", name="mv0", state="absent")["changed"]
    assert managed.alive()
    assert managed.run("macvlan", **passthru)["failed"], "and the guard is there again"


@pytest.mark.parametrize(
    ("module", "params"),
    [
        ("macvlan", {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "admin_state": "up"}),
        ("macvlan", {"name": "mv0", "lower_device": "eth0", "mode": "source", "source_addresses": [CONTROLLER_MAC]}),
        ("macvtap", {"name": "mt0", "lower_device": "eth0", "mode": "vepa", "admin_state": "up"}),
        ("macvlan", {"name": "mv0", "lower_device": "eth1", "mode": "passthru"}),
        ("link", {"name": "eth1", "admin_state": "down"}),
        ("link", {"name": "eth0", "alias": "uplink"}),
        ("veth", {"name": "eth1", "state": "absent"}),
    ],
)
def test_what_cuts_nothing(managed: Managed, module: str, params: dict[str, Any]) -> None:
    """Done without being asked twice, and the connection lives on."""
    managed.here("ip link add eth1 type veth peer name far1; ip link set eth1 up")
    done = managed.run(module, **params)
    assert done.get("changed"), done
    assert managed.alive()


DOWN = {"name": "eth0", "admin_state": "down"}


def test_path_over_a_macvlan() -> None:
    """The address is on a macvlan: it and the card below it are the path."""
    made = plugged()
    try:
        made.here(
            f"ip address flush dev eth0; ip link add mv0 link eth0 type macvlan mode bridge; "
            f"ip address add {made.address}/24 dev mv0; ip link set mv0 up"
        )
        hosts("ssh", "controller", made.name, made.address)
        uses = f", and the connection from {CONTROLLER} uses eth0, mv0{MEANT}"
        refused = made.run("link", **DOWN)
        assert refused["msg"] == f"set eth0: admin_state up -> down: that would cut this host off: eth0 goes down{uses}"
        refused = made.run("macvlan", name="mv0", state="absent")
        assert refused["msg"] == f"delete mv0: that would cut this host off: mv0 goes{uses}"
        refused = made.run("macvlan", name="mv0", mode="passthru", recreate="when_required")
        assert refused["msg"] == (
            "delete mv0 (to be created again: mode bridge -> passthru): that would cut this host off: mv0 goes" + uses
        )
        assert made.alive()
        made.cut("link", **DOWN)
        assert not made.alive()
    finally:
        hosts("stop", made.name)


def test_path_over_a_bridge() -> None:
    """The address is on a bridge: it and its ports are the path."""
    made = plugged()
    try:
        made.here(
            f"ip address flush dev eth0; ip link add br0 type bridge; ip link set eth0 master br0; "
            f"ip address add {made.address}/24 dev br0; ip link set br0 up"
        )
        hosts("ssh", "controller", made.name, made.address)
        uses = f", and the connection from {CONTROLLER} uses br0, eth0{MEANT}"
        refused = made.run("link", **DOWN)
        assert refused["msg"] == f"set eth0: admin_state up -> down: that would cut this host off: eth0 goes down{uses}"
        refused = made.run("bridge_port", port="eth0", state="absent")
        assert refused["msg"] == f'set eth0: controller br0 -> "": that would cut this host off: eth0 is detached{uses}'
        refused = made.run("bridge", name="br0", admin_state="down")
        assert refused["msg"] == f"set br0: admin_state up -> down: that would cut this host off: br0 goes down{uses}"
        refused = made.run("bridge", name="br0", state="absent")
        assert refused["msg"] == f"delete br0: that would cut this host off: br0 goes{uses}"
        assert made.alive()
        made.cut("bridge_port", port="eth0", state="absent")
        assert not made.alive()
    finally:
        hosts("stop", made.name)


@pytest.mark.parametrize(
    "through",
    [
        "env -u SSH_CONNECTION {}; exit $?",  # as sudo does it: the login shell waits
        "env -i {}; exit $?",
        "env -i sh -c '{}; exit $?'; exit $?",
    ],
)
def test_environment_is_lost(managed: Managed, through: str) -> None:
    """An ancestor still knows; there is no default route that could tell instead."""
    assert "default" not in managed.here("ip route")
    refused = managed.run("link", through=through, **DOWN)
    assert refused["msg"] == f"set eth0: admin_state up -> down: that would cut this host off: eth0 goes down{ON_ETH0}{MEANT}"
    assert managed.alive()


def test_without_ssh(managed: Managed) -> None:
    """The default routes are the way out; without one there is nothing to cut."""
    managed.here("ip route add default via 192.0.2.1")
    refused = managed.local("link", **DOWN)
    assert refused["msg"] == (
        "set eth0: admin_state up -> down: that would cut this host off: eth0 goes down, "
        f"and the way out of it (the default route) uses eth0{MEANT}"
    )
    managed.here("ip route del default")
    assert managed.local("link", **DOWN)["changed"]
    assert not managed.alive()


def test_one_task_of_many_changes(managed: Managed) -> None:
    """One change of a topology that cuts keeps all of them from being made."""
    changes = {
        "macvlan": [
            {"name": "mv0", "lower_device": "eth0", "mode": "bridge"},
            {"name": "mv1", "lower_device": "eth0", "mode": "source", "nodst": True, "source_addresses": [CONTROLLER_MAC]},
        ]
    }
    refused = managed.run("topology", **changes)
    assert refused["msg"] == (
        f"create mv1: macvlan on eth0, mode source, nodst true, source_addresses [{CONTROLLER_MAC}]: "
        f"that would cut this host off: with nodst it takes frames away from eth0{ON_ETH0}{MEANT}"
    )
    assert "mv0" not in managed.here("ip link")
    assert managed.alive()
    assert managed.cut("topology", **changes)["changed"]
    assert not managed.alive()
