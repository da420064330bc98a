# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipvlan: mode and flags, packets between the links, what the kernel refuses beside it, and the next boot."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import Case, Rung, climb, data, refuse, shown, stay
from ansible_collections.patchbay.netdev.tests.other_kernel.conftest import links_and_addresses
from ansible_collections.patchbay.netdev.tests.other_kernel.test_persist import replay

IV0 = {"name": "iv0", "lower_device": "eth0", "mode": "l2"}
IV1 = {**IV0, "name": "iv1"}
MV0 = {"name": "mv0", "lower_device": "eth0"}


def flags(host: Host, name: str) -> str:
    """Return the flags of a link: ip prints them as one key, whose value is true."""
    found = host.link(name)["linkinfo"]["info_data"]
    return next(word for word in ("bridge", "private", "vepa") if word in found)


# option: the values in turn, and what the kernel must show for each of them
LADDERS: dict[str, list[Rung]] = {
    "mode": [(mode, data("iv0", "mode"), mode) for mode in ("l2", "l3", "l3s", "l2")],
    "flags": [(word, lambda host: flags(host, "iv0"), word) for word in ("private", "vepa", "bridge")],
}


@pytest.mark.parametrize("option", LADDERS)
def test_option(host: Host, option: str) -> None:
    """Each value is set in turn on the existing link, and the kernel sets it on the other link of the lower device too."""
    climb(host, "ipvlan", **IV0)
    host.apply("ipvlan", **IV1)
    index = host.link("iv0")["ifindex"]
    for value, read, expected in LADDERS[option]:
        if read(host) == expected:
            stay(host, "ipvlan", name="iv0", **{option: value})
        else:
            climb(host, "ipvlan", name="iv0", **{option: value})
        assert read(host) == expected
        assert (data("iv1", "mode")(host), flags(host, "iv1")) == (data("iv0", "mode")(host), flags(host, "iv0"))
    assert host.link("iv0")["ifindex"] == index
    climb(host, "ipvlan", name="iv0", state="absent")
    stay(host, "ipvlan", name="iv0", state="absent")


def test_new_link_keeps_the_flags_of_the_others(host: Host) -> None:
    """It names its mode, because the kernel would set that of all links to l3."""
    host.apply("ipvlan", **IV0, flags="private")
    assert climb(host, "ipvlan", **IV1)["link"]["flags"] == "private"
    refused = host.run("ipvlan", name="iv2", lower_device="eth0")
    assert refused["msg"] == "iv2: the link does not exist, and mode is required to create it. Set mode"


def test_shares_mac_address_and_mtu(host: Host) -> None:
    """It has the MAC address of its lower device and takes over each change of MTU, which does not bound it."""
    below = host.link("eth1")
    climb(host, "ipvlan", name="iv0", lower_device="eth1", mode="l2", address=below["address"])
    climb(host, "ipvlan", name="iv0", mtu=1600)
    climb(host, "link", name="eth1", address="02:00:00:00:0e:01", mtu=1400)
    assert (shown("iv0", "address")(host), shown("iv0", "mtu")(host)) == ("02:00:00:00:0e:01", 1400)
    climb(host, "link", name="eth1", address=below["address"], mtu=below["mtu"])
    assert (shown("iv0", "address")(host), shown("iv0", "mtu")(host)) == (below["address"], below["mtu"])


def test_moved_to_another_lower_device(host: Host) -> None:
    """The link is recreated, and takes over the mode of the links that are there."""
    host.apply("ipvlan", name="iv0", lower_device="eth0", mode="l3", addresses=["192.0.2.7/24"], alias="kept", admin_state="up")
    host.apply("ipvlan", name="iv1", lower_device="eth1", mode="l2", flags="vepa")
    refused = host.run("ipvlan", name="iv0", lower_device="eth1")
    assert refused["msg"].startswith(
        "iv0: lower_device eth0 -> eth1: it is fixed when the link is created. Set recreate: when_required"
    )
    climb(host, "ipvlan", name="iv0", lower_device="eth1", recreate="when_required")
    assert (shown("iv0", "link")(host), shown("iv0", "ifalias")(host)) == ("eth1", "kept")
    assert (data("iv0", "mode")(host), data("iv1", "mode")(host), flags(host, "iv0")) == ("l2", "l2", "vepa")
    assert "192.0.2.7/24" in host.ip("address", "show", "iv0")


