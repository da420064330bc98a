# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`persist: replay` restores the state after a reboot, with each network manager."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import ADDRESS, System, check, pinged, wait_until

TOPOLOGY: dict[str, Any] = {
    "persist": "replay",
    "netns": [{"name": "blue"}],
    "bridge": [{"name": "br0", "address": "02:00:00:00:b0:00", "admin_state": "up", "priority": 4096}],
    "veth": [
        {
            "name": "va",
            "controller": "br0",
            "admin_state": "up",
            "peer": {"name": "vb", "netns": "blue", "addresses": ["10.0.0.2/24", "2001:db8::2/64"], "admin_state": "up"},
        }
    ],
    "macvlan": [
        {
            "name": f"mv-{mode}",
            "lower_device": "eth1",
            "mode": mode,
            "alias": f"one in mode {mode}",
            "admin_state": "up",
        }
        for mode in ("private", "vepa", "bridge", "source")
    ]
    + [
        {"name": "mv-pass", "lower_device": "eth2", "mode": "passthru", "admin_state": "up"},
        {
            "name": "old",
            "lower_device": "eth1",
            "lower_device_state": "up",
            "mode": "bridge",
            "address": "00:16:3e:11:11:01",
            "mtu": 1400,
            "addresses": ["198.51.100.5/24", "198.51.100.6/24", "2001:db8:1::5/64"],
            "sysctls": {"ipv4.arp_ignore": 1, "ipv6.accept_ra": 0},
            "admin_state": "up",
        },
    ],
    "link": [{"name": "eth2", "admin_state": "up"}],
    "bridge_port": [{"port": "va", "hairpin": True, "cost": 7}],
    "routes": [
        {"destination": "198.51.100.0/24", "link": "old", "table": "105"},
        {"destination": "default", "gateway": "198.51.100.1", "link": "old", "table": "105"},
        {"destination": "default", "type": "unreachable", "metric": 4278198272, "table": "105"},
        {"destination": "default", "gateway": "10.0.0.1", "netns": "blue"},
        {"destination": "2001:db8:7::/48", "gateway": "2001:db8::1", "netns": "blue"},
    ],
    "rules": [{"priority": 105, "from": "198.51.100.5", "table": "105"}],
}
IDENTITY = ("name", "destination", "table", "metric", "netns", "priority")
ABSENT = {
    kind: [{key: entry[key] for key in IDENTITY if key in entry} | {"state": "absent"} for entry in TOPOLOGY[kind]]
    for kind in ("netns", "bridge", "veth", "macvlan", "routes", "rules")
} | {"link": [{"name": "eth2", "persist": "none"}]}
KEPT_BY_ITSELF = re.compile(r"/var/lib/(systemd|NetworkManager|dbus)/|/etc/(adjtime|\.updated|\.pwd\.lock)")


@pytest.fixture
def declared(system: System) -> System:
    """Create a host with a third card and declare all objects on it."""
    system.card("eth2")
    system.enter("ip", "link", "set", "eth1", "up")
    system.apply("patchbay.netdev.topology", **TOPOLOGY)
    return system


def test_reboot(declared: System) -> None:
    """The state is equal after a reboot, no changes are left, and all units started."""
    assert check(declared) == ("", 0)
    before = declared.dump()
    declared.reboot()
    wait_until(lambda: check(declared) == ("", 0), f"after the reboot: {check(declared)}")
    assert declared.failed_units() == []
    assert_equal(declared.dump(), before)
    again = declared.apply("patchbay.netdev.topology", **TOPOLOGY)
    assert not again["changed"], again["operations"]


