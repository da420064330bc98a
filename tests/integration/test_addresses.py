# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static addresses of links: the ladder, addresses that are never removed, the order of changes, and dependent routes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import Case, climb, refuse, stay

MAC = "00:16:3e:11:11:01"
MV0 = {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "address": MAC, "admin_state": "up"}


def addresses(host: Host, link: str, netns: str | None = None) -> list[str]:
    """Return the global addresses of a link in the order of ip."""
    return [f"{item['local']}/{item['prefixlen']}" for item in shown(host, link, netns)]


def shown(host: Host, link: str, netns: str | None = None) -> list[dict[str, Any]]:
    """Return the addresses of a link except link-local ones, as `ip -j address` shows them."""
    (found,) = json.loads(ip("-j", "address", "show", "dev", link, netns=netns or host.netns))
    return [item for item in found["addr_info"] if item["scope"] != "link" or item["family"] == "inet"]


RUNGS: list[tuple[Any, list[str]]] = [
    (["192.0.2.1/24"], ["192.0.2.1/24"]),
    (["192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/64"], ["192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/64"]),
    (["192.0.2.2/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::1/64"]),  # remove the primary
    (["192.0.2.2/25", "2001:db8::1/48"], ["192.0.2.2/25", "2001:db8::1/48"]),
    (["198.51.100.7/32", "2001:DB8:0::8/128"], ["198.51.100.7/32", "2001:db8::8/128"]),
    ([], []),
]


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("module", ["macvlan", "macvtap", "link", "veth", "bridge"])
def test_ladder(host: Host, module: str) -> None:
    """Each list is applied in turn to a link of each kind."""
    host.ip("link", "add", "mv0", "link", "eth0", "type", "macvlan") if module == "link" else None
    name = {"macvlan": MV0, "macvtap": MV0, "veth": {"name": "mv0", "peer": {"name": "mv1"}}}.get(module, {"name": "mv0"})
    for wanted, seen in RUNGS:
        params = {**name, "admin_state": "up", "addresses": wanted}
        climb(host, module, **params)
        assert sorted(addresses(host, "mv0")) == sorted(seen)


KEEP = object()  # an omitted key keeps its value
V4, V6 = "192.0.2.1/24", "2001:db8::1/64"

# The keys of an item: values to set in turn, and what ip shows of the address (or of its connected route) for each value.
OPTIONS: dict[str, tuple[str, str, list[tuple[Any, Any]]]] = {
    "label": (V4, "label", [("mv0:web", "mv0:web"), ("mv0:db", "mv0:db"), (KEEP, "mv0:db"), ("mv0", "mv0")]),
    "metric, IPv4": (V4, "metric", [(50, 50), ("60", 60), (KEEP, 60), (0, None)]),
    "metric, IPv6": (V6, "metric", [(50, 50), (60, 60), (KEEP, 60), (0, None)]),
    "noprefixroute, IPv4": (V4, "noprefixroute", [(True, True), (KEEP, True), (False, None), ("yes", True)]),
    "noprefixroute, IPv6": (V6, "noprefixroute", [(True, True), (KEEP, True), (False, None), ("yes", True)]),
    "nodad": (V6, "nodad", [(True, True), (KEEP, True), (False, None), (True, True)]),
    "peer_ip, IPv4": (
        "192.0.2.1/32",
        "address",
        [("192.0.2.9", "192.0.2.9"), ("198.51.100.9", "198.51.100.9"), (KEEP, "198.51.100.9"), ("", None), ("192.0.2.8",) * 2],
    ),
    "peer_ip in the same network": (
        V4,
        "address",
        [("192.0.2.9", "192.0.2.9"), ("192.0.2.8", "192.0.2.8"), (KEEP, "192.0.2.8"), ("192.0.2.1", None)],
    ),
    "peer_ip, IPv6": (
        "2001:db8::1/128",
        "address",
        [("2001:db8::9", "2001:db8::9"), ("2001:db8:1::9", "2001:db8:1::9"), (KEEP, "2001:db8:1::9"), ("", None)],
    ),
}


