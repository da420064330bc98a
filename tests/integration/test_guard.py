# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of the management path over real ssh: each refused change would cut the connection, and cuts it if allowed."""

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
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.device_nodes import own_nodes
from ansible_collections.patchbay.netdev.tests.integration.host import CLONE, hosts

MODULES = "ansible_collections.patchbay.netdev.plugins.modules"
CONTROLLER = "192.0.2.9"
CONTROLLER_MAC = "02:00:00:00:00:09"
MEANT = ". Set allow_lockout: true to do it anyway"
RESULT = "/run/result"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Managed:
    """A host whose card eth0 a controller reaches by ssh at this address."""

    name: str
    address: str
    mac: str

    def here(self, command: str) -> str:
        """Run a shell command on the host locally."""
        return hosts("enter", self.name, "sh", "-euc", command).stdout

    def alive(self) -> bool:
        """Return whether the controller reaches the host within two seconds."""
        ping = ["ping", "-q", "-n", "-c", "1", "-i", "0.2", "-w", "2", self.address]
        return hosts("enter", "controller", *ping, check=False).returncode == 0

    def run(self, module: str, /, through: str = "{}", **params: Any) -> dict[str, Any]:
        """Return the result of a module that runs over ssh. through: a command line that wraps the ssh command."""
        with self._begun(through.format(f"{_python()} -m {MODULES}.{module}"), params) as process:
            output, errors = process.communicate(timeout=30)
        assert output, errors
        return dict(json.loads(output))

    def cut(self, module: str, /, **params: Any) -> dict[str, Any]:
        """Return the result of a module that runs over ssh and cuts the connection."""
        command = f"{_python()} -m {MODULES}.{module} >{RESULT}.part; mv {RESULT}.part {RESULT}"
        with self._begun(command, {**params, "allow_lockout": True}):
            end = time.monotonic() + 30
            while hosts("enter", self.name, "test", "-e", RESULT, check=False).returncode:
                assert time.monotonic() < end, "the module did not end"
                time.sleep(0.05)
        return dict(json.loads(self.here(f"cat {RESULT}; rm {RESULT}")))

    def local(self, module: str, /, **params: Any) -> dict[str, Any]:
        """Return the result of a module that runs locally on the host."""
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
    """Return the interpreter of the tests, which the host has at the same path."""
    return shlex.quote(sys.executable)


