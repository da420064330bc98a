# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each DHCP client tells its hook, as it was seen of real ones, and what becomes of it."""

from __future__ import annotations

import json

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import (
    FOREVER,
    Lease,
    News,
    matters,
    restored,
    saved,
    told,
    told_by_networkd,
)

# One answer of one dnsmasq, with option 121, as three clients hand it on: BusyBox 1.35 and dhclient 4.4.3 as seen, dhcpcd as its
# manual says.
UDHCPC = {
    "broadcast": "192.0.2.255",
    "dns": "192.0.2.1 192.0.2.2",
    "domain": "example.org",
    "hostname": "old",
    "interface": "ve1",
    "ip": "192.0.2.164",
    "lease": "120",
    "mask": "24",
    "opt53": "05",
    "opt58": "0000003c",
    "router": "192.0.2.1",
    "serverid": "192.0.2.1",
    "siaddr": "192.0.2.1",
    "staticroutes": "198.51.100.0/24 192.0.2.9 0.0.0.0/0 192.0.2.1 203.0.113.0/25 0.0.0.0",
    "subnet": "255.255.255.0",
}
DHCLIENT = {
    "reason": "BOUND",
    "interface": "ve1",
    "new_ip_address": "192.0.2.164",
    "new_subnet_mask": "255.255.255.0",
    "new_routers": "192.0.2.1",
    "new_rfc3442_classless_static_routes": "24 198 51 100 192 0 2 9 0 192 0 2 1 25 203 0 113 0 0 0 0 0",
    "new_domain_name_servers": "192.0.2.1 192.0.2.2",
    "new_domain_name": "example.org",
    "new_dhcp_server_identifier": "192.0.2.1",
    "new_dhcp_lease_time": "120",
}
DHCPCD = {
    "reason": "BOUND",
    "interface": "ve1",
    "new_ip_address": "192.0.2.164",
    "new_subnet_cidr": "24",
    "new_subnet_mask": "255.255.255.0",
    "new_routers": "192.0.2.1",
    "new_classless_static_routes": "198.51.100.0/24 192.0.2.9 0.0.0.0/0 192.0.2.1 203.0.113.0/25 0.0.0.0",
    "new_domain_name_servers": "192.0.2.1 192.0.2.2",
    "new_domain_name": "example.org",
    "new_dhcp_server_identifier": "192.0.2.1",
    "new_dhcp_lease_time": "120",
}
ROUTES = (("198.51.100.0/24", "192.0.2.9"), ("0.0.0.0/0", "192.0.2.1"), ("203.0.113.0/25", "0.0.0.0"))
LEASE = Lease(
    "192.0.2.164", 24, ("192.0.2.1",), ROUTES, ("192.0.2.1", "192.0.2.2"), domain="example.org", server="192.0.2.1", seconds=120
)


@pytest.mark.parametrize(
    ("arguments", "given"), [(("bound",), UDHCPC), ((), DHCLIENT), ((), DHCPCD)], ids=["udhcpc", "dhclient", "dhcpcd"]
)
def test_one_answer_is_one_lease(arguments: tuple[str, ...], given: dict[str, str]) -> None:
    """Whichever client hands it on."""
    assert told(arguments, given, False) == News("gained", LEASE)


@pytest.mark.parametrize("event", ["bound", "renew"])
def test_udhcpc_gains(event: str) -> None:
    """The first lease, and each renewal."""
    assert told([event], UDHCPC, False).lease == LEASE


@pytest.mark.parametrize("reason", ["BOUND", "RENEW", "REBIND", "REBOOT"])
def test_others_gain(reason: str) -> None:
    """The first lease, each renewal, and one that a client remembered."""
    assert told([], {**DHCLIENT, "reason": reason}, False).lease == LEASE


@pytest.mark.parametrize("reason", ["EXPIRE", "RELEASE", "NAK"])
def test_others_lose(reason: str) -> None:
    """Whatever else they tell."""
    assert told([], {**DHCPCD, "reason": reason}, False) == News("lost")


def test_nak_loses() -> None:
    """The server says that it is not so any more."""
    assert told(["nak"], {"interface": "ve1"}, False) == News("lost")


def test_client_that_starts_takes_nothing() -> None:
    """udhcpc says deconfig when it starts and when a lease is over: the time tells the one from the other."""
    assert told(["deconfig"], {"interface": "ve1"}, expired=False) == News("nothing")
    assert told(["deconfig"], {"interface": "ve1"}, expired=True) == News("lost")
    assert told(["leasefail"], {"interface": "ve1"}, expired=False) == News("nothing")
    assert told(["leasefail"], {"interface": "ve1"}, expired=True) == News("lost")


