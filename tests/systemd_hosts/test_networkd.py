# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option dhcp4 with systemd-networkd as the client: the link is ours, its lease is networkd's, its rule is ours again."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import HOST, SWITCH, System, command_host, wait_until
from ansible_collections.patchbay.netdev.tests.systemd_hosts.test_dhcp4 import RANGE, SERVER, files, served
from ansible_collections.patchbay.netdev.tests.systemd_hosts.test_persist import check

__all__ = ["served"]  # a fixture

pytestmark = pytest.mark.parametrize("manager", ["networkd"])

MAC = "00:16:3e:11:11:01"
OLD: dict[str, Any] = {
    "name": "old-1",
    "lower_device": "eth1",
    "lower_device_state": "up",
    "mode": "bridge",
    "address": MAC,
    "admin_state": "up",
    "persist": "replay",
    "dhcp4": {"client": "networkd", "client_id": "mac", "table": "105", "rule_priority": 1105, "wait": 30},
}
MACVLAN = "patchbay.netdev.macvlan"
UNREACHABLE = {"type": "unreachable", "dst": "default", "metric": 4278198272}


def asked(**dhcp4: Any) -> dict[str, Any]:
    """The link, with other suboptions."""
    return {**OLD, "dhcp4": {**OLD["dhcp4"], **dhcp4}}


@pytest.fixture(autouse=True)
def server(switch: str) -> Iterator[None]:
    """On the switch."""
    serve(RANGE)
    yield
    stop_serving()


def serve(*options: str) -> None:
    """Start the server."""
    command_host("enter", SWITCH, "sh", "-c", f"{SERVER} {' '.join(options)}")


def stop_serving() -> None:
    """End it; it forgets its leases."""
    command_host(
        "enter", SWITCH, "sh", "-c", "kill $(cat /run/dnsmasq.pid); while [ -e /run/dnsmasq.pid ]; do :; done; rm /run/leases"
    )


def rules(system: System) -> list[str]:
    """From which addresses rules of the priority look into the table."""
    return [f"{rule['src']} {rule['table']}" for rule in system.ip("-4", "rule") if rule["priority"] == 1105]


def table(system: System) -> list[str]:
    """The routes of the table, without the unreachable default, which has to be there."""
    routes = system.ip("-4", "route", "show", "table", "105")
    assert any(UNREACHABLE.items() <= route.items() for route in routes), routes
    return sorted(f"{route['dst']} {route['prefsrc']}" for route in routes if route["type"] == "unicast")


def is_complete(system: System, address: str) -> bool:
    """Whether all is there that comes of a lease."""
    ip = address.partition("/")[0]
    return (
        system.addresses("old-1") == [address]
        and rules(system) == [f"{ip} 105"]
        and table(system) == [f"192.0.2.0/24 {ip}", f"192.0.2.1 {ip}", f"default {ip}"]
    )


def said(system: System) -> str:
    """What networkd and the watcher have said."""
    return system.enter("journalctl", "--no-pager", "-n", "60", "-u", "systemd-networkd", "-u", "patchbay-*")


@contextlib.contextmanager
def captured(what: str) -> Iterator[list[str]]:
    """What tcpdump sees on the switch meanwhile, a text for each packet."""
    command = [HOST, "enter", SWITCH, "timeout", "120", "tcpdump", "-i", "br0", "-lnevvv", what]
    packets: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "listening" in running.stderr.readline() + running.stderr.readline()
        yield packets
        (pid,) = re.findall(r"\d+", command_host("enter", SWITCH, "pidof", "tcpdump"))
        command_host("enter", SWITCH, "kill", "-INT", pid)
        text, _errors = running.communicate(timeout=10)
    packets += re.split(r"\n(?=\d\d:)", text)


def test_life(system: System) -> None:
    """It is started, comes back after a reboot with the same lease, and leaves nothing; the lower device is not touched."""
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
