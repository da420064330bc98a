# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook shim connects a host with the guests on its own card, and the network still sees the host on its card only."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal, hosts
from ansible_collections.patchbay.netdev.tests.integration.playbooks import LAN, Site, start_switch

HOST, GUESTS = "192.0.2.10", {"one": "192.0.2.101", "two": "192.0.2.102"}
GUEST_V6 = "2001:db8::101"
_numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def switch() -> Iterator[None]:
    """Start the network of the host."""
    start_switch()
    yield
    hosts("stop", "wire")


def make_guests(site: Site) -> None:
    """Create containers with one macvlan each. One of them has IPv6 too."""
    for name, address in GUESTS.items():
        site.sh(
            f"ip netns add {name}; ip -n {name} link set lo up;"
            f"ip netns exec {name} sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad';"
            f"ip link add eth0 link eth0 netns {name} type macvlan mode bridge;"
            f"ip -n {name} address add {address}/24 dev eth0; ip -n {name} link set eth0 up"
        )
    site.sh(f"ip -n one address add {GUEST_V6}/64 dev eth0")


@pytest.fixture
def site() -> Iterator[Site]:
    """Create a host with an address on the network, and with guests."""
    made = Site(f"vmhost{next(_numbers)}")
    hosts("start", made.name)
    try:
        start(made)
        yield made
    finally:
        hosts("stop", made.name)


def start(site: Site) -> None:
    """Connect the host, and create its guests."""
    site.plug("eth0")
    site.sh(f"ip address add {HOST}/24 dev eth0")
    make_guests(site)


def who_answers(address: str) -> set[str]:
    """Return the MAC addresses that reply to another host of the network for an address."""
    done = hosts("enter", "wire", "arping", "-c", "3", "-w", "3", "-I", "br0", "-s", LAN, address, check=False)
    return {mac.lower() for mac in re.findall(r"\[([0-9A-Fa-f:]{17})\]", done.stdout)}


def assert_connected(site: Site) -> None:
    """Verify the connection in both directions with empty neighbor tables, and that the network sees no change."""
    for name, address in GUESTS.items():
        for first in ((address, ""), (HOST, name)):
            site.sh(f"ip neigh flush all; ip -n {name} neigh flush all")
            assert site.hears(*first), first
        assert site.hears(HOST, name), name
    assert site.hears(GUEST_V6)
    card = site.sh("cat /sys/class/net/eth0/address").stdout.strip()
    hosts("enter", "wire", "ip", "neigh", "flush", "all")
    assert who_answers(HOST) == {card}


def test_ladder(site: Site) -> None:
    """The playbook creates and deletes the shim, as the network confirms."""
    disk, before = site.disk(), site.settled()
    assert not site.hears(GUESTS["one"], seconds=1)
    site.climb("shim", host_shim_persist="none")
    assert_connected(site)
    site.climb("shim", host_shim_persist="none", host_shim_state="absent")
    assert_equal(site.disk(), disk)
    assert_equal(site.settled(), before)


def test_reboot(site: Site) -> None:
    """The example sets persist: replay, so the shim is restored without a playbook."""
    disk = site.disk()
    assert site.play("shim") > 0
    hosts("restart", site.name)
    start(site)
    assert site.replay()[0] == 0
    assert_connected(site)
    # see the README about probes for duplicate addresses, which have no sender address
    (answer,) = Site("wire").apply("address_probe", link="br0", addresses=[HOST])["answers"]
    links = site.sh("cat /sys/class/net/eth0/address /sys/class/net/shim0/address").stdout.split()
    assert answer["macs"] == sorted(links)
    assert site.play("shim") == 0
    assert site.play("shim", host_shim_state="absent") > 0
    left = {path for path, found in site.disk().items() if disk.get(path) != found}
    assert not [path for path in left if "replay.d/" in path], left


def test_guest_that_is_down(site: Site) -> None:
    """The error names the guest that is down."""
    site.sh("ip -n two link set eth0 down")
    said = " ".join(site.ran("shim", check=False).split())
    assert f"{GUESTS['two']}: no guest replies through shim0. Set the guest up on eth0 in mode bridge" in said
    assert site.play("shim", host_shim_prove=False) == 0


def test_one_guest(site: Site) -> None:
    """A single target may be given without a list."""
    site.play("shim", host_shim_targets=GUESTS["one"], host_shim_addresses="192.0.2.7/32", host_shim_persist="none")
    assert site.hears(GUESTS["one"])
    assert site.hears("192.0.2.7", "one")


def test_host_with_arp_ignore(site: Site) -> None:
    """With arp_ignore the shim needs its own address, which the guests then see."""
    site.sh("echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce")
    said = " ".join(site.ran("shim", check=False).split())
    assert "the shim does not reply for the addresses of other links. Add an address to host_shim_addresses" in said
    assert "shim0" not in site.sh("ip link").stdout
    site.play("shim", host_shim_addresses=["192.0.2.7/32", "2001:db8::7/128"], host_shim_persist="none")
    for name, address in GUESTS.items():
        site.sh(f"ip neigh flush all; ip -n {name} neigh flush all")
        assert site.hears("192.0.2.7", name)
        site.sh(f"ip neigh flush all; ip -n {name} neigh flush all")
        assert site.hears(address)


def test_ipv6_without_an_address(site: Site) -> None:
    """IPv6 targets are refused if the shim has no IPv6 address."""
    said = " ".join(site.ran("shim", check=False, host_shim_addresses=[]).split())
    assert "host_shim_targets: contains IPv6 addresses, but the shim has no IPv6 address" in said