@pytest.mark.parametrize("event", ["PREINIT", "CARRIER", "TIMEOUT", ""])
def test_other_events_are_no_news(event: str) -> None:
    """Nothing is gained and nothing lost."""
    assert told([], {"reason": event}, True) == News("nothing")
    assert told(["unheard-of"], {}, True) == News("nothing")


def test_what_cannot_be_news() -> None:
    """A client that starts, that ends, or that sees a carrier."""
    for reason in ("PREINIT", "CARRIER", "NOCARRIER", "STOP", "STOPPED", "TIMEOUT"):
        assert not matters([], {**DHCPCD, "reason": reason})
        assert told([], {**DHCPCD, "reason": reason}, True) == News("nothing")
    for reason in ("BOUND", "RENEW", "EXPIRE", "NAK", "FAIL"):
        assert matters([], {**DHCPCD, "reason": reason})
    assert matters(["deconfig"], {})
    assert not matters(["unheard-of"], {})


def test_routers_count_only_without_classless_routes() -> None:
    """RFC 3442; and of several routers only the first."""
    plain = {name: value for name, value in UDHCPC.items() if name != "staticroutes"}
    lease = told(["bound"], {**plain, "router": "192.0.2.1 192.0.2.254"}, False).lease
    assert lease is not None
    assert (lease.routers, lease.routes) == (("192.0.2.1", "192.0.2.254"), ())
    assert lease.ways == (("0.0.0.0/0", "192.0.2.1"),)
    assert LEASE.ways == ROUTES


def test_routes_that_udhcpc_was_not_built_for() -> None:
    """Come as the octets of the option."""
    plain = {name: value for name, value in UDHCPC.items() if name != "staticroutes"}
    octets = "18c63364c0000209" + "00c0000201" + "19cb00710000000000"
    for name in ("opt121", "opt249"):
        assert told(["bound"], {**plain, name: octets}, False).lease == LEASE
    lease = told(["bound"], {**UDHCPC, "opt249": "00c0000209"}, False).lease
    assert lease == LEASE  # what is not of the standard does not count beside what is


def test_dhclient_with_the_other_name() -> None:
    """Where its configuration calls option 121 as dhcpcd does."""
    renamed = {**DHCLIENT, "new_classless_static_routes": DHCLIENT["new_rfc3442_classless_static_routes"]}
    del renamed["new_rfc3442_classless_static_routes"]
    assert told([], renamed, False).lease == LEASE


@pytest.mark.parametrize(
    ("length", "octets", "destination"),
    [
        (0, "", "0.0.0.0/0"),
        (1, "128", "128.0.0.0/1"),
        (8, "10", "10.0.0.0/8"),
        (9, "10 128", "10.128.0.0/9"),
        (17, "10 1 128", "10.1.128.0/17"),
        (25, "10 1 2 128", "10.1.2.128/25"),
        (32, "10 1 2 3", "10.1.2.3/32"),
    ],
)
def test_length_says_how_many_octets(length: int, octets: str, destination: str) -> None:
    """As in the examples of RFC 3442."""
    given = {**DHCLIENT, "new_rfc3442_classless_static_routes": f"{length} {octets} 192 0 2 9"}
    lease = told([], given, False).lease
    assert lease is not None
    assert lease.routes == ((destination, "192.0.2.9"),)


def test_bits_behind_the_length_are_dropped() -> None:
    """Servers send them, and the kernel would refuse them."""
    lease = told(["bound"], {**UDHCPC, "staticroutes": "198.51.100.77/24 192.0.2.9"}, False).lease
    assert lease is not None
    assert lease.routes == (("198.51.100.0/24", "192.0.2.9"),)


@pytest.mark.parametrize(
    ("changes", "length"),
    [
        ({"mask": "25"}, 25),
        ({"mask": ""}, 24),  # its other way to say it
        ({"mask": "", "subnet": "255.255.254.0"}, 23),
        ({"mask": "", "subnet": "0.0.0.0"}, 0),
        ({"mask": "", "subnet": ""}, 32),
    ],
)
def test_prefix_length(changes: dict[str, str], length: int) -> None:
    """As a number, as a mask, or not at all."""
    lease = told(["bound"], {**UDHCPC, **changes}, False).lease
    assert lease is not None
    assert lease.prefix_length == length


