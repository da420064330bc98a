# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Duplicate address detection: what waits for it, and the error if another host on the network has the address."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import climb, stay

MV0 = {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "address": "00:16:3e:11:11:01", "admin_state": "up"}
FREE, TAKEN = "2001:db8::1/64", "2001:db8::5/64"
DUPLICATE = (
    "wait for duplicate address detection on {link}: 2001:db8::5 failed: 2001:db8::5 is a duplicate: another host on the network "
    "of {link} has this address. Remove it there, or choose another address. All changes were rolled back"
)


@pytest.fixture(autouse=True)
def detection(host: Host) -> None:
    """Enable duplicate address detection for new links, which other tests disable to be fast."""
    ip("netns", "exec", host.netns, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/accept_dad")


@pytest.fixture
def neighbor(host: Host) -> str:
    """Create the namespace at the other end of the cable, which has one address."""
    wire = f"{host.netns}-wire"
    ip("address", "add", TAKEN, "dev", "eth0", netns=wire)
    return wire


def flags(host: Host, link: str = "mv0") -> dict[str, set[str]]:
    """Return the flags of each global IPv6 address."""
    (found,) = json.loads(host.ip("-j", "address", "show", "dev", link))
    ours = [item for item in found["addr_info"] if item["family"] == "inet6" and item["scope"] == "global"]
    return {item["local"]: {word for word in ("tentative", "dadfailed") if word in item} for item in ours}


def settled(host: Host, link: str) -> None:
    """Wait until detection on the link has ended."""
    end = time.monotonic() + 10
    while any(
        "tentative" in line and "dadfailed" not in line for line in host.ip("-o", "address", "show", "dev", link).splitlines()
    ):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_unused_address(host: Host) -> None:
    """The task ends when the address is usable, not earlier."""
    done = climb(host, "macvlan", **MV0, addresses=[FREE, "192.0.2.1/24"], wait_dad=5)
    assert done["operations"][1:] == ["wait for duplicate address detection on mv0: 2001:db8::1"]
    assert flags(host) == {"2001:db8::1": set()}
    host.apply("macvlan", **MV0, addresses=[FREE, "2001:db8::2/64"])
    assert flags(host)["2001:db8::2"] == {"tentative"}, "without wait_dad nobody waits"


def test_waits_only_for_new_addresses(host: Host) -> None:
    """The task does not wait for existing addresses and for those without detection."""
    host.apply("macvlan", **MV0, addresses=[FREE], wait_dad=5)
    settled(host, "mv0")
    wanted = [FREE, "2001:db8::2/64", {"ip": "2001:db8::3/64", "nodad": True}, "192.0.2.1/24"]
    done = climb(host, "macvlan", **MV0, addresses=wanted, wait_dad=5)
    assert done["operations"][1:] == ["wait for duplicate address detection on mv0: 2001:db8::2"]
    done = climb(host, "macvlan", **MV0, addresses=[FREE, {"ip": "2001:db8::3/64", "nodad": True}], wait_dad=5)
    assert len(done["operations"]) == 1


@pytest.mark.parametrize("there", [True, False], ids=["link there", "new link"])
def test_address_in_use(host: Host, neighbor: str, there: bool) -> None:
    """If another host has the address, the task fails and all its changes are rolled back."""
    if there:
        host.apply("macvlan", **MV0, addresses=[FREE, "192.0.2.1/24"], wait_dad=5)
        settled(host, "mv0")
    before = dump([host.netns, "guest"])
    entries = {
        "veth": [{"name": "v0", "peer": {"name": "v1", "netns": "guest"}, "admin_state": "up", "addresses": ["10.0.0.1/30"]}],
        "macvlan": [{**MV0, "mtu": 1400, "addresses": ["192.0.2.2/24", TAKEN], "wait_dad": 5}],
    }
    assert host.run("topology", check=True, **entries)["changed"]
    failed = host.run("topology", **entries)
    assert failed["msg"] == DUPLICATE.format(link="mv0")
    if there:
        settled(host, "mv0")
    assert_equal(dump([host.netns, "guest"]), before)


def test_address_in_use_on_an_existing_link(host: Host, neighbor: str) -> None:
    """The duplicate address is removed again, and the earlier address is restored."""
    host.ip("address", "add", FREE, "dev", "eth0")
    host.ip("netns", "exec", host.netns, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_dad")
    failed = host.run("link", name="eth0", addresses=[TAKEN], wait_dad=5)
    assert failed["msg"] == DUPLICATE.format(link="eth0")
    assert list(flags(host, "eth0")) == ["2001:db8::1"]


def test_tried_again(host: Host, neighbor: str) -> None:
    """A duplicate address stays unusable with a warning. wait_dad tries it again."""
    host.apply("macvlan", **MV0, addresses=[TAKEN, FREE])
    end = time.monotonic() + 10
    while "dadfailed" not in flags(host)["2001:db8::5"]:
        assert time.monotonic() < end, "the kernel found no duplicate"
        time.sleep(0.02)
    told = (
        "mv0: address 2001:db8::5 is not in use, because duplicate address detection found it on another host. "
        "Remove it there, and set wait_dad to try again"
    )
    stay(host, "macvlan", **MV0, addresses=[TAKEN, FREE])
    assert told in str(host.apply("macvlan", **MV0, addresses=[TAKEN, FREE])["warnings"])
    failed = host.run("macvlan", **MV0, addresses=[TAKEN, FREE], wait_dad=5)
    assert failed["msg"] == DUPLICATE.format(link="mv0")
    ip("address", "del", TAKEN, "dev", "eth0", netns=neighbor)
    settled(host, "mv0")
    done = climb(host, "macvlan", **MV0, addresses=[TAKEN, FREE], wait_dad=5)
    assert done["operations"] == [
        "set mv0: addresses change 2001:db8::5/64",
        "wait for duplicate address detection on mv0: 2001:db8::5",
    ]
    assert "warnings" not in done
    assert flags(host) == {"2001:db8::5": set(), "2001:db8::1": set()}


def test_without_a_carrier(host: Host) -> None:
    """Without a carrier detection does not start: the message names the time and asks for the cause."""
    host.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
    before = host.ip("-br", "address")
    started = time.monotonic()
    failed = host.run("link", name="v0", admin_state="up", addresses=[FREE], wait_dad=1.5)
    assert 1.5 <= time.monotonic() - started < 4
    assert failed["msg"] == (
        "wait for duplicate address detection on v0: 2001:db8::1 failed: duplicate address detection on v0 did not end within "
        "1.5 s: 2001:db8::1. Make sure that the link has a carrier, set a larger wait_dad, or omit it. "
        "All changes were rolled back"
    )
    assert host.ip("-br", "address") == before


def test_link_that_is_down(host: Host) -> None:
    """On a link that is down the task does not wait. It waits when the link is set up."""
    down = {**MV0, "admin_state": "down", "addresses": [FREE], "wait_dad": 5}
    assert len(host.apply("macvlan", **down)["operations"]) == 1
    stay(host, "macvlan", **down)
    done = climb(host, "macvlan", **{**down, "admin_state": "up"})
    assert done["operations"][-1] == "wait for duplicate address detection on mv0: 2001:db8::1"
    assert flags(host) == {"2001:db8::1": set()}


@pytest.mark.parametrize("seconds", [-1, 3601])
def test_bounds(host: Host, seconds: float) -> None:
    """Values outside of the bounds are refused."""
    told = f"wait_dad: {seconds:g} is not between 0 and 3600 seconds"
    assert host.run("macvlan", **MV0, addresses=[FREE], wait_dad=seconds)["msg"] == told


SOURCED: dict[str, Any] = {"destination": "2001:db8:9::/48", "gateway": "2001:db8::ff", "source": "2001:db8::1"}


def test_source_of_a_route(host: Host) -> None:
    """A route waits for detection of its source address, because the kernel accepts no tentative one."""
    entries = {"macvlan": [{**MV0, "addresses": [FREE]}], "routes": [SOURCED]}
    told = host.run("topology", check=True, **entries)["operations"]
    done = host.apply("topology", **entries)
    assert done["operations"] == told
    stay(host, "topology", **entries)
    assert done["operations"][1] == "wait for duplicate address detection on mv0: 2001:db8::1"
    assert "src 2001:db8::1" in host.ip("-6", "route", "show", "2001:db8:9::/48")
    settled(host, "mv0")
    assert "wait" not in str(climb(host, "route", **SOURCED, mtu=1400)["operations"])


def test_source_that_is_a_duplicate(host: Host, neighbor: str) -> None:
    """If the source of a route is a duplicate, the route and all other changes are rolled back."""
    before = dump([host.netns])
    route = {**SOURCED, "source": "2001:db8::5"}
    failed = host.run("topology", macvlan=[{**MV0, "addresses": [TAKEN]}], routes=[route])
    assert failed["msg"] == DUPLICATE.format(link="mv0")
    assert_equal(dump([host.netns]), before)


def test_recreated_with_a_source(host: Host) -> None:
    """A restored address must pass detection before the routes with it as source are restored."""
    host.apply("topology", macvlan=[{**MV0, "addresses": [FREE]}], routes=[SOURCED])
    again = {**MV0, "mode": "passthru", "recreate": "when_required"}
    del again["address"]
    done = host.apply("macvlan", **again)
    assert done["changed"]
    assert "src 2001:db8::1" in host.ip("-6", "route", "show", "2001:db8:9::/48")


def test_source_with_a_new_prefix_length(host: Host) -> None:
    """A new prefix length removes the source from routes in the kernel. The task restores it."""
    host.apply("topology", macvlan=[{**MV0, "addresses": [FREE]}], routes=[SOURCED])
    settled(host, "mv0")
    done = climb(host, "macvlan", **MV0, addresses=["2001:db8::1/48"])
    assert done["operations"] == [
        "set mv0: addresses change 2001:db8::1/48",
        "wait for duplicate address detection on mv0: 2001:db8::1",
        "set route to 2001:db8:9::/48: source none -> 2001:db8::1",
    ]
    assert "src 2001:db8::1" in host.ip("-6", "route", "show", "2001:db8:9::/48")
    host.apply("macvlan", **MV0, addresses=["2001:db8::2/48"])
    assert "src" not in host.ip("-6", "route", "show", "2001:db8:9::/48"), "its source is gone for good"


def test_rolled_back_with_a_source(host: Host, neighbor: str) -> None:
    """Rolling back waits for detection too, so that routes get their source again."""
    host.apply("topology", macvlan=[{**MV0, "addresses": [FREE]}], routes=[SOURCED])
    settled(host, "mv0")
    before = dump([host.netns])
    failed = host.run("macvlan", **MV0, addresses=["2001:db8::1/48", TAKEN], wait_dad=5)
    assert failed["msg"] == DUPLICATE.format(link="mv0").replace("2001:db8::5 failed", "2001:db8::1, 2001:db8::5 failed").replace(
        "2001:db8::1, 2001:db8::5", "2001:db8::5, 2001:db8::1"
    )
    settled(host, "mv0")
    assert_equal(dump([host.netns]), before)
