# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of operations, their order, and their inverses; operation_contracts.py compares both with gateways."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import At, Store
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, RouteKey, Rule, RulePriority
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import LinkContents, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._addresses import Announce, WaitForAddresses
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import CreateLink, DeleteLink, UpdateLink
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    AddAltname,
    AddRoute,
    AddRule,
    AnnounceAddresses,
    AwaitAddresses,
    NewLink,
    RemoveAddress,
    RemoveAltname,
    RemoveLink,
    RemoveRoute,
    RemoveRule,
    ReplaceAddress,
    ReplaceRoute,
    Request,
    SetLink,
    WriteSysctl,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._routing import (
    CreateRule,
    DeleteRoute,
    DeleteRule,
    SetRoute,
)

ETH0, MV0, MV1 = (LinkKey("", name) for name in ("eth0", "mv0", "mv1"))
ONE, TWO = "00:16:3e:11:11:01", "00:16:3e:11:11:02"

# For each attribute that can be set, a value that differs from that of a new link
VALUES: dict[str, Any] = {
    "mode": "bridge",
    "nopromisc": True,
    "nodst": True,
    "bc_queue_len": 5,
    "bc_cutoff": 5,
    "address": ONE,
    "mtu": 1400,
    "tx_queue_len": 5,
    "group": 7,
    "alias": "hello",
    "controller": "br0",
    "address_generation_mode": "none",
    "altnames": ("a",),
    "sysctls": {"ipv4.arp_ignore": 1},
    "promiscuous": True,
    "allmulticast": True,
}
AT_CREATION = {"num_tx_queues": 2, "num_rx_queues": 2}
AFTER_CREATION = [row.name for row in MACVLAN.options if row.at is At.AFTER]
FLAGS = [row.name for row in MACVLAN.attributes if row.store is Store.FLAG]
WORD = [row.name for row in MACVLAN.attributes if row.store is Store.DATA_FLAG]


def link(key: LinkKey = MV0, **attributes: Any) -> Link:
    """A new macvlan on eth0 with these attributes."""
    found = {row.name: row.initial for row in MACVLAN.options if row.initial is not None}
    found.update(dict.fromkeys((row.name for row in MACVLAN.port), None))
    return Link(
        key,
        "macvlan",
        {**found, "lower_device": ETH0, "mtu": 1500, "address": TWO, "address_generation_mode": "eui64", **attributes},
    )


def create(**attributes: Any) -> CreateLink:
    """The operation that creates a macvlan on eth0."""
    return CreateLink(MV0, "macvlan", {"lower_device": ETH0, **attributes})


def settled(operation: Operation) -> dict[str, Any]:
    """All attributes that its requests set, with the last value of each."""
    found: dict[str, Any] = {}
    for request in operation.requests():
        if isinstance(request, (NewLink, SetLink)):
            found.update(request.attributes)
        elif isinstance(request, AddAltname):
            found["altnames"] = (*found.get("altnames", ()), request.altname)
        elif isinstance(request, WriteSysctl):
            found["sysctls"] = {**found.get("sysctls", {}), request.setting: request.value}
    return found


def comes_up(requests: list[Request]) -> int:
    """The position of the request that brings the link up."""
    (place,) = (
        number
        for number, request in enumerate(requests)
        if isinstance(request, (NewLink, SetLink)) and request.attributes.get("admin_state") == "up"
    )
    return place


def test_every_attribute_has_a_value_in_these_tests() -> None:
    """A new row of the table is tested by all of these, but for addresses, which have tests of their own."""
    tested = {*VALUES, *AT_CREATION, "lower_device", "source_addresses", "admin_state", "addresses"}
    assert tested == {row.name for row in MACVLAN.options}


# --- creation ---


@pytest.mark.parametrize("name", [*VALUES, *AT_CREATION])
@pytest.mark.parametrize("admin_state", ["up", "down", None])
def test_creation_takes_one_request_where_possible(name: str, admin_state: str | None) -> None:
    """More only for what the kernel ignores at creation."""
    attributes = {name: {**VALUES, **AT_CREATION}[name], **({"admin_state": admin_state} if admin_state else {})}
    requests = create(**attributes).requests()
    assert isinstance(requests[0], NewLink)
    if name in AFTER_CREATION:
        assert len(requests) > 1
        assert name not in requests[0].attributes
    else:
        assert requests == [NewLink(MV0, "macvlan", {"lower_device": ETH0, **attributes})]


