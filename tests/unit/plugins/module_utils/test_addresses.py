# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses as texts, whose they are, what makes two the same, how one list becomes another, and every sentence that says no."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._address_messages import with_origin
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import family_of, inside, is_link_local, network
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    DADFAILED,
    NODAD,
    NOPREFIXROUTE,
    PERMANENT,
    TENTATIVE,
    AddressChanges,
    Addresses,
    address_changes,
    connected,
    covers,
    identity,
    is_duplicate,
    owner,
)

TYPE = Addresses()


def there(text: str, flags: int = PERMANENT, **rest: Any) -> Address:
    """An address as the kernel reports it."""
    ip, _slash, length = text.partition("/")
    return Address(ip, int(length), family_of(ip), flags, **rest)


FOUR, SIX = there("192.0.2.1/24"), there("2001:db8::1/64")

# --- texts ---


@pytest.mark.parametrize(
    ("ip", "length", "found"),
    [
        ("192.0.2.7", 24, "192.0.2.0/24"),
        ("192.0.2.7", 32, "192.0.2.7/32"),
        ("192.0.2.7", 0, "0.0.0.0/0"),
        ("192.0.2.255", 25, "192.0.2.128/25"),
        ("2001:db8::ffff:1", 64, "2001:db8::/64"),
        ("2001:db8::1", 128, "2001:db8::1/128"),
        ("2001:db8::1", 0, "::/0"),
        ("::ffff:192.0.2.1", 128, "::ffff:192.0.2.1/128"),
    ],
)
def test_network(ip: str, length: int, found: str) -> None:
    """In the spelling of inet_ntop; the address is in it."""
    assert network(ip, length) == found
    assert inside(ip, found)


@pytest.mark.parametrize(
    ("ip", "where"),
    [("192.0.3.1", "192.0.2.0/24"), ("192.0.2.1", "::/0"), ("::1", "0.0.0.0/0"), ("2001:db9::1", "2001:db8::/32")],
)
def test_outside(ip: str, where: str) -> None:
    """Of another network, or of the other family."""
    assert not inside(ip, where)


def test_link_local() -> None:
    """fe80::/10, of IPv6 alone."""
    assert [is_link_local(ip) for ip in ("fe80::1", "febf::1", "fec0::1", "2001:db8::1", "169.254.0.1")] == [True, True] + [
        False
    ] * 3


# --- whose it is ---

OWNERS: list[tuple[str, Address, str]] = [
    ("ip address add, networkd", FOUR, "static"),
    ("with a broadcast address", there("192.0.2.1/24", broadcast="192.0.2.255"), "static"),
    ("of IPv6", SIX, "static"),
    ("of IPv6, alone", there("2001:db8::1/128"), "static"),
    ("secondary", there("192.0.2.2/24", PERMANENT | 1), "static"),
    ("dhclient", there("192.0.2.1/24", 0, valid=3600, preferred=3600, broadcast="192.0.2.255"), "dhcp"),
    ("dhcpcd", there("192.0.2.1/24", NOPREFIXROUTE, valid=3600, preferred=3600), "dhcp"),
    ("networkd, DHCP", there("192.0.2.1/24", 0, valid=3600, preferred=3600, metric=1024), "dhcp"),
    ("a client with an infinite lease", there("192.0.2.1/24", client="dhclient (process 7)"), "dhcp"),
    ("udhcpc", there("192.0.2.1/24", client="udhcpc (process 7)"), "dhcp"),
    ("DHCPv6", there("2001:db8::7/128", 0, valid=3600), "dhcp"),
    ("router advertisement", there("2001:db8::7/64", 0, valid=3600, protocol=2), "ra"),
    ("router advertisement, infinite", there("2001:db8::7/64", 0, protocol=2), "ra"),
    ("router advertisement, older kernel", there("2001:db8::7/64", 0, valid=3600), "ra"),
    ("replaced, and advertised again", there("2001:db8::7/64", PERMANENT, valid=3600), "ra"),
    ("temporary", there("2001:db8::7/64", 1, valid=3600), "ra"),
    ("link-local", there("fe80::7/64", protocol=3), "kernel"),
    ("link-local, of a user", there("fe80::5/64"), "static"),
    ("loopback, IPv6", there("::1/128", protocol=1), "kernel"),
    ("loopback, IPv6, older kernel", there("::1/128"), "kernel"),
    ("loopback, IPv4", there("127.0.0.1/8"), "kernel"),
    ("another address of the loopback device", there("127.0.0.2/8"), "static"),
]


