# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Source routing on the real kernel: its table and rules, each change of them, and the frames that leave by the link."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import climb, stay

MAC, ETH0 = "02:00:5e:00:00:07", {"4": "192.0.2.2", "6": "2001:db8::2"}
ADDRESSES = ["192.0.2.7/24", "2001:db8::7/64"]
LAST = "unreachable default dev lo metric 4278198272", "unreachable default metric 4278198272"
OPTIONS = {"table": 101, "rule_priority": 1001, "gateway": ["192.0.2.1", "2001:db8::1"]}
LINK = {
    "name": "mv0",
    "lower_device": "eth0",
    "mode": "bridge",
    "address": MAC,
    "addresses": ADDRESSES,
    "admin_state": "up",
    "wait_dad": 5,
    "source_routing": OPTIONS,
}


def table(host: Host, family: int, number: int = 101) -> list[str]:
    """The routes of a table, as `ip route` shows them, without what the kernel adds to each."""
    done = subprocess.run(
        ["ip", "-n", host.netns, f"-{family}", "route", "show", "table", str(number)],
        capture_output=True,
        text=True,
        check=False,  # a table that does not exist is an error
    )
    return sorted(
        re.sub(r" (pref medium|proto static|scope link|linkdown)", "", line).strip() for line in done.stdout.splitlines()
    )


def rules(host: Host, family: int, priority: int = 1001) -> list[tuple[str, str]]:
    """(selector, table) of the rules of a priority."""
    shown = json.loads(host.ip("-j", f"-{family}", "rule", "show"))
    return [(one.get("oif") or one["src"], one["table"]) for one in shown if one["priority"] == priority]


def in_main(host: Host) -> list[str]:
    """The routes of the main table that leave by the link."""
    shown = [line for family in ("-4", "-6") for line in host.ip(family, "route", "show", "dev", "mv0").splitlines()]
    return [line.split()[0] for line in shown if not line.startswith("fe80:")]


def test_ladder(host: Host) -> None:
    """Creation, each change, and removal; nothing is left of an earlier table or priority."""
    empty = dump([host.netns, "guest"])
    climb(host, "macvlan", **LINK)
    assert table(host, 4) == ["192.0.2.0/24 dev mv0 src 192.0.2.7", "default via 192.0.2.1 dev mv0", LAST[1]]
    assert table(host, 6) == [
        "2001:db8::/64 dev mv0 src 2001:db8::7 metric 1024",
        "default via 2001:db8::1 dev mv0 metric 1024",
        LAST[0],
    ]
    assert rules(host, 4) == [("mv0", "101"), ("192.0.2.7", "101")]
    assert rules(host, 6) == [("mv0", "101"), ("2001:db8::7", "101")]
    assert in_main(host) == []

    def change(**suboptions: Any) -> None:
        climb(host, "macvlan", name="mv0", source_routing={**OPTIONS, **suboptions})

    change(rule_priority=900)
    assert (rules(host, 4), rules(host, 6), len(rules(host, 4, 900))) == ([], [], 2)
    change(table=102)
    assert (table(host, 4), table(host, 6), len(table(host, 4, 102))) == ([], [], 3)
    assert rules(host, 4) == [("mv0", "102"), ("192.0.2.7", "102")]
    change(gateway=["192.0.2.9"])
    assert [line for line in table(host, 4) if line.startswith("default")] == ["default via 192.0.2.9 dev mv0"]
    assert [line for line in table(host, 6) if line.startswith("default")] == []
    further = [{"destination": "198.51.100.0/24", "gateway": "192.0.2.9"}, {"destination": "2001:db8:7::/48", "type": "prohibit"}]
    change(routes=further)
    assert "198.51.100.0/24 via 192.0.2.9 dev mv0" in table(host, 4)
    assert "prohibit 2001:db8:7::/48 dev lo metric 1024" in table(host, 6)
    change()
    assert len(table(host, 4)) == len(table(host, 6)) == 3
    change(connected_in_main=True)
    assert sorted(in_main(host)) == ["192.0.2.0/24", "2001:db8::/64"]
    assert len(table(host, 4)) == len(table(host, 6)) == 3
    change()
    assert in_main(host) == []
    other = {**OPTIONS, "gateway": ["203.0.113.1"]}
    climb(host, "macvlan", name="mv0", addresses=["203.0.113.7/24", "203.0.113.8/24"], source_routing=other)
    assert table(host, 4) == ["203.0.113.0/24 dev mv0 src 203.0.113.7", "default via 203.0.113.1 dev mv0", LAST[1]]
    assert rules(host, 4) == [("mv0", "101"), ("203.0.113.7", "101"), ("203.0.113.8", "101")]
    assert (table(host, 6), rules(host, 6)) == ([], [])
    climb(host, "macvlan", name="mv0", source_routing={})
    assert (table(host, 4), rules(host, 4), in_main(host)) == ([], [], ["203.0.113.0/24"])
    climb(host, "macvlan", name="mv0", addresses=ADDRESSES, source_routing=OPTIONS)
    climb(host, "macvlan", name="mv0", state="absent")
    assert_equal(dump([host.netns, "guest"]), empty)


