# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option dhcp4 with each client and each server: messages on the wire, and leases that are renewed or expire."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.dhcp_servers import ROUTER, SERVERS, DhcpServer
from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal, hosts
from ansible_collections.patchbay.netdev.tests.integration.machine import mac, numbers
from ansible_collections.patchbay.netdev.tests.integration.test_dhcp4 import FULL, LAST, OLD, RULE, Served, full, leased

CLIENTS = ("udhcpc", "dhclient", "dhcpcd")
# udhcpc assumes that each lease lasts at least 122 seconds. Kea sends its replies to dhclient's renewals to their
# MAC address, where dhclient does not receive them: only its later broadcast renews the lease.
LEAST_SECONDS = {"udhcpc": 150, "dhclient": 24, "dhcpcd": 12, "networkd": 12}
MACHINE_ID = "0123456789abcdef0123456789abcdef"


def renewed(machine: Served, server: DhcpServer, client: str) -> None:
    """Wait until each lease was renewed, on request if the client is udhcpc."""
    if client == "udhcpc":
        server.pause()  # a reply within microseconds would be lost, because udhcpc still has its sending socket open
        for process in machine.clients(client):
            machine.sh(f"kill -USR1 {process}")
        time.sleep(0.5)
        server.go_on()
        time.sleep(1)
    else:
        time.sleep(server.seconds * 5 / 4)
    machine.until(lambda: not machine.hooks())


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[DhcpServer]:
    """Start each server on its own switch."""
    made = DhcpServer(request.param, f"switch{next(numbers)}")
    hosts("switch", made.switch, f"{ROUTER}/24")
    try:
        yield made
    finally:
        hosts("stop", made.switch)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """Return each client."""
    return str(request.param)


@pytest.fixture
def machine(server: DhcpServer, client: str) -> Iterator[Served]:
    """Create a host on the switch of a server whose leases are as short as the client supports."""
    server.seconds = LEAST_SECONDS[client]
    server.start()
    made = Served(f"client{next(numbers)}", server.switch)
    hosts("start", made.name)
    try:
        made.plug("eth0")
        made.sh(f"echo {MACHINE_ID} >/etc/machine-id; ip address add 192.0.2.11/24 dev eth0")
        yield made
    finally:
        hosts("stop", made.name)


only_kea = pytest.mark.parametrize("server", ["kea"], indirect=True)


def test_what_is_on_the_wire(machine: Served, server: DhcpServer, client: str) -> None:
    """Messages contain the given identifier and nothing else. The source of renewals matches the warning."""
    said: list[dict[str, Any]] = [
        {},
        {"client_id": "mac", "hostname": "old-1.example.org"},
        {"client_id": "duid"},
        {"client_id": "ff:3e:11:11:01:00:01", "vendor_class": 'Poly "VVX" \\ #4'},
    ]
    links = [
        {
            **OLD,
            "name": f"old{number}",
            "address": mac(30 + number),
            "source_routing": {"table": str(200 + number), "rule_priority": 1200 + number},
            "dhcp4": {**one, "client": client, "wait": 30},
        }
        for number, one in enumerate(said)
    ]
    server.listen()
    done = machine.apply("topology", macvlan=links)
    assert [link["dhcp4"]["client"] for link in done["links"]] == [client] * 4
    leases = {mac(30 + number): link["dhcp4"]["lease"]["address"] for number, link in enumerate(done["links"])}
    assert len(set(leases.values())) == 4
    first = len(server.heard())
    if server.name != "dnsmasq":  # whose leases are too long for a test
        renewed(machine, server, client)
        assert not machine.apply("topology", macvlan=links)["changed"], machine.logs()
        assert {one.speaks_for for one in server.heard()[first:] if one.is_renewal} == set(leases), "not each was renewed"
    tail = {number: mac(30 + number).replace(":", "")[-8:] for number in range(4)}
    ids = [None, f"01{mac(31).replace(':', '')}", f"ff{tail[2]}0004[0-9a-f]{{32}}", "ff3e1111010001"]
    for number, one in enumerate(said):
        messages = [message for message in server.heard() if message.speaks_for == mac(30 + number)]
        assert len(messages) > 1
        for message in messages:
            found = {option: message.options.get(option, b"") for option in (12, 60, 61)}
            assert found[12] == one.get("hostname", "").encode()
            assert found[60] == one.get("vendor_class", "").encode()
            assert re.fullmatch(ids[number] or "", found[61].hex()), found[61].hex()
    warned = [text for text in done.get("warnings", ()) if "sends its renewals" in str(text)]
    strange = {(message.mac, message.ip) for message in server.heard() if message.mac != message.speaks_for}
    assert len(warned) == (0 if client == "udhcpc" else 4)
    if server.name != "dnsmasq":
        assert strange == (set() if client == "udhcpc" else {(mac(0), "192.0.2.11")})


