# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option dhcp4 with systemd: each client is a unit, which is restored with its link."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.dhcp_servers import RESOLVER, SERVERS, DhcpServer
from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal
from ansible_collections.patchbay.netdev.tests.integration.test_dhcp4_clients import CLIENTS, LEAST_SECONDS
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import CLONE, System, check, wait_until

OLD: dict[str, Any] = {
    "name": "old-1",
    "lower_device": "eth1",
    "lower_device_state": "up",
    "mode": "bridge",
    "address": "00:16:3e:11:11:01",
    "admin_state": "up",
    "persist": "replay",
    "source_routing": {"table": "105", "rule_priority": 1105},
    "dhcp4": {"hostname": "oldhost", "wait": 30},
}
SAID: list[dict[str, Any]] = [
    {},
    {"client_id": "mac", "hostname": "old-1.example.org"},
    {"client_id": "duid"},
    {"client_id": "ff:3e:11:11:01:00:01", "vendor_class": 'Poly "VVX"'},
]
# networkd always sends an identifier of RFC 4361, and supports neither a domain nor quotation marks.
SAID_BY_NETWORKD: list[dict[str, Any]] = [
    {"client_id": "mac"},
    {"client_id": "mac", "hostname": "old-1"},
    {"client_id": "duid"},
    {"client_id": "ff:3e:11:11:01:00:01:00:01:2a:2b:2c:2d:52:54:00:12:34:56", "vendor_class": "Poly #4; 9%i=[VVX]"},
]
UNIT = r"patchbay-dhcp@old\x2d1.service"


@pytest.fixture(params=["dnsmasq"])
def server(switch: str, request: pytest.FixtureRequest) -> Iterator[DhcpServer]:
    """Start the server on the switch. A test selects others with @pytest.mark.parametrize("server", SERVERS, indirect=True)."""
    made = DhcpServer(request.param, switch)
    made.start()
    yield made
    made.stop()
    made.sh("rm /run/leases")


@pytest.fixture
def served(server: DhcpServer, system: System) -> System:
    """Create a host on that switch."""
    return system


def state_of(system: System, what: str) -> str:
    """Return a property of the unit."""
    return system.enter("systemctl", "show", "--property", what, "--value", UNIT).strip()


def is_complete(system: System) -> bool:
    """Return whether the lease has its rule, which is added last, but is kept while the link is recreated."""
    has_rule = any(rule["priority"] == 1105 and "oif" not in rule for rule in system.ip("-4", "rule"))
    return has_rule and "old-1" in system.links() and system.addresses("old-1") != [] and check(system) == ("", 0)


def files(system: System) -> str:
    """Return the files on the disk."""
    return system.enter(
        "sh", "-c", "find /etc /usr/local /var/lib/systemd -not -path '*/journal/*' -printf '%p %m %u %l\\n' | sort"
    )


def test_life(served: System) -> None:
    """The client starts, has the same lease after a reboot, and leaves nothing after removal."""
    served.enter("ip", "link", "set", "eth1", "up")
    before, listed = served.dump(), files(served)
    told = served.run("patchbay.netdev.macvlan", check=True, **OLD)
    done = served.apply("patchbay.netdev.macvlan", **OLD)
    assert told["operations"] == done["operations"]
    lease = done["link"]["dhcp4"]["lease"]["address"]
    assert served.addresses("old-1") == [lease]
    assert state_of(served, "ActiveState") == "active"
    assert "old-1" in state_of(served, "Description")
    assert not served.apply("patchbay.netdev.macvlan", **OLD)["changed"]
    shown = served.dump()

    served.reboot()
    wait_until(
        lambda: is_complete(served), f"no lease after the reboot: {served.enter('journalctl', '-b', '--no-pager', '-n', '60')}"
    )
    assert_equal(served.dump(), shown)
    assert served.failed_units() == []
    again = served.apply("patchbay.netdev.macvlan", **OLD)
    assert not again["changed"], again["operations"]
    assert again["link"]["dhcp4"]["lease"]["address"] == lease

    served.apply("patchbay.netdev.macvlan", name="old-1", state="absent")
    assert state_of(served, "ActiveState") == "inactive"
    assert state_of(served, "LoadState") == "not-found"
    assert files(served) == listed
    served.enter("ip", "link", "set", "eth1", "up")
    assert_equal(served.dump(), before)
    served.reboot()
    assert "old-1" not in served.links()


