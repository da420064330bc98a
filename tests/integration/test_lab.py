# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of playbooks/lab.yml: created, damaged in many ways, repaired, and deleted."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import stay

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = ROOT / "playbooks/lab.yml"
TASKS = yaml.safe_load(PLAYBOOK.read_text())[0]["tasks"]
BUILT, GONE = (task["patchbay.netdev.topology"] for task in TASKS if "patchbay.netdev.topology" in task)
del BUILT["persist"]  # a variable that only Ansible evaluates
SPACES = ("left", "right", "router")
TO_LEFT, TO_RIGHT = ("192.0.2.2", "2001:db8:1::2"), ("198.51.100.2", "2001:db8:2::2")


@pytest.fixture(autouse=True)
def spaces() -> Iterator[None]:
    """Delete all namespaces after the test."""
    yield
    for name in set(SPACES) & set(os.listdir("/run/netns")):
        ip("netns", "del", name)


def seen(host: Host) -> dict[str, Any]:
    """Return the state of all namespaces once no address is tentative."""
    names = [host.netns, "guest", *(name for name in SPACES if name in os.listdir("/run/netns"))]
    end = time.monotonic() + 10
    while any("tentative" in ip("address", netns=name) for name in names):
        assert time.monotonic() < end, "duplicate address detection does not end"
        time.sleep(0.05)
    return dump(names)


def hears(netns: str, address: str, seconds: int = 10) -> bool:
    """Return whether an address replies within the given time.

    A router that has no answer yet from a tentative address reports it as unreachable, which ends a ping: so it is repeated.
    """
    command = ["ip", "netns", "exec", netns, "ping", "-n", "-c", "1", "-W", "1", address]
    end = time.monotonic() + seconds
    while subprocess.run(command, capture_output=True, check=False).returncode:
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def assert_carries_traffic() -> None:
    """Verify the connection from one end to the other in both families."""
    for netns, addresses in (("left", TO_RIGHT), ("right", TO_LEFT)):
        for address in addresses:
            assert hears(netns, address), f"{netns} does not reach {address}"


