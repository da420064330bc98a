# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a link loses when it is changed or recreated is restored, or named in a warning."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, bring_up
from ansible_collections.patchbay.netdev.tests.integration.ladder import climb, warnings

NEIGHBORS = {
    "192.0.2.99 lladdr 02:00:00:00:00:99 PERMANENT",
    "2001:db8::99 lladdr 02:00:00:00:00:99 router PERMANENT",
    "192.0.2.98 proxy",
    "2001:db8::98 proxy",
}


@pytest.fixture
def macvlan(host: Host) -> Host:
    """A host with mv0, which has addresses, routes and neighbors that no task has set."""
    host.ip("link", "add", "link", "eth0", "name", "mv0", "type", "macvlan", "mode", "bridge")
    bring_up("mv0", host.netns)
    host.ip("address", "add", "192.0.2.25/24", "dev", "mv0")
    host.ip("address", "add", "2001:db8::25/64", "dev", "mv0", "nodad", "preferred_lft", "0")
    host.ip("route", "add", "198.51.100.0/24", "via", "192.0.2.1")
    host.ip("-6", "route", "add", "2001:db8:9::/48", "via", "2001:db8::1")
    add_neighbors(host)
    return host


def add_neighbors(host: Host) -> None:
    """Add the permanent neighbors of mv0."""
    for words in (
        "192.0.2.99 lladdr 02:00:00:00:00:99 nud permanent",
        "2001:db8::99 lladdr 02:00:00:00:00:99 router nud permanent",
        "proxy 192.0.2.98",
        "proxy 2001:db8::98",
    ):
        host.ip("neighbor", "replace", *words.split(), "dev", "mv0")


def neighbors(host: Host) -> set[str]:
    """Return the permanent neighbors of mv0, those that it answers for among them."""
    shown = host.ip("neighbor", "show", "nud", "permanent", "dev", "mv0") + host.ip("neighbor", "show", "proxy", "dev", "mv0")
    return {" ".join(line.split()) for line in shown.splitlines()}


def addresses(host: Host) -> set[str]:
    """Return the addresses of mv0, but for link-local ones."""
    (shown,) = json.loads(host.ip("-j", "address", "show", "dev", "mv0"))
    return {f"{item['local']}/{item['prefixlen']}" for item in shown["addr_info"] if item["scope"] == "global"}


def routes(host: Host) -> set[str]:
    """Return the routes through mv0 that the kernel did not create."""
    shown = [json.loads(host.ip(family, "-d", "-j", "route", "show", "table", "all", "dev", "mv0")) for family in ("-4", "-6")]
    return {route["dst"] for family in shown for route in family if route["protocol"] not in ("kernel", "ra")}


ADDRESSES, ROUTES = {"192.0.2.25/24", "2001:db8::25/64"}, {"198.51.100.0/24", "2001:db8:9::/48"}
LOST_IPV6 = (
    "2001:db8::25/64, the neighbor 2001:db8::99, the proxy neighbor 2001:db8::98, the route to 2001:db8:9::/48 via 2001:db8::1"
)


def warned(host: Host, wanted: dict[str, Any], sentence: str) -> None:
    """Verify that check mode and the real run give the same warning."""
    checked = host.run("macvlan", check=True, **wanted)
    done = climb(host, "macvlan", **wanted)
    assert warnings(checked) == warnings(done) == [sentence]


def test_set_down(macvlan: Host) -> None:
    """A link that is set down loses more than its IPv4 addresses, and nothing of it can be restored while it is down."""
    lost = (
        "mv0: loses 2001:db8::25/64, the neighbor 192.0.2.99, the neighbor 2001:db8::99, the proxy neighbor 192.0.2.98, "
        "the proxy neighbor 2001:db8::98, the route to 198.51.100.0/24 via 192.0.2.1, "
        "the route to 2001:db8:9::/48 via 2001:db8::1 (the link is set down)"
    )
    warned(macvlan, {"name": "mv0", "admin_state": "down"}, lost)
    assert (addresses(macvlan), routes(macvlan), neighbors(macvlan)) == ({"192.0.2.25/24"}, set(), set())


def test_kept_addresses(macvlan: Host) -> None:
    """With keep_addr_on_down the kernel keeps the static global IPv6 addresses, so that they are not named."""
    macvlan.ip("netns", "exec", macvlan.netns, "sysctl", "-qw", "net.ipv6.conf.mv0.keep_addr_on_down=1")
    done = climb(macvlan, "macvlan", name="mv0", admin_state="down")
    assert addresses(macvlan) == ADDRESSES
    assert "2001:db8::25/64" not in str(warnings(done))