@pytest.mark.parametrize("created", [True, False], ids=["with the link", "later"])
@pytest.mark.parametrize("name", OPTIONS)
def test_option(host: Host, name: str, created: bool) -> None:
    """Each key of an item is set at creation, changed, kept if omitted, and removed. The connected route follows."""
    ip_, word, rungs = OPTIONS[name]
    option = name.partition(",")[0].partition(" ")[0]
    if not created:
        climb(host, "macvlan", **MV0, addresses=[ip_])
    for value, seen in rungs:
        item = {"ip": ip_} if value is KEEP else {"ip": ip_, option: value}
        if value is KEEP:
            stay(host, "macvlan", **MV0, addresses=[item])
        else:
            done = climb(host, "macvlan", **MV0, addresses=[item])
            assert done["link"]["addresses"][0][option] == (False if isinstance(value, bool) and not seen else seen) or (
                option == "label" and seen == "mv0"
            )
        (found,) = shown(host, "mv0")
        assert found.get(word) == seen
        assert found["valid_life_time"] == 0xFFFFFFFF
        routes = connected(host, "-6" if ":" in ip_ else "-4")
        if option == "noprefixroute":
            assert bool(routes) is not bool(seen)
        if option == "metric":
            assert [route.get("metric") for route in routes] == [seen or (256 if ":" in ip_ else None)]
        if option == "peer_ip" and seen and ip_ != V4:
            assert seen in [route["dst"] for route in routes]


def connected(host: Host, family: str) -> list[dict[str, Any]]:
    """Return the routes that the kernel created for the addresses of mv0."""
    routes = json.loads(host.ip(family, "-j", "route", "show", "dev", "mv0", "proto", "kernel") or "[]")
    return [route for route in routes if not route["dst"].startswith(("fe80:", "ff00:"))]


@pytest.mark.parametrize("ip", ["240.1.2.1/24", "0.1.2.17/24", "255.255.255.1/24", "255.255.3.1/16"])
def test_formerly_reserved(host: Host, ip: str) -> None:
    """The kernel takes addresses of the first and the last networks, so do we."""
    climb(host, "link", name="eth0", addresses=[ip])
    assert [entry["local"] for entry in shown(host, "eth0")] == [ip.partition("/")[0]]
    climb(host, "link", name="eth0", addresses=[])


def test_options_survive_recreation(host: Host) -> None:
    """Omitted keys of an address are restored when its link is recreated."""
    items = [{"ip": "192.0.2.1/32", "peer_ip": "192.0.2.9", "label": "mv0:web"}, {"ip": V6, "metric": 50, "nodad": True}]
    host.apply("macvlan", **MV0, addresses=items)
    before = shown(host, "mv0")
    again = {**MV0, "mode": "passthru", "recreate": "when_required"}
    del again["address"]
    host.apply("macvlan", **again, addresses=["192.0.2.1/32", V6])
    assert shown(host, "mv0") == before


