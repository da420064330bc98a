# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of bridge ports on the real kernel, attaching and detaching, bridge_hairpin, and their errors."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, bring_up, dump
from ansible_collections.patchbay.netdev.tests.integration.ladder import (
    INFO_SLAVE_DATA,
    Case,
    Oracle,
    Rung,
    bridge_link,
    climb,
    nested,
    refuse,
    shown,
    stay,
    sysfs,
)

# linux/if_link.h: what iproute2 6.1 does not show
BRPORT_MAX_GROUPS, BRPORT_NEIGH_VLAN_SUPPRESS, BRPORT_MAB = 42, 43, 40


def port(name: str) -> Oracle:
    """Return a function that reads a value of eth1 from `ip -d link`."""
    return shown("eth1", "linkinfo", "info_slave_data", name)


def at_bridge(name: str) -> Oracle:
    """Return a function that reads a value of eth1 from `bridge -d link`."""
    return lambda host: bridge_link(host, "eth1")[name]


def by_number(attribute: int) -> Oracle:
    """Return a function that reads a netlink attribute by its number."""
    return lambda host: nested(host, "eth1", INFO_SLAVE_DATA, attribute)


def _both(of_ip: str, of_bridge: str = "") -> list[Oracle]:
    return [port(of_ip), at_bridge(of_bridge or of_ip)]


def _flag(default: bool, *reads: Oracle) -> list[Rung]:
    return [(value, read, value) for value in (not default, default) for read in reads[:1]] + [
        (not default, read, not default) for read in reads[1:]
    ]


LADDERS: dict[str, list[Rung]] = {
    "hairpin": _flag(False, *_both("hairpin")),
    "learning": _flag(True, *_both("learning")),
    "unicast_flood": _flag(True, *_both("flood")),
    "multicast_flood": _flag(True, *_both("mcast_flood")),
    "broadcast_flood": _flag(True, *_both("bcast_flood")),
    "isolated": _flag(False, *_both("isolated")),
    "locked": _flag(False, *_both("locked")),
    "neigh_suppress": _flag(False, *_both("neigh_suppress")),
    "proxy_arp": _flag(False, port("proxy_arp")),
    "proxy_arp_wifi": _flag(False, port("proxy_arp_wifi")),
    "bpdu_guard": _flag(False, *_both("guard")),
    "root_block": _flag(False, *_both("root_block")),
    "fast_leave": _flag(False, *_both("fastleave")),
    "multicast_to_unicast": _flag(False, *_both("mcast_to_unicast")),
    "vlan_tunnel": _flag(False, *_both("vlan_tunnel")),
    "mab": [(True, by_number(BRPORT_MAB), 1), (False, by_number(BRPORT_MAB), 0)],
    "neigh_vlan_suppress": [
        (True, by_number(BRPORT_NEIGH_VLAN_SUPPRESS), 1),
        (False, by_number(BRPORT_NEIGH_VLAN_SUPPRESS), 0),
    ],
    "multicast_max_groups": [(count, by_number(BRPORT_MAX_GROUPS), count) for count in (5, 70000, 0)],
    "multicast_router": [(value, port("multicast_router"), value) for value in (0, 2, 3, 1)],
    "priority": [(value, port("priority"), value) for value in (0, 63, 32)],
    "cost": [(value, port("cost"), value) for value in (1, 65535, 100)],
    "group_fwd_mask": [
        (value, port("group_fwd_mask"), seen) for value, seen in ((0x4000, "0x4000"), (0xFFFD, "0xfffd"), (0, "0"))
    ],
    "backup_port": [("eth0", port("backup_port"), "eth0"), ("", port("backup_port"), None)],
    "stp_state": [("disabled", port("state"), "disabled"), ("forwarding", port("state"), "forwarding")],
}
_NEEDED: dict[str, dict[str, Any]] = {"mab": {"locked": True}}


