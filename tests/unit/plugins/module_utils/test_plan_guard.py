# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of the management path: what belongs to the path, and what cuts it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, Address, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, RouteKey, Rule, RulePriority
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Connection, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import CreateLink, DeleteLink, Rename, UpdateLink
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._routing import (
    CreateRule,
    DeleteRoute,
    DeleteRule,
    SetRoute,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._guard import check_lockout, management_links, route_towards
from ansible_collections.patchbay.netdev.tests.unit.fake_traffic import connected_routes, usual_rules

MAC = "02:00:5e:00:00:01"


def key(name: str, netns: str = HERE) -> LinkKey:
    """A link of the namespace that the task runs in."""
    return LinkKey(netns, name)


def link(name: str, kind: str = "physical", netns: str = HERE, **attributes: Any) -> Link:
    """A link that is up."""
    return Link(key(name, netns), kind, {"admin_state": "up", "address": MAC, "controller": "", **attributes}, index=1)


# a host whose address is on a macvlan, on a bridge with a network card and one end of a pair as ports; eth1 is apart
ETH0 = link("eth0", controller="br0")
UP0 = link("up0", "veth", controller="br0", peer=key("eth0", "guest"))
FAR = link("eth0", "veth", "guest", peer=key("up0"))
BR0 = link("br0", "bridge")
MV0 = link("mv0", "macvlan", lower_device=key("br0"), mode="bridge", nodst=False)
ETH1 = link("eth1")
STATE = State([ETH0, UP0, FAR, BR0, MV0, ETH1])
SSH = Connection((key("mv0"),), "the connection from 192.0.2.9")


@pytest.mark.parametrize(
    ("carriers", "path"),
    [
        ([], []),
        (["eth1"], [key("eth1")]),
        (["gone"], []),
        (["mv0"], [key("br0"), key("eth0"), key("mv0"), key("up0"), key("eth0", "guest")]),
        (["eth0"], [key("br0"), key("eth0"), key("up0"), key("eth0", "guest")]),
    ],
)
def test_path(carriers: list[str], path: list[LinkKey]) -> None:
    """Lower devices, the bridge, all its ports, and peers; not the links above."""
    assert management_links(STATE, [key(name) for name in carriers]) == frozenset(path)


CUTS: dict[str, tuple[Operation, str]] = {
    "delete the lower device": (DeleteLink(BR0), "br0 is deleted"),
    "delete the far end of a pair": (DeleteLink(FAR), "eth0 in netns guest is deleted"),
    "down": (UpdateLink(ETH0, {"admin_state": "down"}), "eth0 goes down"),
    "another MAC": (UpdateLink(BR0, {"address": "02:00:5e:00:00:02"}), "the MAC of br0 changes"),
    "detach": (UpdateLink(ETH0, {"controller": ""}), "eth0 is detached"),
    "attach": (UpdateLink(MV0, {"controller": "br1"}), "mv0 is attached to br1"),
    "passthru, even down": (
        CreateLink(key("mv1"), "macvlan", {"lower_device": key("up0"), "mode": "passthru"}),
        "mode passthru takes over up0",
    ),
    "macvtap in passthru": (
        CreateLink(key("mt1"), "macvtap", {"lower_device": key("up0"), "mode": "passthru"}),
        "mode passthru takes over up0",
    ),
    "nodst": (
        CreateLink(key("mv1"), "macvlan", {"lower_device": key("br0"), "mode": "source", "nodst": True}),
        "nodst takes frames away from br0",
    ),
    "nodst on a living link": (
        UpdateLink(link("mv2", "macvlan", lower_device=key("br0"), mode="source", nodst=False), {"nodst": True}),
        "nodst takes frames away from br0",
    ),
    "a port that forwards nothing": (
        UpdateLink(ETH0, {"stp_state": "disabled"}),
        "eth0 forwards nothing in stp_state disabled",
    ),
    "a locked port": (
        UpdateLink(ETH0, {"locked": True}),
        "locked port eth0 drops frames from senders that the bridge does not know",
    ),
    "hairpin towards a switch": (
        UpdateLink(ETH0, {"hairpin": True}),
        "with hairpin, eth0 reflects frames, so that the switch outside learns their senders at the wrong port",
    ),
    "neither learning nor flooding": (
        UpdateLink(ETH0, {"learning": False, "unicast_flood": False}),
        "without learning and unicast_flood, the bridge sends nothing out of eth0",
    ),
    "a small MTU": (UpdateLink(ETH0, {"mtu": 295}), "an MTU of 295 on eth0 is too small for IPv4"),
    "no ARP": (UpdateLink(MV0, {"sysctls": {"ipv4.arp_ignore": 8}}), "mv0 no longer answers ARP requests"),
}


@pytest.mark.parametrize(("operation", "why"), CUTS.values(), ids=CUTS)
def test_cuts(operation: Operation, why: str) -> None:
    """The error names the operation, the reason and the links of the path."""
    with pytest.raises(Refused) as caught:
        check_lockout([operation], STATE, SSH)
    assert str(caught.value) == (
        f"{operation}: this would cut the management path: {why}, and the connection from 192.0.2.9 uses "
        "br0, eth0, mv0, up0, eth0 in netns guest. Set allow_lockout: true to do it anyway"
    )


SSH6 = Connection((key("mv0"),), "the connection from 2001:db8::9", ipv6=True)


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (UpdateLink(ETH0, {"mtu": 1279}), "an MTU of 1279 on eth0 is too small for IPv6"),
        (UpdateLink(MV0, {"sysctls": {"ipv6.disable_ipv6": 1}}), "mv0 loses its IPv6 addresses"),
    ],
)
def test_cuts_ipv6(operation: Operation, why: str) -> None:
    """What cuts IPv6 does not cut IPv4, and vice versa."""
    with pytest.raises(Refused, match=f": this would cut the management path: {why}, and the connection from 2001:db8::9 uses "):
        check_lockout([operation], STATE, SSH6)
    check_lockout([operation], STATE, SSH)
    check_lockout([UpdateLink(MV0, {"sysctls": {"ipv4.arp_ignore": 8}})], STATE, SSH6)


