# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option dhcp4 under systemd: each client is a unit, which comes back with its link."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import System, command_host, wait_until
from ansible_collections.patchbay.netdev.tests.systemd_hosts.test_persist import check

SERVER = "dnsmasq --port=0 --interface=br0 --bind-interfaces --no-resolv --no-hosts --user=root --dhcp-authoritative --no-ping"
RANGE = "--dhcp-range=192.0.2.100,192.0.2.199,255.255.255.0,2m --dhcp-leasefile=/run/leases --pid-file=/run/dnsmasq.pid"
OLD: dict[str, Any] = {
    "name": "old-1",
    "lower_device": "eth1",
    "lower_device_state": "up",
    "mode": "bridge",
    "address": "00:16:3e:11:11:01",
    "admin_state": "up",
    "persist": "replay",
    "dhcp4": {"hostname": "oldhost", "table": "105", "rule_priority": 1105, "wait": 30},
}
UNIT = r"patchbay-dhcp@old\x2d1.service"


@pytest.fixture(scope="module", autouse=True)
def server(switch: str) -> Iterator[None]:
    """On the switch."""
    command_host("enter", switch, "sh", "-c", f"{SERVER} {RANGE}")
    yield
    command_host("enter", switch, "sh", "-c", "kill $(cat /run/dnsmasq.pid)")


@pytest.fixture
def served(system: System) -> System:
    """A host that has udhcpc, which is that of this machine."""
    place = system.root / "usr/local/sbin/udhcpc"
    shutil.copy("/usr/bin/busybox", place)
    return system


def state_of(system: System, what: str) -> str:
    """A property of the unit."""
    return system.enter("systemctl", "show", "--property", what, "--value", UNIT).strip()


def is_complete(system: System) -> bool:
    """Whether the lease is there, with its rule, which comes last."""
    return any(rule["priority"] == 1105 for rule in system.ip("-4", "rule")) and check(system) == ("", 0)


def files(system: System) -> str:
    """What is on the disk."""
    return system.enter(
        "sh", "-c", "find /etc /usr/local /var/lib/systemd -not -path '*/journal/*' -printf '%p %m %u %l\\n' | sort"
    )


def test_life(served: System) -> None:
    """It is started, comes back after a reboot with the same lease, and leaves nothing."""
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
    """systemd starts another one, and the lease stays meanwhile."""
    served.apply("patchbay.netdev.macvlan", **OLD)
    shown, process = served.dump(), state_of(served, "MainPID")
    served.enter("systemctl", "kill", "--signal", "KILL", UNIT)
    assert_equal(served.dump(), shown)
    wait_until(lambda: state_of(served, "MainPID") not in (process, "0"), "no other client was started")
    wait_until(lambda: check(served) == ("", 0), f"something is amiss: {check(served)}")
    assert_equal(served.dump(), shown)


@pytest.mark.parametrize("manager", ["none"])
def test_lower_device_comes_and_goes(served: System) -> None:
    """The link is made anew, and its client is started anew with it."""
    served.apply("patchbay.netdev.macvlan", **OLD)
    shown = served.dump()
    served.pull("eth1")
    wait_until(lambda: "old-1" not in served.links(), "the link stayed without its lower device")
    served.card("eth1")
    wait_until(lambda: is_complete(served), f"no lease with the lower device back: {check(served)}")
    assert_equal(served.dump(), shown)


@pytest.mark.parametrize("manager", ["none"])
def test_without_persist(served: System) -> None:
    """It ends with the boot."""
    served.apply("patchbay.netdev.macvlan", **{name: value for name, value in OLD.items() if name != "persist"})
    assert state_of(served, "ActiveState") == "active"
    served.reboot()
    assert state_of(served, "ActiveState") == "inactive"
    assert "old-1" not in served.links()