@pytest.mark.parametrize("admin_state", ["up", "down"])
def test_creation_with_everything(admin_state: str) -> None:
    """Every attribute is asked for, and what the kernel ignores at creation is asked for later."""
    everything = {**VALUES, **AT_CREATION, "admin_state": admin_state}
    operation = create(**everything)
    (first, *later) = operation.requests()
    assert isinstance(first, NewLink)
    assert not first.attributes.keys() & set(AFTER_CREATION)
    assert settled(operation) == {"lower_device": ETH0, **everything} or admin_state == "down"
    written = {name for request in later if isinstance(request, SetLink) for name in request.attributes}
    assert written <= {*AFTER_CREATION, *FLAGS}


def test_creation_does_not_request_initial_values() -> None:
    """An empty alias takes no second request."""
    operation = create(alias="", controller="", altnames=(), admin_state="up")
    assert operation.requests() == [NewLink(MV0, "macvlan", {"lower_device": ETH0, "admin_state": "up"})]


def test_passthru_gets_its_address_after_creation() -> None:
    """At creation the kernel sets the MAC of the lower device."""
    operation = create(mode="passthru", address=ONE, admin_state="up")
    assert operation.requests() == [
        NewLink(MV0, "macvlan", {"lower_device": ETH0, "mode": "passthru"}),
        SetLink(MV0, "macvlan", {"address": ONE}),
        SetLink(MV0, "macvlan", {"admin_state": "up"}),
    ]


@pytest.mark.parametrize("attributes", [{}, {"mode": "bridge"}, {"mode": "passthru"}])
def test_source_addresses_are_sent_in_source_mode_only(attributes: dict[str, Any]) -> None:
    """The kernel refuses even an empty one in any other mode."""
    operation = create(**attributes, source_addresses=())
    assert "source_addresses" not in settled(operation)
    assert settled(create(mode="source", source_addresses=(ONE,)))["source_addresses"] == (ONE,)


def test_index() -> None:
    """A rollback gives a link its former index."""
    (request,) = CreateLink(MV0, "macvlan", {"lower_device": ETH0}, index=9).requests()
    assert request == NewLink(MV0, "macvlan", {"lower_device": ETH0}, index=9)


# --- the order ---


@pytest.mark.parametrize("name", VALUES)
def test_everything_is_set_before_a_link_comes_up(name: str) -> None:
    """At creation and later: what acts at that moment (MAC, settings, IPv6) must hold before it."""
    attributes = {name: VALUES[name], "admin_state": "up"}
    for requests in (create(**attributes).requests(), UpdateLink(link(), attributes).requests()):
        assert comes_up(requests) == len(requests) - 1


def test_everything_is_set_before_a_link_with_all_attributes_comes_up() -> None:
    """In any combination."""
    for few in itertools.combinations(VALUES, 2):
        attributes = {name: VALUES[name] for name in few} | {"admin_state": "up"}
        for requests in (create(**attributes).requests(), UpdateLink(link(), attributes).requests()):
            assert comes_up(requests) == len(requests) - 1


def test_flags_have_a_request_of_their_own() -> None:
    """A set request ends with flags and controller, in the kernel's order, so flags have one of their own."""
    requests = UpdateLink(link(), {**VALUES, "admin_state": "up"}).requests()
    for request in requests[:-1]:
        assert not isinstance(request, SetLink) or not request.attributes.keys() & set(FLAGS)
    assert isinstance(requests[-1], SetLink)
    assert requests[-1].attributes == {"promiscuous": True, "allmulticast": True, "admin_state": "up"}


@pytest.mark.parametrize("nopromisc", [True, False])
def test_nopromisc_of_a_passthru_link_that_comes_up(nopromisc: bool) -> None:
    """It is set after the link is up: while the link is down, the kernel miscounts."""
    before = link(mode="passthru", nopromisc=not nopromisc)
    assert UpdateLink(before, {"nopromisc": nopromisc, "admin_state": "up", "alias": "x"}).requests() == [
        SetLink(MV0, "macvlan", {"alias": "x"}),
        SetLink(MV0, "macvlan", {"admin_state": "up"}),
        SetLink(MV0, "macvlan", {"nopromisc": nopromisc, "nodst": False}),
    ]


