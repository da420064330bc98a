# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard of the management path: what belongs to the path, and what cuts it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._guard import check_lockout, management_path
from ansible_collections.patchbay.netdev.plugins.module_utils._model import HERE, Connection, Link, LinkKey, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations import (
    CreateLink,
    DeleteLink,
    Operation,
    Rename,
    UpdateLink,
)

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
    """Lower devices, the bridge, all its ports, and other ends; not what sits on top."""
    assert management_path(STATE, [key(name) for name in carriers]) == frozenset(path)


CUTS: dict[str, tuple[Operation, str]] = {
    "delete the lower device": (DeleteLink(BR0), "br0 goes"),
    "delete the far end of a pair": (DeleteLink(FAR), "eth0 in netns guest goes"),
    "down": (UpdateLink(ETH0, {"admin_state": "down"}), "eth0 goes down"),
    "another MAC": (UpdateLink(BR0, {"address": "02:00:5e:00:00:02"}), "the MAC of br0 changes"),
    "detach": (UpdateLink(ETH0, {"controller": ""}), "eth0 is detached"),
    "attach": (UpdateLink(MV0, {"controller": "br1"}), "mv0 is attached to br1"),
    "passthru, even down": (
        CreateLink(key("mv1"), "macvlan", {"lower_device": key("up0"), "mode": "passthru"}),
        "in mode passthru it takes up0 over",
    ),
    "macvtap in passthru": (
        CreateLink(key("mt1"), "macvtap", {"lower_device": key("up0"), "mode": "passthru"}),
        "in mode passthru it takes up0 over",
    ),
    "nodst": (
        CreateLink(key("mv1"), "macvlan", {"lower_device": key("br0"), "mode": "source", "nodst": True}),
        "with nodst it takes frames away from br0",
    ),
    "nodst on a living link": (
        UpdateLink(link("mv2", "macvlan", lower_device=key("br0"), mode="source", nodst=False), {"nodst": True}),
        "with nodst it takes frames away from br0",
    ),
    "a port that forwards nothing": (
        UpdateLink(ETH0, {"stp_state": "disabled"}),
        "in the state disabled nothing passes eth0",
    ),
    "a locked port": (
        UpdateLink(ETH0, {"locked": True}),
        "locked, eth0 drops what comes from senders that the bridge does not know",
    ),
    "hairpin towards a switch": (
        UpdateLink(ETH0, {"hairpin": True}),
        "with hairpin, eth0 sends back what it receives, and a switch takes it for the sender",
    ),
    "neither learning nor flooding": (
        UpdateLink(ETH0, {"learning": False, "unicast_flood": False}),
        "without learning and unicast_flood, nothing leaves by eth0",
    ),
    "a small MTU": (UpdateLink(ETH0, {"mtu": 295}), "an MTU of 295 on eth0 is too small for it"),
    "no ARP": (UpdateLink(MV0, {"sysctls": {"ipv4.arp_ignore": 8}}), "mv0 answers nobody who asks for its MAC"),
}


@pytest.mark.parametrize(("operation", "why"), CUTS.values(), ids=CUTS)
def test_cuts(operation: Operation, why: str) -> None:
    """The sentence names the operation, how it cuts, and the path."""
    with pytest.raises(Refused) as caught:
        check_lockout([operation], STATE, SSH, STATE)
    assert str(caught.value) == (
        f"{operation}: that would cut this host off: {why}, and the connection from 192.0.2.9 uses "
        "br0, eth0, mv0, up0, eth0 in netns guest. Write allow_lockout: true if that is meant"
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
    """What IPv6 alone cannot do without, IPv4 can, and the other way about."""
    with pytest.raises(Refused, match=f": that would cut this host off: {why}, and the connection from 2001:db8::9 uses "):
        check_lockout([operation], STATE, SSH6, STATE)
    check_lockout([operation], STATE, SSH, STATE)
    check_lockout([UpdateLink(MV0, {"sysctls": {"ipv4.arp_ignore": 8}})], STATE, SSH6, STATE)


def test_port_that_leads_to_the_wire() -> None:
    """A card rather than a pair, and a pair that ends out of sight rather than one that ends here, unless it is alone."""
    away = link("away", "veth", controller="br0", peer=key("(link 5)", "(unnamed namespace 0)"))
    ports = [ETH0, away, UP0]
    while ports:
        state = State([*ports, FAR, BR0, MV0])
        check_lockout([UpdateLink(port, {"locked": True}) for port in ports[1:]], state, SSH, state)
        with pytest.raises(Refused, match=f"locked, {ports[0].key} drops"):
            check_lockout([UpdateLink(ports[0], {"locked": True})], state, SSH, state)
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
        with pytest.raises(Refused, match=f"^set {isolated.key}: .*: that would cut this host off: {why}, "):
            check_lockout(steps, INSIDE, connection, INSIDE)
        check_lockout(steps, STATE, SSH, STATE)  # the address is on the bridge itself
    else:
        check_lockout(steps, INSIDE, connection, INSIDE)


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
def test_does_not_cut(operation: Operation) -> None:
    """Nothing is refused that leaves the path whole."""
    check_lockout([operation], STATE, SSH, STATE)


def test_second_operation_cuts() -> None:
    """Each operation is judged in the state that those before it leave."""
    attached = UpdateLink(ETH1, {"controller": "br0"})
    with pytest.raises(Refused, match=r"^set eth0: admin_state up -> down: that would cut"):
        check_lockout([attached, UpdateLink(ETH0, {"admin_state": "down"})], STATE, SSH, STATE)


def test_without_a_connection() -> None:
    """Nothing to guard."""
    check_lockout([DeleteLink(BR0)], STATE, Connection(), STATE)
