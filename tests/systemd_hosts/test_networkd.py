# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option dhcp4 with systemd-networkd as client: the module creates link and rule, networkd manages the lease."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import (
    HOST,
    SWITCH,
    System,
    check,
    command_host,
    pinged,
    wait_until,
)
from ansible_collections.patchbay.netdev.tests.systemd_hosts.test_dhcp4 import files

pytestmark = pytest.mark.parametrize("manager", ["networkd"])

SERVER = "dnsmasq --port=0 --interface=br0 --bind-interfaces --no-resolv --no-hosts --user=root --dhcp-authoritative --no-ping"
RANGE = "--dhcp-range=192.0.2.100,192.0.2.199,255.255.255.0,2m --dhcp-leasefile=/run/leases --pid-file=/run/dnsmasq.pid"
MAC = "00:16:3e:11:11:01"
OLD: dict[str, Any] = {
    "name": "old-1",
    "lower_device": "eth1",
    "lower_device_state": "up",
    "mode": "bridge",
    "address": MAC,
    "admin_state": "up",
    "persist": "replay",
    "source_routing": {"table": "105", "rule_priority": 1105},
    "dhcp4": {"client": "networkd", "client_id": "mac", "wait": 30},
}
MACVLAN = "patchbay.netdev.macvlan"
UNREACHABLE = {"type": "unreachable", "dst": "default", "metric": 4278198272}


def asked(**dhcp4: Any) -> dict[str, Any]:
    """Return the options of the link with other suboptions."""
    return {**OLD, "dhcp4": {**OLD["dhcp4"], **dhcp4}}


@pytest.fixture(autouse=True)
def server(switch: str) -> Iterator[None]:
    """Start the server on the switch."""
    serve(RANGE)
    yield
    stop_serving()


def serve(*options: str) -> None:
    """Start the server."""
    command_host("enter", SWITCH, "sh", "-c", f"{SERVER} {' '.join(options)}")


def stop_serving() -> None:
    """Stop the server, which loses its leases."""
    command_host(
        "enter", SWITCH, "sh", "-c", "kill $(cat /run/dnsmasq.pid); while [ -e /run/dnsmasq.pid ]; do :; done; rm /run/leases"
    )


def rules(system: System) -> list[str]:
    """Return the source addresses of the rules with the priority, without the rule for the link."""
    shown = system.ip("-4", "rule")
    return [f"{rule['src']} {rule['table']}" for rule in shown if rule["priority"] == 1105 and "oif" not in rule]


def table(system: System) -> list[str]:
    """Return the routes of the table without the unreachable default route, which must exist."""
    routes = system.ip("-4", "route", "show", "table", "105")
    assert any(UNREACHABLE.items() <= route.items() for route in routes), routes
    return sorted(f"{route['dst']} {route['prefsrc']}" for route in routes if route["type"] == "unicast")


def is_complete(system: System, address: str) -> bool:
    """Return whether everything from the lease exists."""
    ip = address.partition("/")[0]
    return (
        "old-1" in system.links()
        and system.addresses("old-1") == [address]
        and rules(system) == [f"{ip} 105"]
        and table(system) == [f"192.0.2.0/24 {ip}", f"192.0.2.1 {ip}", f"default {ip}"]
    )


def said(system: System) -> str:
    """Return the log of networkd and the watcher."""
    return system.enter("journalctl", "--no-pager", "-n", "60", "-u", "systemd-networkd", "-u", "patchbay-*")


@contextlib.contextmanager
def captured(what: str) -> Iterator[list[str]]:
    """Capture packets on the switch in this context, one text for each packet."""
    start = f"echo $$ >/run/captured.pid; exec timeout 120 tcpdump -i br0 -lnevvv '{what}'"
    command = [HOST, "enter", SWITCH, "sh", "-c", start]
    packets: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "listening" in running.stderr.readline()
        yield packets
        command_host("enter", SWITCH, "sh", "-c", "kill -INT $(cat /run/captured.pid)")
        text, _errors = running.communicate(timeout=10)
    packets += re.split(r"\n(?=\d\d:)", text)


