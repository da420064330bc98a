# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases as DHCP clients report them, recorded from real clients."""

from __future__ import annotations

import json

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import FOREVER, Lease
from ansible_collections.patchbay.netdev.plugins.module_utils._values._lease import (
    LeaseEvent,
    is_lease_event,
    lease_from_json,
    lease_to_json,
    parse_event,
    parse_networkd_lease,
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
def test_clients_report_the_same_lease(arguments: tuple[str, ...], given: dict[str, str]) -> None:
    """One answer of a server gives one lease, whichever client reports it."""
    assert parse_event(arguments, given, False) == LeaseEvent("gained", LEASE)


@pytest.mark.parametrize("event", ["bound", "renew"])
def test_udhcpc_events_that_grant_a_lease(event: str) -> None:
    """The first lease and each renewal."""
    assert parse_event([event], UDHCPC, False).lease == LEASE


@pytest.mark.parametrize("reason", ["BOUND", "RENEW", "REBIND", "REBOOT"])
def test_dhclient_reasons_that_grant_a_lease(reason: str) -> None:
    """The first lease, each renewal, and a lease that the client remembered."""
    assert parse_event([], {**DHCLIENT, "reason": reason}, False).lease == LEASE


@pytest.mark.parametrize("reason", ["EXPIRE", "RELEASE", "NAK"])
def test_dhcpcd_reasons_that_end_a_lease(reason: str) -> None:
    """Whatever else the environment contains."""
    assert parse_event([], {**DHCPCD, "reason": reason}, False) == LeaseEvent("lost")


def test_nak_ends_a_lease() -> None:
    """The server refuses to renew it."""
    assert parse_event(["nak"], {"interface": "ve1"}, False) == LeaseEvent("lost")


def test_starting_client_keeps_a_valid_lease() -> None:
    """udhcpc reports deconfig when it starts and when a lease expires: only the time distinguishes them."""
    assert parse_event(["deconfig"], {"interface": "ve1"}, expired=False) == LeaseEvent("nothing")
    assert parse_event(["deconfig"], {"interface": "ve1"}, expired=True) == LeaseEvent("lost")
    assert parse_event(["leasefail"], {"interface": "ve1"}, expired=False) == LeaseEvent("nothing")
    assert parse_event(["leasefail"], {"interface": "ve1"}, expired=True) == LeaseEvent("lost")


@pytest.mark.parametrize("event", ["PREINIT", "CARRIER", "TIMEOUT", ""])
def test_other_events_change_nothing(event: str) -> None:
    """The lease is unchanged."""
    assert parse_event([], {"reason": event}, True) == LeaseEvent("nothing")
    assert parse_event(["unheard-of"], {}, True) == LeaseEvent("nothing")


def test_events_that_cannot_change_the_lease() -> None:
    """A client starts, ends, or detects a carrier."""
    for reason in ("PREINIT", "CARRIER", "NOCARRIER", "STOP", "STOPPED", "TIMEOUT"):
        assert not is_lease_event([], {**DHCPCD, "reason": reason})
        assert parse_event([], {**DHCPCD, "reason": reason}, True) == LeaseEvent("nothing")
    for reason in ("BOUND", "RENEW", "EXPIRE", "NAK", "FAIL"):
        assert is_lease_event([], {**DHCPCD, "reason": reason})
    assert is_lease_event(["deconfig"], {})
    assert not is_lease_event(["unheard-of"], {})


def test_routers_without_classless_routes() -> None:
    """RFC 3442: only then they are used, and of several only the first."""
    plain = {name: value for name, value in UDHCPC.items() if name != "staticroutes"}
    lease = parse_event(["bound"], {**plain, "router": "192.0.2.1 192.0.2.254"}, False).lease
    assert lease is not None
    assert (lease.routers, lease.routes) == (("192.0.2.1", "192.0.2.254"), ())
    assert lease.effective_routes == (("0.0.0.0/0", "192.0.2.1"),)
    assert LEASE.effective_routes == ROUTES


def test_udhcpc_without_support_for_classless_routes() -> None:
    """It passes the octets of the option."""
    plain = {name: value for name, value in UDHCPC.items() if name != "staticroutes"}
    octets = "18c63364c0000209" + "00c0000201" + "19cb00710000000000"
    for name in ("opt121", "opt249"):
        assert parse_event(["bound"], {**plain, name: octets}, False).lease == LEASE
    lease = parse_event(["bound"], {**UDHCPC, "opt249": "00c0000209"}, False).lease
    assert lease == LEASE  # what is not of the standard does not count beside what is


def test_dhclient_with_the_name_of_dhcpcd() -> None:
    """Its configuration may give option 121 the name that dhcpcd uses."""
    renamed = {**DHCLIENT, "new_classless_static_routes": DHCLIENT["new_rfc3442_classless_static_routes"]}
    del renamed["new_rfc3442_classless_static_routes"]
    assert parse_event([], renamed, False).lease == LEASE


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
def test_octets_of_a_classless_route(length: int, octets: str, destination: str) -> None:
    """As in the examples of RFC 3442."""
    given = {**DHCLIENT, "new_rfc3442_classless_static_routes": f"{length} {octets} 192 0 2 9"}
    lease = parse_event([], given, False).lease
    assert lease is not None
    assert lease.routes == ((destination, "192.0.2.9"),)


def test_host_bits_of_a_route_are_cleared() -> None:
    """Servers send them, and the kernel would reject them."""
    lease = parse_event(["bound"], {**UDHCPC, "staticroutes": "198.51.100.77/24 192.0.2.9"}, False).lease
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
    lease = parse_event(["bound"], {**UDHCPC, **changes}, False).lease
    assert lease is not None
    assert lease.prefix_length == length


@pytest.mark.parametrize(
    ("text", "seconds"), [("120", 120), ("4294967295", FOREVER), ("", FOREVER), ("0", 0), ("4294967294", FOREVER - 1)]
)
def test_lease_time(text: str, seconds: int) -> None:
    """Infinity is a number of its own."""
    lease = parse_event(["bound"], {**UDHCPC, "lease": text}, False).lease
    assert lease is not None
    assert lease.seconds == seconds


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ip": ""}, "'' is not an IPv4 address"),
        ({"ip": "192.0.2"}, "'192.0.2' is not an IPv4 address"),
        ({"mask": "33"}, "'33' is not an IPv4 address"),
        ({"mask": "", "subnet": "255.0.255.0"}, "'255.0.255.0' is not a network mask"),
        ({"router": "$(reboot)"}, "'$(reboot)' is not an IPv4 address"),
        ({"dns": "2001:db8::1"}, "'2001:db8::1' is not an IPv4 address"),
        ({"staticroutes": "198.51.100.0/24"}, "the routes '198.51.100.0/24' are not pairs of a destination and a gateway"),
        ({"staticroutes": "", "opt121": "18xx33"}, "'18xx33' is not a sequence of octets"),
        ({"staticroutes": "", "opt121": "18c633"}, "the routes 18 c6 33 are truncated, or have an invalid prefix length"),
        (
            {"staticroutes": "", "opt121": "21c6336400c0000209"},
            "the routes 21 c6 33 64 00 c0 00 02 09 are truncated, or have an invalid prefix length",
        ),
        ({"lease": "-1"}, "'-1' is not a number up to 4294967295"),
    ],
)
def test_malformed_lease(changes: dict[str, str], sentence: str) -> None:
    """A server may send anything: the error is logged, and nothing is changed."""
    with pytest.raises(InvalidValue) as caught:
        parse_event(["bound"], {**UDHCPC, **changes}, False)
    assert str(caught.value) == sentence


