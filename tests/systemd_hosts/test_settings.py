# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sysctls that a network manager has no settings for are set at each boot."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd, _networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._values._sysctls import _RANGES
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import System, files, wait_until

pytestmark = pytest.mark.parametrize("manager", ["networkd", "networkmanager"])

OLD = {"name": "mv.0", "lower_device": "eth0", "mode": "bridge", "addresses": ["198.51.100.5/24"], "admin_state": "up"}
IPV6 = ["2001:db8:1::5/64"]
SETS = {"networkd": _networkd.OWN_SYSCTLS, "networkmanager": _networkmanager.OWN_SYSCTLS}


def settings(system: System, name: str) -> dict[str, int]:
    """Return the sysctls of a link that options support."""
    command = f"cd /proc/sys/net; grep --no-messages --with-filename --extended-regexp '^-?[0-9]+$' ipv?/conf/{name}/*; true"
    found = {}
    for line in system.enter("sh", "-c", command).splitlines():
        path, _colon, value = line.partition(":")
        family, _conf, _name, key = path.split("/")
        found[f"{family}.{key}"] = int(value)
    return {key: found[key] for key in _RANGES if key in found}


def others(system: System, name: str) -> dict[str, int]:
    """Return another value for each sysctl, except those that the manager sets itself or that disable IPv6."""
    found = {}
    for key, value in settings(system, name).items():
        low, high = _RANGES[key]
        if key not in SETS[system.manager] and key != "ipv6.disable_ipv6":
            found[key] = high if value != high else max(low, 0)
    return found


@pytest.mark.parametrize("addresses", [OLD["addresses"], [*OLD["addresses"], *IPV6]], ids=["ipv4", "both"])
def test_every_setting(system: System, addresses: list[str]) -> None:
    """All sysctls are set on a link that the manager creates and on one that it does not manage."""
    link: dict[str, Any] = {**OLD, "addresses": addresses}
    system.apply("patchbay.netdev.macvlan", **link)
    wanted = others(system, "mv.0")
    of_card = {key: value for key, value in others(system, "eth1").items() if key != "ipv6.forwarding"}
    assert len(wanted) > 25
    system.apply("patchbay.netdev.link", name="eth1", sysctls=of_card, persist=system.manager)
    system.apply("patchbay.netdev.macvlan", **link, sysctls=wanted, persist=system.manager)
    system.reboot()
    wait_until(lambda: "mv.0" in system.links() and system.addresses("mv.0") == OLD["addresses"], "it did not come back")
    assert {**settings(system, "mv.0"), **wanted} == settings(system, "mv.0")
    assert {**settings(system, "eth1"), **of_card} == settings(system, "eth1")
    again = system.apply("patchbay.netdev.macvlan", **link, sysctls=wanted, persist=system.manager)
    assert not again["changed"], again["operations"]
    assert system.failed_units() == []


def test_what_the_manager_sets(system: System) -> None:
    """The value that the manager sets itself is accepted as a declared value."""
    link: dict[str, Any] = {**OLD, "addresses": [*OLD["addresses"], *IPV6], "sysctls": SETS[system.manager]}
    system.apply("patchbay.netdev.macvlan", **link, persist=system.manager)
    system.reboot()
    wait_until(lambda: "mv.0" in system.links() and system.addresses("mv.0") == OLD["addresses"], "it did not come back")
    wait_until(
        lambda: {**settings(system, "mv.0"), **link["sysctls"]} == settings(system, "mv.0"), "it is not as the manager has it"
    )


def test_absent(system: System) -> None:
    """Nothing is left, also if the link stays and is no longer declared."""
    listed = files(system)
    link = {**OLD, "sysctls": {"ipv4.arp_notify": 1}}
    for gone in ({"persist": "none"}, {"state": "absent"}):
        system.apply("patchbay.netdev.macvlan", **link, persist=system.manager)
        assert any(line.startswith("/etc/sysctl.d/90-patchbay-mv.0.conf ") for line in files(system))
        system.apply("patchbay.netdev.macvlan", name="mv.0", **gone)
        assert files(system) == listed