def test_life(system: System) -> None:
    """The client starts, has the same lease after a reboot, and leaves nothing. The lower device is unchanged."""
    system.enter("ip", "link", "set", "eth1", "up")
    before, listed = system.dump(), files(system)
    told = system.run(MACVLAN, check=True, **OLD)
    assert_equal(system.dump(), before)
    done = system.apply(MACVLAN, **OLD)
    assert told["operations"] == done["operations"]
    lease = done["link"]["dhcp4"]["lease"]["address"]
    assert done["link"]["dhcp4"]["client"] == "networkd"
    assert is_complete(system, lease), said(system)
    assert done["link"]["dhcp4"]["lease"]["routers"] == ["192.0.2.1"]
    assert done["link"]["dhcp4"]["lease"]["seconds"] == 120
    again = system.apply(MACVLAN, **OLD)
    assert not again["changed"], again["operations"]
    assert check(system) == ("", 0)
    shown = system.dump()

    system.reboot()
    wait_until(lambda: is_complete(system, lease), f"no lease after the reboot: {said(system)}")
    wait_until(lambda: check(system) == ("", 0), f"after the reboot: {check(system)}")
    assert_equal(system.dump(), shown)
    assert system.failed_units() == []
    again = system.apply(MACVLAN, **OLD)
    assert not again["changed"], again["operations"]

    system.apply(MACVLAN, name="old-1", state="absent")
    assert files(system) == listed
    system.enter("ip", "link", "set", "eth1", "up")
    assert_equal(system.dump(), before)
    assert system.enter("sh", "-c", "ls -d /run/patchbay/* /run/systemd/network* 2>/dev/null || true") == ""
    assert "patchbay-leases" not in system.enter("systemctl", "list-units", "--all", "--no-legend", "--plain")
    system.reboot()
    assert "old-1" not in system.links()


def test_without_persist(system: System) -> None:
    """The client does not run after a reboot. Stopped before, it restores sysctls and static addresses of the link."""
    link = {name: value for name, value in OLD.items() if name not in ("persist", "dhcp4")}
    system.apply(MACVLAN, **link, addresses=["198.51.100.5/24", "2001:db8:7::5/64"])
    system.apply("patchbay.netdev.route", destination="203.0.113.0/24", link="old-1", table="77")
    before, settings, listed = system.dump(), settings_of(system), files(system)
    leased = {name: OLD[name] for name in ("name", "source_routing", "dhcp4")}
    system.apply(MACVLAN, **leased)
    assert system.dump() != before
    reloads = said(system).count("onfiguring with")
    assert not system.apply(MACVLAN, **leased)["changed"]
    assert said(system).count("onfiguring with") == reloads
    system.apply(MACVLAN, name="old-1", dhcp4={"enabled": False})
    assert_equal(system.dump(), before)
    assert settings_of(system) == settings
    assert files(system) == listed
    system.apply(MACVLAN, **leased)
    system.reboot()
    assert "old-1" not in system.links()
    assert system.enter("sh", "-c", "ls -d /run/systemd/network/* /run/patchbay/* 2>/dev/null || true") == ""


def settings_of(system: System) -> str:
    """Return all sysctls of the link."""
    return system.enter("sh", "-c", "cd /proc/sys/net; grep -s . ipv[46]/conf/old-1/* | grep -v stable_secret")


def test_on_the_wire(system: System) -> None:
    """Messages contain only the given options, and renewals leave with the MAC address of the link too."""
    identifier = "ff:3e:11:11:01:00:01:00:01:2a:2b:2c:2d:52:54:00:12:34:56"
    with captured("udp dst port 67") as packets:
        system.apply(MACVLAN, **asked(client_id=identifier, hostname="oldhost", vendor_class="Polycom VVX"))
        system.enter("networkctl", "renew", "old-1")
        time.sleep(1)
    assert len(packets) >= 3, packets
    assert any("192.0.2.1.67:" in packet for packet in packets), "no renewal was seen"
    for packet in packets:
        assert f" {MAC} > " in packet.splitlines()[0]
        assert f"Client-ID (61), length 19: hardware-type 255, {identifier[3:]}\n" in packet
        assert 'Hostname (12), length 7: "oldhost"\n' in packet
        assert 'Vendor-Class (60), length 11: "Polycom VVX"' in packet
    with captured("udp dst port 67") as packets:
        system.apply(MACVLAN, **OLD)
        time.sleep(1)
    assert packets
    for packet in packets:
        assert f"Client-ID (61), length 7: ether {MAC}\n" in packet
        assert not {"(12), length", "(60), length", "(81), length"} & set(re.findall(r"\(\d+\), length", packet))