def changes(result: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return (before, after) of each changed object in a diff, with only the differing parts."""
    found = {}
    for entry in result["diff"]:
        assert entry["before_header"] == entry["after_header"]
        before, after = entry["before"], entry["after"]
        if before != after and isinstance(before, dict):
            before, after = _rest(before, after), _rest(after, before)
        if before != after:
            found[entry["before_header"]] = (before, after)
    return found


def _rest(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if other.get(name) != value}


def test_from_nothing_and_back(host: Host) -> None:
    """One task creates the network, the next one makes no changes, and the last one restores the kernel state before."""
    before = seen(host)
    told = host.run("topology", check=True, **BUILT)
    assert told.get("changed"), told
    assert_equal(seen(host), before, "check mode changed something")
    done = host.apply("topology", **BUILT)
    assert done["operations"] == told["operations"]
    assert done.get("warnings", []) == []
    assert_carries_traffic()
    stay(host, "topology", **BUILT)
    gone = host.apply("topology", **GONE)
    assert len(gone["operations"]) == sum(len(entries) for entries in GONE.values())
    stay(host, "topology", **GONE)
    assert_equal(seen(host), before)


def test_each_entry_absent(host: Host) -> None:
    """Every object, including routes and rules, is deleted by its key. A second run makes no changes."""
    keys = ("name", "netns", "destination", "family", "table", "priority")
    absent = {name: [{key: entry[key] for key in keys if key in entry} for entry in entries] for name, entries in BUILT.items()}
    for entry, whole in zip(absent["routes"] + absent["rules"], BUILT["routes"] + BUILT["rules"]):
        addresses = [whole[key] for key in ("gateway", "destination", "to") if ":" in str(whole.get(key))]
        entry.setdefault("family", "ipv6" if addresses else "ipv4")
    before = seen(host)
    host.apply("topology", **BUILT)
    whole = seen(host)
    routing = {name: [{**entry, "state": "absent"} for entry in absent[name]] for name in ("routes", "rules")}
    done = host.apply("topology", **routing)
    assert len(done["operations"]) == len(BUILT["routes"]) + len(BUILT["rules"])
    assert not hears("left", TO_RIGHT[0], 1)
    stay(host, "topology", **routing)
    host.apply("topology", **BUILT)
    assert_equal(seen(host), whole)
    everything = {name: [{**entry, "state": "absent"} for entry in entries] for name, entries in absent.items()}
    host.apply("topology", **everything)
    stay(host, "topology", **everything)
    assert_equal(seen(host), before)


@dataclass(frozen=True)
class Damage:
    """A change by another program, the connections that it cuts, and the operations and the diff of its repair."""

    done: str  # a namespace, and the arguments of ip in it
    cut: tuple[str, str] | None  # pairs of a namespace and an address that it no longer reaches
    operations: list[str]
    diff: dict[str, tuple[Any, Any]]


ABSENT = {"state": "absent"}
GATEWAY = {"state": "present", "type": "unicast", "link": "eth0", "scope": "global", "onlink": False}
DIRECT = {"state": "present", "type": "unicast", "link": "to-right", "onlink": False}
RULE = {"state": "present", "to": "198.51.100.0/24", "iif": "to-left", "action": "lookup", "table": 100}
LEFT = ["192.0.2.2/24", {"ip": "2001:db8:1::2/64", "nodad": True}]
RIGHT = ["198.51.100.2/24", {"ip": "2001:db8:2::2/64", "nodad": True}]
ROUTER = ["198.51.100.1/24", {"ip": "2001:db8:2::1/64", "nodad": True}]
BACK_4 = "create route to 0.0.0.0/0 in netns {}: type unicast, gateway {}, link eth0"
BACK_6 = "create route to ::/0 in netns {}: type unicast, gateway {}, link eth0"

DAMAGES: dict[str, Damage] = {
    "address removed": Damage(  # the last IPv4 address: the kernel deletes the default route with it
        "left address del 192.0.2.2/24 dev eth0",
        ("left", TO_RIGHT[0]),
        ["set eth0 in netns left: addresses add 192.0.2.2/24", BACK_4.format("left", "192.0.2.1")],
        {
            "eth0 in netns left": ({"addresses": LEFT[1:]}, {"addresses": LEFT}),
            "route to 0.0.0.0/0 in netns left": (ABSENT, {**GATEWAY, "gateway": "192.0.2.1"}),
        },
    ),
    "address of IPv6 removed": Damage(
        "right address del 2001:db8:2::2/64 dev eth0",
        ("left", TO_RIGHT[1]),
        ["set eth0 in netns right: addresses add 2001:db8:2::2/64"],
        {"eth0 in netns right": ({"addresses": RIGHT[:1]}, {"addresses": RIGHT})},
    ),
    "route replaced": Damage(
        "left route replace default via 192.0.2.9",
        ("left", TO_RIGHT[0]),
        ["set route to 0.0.0.0/0 in netns left: gateway 192.0.2.9 -> 192.0.2.1"],
        {"route to 0.0.0.0/0 in netns left": ({"gateway": "192.0.2.9"}, {"gateway": "192.0.2.1"})},
    ),
    "route of IPv6 replaced": Damage(
        "router -6 route replace unreachable 2001:db8:2::/64 table 100",
        ("left", TO_RIGHT[1]),
        ["set route to 2001:db8:2::/64 table 100 in netns router: type unreachable -> unicast, link none -> to-right"],
        {
            "route to 2001:db8:2::/64 table 100 in netns router": (
                {"type": "unreachable"},
                {"type": "unicast", "link": "to-right"},
            )
        },
    ),
    "rule removed": Damage(  # without it, the main table has the same routes
        "router rule del pref 1000 iif to-left to 198.51.100.0/24 lookup 100",
        None,
        ["create IPv4 rule 1000 in netns router: to 198.51.100.0/24, iif to-left, action lookup, table 100"],
        {"IPv4 rule 1000 in netns router": (ABSENT, RULE)},
    ),
    "link down": Damage(  # the kernel deletes its routes and its IPv6 addresses
        "router link set to-right down",
        ("left", TO_RIGHT[0]),
        [
            "set to-right in netns router: admin_state down -> up, addresses add 2001:db8:2::1/64",
            "create route to 198.51.100.0/24 table 100 in netns router: type unicast, link to-right",
            "create route to 2001:db8:2::/64 table 100 in netns router: type unicast, link to-right",
        ],
        {
            "to-right in netns router": (
                {"admin_state": "down", "addresses": ROUTER[:1]},
                {"admin_state": "up", "addresses": ROUTER},
            ),
            "route to 198.51.100.0/24 table 100 in netns router": (ABSENT, {**DIRECT, "scope": "link"}),
            "route to 2001:db8:2::/64 table 100 in netns router": (ABSENT, {**DIRECT, "scope": "global"}),
        },
    ),
    "link of an end down": Damage(
        "right link set eth0 down",
        ("left", TO_RIGHT[1]),
        [
            "set eth0 in netns right: admin_state down -> up, addresses add 2001:db8:2::2/64",
            BACK_4.format("right", "198.51.100.1"),
            BACK_6.format("right", "2001:db8:2::1"),
        ],
        {
            "eth0 in netns right": (
                {"admin_state": "down", "addresses": RIGHT[:1]},
                {"admin_state": "up", "addresses": RIGHT},
            ),
            "route to 0.0.0.0/0 in netns right": (ABSENT, {**GATEWAY, "gateway": "198.51.100.1"}),
            "route to ::/0 in netns right": (ABSENT, {**GATEWAY, "gateway": "2001:db8:2::1"}),
        },
    ),
}


def damage(words: str) -> None:
    """Make the change."""
    netns, *rest = words.split()
    ip(*rest, netns=netns)


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged(host: Host, name: str) -> None:
    """Check mode names exactly this change, and one run restores the state before."""
    case = DAMAGES[name]
    host.apply("topology", **BUILT)
    whole = seen(host)
    damage(case.done)
    broken = seen(host)
    assert broken != whole
    if case.cut is not None:
        assert not hears(*case.cut, 1)
    told = host.run("topology", check=True, **BUILT)
    assert told["operations"] == case.operations
    assert changes(told) == case.diff
    assert_equal(seen(host), broken, "check mode changed something")
    done = host.apply("topology", **BUILT)
    assert done["operations"] == case.operations
    assert changes(done) == case.diff
    assert_carries_traffic()
    assert_equal(seen(host), whole)
    stay(host, "topology", **BUILT)


@pytest.mark.parametrize(
    ("netns", "name", "port", "routes"),
    [
        ("left", "eth0", "port-left", {"route to 0.0.0.0/0 in netns left", "route to ::/0 in netns left"}),
        (
            "router",
            "to-right",
            "router-right",
            {"route to 198.51.100.0/24 table 100 in netns router", "route to 2001:db8:2::/64 table 100 in netns router"},
        ),
    ],
)
def test_end_renamed(host: Host, netns: str, name: str, port: str, routes: set[str]) -> None:
    """A renamed end gets its name back without recreation, and keeps addresses, sysctls and routes."""
    host.apply("topology", **BUILT)
    whole = seen(host)
    ip("link", "set", name, "name", "lan0", netns=netns)
    for check in (True, False):
        result = host.run("topology", check=check, **BUILT)
        assert result["operations"] == [f"rename lan0 in netns {netns} to {name}"]
        found = changes(result)
        assert set(found) == {port, f"{name} in netns {netns}", f"lan0 in netns {netns}", *routes}
        assert found[port] == ({"peer": f"lan0 in netns {netns}"}, {"peer": f"{name} in netns {netns}"})
        assert {found[route] == ({"link": "lan0"}, {"link": name}) for route in routes} == {True}
        assert [found[f"{one} in netns {netns}"][side]["state"] for one, side in ((name, 0), ("lan0", 1))] == ["absent"] * 2
    assert_carries_traffic()
    assert_equal(seen(host), whole)
    stay(host, "topology", **BUILT)


def test_damaged_in_five_ways_at_once(host: Host) -> None:
    """One run repairs all changes."""
    host.apply("topology", **BUILT)
    whole = seen(host)
    for name in ("address removed", "route of IPv6 replaced", "rule removed", "link of an end down"):
        damage(DAMAGES[name].done)
    damage("router link set to-left name lan0")
    told = host.run("topology", check=True, **BUILT)
    done = host.apply("topology", **BUILT)
    assert done["operations"] == told["operations"]
    assert sorted(done["operations"]) == sorted(
        [
            "rename lan0 in netns router to to-left",
            *(
                sentence
                for name in ("address removed", "route of IPv6 replaced", "rule removed", "link of an end down")
                for sentence in DAMAGES[name].operations
            ),
        ]
    )
    assert_carries_traffic()
    assert_equal(seen(host), whole)


def test_forwarding_of_a_link_alone(host: Host) -> None:
    """For IPv6 the sysctl of the link is not sufficient, which the second run reports."""
    wanted = copy.deepcopy(BUILT)
    for pair in wanted["veth"]:
        pair["peer"].get("sysctls", {}).pop("ipv6.force_forwarding", None)
    host.apply("topology", **wanted)
    again = host.apply("topology", **wanted)
    told = (
        "{} in netns router: ipv6.forwarding = 1 has no effect while net.ipv6.conf.all.forwarding is 0. "
        "Set ipv6.force_forwarding: 1 as well (Linux 6.17 and later), or that of all links"
    )
    assert len(again["warnings"]) == 2
    assert all(told.format(link) in str(note) for link, note in zip(("to-left", "to-right"), again["warnings"]))
    assert hears("left", TO_RIGHT[0])
    assert not hears("left", TO_RIGHT[1], 2)
    ip("netns", "exec", "router", "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
    assert hears("left", TO_RIGHT[1])
    assert host.apply("topology", **wanted).get("warnings", []) == []


def played(host: Host, *words: str) -> dict[str, int]:
    """Run the playbook as in the README, and return the counts of its recap."""
    command = [sys.executable, "-m", "ansible", "playbook", str(PLAYBOOK), "--inventory", "new,", "--connection", "local"]
    more = ["--extra-vars", f"ansible_python_interpreter={sys.executable}", *words]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_NOCOLOR": "true"}
    done = subprocess.run(
        # not with "ip netns exec", whose mount namespace would hide the names of new namespaces
        ["nsenter", f"--net=/run/netns/{host.netns}", *command, *more],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recap = done.stdout.rpartition("new ")[2].split()
    return {name: int(count) for name, _equals, count in (word.partition("=") for word in recap) if count}


def test_playbook(host: Host) -> None:
    """The playbook is checked, run, checked again and run with absent."""
    before = seen(host)
    assert played(host, "--check", "--diff")["changed"] == 1
    assert_equal(seen(host), before, "check mode changed something")
    assert played(host)["changed"] == 1
    assert_carries_traffic()
    assert played(host, "--check", "--diff")["changed"] == 0
    assert played(host)["changed"] == 0
    assert played(host, "--extra-vars", json.dumps({"lab_state": "absent"}))["changed"] == 1
    assert_equal(seen(host), before)