@pytest.mark.parametrize(
    ("text", "seconds"), [("120", 120), ("4294967295", FOREVER), ("", FOREVER), ("0", 0), ("4294967294", FOREVER - 1)]
)
def test_lease_time(text: str, seconds: int) -> None:
    """Infinity is a number of its own."""
    lease = told(["bound"], {**UDHCPC, "lease": text}, False).lease
    assert lease is not None
    assert lease.seconds == seconds


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ip": ""}, "'' is no IPv4 address"),
        ({"ip": "192.0.2"}, "'192.0.2' is no IPv4 address"),
        ({"mask": "33"}, "'33' is no IPv4 address"),
        ({"mask": "", "subnet": "255.0.255.0"}, "'255.0.255.0' is no network mask"),
        ({"router": "$(reboot)"}, "'$(reboot)' is no IPv4 address"),
        ({"dns": "2001:db8::1"}, "'2001:db8::1' is no IPv4 address"),
        ({"staticroutes": "198.51.100.0/24"}, "the routes '198.51.100.0/24' are no pairs of a destination and a gateway"),
        ({"staticroutes": "", "opt121": "18xx33"}, "'18xx33' are no bytes"),
        ({"staticroutes": "", "opt121": "18c633"}, "the routes 18 c6 33 end in the middle of one"),
        ({"staticroutes": "", "opt121": "21c6336400c0000209"}, "the routes 21 c6 33 64 00 c0 00 02 09 end in the middle of one"),
        ({"lease": "-1"}, "'-1' is no number up to 4294967295"),
    ],
)
def test_what_is_no_lease(changes: dict[str, str], sentence: str) -> None:
    """A server says what it likes: the sentence is for the log, and nothing is done."""
    with pytest.raises(InvalidValue) as caught:
        told(["bound"], {**UDHCPC, **changes}, False)
    assert str(caught.value) == sentence


def test_domain_is_made_of_names() -> None:
    """Whatever a server sends."""
    lease = told(["bound"], {**UDHCPC, "domain": "example.org; `reboot`\n$x"}, False).lease
    assert lease is not None
    assert lease.domain == "example.org reboot x"


def test_same_but_for_the_time() -> None:
    """So is each renewal."""
    other = told(["renew"], {**UDHCPC, "lease": "90"}, False).lease
    assert other is not None
    assert other != LEASE
    assert other.same_as(LEASE)
    assert not LEASE.same_as(None)
    for changes in ({"ip": "192.0.2.165"}, {"mask": "25"}, {"staticroutes": ""}, {"dns": ""}, {"serverid": "192.0.2.2"}):
        changed = told(["renew"], {**UDHCPC, **changes}, False).lease
        assert changed is not None
        assert not changed.same_as(LEASE)


def test_saved_and_restored() -> None:
    """By way of a file."""
    assert restored(json.loads(json.dumps(saved(LEASE)))) == LEASE
    assert restored(json.loads(json.dumps(saved(None)))) is None
    assert restored({**saved(LEASE), "of_a_later_release": 1}) is None


NETWORKD = """\
# This is private data. Do not parse.
ADDRESS=192.0.2.133
NETMASK=255.255.255.0
ROUTER=192.0.2.1 192.0.2.2
SERVER_ADDRESS=192.0.2.1
NEXT_SERVER=192.0.2.1
BROADCAST=192.0.2.255
T1=1min
LIFETIME={}
DNS=192.0.2.53 192.0.2.54
DOMAINNAME=example.org
CLASSLESS_ROUTES=10.0.0.0/8,192.0.2.9 0.0.0.0/0,192.0.2.1
CLIENTID=0100163e111101
"""


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [
        ("120", 120),
        ("2min", 120),
        ("1h 1min 45s", 3705),
        ("1d", 86400),
        ("1month 2w", 3839400),
        ("infinity", FOREVER),
        ("4294967295", FOREVER),
    ],
)
def test_networkd_has_it_in_a_file(lifetime: str, seconds: int) -> None:
    """Numbers in earlier releases, words in later ones."""
    routes = (("10.0.0.0/8", "192.0.2.9"), ("0.0.0.0/0", "192.0.2.1"))
    dns, routers = ("192.0.2.53", "192.0.2.54"), ("192.0.2.1", "192.0.2.2")
    expected = Lease("192.0.2.133", 24, routers, routes, dns, "example.org", "192.0.2.1", seconds)
    assert told_by_networkd(NETWORKD.format(lifetime)) == expected


@pytest.mark.parametrize("text", ["", "ADDRESS=\n", "ADDRESS=192.0.2.300\nNETMASK=255.255.255.0\n"])
def test_what_is_no_lease_of_networkd(text: str) -> None:
    """It says so."""
    with pytest.raises(InvalidValue):
        told_by_networkd(text)