@pytest.mark.parametrize("nopromisc", [True, False])
def test_nopromisc_of_a_passthru_link_that_goes_down(nopromisc: bool) -> None:
    """It is set while the link is still up, and the inverse of one is the other."""
    before = link(mode="passthru", nopromisc=not nopromisc, admin_state="up")
    operation = UpdateLink(before, {"nopromisc": nopromisc, "admin_state": "down"})
    assert operation.requests() == [
        SetLink(MV0, "macvlan", {"nopromisc": nopromisc, "nodst": False}),
        SetLink(MV0, "macvlan", {"admin_state": "down"}),
    ]
    (inverse,) = operation.inverse()
    assert inverse.requests() == [
        SetLink(MV0, "macvlan", {"admin_state": "up"}),
        SetLink(MV0, "macvlan", {"nopromisc": not nopromisc, "nodst": False}),
    ]


@pytest.mark.parametrize("name", WORD)
def test_flag_word_is_set_as_a_whole(name: str) -> None:
    """Omitted flags would be cleared."""
    (other,) = (word for word in WORD if word != name)
    for old in (True, False):
        operation = UpdateLink(link(**{other: old}), {name: True})
        assert operation.requests() == [SetLink(MV0, "macvlan", {name: True, other: old})]


def test_no_flag_word_without_flags() -> None:
    """A request without it keeps the flags."""
    assert UpdateLink(link(nodst=True), {"mode": "bridge"}).requests() == [SetLink(MV0, "macvlan", {"mode": "bridge"})]


def test_altnames() -> None:
    """Removals are first, so that a name is free for another link; other names are not touched."""
    operation = UpdateLink(link(altnames=("a", "b")), {"altnames": ("b", "c")})
    assert operation.requests() == [RemoveAltname(MV0, "a"), AddAltname(MV0, "c")]
    assert UpdateLink(link(altnames=("a",)), {"altnames": ()}).requests() == [RemoveAltname(MV0, "a")]


def test_settings() -> None:
    """One request each."""
    operation = UpdateLink(link(), {"sysctls": {"ipv4.arp_ignore": 1, "ipv6.accept_ra": 0}})
    assert operation.requests() == [WriteSysctl(MV0, "ipv4.arp_ignore", 1), WriteSysctl(MV0, "ipv6.accept_ra", 0)]


def test_leaving_source_mode_does_not_send_the_list() -> None:
    """The kernel empties it, and refuses one in the same request."""
    before = link(mode="source", source_addresses=(ONE,))
    operation = UpdateLink(before, {"mode": "bridge", "source_addresses": ()})
    assert operation.requests() == [SetLink(MV0, "macvlan", {"mode": "bridge"})]
    (inverse,) = operation.inverse()
    assert inverse.requests() == [SetLink(MV0, "macvlan", {"mode": "source", "source_addresses": (ONE,)})]


def test_deletion() -> None:
    """One request: the links on it are deleted with it."""
    assert DeleteLink(link(), cascaded=((link(MV1), LinkContents()),)).requests() == [RemoveLink(MV0)]


# --- restoring ---

ADDRESS = Address("192.0.2.1", 24, 4)
ROUTED = Route(RouteKey("", 254, 4, "203.0.113.0/24", 0), {"gateway": "192.0.2.9", "link": "mv0"})
DIRECT = Route(RouteKey("", 254, 4, "198.51.100.0/24", 0), {"link": "mv0"})


def test_restore() -> None:
    """Addresses, then routes without a gateway, then those with one: each needs what is before it."""
    operation = RestoreContents(MV0, (ADDRESS,), (ROUTED, DIRECT))
    assert operation.requests() == [AddAddress(MV0, ADDRESS), AddRoute(DIRECT), AddRoute(ROUTED)]
    assert str(operation) == "restore on mv0: 192.0.2.1/24, route to 203.0.113.0/24 via 192.0.2.9, route to 198.51.100.0/24"
    assert (operation.predict(State()), operation.inverse(), operation.loses_contents_of(State())) == ({}, (), frozenset())


# --- addresses, routes, rules ---

SECOND, SIX = Address("192.0.2.2", 24, 4), Address("2001:db8::1", 64, 6)
LABELLED, METRIC = replace(ADDRESS, label="mv0:web"), replace(SECOND, metric=5)


