# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role host_consolidation with systemd and after a reboot: twenty old hosts, and a service in a namespace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.consolidation_network import (
    ENTRIES,
    OLD_HOSTS,
    SERVICE,
    Played,
    assert_answered,
    assert_replies,
    leased,
    network,
    wait_for_service,
)
from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import ADDRESS, System, check, files, wait_until

WEB = """
[Service]
ExecStart=sleep infinity
[Install]
WantedBy=multi-user.target
"""
WHO = """
[Service]
ExecStart=/usr/bin/python3 /root/service.py
[Install]
WantedBy=multi-user.target
"""
MAIL = {
    "host": "mail",
    "name": "old-mail",
    "lower_device": "eth1",
    "address": "00:16:3e:11:11:01",
    "addresses": ["192.0.2.101/24"],
    "gateway": "192.0.2.1",
    "services": ["web"],
}


def play(system: System, **variables: Any) -> Played:
    """Run the role, which must succeed."""
    role = {"ansible.builtin.import_role": {"name": "patchbay.netdev.host_consolidation"}}
    own = {f"host_consolidation_{name}": value for name, value in variables.items()}
    return Played(0, system.play([{**role, "vars": own}]))


def netns_of(system: System) -> str:
    """Return the name of the namespace that the service runs in, if it runs."""
    process = system.enter("systemctl", "show", "--property", "MainPID", "--value", "web.service").strip()
    assert process != "0"
    return system.enter("ip", "netns", "identify", process).strip()


@pytest.mark.parametrize("release", ["trixie"])
@pytest.mark.parametrize("manager", ["none"])
def test_service_of_an_old_host(system: System) -> None:
    """The service is moved, runs after a reboot, and is moved back when its old host is removed."""
    system.put("/etc/systemd/system/web.service", WEB)
    system.enter("sh", "-c", "systemctl enable --now web.service; ip link set eth1 up")
    assert netns_of(system) == ""
    moved: dict[str, Any] = {"hosts": [MAIL], "isolation": "netns"}
    play(system, **moved)
    assert netns_of(system) == "mail"
    assert play(system, **moved).recap["changed"] == 0
    system.reboot()
    wait_until(
        lambda: system.enter("systemctl", "show", "--property", "ActiveState", "web.service") == "ActiveState=active\n", "no web"
    )
    assert netns_of(system) == "mail"
    assert "192.0.2.101/24" in system.enter("ip", "-n", "mail", "address")
    assert play(system, **moved).recap["changed"] == 0
    play(system, state="absent", **moved)
    assert netns_of(system) == ""
    assert system.enter("ip", "netns") == ""


@pytest.fixture
def surrounded(switch: str, system: System) -> Iterator[System]:
    """Create a host with a default route of its manager and a service on all addresses, in the network of old hosts."""
    with network(announced=False):
        system.put("/etc/systemd/network/20-eth0.network.d/way-out.conf", "[Network]\nGateway=192.0.2.1\n")
        system.put("/root/service.py", SERVICE)
        system.put("/etc/systemd/system/who.service", WHO)
        system.enter("sh", "-c", "systemctl enable --now who.service; networkctl reload")
        wait_until(lambda: "default" in [route["dst"] for route in system.ip("route")], "there is no way out")
        yield system


def is_complete(system: System) -> bool:
    """Return whether each old host has its address and its rule, which is added later."""
    ruled = {rule["src"] for rule in system.ip("-4", "rule")}
    on_links = {item["local"] for link in system.ip("-4", "address") for item in link["addr_info"]}
    return ruled >= OLD_HOSTS.keys() and on_links >= OLD_HOSTS.keys()


def prove(system: System, since: float) -> float:
    """Verify newer leases, ARP replies, and MAC addresses of replies, and that the role makes no changes. Return its duration."""
    wait_for_service(system.name)
    assert leased(since) == OLD_HOSTS
    [card] = system.ip("link", "show", "dev", "eth0")
    owners = {**OLD_HOSTS, ADDRESS.partition("/")[0]: card["address"]}
    assert_answered(owners)
    assert_replies(owners, port=f"{system.name}-eth0")
    started = time.time()
    assert play(system, hosts=ENTRIES).recap["changed"] == 0
    return time.time() - started


@pytest.mark.parametrize("manager", ["networkd"])
def test_twenty_old_hosts(surrounded: System, capsys: pytest.CaptureFixture[str]) -> None:
    """One task requests twenty leases, each address is answered by its MAC address, also after a reboot, and nothing is left."""
    system = surrounded
    before, listed = system.dump(), files(system)
    started = time.time()
    assert len(play(system, hosts=ENTRIES).changed) == 1
    moved = time.time()
    again = prove(system, started)

    shown = system.dump()
    gone = time.time()
    system.reboot()
    running = time.time()
    wait_until(lambda: is_complete(system), f"not all is back: {system.enter('journalctl', '-b', '--no-pager', '-n', '60')}", 60)
    back = time.time()
    wait_until(lambda: check(system) == ("", 0), f"something is amiss: {check(system)}")
    assert system.failed_units() == []
    prove(system, gone)
    assert_equal(system.dump(), shown)
    with capsys.disabled():
        print(
            f"\n{len(OLD_HOSTS)} old hosts on {system.release}: moved in {moved - started:.1f} s, a second run {again:.1f} s; "
            f"after the word to reboot: systemd has started in {running - gone:.1f} s, all are back in {back - gone:.1f} s"
        )

    assert len(play(system, hosts=ENTRIES, state="absent").changed) == 1
    assert files(system) == listed
    assert_equal(system.dump(), before)
    system.reboot()
    assert "link1" not in system.links()
