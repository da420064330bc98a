# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook reflective_relay: guests in mode vepa communicate through the switch, and their frames cross the cable twice."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal, hosts
from ansible_collections.patchbay.netdev.tests.integration.playbooks import Site

ONE, TWO, LAN = "192.0.2.101", "192.0.2.102", "192.0.2.1"
_numbers = itertools.count(1)


@pytest.fixture
def switch() -> Iterator[Site]:
    """Create a host with two cards, connected to a hypervisor with two guests and to another host."""
    made = Site(f"relay{next(_numbers)}")
    hosts("start", "wire", made.name)
    try:
        start(made)
        yield made
    finally:
        hosts("stop", "wire", made.name)


def start(switch: Site) -> None:
    """Connect the host, and set up the other ends."""
    switch.plug("eth0", "eth1")
    guests = "".join(
        f"ip netns add {name}; ip link add eth0 link uplink netns {name} type macvlan mode vepa;"
        f"ip -n {name} address add {address}/24 dev eth0; ip -n {name} link set eth0 up;"
        for name, address in (("one", ONE), ("two", TWO))
    )
    far(
        "set -- $(ls /sys/class/net | grep ^p | sort -V); ip link set $1 name uplink; ip link set uplink up;"
        "ip netns add lan; ip link set $2 netns lan; ip -n lan link set $2 name eth0;"
        f"ip -n lan link set eth0 up; ip -n lan address add {LAN}/24 dev eth0; {guests}"
    )


def far(command: str, check: bool = True) -> str:
    """Return the output of a shell command at the other ends of the cables."""
    return hosts("enter", "wire", "sh", "-euc", command, check=check).stdout


def reaches(netns: str, address: str, seconds: int = 5) -> bool:
    """Return whether a ping is answered."""
    return " 0% packet loss" in far(f"ip netns exec {netns} ping -n -c 1 -w {seconds} {address}", check=False)


def on_the_cable(netns: str, address: str) -> list[str]:
    """Return the frames of one ping on the cable of the hypervisor, in order."""
    # the neighbor entries exist by now, so no ARP requests are sent
    watch = "timeout 4 tcpdump -l -n -i uplink icmp 2>/dev/null"
    said = far(f"({watch} || :) & sleep 1; ip netns exec {netns} ping -n -c 1 -w 2 {address} >/dev/null; wait")
    return re.findall(r"echo (\w+)", said)


def assert_reflects() -> None:
    """Verify the connections between the guests through the switch, and to the host beyond it."""
    for netns, address in (("one", TWO), ("two", ONE), ("one", LAN), ("lan", TWO)):
        assert reaches(netns, address), (netns, address)
    assert on_the_cable("one", TWO) == ["request", "request", "reply", "reply"]
    assert on_the_cable("one", LAN) == ["request", "reply"]


def test_ladder(switch: Site) -> None:
    """The playbook creates and deletes the relay, as the other ends confirm."""
    disk, before = switch.disk(), switch.settled()
    assert not reaches("one", LAN, 1)
    switch.climb("reflective_relay", reflective_relay_persist="none")
    assert_reflects()
    plain = [{"port": "eth0", "hairpin": False}]
    assert switch.play("reflective_relay", reflective_relay_persist="none", reflective_relay_ports=plain) == 1
    assert reaches("one", LAN)
    assert not reaches("one", TWO, 1)
    switch.climb("reflective_relay", reflective_relay_persist="none", reflective_relay_state="absent")
    assert_equal(switch.disk(), disk)
    assert_equal(switch.settled(), before)


def test_reboot(switch: Site) -> None:
    """The example sets persist: replay."""
    disk = switch.disk()
    assert switch.play("reflective_relay") > 0
    hosts("restart", "wire", switch.name)
    start(switch)
    assert switch.replay()[0] == 0
    assert_reflects()
    assert switch.play("reflective_relay") == 0
    assert switch.play("reflective_relay", reflective_relay_state="absent") > 0
    assert not [path for path, found in switch.disk().items() if "replay.d/" in path and disk.get(path) != found]


def test_changed_port(switch: Site) -> None:
    """One run restores the settings of the port."""
    assert switch.play("reflective_relay") > 0
    switch.sh("ip link set eth0 type bridge_slave hairpin off; ip link set eth1 nomaster")
    assert switch.play("reflective_relay") == 1
    assert_reflects()