def test_failed_task_is_rolled_back(host: Host) -> None:
    """The kernel refuses the macvtap because of a link that was not read, and both ipvlans get mode and flags back."""
    host.apply("ipvlan", **IV0, flags="private")
    host.apply("ipvlan", **IV1)
    before = links_and_addresses([host.netns])
    tasks = {"ipvlan": [{"name": "iv0", "mode": "l3", "flags": "vepa"}], "macvtap": [{"name": "x" * 15, "lower_device": "eth1"}]}
    host.ip("link", "add", "hidden", "link", "eth1", "netns", "guest", "type", "ipvlan")
    try:
        told = host.run("topology", **tasks)
        assert told["failed"]
        assert "Device or resource busy" in told["msg"]
        assert "Another driver receives from eth1" in told["msg"]
        assert_equal(links_and_addresses([host.netns]), before)
    finally:
        ip("link", "del", "hidden", netns="guest")


# what existed before (tasks), the task, its message, and an ip command that the kernel refuses as well
REFUSED: dict[str, tuple[list[Any], Any, str, str]] = {
    "ipvlan beside a macvlan": (
        [("macvlan", MV0)],
        ("ipvlan", IV0),
        "iv0: mv0 already receives from lower device eth0, and the kernel allows no ipvlan beside a macvlan. "
        "Delete mv0 first, or use another lower_device",
        "link add iv0 link eth0 type ipvlan mode l2",
    ),
    "macvlan beside an ipvlan": (
        [("ipvlan", IV0), ("ipvlan", IV1)],
        ("macvlan", MV0),
        "mv0: iv0, iv1 already receive from lower device eth0, and the kernel allows no macvlan beside an ipvlan. "
        "Delete iv0, iv1 first, or use another lower_device",
        "link add mv0 link eth0 type macvlan",
    ),
    "macvtap beside an ipvlan": (
        [("ipvlan", IV0)],
        ("macvtap", {"name": "mt0", "lower_device": "eth0"}),
        "mt0: iv0 already receives from lower device eth0, and the kernel allows no macvtap beside an ipvlan. "
        "Delete iv0 first, or use another lower_device",
        "link add mt0 link eth0 type macvtap",
    ),
    "macvlan on an ipvlan": (
        [("ipvlan", IV0)],
        ("macvlan", {"name": "mv0", "lower_device": "iv0"}),
        "mv0: lower device iv0 is an ipvlan, from which no macvlan can receive. Use its lower device eth0, or a veth",
        "link add mv0 link iv0 type macvlan",
    ),
    "bridge port": (
        [("ipvlan", IV0), ("bridge", {"name": "br0"})],
        ("bridge_port", {"port": "iv0", "bridge": "br0"}),
        "iv0: an ipvlan cannot be a bridge port, so it cannot be attached to br0. Use a veth, or set controller to a VRF",
        "link set iv0 master br0",
    ),
    "lower device as a bridge port": (
        [("ipvlan", IV0), ("bridge", {"name": "br0"})],
        ("bridge_port", {"port": "eth0", "bridge": "br0"}),
        "eth0: iv0 already receives from it, so it cannot be a bridge port. Use br0 as lower_device of iv0, or delete iv0 first",
        "link set eth0 master br0",
    ),
    "MAC address": (
        [("ipvlan", IV0), ("link", {"name": "eth0", "address": "02:00:00:00:00:e0"})],
        ("ipvlan", {"name": "iv0", "address": "02:00:00:00:00:01"}),
        "iv0: an ipvlan shares the MAC address of its lower device eth0, which is 02:00:00:00:00:e0. "
        "Omit address, or use a macvlan, which has an address of its own",
        "link set iv0 address 02:00:00:00:00:01",
    ),
    "IP address of another ipvlan": (
        [("ipvlan", {**IV0, "addresses": ["192.0.2.7/24"]}), ("ipvlan", IV1)],
        ("ipvlan", {"name": "iv1", "addresses": ["192.0.2.7/32"]}),
        "iv1: iv0 on the same lower device already has 192.0.2.7, and the kernel allows an IP address on one ipvlan only. "
        "Set another address, or remove it from that link first",
        "address add 192.0.2.7/32 dev iv1",
    ),
    "loopback": (
        [],
        ("ipvlan", {**IV0, "lower_device": "lo"}),
        "iv0: lower device lo is the loopback device. Set lower_device to an Ethernet device, which ipvlan requires",
        "link add iv0 link lo type ipvlan",
    ),
}