def test_absent(system: System) -> None:
    """Files and kernel state are as before the first run, and a reboot restores nothing."""

    def files() -> list[str]:
        """Return type, mode, owner, target and content of files in folders with configuration and local programs."""
        listed = "find /etc /usr/local /var/lib -printf '%p %y %m %u:%g %l\\n'"
        hashed = "find /etc /usr/local -type f -exec md5sum {} +"
        return sorted(
            line for line in system.enter("sh", "-c", f"{listed}; {hashed}").splitlines() if not KEPT_BY_ITSELF.search(line)
        )

    system.card("eth2")
    for name in ("eth1", "eth2"):
        system.enter("ip", "link", "set", name, "up")
    before, listed = system.dump(), files()
    system.apply("patchbay.netdev.topology", **TOPOLOGY)
    assert files() != listed
    system.apply("patchbay.netdev.topology", **ABSENT)
    assert files() == listed
    assert_equal(system.dump(), before)
    system.reboot()
    assert not {"old", "br0", "va"} & set(system.links())
    assert "blue" not in system.enter("ip", "netns")


@pytest.mark.parametrize("manager", ["none"])
def test_lower_device_comes_and_goes(declared: System) -> None:
    """The unit of the lower device recreates its links."""
    before = declared.dump()
    declared.pull("eth1")
    wait_until(lambda: "old" not in declared.links(), "the links stayed without their lower device")
    said, status = check(declared)
    assert status == 2
    assert "waiting" in said
    declared.card("eth1")
    wait_until(lambda: check(declared) == ("", 0), f"with its lower device back: {check(declared)}")
    assert_equal(declared.dump(), before)


def test_lower_device_flaps(declared: System) -> None:
    """The manager does not restore what the kernel deletes when a lower device is set down. The next run does, and reports it."""
    before = declared.dump()
    for state in ("down", "up"):
        declared.enter("ip", "link", "set", "eth1", state)
    said, status = check(declared)
    mended = declared.apply("patchbay.netdev.topology", **TOPOLOGY)
    assert mended["changed"] == (status == 2), (said, mended["operations"])
    assert check(declared) == ("", 0)
    assert_equal(declared.dump(), before)


def test_lower_device_never_falls_silent(system: System) -> None:
    """The device with the address of the host replies 20 times per second during all changes on it."""
    if system.manager == "none":
        system.enter("ip", "address", "add", ADDRESS, "dev", "eth0")
        system.enter("ip", "link", "set", "eth0", "up")
    on_it = {"lower_device": "eth0", "mode": "bridge", "persist": "replay", "admin_state": "up"}
    with pinged(system) as answers:
        for options in ({}, {"mtu": 1400, "addresses": ["198.51.100.5/24"]}, {"mode": "private", "recreate": "when_required"}):
            assert system.apply("patchbay.netdev.macvlan", name="mv0", **{**on_it, **options})["changed"]
        rules = [{"priority": 105, "from": "198.51.100.5", "table": "105"}]
        system.apply("patchbay.netdev.topology", persist="replay", rules=rules)
        system.apply("patchbay.netdev.macvlan", name="mv0", persist="none", lower_device="eth0")
        system.apply("patchbay.netdev.macvlan", name="mv0", state="absent")
        system.apply("patchbay.netdev.rule", priority=105, family="ipv4", state="absent")
    sent, received = answers
    assert sent > 50
    assert received == sent


def test_manager_is_restarted(declared: System) -> None:
    """No manager changes our objects."""
    service = {"networkd": "systemd-networkd", "networkmanager": "NetworkManager", "ifupdown": "networking"}
    if declared.manager in service:
        declared.enter("systemctl", "restart", service[declared.manager])
        declared.wait_for_address()
    assert check(declared) == ("", 0)


@pytest.mark.parametrize("manager", ["none"])
def test_drift(declared: System) -> None:
    """Manual changes are reported, and the unit reverts them."""
    declared.enter("ip", "link", "delete", "old")
    said, status = check(declared)
    assert status == 2
    assert "differs: to create old: macvlan on eth1" in said
    declared.enter("systemctl", "restart", "patchbay-replay")
    assert check(declared) == ("", 0)
    assert "create old" in declared.enter("journalctl", "--unit", "patchbay-replay", "--no-pager")
