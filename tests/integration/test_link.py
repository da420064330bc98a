# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of link on the real kernel, on links of several kinds. The module never creates or deletes a link."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, bring_up, dump
from ansible_collections.patchbay.netdev.tests.integration.ladder import Case, Rung, climb, common_ladders, refuse, shown, stay

# How to create a link of each kind, and the state in which it is changed. A tap is a kind without rows.
KINDS = {
    "veth down": "link set eth1 down",
    "veth up": "link set eth1 up",
    "tap up": "tuntap add dev dev0 mode tap",
    "bridge down": "link add dev0 address 02:00:00:00:00:b0 type bridge",
    "macvlan up": "link add dev0 link eth0 type macvlan",
}
OPTIONS = (*common_ladders("dev0"), "controller")


def rungs(option: str, name: str) -> list[Rung]:
    """Return the ladder of an option."""
    if option != "controller":
        return common_ladders(name)[option]
    read = shown(name, "master")
    return [("br0", read, "br0"), ("br1", read, "br1"), ("", read, None)]


@pytest.mark.parametrize(
    ("option", "kind"),
    [(option, kind) for option in OPTIONS for kind in KINDS if (option, kind) != ("controller", "bridge down")],
)
def test_option(host: Host, option: str, kind: str) -> None:
    """Each value is set in turn without recreating the link."""
    host.ip(*KINDS[kind].split())
    name = "eth1" if kind.startswith("veth") else "dev0"
    for number, bridge in enumerate(("br0", "br1")):
        host.ip("link", "add", bridge, "address", f"02:00:00:00:00:b{number}", "type", "bridge")
    if kind in ("veth up", "macvlan up"):
        bring_up(name, host.netns)
    elif kind == "tap up":
        host.ip("link", "set", name, "up")
    index = host.link(name)["ifindex"]
    for value, read, expected in rungs(option, name):
        params = {"name": name, option: value}
        if option == "admin_state" and read(host) == expected:
            stay(host, "link", **params)
        else:
            climb(host, "link", **params)
        if params.get("admin_state") == "up" and kind in ("veth down", "macvlan up"):
            bring_up(name, host.netns)
        assert read(host) == expected
        assert host.link(name)["ifindex"] == index


def test_everything_at_once(host: Host) -> None:
    """All options are set on a link that is down, and again after it is set up."""
    host.ip("link", "set", "eth1", "down")
    host.ip("link", "add", "br0", "type", "bridge")
    params: dict[str, Any] = {
        "name": "eth1",
        "mac": "02:00:00:00:00:01",
        "mtu": 1400,
        "tx_queue_len": 10,
        "group": "5",
        "alias": "all of it",
        "master": "br0",
        "address_generation_mode": "none",
        "altnames": ["a long alternative name"],
        "sysctls": {"ipv4.arp_ignore": 1, "ipv6.accept_ra": 0},
        "promiscuous": True,
        "allmulticast": True,
        "admin_state": "up",
    }
    climb(host, "link", **params)
    found = host.link("eth1")
    assert (found["address"], found["mtu"], found["txqlen"], found["group"]) == ("02:00:00:00:00:01", 1400, 10, "5")
    assert (found["ifalias"], found["master"], found["altnames"]) == ("all of it", "br0", ["a long alternative name"])
    assert {"UP", "PROMISC", "ALLMULTI"} <= set(found["flags"])
    assert "fe80" not in host.ip("address", "show", "dev", "eth1")


def test_loopback(host: Host) -> None:
    """The loopback link has no kind, like a network card."""
    done = climb(host, "link", name="lo", mtu=16384, alias="loop", sysctls={"ipv4.arp_ignore": 3})
    assert done["link"]["kind"] == "physical"
    assert (host.link("lo")["mtu"], host.link("lo")["ifalias"]) == (16384, "loop")
    climb(host, "link", name="lo", admin_state="down")
    climb(host, "link", name="lo", admin_state="up")


