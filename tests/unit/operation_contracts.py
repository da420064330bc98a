# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations whose predictions and inverses are compared with what a gateway does, and the comparison."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import LinkContents, Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import CreateLink, DeleteLink, Rename, UpdateLink
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._routing import (
    CreateRule,
    DeleteRoute,
    DeleteRule,
    SetRoute,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    NODAD,
    NOPREFIXROUTE,
    PERMANENT,
    STATIC,
    Addresses,
    owner,
)
from ansible_collections.patchbay.netdev.tests.unit.contract_fixture import MODES, ONE, SETTINGS, THREE, TWO, World, static

Make = Callable[[World], Operation]  # operations refer to links as they are observed at the time


def creation(name: str, lower: str = "eth0", netns: str | None = None, **attributes: Any) -> Make:
    """The operation that makes a macvlan."""

    def make(world: World) -> Operation:
        return CreateLink(world.key(name, netns and world.other), "macvlan", {"lower_device": world.key(lower), **attributes})

    return make


def bridge(name: str, **attributes: Any) -> Make:
    """The operation that makes a bridge."""
    return lambda world: CreateLink(world.key(name), "bridge", attributes)


def pair(name: str, peer: str, netns: str | None = None, other: Mapping[str, Any] | None = None, **attributes: Any) -> Make:
    """The operation that makes a pair; `other` is what the request says of the second end."""

    def make(world: World) -> Operation:
        end = world.key(peer, netns and world.other)
        return CreateLink(world.key(name), "veth", {"peer": end, **attributes}, peer_attributes=dict(other or {}))

    return make


def rename(name: str, new: str) -> Make:
    """The operation that gives a link another name."""
    return lambda world: Rename(world.link(name), new)


def change(name: str, **attributes: Any) -> Make:
    """The operation that changes a link."""
    return lambda world: UpdateLink(world.link(name), attributes)


def deletion(name: str) -> Make:
    """The operation that deletes a link, with what it takes along."""

    def make(world: World) -> Operation:
        plain = DeleteLink(world.link(name))
        gone = plain.loses_contents_of(world.state()) - {plain.key}
        state = world.state(*gone)
        return DeleteLink(plain.link, cascaded=tuple((link, LinkContents()) for link in state if link.key in gone))

    return make


def address(name: str, *wanted: Any) -> Make:
    """The operation that makes these the static addresses of a link, written as a user writes them."""

    def make(world: World) -> Operation:
        link = world.state().get(world.key(name))
        found = Addresses().difference(link.get("addresses"), Addresses().parse(wanted))
        assert found is not None
        return UpdateLink(link, {"addresses": found[1]})

    return make


def route(destination: str, link: str | None = None, **attributes: Any) -> Make:
    """The operation that makes a route, in the place of the one at its key."""

    def make(world: World) -> Operation:
        made = world.route(destination, link, **attributes)
        return SetRoute(made, next(iter(world.state().at(made.key)), None))

    return make


def no_route(destination: str, **place: Any) -> Make:
    """The operation that deletes the first route at a key."""
    return lambda world: DeleteRoute(world.at(destination, **place)[0])


def rule(**parts: Any) -> Make:
    """The operation that makes a rule."""
    return lambda world: CreateRule(world.rule(**parts))


def no_rule(**parts: Any) -> Make:
    """The operation that deletes a rule."""
    return lambda world: DeleteRule(world.rule(**parts))


@dataclass(frozen=True)
class Contract:
    """An operation, with the operations that prepare for it (before).

    not_restored: the (link, attribute) pairs that its inverse cannot restore; None: it has no inverse.
    lost: addresses and destinations that the inverse does not restore: the loop detects that they are lost, and restores them.
    """

    operation: Make
    before: tuple[Make, ...] = ()
    not_restored: frozenset[tuple[str, str]] | None = frozenset()
    lost: tuple[str, ...] = ()