@pytest.mark.parametrize(("address", "whose"), [item[1:] for item in OWNERS], ids=[item[0] for item in OWNERS])
def test_owner(address: Address, whose: str) -> None:
    """As the kernel tells them apart."""
    assert owner(address) == whose


@pytest.mark.parametrize(
    ("text", "generation_mode", "whose"),
    [
        ("fe80::ff:fe00:1/64", 0, "kernel"),  # eui64, also of a former MAC address
        ("fe80::ff:fe00:1/64", 1, "kernel"),  # none, which takes effect when the link goes down
        ("fe80::1/64", 0, "static"),
        ("fe80::1/64", 1, "static"),
        ("fe80::ff:fe00:1/128", 0, "static"),
        ("fe80::4a1b:93ff:1234:1/64", 2, "kernel"),  # stable_secret and random have no form
        ("fe80::4a1b:93ff:1234:1/64", 3, "kernel"),
        ("2001:db8::ff:fe00:1/64", 3, "static"),
    ],
)
def test_owner_without_an_origin(text: str, generation_mode: int, whose: str) -> None:
    """Kernels before 5.18 report no origin of an address."""
    (address,) = with_origin([there(text)], generation_mode)
    assert owner(address) == whose


def test_identity() -> None:
    """Of IPv4 with its prefix length and the network of its peer; of IPv6 the address alone."""
    assert identity(FOUR) == identity(replace(FOUR, label="x", metric=5, flags=0, peer_ip="192.0.2.9"))
    different = [FOUR, there("192.0.2.2/24"), there("192.0.2.1/25"), replace(FOUR, peer_ip="198.51.100.9")]
    assert len({identity(one) for one in different}) == len(different)
    assert identity(SIX) == identity(there("2001:db8::1/48", peer_ip="2001:db8::9")) != identity(there("2001:db8::2/64"))


# --- from one list to another ---


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ((), (FOUR, SIX), AddressChanges((FOUR, SIX), (), (), ())),
        ((FOUR, SIX), (), AddressChanges((), (), (), (FOUR, SIX))),
        ((FOUR, SIX), (SIX, FOUR), AddressChanges((), (), (), ())),
        ((FOUR,), (there("192.0.2.1/25"),), AddressChanges((there("192.0.2.1/25"),), (), (), (FOUR,))),
        ((SIX,), (there("2001:db8::1/48"),), AddressChanges((), (), ((SIX, there("2001:db8::1/48")),), ())),
        (
            (FOUR, SIX),
            (replace(FOUR, metric=5), replace(SIX, metric=5)),
            AddressChanges((), (replace(FOUR, metric=5), replace(SIX, metric=5)), (), ()),
        ),
        (
            (SIX,),
            (replace(SIX, flags=PERMANENT | NOPREFIXROUTE),),
            AddressChanges((), (replace(SIX, flags=PERMANENT | NOPREFIXROUTE),), (), ()),
        ),
        *(
            ((old,), (new,), AddressChanges((), (), ((old, new),), ()))
            for old, new in (
                (FOUR, replace(FOUR, label="eth0:web")),
                (FOUR, replace(FOUR, flags=PERMANENT | NOPREFIXROUTE)),
                (FOUR, replace(FOUR, peer_ip="192.0.2.9")),
                (SIX, replace(SIX, peer_ip="2001:db8::9")),
                (replace(SIX, flags=PERMANENT | TENTATIVE | DADFAILED), SIX),
            )
        ),
    ],
)
def test_changes(before: tuple[Address, ...], after: tuple[Address, ...], found: AddressChanges) -> None:
    """Changed in place, removed and added again, or no difference: state that the kernel keeps for itself."""
    assert address_changes(before, after) == found
    state_of_its_own = tuple(
        replace(one, flags=one.flags | 1 | TENTATIVE, valid=7, broadcast="x", protocol=4, scope=9) for one in after
    )
    assert address_changes(after, state_of_its_own) == AddressChanges((), (), (), ())
    assert found.removed == [*found.remove, *(old for old, _new in found.readd)]


