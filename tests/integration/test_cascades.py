# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that the kernel deletes together with links and addresses: check mode predicts them, and the run restores them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host
from ansible_collections.patchbay.netdev.tests.integration.ladder import climb, stay

MAC = "02:00:00:00:00:01"
MV0 = {
    "name": "mv0",
    "lower_device": "eth0",
    "mode": "bridge",
    "address": MAC,
    "admin_state": "up",
    "address_generation_mode": "none",
}


def addresses(host: Host, link: str = "mv0") -> list[str]:
    """Return the addresses of a link in the order of ip."""
    (found,) = json.loads(host.ip("-j", "address", "show", "dev", link))
    return [f"{item['local']}/{item['prefixlen']}" for item in found["addr_info"] if not item["local"].startswith("fe80:")]


def routes(host: Host, link: str = "mv0") -> list[tuple[str, ...]]:
    """Return the routes of a link that the kernel did not create: table, destination, gateway, source, protocol."""
    words = ("table", "dst", "gateway", "prefsrc", "protocol")
    shown = [
        route
        for family in ("-4", "-6")
        for route in json.loads(host.ip(family, "-d", "-j", "route", "show", "table", "all", "dev", link))
        if route["protocol"] != "kernel"
    ]
    return sorted(tuple(str(route.get(word)) for word in words) for route in shown)


def furnished(host: Host, *more: str) -> None:
    """Create mv0 with addresses of both families, two of them in one subnet, and routes of this collection and of others."""
    host.apply("macvlan", **MV0)
    for address in ("192.0.2.1/24", "192.0.2.2/24", *more):
        host.ip("address", "add", address, "dev", "mv0")
    for address in ("2001:db8::1/64", "2001:db8::2/64"):
        host.ip("address", "add", address, "dev", "mv0", "nodad")
    for words in (
        "198.51.100.0/24 via 192.0.2.9",
        "198.51.101.0/24 via 192.0.2.9 table 77 protocol zebra",
        "198.51.102.0/24 dev mv0 protocol static",
        "2001:db8:5::/48 via 2001:db8::9",
        "2001:db8:6::/48 via 2001:db8::9 table 77 protocol bird",
    ):
        host.ip("route", "add", *words.split())


