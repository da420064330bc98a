# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands from articles about macvlan and veth: tasks leave the kernel in the same state."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.conftest import made_host
from ansible_collections.patchbay.netdev.tests.integration.host import Host, ip

MAC = "56:61:4f:7c:77:db"

# Values that differ between two equal hosts: numbers, random MAC addresses and what bridges derive from them, and timers.
_OF_THE_HOST = {"ifindex", "link_index", "link_netnsid", "link_netns", "bridge_id", "root_id", "designated_bridge", "gc_timer"}


@dataclass(frozen=True)
class Same:
    """Shell commands (`guest` is an existing namespace), the equivalent tasks, and the commands that both require."""

    commands: tuple[str, ...]
    tasks: tuple[tuple[str, dict[str, Any]], ...]
    first: tuple[str, ...] = ()


_BRIDGE = ("ip link add br0 address 02:00:00:00:00:b0 type bridge", "ip link set br0 up")
_PORT = (*_BRIDGE, "ip link set eth1 master br0")
_HAIRPIN = (("bridge_hairpin", {"port": "eth1", "hairpin": True}),)

NOTES: dict[str, Same] = {
    "macvlan with a MAC by the kernel": Same(
        ("ip li add link eth0 mac0 type macvlan",), (("macvlan", {"name": "mac0", "lower_device": "eth0"}),)
    ),
    "macvlan with a MAC": Same(
        (f"ip li add link eth0 mac1 address {MAC} type macvlan",),
        (("macvlan", {"name": "mac1", "lower_device": "eth0", "address": MAC}),),
    ),
    "pair": Same(("ip li add veth0 type veth peer name veth1",), (("veth", {"name": "veth0", "peer": {"name": "veth1"}}),)),
    "pair with values for either end": Same(
        (
            f"ip li add veth0 address {MAC} mtu 1400 type veth peer name veth1 address 56:61:4f:7c:77:dc mtu 1300",
            "ip li set veth0 up",
            "ip li set veth1 up",
        ),
        (
            (
                "veth",
                {
                    "name": "veth0",
                    "address": MAC,
                    "mtu": 1400,
                    "admin_state": "up",
                    "peer": {"name": "veth1", "address": "56:61:4f:7c:77:dc", "mtu": 1300, "admin_state": "up"},
                },
            ),
        ),
    ),
    "pair with the same name on both sides": Same(
        (
            "ip li add veth0-master type veth peer name veth0",
            "ip li set veth0-master netns guest",
            "ip -n guest li set veth0-master name veth0",
        ),
        (("veth", {"name": "veth0", "peer": {"name": "veth0", "netns": "guest"}}),),
    ),
    **{
        f"mode {mode}": Same(
            (f"ip link add link eth0 mv type macvlan mode {mode}",),
            (("macvlan", {"name": "mv", "lower_device": "eth0", "mode": mode}),),
        )
        for mode in ("private", "vepa", "bridge", "passthru")
    },
    "macvlan with a MAC and a mode": Same(
        (f"ip link add link eth0 FOOMACVLAN address {MAC} type macvlan mode bridge",),
        (("macvlan", {"name": "FOOMACVLAN", "lower_device": "eth0", "address": MAC, "mode": "bridge"}),),
    ),
    "hairpin by sysfs": Same(("echo 1 > /sys/class/net/br0/brif/eth1/hairpin_mode",), _HAIRPIN, first=_PORT),
    "hairpin by bridge": Same(("bridge link set dev eth1 hairpin on",), _HAIRPIN, first=_PORT),
    "hairpin with the port's other settings": Same(
        ("bridge link set dev eth1 hairpin on learning off isolated on",),
        (("bridge_port", {"port": "eth1", "bridge": "br0", "hairpin": True, "learning": False, "isolated": True}),),
        first=_PORT,
    ),
    "macvlan as a port": Same(
        ("ip link set macvlan2 master br0",),
        (("bridge_port", {"port": "macvlan2", "bridge": "br0"}),),
        first=(*_BRIDGE, "ip link add link eth0 macvlan2 type macvlan mode bridge"),
    ),
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_same(note: Same) -> None:
    """The commands on one host and the tasks on another one result in the same state of the links."""
    with made_host() as host:
        fresh = seen(host)
        shell(host, *note.first, *note.commands)
        by_command = seen(host)
    with made_host() as host:
        shell(host, *note.first)
        for module, params in note.tasks:
            assert host.apply(module, **params)["changed"]
        assert seen(host) == by_command
        for module, params in note.tasks:
            assert not host.apply(module, **params)["changed"]
    assert by_command != fresh, "the commands did nothing"


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_nothing_left_to_do(host: Host, note: Same) -> None:
    """The tasks change nothing on the host where the commands ran."""
    shell(host, *note.first, *note.commands)
    for module, params in note.tasks:
        assert host.apply(module, **params)["operations"] == []


@pytest.mark.parametrize("mode", ["private", "vepa", "bridge", "passthru"])
def test_mode_is_read(host: Host, mode: str) -> None:
    """link_info returns the mode that `ip -d link show` prints."""
    shell(host, f"ip link add link eth0 mv type macvlan mode {mode}")
    assert host.apply("link_info", name="mv")["links"][0]["mode"] == mode


def shell(host: Host, *commands: str) -> None:
    """Run commands on the host as a user types them."""
    for command in commands:
        words = ["ip", "netns", "exec", host.netns, "sh", "-c", command]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"


def seen(host: Host) -> dict[str, Any]:
    """Return the links of the host and of guest as `ip -d link` shows them, without values that differ between hosts."""
    return {
        f"{link['ifname']} in {place}": _comparable(link)
        for place, netns in (("host", host.netns), ("guest", "guest"))
        for link in json.loads(ip("-d", "-j", "link", netns=netns))
    }


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return sorted((_comparable(item) for item in value), key=str)
    if not isinstance(value, dict):
        return value
    volatile = ("timer", "operstate", "promiscuity", "tso_max")
    found = {
        name: _comparable(inner)
        for name, inner in value.items()
        if name not in _OF_THE_HOST and not any(word in name for word in volatile)
    }
    if not str(found.get("address", MAC)).startswith(MAC[:8]):
        found["address"] = "some"
    if "flags" in found:  # the kernel reports the carrier some time later
        found["flags"] = [word for word in found["flags"] if word not in ("LOWER_UP", "NO-CARRIER", "M-DOWN")]
        found.pop("qdisc", None)
    return found