def test_difference() -> None:
    """Both lists complete: what others made stays, what is there is completed, and what is not known is not there."""
    lease = there("198.51.100.7/24", 0, valid=60)
    labelled = replace(FOUR, label="eth0:web", metric=5)
    assert TYPE.difference((FOUR, lease), TYPE.parse(["192.0.2.1/24"])) is None
    assert TYPE.difference((labelled,), TYPE.parse(["192.0.2.1/24"])) is None
    assert TYPE.difference((FOUR, lease), ()) == ((FOUR, lease), (lease,))
    (wanted,) = TYPE.parse([{"ip": "192.0.2.1/24", "metric": 7}])
    assert TYPE.difference((labelled, lease), (wanted,)) == ((labelled, lease), (replace(labelled, metric=7), lease))
    assert TYPE.difference(None, ()) == ((), ())
    assert TYPE.difference(None, (wanted,)) == ((), (wanted,))
    (plain,) = TYPE.parse([{"ip": "192.0.2.1/24", "noprefixroute": False}])
    bare = replace(FOUR, flags=PERMANENT | NOPREFIXROUTE)
    assert TYPE.difference((bare,), TYPE.parse(["192.0.2.1/24"])) is None
    assert TYPE.difference((bare,), (plain,)) == ((bare,), (FOUR,))


def test_what_comes_again_is_not_settled() -> None:
    """Of IPv6, where duplicate address detection begins anew."""
    (_before, (after,)) = TYPE.difference((SIX,), TYPE.parse(["2001:db8::1/48"])) or ((), ())
    assert (after.settled, after.prefix_length) == (False, 48)
    (_before, (after,)) = TYPE.difference((SIX,), TYPE.parse([{"ip": "2001:db8::1/48", "nodad": True}])) or ((), ())
    assert after.settled


def test_said() -> None:
    """The static ones; of a change, what comes, changes and goes."""
    lease = there("198.51.100.7/24", 0, valid=60)
    assert TYPE.describe((FOUR, lease, SIX)) == "[192.0.2.1/24, 2001:db8::1/64]"
    assert TYPE.change(None, (FOUR,)) == "[192.0.2.1/24]"
    after = (there("192.0.2.2/24"), replace(SIX, metric=5), lease)
    assert TYPE.change((FOUR, SIX, lease), after) == "add 192.0.2.2/24, change 2001:db8::1/64, remove 192.0.2.1/24"


def test_returned() -> None:
    """The static ones, sorted, with all options."""
    long = {"peer_ip": None, "label": None, "metric": None, "noprefixroute": False, "nodad": False}
    link_local, other = there("fe80::1/64", protocol=3), there("192.0.2.2/24", PERMANENT | NOPREFIXROUTE, label="x", metric=5)
    assert TYPE.returned((SIX, link_local, other, FOUR)) == [
        {"ip": "192.0.2.1/24", **long},
        {"ip": "192.0.2.2/24", **long, "label": "x", "metric": 5, "noprefixroute": True},
        {"ip": "2001:db8::1/64", **long},
    ]


def test_settled() -> None:
    """Neither tentative nor a duplicate."""
    assert [replace(SIX, flags=flags).settled for flags in (PERMANENT, NODAD, TENTATIVE, DADFAILED)] == [True, True, False, False]
    assert [is_duplicate(replace(SIX, flags=flags)) for flags in (TENTATIVE, TENTATIVE | DADFAILED)] == [False, True]


@pytest.mark.parametrize(
    ("address", "destinations"),
    [
        (FOUR, ["192.0.2.0/24"]),
        (there("192.0.2.1/31"), ["192.0.2.0/31"]),
        (there("192.0.2.1/32"), []),
        (there("192.0.2.1/0"), []),
        (there("192.0.2.1/32", peer_ip="203.0.113.9"), ["203.0.113.9/32"]),
        (there("192.0.2.1/24", peer_ip="203.0.113.9"), ["203.0.113.0/24"]),
        (SIX, ["2001:db8::/64"]),
        (there("2001:db8::1/128"), ["2001:db8::1/128"]),
        (there("2001:db8::1/64", peer_ip="2001:db8:9::9"), ["2001:db8::/64", "2001:db8:9::9/128"]),
        (replace(SIX, flags=TENTATIVE | DADFAILED), ["2001:db8::/64"]),
        (replace(FOUR, flags=NOPREFIXROUTE), []),
        (replace(SIX, flags=NOPREFIXROUTE), []),
    ],
)
def test_connected(address: Address, destinations: list[str]) -> None:
    """The routes that come with it; an address is covered by these."""
    assert list(connected((address,))) == [(destination, address) for destination in destinations]
    for destination in destinations:
        assert covers((address,), destination.partition("/")[0])
    assert not covers((address,), "198.51.100.1")