@pytest.mark.parametrize("option", [{"mtu": 1200}, {"sysctls": {"ipv6.disable_ipv6": 1}}], ids=["mtu", "disable_ipv6"])
def test_without_ipv6(macvlan: Host, option: dict[str, Any]) -> None:
    """A link without IPv6 loses what needs IPv6, and keeps the rest."""
    reason = "an MTU below 1280 removes IPv6" if "mtu" in option else "IPv6 is disabled"
    warned(macvlan, {"name": "mv0", **option}, f"mv0: loses {LOST_IPV6} ({reason})")
    assert (addresses(macvlan), routes(macvlan)) == ({"192.0.2.25/24"}, {"198.51.100.0/24"})
    assert neighbors(macvlan) == {line for line in NEIGHBORS if not line.startswith("2001:")}


def test_lower_device_without_ipv6(macvlan: Host) -> None:
    """The kernel lowers the MTU of the links on a link as well: the warning names them."""
    done = climb(macvlan, "link", name="eth0", mtu=1200)
    assert f"mv0: loses {LOST_IPV6} (an MTU below 1280 removes IPv6)" in warnings(done)


def test_other_mac_address(macvlan: Host) -> None:
    """Neighbors are restored when the MAC address changes, for which the kernel deletes them."""
    done = climb(macvlan, "macvlan", name="mv0", address="02:00:00:00:00:77")
    assert (neighbors(macvlan), warnings(done)) == (NEIGHBORS, [])


def test_mac_address_of_a_link_that_is_down(macvlan: Host) -> None:
    """Nothing is restored that was not lost."""
    macvlan.ip("link", "set", "mv0", "down")
    done = climb(macvlan, "macvlan", name="mv0", address="02:00:00:00:00:77", admin_state="up")
    assert (neighbors(macvlan), warnings(done)) == (set(), [])


def test_only_address_is_replaced(macvlan: Host) -> None:
    """A link without IPv4 addresses loses its neighbors, even if that lasts only a moment."""
    done = climb(macvlan, "macvlan", name="mv0", addresses=[{"ip": "192.0.2.25/24", "label": "mv0:a"}, "2001:db8::25/64"])
    assert (neighbors(macvlan), routes(macvlan), warnings(done)) == (NEIGHBORS, ROUTES, [])


def test_recreated(macvlan: Host) -> None:
    """A link that is created again keeps what can be created again, and a warning names the rest."""
    macvlan.ip("route", "add", "203.0.113.0/24", "via", "inet6", "2001:db8::", "dev", "mv0")
    macvlan.ip("nexthop", "add", "id", "10", "via", "192.0.2.1", "dev", "mv0")
    macvlan.ip("route", "add", "203.0.114.0/24", "nhid", "10")
    macvlan.ip("route", "add", "203.0.115.0/24", "nexthop", "via", "192.0.2.1", "nexthop", "via", "192.0.2.2")
    shape = "tc qdisc add dev mv0 root tbf rate 1mbit burst 32kbit latency 400ms"
    macvlan.ip("netns", "exec", macvlan.netns, *shape.split())
    macvlan.ip("address", "add", "203.0.113.9/32", "dev", "mv0", "scope", "link", "broadcast", "203.0.113.255")
    before = [macvlan.ip("address", "show", "dev", "mv0", "to", subnet) for subnet in ("203.0.113.9", "2001:db8::25")]
    done = climb(macvlan, "macvlan", name="mv0", mode="passthru", recreate="when_required")
    assert warnings(done) == [
        "mv0: recreated without the route to 203.0.114.0/24 via 192.0.2.1 (it uses nexthop object 10), "
        "the route to 203.0.115.0/24 (more than one next hop), the qdisc tbf, the nexthop object 10"
    ]
    assert (neighbors(macvlan), routes(macvlan)) == (NEIGHBORS, {*ROUTES, "203.0.113.0/24"})
    assert "via inet6 2001:db8::" in macvlan.ip("route", "show", "203.0.113.0/24")
    after = [macvlan.ip("address", "show", "dev", "mv0", "to", subnet) for subnet in ("203.0.113.9", "2001:db8::25")]
    assert [text.splitlines()[-2:] for text in after] == [text.splitlines()[-2:] for text in before]
    assert "deprecated" in after[1]
    assert "scope link" in after[0]


def test_rolled_back(macvlan: Host) -> None:
    """A roll back restores neighbors."""
    wanted = {
        "macvlan": [{"name": "mv0", "mode": "passthru", "recreate": "when_required"}],
        "link": [{"name": "eth1", "address_generation_mode": "stable_secret"}],  # without a secret the kernel refuses that
    }
    failed = macvlan.run("topology", **wanted)
    assert failed["not_undone"] == [], failed
    assert (addresses(macvlan), routes(macvlan), neighbors(macvlan)) == (ADDRESSES, ROUTES, NEIGHBORS)
