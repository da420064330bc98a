# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole network in one task: created from nothing, from a partial and from a damaged one, and deleted."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import assert_unplanned, bridge_link, stay

SPACES = ("red", "green", "blue")
QUIET = {"address_generation_mode": "none"}  # no address that appears some time after its link
MODES = ("private", "vepa", "bridge", "source", "bridge")
Entry = dict[str, Any]


def mac(kind: int, number: int) -> str:
    """Return a MAC address for a link."""
    return f"02:00:00:00:{kind:02x}:{number:02x}"


def pair(number: int) -> Entry:
    """Return two pairs for each namespace. Each bridge gets one of them."""
    return {
        "name": f"p{number}",
        "address": mac(1, number),
        "controller": f"br{number % 2}",
        "admin_state": "up",
        **QUIET,
        "peer": {
            **QUIET,
            "name": f"in{number}",
            "netns": SPACES[number // 2],
            "address": mac(2, number),
            "mtu": 1400 + number,
            "admin_state": "up",
            "sysctls": {"ipv4.arp_ignore": 1, "ipv6.accept_ra": 0},
        },
    }


def macvlan(number: int) -> Entry:
    """Return macvlans here, in the namespaces, and on a bridge."""
    found: Entry = {
        "name": f"mv{number}",
        "lower_device": ("eth0", "br0")[number % 2],
        "mode": MODES[number // 2],
        "address": mac(3, number),
        "admin_state": ("up", "down")[number % 3 == 0],
        "alias": f"macvlan {number}",
        **QUIET,
    }
    if number % 4:
        found["netns"] = SPACES[number % 4 - 1]
    if found["mode"] == "source":
        found.update(source_addresses=[mac(9, number), mac(9, 0)])
    return found


def macvtap(number: int) -> Entry:
    """Return two macvtaps here, and two in namespaces."""
    found: Entry = {
        "name": f"mt{number}",
        "lower_device": "eth0",
        "mode": "bridge",
        "address": mac(4, number),
        "device_mode": "0660",
        "device_owner": str(4000 + number),
        "admin_state": "up",
        **QUIET,
    }
    if number >= 2:
        found["netns"] = SPACES[number - 2]
    return found


WANTED: dict[str, list[Entry]] = {
    "netns": [{"name": name} for name in SPACES],
    "bridge": [
        {"name": "br0", "address": mac(0, 0), "admin_state": "up", "ageing_time": 60, "multicast_snooping": False, **QUIET},
        {"name": "br1", "address": mac(0, 1), "admin_state": "up", "priority": 4096, **QUIET},
    ],
    "veth": [pair(number) for number in range(6)],
    "macvlan": [macvlan(number) for number in range(10)],
    "macvtap": [macvtap(number) for number in range(4)],
    "bridge_port": [
        {
            "port": f"p{number}",
            "hairpin": True,
            "learning": False,
            "isolated": number < 2,
            "cost": 10 + number,
            "priority": number,
        }
        for number in range(6)
    ],
}
ABSENT = {
    name: [{key: entry[key] for key in ("name", "netns") if key in entry} | {"state": "absent"} for entry in entries]
    for name, entries in WANTED.items()
    if name != "bridge_port"
}


@pytest.fixture(autouse=True)
def spaces(nodes: None) -> Iterator[None]:
    """Reserve device nodes, and delete all namespaces after the test."""
    yield
    for name in set(SPACES) & set(os.listdir("/run/netns")):
        ip("netns", "del", name)


def seen(host: Host) -> dict[str, Any]:
    """Return the state of all namespaces."""
    return dump([host.netns, "guest", *(name for name in SPACES if name in os.listdir("/run/netns"))])


def settle(host: Host, wanted: dict[str, list[Entry]]) -> list[str]:
    """Verify that check mode predicts the changes, and that a second run makes none. Return the operations."""
    before = seen(host)
    told = host.run("topology", check=True, **wanted)
    assert told.get("changed"), told
    assert_equal(seen(host), before, "check mode changed something")
    done = host.apply("topology", **wanted)
    assert done["operations"] == told["operations"]
    for promised, found in zip(told["links"], done["links"]):
        assert (promised is None) == (found is None)
        for name, value in (promised or {}).items():
            assert value is None or value == found[name], f"check mode promised {name} {value}, it became {found[name]}"
    stay(host, "topology", **wanted)
    return list(done["operations"])


def assert_built(host: Host) -> None:
    """Verify the network with ip, bridge and the file system."""
    for entry in WANTED["bridge"]:
        link = host.link(entry["name"])
        assert (link["linkinfo"]["info_kind"], link["address"], "UP" in link["flags"]) == ("bridge", entry["address"], True)
    for entry, port in zip(WANTED["veth"], WANTED["bridge_port"]):
        link, end = host.link(entry["name"]), entry["peer"]
        other = host.link(end["name"], end["netns"])
        assert (link["address"], link["master"], "UP" in link["flags"]) == (entry["address"], entry["controller"], True)
        assert (other["address"], other["mtu"], "UP" in other["flags"]) == (end["address"], end["mtu"], True)
        assert link["link_index"] == other["ifindex"]
        assert host.setting(f"ipv4/conf/{end['name']}/arp_ignore", end["netns"]) == "1"
        found = bridge_link(host, entry["name"])
        assert {name: found[name] for name in ("hairpin", "learning", "isolated", "cost", "priority")} == {
            name: value for name, value in port.items() if name != "port"
        }
    for entry in WANTED["macvlan"] + WANTED["macvtap"]:
        link = host.link(entry["name"], entry.get("netns"))
        assert link["address"] == entry["address"]
        assert link["linkinfo"]["info_data"]["mode"] == entry["mode"]
        assert ("UP" in link["flags"]) == (entry["admin_state"] == "up")
        assert link.get("ifalias") == entry.get("alias")
        assert link["link_index" if entry.get("netns") else "link"] in (
            host.link(entry["lower_device"])["ifindex"],
            entry["lower_device"],
        )
    for entry in WANTED["macvtap"]:
        node = os.stat(f"/dev/tap{host.link(entry['name'], entry.get('netns'))['ifindex']}")
        assert (stat.S_IMODE(node.st_mode), node.st_uid) == (0o660, int(entry["device_owner"]))


def test_from_nothing_and_back(host: Host) -> None:
    """One task creates the network, another one deletes it, and the kernel state before is restored."""
    before = seen(host)
    done = settle(host, WANTED)
    assert [sentence for sentence in done if sentence.startswith("create netns")] == [f"create netns {name}" for name in SPACES]
    assert sum(sentence.startswith("create ") for sentence in done) == 3 + 2 + 6 + 10 + 4
    assert_built(host)
    gone = settle(host, ABSENT)
    assert all(sentence.startswith("delete ") for sentence in gone)
    assert_equal(seen(host), before)


def test_from_a_partial_network(host: Host) -> None:
    """ip created a part of the network, some of it with other values."""
    ip("netns", "add", "green")
    host.ip("link", "add", "br1", "type", "bridge")
    host.ip("link", "add", "p2", "type", "veth", "peer", "name", "in2", "netns", "green")
    host.ip("link", "set", "p2", "master", "br1")  # br0 is declared
    host.ip("link", "add", "mv0", "link", "eth0", "type", "macvlan", "mode", "vepa")  # private is declared
    host.ip("link", "add", "mv2", "link", "eth0", "netns", "green", "type", "macvlan", "mode", "vepa")
    host.ip("link", "add", "mt0", "link", "eth0", "type", "macvtap", "mode", "bridge")
    stranger = host.link("mv0")["ifindex"]
    done = settle(host, WANTED)
    assert not [sentence for sentence in done if sentence.startswith("delete ")]
    assert sum(sentence.startswith("create ") for sentence in done) == 2 + 1 + 5 + 8 + 3
    assert_built(host)
    assert host.link("mv0")["ifindex"] == stranger, "it was changed, not made anew"


def test_from_a_damaged_network(host: Host) -> None:
    """Five objects are damaged, and exactly those are repaired."""
    host.apply("topology", **WANTED)
    ip("link", "del", "in4", netns="blue")  # and its peer p4
    ip("link", "del", "mv5", netns="red")
    host.ip("link", "set", "br1", "down")
    ip("link", "set", "in0", "down", netns="red")
    _bridge(host, "link", "set", "dev", "p1", "hairpin", "off", "cost", "99")
    host.ip("link", "set", "mv4", "address", mac(8, 8))
    host.ip("link", "set", "p3", "nomaster")
    os.chmod(f"/dev/tap{host.link('mt1')['ifindex']}", 0o600)
    done = settle(host, WANTED)
    assert_built(host)
    assert sorted(done) == [
        f"create mv5 in netns red: macvlan on br0, mode bridge, address {mac(3, 5)}, alias macvlan 5, "
        "address_generation_mode none, admin_state up",
        f"create p4: veth with peer in4 in netns blue, address {mac(1, 4)}, controller br0, address_generation_mode none, "
        "admin_state up, hairpin true, learning false, isolated false, priority 4, cost 14, "
        f"peer: address {mac(2, 4)}, mtu 1404",
        "set br1: admin_state down -> up",
        "set in0 in netns red: admin_state down -> up",
        "set in4 in netns blue: address_generation_mode none, ipv4.arp_ignore 1, ipv6.accept_ra 0, admin_state down -> up",
        "set mt1: device_mode 0600 -> 0660",
        f"set mv4: address {mac(8, 8)} -> {mac(3, 4)}",
        "set p1: hairpin false -> true, cost 99 -> 11",
        'set p3: controller "" -> br1, hairpin true, learning false, isolated false, priority 3, cost 13',
    ]


def test_damaged_one_by_one(host: Host) -> None:
    """Each damage alone is repaired."""
    host.apply("topology", **WANTED)
    whole = seen(host)
    for damage in (
        lambda: host.ip("link", "set", "br1", "down"),
        lambda: ip("link", "set", "in0", "down", netns="red"),
        lambda: _bridge(host, "link", "set", "dev", "p1", "hairpin", "off", "isolated", "off"),
        lambda: host.ip("link", "set", "mv4", "address", mac(8, 8)),
        lambda: host.ip("link", "set", "p3", "nomaster"),
    ):
        damage()
        assert seen(host) != whole
        assert settle(host, WANTED)
        assert_equal(seen(host), whole)


def _bridge(host: Host, *words: str) -> None:
    subprocess.run(["bridge", "-n", host.netns, *words], check=True)


def test_one_wrong_entry_changes_nothing(host: Host) -> None:
    """Not even the namespaces are created."""
    before = seen(host)
    wrong = {**WANTED, "macvtap": [*WANTED["macvtap"], {"name": "mt9", "netns": "red", "lower_device": "eth9"}]}
    message = (
        "mt9 in netns red: lower device eth9 does not exist in the namespace of the task. Available: br0, br1, eth0, eth1, mt0, "
        "mt1, mv0, mv4, mv8. Set another lower_device, or lower_device_netns, or create it first with the module of its kind"
    )
    predicted = host.run("topology", check=True, **wrong)
    assert_unplanned(predicted, message)
    assert (predicted["links"], predicted["routes"], predicted["rules"]) == ([], [], [])
    assert host.run("topology", **wrong)["msg"] == message
    assert_equal(seen(host), before)