@pytest.mark.minutes
@only_kea
def test_renewals_in_a_namespace_of_its_own(machine: Served, server: DhcpServer, client: str) -> None:
    """Renewals of every client leave with the right addresses, so there is no warning."""
    server.listen()
    options = full(client=client)
    topology = {"netns": [{"name": "blue"}], "macvlan": [{**OLD, "netns": "blue", "address": mac(30), **options}]}
    done = machine.apply("topology", **topology)
    assert done.get("warnings", []) == []
    first = len(server.heard())
    renewed(machine, server, client)
    assert len(server.heard()) > first
    assert {message.mac for message in server.heard()} == {mac(30)}
    assert machine.addresses("old", "blue") == [done["links"][0]["dhcp4"]["lease"]["address"]]
    again = machine.apply("topology", **topology)
    assert (again["changed"], again.get("warnings", [])) == (False, [])


@pytest.mark.minutes
@only_kea
def test_life(machine: Served, server: DhcpServer, client: str) -> None:
    """The ladder, another client that takes over the lease, and removal without a trace."""
    machine.apply("macvlan", **OLD)
    disk, kernel = machine.disk(), machine.settled()
    task = {**OLD, **full(client=client)}
    told = machine.run("macvlan", check=True, **task)
    done = machine.apply("macvlan", **task)
    assert (told["operations"], told["link"]["dhcp4"]["client"]) == (done["operations"], client)
    before = machine.settled()
    assert machine.routes() == leased(done["link"]["dhcp4"]["lease"]["address"])
    for check in (True, False):
        again = machine.run("macvlan", check=check, **task)
        assert not again["changed"], again["operations"]
    unsaid = machine.apply("macvlan", **OLD, **FULL)
    assert (unsaid["changed"], unsaid["link"]["dhcp4"]["client"]) == (False, client)
    (process,) = machine.clients(client)
    machine.sh(f"kill -KILL {process}")
    machine.until(lambda: not machine.clients(client))
    machine.apply("macvlan", **task)
    machine.until(lambda: len(machine.clients(client)) == 1)
    other = CLIENTS[(CLIENTS.index(client) + 1) % len(CLIENTS)]
    addresses = machine.watch_addresses()
    changed = machine.apply("macvlan", **OLD, **full(client=other))
    assert changed["operations"] == [
        f"restart the DHCP client of old: client_id none, hostname oldhost, table 101, rule_priority {RULE}, client {other}"
    ]
    machine.until(lambda: bool(machine.clients(other)))
    renewed(machine, server, other)
    assert machine.clients(client) == []
    assert_equal(machine.settled(), before)
    assert "Deleted" not in addresses(), addresses()
    assert "failed" not in machine.logs()
    assert not machine.apply("macvlan", **OLD, **full(client=other))["changed"]
    machine.apply("macvlan", **OLD, dhcp4={"enabled": False})
    assert [*machine.clients(client), *machine.clients(other)] == []
    assert machine.disk() == disk
    assert_equal(machine.settled(), kernel)


@pytest.mark.minutes
@only_kea
def test_another_address_within_one_renewal(machine: Served, server: DhcpServer, client: str) -> None:
    """Address, routes and rule change with the lease."""
    machine.apply("macvlan", **OLD, address=mac(9), **full(client=client))
    server.stop()
    server.known[mac(9)] = "192.0.2.77"
    server.start()
    renewed(machine, server, client)
    machine.until(lambda: machine.addresses("old") == ["192.0.2.77/24"] and machine.rules() == ["192.0.2.77"])
    machine.until(lambda: not machine.hooks())
    assert machine.routes() == leased("192.0.2.77/24")
    assert not machine.apply("macvlan", **OLD, address=mac(9), **full(client=client))["changed"]


@pytest.mark.minutes
@only_kea
def test_server_that_goes_away(machine: Served, server: DhcpServer, client: str) -> None:
    """When the lease expires, only the unreachable default route stays. When the server is back, the lease is too."""
    task = {**OLD, **full(client=client)}
    machine.apply("macvlan", **task)
    before = machine.settled()
    server.stop()
    machine.until(lambda: machine.addresses("old") == [], 2 * server.seconds)
    machine.until(lambda: machine.rules() == [] and machine.routes() in ([], [LAST]), server.seconds)
    assert len(machine.clients(client)) == 1
    server.start()
    machine.until(lambda: machine.addresses("old") != [] and machine.rules() != [], 90)
    machine.until(lambda: not machine.hooks())
    assert_equal(machine.settled(), before)
    assert not machine.apply("macvlan", **task)["changed"]


@only_kea
def test_one_name_in_two_namespaces(machine: Served, server: DhcpServer, client: str) -> None:
    """Two links with one name have separate files."""
    options = full(client=client)
    topology = {
        "netns": [{"name": "blue"}],
        "macvlan": [{**OLD, "netns": "blue", **options}, {**OLD, **options}],
    }
    there, here = machine.apply("topology", **topology)["links"]
    renewed(machine, server, client)
    for link, netns in ((there, "blue"), (here, "")):
        address = link["dhcp4"]["lease"]["address"]
        assert machine.addresses("old", netns) == [address]
        assert machine.routes(netns=netns) == leased(address)
    assert not machine.apply("topology", **topology)["changed"]
    assert len(machine.clients(client)) == 2
    assert "failed" not in machine.logs()
    machine.apply("topology", netns=[{"name": "blue", "state": "absent", "force": True}])
    assert len(machine.clients(client)) == 1
