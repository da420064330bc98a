# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""address_probe: replies of no host, one host and two hosts, and neighbor tables that stay unchanged."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import (
    Host,
    dump,
    enter,
    ip,
    ip_batch,
    make_netns,
    remove_netns,
    run_in_child,
    settle,
)

V4, V6 = "192.0.2.25", "2001:db8::25"
OLD, SECOND = "00:16:3e:11:11:01", "00:16:3e:11:11:02"


@dataclass(frozen=True)
class Lan:
    """The switch that eth0 of the host is connected to, and the machines on it."""

    host: Host
    machines: tuple[str, ...] = ("old", "second")

    def turn_on(self, name: str, mac: str, *addresses: str) -> None:
        """Start a machine with these addresses."""
        make_netns(name)
        switch = f"{self.host.netns}-wire"
        ip_batch(f"link add {name} master br0 up type veth peer name eth0 address {mac} netns {name}", netns=switch)
        ip_batch("link set eth0 up", *(f"address add {one} dev eth0" for one in addresses), netns=name)
        settle("eth0", name)

    def ask(self, *addresses: str, link: str = "eth0", check: bool = False, **more: object) -> dict[str, list[str]]:
        """Return the result of the module, which never reports a change."""
        given = {"link": link, "addresses": list(addresses), "timeout": 0.4, "count": 2, **more}
        result = self.host.run("address_probe", check=check, **given)
        assert not result.get("failed"), result
        assert result["changed"] is False
        return {one["address"]: one["macs"] for one in result["answers"]}


@pytest.fixture
def lan(host: Host) -> Iterator[Lan]:
    """Create the network without machines."""
    switch = f"{host.netns}-wire"
    ip_batch("link add br0 type bridge", "link set eth0 master br0", "link set br0 up", netns=switch)
    settle("br0", switch)
    made = Lan(host)
    yield made
    names = {line.split()[0] for line in ip("netns").splitlines()}
    remove_netns(*(name for name in made.machines if name in names))


def test_unused_addresses(lan: Lan) -> None:
    """The result has one entry for each address, in the order of the input, without repetitions."""
    lan.turn_on("old", OLD, "192.0.2.77/24")
    assert list(lan.ask(V6, V4, "192.0.2.77", f"{V4}/24").items()) == [(V6, []), (V4, []), ("192.0.2.77", [OLD])]


def test_one_host(lan: Lan) -> None:
    """One host replies in both families, in check mode too, and for an address with a prefix length."""
    lan.turn_on("old", OLD, f"{V4}/24", f"{V6}/64")
    for check in (False, True):
        assert lan.ask(V4, V6, check=check) == {V4: [OLD], V6: [OLD]}
    assert lan.ask(f"{V4}/24", "2001:DB8:0::25/64") == {V4: [OLD], V6: [OLD]}


def test_two_hosts(lan: Lan) -> None:
    """The result of a duplicate address lists both MAC addresses, sorted."""
    lan.turn_on("second", SECOND, f"{V4}/24", f"{V6}/64")
    lan.turn_on("old", OLD, f"{V4}/24", f"{V6}/64")
    assert lan.ask(V4, V6) == {V4: [OLD, SECOND], V6: [OLD, SECOND]}


def test_nothing_is_learned(lan: Lan) -> None:
    """No neighbor table contains the probed address or an own address, and links and sysctls are unchanged."""
    lan.turn_on("old", OLD, f"{V4}/24", f"{V6}/64")
    places = (lan.host.netns, "old")
    before = [dump(places), *(_neighbours(place, 4) for place in places), _neighbours(places[0], 6)]
    assert lan.ask(V4, V6) == {V4: [OLD], V6: [OLD]}
    assert [dump(places), *(_neighbours(place, 4) for place in places), _neighbours(places[0], 6)] == before


def _neighbours(netns: str, family: int) -> set[tuple[str, str]]:
    found = json.loads(ip(f"-{family}", "-j", "neigh", netns=netns) or "[]")
    return {(entry["dst"], entry.get("lladdr", "")) for entry in found}


def test_old_host_with_the_same_mac(lan: Lan) -> None:
    """If the old host still runs, the lower device receives its reply, the macvlan with its MAC address does not."""
    lan.turn_on("old", OLD, f"{V4}/24")
    moved = {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "address": OLD, "addresses": [f"{V4}/24"]}
    lan.host.apply("macvlan", **moved, admin_state="up")
    assert lan.ask(V4) == {V4: [OLD]}
    assert lan.ask(V4, link="mv0") == {V4: []}
    ip("-n", "old", "link", "set", "eth0", "down")
    assert lan.ask(V4) == {V4: []}, "the new host answered itself"