def _arguments(params: dict[str, Any]) -> str:
    return json.dumps({"ANSIBLE_MODULE_ARGS": {**params, "_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False}})


@pytest.fixture
def nodes() -> Iterator[None]:
    """For tests that create macvtaps on their own host, see own_nodes."""
    with own_nodes():
        yield


@pytest.fixture(scope="module", autouse=True)
def controller() -> Iterator[None]:
    """Create a switch with a controller."""
    hosts("switch", "switch", "192.0.2.1/24")
    hosts("start", "controller")
    hosts("cable", "switch", "controller", f"{CONTROLLER}/24", CONTROLLER_MAC)
    yield
    hosts("stop", "controller", "switch")


def plugged() -> Managed:
    """Create a host and connect its cable."""
    number = next(_numbers)
    made = Managed(f"managed{number}", f"192.0.2.{20 + number}", f"02:00:00:00:01:{number:02x}")
    hosts("start", made.name)
    hosts("cable", "switch", made.name, f"{made.address}/24", made.mac)
    return made


@pytest.fixture
def managed() -> Iterator[Managed]:
    """Create a temporary host that the controller reaches."""
    made = plugged()
    try:
        hosts("ssh", "controller", made.name, made.address)
        yield made
    finally:
        hosts("stop", made.name)


@dataclass(frozen=True)
class Cut:
    """A change that cuts the connection, its name in the message, and shell commands that run before.

    {address} is the address of the host. learns: whether the controller accepts a new MAC address from an ARP request, which a
    switch with port security would prevent.
    """

    module: str
    params: dict[str, Any]
    told: str
    before: str = ":"
    learns: bool = True


ON_ETH0 = f", and the connection from {CONTROLLER} uses eth0"
ON_BR0 = f", and the connection from {CONTROLLER} uses br0, eth0"
MAC = "02:00:00:00:00:77"
BRIDGED = "ip address flush dev eth0; ip link add br0 type bridge; ip link set eth0 master br0; ip link set br0 up; "
BRIDGE = BRIDGED + "ip address add {address}/24 dev br0"
PAIR = BRIDGED + (
    "ip link add v0 type veth peer name v1; ip link set v1 master br0 up; ip link set v0 up; ip address add {address}/24 dev v0"
)

CUTS = {
    "passthru that is down": Cut(
        "macvlan",
        {"name": "mv0", "lower_device": "eth0", "mode": "passthru"},
        "create mv0: macvlan on eth0, mode passthru: this would cut the management path: mode passthru takes over eth0" + ON_ETH0,
    ),
    "macvtap passthru that is down": Cut(
        "macvtap",
        {"name": "mt0", "lower_device": "eth0", "mode": "passthru"},
        "create mt0: macvtap on eth0, mode passthru: this would cut the management path: mode passthru takes over eth0" + ON_ETH0,
    ),
    "passthru in another namespace": Cut(
        "macvlan",
        {"name": "mv0", "netns": "room", "lower_device": "eth0", "mode": "passthru", "admin_state": "up"},
        "create mv0 in netns room: macvlan on eth0, mode passthru, admin_state up: this would cut the management path: "
        "mode passthru takes over eth0" + ON_ETH0,
        before="ip netns add room",
    ),
    "source list that consumes": Cut(
        "macvlan",
        {"name": "mv0", "lower_device": "eth0", "mode": "source", "nodst": True, "source_addresses": [CONTROLLER_MAC]},
        f"create mv0: macvlan on eth0, mode source, nodst true, source_addresses [{CONTROLLER_MAC}]: "
        "this would cut the management path: nodst takes frames away from eth0" + ON_ETH0,
    ),
    "nodst set later": Cut(
        "macvlan",
        {"name": "mv0", "nodst": True},
        "set mv0: nodst false -> true: this would cut the management path: nodst takes frames away from eth0" + ON_ETH0,
        before=f"ip link add mv0 link eth0 type macvlan mode source; ip link set mv0 type macvlan macaddr add {CONTROLLER_MAC}",
    ),
    "controller put on a list that consumes": Cut(
        "macvlan",
        {"name": "mv0", "source_addresses": [MAC, CONTROLLER_MAC]},
        f"set mv0: source_addresses [{MAC}] -> [{CONTROLLER_MAC}, {MAC}]: this would cut the management path: "
        "nodst takes frames away from eth0" + ON_ETH0,
        before=f"ip link add mv0 link eth0 type macvlan mode source nodst; ip link set mv0 type macvlan macaddr add {MAC}",
    ),
    "passthru goes down": Cut(
        "macvlan",
        {"name": "mv0", "admin_state": "down"},
        "set mv0: admin_state up -> down: this would cut the management path: mv0 goes down"
        f", and the connection from {CONTROLLER} uses eth0, mv0",
        before="ip link add mv0 link eth0 type macvlan mode passthru; ip link set mv0 up",
    ),
    "down": Cut(
        "link",
        {"name": "eth0", "admin_state": "down"},
        "set eth0: admin_state up -> down: this would cut the management path: eth0 goes down" + ON_ETH0,
    ),
    "MAC": Cut(
        "link",
        {"name": "eth0", "address": MAC},
        "set eth0: address {mac} -> " + MAC + ": this would cut the management path: the MAC of eth0 changes" + ON_ETH0,
        learns=False,  # the next ARP request of the host would update the controller
    ),
    "bridge that is down": Cut(
        "bridge_port",
        {"port": "eth0", "bridge": "br0"},
        'set eth0: controller "" -> br0: this would cut the management path: eth0 is attached to br0' + ON_ETH0,
        before="ip link add br0 type bridge",
    ),
    "port that forwards nothing": Cut(
        "bridge_port",
        {"port": "eth0", "stp_state": "disabled"},
        "set eth0: stp_state forwarding -> disabled: this would cut the management path: "
        "eth0 forwards nothing in stp_state disabled" + ON_BR0,
        before=BRIDGE,
    ),
    "locked port": Cut(
        "bridge_port",
        {"port": "eth0", "locked": True},
        "set eth0: locked false -> true: this would cut the management path: "
        "locked port eth0 drops frames from senders that the bridge does not know" + ON_BR0,
        before=BRIDGE,
    ),
    "port that reflects": Cut(
        "bridge_port",
        {"port": "eth0", "hairpin": True},
        "set eth0: hairpin false -> true: this would cut the management path: "
        "with hairpin, eth0 reflects frames, so that the switch outside learns their senders at the wrong port" + ON_BR0,
        before=BRIDGE,
    ),
    "port that neither learns nor floods": Cut(
        "bridge_port",
        {"port": "eth0", "learning": False},
        "set eth0: learning true -> false: this would cut the management path: "
        "without learning and unicast_flood, the bridge sends nothing out of eth0" + ON_BR0,
        before=f"{BRIDGE}; bridge link set dev eth0 flood off",
    ),
    "two isolated ports": Cut(
        "bridge_port",
        {"port": "eth0", "isolated": True},
        "set eth0: isolated false -> true: this would cut the management path: eth0 is isolated, and so is v1"
        + ON_BR0
        + ", v0, v1",
        before=f"{PAIR}; bridge link set dev v1 isolated on",
    ),
    "small MTU": Cut(
        "link",
        {"name": "eth0", "mtu": 68},
        "set eth0: mtu 1500 -> 68: this would cut the management path: an MTU of 68 on eth0 is too small for IPv4" + ON_ETH0,
    ),
    "no ARP": Cut(
        "link",
        {"name": "eth0", "sysctls": {"ipv4.arp_ignore": 8}},
        "set eth0: ipv4.arp_ignore 0 -> 8: this would cut the management path: eth0 no longer answers ARP requests" + ON_ETH0,
    ),
    "deleted": Cut(
        "veth",
        {"name": "eth0", "state": "absent"},
        "delete eth0: this would cut the management path: eth0 is deleted" + ON_ETH0,
    ),
}


@pytest.mark.parametrize("name", CUTS)
def test_cut(request: pytest.FixtureRequest, managed: Managed, name: str) -> None:
    """The change is refused and the connection stays. If allowed, the change cuts the connection."""
    case = CUTS[name]
    if case.module == "macvtap":
        request.getfixturevalue("nodes")
    managed.here(case.before.replace("{address}", managed.address))
    if not case.learns:
        known = ["ip", "neigh", "replace", managed.address, "lladdr", managed.mac, "nud", "permanent", "dev", "eth0"]
        hosts("enter", "controller", *known)
    assert managed.alive()
    time_passes(managed)
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
    time_passes(managed)
    assert not managed.alive()


def time_passes(managed: Managed) -> None:
    """Flush the tables of the host, its bridge and the controller, as some minutes of silence would."""
    managed.here("ip neigh flush all; ! [ -e /sys/class/net/br0/bridge ] || ip link set br0 type bridge fdb_flush")
    hosts("enter", "controller", "ip", "neigh", "flush", "all")


def _steady(shown: str) -> str:
    """Return the output of ip without values that change by themselves."""
    return re.sub(r"promiscuity \d+|_timer +[\d.]+|(valid|preferred)_lft \w+|tentative *", "", shown)


def test_repaired(managed: Managed) -> None:
    """The connection is back when the change is reverted, so this change cut it."""
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
def test_what_cuts_nothing(request: pytest.FixtureRequest, managed: Managed, module: str, params: dict[str, Any]) -> None:
    """Harmless changes are applied without permission, and the connection stays."""
    if module == "macvtap":
        request.getfixturevalue("nodes")
    managed.here("ip link add eth1 type veth peer name far1; ip link set eth1 up")
    done = managed.run(module, **params)
    assert done.get("changed"), done
    assert managed.alive()


@pytest.mark.parametrize(
    ("module", "params"),
    [
        ("bridge_port", {"port": "eth0", "learning": False}),
        ("bridge_port", {"port": "eth0", "unicast_flood": False, "broadcast_flood": False, "multicast_flood": False}),
        ("bridge_port", {"port": "eth0", "isolated": True, "root_block": True, "bpdu_guard": True}),
        ("bridge_port", {"port": "guest0", "isolated": True, "locked": True, "stp_state": "disabled"}),
        ("bridge_port", {"port": "guest0", "hairpin": True, "learning": False, "unicast_flood": False}),
        ("bridge", {"name": "br0", "stp_state": True, "ageing_time": 0}),
    ],
)
def test_what_cuts_nothing_on_a_bridge(managed: Managed, module: str, params: dict[str, Any]) -> None:
    """A guest gets a bridge port beside the card with the management path."""
    isolated = "bridge link set dev eth0 isolated on" if params.get("port") == "guest0" else ":"
    managed.here("ip link add guest0 type veth peer name far0; ip link set far0 up")
    managed.here(f"{BRIDGE.replace('{address}', managed.address)}; ip link set guest0 master br0 up; {isolated}")
    done = managed.run(module, **params)
    assert done.get("changed"), done
    time_passes(managed)
    assert managed.alive()
    assert managed.run("link_info", name="br0")["links"]


def test_least_mtu(managed: Managed) -> None:
    """The smallest accepted MTU carries an ssh connection."""
    done = managed.run("link", name="eth0", mtu=296)
    assert done.get("changed"), done
    assert managed.run("link_info", name="eth0")["links"][0]["mtu"] == 296
    refused = managed.run("link", name="eth0", mtu=295)
    assert "an MTU of 295 on eth0 is too small for IPv4" in refused["msg"]


@pytest.mark.parametrize(
    ("params", "told"),
    [
        (
            {"sysctls": {"ipv6.disable_ipv6": 1}},
            "set eth0: ipv6.disable_ipv6 0 -> 1: this would cut the management path: eth0 loses its IPv6 addresses",
        ),
        (
            {"mtu": 1279},
            "set eth0: mtu 1500 -> 1279: this would cut the management path: an MTU of 1279 on eth0 is too small for IPv6",
        ),
    ],
)
def test_cut_of_ipv6(managed: Managed, params: dict[str, Any], told: str) -> None:
    """A controller that uses IPv6 loses the connection with IPv6. One that uses IPv4 does not."""
    six = Managed(managed.name, f"2001:db8::{managed.address.rpartition('.')[2]}", managed.mac)
    hosts("enter", "controller", "ip", "address", "replace", "2001:db8::9/64", "dev", "eth0", "nodad")
    managed.here(f"ip address add {six.address}/64 dev eth0 nodad")
    hosts("ssh", "controller", six.name, six.address)
    refused = six.run("link", name="eth0", **params)
    assert refused["msg"] == f"{told}, and the connection from 2001:db8::9 uses eth0{MEANT}"
    assert six.alive()
    assert managed.run("link", name="eth0", **params, _ansible_check_mode=True)["changed"], "it comes by IPv4"
    assert six.cut("link", name="eth0", **params)["changed"]
    assert not six.alive()
    assert managed.alive()


DOWN = {"name": "eth0", "admin_state": "down"}


def test_path_over_a_macvlan() -> None:
    """If the address is on a macvlan, the macvlan and its lower device are the path."""
    made = plugged()
    try:
        made.here(
            f"ip address flush dev eth0; ip link add mv0 link eth0 type macvlan mode bridge; "
            f"ip address add {made.address}/24 dev mv0; ip link set mv0 up"
        )
        hosts("ssh", "controller", made.name, made.address)
        uses = f", and the connection from {CONTROLLER} uses eth0, mv0{MEANT}"
        refused = made.run("link", **DOWN)
        assert refused["msg"] == f"set eth0: admin_state up -> down: this would cut the management path: eth0 goes down{uses}"
        refused = made.run("macvlan", name="mv0", state="absent")
        assert refused["msg"] == f"delete mv0: this would cut the management path: mv0 is deleted{uses}"
        refused = made.run("macvlan", name="mv0", mode="passthru", recreate="when_required")
        assert refused["msg"] == (
            "delete mv0 (to be created again: mode bridge -> passthru): this would cut the management path: mv0 is deleted" + uses
        )
        assert made.alive()
        made.cut("link", **DOWN)
        assert not made.alive()
    finally:
        hosts("stop", made.name)


def test_path_over_a_bridge() -> None:
    """If the address is on a bridge, the bridge and its ports are the path."""
    made = plugged()
    try:
        made.here(
            f"ip address flush dev eth0; ip link add br0 type bridge; ip link set eth0 master br0; "
            f"ip address add {made.address}/24 dev br0; ip link set br0 up"
        )
        hosts("ssh", "controller", made.name, made.address)
        uses = f", and the connection from {CONTROLLER} uses br0, eth0{MEANT}"
        refused = made.run("link", **DOWN)
        assert refused["msg"] == f"set eth0: admin_state up -> down: this would cut the management path: eth0 goes down{uses}"
        refused = made.run("bridge_port", port="eth0", state="absent")
        assert refused["msg"] == f'set eth0: controller br0 -> "": this would cut the management path: eth0 is detached{uses}'
        refused = made.run("bridge", name="br0", admin_state="down")
        assert refused["msg"] == f"set br0: admin_state up -> down: this would cut the management path: br0 goes down{uses}"
        refused = made.run("bridge", name="br0", state="absent")
        assert refused["msg"] == f"delete br0: this would cut the management path: br0 is deleted{uses}"
        assert made.alive()
        made.cut("bridge_port", port="eth0", state="absent")
        assert not made.alive()
    finally:
        hosts("stop", made.name)


@pytest.mark.parametrize(
    "through",
    [
        "env -u SSH_CONNECTION {}; exit $?",  # as sudo does: the login shell waits
        "env -i {}; exit $?",
        "env -i sh -c '{}; exit $?'; exit $?",
    ],
)
def test_environment_is_lost(managed: Managed, through: str) -> None:
    """Without SSH_CONNECTION an ancestor process still has it. No default route could replace it here."""
    assert "default" not in managed.here("ip route")
    refused = managed.run("link", through=through, **DOWN)
    assert (
        refused["msg"] == f"set eth0: admin_state up -> down: this would cut the management path: eth0 goes down{ON_ETH0}{MEANT}"
    )
    assert managed.alive()


def test_without_ssh(managed: Managed) -> None:
    """The default routes are the management path. Without them no change can cut it."""
    managed.here("ip route add default via 192.0.2.1")
    refused = managed.local("link", **DOWN)
    assert refused["msg"] == (
        "set eth0: admin_state up -> down: this would cut the management path: eth0 goes down, "
        f"and the default route uses eth0{MEANT}"
    )
    managed.here("ip route del default")
    assert managed.local("link", **DOWN)["changed"]
    assert not managed.alive()


def test_default_route_of_ipv6(managed: Managed) -> None:
    """Deleting the only default route, an IPv6 one, is refused. With an IPv4 default route it is allowed."""
    no_ipv6 = {"name": "eth0", "sysctls": {"ipv6.disable_ipv6": 1}}
    managed.here("ip -6 route add default via fe80::1 dev eth0")
    refused = managed.local("link", **no_ipv6)
    assert refused["msg"] == (
        "set eth0: ipv6.disable_ipv6 0 -> 1: this would cut the management path: eth0 loses its IPv6 addresses, "
        f"and the default route uses eth0{MEANT}"
    )
    managed.here("ip route add default via 192.0.2.1")
    assert managed.local("link", **no_ipv6)["changed"]


def test_one_task_of_many_changes(managed: Managed) -> None:
    """One refused change of a topology prevents all its changes."""
    changes = {
        "macvlan": [
            {"name": "mv0", "lower_device": "eth0", "mode": "bridge"},
            {"name": "mv1", "lower_device": "eth0", "mode": "source", "nodst": True, "source_addresses": [CONTROLLER_MAC]},
        ]
    }
    refused = managed.run("topology", **changes)
    assert refused["msg"] == (
        f"create mv1: macvlan on eth0, mode source, nodst true, source_addresses [{CONTROLLER_MAC}]: "
        f"this would cut the management path: nodst takes frames away from eth0{ON_ETH0}{MEANT}"
    )
    assert "mv0" not in managed.here("ip link")
    assert managed.alive()
    assert managed.cut("topology", **changes)["changed"]
    assert not managed.alive()


AFAR = "203.0.113.9"  # the network of the controller behind a router
BACK = "203.0.113.0/24"
WAY_BACK = f", and the connection from {AFAR} uses eth0"


@pytest.fixture
def routed() -> Iterator[Managed]:
    """Create a host that the controller reaches from another network, with a return route."""
    made = plugged()
    hosts(
        "enter", "controller", "sh", "-euc", f"ip address add {AFAR}/32 dev lo; ip route add {made.address} dev eth0 src {AFAR}"
    )
    try:
        made.here(f"ip route add {BACK} via {CONTROLLER}")
        hosts("ssh", "controller", made.name, made.address)
        yield made
    finally:
        hosts("enter", "controller", "ip", "address", "del", f"{AFAR}/32", "dev", "lo")  # and the route with it
        hosts("stop", made.name)


# Changes of addresses, routes and rules, their names in the message, and the state before. {own}: the address of the host.
WAYS_BACK = {
    "address goes": Cut(
        "link",
        {"name": "eth0", "addresses": []},
        f"set eth0: addresses remove {{own}}/24: this would cut the management path: "
        f"the address {{own}} of this host is removed{WAY_BACK}",
    ),
    "address exchanged": Cut(
        "link",
        {"name": "eth0", "addresses": ["192.0.2.99/24"]},
        "set eth0: addresses add 192.0.2.99/24, remove {own}/24: this would cut the management path: "
        f"the address {{own}} of this host is removed{WAY_BACK}",
    ),
    "route deleted": Cut(
        "route",
        {"destination": BACK, "state": "absent"},
        f"delete route to {BACK} via {CONTROLLER}: this would cut the management path: the route to {AFAR} is removed{WAY_BACK}",
    ),
    "route by another router": Cut(
        "route",
        {"destination": BACK, "gateway": "192.0.2.1"},
        f"set route to {BACK}: gateway {CONTROLLER} -> 192.0.2.1: this would cut the management path: "
        f"the route to {AFAR} changes its next hop{WAY_BACK}",
    ),
    "route that goes nowhere": Cut(
        "route",
        {"destination": BACK, "type": "blackhole"},
        f"set route to {BACK}: type unicast -> blackhole, no gateway, no link: this would cut the management path: "
        f"the route to {AFAR} is removed{WAY_BACK}",
    ),
    "longer prefix elsewhere": Cut(
        "route",
        {"destination": f"{AFAR}/32", "gateway": "192.0.2.1"},
        f"create route to {AFAR}/32: type unicast, gateway 192.0.2.1, link eth0: this would cut the management path: "
        f"the route to {AFAR} changes its next hop{WAY_BACK}",
    ),
    "longer prefix that goes nowhere": Cut(
        "route",
        {"destination": f"{AFAR}/32", "type": "unreachable"},
        f"create route to {AFAR}/32: type unreachable: this would cut the management path: "
        f"the route to {AFAR} is removed{WAY_BACK}",
    ),
    "rule that goes nowhere": Cut(
        "rule",
        {"priority": 100, "to": BACK, "action": "blackhole"},
        f"create IPv4 rule 100: to {BACK}, action blackhole: this would cut the management path: "
        f"the route to {AFAR} is removed{WAY_BACK}",
    ),
    "rule to another next hop": Cut(
        "rule",
        {"priority": 100, "from": "{own}/32", "table": 77},
        f"create IPv4 rule 100: from {{own}}/32, action lookup, table 77: this would cut the management path: "
        f"the route to {AFAR} changes its next hop{WAY_BACK}",
        before="ip route add default via 192.0.2.1 table 77",
    ),
    "route in the table of a rule": Cut(
        "route",
        {"destination": "default", "table": 77, "state": "absent"},
        f"delete route to 0.0.0.0/0 table 77 via {CONTROLLER}: this would cut the management path: "
        f"the route to {AFAR} is removed{WAY_BACK}",
        before=f"ip route add default via {CONTROLLER} table 77; ip rule add priority 100 table 77; ip route del {BACK}",
    ),
    "rule deleted": Cut(
        "rule",
        {"priority": 100, "state": "absent"},
        f"delete IPv4 rule 100: action lookup, table 77: this would cut the management path: "
        f"the route to {AFAR} is removed{WAY_BACK}",
        before=f"ip route add default via {CONTROLLER} table 77; ip rule add priority 100 table 77; ip route del {BACK}",
    ),
}


def _with_own(value: Any, own: str) -> Any:
    return json.loads(json.dumps(value).replace("{own}", own))


@pytest.mark.parametrize("name", WAYS_BACK)
def test_return_path(routed: Managed, name: str) -> None:
    """The change is refused in check mode and in a real run. If allowed, it cuts the connection."""
    case = WAYS_BACK[name]
    routed.here(case.before)
    params = _with_own(case.params, routed.address)
    assert routed.alive()
    look = "ip -4 address; ip -4 route show table all; ip rule"
    state = _steady(routed.here(look))
    for check in (True, False):
        refused = routed.run(case.module, **params, _ansible_check_mode=check)
        assert refused.get("failed"), refused
        assert refused["msg"] == _with_own(case.told, routed.address) + MEANT
    assert _steady(routed.here(look)) == state
    assert routed.alive()
    done = routed.cut(case.module, **params)
    assert done.get("changed"), done
    assert not routed.alive()


HARMLESS = {
    "another address": ("link", {"name": "eth0", "addresses": ["{own}/24", "198.51.100.1/24"]}, ":"),
    "another address goes": ("link", {"name": "eth0", "addresses": ["{own}/24"]}, "ip address add 198.51.100.1/24 dev eth0"),
    "address gets a metric": ("link", {"name": "eth0", "addresses": [{"ip": "{own}/24", "metric": 5}]}, ":"),
    "address goes and comes": ("link", {"name": "eth0", "addresses": [{"ip": "{own}/24", "label": "eth0:ssh"}]}, ":"),
    "another prefix length": ("link", {"name": "eth0", "addresses": ["{own}/25"]}, ":"),
    "another route": ("route", {"destination": "198.51.100.0/24", "gateway": "192.0.2.1"}, ":"),
    "a default route": ("route", {"destination": "default", "gateway": "192.0.2.1"}, ":"),
    "another route goes": (
        "route",
        {"destination": "198.51.100.0/24", "state": "absent"},
        "ip route add 198.51.100.0/24 dev eth0",
    ),
    "attribute of the route": ("route", {"destination": BACK, "mtu": 1400}, ":"),
    "rule for another source": ("rule", {"priority": 100, "from": "198.51.100.1/32", "action": "blackhole"}, ":"),
    "rule for another destination": ("rule", {"priority": 100, "to": "198.51.100.0/24", "action": "blackhole"}, ":"),
    "rule with an empty table": ("rule", {"priority": 100, "table": 77}, ":"),
    "rule for a mark": ("rule", {"priority": 100, "fwmark": "0x1", "action": "blackhole"}, ":"),
    "the same route in another table": (
        "topology",
        {
            "routes": [{"destination": BACK, "gateway": CONTROLLER, "table": 77}],
            "rules": [{"priority": 100, "from": "{own}/32", "table": 77}],
        },
        ":",
    ),
    "other family": ("link", {"name": "eth0", "addresses": ["{own}/24", "2001:db8::1/64"]}, ":"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_changes_that_keep_the_return_path(routed: Managed, name: str) -> None:
    """Harmless changes are applied without permission, and old and new connections work."""
    module, params, before = HARMLESS[name]
    routed.here(before)
    done = routed.run(module, **_with_own(params, routed.address))
    assert done.get("changed"), done
    assert routed.alive()
    assert not routed.run(module, **_with_own(params, routed.address))["changed"]


def test_neighbor_without_its_subnet(managed: Managed) -> None:
    """For a controller on the same network, the route of the subnet is part of the path too."""
    uses = f", and the connection from {CONTROLLER} uses eth0{MEANT}"
    own = managed.address
    refused = managed.run("link", name="eth0", addresses=[f"{own}/32"])
    assert refused["msg"] == (
        f"set eth0: addresses add {own}/32, remove {own}/24: this would cut the management path: "
        f"the route to {CONTROLLER} is removed{uses}"
    )
    refused = managed.run("link", name="eth0", addresses=[{"ip": f"{own}/24", "noprefixroute": True}])
    assert refused["msg"] == (
        f"set eth0: addresses change {own}/24: this would cut the management path: the route to {CONTROLLER} is removed{uses}"
    )
    assert managed.alive()
    assert managed.cut("link", name="eth0", addresses=[f"{own}/32"])["changed"]
    assert not managed.alive()


def test_replaced_return_path(routed: Managed) -> None:
    """One task deletes the return route and creates another one for the same path."""
    params = {
        "routes": [
            {"destination": BACK, "state": "absent"},
            {"destination": "default", "gateway": CONTROLLER},
        ]
    }
    done = routed.run("topology", **params)
    assert done.get("changed"), done
    assert routed.alive()


CONTROLLER6, AFAR6, BACK6 = "2001:db8:1::9", "2001:db8:9::9", "2001:db8:9::/48"


@pytest.fixture
def routed6() -> Iterator[Managed]:
    """Create the same network with IPv6."""
    made = plugged()
    number = int(made.address.rpartition(".")[2])
    own = replace(made, address=f"2001:db8:1::{number}")
    there = f"ip address add {CONTROLLER6}/64 dev eth0 nodad; ip address add {AFAR6}/128 dev lo"
    hosts("enter", "controller", "sh", "-euc", f"{there}; ip route add {own.address} dev eth0 src {AFAR6}")
    try:
        own.here(f"ip address add {own.address}/64 dev eth0 nodad; ip route add {BACK6} via {CONTROLLER6}")
        hosts("ssh", "controller", own.name, own.address)
        yield own
    finally:
        gone = f"ip address del {CONTROLLER6}/64 dev eth0; ip address del {AFAR6}/128 dev lo; ip route del {own.address} dev eth0"
        hosts("enter", "controller", "sh", "-c", gone)
        hosts("stop", made.name)


def test_return_path_ipv6(routed6: Managed) -> None:
    """Changes of address, route and rule that cut the path are refused, others are applied."""
    own, uses = routed6.address, f", and the connection from {AFAR6} uses eth0{MEANT}"
    cut = "this would cut the management path"
    goes = f"the route to {AFAR6} is removed"
    v4 = f"192.0.2.{own.rpartition('::')[2]}/24"
    for module, params, told in (
        (
            "link",
            {"name": "eth0", "addresses": [v4]},
            f"set eth0: addresses remove {own}/64: {cut}: the address {own} of this host is removed",
        ),
        ("route", {"destination": BACK6, "state": "absent"}, f"delete route to {BACK6} via {CONTROLLER6}: {cut}: {goes}"),
        (
            "route",
            {"destination": f"{AFAR6}/128", "type": "blackhole"},
            f"create route to {AFAR6}/128: type blackhole: {cut}: {goes}",
        ),
        (
            "rule",
            {"priority": 9, "to": BACK6, "action": "prohibit"},
            f"create IPv6 rule 9: to {BACK6}, action prohibit: {cut}: {goes}",
        ),
    ):
        for check in (True, False):
            refused = routed6.run(module, **params, _ansible_check_mode=check)
            assert refused.get("msg") == told + uses, refused
    assert routed6.alive()
    for addresses in (
        [v4, {"ip": f"{own}/64", "metric": 7}],
        [v4, {"ip": f"{own}/64", "metric": 0, "nodad": True}],  # deleted and added again
        [v4, f"{own}/48"],  # that too
    ):
        assert routed6.run("link", name="eth0", addresses=addresses).get("changed")
        assert routed6.alive()
    assert routed6.run("route", destination=BACK6, mtu=1400, gateway=CONTROLLER6)["changed"]
    assert routed6.run("rule", priority=9, **{"from": "2001:db8:5::/64"}, action="blackhole")["changed"]
    assert routed6.alive()
    assert routed6.cut("link", name="eth0", addresses=[v4])["changed"]
    assert not routed6.alive()