def test_another_lease(system: System) -> None:
    """Another lease changes address, routes and rule.

    networkd requests it by broadcast, because it does not receive a broadcast that refuses a renewal while it has an address.
    """
    first = system.apply(MACVLAN, **OLD)["link"]["dhcp4"]["lease"]["address"]
    stop_serving()
    serve(RANGE.replace("192.0.2.100,192.0.2.199", "192.0.2.30,192.0.2.39"))
    system.enter("networkctl", "reconfigure", "old-1")
    wait_until(lambda: system.addresses("old-1") not in ([], [first]), f"the address stayed: {said(system)}")
    (second,) = system.addresses("old-1")
    wait_until(lambda: is_complete(system, second), f"not all moved to {second}: {said(system)}")
    assert check(system) == ("", 0)
    again = system.apply(MACVLAN, **OLD)
    assert not again["changed"], again["operations"]
    assert again["link"]["dhcp4"]["lease"]["address"] == second


def test_networkd_is_restarted(system: System) -> None:
    """The lease stays the same, and rules and routes of others stay, including those in a table."""
    lease = system.apply(MACVLAN, **OLD)["link"]["dhcp4"]["lease"]["address"]
    system.enter("ip", "rule", "add", "from", "203.0.113.5", "table", "77", "priority", "77")
    system.enter("ip", "route", "add", "unreachable", "203.0.113.0/24", "table", "77")
    shown = system.dump()
    system.enter("systemctl", "restart", "systemd-networkd")
    wait_until(lambda: is_complete(system, lease), f"after the restart: {said(system)}")
    assert_equal(system.dump(), shown)
    assert check(system) == ("", 0)


def test_watcher_died(system: System) -> None:
    """A new watcher starts, and makes the changes that are due."""
    lease = system.apply(MACVLAN, **OLD)["link"]["dhcp4"]["lease"]["address"]
    stop_serving()
    serve(RANGE.replace("192.0.2.100,192.0.2.199", "192.0.2.30,192.0.2.39"))
    system.enter("systemctl", "kill", "--signal", "KILL", "patchbay-leases")
    system.enter("networkctl", "reconfigure", "old-1")
    wait_until(lambda: system.addresses("old-1") not in ([], [lease]), f"the address stayed: {said(system)}")
    (second,) = system.addresses("old-1")
    wait_until(lambda: is_complete(system, second), f"not all moved to {second}: {said(system)}")


def test_what_others_made_stays(system: System) -> None:
    """networkd deletes rules and routes of others when it reads its first file. They are restored."""
    system.enter("ip", "link", "set", "eth1", "up")
    system.enter("ip", "rule", "add", "from", "203.0.113.5", "table", "77", "priority", "77")
    system.enter("ip", "-6", "rule", "add", "from", "2001:db8:77::5", "table", "77", "priority", "77")
    system.enter("ip", "route", "add", "unreachable", "203.0.113.0/24", "table", "77")
    system.enter("ip", "route", "add", "203.0.113.0/24", "via", "192.0.2.1", "table", "78")
    before = system.dump()
    for options in ({}, {"hostname": "other"}, {"enabled": False}):
        system.apply(MACVLAN, **asked(**options))
        for words in (("-4", "rule"), ("-6", "rule")):
            assert any(rule["priority"] == 77 for rule in system.ip(*words)), (options, words)
        assert len(system.ip("route", "show", "table", "77")) == 1, options
        assert len(system.ip("route", "show", "table", "78")) == 1, options
    system.apply(MACVLAN, name="old-1", state="absent")
    assert_equal(system.dump(), before)


def test_lower_device_never_falls_silent(system: System) -> None:
    """The lower device, which networkd manages too, replies 20 times per second."""
    with pinged(system) as answers:
        for options in ({}, {"hostname": "other", "client_id": "duid"}, {"enabled": False}):
            assert system.apply(MACVLAN, **{**asked(**options), "lower_device": "eth0"})["changed"]
        other_table = {**OLD, "lower_device": "eth0", "source_routing": {"table": "106", "rule_priority": 1105}}
        assert system.apply(MACVLAN, **other_table)["changed"]
        system.apply(MACVLAN, name="old-1", state="absent")
    sent, received = answers
    assert sent > 50
    assert received == sent