def bridges(host: Host, *ports: str) -> None:
    """Create two bridges, and attach these ports to the first one."""
    for number, name in enumerate(("br0", "br1")):
        host.ip("link", "add", name, "address", f"02:00:00:00:00:b{number}", "type", "bridge")
    for name in ports:
        host.ip("link", "set", name, "master", "br0")


# the kernel accepts the STP state only while the port is up: see test_refused
CLIMBS = [(option, state) for option in LADDERS for state in ("down", "up") if (option, state) != ("stp_state", "down")]


@pytest.mark.parametrize(("option", "state"), CLIMBS)
def test_setting(host: Host, option: str, state: str) -> None:
    """The port gets each value in turn and is then detached twice. The link itself does not change."""
    bridges(host, "eth1", *(["eth0"] if option == "backup_port" else []))
    host.ip("link", "set", "eth1", state)
    link = host.link("eth1")
    for value, read, expected in LADDERS[option]:
        params = {"port": "eth1", **_NEEDED.get(option, {}), option: value}
        if read(host) == expected:  # the same value again, read independently
            stay(host, "bridge_port", **params)
        else:
            climb(host, "bridge_port", **params)
        assert read(host) == expected
        _is_the_same(host, link)
    climb(host, "bridge_port", port="eth1", state="absent")
    assert "master" not in host.link("eth1")
    assert bridge_link(host, "eth1") == {}
    _is_the_same(host, link)
    stay(host, "bridge_port", port="eth1", state="absent")


def _is_the_same(host: Host, link: dict[str, Any]) -> None:
    now = host.link("eth1")
    assert (now["ifindex"], now["flags"], now["address"]) == (link["ifindex"], link["flags"], link["address"])


@pytest.mark.parametrize("option", [name for name in LADDERS if name != "backup_port"])
def test_attached_with_a_setting(host: Host, option: str) -> None:
    """A link is attached with the setting in one task, and again when it is moved to another bridge."""
    bridges(host)
    value, read, expected = LADDERS[option][0]
    params = {"port": "eth1", **_NEEDED.get(option, {}), option: value}
    link = host.link("eth1")
    for bridge in ("br0", "br1"):
        climb(host, "bridge_port", bridge=bridge, **params)
        assert host.link("eth1")["master"] == bridge
        assert read(host) == expected
        _is_the_same(host, link)
    stay(host, "bridge_port", **params)


@pytest.mark.parametrize("state", ["down", "up"])
def test_everything_at_once(host: Host, state: str) -> None:
    """The port is attached with all settings. Moved with half of them, the omitted settings have their defaults."""
    bridges(host, "eth0")
    bring_up("br0", host.netns)
    host.ip("link", "set", "eth1", state)
    values = {option: rungs[0][0] for option, rungs in LADDERS.items() if option not in ("learning", "stp_state")}
    if state == "up":
        values["stp_state"] = "disabled"
    climb(host, "bridge_port", port="eth1", bridge="br0", **values)
    for option in values:
        _value, read, expected = LADDERS[option][0]
        assert read(host) == expected, option
    kept = {option: values[option] for option in ("hairpin", "priority", "isolated", "multicast_max_groups")}
    climb(host, "bridge_port", port="eth1", bridge="br1", **kept)
    for option, rungs in LADDERS.items():
        if option not in ("cost", "stp_state"):
            _value, read, expected = rungs[0] if option in kept else _default(option)
            assert (read(host) or 0) == (expected or 0), option


def _default(option: str) -> Rung:
    rungs = LADDERS[option]
    if isinstance(rungs[0][0], bool):
        return next(rung for rung in rungs if rung[0] is not rungs[0][0])
    return rungs[-1]


def test_omitted_settings_stay(host: Host) -> None:
    """A setting of another program stays when another setting changes and when the same bridge is given again."""
    bridges(host, "eth1")
    host.ip("link", "set", "eth1", "type", "bridge_slave", "isolated", "on", "priority", "7", "cost", "55")
    climb(host, "bridge_port", port="eth1", bridge="br0", hairpin=True)
    found = host.link("eth1")["linkinfo"]["info_slave_data"]
    assert (found["isolated"], found["priority"], found["cost"], found["hairpin"]) == (True, 7, 55, True)