def test_port_of_a_bridge(lan: Lan) -> None:
    """Replies are received on a bridge port, although the bridge takes the frames of its ports."""
    lan.turn_on("old", OLD, f"{V4}/24", f"{V6}/64")
    lan.host.ip("link", "add", "br0", "type", "bridge")
    lan.host.ip("link", "set", "eth0", "master", "br0")
    lan.host.ip("link", "set", "br0", "up")
    settle("br0", lan.host.netns)
    for link in ("eth0", "br0"):
        assert lan.ask(V4, V6, link=link) == {V4: [OLD], V6: [OLD]}


def test_without_ipv6_on_the_link(lan: Lan) -> None:
    """Without a link-local address, the probe has no source address, and the reply goes to all nodes."""
    lan.turn_on("old", OLD, f"{V4}/24", f"{V6}/64")
    lan.host.apply("link", name="eth0", sysctls={"ipv6.disable_ipv6": 1})
    assert lan.ask(V4, V6) == {V4: [OLD], V6: [OLD]}


def test_in_another_namespace(lan: Lan) -> None:
    """The probe is sent on the link of the given namespace."""
    lan.turn_on("old", OLD, f"{V4}/24")
    lan.turn_on("second", SECOND, "192.0.2.1/24")
    assert lan.ask(V4, netns="second") == {V4: [OLD]}
    assert lan.ask("192.0.2.1", netns="/run/netns/old") == {"192.0.2.1": [SECOND]}


REFUSALS = {
    "no link": ({"link": "eth7"}, "eth7 does not exist, so it cannot be probed. Correct the name"),
    "down": ({"link": "eth1"}, "eth1 is down, so it cannot be probed. Set admin_state: up first"),
    "no carrier": (
        {"link": "eth0"},
        "eth0 has no carrier, so it cannot be probed. Check the cable and the other end",
    ),
    "no Ethernet": ({"link": "lo"}, "lo: it is not an Ethernet link, so it cannot be probed. Choose another link"),
    "no address": ({"addresses": ["192.0.2"]}, "addresses: '192.0.2' is not an IP address"),
    "of no host": ({"addresses": ["224.0.0.1"]}, "addresses: 224.0.0.1 cannot be the address of a link"),
    "no time": ({"timeout": 0}, "timeout: 0 is not greater than 0 and at most 60"),
    "no question": ({"count": 0}, "count: 0 is not greater than 0 and at most 100"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused(host: Host, name: str) -> None:
    """Invalid options fail with a complete message."""
    given, told = REFUSALS[name]
    host.ip("link", "set", "eth1", "down")
    if name == "no carrier":
        _pull_out(host)
    result = host.run("address_probe", **{"link": "eth0", "addresses": [V4], "timeout": 0.1, "count": 1, **given})
    assert result.get("failed")
    assert result["msg"] == told


def _pull_out(host: Host) -> str:
    """Set the peer of eth0 down. The kernel reports the lost carrier some time later."""
    far = f"{host.netns}-wire"
    ip("link", "set", "eth0", "down", netns=far)
    end = time.monotonic() + 5
    while host.link("eth0")["operstate"] == "UP":
        assert time.monotonic() < end, "eth0 keeps its carrier"
        time.sleep(0.02)
    return far


def test_carrier_that_comes(host: Host) -> None:
    """The module waits for the carrier of a link for as long as it waits for a reply."""
    far = _pull_out(host)
    with subprocess.Popen(["sh", "-c", f"sleep 0.3; exec ip -n {far} link set eth0 up"]) as later:
        result = host.run("address_probe", link="eth0", addresses=[V4], timeout=5, count=1)
    assert later.returncode == 0
    assert result.get("answers") == [{"address": V4, "macs": []}]


def test_carrier_that_goes(host: Host) -> None:
    """A lost carrier is an error, not a missing reply."""
    with subprocess.Popen(["sh", "-c", f"sleep 0.5; exec ip -n {host.netns}-wire link set eth0 down"]):
        result = host.run("address_probe", link="eth0", addresses=[V4], timeout=3, count=1)
    assert result.get("msg") == REFUSALS["no carrier"][1]


def test_without_privileges(host: Host) -> None:
    """The message names the missing privilege and how to get it."""

    def come_as_nobody() -> None:
        enter(host.netns)
        os.setresuid(65534, 65534, 65534)

    result = run_in_child(come_as_nobody, "address_probe", {"link": "eth0", "addresses": [V4]}, check=False)
    assert result["msg"] == "eth0: only root can probe a link (CAP_NET_RAW is required). Set become: true"