BAD: dict[str, tuple[Any, str]] = {
    "no prefix length": ("192.0.2.1", "'192.0.2.1' has no prefix length. Append one, as in 192.0.2.1/24"),
    "prefix length of another family": ("192.0.2.1/33", "'192.0.2.1/33' has no prefix length between 0 and 32"),
    "prefix length, IPv6": ("2001:db8::1/129", "'2001:db8::1/129' has no prefix length between 0 and 128"),
    "mask": ("192.0.2.1/255.255.255.0", "'192.0.2.1/255.255.255.0' has no prefix length between 0 and 32"),
    "no address": ("router/24", "'router' is not an IP address"),
    "octet": ("192.0.2.256/24", "'192.0.2.256' is not an IP address"),
    "leading zero": ("192.0.02.1/24", "'192.0.02.1' is not an IP address"),
    "unspecified": ("0.0.0.0/24", "0.0.0.0 cannot be the address of a link"),
    "unspecified, IPv6": ("::/64", ":: cannot be the address of a link"),
    "multicast": ("224.0.0.1/24", "224.0.0.1 cannot be the address of a link"),
    "multicast, IPv6": ("ff02::5/64", "ff02::5 cannot be the address of a link"),
    "broadcast": ("255.255.255.255/32", "255.255.255.255 cannot be the address of a link"),
    "zone": ("fe80::1%eth0/64", "'fe80::1%eth0' is not an IP address. Omit leading zeros and the zone"),
    "unknown key": (
        {"ip": V4, "gateway": "192.0.2.254"},
        "'gateway' is not an option of an address. Valid options: ip, peer_ip, label, metric, noprefixroute, nodad",
    ),
    "no ip": ({"label": "mv0:web"}, "{'label': 'mv0:web'} has no ip. Set ip, such as 192.0.2.1/24"),
    "nodad, IPv4": (
        {"ip": V4, "nodad": True},
        "192.0.2.1: nodad applies to IPv6 only, because the kernel detects no duplicates for IPv4. Omit nodad",
    ),
    "label, IPv6": ({"ip": V6, "label": "mv0:web"}, "2001:db8::1: label applies to IPv4 only. Omit label"),
    "label too long": (
        {"ip": V4, "label": "mv0:012345678901"},
        "192.0.2.1/24: label: it has 16 bytes, but the kernel allows at most 15",
    ),
    "peer of the other family": (
        {"ip": V4, "peer_ip": "2001:db8::9"},
        "192.0.2.1: peer_ip 2001:db8::9 is of another family than the address",
    ),
    "peer with a prefix length": (
        {"ip": V4, "peer_ip": "192.0.2.9/32"},
        "192.0.2.1/24: peer_ip: '192.0.2.9/32' is not an IP address",
    ),
    "metric": ({"ip": V4, "metric": -1}, "192.0.2.1/24: metric: -1 is not between 0 and 4294967295"),
    "metric that is no number": ({"ip": V4, "metric": "low"}, "192.0.2.1/24: metric: 'low' is not a whole number"),
    "neither true nor false": ({"ip": V6, "nodad": "maybe"}, "2001:db8::1/64: nodad: 'maybe' is neither true nor false"),
    "list": ([V4], "['192.0.2.1/24'] is neither an address such as 192.0.2.1/24 nor a dictionary with ip"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(host: Host, name: str) -> None:
    """Invalid values fail with the whole message before any reading or change."""
    item, told = BAD[name]
    refuse(host, "macvlan", Case({**MV0, "addresses": [item]}, f"addresses: {told}"))


def test_repeated_address(host: Host) -> None:
    """A repeated address counts once, and two contradicting entries are refused."""
    climb(host, "macvlan", **MV0, addresses=[V4, {"ip": V4}, V4])
    assert addresses(host, "mv0") == [V4]
    told = "addresses: 192.0.2.1/24 is listed twice with different options. List it once"
    refuse(host, "macvlan", Case({**MV0, "addresses": [V4, {"ip": V4, "metric": 5}]}, told))
    told = "addresses: 2001:db8::1/64 is listed twice with different options. List it once"
    refuse(host, "macvlan", Case({**MV0, "addresses": ["2001:db8::1/48", V6]}, told))


NOT_THERE: dict[str, tuple[dict[str, Any], str]] = {
    "loopback address": (
        {"addresses": ["127.0.0.5/8"]},
        "127.0.0.5 is a loopback address. Set it on lo only",
    ),
    "loopback address, IPv6": ({"addresses": ["::1/128"]}, "::1 is a loopback address. Set it on lo only"),
    "small MTU": (
        {"addresses": [V6], "mtu": 1279},
        "2001:db8::1 needs IPv6, which the kernel removes from a link with an MTU below 1280; it is 1279. Raise "
        "mtu, or omit the address",
    ),
    "IPv6 switched off": (
        {"addresses": [V6], "sysctls": {"ipv6.disable_ipv6": 1}},
        "2001:db8::1 needs IPv6, but ipv6.disable_ipv6 is 1. Set it to 0, or omit the address",
    ),
}


@pytest.mark.parametrize("name", NOT_THERE)
@pytest.mark.parametrize("created", [True, False], ids=["with the link", "later"])
def test_unsupported_by_the_link(host: Host, name: str, created: bool) -> None:
    """Values that the link does not support are refused, also if another task set the cause."""
    params, told = NOT_THERE[name]
    if created:
        refuse(host, "macvlan", Case({**MV0, **params}, f"mv0: {told}"))
        return
    rest = {option: value for option, value in params.items() if option != "addresses"}
    refuse(
        host,
        "macvlan",
        Case({"name": "mv0", "addresses": params["addresses"]}, f"mv0: {told}", tasks=(("macvlan", {**MV0, **rest}),)),
    )


def test_small_mtu_with_existing_address(host: Host) -> None:
    """An MTU that disables IPv6 is refused if the link has an IPv6 address."""
    case = Case(
        {**MV0, "addresses": [V6], "mtu": 1200},
        "mv0: 2001:db8::1 needs IPv6, which the kernel removes from a link with an MTU below 1280; it is 1200. "
        "Raise mtu, or omit the address",
        tasks=(("macvlan", {**MV0, "addresses": [V6]}),),
    )
    refuse(host, "macvlan", case)


def test_same_address_on_another_link(host: Host) -> None:
    """The address is added, with a warning."""
    host.ip("address", "add", V4, "dev", "eth0")
    told = (
        "mv0: address 192.0.2.1 is also set on eth0 in the same namespace, and either may answer for it. "
        "Remove it from all links but one"
    )
    for check in (True, False, True, False):
        done = host.run("macvlan", check=check, **MV0, addresses=["192.0.2.1/25"])
        assert told in str(done["warnings"])
    assert (addresses(host, "mv0"), addresses(host, "eth0")) == (["192.0.2.1/25"], [V4])
    elsewhere = {
        "name": "mv0",
        "netns": "guest",
        "lower_device": "eth0",
        "mode": "bridge",
        "addresses": [V4],
        "admin_state": "down",
    }
    assert not host.apply("macvlan", **elsewhere).get("warnings")


def test_order(host: Host) -> None:
    """The first address of a subnet is primary. Packets are sent from it. The others are secondary, in the order of the list."""
    wanted = ["192.0.2.7/24", "192.0.2.3/24", "192.0.2.5/24", "198.51.100.9/24", "198.51.100.1/24"]
    climb(host, "macvlan", **MV0, addresses=wanted)
    found = [(f"{item['local']}/{item['prefixlen']}", bool(item.get("secondary"))) for item in shown(host, "mv0")]
    assert [one for one, secondary in found if not secondary] == ["192.0.2.7/24", "198.51.100.9/24"]
    assert [one for one, secondary in found if secondary] == ["192.0.2.3/24", "192.0.2.5/24", "198.51.100.1/24"]
    assert "src 192.0.2.7 " in host.ip("route", "get", "192.0.2.200")
    # the order alone causes no change: an existing address is not removed and added again
    stay(host, "macvlan", **MV0, addresses=wanted[::-1])
    climb(host, "macvlan", **MV0, addresses=wanted[1:])
    assert "src 192.0.2.3 " in host.ip("route", "get", "192.0.2.200")
    assert sorted(addresses(host, "mv0")) == sorted(wanted[1:])
    assert host.setting("ipv4/conf/mv0/promote_secondaries") == "0", "it was set for the removal alone"


def test_readded_primary(host: Host) -> None:
    """A changed label requires the primary address to be added again:

    it is primary again, and routes with a secondary source stay.
    """
    host.apply("macvlan", **MV0, addresses=["192.0.2.1/24", "192.0.2.2/24"])
    host.ip("route", "add", "203.0.113.0/24", "via", "192.0.2.254", "src", "192.0.2.2")
    before = host.ip("-j", "route", "show", "table", "all")
    climb(host, "macvlan", **MV0, addresses=[{"ip": "192.0.2.1/24", "label": "mv0:web"}, "192.0.2.2/24"])
    assert [(item["local"], item["label"], "secondary" in item) for item in shown(host, "mv0")] == [
        ("192.0.2.1", "mv0:web", False),
        ("192.0.2.2", "mv0", True),
    ]
    assert sorted(json.loads(host.ip("-j", "route", "show", "table", "all")), key=str) == sorted(json.loads(before), key=str)


def test_routes_survive_a_new_primary(host: Host) -> None:
    """New addresses are added before old ones are removed, so routes through the subnet and other IPv4 routes stay."""
    host.apply("macvlan", **MV0, addresses=["192.0.2.1/24"])
    host.ip("route", "add", "203.0.113.0/24", "via", "192.0.2.254")
    host.ip("route", "add", "10.0.0.0/8", "dev", "mv0", "table", "77")
    monitor = host.ip("-j", "route", "show", "table", "all", "proto", "boot")
    climb(host, "macvlan", **MV0, addresses=["192.0.2.2/24"])
    climb(host, "macvlan", **MV0, addresses=["192.0.2.2/25", "192.0.2.130/25"])
    assert host.ip("-j", "route", "show", "table", "all", "proto", "boot") == monitor


def test_both_ends_of_a_pair(host: Host) -> None:
    """Each end has its own addresses in its own namespace."""
    name = {"name": "v0", "admin_state": "up"}

    def ends(here: list[Any], there: list[Any]) -> dict[str, Any]:
        return {**name, "addresses": here, "peer": {"name": "v1", "netns": "guest", "admin_state": "up", "addresses": there}}

    for here, there in (
        (["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"]),
        (["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.3/24", "2001:db8::3/64"]),
        ([{"ip": "192.0.2.1/32", "peer_ip": "192.0.2.3"}], [{"ip": "192.0.2.3/32", "peer_ip": "192.0.2.1"}]),
        ([], ["192.0.2.3/32"]),
        ([], []),
    ):
        done = climb(host, "veth", **ends(here, there))
        texts = [[item["ip"] if isinstance(item, dict) else item for item in some] for some in (here, there)]
        assert [sorted(addresses(host, "v0")), sorted(addresses(host, "v1", "guest"))] == texts
        assert [item["ip"] for item in done["link"]["addresses"]] == texts[0]
        if here and there:
            far = texts[1][0].partition("/")[0]
            assert "1 received" in host.ip("netns", "exec", host.netns, "ping", "-c1", "-W2", far)


def test_loopback(host: Host) -> None:
    """A service address is added to lo, and the loopback addresses stay."""
    own = ["127.0.0.1/8", "::1/128"]
    for wanted in (["192.0.2.1/32", "2001:db8::1/128"], ["192.0.2.2/32", "127.0.0.5/8"], []):
        done = climb(host, "link", name="lo", addresses=wanted)
        assert sorted(addresses(host, "lo")) == sorted(own + wanted)
        assert sorted(item["ip"] for item in done["link"]["addresses"]) == sorted(wanted)


def test_rolled_back(host: Host) -> None:
    """If the kernel refuses the last change, the changes before it are rolled back, and the primary address is primary again."""
    wanted = [{"ip": "198.51.100.1/24", "label": "mv0:web"}, "192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24", V6]
    host.apply("macvlan", **MV0, addresses=wanted)
    host.ip("route", "add", "203.0.113.0/24", "via", "192.0.2.254", "src", "192.0.2.2")
    before = dump([host.netns])
    route = {"destination": "10.0.0.0/8", "gateway": "224.0.0.1", "link": "mv0", "onlink": True}  # which the kernel refuses
    entries = {"macvlan": [{**MV0, "addresses": ["192.0.2.3/24", "198.51.100.1/24", "2001:db8::1/48"]}], "routes": [route]}
    failed = host.run("topology", **entries)
    assert "failed: the kernel refused" in failed["msg"]
    assert failed["msg"].endswith("All changes were rolled back")
    assert any("mv0: addresses" in sentence for sentence in failed["undone"])
    assert_equal(dump([host.netns]), before, failed["msg"])