def test_port_towards_the_wire() -> None:
    """A card rather than a pair, and a pair that ends out of sight rather than one that ends here, unless it is alone."""
    away = link("away", "veth", controller="br0", peer=key("(link 5)", "(unnamed namespace 0)"))
    ports = [ETH0, away, UP0]
    while ports:
        state = State([*ports, FAR, BR0, MV0])
        check_lockout([UpdateLink(port, {"locked": True}) for port in ports[1:]], state, SSH)
        with pytest.raises(Refused, match=f"locked port {ports[0].key} drops"):
            check_lockout([UpdateLink(ports[0], {"locked": True})], state, SSH)
        ports.pop(0)


# the address is on one end of a pair, whose other end is a port beside the network card and a guest
V0 = link("v0", "veth", peer=key("v1"))
V1 = link("v1", "veth", peer=key("v0"), controller="br0")
ETH2 = link("eth2", controller="br0")
INSIDE = State([ETH0, ETH2, UP0, FAR, BR0, V0, V1])


@pytest.mark.parametrize(
    ("isolated", "also", "why"),
    [
        (ETH0, V1, "eth0 is isolated, and so is v1"),
        (V1, ETH0, "v1 is isolated, and so is eth0"),
        (ETH0, ETH2, ""),
        (ETH0, UP0, ""),
        (V1, UP0, ""),
        (UP0, V1, ""),
        (UP0, ETH0, ""),
    ],
)
def test_isolated_from_each_other(isolated: Link, also: Link, why: str) -> None:
    """Two isolated ports cut what passes between them; an isolated guest cuts off nobody."""
    connection = Connection((V0.key,), "the connection from 192.0.2.9")
    steps = [UpdateLink(one, {"isolated": True}) for one in (also, isolated)]
    if why:
        with pytest.raises(Refused, match=f"^set {isolated.key}: .*: this would cut the management path: {why}, "):
            check_lockout(steps, INSIDE, connection)
        check_lockout(steps, STATE, SSH)  # the address is on the bridge itself
    else:
        check_lockout(steps, INSIDE, connection)


HARMLESS: dict[str, Operation] = {
    "a macvlan in another mode": CreateLink(key("mv1"), "macvlan", {"lower_device": key("br0"), "mode": "bridge"}),
    "source mode without nodst": CreateLink(key("mv1"), "macvlan", {"lower_device": key("br0"), "mode": "source"}),
    "passthru elsewhere": CreateLink(key("mv1"), "macvlan", {"lower_device": key("eth1"), "mode": "passthru"}),
    "down elsewhere": UpdateLink(ETH1, {"admin_state": "down"}),
    "delete elsewhere": DeleteLink(ETH1),
    "an alias": UpdateLink(ETH0, {"alias": "uplink"}),
    "up": UpdateLink(BR0, {"admin_state": "up"}),
    "a new name": Rename(ETH0, "uplink"),
    "no learning": UpdateLink(ETH0, {"learning": False}),
    "no flooding": UpdateLink(ETH0, {"unicast_flood": False}),
    "a port that forwards": UpdateLink(ETH0, {"stp_state": "forwarding"}),
    "the locked port of a guest": UpdateLink(UP0, {"locked": True, "isolated": True, "learning": False, "unicast_flood": False}),
    "hairpin for a guest": UpdateLink(UP0, {"hairpin": True}),
    "STP": UpdateLink(BR0, {"stp_state": True}),
    "an MTU that is large enough": UpdateLink(ETH0, {"mtu": 296}),
    "a small MTU elsewhere": UpdateLink(ETH1, {"mtu": 68}),
    "less ARP": UpdateLink(MV0, {"sysctls": {"ipv4.arp_ignore": 2}}),
    "no ARP of a port": UpdateLink(ETH0, {"sysctls": {"ipv4.arp_ignore": 8}}),
}