FOUR, OTHER_FOUR = "192.0.2.1/24", "192.0.2.2/24"
SIX, OTHER_SIX = ({"ip": ip, "nodad": True} for ip in ("2001:db8::1/64", "2001:db8::2/64"))
SUBNETS = ("2001:db8::1/64", "2001:db8::2/64", "2001:db8::/64")
BOTH, TWO_OF_BOTH = address("eth0", FOUR, SIX), address("eth0", FOUR, OTHER_FOUR, SIX, OTHER_SIX)
ROUTES = (  # by eth0, of both tables and families, with and without a source
    route("198.51.100.0/24", "eth0"),
    route("203.0.113.0/24", "eth0", gateway="192.0.2.9"),
    route("203.0.113.0/25", "eth0", source="192.0.2.1"),
    route("203.0.113.0/25", "eth0", source="192.0.2.1", table=500),
    route("203.0.113.0/26", "eth1", source="192.0.2.1"),
    route("2001:db8:1::/48", "eth0"),
    route("2001:db8:2::/48", "eth0", gateway="2001:db8::9", table=500),
    route("2001:db8:3::/48", "eth0", source="2001:db8::1"),
    route("10.0.0.0/8", type="unreachable"),
    route("2001:db8:9::/48", type="blackhole"),
)
BY_ETH0 = ("198.51.100.0/24", "203.0.113.0/2", "2001:db8:1::/48", "2001:db8:2::/48", "2001:db8:3::/48")
MV0, MV0_UP = creation("mv0"), creation("mv0", admin_state="up")
SOURCES = creation("mv0", mode="source", source_addresses=(ONE, TWO))
PASSTHRU = creation("mv0", mode="passthru")
STEADY = (change("br0", mtu=1400), change("br0", mtu=1500))  # from then on its MTU does not follow that of its ports
CONTRACTS: dict[str, Contract] = {
    **{f"create {mode}": Contract(creation("mv0", mode=mode)) for mode in MODES},
    **{f"create {mode} up": Contract(creation("mv0", mode=mode, admin_state="up")) for mode in MODES},
    "create with all": Contract(
        creation(
            "mv0",
            mode="source",
            source_addresses=(ONE, TWO),
            address=THREE,
            mtu=1400,
            tx_queue_len=5,
            num_tx_queues=2,
            num_rx_queues=2,
            group=7,
            alias="all",
            controller="br0",
            address_generation_mode="none",
            altnames=("one", "two"),
            sysctls={"ipv4.arp_ignore": 1, "ipv6.accept_ra": 0},
            promiscuous=True,
            allmulticast=True,
            nopromisc=True,
            nodst=True,
            bc_queue_len=50,
            bc_cutoff=3,
            admin_state="up",
        ),
        STEADY,
    ),
    "create passthru with an address": Contract(creation("mv0", mode="passthru", address=ONE, admin_state="up")),
    "create passthru with nopromisc": Contract(creation("mv0", mode="passthru", nopromisc=True, admin_state="up", alias="x")),
    "create with the initial values": Contract(
        creation("mv0", mode="vepa", alias="", controller="", altnames=(), tx_queue_len=1000, admin_state="down")
    ),
    "create on a small lower device": Contract(MV0, (change("eth0", mtu=1300),)),
    "create below the least MTU of IPv6": Contract(creation("mv0", mtu=1279)),
    "create beside one with bc_cutoff": Contract(creation("mv1"), (creation("mv0", bc_cutoff=4),)),
    "create with bc_cutoff beside others": Contract(
        creation("mv2", bc_cutoff=4), (MV0, creation("mv1")), frozenset({("mv0", "bc_cutoff"), ("mv1", "bc_cutoff")})
    ),
    "create on a bridge": Contract(creation("mv0", "br0")),
    "create in another namespace": Contract(creation("mv0", netns="other", mode="bridge", admin_state="up")),
    **{
        f"set {name} ({'up' if prepare is MV0_UP else 'down'})": Contract(change("mv0", **{name: value}), (prepare,))
        for prepare in (MV0, MV0_UP)
        for name, value in {
            "mode": "private",
            "address": ONE,
            "mtu": 1400,
            "tx_queue_len": 7,
            "group": 3,
            "alias": "hello",
            "controller": "br0",
            "address_generation_mode": "none",
            "altnames": ("a", "b"),
            "sysctls": {"ipv4.arp_ignore": 2, "ipv6.accept_ra": 0},
            "promiscuous": True,
            "allmulticast": True,
            "nopromisc": True,
            "nodst": True,
            "bc_queue_len": 9,
            "bc_cutoff": 9,
        }.items()
    },
    "set up": Contract(change("mv0", admin_state="up"), (MV0,)),
    "set down": Contract(change("mv0", admin_state="down"), (MV0_UP,)),
    "set many and up": Contract(
        change(
            "mv0",
            mode="bridge",
            address=ONE,
            mtu=1400,
            controller="br0",
            altnames=("a",),
            sysctls={"ipv4.arp_ignore": 2},
            nodst=True,
            admin_state="up",
        ),
        (*STEADY, creation("mv0", altnames=("b", "c"), nopromisc=True)),
    ),
    **{f"private -> {mode}": Contract(change("mv0", mode=mode), (creation("mv0", mode="private"),)) for mode in MODES[1:3]},
    "enter source mode": Contract(change("mv0", mode="source", source_addresses=(ONE,)), (MV0,)),
    "leave source mode": Contract(change("mv0", mode="bridge"), (SOURCES,), frozenset({("mv0", "source_addresses")})),
    "leave source mode and say so": Contract(change("mv0", mode="bridge", source_addresses=()), (SOURCES,)),
    "other source addresses": Contract(change("mv0", source_addresses=(TWO, THREE)), (SOURCES,)),
    "no source addresses": Contract(change("mv0", source_addresses=()), (SOURCES,)),
    "address of a passthru link": Contract(change("mv0", address=ONE), (PASSTHRU,)),
    "nopromisc of a passthru link that comes up": Contract(change("mv0", nopromisc=True, admin_state="up"), (PASSTHRU,)),
    "nopromisc of a passthru link that goes down": Contract(
        change("mv0", nopromisc=True, admin_state="down"), (creation("mv0", mode="passthru", admin_state="up"),)
    ),
    "bc_cutoff beside others": Contract(
        change("mv0", bc_cutoff=4), (MV0, creation("mv1"), creation("mv2", netns="other"), creation("mv3", "eth1"))
    ),
    "mtu of the lower device": Contract(
        change("eth0", mtu=1400),
        (MV0, creation("mv1", mtu=1300), creation("mv2", netns="other"), creation("mv3", "eth1")),
        frozenset({("mv0", "mtu"), ("mv2", "mtu")}),
    ),
    "mtu of the lower device below the least of IPv6": Contract(
        change("eth0", mtu=1279), (MV0,), frozenset({("mv0", "mtu"), ("mv0", "address_generation_mode"), ("mv0", "sysctls")})
    ),
    "mtu raised on the lower device": Contract(change("eth0", mtu=1500), (change("eth0", mtu=1400), MV0)),
    "mtu below the least of IPv6": Contract(change("mv0", mtu=1279), (MV0,)),
    "mtu below the least of IPv6, with a mode": Contract(
        change("mv0", mtu=1279), (creation("mv0", address_generation_mode="none"),)
    ),
    "mtu above the least of IPv6": Contract(
        change("mv0", mtu=1300), (creation("mv0", address_generation_mode="none"), change("mv0", mtu=1279))
    ),
    "mtu above the least of IPv6, with a mode": Contract(
        change("mv0", mtu=1300, address_generation_mode="none"), (creation("mv0", mtu=1279),)
    ),
    "lower device up": Contract(change("eth0", admin_state="up"), (change("eth0", admin_state="down"), MV0)),
    "lower device down": Contract(change("eth0", admin_state="down"), (MV0_UP,)),
    "address of the lower device": Contract(change("eth0", address=ONE), (MV0,)),
    "delete": Contract(deletion("mv0"), (MV0_UP,)),
    "delete with all": Contract(
        deletion("mv0"),
        (*STEADY, creation("mv0", altnames=("a",), alias="b", controller="br0", mtu=1400, bc_cutoff=3, nodst=True)),
    ),
    "delete passthru": Contract(deletion("mv0"), (creation("mv0", mode="passthru", address=ONE),)),
    "delete source": Contract(deletion("mv0"), (SOURCES,)),
    "delete the lower device": Contract(
        deletion("eth1"), (creation("mv0", "eth1"), creation("mv1", "eth1", netns="other"), creation("mv2")), None
    ),
    # bridges
    "create a bridge": Contract(bridge("br1")),
    "create a bridge with all": Contract(
        bridge(
            "br1",
            stp_state=True,
            forward_delay=400,
            hello_time=100,
            max_age=600,
            ageing_time=0,
            priority=1,
            multicast_snooping=False,
            multicast_querier=True,
            group_fwd_mask=0xFFF8,
            address=ONE,
            mtu=1400,
            tx_queue_len=5,
            group=7,
            alias="all",
            address_generation_mode="none",
            altnames=("one", "two"),
            admin_state="up",
        )
    ),
    **{
        f"set {name} of a bridge": Contract(change("br0", **{name: value}))
        for name, value in {
            "stp_state": True,
            "forward_delay": 0,
            "hello_time": 100,
            "max_age": 600,
            "ageing_time": 0,
            "priority": 1,
            "multicast_snooping": False,
            "multicast_querier": True,
            "group_fwd_mask": 0xFFF8,
            "address": ONE,
            "mtu": 1400,
        }.items()
    },
    "bridge with ports goes down": Contract(change("br0", admin_state="down"), (change("port0", hairpin=True),)),
    "bridge with ports comes up": Contract(change("br0", admin_state="up"), (change("br0", admin_state="down"),)),
    "delete a bridge": Contract(deletion("br1"), (bridge("br1", stp_state=True, forward_delay=400, address=ONE, alias="x"),)),
    "delete a bridge with ports": Contract(
        deletion("br0"), (change("eth0", controller="br0"), change("eth0", hairpin=True, learning=False), change("eth0", cost=77))
    ),
    "delete a bridge with ports and a link on it": Contract(deletion("br0"), (creation("mv0", "br0"),)),
    # ports
    "become a port": Contract(change("eth0", controller="br0")),
    "become a port with settings": Contract(change("eth0", controller="br0", hairpin=True, learning=False, cost=9)),
    "become a port and come up": Contract(
        change("eth0", controller="br0", hairpin=True, admin_state="up"), (change("eth0", admin_state="down"),)
    ),
    "become a port of a small bridge": Contract(
        change("eth0", controller="br1"), (bridge("br1", mtu=1400, address=ONE),), frozenset({("br1", "mtu")})
    ),
    "leave a bridge": Contract(change("port0", controller="")),
    "leave a bridge with settings": Contract(
        change("port0", controller=""), (change("port0", hairpin=True, priority=5, cost=9),)
    ),
    "leave a bridge while down": Contract(change("port0", controller=""), (change("port0", admin_state="down"),)),
    "leave a bridge with STP": Contract(change("port0", controller=""), (change("br0", stp_state=True),)),
    "leave a bridge as the backup of another": Contract(
        change("eth0", controller=""),
        (change("eth0", controller="br0"), change("port0", backup_port="eth0")),
        frozenset({("port0", "backup_port")}),
    ),
    "change the bridge": Contract(
        change("port0", controller="br1", isolated=True), (bridge("br1", address=ONE), change("port0", hairpin=True))
    ),
    **{
        f"set {name} of a port": Contract(change("port0", **{name: value}))
        for name, value in {
            **{row.name: not row.initial for row in kind_of("").port if isinstance(row.initial, bool) and row.name != "mab"},
            "multicast_router": 2,
            "priority": 5,
            "cost": 77,
            "group_fwd_mask": 0xFFFD,
            "stp_state": "disabled",
        }.items()
    },
    "set backup_port of a port": Contract(change("port0", backup_port="eth0"), (change("eth0", controller="br0"),)),
    "set many of a port": Contract(
        change("port0", alias="x", hairpin=True, learning=False, mtu=1400, stp_state="disabled"), STEADY
    ),
    "mtu of a port": Contract(change("port0", mtu=1400)),
    "mtu of a port of a bridge with a link on it": Contract(
        change("port0", mtu=1400), (creation("mv0", "br0"),), frozenset({("mv0", "mtu")})
    ),
    "address of a port": Contract(change("eth0", address=ONE), (bridge("br1"), change("eth0", controller="br1"))),
    "port goes down": Contract(change("port0", admin_state="down")),
    "port with stp_state goes down": Contract(
        change("port0", admin_state="down"), (change("port0", stp_state="disabled"),), frozenset({("port0", "stp_state")})
    ),
    "delete a port": Contract(
        deletion("mv0"), (creation("mv0", admin_state="up"), change("mv0", controller="br0"), change("mv0", hairpin=True))
    ),
    "delete a port that is down": Contract(deletion("mv0"), (creation("mv0", controller="br0"),)),
    "delete a port of a bridge with STP": Contract(
        deletion("mv0"), (change("br0", stp_state=True), creation("mv0", admin_state="up", controller="br0"))
    ),
    # pairs
    "create a pair": Contract(pair("v0", "v1")),
    "create a pair across namespaces": Contract(
        pair("v0", "v0", "other", {"address": TWO, "mtu": 1300}, mtu=1400, admin_state="up")
    ),
    "create a pair with all": Contract(
        pair(
            "v0",
            "v1",
            None,
            {"address": TWO, "mtu": 1400, "tx_queue_len": 5, "num_tx_queues": 2, "num_rx_queues": 3, "group": 7},
            address=ONE,
            mtu=1300,
            tx_queue_len=6,
            num_tx_queues=3,
            num_rx_queues=2,
            group=8,
            alias="all",
            controller="br0",
            altnames=("one", "two"),
            admin_state="up",
        ),
        STEADY,
    ),
    "one end up": Contract(change("v0", admin_state="up"), (pair("v0", "v1", admin_state="down"),)),
    "one end down": Contract(
        change("v0", admin_state="down"), (pair("v0", "v1", admin_state="up"), change("v1", admin_state="up"))
    ),
    "other end of a port goes down": Contract(
        change("v1", admin_state="down"),
        (pair("v0", "v1", admin_state="up"), change("v1", admin_state="up"), change("v0", controller="br0")),
    ),
    "delete a pair": Contract(
        deletion("v0"), (pair("v0", "v1", None, {"mtu": 1400}, alias="x"), change("v1", alias="y", group=7))
    ),
    "delete a pair by its second end": Contract(deletion("v1"), (pair("v0", "v1", None, {"mtu": 1400}, mtu=1300),)),
    "delete a pair across namespaces": Contract(deletion("v0"), (pair("v0", "v0", "other", {"address": TWO}, address=ONE),)),
    "delete a pair with links on both": Contract(
        deletion("v0"), (pair("v0", "v1"), creation("mv0", "v0"), creation("mv1", "v1", address=ONE))
    ),
    "delete a pair with ports": Contract(
        deletion("v0"),
        (
            pair("v0", "v1", admin_state="up"),
            change("v1", admin_state="up"),
            change("v0", controller="br0", hairpin=True),
            change("v1", controller="br0", isolated=True),
        ),
    ),
    # addresses, and the routes that go along with them
    "first addresses": Contract(BOTH),
    "first addresses of a link that is down": Contract(address("mv0", FOUR, SIX), (MV0,)),
    "create with addresses": Contract(creation("mv0", addresses=Addresses().parse([FOUR, SIX]), admin_state="up")),
    "create with addresses, down": Contract(creation("mv0", addresses=Addresses().parse([FOUR, OTHER_FOUR, SIX]))),
    "more addresses": Contract(
        address("eth0", FOUR, OTHER_FOUR, SIX, OTHER_SIX, "198.51.100.1/32", "2001:db8:5::1/128"), (BOTH,)
    ),
    "all parts of addresses": Contract(
        address(
            "eth0",
            {"ip": FOUR, "label": "eth0:web", "metric": 5},
            {"ip": "198.51.100.1/32", "peer_ip": "203.0.113.9"},
            {"ip": "203.0.114.1/24", "noprefixroute": True},
            {**SIX, "metric": 5},
            {"ip": "2001:db8:5::1/64", "peer_ip": "2001:db8:6::9", "nodad": True},
            {"ip": "2001:db8:7::1/64", "noprefixroute": True},
        )
    ),
    "the primary address goes": Contract(address("eth0", OTHER_FOUR, OTHER_SIX), (TWO_OF_BOTH,), lost=("192.0.2.0/24",)),
    "the secondary address goes": Contract(address("eth0", FOUR, SIX), (TWO_OF_BOTH,)),
    "another address of the subnet": Contract(address("eth0", OTHER_FOUR, OTHER_SIX), (BOTH,)),
    "the primary address goes, with routes": Contract(
        address("eth0", OTHER_FOUR, OTHER_SIX),
        (TWO_OF_BOTH, *ROUTES),
        lost=(*BY_ETH0, "192.0.2.0/24"),
    ),
    "two metrics in one subnet": Contract(address("eth0", FOUR, {"ip": OTHER_FOUR, "metric": 5})),
    "the last addresses go, with routes": Contract(address("eth0"), (BOTH, *ROUTES), lost=BY_ETH0),
    "another prefix length": Contract(address("eth0", "192.0.2.1/25", {"ip": "2001:db8::1/48", "nodad": True}), (BOTH,)),
    "another prefix length, with routes": Contract(
        address("eth0", "192.0.2.1/25", {"ip": "2001:db8::1/48", "nodad": True}), (BOTH, *ROUTES), lost=("2001:db8:3::/48",)
    ),
    "another metric": Contract(
        address("eth0", {"ip": FOUR, "metric": 5}, {**SIX, "metric": 6}),
        (BOTH, *ROUTES),
        lost=("2001:db8::",),
    ),
    "another label": Contract(
        address("eth0", {"ip": FOUR, "label": "eth0:web"}, SIX), (BOTH, *ROUTES), lost=(*BY_ETH0, "192.0.2.1/24")
    ),
    "another label of one of two": Contract(
        address("eth0", {"ip": FOUR, "label": "eth0:web"}, OTHER_FOUR),
        (address("eth0", FOUR, OTHER_FOUR), *ROUTES[:5]),
        lost=(*BY_ETH0, "192.0.2.1/24", "192.0.2.0/24"),
    ),
    "no route to the network any more": Contract(
        address("eth0", {"ip": FOUR, "noprefixroute": True}, {**SIX, "noprefixroute": True}), (BOTH,)
    ),
    "a network that another link is in too": Contract(address("eth1", OTHER_FOUR, OTHER_SIX), (BOTH,)),
    "an address that another link has too": Contract(
        address("eth0"), (BOTH, address("eth1", FOUR, SIX), *ROUTES[4:5]), lost=("192.0.2.0/24", "2001:db8::/64")
    ),
    "a link with addresses goes down": Contract(change("eth0", admin_state="down"), (BOTH, *ROUTES), lost=(*BY_ETH0, *SUBNETS)),
    "a link with addresses comes up": Contract(
        change("mv0", admin_state="up"), (MV0, address("mv0", FOUR, SIX, "192.0.2.1/32")), lost=SUBNETS
    ),
    "a link with addresses comes up and gets others": Contract(
        lambda world: UpdateLink(
            world.state().get(world.key("mv0")), {"admin_state": "up", "addresses": Addresses().parse([OTHER_FOUR, OTHER_SIX])}
        ),
        (MV0, address("mv0", FOUR, SIX)),
        lost=SUBNETS,
    ),
    "a link with addresses loses IPv6": Contract(change("eth0", mtu=1279), (BOTH, *ROUTES), lost=(*BY_ETH0, *SUBNETS)),
    "a link with addresses has IPv6 switched off": Contract(
        change("mv0", sysctls={"ipv6.disable_ipv6": 1}), (MV0_UP, address("mv0", FOUR, SIX)), lost=SUBNETS
    ),
    "a link with addresses gets a controller and a MAC": Contract(
        change("eth0", address=ONE, controller="br0"), (BOTH, *ROUTES), frozenset({("br0", "mtu")})
    ),
    "a link with addresses gets a name": Contract(rename("eth0", "eth9"), (BOTH, *ROUTES)),
    "a link with addresses is deleted": Contract(deletion("mv0"), (MV0_UP, address("mv0", FOUR, SIX), *ROUTES[4:5]), None),
    "restore": Contract(
        lambda world: RestoreContents(
            world.key("eth0"),
            (static(FOUR, PERMANENT), static(SUBNETS[0], PERMANENT | NODAD)),
            (world.route("203.0.113.0/24", "eth0", gateway="192.0.2.9"), world.route("2001:db8:1::/48", "eth0")),
        ),
        not_restored=None,
    ),
    # routes
    "create a route": Contract(route("198.51.100.0/24", "eth0")),
    "create a route for IPv6": Contract(route("2001:db8:1::/48", "eth0", table=500, metric=5, mtu=1300)),
    "create a default route": Contract(route("0.0.0.0/0", "eth0", gateway="192.0.2.9"), (BOTH,)),
    "another gateway": Contract(route("203.0.113.0/24", "eth1"), (BOTH, *ROUTES)),
    "another gateway for IPv6": Contract(route("2001:db8:1::/48", "eth0", gateway="2001:db8::9"), (BOTH, *ROUTES)),
    "a route to nowhere": Contract(route("2001:db8:1::/48", type="unreachable"), (BOTH, *ROUTES)),
    "delete a route": Contract(no_route("203.0.113.0/25", table=500), (BOTH, *ROUTES)),
    "delete a route to nowhere": Contract(no_route("2001:db8:9::/48"), (BOTH, *ROUTES)),
    # rules
    "create a rule": Contract(rule(from_="192.0.2.0/24", fwmark=(1, 255))),
    "create a second rule": Contract(rule(to="192.0.2.0/24"), (rule(from_="192.0.2.0/24"),)),
    "delete a rule": Contract(no_rule(family=6), (rule(family=6),)),
    "delete the first that fits": Contract(
        no_rule(from_="192.0.2.0/24"), (rule(from_="192.0.2.0/24", iif="eth0"), rule(from_="192.0.2.0/24")), None
    ),
    "delete a rule of a protocol": Contract(no_rule(), (rule(protocol=186), rule())),
    # other names
    "rename": Contract(rename("mv0", "mv1"), (MV0_UP,)),
    "rename a bridge": Contract(rename("br0", "br9"), (creation("mv0", "br0"),)),
    "rename an end": Contract(rename("v0", "v9"), (pair("v0", "v0", "other"), creation("mv0", "v0"))),
    "rename a backup port": Contract(
        rename("eth0", "eth9"), (change("eth0", controller="br0"), change("port0", backup_port="eth0"))
    ),
}