def test_two_links(host: Host) -> None:
    """Both ends of a pair, at one priority; the one that is removed takes nothing of the other one along."""
    ends = {
        "name": "ve0",
        "admin_state": "up",
        "addresses": ["192.0.2.5/30"],
        "source_routing": {"table": 101, "rule_priority": 1001},
    }
    peer = {
        "name": "ve1",
        "admin_state": "up",
        "addresses": ["192.0.2.6/30"],
        "source_routing": {"table": 102, "rule_priority": 1001},
    }
    climb(host, "veth", **ends, peer=peer)
    assert rules(host, 4) == [("ve0", "101"), ("192.0.2.5", "101"), ("ve1", "102"), ("192.0.2.6", "102")]
    climb(host, "link", name="ve0", source_routing={})
    assert rules(host, 4) == [("ve1", "102"), ("192.0.2.6", "102")]
    assert (table(host, 4), len(table(host, 4, 102))) == ([], 2)
    result = host.run("link", name="ve0", source_routing={"table": 102, "rule_priority": 1002})
    assert result["msg"] == "ve0: source_routing: table 102 is already the table of ve1. Set another table"


def test_of_others(host: Host) -> None:
    """Rules and routes of other programs stay, in their order, also at the same priority and in the same table."""
    climb(host, "macvlan", **LINK)
    for words in ("from 198.51.100.1 table 101", "fwmark 5 table 101", "from 192.0.2.7 to 10.0.0.0/8 table 102"):
        host.ip("rule", "add", "pref", "1001", *words.split())
    host.ip("route", "add", "203.0.113.0/24", "dev", "mv0", "table", "101")
    stay(host, "macvlan", **LINK)
    climb(host, "macvlan", name="mv0", source_routing={})
    assert [one for one, _table in rules(host, 4)] == ["198.51.100.1", "all", "192.0.2.7"]
    assert table(host, 4) == ["203.0.113.0/24 dev mv0"]


def test_repaired(host: Host) -> None:
    """What is deleted by hand is restored, and another rule or route in its place is corrected."""
    climb(host, "macvlan", **LINK)
    whole = dump([host.netns])
    host.ip("rule", "del", "pref", "1001", "oif", "mv0")
    host.ip("-6", "route", "flush", "table", "101")
    host.ip("route", "replace", "default", "via", "192.0.2.3", "dev", "mv0", "table", "101", "proto", "static")
    climb(host, "macvlan", **LINK)
    assert rules(host, 4) == [("192.0.2.7", "101"), ("mv0", "101")]
    host.ip("rule", "del", "pref", "1001", "from", "192.0.2.7")
    climb(host, "macvlan", **LINK)
    assert_equal(dump([host.netns]), whole)


SEND = """
import socket, sys
destinations = (socket.AF_INET, sys.argv[1], "198.51.100.9"), (socket.AF_INET6, sys.argv[2], "2001:db8:7::9")
for family, source, destination in destinations:
    one = socket.socket(family, socket.SOCK_DGRAM)
    if source == "mv0":
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"mv0")
    else:
        one.bind((source, 0))
    one.sendto(b"?", (destination, 5353))
"""
CAPTURE = """
import socket
capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
capture.bind(("eth0", 0))
print("ready", flush=True)
while True:
    frame = capture.recv(2000)
    four = frame[12:14] == b"\\x08\\x00" and frame[23] == 17
    six = frame[12:14] == b"\\x86\\xdd" and frame[20] == 17
    if (four or six) and frame[-1:] == b"?":
        source = socket.inet_ntop(socket.AF_INET, frame[26:30]) if four else socket.inet_ntop(socket.AF_INET6, frame[22:38])
        print(frame[6:12].hex(":"), source, flush=True)
"""


def test_frames(host: Host) -> None:
    """Packets from an address of the link, or from a socket bound to it, leave with its MAC address, others with that of eth0."""
    for family, address in ETH0.items():
        length = "24" if family == "4" else "64"
        host.ip(f"-{family}", "address", "add", f"{address}/{length}", "dev", "eth0")
        host.ip(f"-{family}", "route", "add", "default", "via", address[:-1] + "1", "dev", "eth0")
    host.apply("macvlan", **LINK)
    gateway = json.loads(ip("-j", "link", "show", "dev", "eth0", netns=f"{host.netns}-wire"))[0]["address"]
    own = host.link("eth0")["address"]
    for link in ("eth0", "mv0"):
        for router in ("192.0.2.1", "2001:db8::1"):
            host.ip("neighbour", "replace", router, "lladdr", gateway, "dev", link, "nud", "permanent")
    words = ["ip", "netns", "exec", f"{host.netns}-wire", sys.executable, "-c", CAPTURE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as capture:
        assert capture.stdout is not None
        assert capture.stdout.readline() == "ready\n"

        def sent(*sources: str) -> list[str]:
            command = ["ip", "netns", "exec", host.netns, sys.executable, "-c", SEND, *sources]
            subprocess.run(command, check=True)
            return [capture.stdout.readline().strip() for _family in sources] if capture.stdout else []

        try:
            assert sent("192.0.2.7", "2001:db8::7") == [f"{MAC} 192.0.2.7", f"{MAC} 2001:db8::7"]
            assert sent("mv0", "mv0") == [f"{MAC} 192.0.2.7", f"{MAC} 2001:db8::7"]
            assert sent(*ETH0.values()) == [f"{own} {address}" for address in ETH0.values()]
        finally:
            capture.kill()
    host.ip("link", "set", "mv0", "down")
    done = subprocess.run(
        ["ip", "netns", "exec", host.netns, sys.executable, "-c", SEND, "192.0.2.7", "::"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "No route to host" in done.stderr, "a packet from the address of a link that is down leaves by another link"