@pytest.mark.parametrize("title", REFUSED)
def test_refused(host: Host, title: str) -> None:
    """The whole message, also in check mode, and the kernel refuses the same."""
    tasks, (module, params), told, command = REFUSED[title]
    for name, options in tasks:
        host.apply(name, **options)
    refuse(host, module, Case(params, told))
    done = subprocess.run(["ip", "-n", host.netns, *command.split()], capture_output=True, text=True, check=False)
    assert done.returncode, "the kernel accepts it"


def test_on_another_ipvlan_and_on_a_macvlan(host: Host) -> None:
    """The kernel places it beside the ipvlan, and on the macvlan."""
    climb(host, "ipvlan", **IV0)
    climb(host, "ipvlan", name="iv1", lower_device="iv0", mode="l2")
    assert shown("iv1", "link")(host) == "eth0"
    climb(host, "macvlan", name="mv0", lower_device="eth1", mode="bridge")
    climb(host, "ipvlan", name="iv2", lower_device="mv0", mode="l2")
    assert shown("iv2", "link")(host) == "mv0"


@contextmanager
def talking(host: Host, **options: Any) -> Iterator[None]:
    """Two ipvlans, one of them in namespace guest, with 192.0.2.2 and 192.0.2.3; the network has 192.0.2.1."""
    wire = f"{host.netns}-wire"
    ip("address", "add", "192.0.2.1/24", "dev", "eth0", netns=wire)
    common = {"lower_device": "eth0", "admin_state": "up", **options}
    elsewhere = {"name": "iv1", "netns": "guest", "lower_device_netns": host.netns}
    try:
        host.apply("ipvlan", name="iv0", addresses=["192.0.2.2/24"], **common)
        host.apply("ipvlan", **elsewhere, addresses=["192.0.2.3/24"], **common)
        yield
    finally:
        ip("address", "del", "192.0.2.1/24", "dev", "eth0", netns=wire)


def reaches(netns: str, address: str) -> bool:
    """Whether a ping from a namespace is answered."""
    command = ["ip", "netns", "exec", netns, "ping", "-n", "-c", "2", "-i", "0.3", "-W", "1", address]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(("option", "is_direct"), [("bridge", True), ("private", False), ("vepa", False)])
def test_packets_in_mode_l2(host: Host, option: str, is_direct: bool) -> None:
    """The network sees both links with the one MAC address; the flags decide whether they reach each other without it."""
    wire = f"{host.netns}-wire"
    with talking(host, mode="l2", flags=option):
        for address in ("192.0.2.2", "192.0.2.3"):
            assert reaches(wire, address)
            (seen,) = json.loads(ip("-j", "neigh", "show", address, netns=wire))
            assert seen["lladdr"] == host.link("eth0")["address"]
        assert reaches("guest", "192.0.2.1")
        assert reaches("guest", "192.0.2.2") == is_direct


@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_packets_in_mode_l3(host: Host, mode: str) -> None:
    """No ARP: the network needs a neighbor entry or a route, and the links reach each other."""
    wire = f"{host.netns}-wire"
    with talking(host, mode=mode):
        assert not reaches(wire, "192.0.2.3")
        ip("neigh", "replace", "192.0.2.3", "lladdr", host.link("eth0")["address"], "dev", "eth0", netns=wire)
        ip("address", "add", "192.0.2.9/24", "dev", "eth0", netns=host.netns)  # by which the lower device finds its neighbors
        try:
            assert reaches(wire, "192.0.2.3")
            assert reaches("guest", "192.0.2.2")
            climb(host, "ipvlan", name="iv0", mode="l2")
            ip("neigh", "flush", "all", netns=wire)
            assert reaches(wire, "192.0.2.3")
        finally:
            ip("address", "del", "192.0.2.9/24", "dev", "eth0", netns=host.netns)
            ip("neigh", "flush", "all", netns=wire)


def test_restored_at_boot(host: Host) -> None:
    """The boot program creates the link with mode and flags."""
    host.apply("ipvlan", **IV0, flags="private", addresses=["192.0.2.7/24"], admin_state="up", persist="replay")
    assert replay(host, "--check") == 0
    host.ip("link", "delete", "iv0")
    assert replay(host, "--check") == 2
    assert replay(host) == 0
    assert (data("iv0", "mode")(host), flags(host, "iv0")) == ("l2", "private")
    assert "192.0.2.7/24" in host.ip("address", "show", "iv0")
    assert replay(host, "--check") == 0
    host.apply("ipvlan", name="iv0", state="absent")