def test_domain_has_only_characters_of_names() -> None:
    """Whatever a server sends."""
    lease = parse_event(["bound"], {**UDHCPC, "domain": "example.org; `reboot`\n$x"}, False).lease
    assert lease is not None
    assert lease.domain == "example.org reboot x"


def test_lease_that_differs_in_time_only() -> None:
    """Each renewal does."""
    other = parse_event(["renew"], {**UDHCPC, "lease": "90"}, False).lease
    assert other is not None
    assert other != LEASE
    assert other.same_as(LEASE)
    assert not LEASE.same_as(None)
    for changes in ({"ip": "192.0.2.165"}, {"mask": "25"}, {"staticroutes": ""}, {"dns": ""}, {"serverid": "192.0.2.2"}):
        changed = parse_event(["renew"], {**UDHCPC, **changes}, False).lease
        assert changed is not None
        assert not changed.same_as(LEASE)


def test_json_form() -> None:
    """A lease survives a file; one with fields of a later release is ignored."""
    assert lease_from_json(json.loads(json.dumps(lease_to_json(LEASE)))) == LEASE
    assert lease_from_json(json.loads(json.dumps(lease_to_json(None)))) is None
    assert lease_from_json({**lease_to_json(LEASE), "of_a_later_release": 1}) is None


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
def test_lease_file_of_networkd(lifetime: str, seconds: int) -> None:
    """Earlier releases write the lifetime as a number, later ones in words."""
    routes = (("10.0.0.0/8", "192.0.2.9"), ("0.0.0.0/0", "192.0.2.1"))
    dns, routers = ("192.0.2.53", "192.0.2.54"), ("192.0.2.1", "192.0.2.2")
    expected = Lease("192.0.2.133", 24, routers, routes, dns, "example.org", "192.0.2.1", seconds)
    assert parse_networkd_lease(NETWORKD.format(lifetime)) == expected


@pytest.mark.parametrize("text", ["", "ADDRESS=\n", "ADDRESS=192.0.2.300\nNETMASK=255.255.255.0\n"])
def test_malformed_lease_of_networkd(text: str) -> None:
    """The error names the value."""
    with pytest.raises(InvalidValue):
        parse_networkd_lease(text)
