# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes on the real kernel: each attribute, replacement without a gap, routes of other owners, and errors."""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_topology
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._converge import converge
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _gateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, enter, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import Case, climb, refuse, stay, warnings
from ansible_collections.patchbay.netdev.tests.integration.table_names import named_tables
from ansible_collections.patchbay.netdev.tests.integration.test_undo import in_host

Rung = tuple[dict[str, Any], dict[str, Any]]  # options besides the key, and what ip must show
TO = {4: "198.51.100.0/24", 6: "2001:db8:7::/48"}
NEAR = {4: "192.0.2.{}", 6: "2001:db8::{}"}  # the network of eth0, which has the address 2
FAR = {4: "203.0.113.{}", 6: "2001:db8:1::{}"}  # the network of eth1
NOWHERE = {4: "10.9.9.9", 6: "2001:db8:9::9"}
LENGTH = {4: 24, 6: 64}
FAMILIES = pytest.mark.parametrize("family", [4, 6])


def with_addresses(host: Host, netns: str | None = None) -> None:
    """Give eth0 and eth1 an address of both families each, and wait for the routes that the kernel creates for them."""
    netns = netns or host.netns
    for family in (4, 6):
        for link, network in (("eth0", NEAR), ("eth1", FAR)):
            ip("address", "add", f"{network[family].format(2)}/{LENGTH[family]}", "dev", link, netns=netns)
    end = time.monotonic() + 10
    while not all(f"local {network[6].format(2)} " in _local_routes(netns) for network in (NEAR, FAR)):
        assert time.monotonic() < end, _local_routes(netns)
        time.sleep(0.005)


def _local_routes(netns: str) -> str:
    return ip("-6", "route", "show", "table", "local", netns=netns)


@pytest.fixture(autouse=True)
def addressed(host: Host) -> None:
    """See with_addresses."""
    with_addresses(host)


def routes(host: Host, family: int, destination: str, table: Any = "main", netns: str | None = None) -> list[dict[str, Any]]:
    """Return the routes to exactly this network, as `ip -d -j route` shows them, in order."""
    # For one table alone, ip hides IPv6 routes of the types that the kernel itself uses for addresses.
    command = ["ip", "-n", netns or host.netns, "-d", "-j", f"-{family}", "route", "show", "table", "all", "exact", destination]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout or "[]")
    return [route for route in found if route.pop("table", "main") == str(table)]