@pytest.mark.parametrize("operation", HARMLESS.values(), ids=HARMLESS)
def test_allowed(operation: Operation) -> None:
    """What does not cut the path is not refused."""
    check_lockout([operation], STATE, SSH)


def test_second_operation_cuts() -> None:
    """Each operation is checked in the state after the operations before it."""
    attached = UpdateLink(ETH1, {"controller": "br0"})
    with pytest.raises(Refused, match=r"^set eth0: admin_state up -> down: this would cut"):
        check_lockout([attached, UpdateLink(ETH0, {"admin_state": "down"})], STATE, SSH)


def test_without_a_connection() -> None:
    """There is nothing to guard."""
    check_lockout([DeleteLink(BR0)], STATE, Connection())


# --- addresses, routes, rules ---

OWN, SECOND = (Address(ip, 24, 4, 0x80) for ip in ("192.0.2.1", "198.51.100.1"))
CLIENT = "203.0.113.9"


def route(destination: str, table: int = 254, metric: int = 0, netns: str = HERE, **attributes: Any) -> Route:
    """A route, of type unicast unless told otherwise."""
    return Route(RouteKey(netns, table, 4, destination, metric), {"type": "unicast", **attributes})


def rule(priority: int, netns: str = HERE, **parts: Any) -> Rule:
    """A rule; a selector that is a word of Python ends with an underscore."""
    found = {name.rstrip("_"): value for name, value in parts.items()}
    return Rule(RulePriority(netns, 4, priority), {"action": "lookup", **found})


DEFAULT = route("0.0.0.0/0", gateway="192.0.2.9", link="eth0")
OUT = link("eth0", addresses=(OWN,))
OTHER = link("eth1", addresses=(SECOND,))
CONNECTED = [one for end in (OUT, OTHER) for address in end.get("addresses") for one in connected_routes(end.key, address)]
ROUTED = State([OUT, OTHER], routes=[*CONNECTED, DEFAULT], rules=usual_rules(HERE))
CONNECTION = Connection((key("eth0"),), f"the connection from {CLIENT}", client=CLIENT, server=OWN.ip)
CONSOLE = Connection((key("eth0"),), "the default route")
TO_TABLE = rule(100, from_="192.0.2.0/24", table=100)
GOES, ELSEWHERE = f"the route to {CLIENT} is removed", f"the route to {CLIENT} changes its next hop"

WAYS: dict[str, tuple[list[Operation], str]] = {
    "its address goes": ([UpdateLink(OUT, {"addresses": ()})], f"the address {OWN.ip} of this host is removed"),
    "the default goes": ([DeleteRoute(DEFAULT)], GOES),
    "another gateway": ([SetRoute(route("0.0.0.0/0", gateway="192.0.2.8", link="eth0"), DEFAULT)], ELSEWHERE),
    "to nowhere": ([SetRoute(route("0.0.0.0/0", type="unreachable"), DEFAULT)], GOES),
    "a nearer network": ([SetRoute(route("203.0.113.0/24", gateway="198.51.100.9", link="eth1"))], ELSEWHERE),
    "a rule to nowhere": ([CreateRule(rule(100, to=f"{CLIENT}/32", action="prohibit"))], GOES),
    "a rule to a table with another next hop": (
        [SetRoute(route("0.0.0.0/0", 100, gateway="198.51.100.9", link="eth1")), CreateRule(TO_TABLE)],
        ELSEWHERE,
    ),
    "the main table is not looked up": ([DeleteRule(usual_rules(HERE)[1])], GOES),
    "what is worse leads nowhere": ([SetRoute(route("0.0.0.0/0", metric=5, type="blackhole")), DeleteRoute(DEFAULT)], GOES),
}


@pytest.mark.parametrize(("operations", "why"), WAYS.values(), ids=WAYS)
def test_return_path_is_cut(operations: list[Operation], why: str) -> None:
    """The error names the operation that cuts it."""
    with pytest.raises(Refused) as caught:
        check_lockout(operations, ROUTED, CONNECTION)
    assert str(caught.value) == (
        f"{operations[-1]}: this would cut the management path: {why}, and the connection from {CLIENT} uses eth0. "
        "Set allow_lockout: true to do it anyway"
    )