def test_in_another_namespace(host: Host) -> None:
    """The namespace is given by name and by path."""
    climb(host, "link", name="lo", netns="guest", alias="far")
    stay(host, "link", name="lo", netns="/run/netns/guest", alias="far")
    assert host.link("lo", "guest")["ifalias"] == "far"


def test_jumbo_frames_before_a_macvlan(host: Host) -> None:
    """The lower device gets its MTU in the same task before the macvlan that requires it."""
    entries = {
        "link": [{"name": "eth0", "mtu": 9000}],
        "macvlan": [{"name": "mv0", "lower_device": "eth0", "mtu": 9000}],
    }
    host.apply("topology", **entries)
    assert (host.link("eth0")["mtu"], host.link("mv0")["mtu"]) == (9000, 9000)
    assert host.apply("topology", **entries)["operations"] == []


CASES: dict[str, Case] = {
    "missing": Case(
        {"name": "eth9", "mtu": 1400},
        "eth9: the link does not exist. Create it with the module of its kind first, or use one of: eth0, eth1, lo",
        awaits=True,
    ),
    "missing, and nothing written": Case(
        {"name": "eth9"},
        "eth9: the link does not exist. Create it with the module of its kind first, or use one of: eth0, eth1, lo",
        awaits=True,
    ),
    "missing elsewhere": Case(
        {"name": "eth0", "netns": "guest", "mtu": 1400},
        "eth0 in netns guest: the link does not exist. Create it with the module of its kind first, or use one of: lo",
        awaits=True,
    ),
    "MAC": Case(
        {"name": "eth1", "address": "33:33:00:00:00:01"},
        "address: 33:33:00:00:00:01 is a multicast address (the lowest bit of its first octet is set). Set a unicast address",
    ),
    "MTU": Case({"name": "eth1", "mtu": 67}, "mtu: 67 is not between 68 and 65535"),
    "controller missing": Case(
        {"name": "eth1", "controller": "br9"},
        "eth1: controller br9 does not exist in the namespace of the link. "
        "Create it first with the module bridge or vrf, or set another controller",
        awaits=True,
    ),
    "controller that is no bridge": Case(
        {"name": "eth1", "controller": "eth0"},
        "eth1: controller eth0 is a veth. Set controller to a bridge or a VRF (other kinds are not supported)",
    ),
    "MTU of a macvlan": Case(
        {"name": "mv0", "mtu": 9000},
        "mv0: mtu 9000 is above the MTU of its lower device eth0, which is 1500. Raise the MTU of eth0 first, "
        "or set mtu to 1500 or less",
        tasks=(("macvlan", {"name": "mv0", "lower_device": "eth0"}),),
    ),
    "MAC of a macvlan's lower device": Case(
        {"name": "mv0", "address": "02:00:00:00:00:e0"},
        "mv0: 02:00:00:00:00:e0 is the MAC address of its lower device eth0, which the kernel allows no macvlan to "
        "have. Set another address (the filter patchbay.netdev.stable_mac makes one)",
        ip=("link set eth0 address 02:00:00:00:00:e0",),
        tasks=(("macvlan", {"name": "mv0", "lower_device": "eth0"}),),
    ),
    "setting": Case(
        {"name": "eth1", "sysctls": {"ipv4.arp_ignroe": 1}},
        "eth1: this kernel has no setting ipv4.arp_ignroe under /proc/sys/net. Remove it from sysctls",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_refused(host: Host, case: Case) -> None:
    """See refuse."""
    refuse(host, "link", case)


@pytest.mark.parametrize("option", ["state", "recreate", "lower_device", "num_tx_queues", "mode"])
def test_unsupported_options(host: Host, option: str) -> None:
    """The module has no options for creation and deletion."""
    before = dump([host.netns])
    result = host.run("link", name="eth1", **{option: "2"})
    assert result["msg"].startswith(f"Unsupported parameters for (basic.py) module: {option}. Supported parameters include: ")
    assert dump([host.netns]) == before
