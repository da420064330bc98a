# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans with addresses, routes and rules that fail at each request in turn: everything is restored."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_topology
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired
from ansible_collections.patchbay.netdev.tests.integration.host import Host, ip
from ansible_collections.patchbay.netdev.tests.integration.test_undo import entry, fail_everywhere, mac

QUIET = {"address_generation_mode": "none"}
HALFWAY = pytest.mark.parametrize("halfway", [False, True], ids=["between requests", "in the middle of a request"])


def addressed(host: Host) -> None:
    """Create links with addresses, routes and rules of this collection and of others, in all tables, with ip."""
    for number in range(4):
        host.ip("link", "add", f"v{number}", "type", "veth", "peer", "name", f"w{number}")
        for end, address in ((f"v{number}", mac(number)), (f"w{number}", mac(0x10 + number))):
            host.ip("link", "set", end, "address", address, "addrgenmode", "none", "up")
        for address in (f"10.0.{number}.2/24", f"10.0.{number}.3/24", f"2001:db8:{number}::2/64", f"2001:db8:{number}::3/64"):
            host.ip("address", "add", address, "dev", f"v{number}", *(["nodad"] if ":" in address else []))
        host.ip("address", "add", f"10.1.{number}.2/24", "dev", f"v{number}", "valid_lft", "3000", "preferred_lft", "2000")
        gateway, gateway_6 = f"10.0.{number}.1", f"2001:db8:{number}::1"
        host.ip("route", "add", f"10.2.{number}.0/24", "via", gateway)
        host.ip("route", "add", f"10.3.{number}.0/24", "via", gateway, "table", "77", "mtu", "1400", "rto_min", "50ms")
        host.ip("route", "add", f"10.4.{number}.0/24", "dev", f"v{number}", "src", f"10.0.{number}.3", "protocol", "zebra")
        host.ip("route", "add", f"10.5.{number}.0/24", "via", f"10.1.{number}.1", "protocol", "dhcp", "metric", "100")
        host.ip("-6", "route", "add", f"2001:db8:2{number}::/48", "via", gateway_6)
        host.ip("-6", "route", "add", f"2001:db8:3{number}::/48", "via", gateway_6, "table", "77", "protocol", "bird")
        for family in ("-4", "-6"):
            host.ip(family, "rule", "add", "pref", str(1000 + number), "iif", f"v{number}", "lookup", "77", "protocol", "static")
    host.ip("rule", "add", "pref", "900", "fwmark", "1", "lookup", "78", "protocol", "zebra")
    for protocol in ("boot", "static"):
        host.ip("rule", "add", "pref", "1010", "fwmark", "2", "lookup", "78", "protocol", protocol)
    for selectors in ("from 10.0.0.7 fwmark 3", "from 10.0.0.7", "from 10.0.0.8"):
        host.ip("rule", "add", "pref", "1030", *selectors.split(), "lookup", "78")


def route(destination: str, **options: Any) -> dict[str, Any]:
    """Return an entry of routes."""
    return {"destination": destination, "table": "main", **options}


def traffic(host: Host) -> tuple[Desired, ...]:
    """Return a topology that creates, changes, replaces and deletes addresses, routes and rules."""
    addressed(host)
    family_6 = {"family": "ipv6"}
    absent = {"state": "absent"}
    return desired_topology(
        {
            "link": [
                entry("v0", addresses=["10.0.0.3/24", "10.0.0.4/24", "2001:db8::3/64", "2001:db8::4/64"]),
                entry("v1", addresses=["10.0.1.2/24", "10.0.1.3/25", "2001:db8:1::2/64", "2001:db8:1::3/80"]),
                entry("w2", addresses=["10.6.2.1/24", {"ip": "2001:db8:6::1/64", "nodad": True}], mtu=1400),
            ],
            "macvlan": [
                entry("mv0", lower_device="eth0", address=mac(0x20), admin_state="up", addresses=["10.7.0.1/24"], **QUIET)
            ],
            "routes": [
                route("10.8.0.0/16", gateway="10.7.0.9", source="10.7.0.1"),
                route("default", table=125, gateway="10.0.2.1"),
                route("default", table=125, type="unreachable", metric=4278198272),
                route("10.2.0.0/24", gateway="10.0.2.9"),
                route("10.2.1.0/24", type="unreachable"),
                route("10.2.2.0/24", **absent),
                route("10.3.2.0/24", table=77, gateway="10.0.2.9"),
                route("10.3.3.0/24", table=77, **absent),
                route("2001:db8:20::/48", gateway="2001:db8:2::9", mtu=1300),
                route("2001:db8:21::/48", type="blackhole"),
                route("2001:db8:22::/48", **absent),
                route("2001:db8:40::/48", link="v3"),
            ],
            "rules": [
                {"priority": 1000, "iif": "v0", "table": 125},
                {"priority": 1001, "iif": "v1", "table": 125, **family_6},
                {"priority": 1002, **absent},
                {"priority": 1002, **family_6, **absent},
                {"priority": 1010, "fwmark": 2, **absent},
                {"priority": 1030, "from": "10.0.0.7", "table": 78, **absent},
                {"priority": 1020, "action": "prohibit"},
            ],
        }
    )