def test_addresses_come_last() -> None:
    """At creation, and when a link comes up: it would lose those of IPv6 when it goes down and up. They cost no second request
    for anything else."""
    added = [AddAddress(MV0, ADDRESS), AddAddress(MV0, SIX)]
    operation = create(addresses=(ADDRESS, SIX), admin_state="up")
    assert operation.requests() == [NewLink(MV0, "macvlan", {"lower_device": ETH0, "admin_state": "up"}), *added]
    operation = create(addresses=(ADDRESS, SIX), admin_state="up", alias="x")
    assert operation.requests()[-3:] == [SetLink(MV0, "macvlan", {"admin_state": "up"}), *added]
    operation = UpdateLink(link(), {"addresses": (ADDRESS, SIX), "admin_state": "up"})
    assert operation.requests() == [SetLink(MV0, "macvlan", {"admin_state": "up"}), *added]


def test_order_of_addresses() -> None:
    """What is new, what changes in place, what goes and comes, what has to be behind that, what goes: no route loses its last
    address, and the first of a subnet stays the first."""
    before = link(addresses=(ADDRESS, SECOND, replace(SIX, prefix_length=48), Address("192.0.2.3", 24, 4)))
    operation = UpdateLink(before, {"addresses": (LABELLED, METRIC, SIX, Address("192.0.2.4", 24, 4))})
    assert operation.requests() == [
        AddAddress(MV0, Address("192.0.2.4", 24, 4)),
        ReplaceAddress(MV0, METRIC),
        RemoveAddress(MV0, ADDRESS),
        AddAddress(MV0, LABELLED),
        RemoveAddress(MV0, replace(SIX, prefix_length=48)),
        AddAddress(MV0, SIX),
        RemoveAddress(MV0, METRIC),
        AddAddress(MV0, METRIC),
        RemoveAddress(MV0, Address("192.0.2.3", 24, 4)),
    ]


def test_addresses_of_a_link_that_goes_down() -> None:
    """It loses its IPv6 addresses, so they are added again."""
    before = link(addresses=(ADDRESS, SIX), admin_state="up")
    operation = UpdateLink(before, {"addresses": (ADDRESS, SIX), "admin_state": "down"})
    assert operation.requests() == [SetLink(MV0, "macvlan", {"admin_state": "down"}), AddAddress(MV0, SIX)]


def test_route_requests() -> None:
    """A new route is added, an existing one is replaced; the inverse does the opposite."""
    other = replace(DIRECT, attributes={"link": "mv1"})
    assert SetRoute(DIRECT).requests() == [AddRoute(DIRECT)]
    assert SetRoute(other, DIRECT).requests() == [ReplaceRoute(other)]
    assert DeleteRoute(DIRECT).requests() == [RemoveRoute(DIRECT)]
    assert SetRoute(DIRECT).inverse() == (DeleteRoute(DIRECT),)
    assert SetRoute(other, DIRECT).inverse() == (SetRoute(DIRECT, other),)
    assert DeleteRoute(DIRECT).inverse() == (SetRoute(DIRECT),)


PLAIN = Rule(RulePriority("", 4, 100), {"action": "lookup", "table": 100})
MARKED = replace(PLAIN, attributes={**PLAIN.attributes, "fwmark": (1, 0xFF)})


def test_rule_requests() -> None:
    """The requests and the inverses."""
    assert CreateRule(PLAIN).requests() == [AddRule(PLAIN)]
    assert DeleteRule(PLAIN).requests() == [RemoveRule(PLAIN)]
    assert CreateRule(PLAIN).inverse() == (DeleteRule(PLAIN),)
    assert CreateRule(MARKED, (PLAIN,)).inverse() == (DeleteRule(MARKED),)
    assert DeleteRule(PLAIN).inverse() == (CreateRule(PLAIN),)


def test_inverse_of_a_rule_behind_one_with_more() -> None:
    """The kernel deletes that one first, so it is created again."""
    operation = CreateRule(PLAIN, (MARKED,))
    assert operation.inverse() == (DeleteRule(PLAIN), DeleteRule(PLAIN), CreateRule(MARKED))
    state = State(rules=[MARKED])
    for step in (operation, *operation.inverse()):
        state.update(step.predict(state))
    assert state.rules == {PLAIN.at: (MARKED,)}