@pytest.mark.parametrize("manager", ["none"])
def test_client_that_died(served: System) -> None:
    """systemd starts a new client, and the lease stays meanwhile."""
    served.apply("patchbay.netdev.macvlan", **OLD)
    shown, process = served.dump(), state_of(served, "MainPID")
    served.enter("systemctl", "kill", "--signal", "KILL", UNIT)
    assert_equal(served.dump(), shown)
    wait_until(lambda: state_of(served, "MainPID") not in (process, "0"), "no other client was started")
    wait_until(lambda: check(served) == ("", 0), f"something is amiss: {check(served)}")
    assert_equal(served.dump(), shown)


@pytest.mark.parametrize("manager", ["none"])
def test_lower_device_comes_and_goes(served: System) -> None:
    """The link is recreated, and its client is restarted with it."""
    served.apply("patchbay.netdev.macvlan", **OLD)
    shown = served.dump()
    served.pull("eth1")
    wait_until(lambda: "old-1" not in served.links(), "the link stayed without its lower device")
    served.card("eth1")
    wait_until(lambda: is_complete(served), f"no lease with the lower device back: {check(served)}")
    assert_equal(served.dump(), shown)


@pytest.mark.parametrize("manager", ["networkd"])
def test_manager_is_restarted(served: System) -> None:
    """The rule of a lease and the unreachable default route, which belong to no link, are kept."""
    served.apply("patchbay.netdev.macvlan", **OLD)
    shown = served.dump()
    served.enter("systemctl", "restart", "systemd-networkd")
    served.enter("networkctl", "reload")
    time.sleep(2)
    assert_equal(served.dump(), shown)
    assert check(served) == ("", 0)


@pytest.mark.parametrize("manager", ["none"])
def test_name_with_a_dollar(served: System) -> None:
    """The name is not expanded as a variable of the unit."""
    done = served.apply("patchbay.netdev.macvlan", **{**OLD, "name": "old${HOME}"})
    assert done["link"]["dhcp4"]["lease"] is not None


@pytest.mark.parametrize("manager", ["none"])
def test_without_persist(served: System) -> None:
    """The client does not run after a reboot."""
    served.apply("patchbay.netdev.macvlan", **{name: value for name, value in OLD.items() if name != "persist"})
    assert state_of(served, "ActiveState") == "active"
    served.reboot()
    assert state_of(served, "ActiveState") == "inactive"
    assert "old-1" not in served.links()


@pytest.mark.parametrize("manager", ["none"])
def test_resolved(served: System, release: str) -> None:
    """systemd-resolved uses the servers of the lease, also early in a boot, and removes them later."""
    packages = served.root / "root/packages"
    shutil.copytree(CLONE / f".work/debian/{release}/packages/systemd-resolved", packages)
    served.enter("sh", "-c", "dpkg --install /root/packages/*.deb")
    served.reboot()  # until then it is not on the bus
    task = {**OLD, "dhcp4": {**OLD["dhcp4"], "use_dns": True}}
    served.apply("patchbay.netdev.macvlan", **task)

    def told() -> str:
        return served.enter("resolvectl", "dns", "old-1").partition(": ")[2].strip()

    assert told() == RESOLVER
    assert not served.apply("patchbay.netdev.macvlan", **task)["changed"]
    served.reboot()
    wait_until(
        lambda: is_complete(served) and told() == RESOLVER, f"not told: {served.enter('journalctl', '-b', '-n', '60')}", 20
    )
    served.apply("patchbay.netdev.macvlan", **{**OLD, "dhcp4": {"enabled": False}})
    assert told() == ""