def _alone(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a route without the parts that all routes have and without those that only the kernel sets."""
    ordinary = {"table": "main", "protocol": "static", "scope": "global", "flags": [], "pref": "medium", "metric": 1024}
    return {
        name: value
        for name, value in shown.items()
        if name != "dst" and ordinary.get(name) != value and not (name == "dev" and value == "lo")
    }


def _via(link: str, gateway: str, **more: Any) -> dict[str, Any]:
    return {"type": "unicast", "gateway": gateway, "dev": link, **more}


def ladder(family: int) -> list[Rung]:
    """Return the steps of the ladder. Each step changes one route into the next one. Omitted attributes stay."""
    near, far = ([network[family].format(number) for number in range(5)] for network in (NEAR, FAR))
    mtu: dict[str, Any] = {"metrics": [{"mtu": 1300}]}
    both = {**mtu, "prefsrc": near[2]}
    direct = {"type": "unicast", **({"scope": "link"} if family == 4 else {}), **both}
    onlink = _via("eth1", NOWHERE[family], flags=["onlink"], **both)
    found: list[Rung] = [
        ({"gateway": near[1]}, _via("eth0", near[1])),
        ({"gateway": near[3]}, _via("eth0", near[3])),
        ({"gateway": far[3]}, _via("eth1", far[3])),
        ({"gateway": near[1], "link": "eth0"}, _via("eth0", near[1])),
        ({"mtu": 1400}, _via("eth0", near[1], metrics=[{"mtu": 1400}])),
        ({"mtu": 1300}, _via("eth0", near[1], **mtu)),
        ({"source": far[2]}, _via("eth0", near[1], **mtu, prefsrc=far[2])),
        ({"source": near[2]}, _via("eth0", near[1], **both)),
        ({"gateway": near[4], "mtu": 1300}, _via("eth0", near[4], **both)),
        ({"gateway": NOWHERE[family], "link": "eth1", "onlink": True}, onlink),
        ({"link": "eth1"}, {**direct, "dev": "eth1"}),
        ({"link": "eth0"}, {**direct, "dev": "eth0"}),
        ({"gateway": "fe80::7", "link": "eth0"}, _via("eth0", "fe80::7", **both)),
        ({"type": "unreachable"}, {"type": "unreachable", **both}),
        ({"type": "blackhole"}, {"type": "blackhole", **both}),
        ({"type": "prohibit"}, {"type": "prohibit", **both}),
        ({"type": "throw"}, {"type": "throw", **both}),
        ({"type": "unicast", "link": "eth0"}, {**direct, "dev": "eth0"}),
    ]
    types: list[Rung] = [
        ({"type": name, "link": "eth0"}, {"type": name, "dev": "eth0", **({"scope": scope} if family == 4 else {}), **both})
        for name, scope in (("local", "host"), ("broadcast", "link"), ("anycast", "link"), ("multicast", "link"))
    ]
    if family == 6:
        return found + types
    only_4: list[Rung] = [
        ({"scope": "site"}, {**direct, "dev": "eth0", "scope": "site"}),
        ({"scope": "global"}, {"type": "unicast", "dev": "eth0", **both}),
    ]
    return [rung for rung in found if rung[0].get("gateway") != "fe80::7"] + only_4 + types


@FAMILIES
@pytest.mark.parametrize("netns", [None, "guest"])
def test_ladder(host: Host, family: int, netns: str | None) -> None:
    """Each route replaces the one before it, then the route is deleted twice. Everything else is unchanged."""
    place = {"destination": TO[family]}
    if netns:
        for link in ("eth0", "eth1"):
            ip("link", "add", link, "type", "veth", "peer", "name", f"{link}-peer", netns=netns)
            for end in (link, f"{link}-peer"):
                ip(
                    "link",
                    "set",
                    end,
                    "address",
                    f"02:00:00:00:0{link[-1]}:0{int(end == link)}",
                    "addrgenmode",
                    "none",
                    "up",
                    netns=netns,
                )
        with_addresses(host, netns)
        place["netns"] = netns
    before = dump([host.netns, "guest"])
    for params, seen in ladder(family):
        climb(host, "route", **place, **params)
        (found,) = routes(host, family, TO[family], netns=netns)
        assert _alone(found) == seen, params
    climb(host, "route", **place, state="absent")
    stay(host, "route", **place, state="absent")
    assert_equal(dump([host.netns, "guest"]), before)


@FAMILIES
@pytest.mark.parametrize("table", [7, 1000, 4294967295, "default", "old-mail", "main"])
def test_tables(host: Host, tmp_path: Path, family: int, table: Any) -> None:
    """Tables are given by number and by name. The same destination in the main table is another route."""
    destination = TO[family]
    host.ip("route", "add", destination, "dev", "eth1", "metric", "77")
    with named_tables(tmp_path, {"old-mail": 4711}):
        numbers = {"default": 253, "old-mail": 4711, "main": 254}
        done = climb(host, "route", destination=destination, table=table, link="eth0")
        assert done["route"]["table"] == numbers.get(table, table)
        assert "eth0" in [route["dev"] for route in routes(host, family, destination, table)]
        climb(host, "route", destination=destination, table=table, gateway=NEAR[family].format(1))
        climb(host, "route", destination=destination, table=table, state="absent")
    assert [route["dev"] for route in routes(host, family, destination)] == ["eth1"]


@FAMILIES
@pytest.mark.parametrize("metric", [None, 0, 1, 4294967295])
def test_metrics(host: Host, family: int, metric: int | None) -> None:
    """Another metric is another route. If omitted, the kernel's default applies."""
    place = {"destination": TO[family], **({} if metric is None else {"metric": metric})}
    host.apply("route", destination=TO[family], link="eth1", metric=77)
    climb(host, "route", **place, link="eth0")
    found = {route["dev"]: route.get("metric", 0) % (1 << 32) for route in routes(host, family, TO[family])}
    assert found == {"eth1": 77, "eth0": metric or {4: 0, 6: 1024}[family]}
    climb(host, "route", **place, state="absent")
    assert [route["dev"] for route in routes(host, family, TO[family])] == ["eth1"]


@FAMILIES
@pytest.mark.parametrize("length", [0, 1, -1])
def test_destinations(host: Host, family: int, length: int) -> None:
    """Default, half of all addresses, and a single address."""
    zero, one, bits = {4: ("0.0.0.0", "198.51.100.7", 32), 6: ("::", "2001:db8:7::7", 128)}[family]
    written = {0: "default", 1: f"{zero}/1", -1: one}[length]
    normal = {0: f"{zero}/0", 1: f"{zero}/1", -1: f"{one}/{bits}"}[length]
    params = {"destination": written, "family": f"ipv{family}"}
    done = climb(host, "route", **params, gateway=NEAR[family].format(1))
    assert done["route"]["destination"] == normal
    stay(host, "route", **{**params, "destination": normal}, gateway=NEAR[family].format(1))
    (found,) = routes(host, family, normal)
    assert found["gateway"] == NEAR[family].format(1)
    climb(host, "route", **params, state="absent", allow_lockout=True)
    assert routes(host, family, normal) == []


def test_by_a_route_of_its_own(host: Host) -> None:
    """A gateway outside of all networks of the link is accepted if a device route leads to it."""
    for family in (4, 6):
        climb(host, "route", destination=NOWHERE[family], link="eth1")
        done = climb(host, "route", destination=TO[family], gateway=NOWHERE[family])
        assert done["route"]["link"] == "eth1"


def test_source_that_is_still_tentative(host: Host) -> None:
    """The task waits for duplicate address detection, because the kernel refuses a tentative source."""
    host.ip("link", "set", "eth0", "down")
    ip("netns", "exec", host.netns, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_dad")
    host.ip("link", "set", "eth0", "up")
    host.ip("address", "add", "2001:db8::5/64", "dev", "eth0")
    done = host.apply("route", destination=TO[6], link="eth0", source="2001:db8::5")
    assert done["operations"] == [
        "wait for duplicate address detection on eth0: 2001:db8::5",
        "create route to 2001:db8:7::/48: type unicast, link eth0, source 2001:db8::5",
    ]
    (found,) = routes(host, 6, TO[6])
    assert found["prefsrc"] == "2001:db8::5"
    stay(host, "route", destination=TO[6], link="eth0", source="2001:db8::5")


# Replacement without a gap


def _monitored(host: Host, work: Callable[[], object]) -> list[str]:
    """Return the output of `ip monitor route` during an action."""
    command = ["ip", "-n", host.netns, "-o", "monitor", "route"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None
        while not select.select([monitor.stdout], [], [], 0.02)[0]:
            host.ip("route", "replace", "100.64.0.1/32", "dev", "eth0", "mtu", str(time.monotonic_ns() % 1000 + 600))
        work()
        host.ip("route", "add", "100.64.0.2/32", "dev", "eth0")
        lines = []
        while "100.64.0.2" not in (line := monitor.stdout.readline()):
            lines.append(line)
        monitor.kill()
    return [line for line in lines if "100.64.0.1" not in line]


def _lookups(host: Host, address: str, stop: int) -> tuple[int, int]:
    """Count the route lookups until the pipe is readable, and those that failed."""
    enter(host.netns)
    asked = failed = 0
    while not select.select([stop], [], [], 0)[0]:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asked += 1
            code = asking.connect_ex((address, 9))
            assert code in (0, errno.ENETUNREACH), os.strerror(code)
            failed += code != 0
    return asked, failed


def _under_a_flood_of_lookups(host: Host, address: str, work: Callable[[], object]) -> tuple[int, int]:
    """Return the counts of lookups in another process during an action."""
    (stop, stopper), (reader, writer) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = _lookups(host, address, stop)
        except BaseException:
            answer = (0, 0)
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    try:
        work()
    finally:
        os.write(stopper, b"stop")
        asked, failed = json.loads(os.read(reader, 100))
        os.waitpid(child, 0)
        for descriptor in (stop, stopper, reader, writer):
            os.close(descriptor)
    return asked, failed


@FAMILIES
def test_replaced_without_a_gap(host: Host, family: int) -> None:
    """While a route changes next hop, link and metrics, no lookup fails, and the kernel reports no deletion."""
    place, near, far = {"destination": TO[family]}, NEAR[family], FAR[family]
    host.apply("route", **place, gateway=near.format(1))

    def work() -> None:
        for _again in range(4):
            for params in (
                {"gateway": near.format(3)},
                {"gateway": far.format(3), "mtu": 1400},
                {"link": "eth0"},
                {"gateway": NOWHERE[family], "link": "eth1", "onlink": True},
                {"gateway": near.format(1), "mtu": 1300},
            ):
                assert host.apply("route", **place, **params)["changed"]

    address = {4: "198.51.100.9", 6: "2001:db8:7::9"}[family]
    lines: list[str] = []
    asked, failed = _under_a_flood_of_lookups(host, address, lambda: lines.extend(_monitored(host, work)))
    assert failed == 0
    assert asked > 1000
    ours = [line for line in lines if TO[family].partition("/")[0] in line]
    assert len(ours) >= 20
    assert not [line for line in ours if line.startswith("Deleted")]


# Routes of other owners

MADE_BY = {
    "kernel": "the kernel",
    "ra": "a router advertisement",
    "dhcp": "a DHCP client",
    "redirect": "an ICMP redirect",
    "zebra": "another program, protocol 11",
    "bird": "another program, protocol 12",
}


@FAMILIES
@pytest.mark.parametrize("protocol", MADE_BY)
@pytest.mark.parametrize("action", ["changed", "deleted"])
def test_of_others(host: Host, family: int, protocol: str, action: str) -> None:
    """Routes of other owners are neither changed nor deleted. If one is as declared, it is accepted."""
    gateway = NEAR[family].format(1)
    host.ip("route", "add", TO[family], "via", gateway, "dev", "eth0", "protocol", protocol)
    told = f"route to {TO[family]}: a route with this key already exists (owner: {MADE_BY[protocol]}) and is not {action}. "
    wanted = {"state": "absent"} if action == "deleted" else {"gateway": NEAR[family].format(3)}
    refuse(host, "route", Case({"destination": TO[family], **wanted}, f"{told}Choose another metric or table"))
    stay(host, "route", destination=TO[family], gateway=gateway)
    climb(host, "route", destination=TO[family], gateway=NEAR[family].format(3), metric=5)
    climb(host, "route", destination=TO[family], state="absent", metric=5)
    assert len(routes(host, family, TO[family])) == 1


@FAMILIES
@pytest.mark.parametrize("protocol", ["boot", "static", "0"])
def test_manageable(host: Host, family: int, protocol: str) -> None:
    """Routes of `ip route add` and those without an owner are changed and deleted."""
    host.ip("route", "add", TO[family], "dev", "eth0", "protocol", protocol)
    climb(host, "route", destination=TO[family], gateway=NEAR[family].format(3))
    host.ip("route", "replace", TO[family], "dev", "eth0", "protocol", protocol)
    climb(host, "route", destination=TO[family], state="absent")


def _not_plain(family: int, how: str) -> list[str]:
    near = NEAR[family]
    if how == "several next hops":
        hops = [word for number in (1, 3) for word in ("nexthop", "via", near.format(number), "dev", "eth0")]
        return [f"route add {TO[family]} {' '.join(hops)}"]
    if how == "nexthop object":
        return [f"nexthop add id 5 via {near.format(1)} dev eth0", f"route add {TO[family]} nhid 5"]
    return [
        f"nexthop add id 5 via {near.format(1)} dev eth0",
        f"nexthop add id 6 via {near.format(3)} dev eth0",
        "nexthop add id 7 group 5/6",
        f"route add {TO[family]} nhid 7",
    ]


@FAMILIES
@pytest.mark.parametrize("how", ["several next hops", "nexthop object", "group of nexthop objects"])
@pytest.mark.parametrize("action", ["changed", "deleted"])
def test_unsupported_attributes(host: Host, family: int, how: str, action: str) -> None:
    """A route with attributes that no option has is not changed."""
    wanted = {"state": "absent"} if action == "deleted" else {"gateway": NEAR[family].format(4)}
    told = (
        f"route to {TO[family]}: the route has several next hops, "
        f"or attributes that this module does not support, and is not {action}. "
        "Delete it with the program that created it, or choose another metric or table"
    )
    refuse(host, "route", Case({"destination": TO[family], **wanted}, told, ip=tuple(_not_plain(family, how))))


def test_gateway_of_the_other_family(host: Host) -> None:
    """Such a route is changed and deleted like any other, although no option sets such a gateway."""
    host.ip("route", "add", TO[4], "via", "inet6", "2001:db8::", "dev", "eth0")
    climb(host, "route", destination=TO[4], mtu=1400)
    assert routes(host, 4, TO[4])[0]["via"] == {"family": "inet6", "host": "2001:db8::"}
    climb(host, "route", destination=TO[4], gateway="192.0.2.4")
    host.ip("route", "replace", TO[4], "via", "inet6", "fe80::1", "dev", "eth0")
    climb(host, "route", destination=TO[4], state="absent")


def test_own_address_as_gateway(host: Host) -> None:
    """The kernel takes it for IPv4, and reaches the destination directly: a warning says so."""
    done = climb(host, "route", destination=TO[4], gateway="192.0.2.2", link="eth0")
    assert warnings(done) == [
        "route to 198.51.100.0/24: gateway 192.0.2.2 is an address of this host (eth0), so that the destination is reached "
        "directly on that link. Set the address of the router if there is one"
    ]
    assert [route["gateway"] for route in routes(host, 4, TO[4])] == ["192.0.2.2"]


def test_transparent_proxy(host: Host) -> None:
    """A local route to all addresses has the host accept packets to any of them, once a rule sends these to its table."""
    rules = [{"priority": 1, "family": "ipv6", "fwmark": 1, "table": "100"}]
    wanted = {"rules": rules, "routes": [{"destination": "::/0", "type": "local", "link": "lo", "table": "100"}]}
    host.apply("topology", **wanted)
    stay(host, "topology", **wanted)
    (route,) = json.loads(host.ip("-6", "-d", "-j", "route", "show", "table", "100"))
    assert (route["type"], route["dst"], route["dev"]) == ("local", "default", "lo")


def test_several_at_one_key(host: Host) -> None:
    """IPv4 allows two routes with one key: the first one applies, and one is kept."""
    for gateway in ("192.0.2.3", "192.0.2.1"):
        host.ip("route", "prepend", TO[4], "via", gateway, "dev", "eth0")
    done = climb(host, "route", destination=TO[4], gateway="192.0.2.4")
    assert done["operations"] == [
        "set route to 198.51.100.0/24: gateway 192.0.2.1 -> 192.0.2.4",
        "delete route to 198.51.100.0/24 via 192.0.2.3",
    ]
    assert [route["gateway"] for route in routes(host, 4, TO[4])] == ["192.0.2.4"]
    host.ip("route", "append", TO[4], "via", "192.0.2.3", "dev", "eth0")
    climb(host, "route", destination=TO[4], gateway="192.0.2.4")
    host.ip("route", "append", TO[4], "via", "192.0.2.3", "dev", "eth0")
    climb(host, "route", destination=TO[4], gateway="192.0.2.3")
    assert [route["gateway"] for route in routes(host, 4, TO[4])] == ["192.0.2.3"]
    host.ip("route", "append", TO[4], "via", "192.0.2.1", "dev", "eth0")
    climb(host, "route", destination=TO[4], state="absent")


def test_one_of_ours_and_one_of_others_at_one_key(host: Host) -> None:
    """The own route applies, and is changed only if no route of others would be deleted with it."""
    host.ip("route", "add", TO[4], "via", "192.0.2.1", "dev", "eth0")
    host.ip("route", "append", TO[4], "via", "192.0.2.3", "dev", "eth0", "protocol", "zebra")
    stay(host, "route", destination=TO[4], gateway="192.0.2.1")
    told = (
        "route to 198.51.100.0/24: a route with this key already exists (owner: another program, protocol 11) and is not {}. "
        "Choose another metric or table"
    )
    refuse(host, "route", Case({"destination": TO[4], "gateway": "192.0.2.4"}, told.format("changed")))
    refuse(host, "route", Case({"destination": TO[4], "state": "absent"}, told.format("deleted")))


# Deletion


Deletion = tuple[int, dict[str, Any], dict[str, Any]]  # type, header and attributes of a message


class Listening(Kernel):
    """The real kernel, which records each deletion that is sent to it."""

    def __init__(self) -> None:
        super().__init__()
        self.deletions: list[Deletion] = []

    def send(self, netns: str, message: Any, kind: int, flags: int, header: Any, attrs: Any) -> None:
        """Record the message if it is a deletion."""
        if kind in (21, 25, 33):  # RTM_DELADDR, RTM_DELROUTE, RTM_DELRULE
            self.deletions.append((kind, dict(header), {item[0]: item[1] for item in attrs}))
        super().send(netns, message, kind, flags, header, attrs)


def test_no_deletion_without_a_selector(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel treats an empty selector as any, and would delete the first address, the default route or the local rule."""
    host.ip("route", "add", "default", "via", "192.0.2.1", "metric", "9")
    host.ip("route", "add", "default", "via", "192.0.2.1", "table", "100")
    host.ip("-6", "route", "add", "default", "via", "2001:db8::1", "table", "100")
    host.ip("route", "add", "unreachable", "default", "table", "101")
    host.ip("-6", "route", "add", "unreachable", "default", "table", "101")
    host.ip("rule", "add", "pref", "1000", "lookup", "100")
    host.ip("-6", "rule", "add", "pref", "1000", "lookup", "100")
    host.ip("rule", "add", "pref", "1001", "blackhole")
    gone = [{"family": family, "state": "absent"} for family in ("ipv4", "ipv6")]
    items = desired_topology(
        {
            "link": [{"name": "eth1", "addresses": []}],
            "routes": [
                *({"destination": "default", "table": table, **which} for table in (100, 101) for which in gone),
                {"destination": "default", "table": "main", "metric": 9, "state": "absent"},
            ],
            "rules": [{"priority": number, **which} for number in (1000, 1001) for which in gone],
        }
    )

    def work() -> list[Deletion]:
        monkeypatch.setattr(_gateway, "Kernel", Listening)
        with _gateway.KernelGateway() as gateway:
            converge(gateway, items, apply=True, allow_lockout=True)
            assert isinstance(gateway.kernel, Listening)
            return gateway.kernel.deletions

    deletions = in_host(host.netns, work)
    assert sorted(kind for kind, _header, _attrs in deletions) == [21] * 2 + [25] * 5 + [33] * 3
    for kind, header, attrs in deletions:
        assert header["family"] in (socket.AF_INET, socket.AF_INET6)
        if kind == 21:
            assert header["index"]
            assert attrs["IFA_LOCAL"] == attrs["IFA_ADDRESS"]
            assert attrs["IFA_LOCAL"] in ("203.0.113.2", "2001:db8:1::2")
        elif kind == 25:
            assert attrs["RTA_TABLE"] in (100, 101, 254)
            assert header["type"] == 7 or (attrs["RTA_GATEWAY"] and attrs["RTA_OIF"])
        else:
            assert attrs["FRA_PRIORITY"] in (1000, 1001)
            assert header["action"] == 6 or attrs["FRA_TABLE"] == 100
    assert "203.0.113.2" not in host.ip("address")
    assert "192.0.2.2" in host.ip("address")
    assert [line[:2] for line in host.ip("rule").splitlines()] == ["0:", "32", "32"]


def test_only_the_one_that_is_meant(host: Host) -> None:
    """Routes to the same destination with another table, metric or family are kept."""
    for words in ("default via 192.0.2.1", "default via 192.0.2.1 metric 9", "default via 192.0.2.1 table 100 metric 9"):
        host.ip("route", "add", *words.split())
    host.ip("-6", "route", "add", "default", "via", "2001:db8::1", "metric", "9")
    climb(host, "route", destination="default", metric=9, state="absent")
    left = [
        (route["table"], route.get("metric"))
        for route in json.loads(host.ip("-4", "-d", "-j", "route", "show", "table", "all", "default"))
    ]
    assert sorted(left, key=str) == [("100", 9), ("main", None)]
    assert len(routes(host, 6, "default")) == 1


def _to(_family: int = 4, /, **params: Any) -> dict[str, Any]:
    return {"destination": TO[_family], **params}


_LINKLESS = (
    "route to {}: gateway {} is in no network of any link in the namespace. "
    "Add an address of that network to a link that is up, or set link and onlink: true"
)
_FAMILIES_DIFFER = "the addresses belong to different families. Use one family, and omit family or set it to that one"
_EMPTY = "route to {}: the route has no next hop. Set gateway or link, or a type without next hop, such as unreachable"
_ONLINK = "route to 198.51.100.0/24: onlink requires gateway and link. Set both"
_DOWN = "route to {}: eth1 is down, and the kernel accepts no route through it. Set admin_state: up for eth1"

CASES: dict[str, Case] = {
    "nothing": Case(_to(), _EMPTY.format(TO[4])),
    "nothing, IPv6": Case(_to(6), _EMPTY.format(TO[6])),
    "only a detail": Case(_to(mtu=1400), _EMPTY.format(TO[4])),
    "only a type": Case(_to(type="unicast"), _EMPTY.format(TO[4])),
    "reject route with a gateway": Case(
        _to(type="unreachable", gateway="192.0.2.1"),
        "route to 198.51.100.0/24: a route of type unreachable has neither gateway nor link. Omit them",
    ),
    "reject route with a link": Case(
        _to(6, type="blackhole", link="eth0"),
        "route to 2001:db8:7::/48: a route of type blackhole has neither gateway nor link. Omit them",
    ),
    "type without a gateway": Case(
        _to(type="broadcast", gateway="192.0.2.1"),
        "route to 198.51.100.0/24: an IPv4 route of type broadcast has no gateway. Omit gateway, and set link",
    ),
    "scope of IPv4": Case(_to(6, link="eth0", scope="link"), "route to 2001:db8:7::/48: IPv6 routes have no scope. Omit scope"),
    "onlink without a link": Case(_to(gateway="10.9.9.9", onlink=True), _ONLINK),
    "onlink without a gateway": Case(_to(link="eth0", onlink=True), _ONLINK),
    "link-local gateway without a link": Case(
        _to(6, gateway="fe80::1"),
        "route to 2001:db8:7::/48: gateway fe80::1 is a link-local address, which requires a link. Set link",
    ),
    "link missing": Case(
        _to(link="eth9"),
        "route to 198.51.100.0/24: link eth9 does not exist in the namespace of the route. "
        "Create it first with the module of its kind, or set another one. Available: eth0, eth1, lo",
        awaits=True,
    ),
    "link missing in another namespace": Case(
        _to(6, link="eth0", netns="guest"),
        "route to 2001:db8:7::/48 in netns guest: link eth0 does not exist in the namespace of the route. "
        "Create it first with the module of its kind, or set another one. Available: lo",
        awaits=True,
    ),
    "link down": Case(_to(link="eth1"), _DOWN.format(TO[4]), ip=("link set eth1 down",), awaits=True),
    "link down, with a gateway": Case(
        _to(link="eth1", gateway="203.0.113.1"), _DOWN.format(TO[4]), ip=("link set eth1 down",), awaits=True
    ),
    "link down, IPv6": Case(_to(6, link="eth1", gateway="fe80::1"), _DOWN.format(TO[6]), ip=("link set eth1 down",), awaits=True),
    "gateway of a link that is down": Case(
        _to(gateway="203.0.113.1"), _LINKLESS.format(TO[4], "203.0.113.1"), ip=("link set eth1 down",), awaits=True
    ),
    "gateway in no network": Case(_to(gateway="10.9.9.9"), _LINKLESS.format(TO[4], "10.9.9.9"), awaits=True),
    "gateway in no network, IPv6": Case(_to(6, gateway="2001:db8:9::9"), _LINKLESS.format(TO[6], "2001:db8:9::9"), awaits=True),
    "gateway behind a reject route": Case(
        _to(gateway="10.9.9.9"), _LINKLESS.format(TO[4], "10.9.9.9"), ip=("route add blackhole 10.9.9.0/24",), awaits=True
    ),
    "gateway behind another gateway": Case(
        _to(gateway="10.9.9.9"), _LINKLESS.format(TO[4], "10.9.9.9"), ip=("route add 10.9.9.0/24 via 192.0.2.1",), awaits=True
    ),
    "gateway in no network of the link": Case(
        _to(gateway="10.9.9.9", link="eth0"),
        "route to 198.51.100.0/24: gateway 10.9.9.9 is in no network of eth0. Add an address of that network to eth0, "
        "or set onlink: true",
        awaits=True,
    ),
    "gateway on another link": Case(
        _to(6, gateway="2001:db8::1", link="eth1"),
        "route to 2001:db8:7::/48: gateway 2001:db8::1 is in no network of eth1. Add an address of that network to eth1, "
        "or set onlink: true",
        awaits=True,
    ),
    "gateway is our own": Case(
        _to(gateway="192.0.2.2", link="eth1", onlink=True),
        "route to 198.51.100.0/24: gateway 192.0.2.2 is an address of this host (eth0). Set the address of the router",
    ),
    "gateway is our own, on another link": Case(
        _to(6, gateway="2001:db8:1::2", link="eth0", onlink=True),
        "route to 2001:db8:7::/48: gateway 2001:db8:1::2 is an address of this host (eth1). Set the address of the router",
    ),
    "source not ours": Case(
        _to(link="eth0", source="192.0.2.77"),
        "route to 198.51.100.0/24: source 192.0.2.77 is not an address of any link in the namespace. Add it to a link first",
        awaits=True,
    ),
    "source of another namespace": Case(
        _to(6, type="unreachable", source="2001:db8::2", netns="guest"),
        "route to 2001:db8:7::/48 in netns guest: source 2001:db8::2 is not an address of any link in the namespace. "
        "Add it to a link first",
        awaits=True,
    ),
    "gateway is a broadcast address": Case(
        _to(gateway="192.0.2.255"),
        "route to 198.51.100.0/24: gateway 192.0.2.255 is a broadcast address. Set the address of the router",
    ),
    "no such table": Case(
        _to(link="eth0", table="nowhere"),
        "route to 198.51.100.0/24: table: /etc/iproute2/rt_tables and rt_tables.d have no routing table nowhere. Set its number",
    ),
    "no such table, absent": Case(
        _to(6, state="absent", table="nowhere"),
        "route to 2001:db8:7::/48: table: /etc/iproute2/rt_tables and rt_tables.d have no routing table nowhere. Set its number",
    ),
    "table local": Case(_to(link="eth0", table="local"), "table: local is reserved for the kernel. Set main, or another table"),
    "table 255": Case(_to(state="absent", table=255), "table: 255 is reserved for the kernel. Set main, or another table"),
    "table 0": Case(_to(link="eth0", table=0), "table: 0 is reserved for the kernel. Set main, or another table"),
    "no such namespace": Case(
        _to(link="eth0", netns="nowhere"),
        "There is no network namespace nowhere (/run/netns/nowhere does not exist). Correct the name, or create it first with "
        "the module netns",
        awaits=True,
    ),
    "gateway of the other family": Case(_to(gateway="2001:db8::1"), _FAMILIES_DIFFER),
    "source of the other family": Case(_to(6, link="eth0", source="192.0.2.2"), _FAMILIES_DIFFER),
    "family that the addresses are not of": Case(_to(link="eth0", family="ipv6"), _FAMILIES_DIFFER),
    "the default by a gateway of the other family": Case(
        {"destination": "default", "family": "ipv6", "gateway": "192.0.2.1"}, _FAMILIES_DIFFER
    ),
    "host bits": Case(
        {"destination": "198.51.100.7/24", "link": "eth0"},
        "destination: 198.51.100.7/24 has bits set beyond its prefix length. Use 198.51.100.0/24",
    ),
    "host bits of IPv6": Case(
        {"destination": "2001:db8::1/64", "link": "eth0"},
        "destination: 2001:db8::1/64 has bits set beyond its prefix length. Use 2001:db8::/64",
    ),
    "prefix length": Case(
        {"destination": "198.51.100.0/33", "link": "eth0"},
        "destination: '198.51.100.0/33' has no prefix length between 0 and 32",
    ),
    "no network": Case({"destination": "everywhere", "link": "eth0"}, "destination: 'everywhere' is not an IP address"),
    "gateway with a prefix length": Case(_to(gateway="192.0.2.1/24"), "gateway: '192.0.2.1/24' is not an IP address"),
    "metric below": Case(_to(link="eth0", metric=-1), "metric: -1 is not between 0 and 4294967295"),
    "metric above": Case(_to(link="eth0", metric=4294967296), "metric: 4294967296 is not between 0 and 4294967295"),
    "table above": Case(_to(link="eth0", table=4294967296), "table: 4294967296 is not between 0 and 4294967295"),
    "mtu below": Case(_to(link="eth0", mtu=67), "mtu: 67 is not between 68 and 65535"),
    "mtu above": Case(_to(link="eth0", mtu=65536), "mtu: 65536 is not between 68 and 65535"),
    "no name of a link": Case(_to(link="a b"), "link: 'a b' cannot be the name of a link: it contains white space"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(host: Host, name: str) -> None:
    """Invalid options fail with a message, and nothing changes."""
    refuse(host, "route", CASES[name])