def of_routes(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the routes in a diff with their states before and after."""
    return sorted(
        (entry["before_header"], entry["before"]["state"], entry["after"]["state"])
        for entry in result["diff"]
        if entry["before_header"].startswith("route ") and entry["before"] != entry["after"]
    )


def test_link_down_and_up(host: Host) -> None:
    """A link that is set down loses routes and IPv6 addresses, as check mode predicts. Set up, it has all declared ones."""
    furnished(host)
    done = climb(host, "link", name="mv0", admin_state="down")
    assert of_routes(done) == sorted(
        (f"route to {name}", "present", "absent")
        for name in (
            "198.51.100.0/24",
            "198.51.101.0/24 table 77",
            "198.51.102.0/24",
            "2001:db8:5::/48",
            "2001:db8:6::/48 table 77",
        )
    )
    assert (routes(host), addresses(host)) == ([], ["192.0.2.1/24", "192.0.2.2/24"])
    wanted: dict[str, Any] = {
        "link": [{"name": "mv0", "admin_state": "up", "addresses": ["192.0.2.1/24", {"ip": "2001:db8::1/64", "nodad": True}]}],
        "routes": [
            {"destination": "198.51.100.0/24", "gateway": "192.0.2.9"},
            {"destination": "2001:db8:5::/48", "gateway": "2001:db8::9", "source": "2001:db8::1"},
        ],
    }
    told = host.run("topology", check=True, **wanted)
    done = host.apply("topology", **wanted)
    assert told["operations"] == done["operations"]
    assert addresses(host) == ["192.0.2.1/24", "2001:db8::1/64"]
    assert [route[1:4] for route in routes(host)] == [
        ("198.51.100.0/24", "192.0.2.9", "None"),
        ("2001:db8:5::/48", "2001:db8::9", "2001:db8::1"),
    ]
    stay(host, "topology", **wanted)


def test_recreated(host: Host) -> None:
    """Addresses and routes that the task omits are restored in their order, whoever created them."""
    furnished(host)
    before = addresses(host), routes(host)
    climb(host, "macvlan", name="mv0", lower_device="eth1", recreate="when_required")
    assert host.link("mv0")["link"] == "eth1"
    assert (addresses(host), routes(host)) == before


def test_recreated_with_other_addresses(host: Host) -> None:
    """Only the declared static addresses and the routes that are still possible are restored. A warning names the others."""
    furnished(host)
    host.ip("address", "add", "192.0.2.7/24", "dev", "mv0", "valid_lft", "3000", "preferred_lft", "2000")
    anew = {"name": "mv0", "lower_device": "eth1", "recreate": "when_required"}
    wanted: dict[str, Any] = {
        "macvlan": [{**anew, "addresses": ["192.0.2.3/24", "192.0.2.2/24"]}],
        "routes": [{"destination": "198.51.103.0/24", "gateway": "192.0.2.9", "source": "192.0.2.3"}],
    }
    kept = [route for route in routes(host) if not route[1].startswith("2001:")]
    done = host.apply("topology", **wanted)
    assert sorted(addresses(host)) == ["192.0.2.2/24", "192.0.2.3/24", "192.0.2.7/24"]
    new = ("main", "198.51.103.0/24", "192.0.2.9", "192.0.2.3", "static")
    assert routes(host) == sorted([*kept, new])
    told = str(done["warnings"])
    for name in ("2001:db8:5::/48 via 2001:db8::9", "2001:db8:6::/48 table 77 via 2001:db8::9"):
        assert f"the route to {name} (its address is removed)" in told
    stay(host, "topology", **wanted)


SUBNETS: dict[str, tuple[list[str], list[str]]] = {
    "the primary goes": (["192.0.2.2/24", "192.0.2.3/24"], ["192.0.2.2/24", "192.0.2.3/24"]),
    "the primary and its heir go": (["192.0.2.3/24"], ["192.0.2.3/24"]),
    "a secondary goes": (["192.0.2.1/24", "192.0.2.3/24"], ["192.0.2.1/24", "192.0.2.3/24"]),
    "all in a smaller network": (["192.0.2.1/25", "192.0.2.2/25"], ["192.0.2.1/25", "192.0.2.2/25"]),
    "another one of the network": (["192.0.2.77/24"], ["192.0.2.77/24"]),
}


@pytest.mark.parametrize("promote", [0, 1])
@pytest.mark.parametrize("name", SUBNETS)
def test_addresses_of_one_subnet(host: Host, name: str, promote: int) -> None:
    """Secondary addresses and routes stay when their primary address is removed, also where the kernel would delete them."""
    furnished(host, "192.0.2.3/24")
    host.ip("link", "add", "other", "link", "eth0", "type", "macvlan")  # a link without the sysctl
    host.apply("link", name="mv0", sysctls={"ipv4.promote_secondaries": promote})
    before = routes(host)
    wanted, seen = SUBNETS[name]
    climb(host, "link", name="mv0", addresses=[*wanted, "2001:db8::1/64", "2001:db8::2/64"])
    assert [address for address in addresses(host) if ":" not in address] == seen
    assert routes(host) == before
    assert host.setting("ipv4/conf/mv0/promote_secondaries") == str(promote)


def test_smaller_network_of_ipv6(host: Host) -> None:
    """The address must be removed for a new prefix length. The routes through it stay."""
    furnished(host)
    before = routes(host)
    climb(host, "link", name="mv0", addresses=["192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/80", "2001:db8::2/80"])
    assert sorted(addresses(host)) == ["192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/80", "2001:db8::2/80"]
    assert routes(host) == before


@pytest.mark.parametrize("change", [{"label": "mv0:web"}, {"noprefixroute": True}, {"metric": 7}])
def test_change_that_takes_the_only_address_off(host: Host, change: dict[str, Any]) -> None:
    """With the last IPv4 address the kernel deletes all IPv4 routes of the link. All of them are restored."""
    host.apply("macvlan", **MV0)
    host.ip("address", "add", "192.0.2.1/24", "dev", "mv0")
    for words in (
        "198.51.100.0/24 via 192.0.2.9",
        "198.51.101.0/24 via 192.0.2.9 src 192.0.2.1 table 77 protocol zebra",
        "198.51.102.0/24 dev mv0 protocol static",
        "192.0.2.0/24 dev mv0 table 77",
        "198.51.103.0/24 via 203.0.113.9 dev mv0 onlink protocol dhcp",
    ):
        host.ip("route", "add", *words.split())
    before = routes(host)
    params = {"name": "mv0", "addresses": [{"ip": "192.0.2.1/24", **change}]}
    if "noprefixroute" in change:  # then the gateway is in no network of the link, so its routes cannot be restored
        host.ip("route", "add", "192.0.2.0/25", "dev", "mv0")
        before = routes(host)
    climb(host, "link", **params)
    assert addresses(host) == ["192.0.2.1/24"]
    assert routes(host) == before