@HALFWAY
def test_traffic(host: Host, halfway: bool) -> None:
    """Wherever the plan fails, addresses, routes and rules are restored, also those of others."""
    told = fail_everywhere(host, traffic(host), halfway)
    assert len(told) >= 24
    for words in (
        "set v0: addresses",
        "restore on ",
        "create mv0",
        "set route to 10.2.1.0/24",
        "delete IPv6 rule 1002",
        "create route",
    ):
        assert any(sentence.startswith(words) for sentence in told) or words == "restore on ", (words, told)


def cascades(host: Host) -> tuple[Desired, ...]:
    """Return a topology whose links are set down, deleted, recreated or lose IPv6, and whose namespace is deleted."""
    addressed(host)
    host.apply("netns", name="going")
    ip("link", "add", "in0", "type", "veth", "peer", "name", "out0", "netns", host.netns, netns="going")
    for name, netns, number in (("in0", "going", 0x30), ("out0", host.netns, 0x31)):
        ip("link", "set", name, "address", mac(number), "addrgenmode", "none", "up", netns=netns)
    ip("address", "add", "10.9.0.1/24", "dev", "in0", netns="going")
    host.ip("address", "add", "10.9.0.2/24", "dev", "out0")
    host.ip("route", "add", "10.10.0.0/24", "via", "10.9.0.1")
    host.apply(
        "macvlan", name="mv0", lower_device="eth0", mode="bridge", address=mac(0x20), admin_state="up",
        addresses=["10.7.0.1/24", "10.7.0.2/24", {"ip": "2001:db8:7::1/64", "nodad": True}], **QUIET,
    )  # fmt: skip
    host.ip("route", "add", "10.11.0.0/24", "via", "10.7.0.9", "src", "10.7.0.2", "table", "77")
    host.ip("-6", "route", "add", "2001:db8:11::/48", "via", "2001:db8:7::9", "protocol", "zebra")
    return desired_topology(
        {
            "link": [
                entry("v0", admin_state="down"),
                entry("v1", admin_state="down", addresses=["10.0.1.3/24"]),
                entry("v2", sysctls={"ipv6.disable_ipv6": 1}),
            ],
            "veth": [entry("out0", state="absent"), entry("v3", state="absent")],
            "macvlan": [entry("mv0", lower_device="eth1", addresses=["10.7.0.2/24", "10.7.0.3/24"])],
            "routes": [
                route("10.12.0.0/24", gateway="10.7.0.8"),
                route("10.2.2.0/24", gateway="10.7.0.8"),
            ],
            "rules": [{"priority": 1003, "table": 125}],
        }
    )


@HALFWAY
def test_cascades(host: Host, halfway: bool) -> None:
    """Objects that the kernel deletes together with others are restored."""
    try:
        told = fail_everywhere(host, cascades(host), halfway)
    finally:
        ip("netns", "del", "going")
    for words in (
        "set v0: admin_state up -> down",
        "delete mv0 (to be created again",
        "delete v3",
        "delete out0",
        "restore on mv0",
    ):
        assert any(sentence.startswith(words) for sentence in told), (words, told)