def test_from_one_client_to_the_other(system: System) -> None:
    """One task each changes the client and back. With the same identifier the lease is the same."""
    by_udhcpc = asked(client="udhcpc")
    lease = system.apply(MACVLAN, **by_udhcpc)["link"]["dhcp4"]["lease"]["address"]
    shown = system.dump()
    assert system.apply(MACVLAN, **OLD)["link"]["dhcp4"]["lease"]["address"] == lease
    assert is_complete(system, lease), said(system)
    done = system.apply(MACVLAN, **by_udhcpc)
    assert (done["link"]["dhcp4"]["client"], done["link"]["dhcp4"]["lease"]["address"]) == ("udhcpc", lease)
    assert_equal(system.dump(), shown)
    assert system.enter("sh", "-c", "ls -d /run/systemd/network/* 2>/dev/null || true") == ""
    assert check(system) == ("", 0)


def test_lower_device_comes_and_goes(system: System) -> None:
    """The link is recreated, and networkd serves it again."""
    lease = system.apply(MACVLAN, **OLD)["link"]["dhcp4"]["lease"]["address"]
    shown = system.dump()
    system.pull("eth1")
    wait_until(lambda: "old-1" not in system.links(), "the link stayed without its lower device")
    system.card("eth1")
    wait_until(lambda: is_complete(system, lease), f"no lease with the lower device back: {said(system)}")
    wait_until(lambda: check(system) == ("", 0), f"with the lower device back: {check(system)}")
    assert_equal(system.dump(), shown)


def test_link_gets_another_address(system: System) -> None:
    """Another MAC address is another host and gets another lease."""
    first = system.apply(MACVLAN, **OLD)["link"]["dhcp4"]["lease"]["address"]
    system.apply(MACVLAN, **{**OLD, "address": "00:16:3e:11:11:02"})
    wait_until(lambda: system.addresses("old-1") not in ([], [first]), f"the lease stayed: {said(system)}")
    (second,) = system.addresses("old-1")
    wait_until(lambda: is_complete(system, second), f"not all moved to {second}: {said(system)}")


def test_which_client(system: System) -> None:
    """networkd is the default if there is no other client and it supports the options. Other options are refused."""
    system.enter("sh", "-c", "for one in udhcpc dhclient dhcpcd; do rm $(command -v $one); done")
    plain = {name: value for name, value in OLD["dhcp4"].items() if name != "client"}
    refused = system.run(MACVLAN, **{**OLD, "dhcp4": {**plain, "client_id": "none"}})
    assert refused["msg"] == (
        "old-1: dhcp4: the only DHCP client of this host is systemd-networkd, which does not support these options: "
        "systemd-networkd always sends a client identifier. Set a client_id, such as mac, or install another client "
        "(Debian: apt install udhcpc or isc-dhcp-client or dhcpcd-base)"
    )
    done = system.apply(MACVLAN, **{**OLD, "dhcp4": plain})
    assert done["link"]["dhcp4"]["client"] == "networkd"
    again = system.apply(MACVLAN, **{**OLD, "dhcp4": plain})
    assert not again["changed"], again["operations"]
    refused = system.run(
        "patchbay.netdev.link",
        name="eth0",
        source_routing={"table": "106", "rule_priority": 1106},
        dhcp4={**plain, "client": "networkd"},
    )
    assert refused["msg"] == (
        "eth0: dhcp4: systemd-networkd manages the link already, as /etc/systemd/network/20-eth0.network configures. "
        "Set up DHCP there and omit dhcp4, or omit client"
    )


def test_many_clients(system: System) -> None:
    """22 links on one lower device have their own leases."""
    links = [
        {
            **{name: value for name, value in OLD.items() if name not in ("persist", "name")},
            "name": f"old-{number}",
            "address": f"00:16:3e:11:12:{number:02x}",
            "source_routing": {"table": str(200 + number), "rule_priority": 2000 + number},
            "dhcp4": OLD["dhcp4"],
        }
        for number in range(22)
    ]
    begun = time.monotonic()
    done = system.apply("patchbay.netdev.topology", macvlan=links, persist="replay")
    leases = {link["dhcp4"]["lease"]["address"].partition("/")[0] for link in done["links"] if link["name"].startswith("old-")}
    assert len(leases) == 22
    shown, took = system.dump(), time.monotonic() - begun
    again = system.apply("patchbay.netdev.topology", macvlan=links, persist="replay")
    assert not again["changed"], again["operations"]
    begun = time.monotonic()
    system.reboot()
    wait_until(lambda: leases <= {rule.get("src") for rule in system.ip("-4", "rule")}, f"not all came back: {said(system)}")
    print(f"22 links: {took:.1f} s, after a reboot {time.monotonic() - begun:.1f} s")
    wait_until(lambda: check(system) == ("", 0), f"after the reboot: {check(system)}")
    assert_equal(system.dump(), shown)