@pytest.mark.parametrize(
    ("shown", "hit"),
    [(PLAIN, MARKED), (MARKED, MARKED), (replace(PLAIN, protocol=3), None), (replace(PLAIN, protocol=0), MARKED)],
)
def test_rule_that_is_deleted(shown: Rule, hit: Rule | None) -> None:
    """The first that has all attributes that are shown, and the protocol."""
    assert shown.first_match([MARKED, PLAIN]) == hit


def test_waiting_and_announcing_change_nothing() -> None:
    """They cannot be rolled back either."""
    for operation in (WaitForAddresses(MV0, (SIX.ip,), 3), Announce(MV0, (ADDRESS.ip,))):
        assert (operation.predict(State()), operation.inverse(), operation.loses_contents_of(State())) == ({}, (), frozenset())
    assert WaitForAddresses(MV0, (SIX.ip,), 3).requests() == [AwaitAddresses(MV0, (SIX.ip,), 3)]
    assert Announce(MV0, (ADDRESS.ip,)).requests() == [AnnounceAddresses(MV0, (ADDRESS.ip,))]


# --- prediction and inverse ---


@pytest.mark.parametrize("name", VALUES)
def test_inverse_of_a_change(name: str) -> None:
    """It restores the former values, and its own inverse the new ones."""
    before = link(sysctls={"ipv4.arp_ignore": 0})
    operation = UpdateLink(before, {name: VALUES[name]})
    state = State([Link(ETH0, "physical", {"mtu": 1500}), before])
    state.update(operation.predict(state))
    assert state.get(MV0).get(name) == VALUES[name]
    (inverse,) = operation.inverse()
    (again,) = inverse.inverse()
    assert again.after == operation.after
    state.update(inverse.predict(state))
    assert state.get(MV0).attributes == before.attributes


def test_inverse_of_a_change_of_an_unknown_value() -> None:
    """It cannot be rolled back; the comparison with the former state reports it."""
    assert UpdateLink(link(alias=None), {"alias": "x"}).inverse() == ()
    (inverse,) = UpdateLink(link(alias=None), {"alias": "x", "mtu": 1400}).inverse()
    assert inverse.after == {"mtu": 1500}
    before = link(sysctls={"ipv4.arp_ignore": None, "ipv4.rp_filter": 1})
    (inverse,) = UpdateLink(before, {"sysctls": {"ipv4.arp_ignore": 1, "ipv4.rp_filter": 2}}).inverse()
    assert inverse.after == {"sysctls": {"ipv4.rp_filter": 1}}


def test_inverse_of_a_creation() -> None:
    """The link is deleted."""
    (inverse,) = create(mode="bridge").inverse()
    assert inverse.requests() == [RemoveLink(MV0)]


def test_inverse_of_a_deletion() -> None:
    """The link, its contents, then the links on it, each with its former index."""
    known = Link(MV0, "macvlan", {"lower_device": ETH0, "mode": "bridge", "address": ONE, "alias": None}, index=9)
    upper = Link(MV1, "macvlan", {"lower_device": MV0}, index=10)
    operation = DeleteLink(known, LinkContents((ADDRESS,), (DIRECT,), {"ipv4.arp_ignore": 1}), ((upper, LinkContents()),))
    assert operation.inverse() == (
        CreateLink(
            MV0,
            "macvlan",
            {"lower_device": ETH0, "mode": "bridge", "address": ONE, "sysctls": {"ipv4.arp_ignore": 1}},
            index=9,
        ),
        RestoreContents(MV0, (ADDRESS,), (DIRECT,)),
        CreateLink(MV1, "macvlan", {"lower_device": MV0}, index=10),
    )


def test_prediction_of_inherited_attributes() -> None:
    """MTU of the lower device, its MAC for passthru, bc_cutoff of the siblings."""
    lower = Link(ETH0, "physical", {"mtu": 9000, "address": ONE})
    state = State([lower, link(MV1, bc_cutoff=7)])
    made = create().predict(state)[MV0]
    assert (made.get("mtu"), made.get("bc_cutoff"), made.get("address")) == (9000, 7, None)
    assert create(mode="passthru").predict(State([lower]))[MV0].get("address") == ONE


