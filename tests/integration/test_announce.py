# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Announcements: the frames on the wire, and the neighbor table of another kernel."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, enter, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import climb, stay

ETH_P_ALL = 3
MAC, NEW_MAC, STRANGER = "00:16:3e:11:11:01", "00:16:3e:11:11:02", "00:16:3e:99:99:99"
MV0 = {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "address": MAC, "admin_state": "up"}
V4, V6 = "192.0.2.1", "2001:db8::1"
BOTH = [f"{V4}/24", f"{V6}/64"]


class Wire:
    """Captures the frames that arrive at the other end of the cable."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened

    def announced(self) -> list[tuple[str, str]]:
        """Return (MAC, address) of the announcements since the last call. A malformed announcement fails the test."""
        found = []
        time.sleep(0.05)
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = self._socket.recv(4096, socket.MSG_DONTWAIT)
                claim = _arp(frame) or _advertisement(frame)
                if claim:
                    found.append(claim)
        return found


def _arp(frame: bytes) -> tuple[str, str] | None:
    """Return a gratuitous ARP request, byte by byte (RFC 826, RFC 5227): broadcast, with the same sender and target address."""
    if frame[12:14] != b"\x08\x06" or frame[28:32] != frame[38:42]:
        return None
    mac, own = frame[6:12], frame[28:32]
    assert frame[:42] == b"\xff" * 6 + mac + bytes.fromhex("0806000108000604 0001") + mac + own + bytes(6) + own
    return mac.hex(":"), socket.inet_ntop(socket.AF_INET, own)


def _advertisement(frame: bytes) -> tuple[str, str] | None:
    """Return an unsolicited neighbor advertisement, byte by byte (RFC 4861): to all nodes, not solicited, overriding."""
    if frame[12:14] != b"\x86\xdd" or frame[20] != 58 or frame[54] != 136:
        return None
    mac, source, target = frame[6:12], frame[22:38], frame[62:78]
    all_nodes = bytes.fromhex("ff02" + "00" * 13 + "01")
    assert frame[:22] == bytes.fromhex("333300000001") + mac + bytes.fromhex("86dd 60000000 0020 3a ff")
    assert (source, frame[38:54]) == (target, all_nodes)
    assert frame[54:56] + frame[58:62] == bytes.fromhex("8800 20000000")
    assert frame[78:86] == b"\x02\x01" + mac
    summed = sum(struct.unpack("!36H", source + all_nodes + struct.pack("!II", 32, 58) + frame[54:86]))
    while summed >> 16:
        summed = (summed & 0xFFFF) + (summed >> 16)
    assert summed == 0xFFFF, "the checksum is wrong"
    return mac.hex(":"), socket.inet_ntop(socket.AF_INET6, target)


@pytest.fixture
def wire(host: Host) -> Iterator[Wire]:
    """Open a socket in the namespace at the other end, which has addresses in the same subnets."""
    far = f"{host.netns}-wire"
    for address in ("192.0.2.254/24", "2001:db8::fe/64"):
        ip("address", "add", address, "dev", "eth0", netns=far)
    made: list[socket.socket] = []

    def open_there() -> None:
        enter(far)  # this moves only the current thread
        made.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
        made[0].bind(("eth0", ETH_P_ALL))

    visitor = threading.Thread(target=open_there)
    visitor.start()
    visitor.join()
    with made[0] as opened:
        yield Wire(opened)


def believed(host: Host, address: str) -> str | None:
    """Return the MAC address that the neighbor at the other end has for an address."""
    found = json.loads(ip("-j", "neigh", "show", address, "dev", "eth0", netns=f"{host.netns}-wire") or "[]")
    return found[0].get("lladdr") if found else None


def mistaken(host: Host) -> None:
    """Give the neighbor entries with another MAC address, as before a takeover."""
    for address in (V4, V6):
        entry = ("neigh", "replace", address, "lladdr", STRANGER, "nud", "stale", "dev", "eth0")
        ip(*entry, netns=f"{host.netns}-wire")


def assert_believed(host: Host, mac: str) -> None:
    """Verify that the neighbor has this MAC address for both addresses."""
    end = time.monotonic() + 2
    while (now := [believed(host, V4), believed(host, V6)]) != [mac, mac]:
        assert time.monotonic() < end, now
        time.sleep(0.02)


def test_new_link(host: Host, wire: Wire) -> None:
    """Each address of a new link is announced once from its MAC address, and the neighbor accepts it."""
    mistaken(host)
    wire.announced()
    wanted = {**MV0, "addresses": BOTH, "announce": True}
    told = host.run("macvlan", check=True, **wanted)
    assert wire.announced() == [], "check mode said something"
    done = host.apply("macvlan", **wanted)
    assert done["operations"] == told["operations"]
    assert done["operations"][1:] == [
        "wait for duplicate address detection on mv0: 2001:db8::1",
        "announce from mv0: 192.0.2.1, 2001:db8::1",
    ]
    assert sorted(wire.announced()) == [(MAC, V4), (MAC, V6)]
    assert_believed(host, MAC)
    stay(host, "macvlan", **wanted)
    assert wire.announced() == []


def test_not_requested(host: Host, wire: Wire) -> None:
    """Without the option nothing is announced, and neighbors keep their entries, because the kernel announces nothing itself."""
    mistaken(host)
    wire.announced()
    host.apply("macvlan", **MV0, addresses=BOTH)
    assert wire.announced() == []
    assert [believed(host, V4), believed(host, V6)] == [STRANGER, STRANGER]


def test_new_address(host: Host, wire: Wire) -> None:
    """Only the new addresses of an existing link are announced."""
    host.apply("macvlan", **MV0, addresses=["192.0.2.7/24", "2001:db8::7/64"])
    mistaken(host)
    wire.announced()
    climb(host, "macvlan", **MV0, addresses=[*BOTH, "192.0.2.7/24", "2001:db8::7/64"], announce=True)
    assert sorted(wire.announced()) == [(MAC, V4), (MAC, V6)]
    assert_believed(host, MAC)
    climb(host, "macvlan", **MV0, addresses=BOTH, announce=True)
    assert wire.announced() == [], "nothing is new when something goes"


def test_new_mac(host: Host, wire: Wire) -> None:
    """All addresses of a link with a new MAC address are announced, also those that the task omits."""
    mistaken(host)
    host.apply("macvlan", **MV0, addresses=BOTH, announce=True)
    assert_believed(host, MAC)
    wire.announced()
    done = climb(host, "macvlan", **{**MV0, "address": NEW_MAC}, announce=True)
    assert done["operations"][-1] == "announce from mv0: 192.0.2.1, 2001:db8::1"
    assert sorted(wire.announced()) == [(NEW_MAC, V4), (NEW_MAC, V6)]
    assert_believed(host, NEW_MAC)
    stay(host, "macvlan", **{**MV0, "address": NEW_MAC}, announce=True)
    assert wire.announced() == []


def test_link_set_up(host: Host, wire: Wire) -> None:
    """Nothing is announced while the link is down. All addresses are announced when it is set up."""
    down = {**MV0, "admin_state": "down", "addresses": BOTH, "announce": True}
    assert len(host.apply("macvlan", **down)["operations"]) == 1
    mistaken(host)
    assert wire.announced() == []
    climb(host, "macvlan", **{**down, "admin_state": "up"})
    assert sorted(wire.announced()) == [(MAC, V4), (MAC, V6)]
    assert_believed(host, MAC)


def test_recreated(host: Host, wire: Wire) -> None:
    """A recreated link announces its addresses."""
    host.apply("macvlan", **MV0, addresses=BOTH, announce=True)
    mistaken(host)
    wire.announced()
    again = {"name": "mv0", "lower_device": "eth0", "mode": "passthru", "recreate": "when_required", "announce": True}
    done = host.apply("macvlan", **again)
    mac = done["link"]["address"]
    assert sorted(wire.announced()) == [(mac, V4), (mac, V6)]
    assert_believed(host, mac)


def test_in_another_namespace(host: Host, wire: Wire) -> None:
    """The frames leave through the link in its namespace."""
    mistaken(host)
    wire.announced()
    wanted: dict[str, Any] = {**MV0, "netns": "guest", "addresses": BOTH, "announce": True}
    climb(host, "macvlan", **wanted)
    assert sorted(wire.announced()) == [(MAC, V4), (MAC, V6)]
    assert_believed(host, MAC)


def test_bridge(host: Host, wire: Wire) -> None:
    """A bridge announces through all ports, from its own MAC address."""
    entries = {"bridge": [{"name": "br0", "address": MAC, "admin_state": "up", "addresses": BOTH, "announce": True}]}
    host.apply(
        "topology", bridge_port=[{"port": "eth0", "bridge": "br0"}], bridge=[{"name": "br0", "address": MAC, "admin_state": "up"}]
    )
    mistaken(host)
    wire.announced()
    host.apply("topology", **entries)
    assert sorted(wire.announced()) == [(MAC, V4), (MAC, V6)]
    assert_believed(host, MAC)


def test_loopback(host: Host) -> None:
    """On lo, no frame is sent, and the task succeeds."""
    done = host.apply("link", name="lo", addresses=["192.0.2.77/32", "2001:db8::77/128"], announce=True)
    assert len(done["operations"]) == 1