# --- what is written ---


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("192.0.2.1/24", FOUR),
        (" 2001:DB8:0::1/64 ", replace(SIX, flags=PERMANENT | TENTATIVE)),
        ({"ip": "192.0.2.1/24", "label": None, "metric": None}, FOUR),
        ({"ip": "192.0.2.1/24", "label": "eth0:web", "metric": "5"}, replace(FOUR, label="eth0:web", metric=5)),
        ({"ip": "192.0.2.1/32", "peer_ip": "203.0.113.9"}, there("192.0.2.1/32", peer_ip="203.0.113.9")),
        ({"ip": "192.0.2.1/24", "noprefixroute": "yes"}, replace(FOUR, flags=PERMANENT | NOPREFIXROUTE)),
        ({"ip": "192.0.2.1/24", "noprefixroute": False}, replace(FOUR, unset=NOPREFIXROUTE)),
        ({"ip": "2001:db8::1/64", "nodad": True}, replace(SIX, flags=PERMANENT | NODAD)),
        ({"ip": "2001:db8::1/64", "nodad": "off"}, replace(SIX, flags=PERMANENT | TENTATIVE, unset=NODAD)),
    ],
)
def test_parse(written: Any, found: Address) -> None:
    """A text, or a dictionary; once more is once."""
    assert TYPE.parse([written]) == TYPE.parse([written, written]) == (found,)


def test_parse_nothing() -> None:
    """An empty list is one."""
    assert TYPE.parse([]) == ()
    assert TYPE.argument() == {"type": "list", "elements": "raw"}


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (["192.0.2.1"], "'192.0.2.1' has no prefix length. Append one, as in 192.0.2.1/24"),
        (["192.0.2.1/33"], "'192.0.2.1/33' has no prefix length between 0 and 32"),
        (["2001:db8::1/129"], "'2001:db8::1/129' has no prefix length between 0 and 128"),
        (["192.0.2.1/255.255.255.0"], "'192.0.2.1/255.255.255.0' has no prefix length between 0 and 32"),
        (["010.1.2.3/8"], "'010.1.2.3' is not an IP address"),
        (["fe80::1%eth0/64"], "'fe80::1%eth0' is not an IP address. Omit leading zeros and the zone"),
        ([7], "'7' has no prefix length. Append one, as in 192.0.2.1/24"),
        *(
            ([f"{ip}/24"], f"{ip} cannot be the address of a link")
            for ip in ("0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::5")
        ),
        ([{"label": "x"}], "{'label': 'x'} has no ip. Set ip, such as 192.0.2.1/24"),
        (
            [{"ip": "192.0.2.1/24", "prefix": 5}],
            "'prefix' is not an option of an address. Valid options: ip, peer_ip, label, metric, noprefixroute, nodad",
        ),
        (
            [{"ip": "192.0.2.1/24", "nodad": True}],
            "192.0.2.1: nodad applies to IPv6 only, because the kernel detects no duplicates for IPv4. Omit nodad",
        ),
        ([{"ip": "2001:db8::1/64", "label": "x"}], "2001:db8::1: label applies to IPv4 only. Omit label"),
        (
            [{"ip": "192.0.2.1/24", "peer_ip": "2001:db8::1"}],
            "192.0.2.1: peer_ip 2001:db8::1 is of another family than the address",
        ),
        ([{"ip": "192.0.2.1/24", "peer_ip": "x"}], "192.0.2.1/24: peer_ip: 'x' is not an IP address"),
        ([{"ip": "192.0.2.1/24", "label": "x" * 16}], "192.0.2.1/24: label: it has 16 bytes, but the kernel allows at most 15"),
        ([{"ip": "192.0.2.1/24", "noprefixroute": "maybe"}], "192.0.2.1/24: noprefixroute: 'maybe' is neither true nor false"),
        (
            ["192.0.2.1/24", {"ip": "192.0.2.1/24", "metric": 5}],
            "192.0.2.1/24 is listed twice with different options. List it once",
        ),
        (["2001:db8::1/64", "2001:db8::1/48"], "2001:db8::1/48 is listed twice with different options. List it once"),
    ],
)
def test_refusal(written: list[Any], sentence: str) -> None:
    """The whole sentence."""
    with pytest.raises(InvalidValue) as caught:
        TYPE.parse(written)
    assert str(caught.value) == sentence