@pytest.mark.parametrize(
    ("operation", "at_risk"),
    [
        (create(admin_state="up"), set()),
        (UpdateLink(link(admin_state="up"), {"admin_state": "down"}), {MV0}),
        (UpdateLink(link(), {"admin_state": "down"}), set()),
        (UpdateLink(link(), {"admin_state": "up"}), set()),
        (UpdateLink(link(), {"mtu": 1279}), {MV0}),
        (UpdateLink(link(), {"mtu": 1280}), set()),
        (UpdateLink(link(), {"mode": "bridge"}), set()),
        (DeleteLink(link()), {MV0}),
    ],
)
def test_at_risk(operation: Operation, at_risk: set[LinkKey]) -> None:
    """Links that lose addresses and routes: these are read before."""
    assert operation.loses_contents_of(State([link()])) == at_risk


def test_deletion_puts_all_links_above_at_risk() -> None:
    """Directly and through others."""
    lower = Link(ETH0, "physical", {})
    top = Link(LinkKey("", "top"), "vlan", {"lower_device": MV0})
    assert DeleteLink(lower).loses_contents_of(State([lower, link(), link(MV1), top])) == {ETH0, MV0, MV1, top.key}


# --- sentences ---


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        (create(), "create mv0: macvlan on eth0"),
        (create(mode="bridge", admin_state="up"), "create mv0: macvlan on eth0, mode bridge, admin_state up"),
        (create(sysctls={"ipv4.arp_ignore": 1}), "create mv0: macvlan on eth0, ipv4.arp_ignore 1"),
        (CreateLink(LinkKey("guest", "mv0"), "macvlan", {}), "create mv0 in netns guest: macvlan"),
        (UpdateLink(link(), {"alias": "x", "mode": "bridge"}), 'set mv0: mode vepa -> bridge, alias "" -> x'),
        (UpdateLink(link(bc_cutoff=None), {"bc_cutoff": 4}), "set mv0: bc_cutoff 4"),
        (UpdateLink(link(), {"sysctls": {"ipv4.arp_ignore": 1}}), "set mv0: ipv4.arp_ignore 1"),
        (
            UpdateLink(link(sysctls={"ipv4.arp_ignore": 0}), {"sysctls": {"ipv4.arp_ignore": 1}}),
            "set mv0: ipv4.arp_ignore 0 -> 1",
        ),
        (DeleteLink(link()), "delete mv0"),
        (DeleteLink(link(LinkKey("guest", "mv0")), reason=" (because)"), "delete mv0 in netns guest (because)"),
    ],
)
def test_sentence(operation: Operation, sentence: str) -> None:
    """The sentence for the user."""
    assert str(operation) == sentence


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (NewLink(MV0, "macvlan", {}), "create mv0"),
        (SetLink(MV0, "macvlan", {"mode": "bridge", "mtu": 1400}), "set mode, mtu of mv0"),
        (RemoveLink(LinkKey("guest", "mv0")), "delete mv0 in netns guest"),
        (AddAltname(MV0, "a"), "add altname a to mv0"),
        (RemoveAltname(MV0, "a"), "remove altname a from mv0"),
        (WriteSysctl(MV0, "ipv4.arp_ignore", 1), "write ipv4.arp_ignore = 1 of mv0"),
        (AddAddress(MV0, ADDRESS), "add address 192.0.2.1/24 to mv0"),
        (
            AddRoute(Route(RouteKey("guest", 100, 4, "0.0.0.0/0", 5), {"gateway": "192.0.2.9"})),
            "add route to 0.0.0.0/0 table 100 metric 5 in netns guest via 192.0.2.9",
        ),
        (ReplaceAddress(MV0, ADDRESS), "change address 192.0.2.1/24 of mv0"),
        (RemoveAddress(MV0, ADDRESS), "remove address 192.0.2.1/24 from mv0"),
        (AwaitAddresses(MV0, ("2001:db8::1", "2001:db8::2"), 3), "wait for 2001:db8::1, 2001:db8::2 on mv0"),
        (AnnounceAddresses(MV0, ("192.0.2.1",)), "announce 192.0.2.1 from mv0"),
        (ReplaceRoute(ROUTED), "replace route to 203.0.113.0/24 via 192.0.2.9"),
        (RemoveRoute(DIRECT), "delete route to 198.51.100.0/24"),
        (AddRule(PLAIN), "add IPv4 rule 100"),
        (RemoveRule(PLAIN), "delete IPv4 rule 100"),
    ],
)
def test_sentence_of_a_request(request_: Request, sentence: str) -> None:
    """The sentence in an error."""
    assert str(request_) == sentence