def watched(host: Host, work: Callable[[], object]) -> list[str]:
    """Return the output of `ip monitor link` during an action."""
    command = ["ip", "-n", host.netns, "-o", "monitor", "link"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None
        host.ip("link", "add", "begin", "type", "bridge")
        while "begin" not in monitor.stdout.readline():
            host.ip("link", "del", "begin")
            time.sleep(0.02)
            host.ip("link", "add", "begin", "type", "bridge")
        work()
        host.ip("link", "add", "end", "type", "bridge")
        lines = []
        while " end: " not in (line := monitor.stdout.readline()):
            lines.append(line)
        monitor.kill()
    return lines


def test_no_flap(host: Host) -> None:
    """No setting sets the port down or detaches it, not even temporarily."""
    bridges(host, "eth1", "eth0")
    host.ip("link", "set", "br0", "up")
    link = host.link("eth1")
    settings = {"hairpin": True, "learning": False, "isolated": True, "priority": 3, "cost": 9, "backup_port": "eth0"}

    def work() -> None:
        for _once_more in range(2):
            host.apply("bridge_port", port="eth1", bridge="br0", **settings)
        host.apply("bridge_port", port="eth1", hairpin=False)
        host.apply("bridge_hairpin", port="eth1", hairpin=True)

    lines = [line for line in watched(host, work) if " eth1@" in line or " eth1:" in line]
    assert lines, "the monitor saw nothing at all"
    assert all("master br0" in line and ",UP" in line.replace("<UP", ",UP") for line in lines), lines
    assert not any(line.startswith("Deleted") and "bridge" not in line for line in lines), lines
    now = host.link("eth1")
    assert (now["ifindex"], now["flags"], now["operstate"]) == (link["ifindex"], link["flags"], link["operstate"])


def test_aliases(host: Host) -> None:
    """The names of iproute2 are accepted."""
    bridges(host, "eth1")
    names = {
        "reflective_relay": True,
        "flood": False,
        "mcast_flood": False,
        "bcast_flood": False,
        "guard": True,
        "fastleave": True,
        "mcast_to_unicast": True,
        "mcast_router": 2,
        "mcast_max_groups": 3,
    }
    climb(host, "bridge_port", port="eth1", **names)
    found = bridge_link(host, "eth1")
    for name in ("flood", "mcast_flood", "bcast_flood", "guard", "fastleave", "mcast_to_unicast", "mcast_router"):
        assert found[name] == names[name], name
    assert found["hairpin"] is True
    assert by_number(BRPORT_MAX_GROUPS)(host) == 3


def test_in_another_namespace(host: Host) -> None:
    """Port and bridge are in another namespace."""
    host.ip("link", "set", "eth1", "netns", "guest")
    host.apply("bridge", name="br0", netns="guest")
    climb(host, "bridge_port", port="eth1", netns="guest", bridge="br0", isolated=True)
    found = host.link("eth1", "guest")
    assert (found["master"], found["linkinfo"]["info_slave_data"]["isolated"]) == ("br0", True)
    climb(host, "bridge_port", port="eth1", netns="guest", state="absent")


def test_macvlan_as_a_port(host: Host) -> None:
    """A link of another kind can be a port."""
    host.apply("bridge", name="br0")
    host.apply("macvlan", name="mv0", lower_device="eth0", mode="bridge")
    climb(host, "bridge_port", port="mv0", bridge="br0", learning=False)
    assert bridge_link(host, "mv0")["learning"] is False
    climb(host, "macvlan", name="mv0", controller="")
    assert bridge_link(host, "mv0") == {}


def test_mab_and_locked_together(host: Host) -> None:
    """The kernel requires locked to be set before mab and unset after it. One task can do either."""
    bridges(host, "eth1")
    climb(host, "bridge_port", port="eth1", mab=True, locked=True, learning=True)
    climb(host, "bridge_port", port="eth1", mab=False, locked=False)
    climb(host, "bridge_port", port="eth1", locked=True)
    climb(host, "bridge_port", port="eth1", mab=True)
    climb(host, "bridge_port", port="eth1", mab=False, locked=False, learning=False)


def test_moved_backup_port(host: Host) -> None:
    """A port that is moved is no longer a backup port, in the result as in the kernel."""
    bridges(host, "eth1", "eth0")
    climb(host, "bridge_port", port="eth1", backup_port="eth0")
    climb(host, "bridge_port", port="eth0", bridge="br1")
    assert port("backup_port")(host) is None
    climb(host, "bridge_port", port="eth1", bridge="br1", backup_port="eth0")


_ATTACHED = ("link add br0 type bridge", "link add br1 type bridge", "link set eth1 master br0")
_HAIRPIN_ON = (*_ATTACHED, "link set eth1 type bridge_slave hairpin on isolated on priority 9")


def _eth1(**params: Any) -> dict[str, Any]:
    return {"port": "eth1", **params}


CASES: dict[str, Case] = {
    "not a port, one bridge": Case(
        _eth1(hairpin=True),
        "eth1: it is not a bridge port, so hairpin cannot be set. Available bridges: br0. Attach it first "
        "(bridge_port: port=eth1 bridge=br0)",
        ip=("link add br0 type bridge",),
        awaits=True,
    ),
    "not a port, two bridges": Case(
        _eth1(isolated=True),
        "eth1: it is not a bridge port, so isolated cannot be set. Available bridges: br0, br1. Attach it first "
        "(bridge_port: port=eth1 bridge=br0)",
        ip=("link add br1 type bridge", "link add br0 type bridge"),
        awaits=True,
    ),
    "not a port, no bridge": Case(
        _eth1(hairpin=False),
        "eth1: it is not a bridge port, so hairpin cannot be set. There is no bridge in its namespace. "
        "Attach it first (bridge_port: port=eth1 bridge=BRIDGE)",
        awaits=True,
    ),
    "link missing": Case(
        {"port": "eth9", "hairpin": True},
        "eth9: the link does not exist. Create it with the module of its kind first, or use one of: eth0, eth1, lo",
        awaits=True,
    ),
    "bridge missing": Case(
        _eth1(bridge="br9"),
        "eth1: controller br9 does not exist in the namespace of the link. "
        "Create it first with the module bridge or vrf, or set another controller",
        awaits=True,
    ),
    "another bridge missing": Case(
        _eth1(bridge="br9", learning=False),
        "eth1: controller br9 does not exist in the namespace of the link. "
        "Create it first with the module bridge or vrf, or set another controller",
        ip=_HAIRPIN_ON,
        awaits=True,
    ),
    "no bridge": Case(
        _eth1(bridge="eth0"),
        "eth1: controller eth0 is a veth. Set controller to a bridge or a VRF (other kinds are not supported)",
        ip=_HAIRPIN_ON,
    ),
    "itself": Case(
        _eth1(bridge="eth1"),
        "eth1: a link cannot be attached to itself. Set another controller",
        ip=_HAIRPIN_ON,
    ),
    "loopback": Case(
        {"port": "lo", "bridge": "br0"},
        "lo: the loopback device cannot be a bridge port. Use a dummy or a veth",
        ip=_ATTACHED,
    ),
    "bridge in a bridge": Case(
        {"port": "br1", "bridge": "br0"},
        "br1: a bridge cannot be attached to a bridge, which the kernel refuses as a loop. Connect it to br0 with a veth pair",
        ip=_ATTACHED,
    ),
    "a bridge is no port": Case(
        {"port": "br0", "hairpin": True},
        "br0: a link of kind bridge cannot be a bridge port, so it has no hairpin. Omit hairpin",
        ip=_ATTACHED,
    ),
    "link with macvlans": Case(
        _eth1(bridge="br0"),
        "eth1: mv0 already receives from it, so it cannot be a bridge port. Use br0 as lower_device of mv0, or delete mv0 first",
        ip=("link add br0 type bridge",),
        tasks=(("macvlan", {"name": "mv0", "lower_device": "eth1"}),),
    ),
    "mab without locked": Case(
        _eth1(mab=True),
        "eth1: mab requires locked and learning. Set locked: true and learning: true",
        ip=_HAIRPIN_ON,
    ),
    "mab without learning": Case(
        _eth1(mab=True, locked=True, learning=False, bridge="br1"),
        "eth1: mab requires locked and learning. Set locked: true and learning: true",
        ip=_HAIRPIN_ON,
    ),
    "locked taken from mab": Case(
        _eth1(locked=False),
        "eth1: mab requires locked and learning. Set locked: true and learning: true",
        ip=_ATTACHED,
        tasks=(("bridge_port", _eth1(mab=True, locked=True)),),
    ),
    "learning taken from mab": Case(
        _eth1(learning=False),
        "eth1: mab requires locked and learning. Set locked: true and learning: true",
        ip=_ATTACHED,
        tasks=(("bridge_port", _eth1(mab=True, locked=True)),),
    ),
    "backup port that is no port": Case(
        _eth1(backup_port="eth0"),
        "eth1: backup_port eth0 is not another port of br0. Attach it first, or set another one",
        ip=_HAIRPIN_ON,
        awaits=True,
    ),
    "backup port of another bridge": Case(
        _eth1(backup_port="eth0"),
        "eth1: backup_port eth0 is not another port of br0. Attach it first, or set another one",
        ip=(*_HAIRPIN_ON, "link set eth0 master br1"),
        awaits=True,
    ),
    "backup port that is left behind": Case(
        _eth1(bridge="br1", backup_port="eth0"),
        "eth1: backup_port eth0 is not another port of br1. Attach it first, or set another one",
        ip=(*_HAIRPIN_ON, "link set eth0 master br0"),
        awaits=True,
    ),
    "backup port missing": Case(
        _eth1(backup_port="eth9"),
        "eth1: backup_port eth9 is not another port of br0. Attach it first, or set another one",
        ip=_HAIRPIN_ON,
        awaits=True,
    ),
    "backup port of itself": Case(
        _eth1(backup_port="eth1"),
        "eth1: a port cannot be its own backup_port. Set another one",
        ip=_HAIRPIN_ON,
    ),
    "stp_state with STP": Case(
        _eth1(stp_state="disabled"),
        "eth1: br0 runs STP, which sets stp_state itself. Set stp_state: false on the bridge",
        ip=(*_HAIRPIN_ON, "link set br0 type bridge stp_state 1", "link set br0 up"),
    ),
    "stp_state while down": Case(
        _eth1(stp_state="forwarding"),
        "eth1: stp_state can be set only while the port is up. Set admin_state: up",
        ip=(*_HAIRPIN_ON, "link set eth1 down"),
        awaits=True,
    ),
    "priority": Case(_eth1(priority=64, hairpin=True), "priority: 64 is not between 0 and 63", ip=_ATTACHED),
    "cost 0": Case(_eth1(cost=0), "cost: 0 is not between 1 and 65535", ip=_ATTACHED),
    "cost": Case(_eth1(cost=65536), "cost: 65536 is not between 1 and 65535", ip=_ATTACHED),
    "multicast_router": Case(_eth1(multicast_router=4), "multicast_router: 4 is not between 0 and 3", ip=_ATTACHED),
    "multicast_max_groups": Case(
        _eth1(multicast_max_groups=-1), "multicast_max_groups: -1 is not between 0 and 4294967295", ip=_ATTACHED
    ),
    "group_fwd_mask": Case(
        _eth1(group_fwd_mask=2), "group_fwd_mask: 0x2 sets bits of 0x2, which the kernel reserves", ip=_ATTACHED
    ),
    "empty bridge": Case(_eth1(bridge=""), "bridge: '' cannot be the name of a link: it is empty", ip=_ATTACHED),
    "namespace missing": Case(
        _eth1(netns="nowhere", hairpin=True),
        "There is no network namespace nowhere (/run/netns/nowhere does not exist). "
        "Correct the name, or create it first with the module netns",
        awaits=True,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_refused(host: Host, case: Case) -> None:
    """See refuse. A refused port stays attached and keeps its settings."""
    refuse(host, "bridge_port", case)


def test_in_sysfs_and_by_bridge(host: Host) -> None:
    """bridge_hairpin is set and unset under both names of the option, as sysfs and bridge show it."""
    bridges(host, "eth1")
    for name, bridge in (("hairpin", None), ("reflective_relay", "br0")):
        for value in (True, False):
            climb(host, "bridge_hairpin", port="eth1", bridge=bridge, **{name: value})
            assert sysfs(host, "eth1/brport/hairpin_mode") == str(int(value))
            assert bridge_link(host, "eth1")["hairpin"] is value


def test_hairpin_keeps_the_rest(host: Host) -> None:
    """Other settings of the port are unchanged."""
    bridges(host, "eth1")
    host.apply("bridge_port", port="eth1", isolated=True, priority=5)
    before = bridge_link(host, "eth1")
    climb(host, "bridge_hairpin", port="eth1", hairpin=True)
    assert bridge_link(host, "eth1") == {**before, "hairpin": True}


HAIRPIN_CASES: dict[str, Case] = {
    "another bridge": Case(
        _eth1(hairpin=True, bridge="br1"),
        "eth1: it is not a port of br1: it is attached to br0. Attach it first (bridge_port: port=eth1 bridge=br1)",
        ip=_ATTACHED,
        awaits=True,
    ),
    "no port, with a bridge": Case(
        _eth1(hairpin=True, bridge="br0"),
        "eth1: it is not a port of br0: it is not attached to any bridge. Attach it first (bridge_port: port=eth1 bridge=br0)",
        ip=_ATTACHED[:2],
        awaits=True,
    ),
    "no port": Case(
        _eth1(hairpin=True),
        "eth1: it is not a bridge port, so hairpin cannot be set. Available bridges: br0, br1. Attach it first "
        "(bridge_port: port=eth1 bridge=br0)",
        ip=_ATTACHED[:2],
        awaits=True,
    ),
    "link missing": Case(
        {"port": "eth9", "hairpin": True},
        "eth9: the link does not exist. Create it with the module of its kind first, or use one of: eth0, eth1, lo",
        awaits=True,
    ),
    "not written": Case(_eth1(), "missing required arguments: hairpin", ip=_ATTACHED),
}


@pytest.mark.parametrize("case", HAIRPIN_CASES.values(), ids=HAIRPIN_CASES)
def test_hairpin_refused(host: Host, case: Case) -> None:
    """See refuse."""
    refuse(host, "bridge_hairpin", case)


def test_merged_in_topology(host: Host) -> None:
    """Entries with the same link are merged."""
    done = host.apply(
        "topology",
        bridge=[{"name": "br0"}],
        link=[{"name": "eth1", "alias": "port of br0"}],
        bridge_port=[{"port": "eth1", "bridge": "br0", "isolated": True}, {"port": "eth1", "learning": False}],
    )
    assert done["operations"][0] == "create br0: bridge"
    found = host.link("eth1")
    assert (found["master"], found["ifalias"]) == ("br0", "port of br0")
    assert [found["linkinfo"]["info_slave_data"][name] for name in ("isolated", "learning")] == [True, False]
    before = dump([host.netns])
    refused = host.run("topology", bridge_port=[{"port": "eth1", "hairpin": True}, {"port": "eth1", "hairpin": False}])
    assert refused["msg"] == (
        "eth1: listed twice with different options: hairpin is true in bridge_port[0] (eth1) and false in bridge_port[1] (eth1). "
        "Set one value only"
    )
    assert_equal(dump([host.netns]), before)