GOOD_WAYS: dict[str, list[Operation]] = {
    "another address": [UpdateLink(OUT, {"addresses": (OWN, Address("192.0.2.2", 24, 4, 0x80))})],
    "a nearer network by the same way": [SetRoute(route("203.0.113.0/24", gateway="192.0.2.9", link="eth0"))],
    "a route for others": [SetRoute(route("203.0.114.0/24", gateway="198.51.100.9", link="eth1"))],
    "a worse one": [SetRoute(route("0.0.0.0/0", metric=5, gateway="198.51.100.9", link="eth1"))],
    "a route of another namespace": [SetRoute(route("203.0.113.0/24", netns="guest", link="eth1"))],
    "another MTU": [SetRoute(route("0.0.0.0/0", gateway="192.0.2.9", link="eth0", mtu=1400), DEFAULT)],
    "a rule for an empty table": [CreateRule(TO_TABLE)],
    "a rule for others": [CreateRule(rule(100, from_="198.51.100.0/24", action="prohibit"))],
    "a rule for a mark": [CreateRule(rule(100, fwmark=(1, 1), action="prohibit"))],
    "a rule that comes later": [CreateRule(rule(32768, action="prohibit"))],
    "a rule of another namespace": [CreateRule(rule(100, "guest", action="prohibit"))],
    "it goes and comes again": [DeleteRoute(DEFAULT), SetRoute(DEFAULT)],
    "the address goes and comes again, with its routes": [
        UpdateLink(OUT, {"addresses": ()}),
        RestoreContents(OUT.key, (OWN,), (DEFAULT,)),
    ],
}


@pytest.mark.parametrize("operations", GOOD_WAYS.values(), ids=GOOD_WAYS)
def test_return_path_is_kept(operations: list[Operation]) -> None:
    """The state after all operations counts."""
    check_lockout(operations, ROUTED, CONNECTION)


def test_default_route_without_ssh() -> None:
    """It may change, but not be removed."""
    check_lockout([SetRoute(route("0.0.0.0/0", gateway="192.0.2.8", link="eth0"), DEFAULT)], ROUTED, CONSOLE)
    with pytest.raises(
        Refused,
        match=r"^delete route .*: this would cut the management path: the default route is removed, and the default route uses",
    ):
        check_lockout([DeleteRoute(DEFAULT)], ROUTED, CONSOLE)


NEAR, IN_TABLE = route("203.0.113.0/24", link="eth1"), route("0.0.0.0/0", 100, link="eth1")
NEAR_IN_TABLE, SUPPRESSING = route("203.0.113.0/24", 100, link="eth1"), rule(100, table=100, suppress_prefix_length=0)
LOOKUPS: dict[str, tuple[list[Route], list[Rule], Route | None]] = {
    "the longest prefix": ([DEFAULT, NEAR], [], NEAR),
    "the lowest metric": ([route("0.0.0.0/0", metric=5, link="eth1"), DEFAULT], [], DEFAULT),
    "nothing": ([route("10.0.0.0/8", link="eth1")], [], None),
    "a table by a rule": ([DEFAULT, IN_TABLE], [TO_TABLE], IN_TABLE),
    "a table that nobody looks up": ([DEFAULT, IN_TABLE], [], DEFAULT),
    "a table that throws": ([DEFAULT, route("203.0.113.0/24", 100, type="throw")], [TO_TABLE], DEFAULT),
    "a table to nowhere": ([DEFAULT, route("0.0.0.0/0", 100, type="unreachable")], [TO_TABLE], None),
    "a default that is suppressed": ([DEFAULT, IN_TABLE], [SUPPRESSING], DEFAULT),
    "a network that is not suppressed": ([DEFAULT, NEAR_IN_TABLE], [SUPPRESSING], NEAR_IN_TABLE),
    "a rule for another source": ([DEFAULT], [rule(100, from_="10.0.0.0/8", action="unreachable")], DEFAULT),
    "a rule for another goal": ([DEFAULT], [rule(100, to="10.0.0.0/8", action="unreachable")], DEFAULT),
    "a rule for this goal": ([DEFAULT], [rule(100, to="203.0.113.0/24", action="unreachable")], None),
    "a rule for a link": ([DEFAULT], [rule(100, iif="eth1", action="unreachable")], DEFAULT),
    "the first of two rules": ([DEFAULT, IN_TABLE], [rule(101, action="prohibit"), TO_TABLE], IN_TABLE),
}


@pytest.mark.parametrize(("routes", "rules", "found"), LOOKUPS.values(), ids=LOOKUPS)
def test_lookup(routes: list[Route], rules: list[Rule], found: Route | None) -> None:
    """The rules and tables as the kernel looks them up."""
    assert route_towards(State(routes=routes, rules=[*usual_rules(HERE), *rules]), CLIENT, OWN.ip) == found