def perform(world: World, operation: Operation) -> None:
    """Send what an operation asks of the kernel."""
    world.execute(*operation.requests())


def whole(world: World) -> State:
    """All links, with some settings of those that an operation may be about; addresses, routes and rules."""
    names = ("mv0", "mv1", "mv2")
    keys = [world.key(name, netns) for name in names for netns in (world.netns, world.other)]
    places = frozenset({world.netns, world.other})
    scope = Scope(frozenset(keys), namespaces=places, sysctls=dict.fromkeys(keys, SETTINGS), routing=places)
    found: State = world.gateway.observe(scope)
    return found


def different(claimed: State, found: State, not_restored: frozenset[tuple[str, str]] = frozenset()) -> list[str]:
    """What is claimed of any link, and not so; None and what is missing claims nothing."""
    lines = [f"{link.key} is there" for link in found if claimed.get(link.key) is None]
    for link in claimed:
        now = found.get(link.key)
        if now is None or now.kind != link.kind:
            lines.append(f"{link.key} is {f'a {now.kind}' if now else 'gone'}")
            continue
        for name, value in link.attributes.items():
            row = kind_of(link.kind)[name] if name != "lower_device" else None
            if value is None or (link.key.name, name) in not_restored or (row is not None and row.derived):
                continue
            if row is not None and row.store is Store.SYSCTL:
                same = all((now.get(name) or {}).get(key) == number for key, number in value.items())
            else:
                same = now.get(name) == value
            if not same:
                lines.append(f"{name} of {link.key} is {now.get(name)}, not {value}")
    return lines


def routed_differently(claimed: State, found: State, but: Collection[str] = ()) -> list[str]:
    """What is claimed of addresses, routes and rules, and not so. Of what the kernel makes with IPv6, nothing is claimed.

    but: destinations and addresses that are left out.
    """
    one, other = (dict(_traffic(state)) for state in (claimed, found))
    lines = [f"{what} is {other.get(what)}, not {one.get(what)}" for what in {**one, **other} if one.get(what) != other.get(what)]
    return [line for line in lines if not any(text in line for text in but)]


def _traffic(state: State) -> Iterator[tuple[str, Any]]:
    for link in state:
        for address in link.get("addresses") or ():
            if owner(address) == STATIC:
                settings = address.flags & (NODAD | NOPREFIXROUTE), address.label, address.metric, address.peer_ip
                yield f"{address} on {link.key}", settings
    for key, some in state.routes.items():
        made = [one for one in some if not key.destination.startswith(("fe80:", "ff00:"))]
        if made:
            yield f"{key}", [(dict(one.attributes), one.protocol) for one in made]
    for key, rules in state.rules.items():
        yield f"{key}", sorted((str(sorted(one.attributes.items())), one.protocol) for one in rules)