@pytest.mark.parametrize(("client", "manager"), [*((client, "none") for client in CLIENTS), ("networkd", "networkd")])
@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_each_client_and_each_server(served: System, server: DhcpServer, client: str) -> None:
    """Messages contain only the given options, leases are the same after a reboot, and warnings are true."""
    server.stop()
    server.seconds = LEAST_SECONDS[client]
    server.start()
    said = SAID
    if client == "networkd":
        said = SAID_BY_NETWORKD
    else:
        served.enter("sh", "-c", "echo 0123456789abcdef0123456789abcdef >/etc/machine-id; ip address add 192.0.2.11/24 dev eth1")
    macs = [f"00:16:3e:11:11:2{number}" for number in range(len(said))]
    links: list[dict[str, Any]] = [
        {
            **OLD,
            "name": f"old{number}",
            "address": macs[number],
            "source_routing": {"table": str(200 + number), "rule_priority": 1200 + number},
            "dhcp4": {**one, "client": client, "wait": 30},
        }
        for number, one in enumerate(said)
    ]
    server.listen()
    done = served.apply("patchbay.netdev.topology", macvlan=links)
    leases = [link["dhcp4"]["lease"]["address"] for link in done["links"]]
    assert len(set(leases)) == len(said)
    served.reboot()
    wait_until(lambda: [served.addresses(link["name"]) for link in links] == [[one] for one in leases], "other leases")
    wait_until(lambda: check(served) == ("", 0), f"something is amiss: {check(served)}")
    for number, lease in enumerate(leases):
        rules = [
            (rule["src"], rule["table"])
            for rule in served.ip("-4", "rule")
            if rule["priority"] == 1200 + number and "oif" not in rule
        ]
        assert rules == [(lease.partition("/")[0], str(200 + number))]
        routes = served.ip("-4", "route", "show", "table", str(200 + number))
        assert {"192.0.2.0/24", "default"} <= {route["dst"] for route in routes if route.get("dev") == f"old{number}"}
    if server.name != "dnsmasq":  # whose leases are too long for a test
        if client != "networkd":
            # dhcpcd uses another route if none leads there. networkd has configured one on eth0
            served.enter("ip", "address", "add", "192.0.2.11/24", "dev", "eth1")
        time.sleep(1)
        first = len(server.heard())
        if client == "udhcpc":
            server.pause()
            served.enter("sh", "-c", "kill -USR1 $(pidof udhcpc)")
            time.sleep(0.5)
            server.go_on()
        wait_until(
            lambda: {one.speaks_for for one in server.heard()[first:] if one.is_renewal} == set(macs),
            "not all was renewed",
            server.seconds,
        )
        senders = {(one.mac == one.speaks_for, one.ip) for one in server.heard()[first:] if one.is_renewal}
        right = {(True, address.partition("/")[0]) for address in leases}
        assert senders == (right if client in ("udhcpc", "networkd") else {(False, "192.0.2.11")})
        wait_until(lambda: check(served) == ("", 0), f"something is amiss: {check(served)}")
    for message in server.heard():
        one, tail = said[macs.index(message.speaks_for)], message.speaks_for.replace(":", "")
        ids = {"none": "", "mac": f"01{tail}", "duid": f"ff{tail[-8:]}0004[0-9a-f]{{32}}"}
        found = {option: message.options.get(option, b"") for option in (12, 60, 61)}
        assert found[12] == one.get("hostname", "").encode()
        assert found[60] == one.get("vendor_class", "").encode()
        client_id = one.get("client_id", "none")
        assert re.fullmatch(ids.get(client_id, client_id.replace(":", "")), found[61].hex()), found[61].hex()
    assert not served.apply("patchbay.netdev.topology", macvlan=links)["changed"]
    served.apply("patchbay.netdev.topology", macvlan=[{"name": link["name"], "state": "absent"} for link in links])
    assert served.enter("sh", "-c", f"pidof {client} || ls /run/systemd/network/* || echo none") == "none\n"
