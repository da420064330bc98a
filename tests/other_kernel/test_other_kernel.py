# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine's kernel may not have: VLANs, VRFs, dummies, VLANs in bridges. And what an older one lacks, in words."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.filter.consolidation import consolidation
from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, ip, lasting
from ansible_collections.patchbay.netdev.tests.integration.ladder import (
    Case,
    Oracle,
    bridge_link,
    climb,
    common_ladders,
    data,
    flag,
    refuse,
    shown,
    stay,
    warnings,
)
from ansible_collections.patchbay.netdev.tests.other_kernel.conftest import links_and_addresses

# kind: required options of a new link
KINDS: dict[str, dict[str, Any]] = {
    "vlan": {"lower_device": "eth0", "id": 201},
    "vrf": {"table": 10},
    "dummy": {},
    "ipvlan": {"lower_device": "eth0", "mode": "l2"},
}
# Options of every link that one kind lacks: a VRF has no IPv6 link-local address, an ipvlan no MAC address of its own.
LACKS = {("vrf", "address_generation_mode"), ("ipvlan", "address")}


@pytest.mark.parametrize("kind", KINDS)
def test_options_of_every_link(host: Host, kind: str) -> None:
    """All options are set to their first value, then to the second one, because ladders take too long here."""
    ladders = {option: rungs for option, rungs in common_ladders("new0").items() if (kind, option) not in LACKS}
    for place in (0, 1):
        wanted = {option: rungs[place][0] for option, rungs in ladders.items()}
        climb(host, kind, name="new0", **KINDS[kind], **wanted)
        for option, rungs in ladders.items():
            _value, read, expected = rungs[place]
            assert read(host) == expected, option
        assert host.link("new0")["linkinfo"]["info_kind"] == kind
    climb(host, kind, name="new0", state="absent")
    assert host.link("new0") == {}


# kind, option: two values that can be set only at creation, and what the kernel must show for them
FIXED: dict[tuple[str, str], tuple[tuple[Any, Any], Oracle, tuple[Any, Any]]] = {
    ("vlan", "id"): ((1, 4094), data("new0", "id"), (1, 4094)),
    ("vlan", "protocol"): (("802.1ad", "802.1q"), data("new0", "protocol"), ("802.1ad", "802.1Q")),
    ("vlan", "lower_device"): (("eth0", "eth1"), shown("new0", "link"), ("eth0", "eth1")),
    ("vrf", "table"): ((1, 1000), data("new0", "table"), (1, 1000)),
    # this kernel does not report num_rx_queues (CONFIG_RPS), so that they cannot be verified
    **{(kind, "num_tx_queues"): ((3, 2), shown("new0", "num_tx_queues"), (3, 2)) for kind in KINDS},
}


@pytest.mark.parametrize(("kind", "option"), FIXED)
def test_fixed_at_creation(host: Host, kind: str, option: str) -> None:
    """Another value is refused with a message, or the link is recreated."""
    values, read, expected = FIXED[kind, option]
    climb(host, kind, name="new0", **{**KINDS[kind], option: values[0]})
    assert read(host) == expected[0]
    refused = host.run(kind, name="new0", **{option: values[1]})
    assert refused["msg"].startswith(f"new0: {option} {values[0]} -> {values[1]}: it is fixed when the link is created.")
    climb(host, kind, name="new0", recreate="when_required", **{option: values[1]})
    assert read(host) == expected[1]


def test_vlan_takes_the_lower_devices_mtu_and_address(host: Host) -> None:
    """Check mode predicts both. A given MAC address is used instead."""
    below = host.link("eth0")
    climb(host, "vlan", name="new0", lower_device="eth0", id=5)
    assert (host.link("new0")["mtu"], host.link("new0")["address"]) == (below["mtu"], below["address"])
    refused = host.run("vlan", name="new0", mtu=2000)
    assert refused["msg"].startswith("new0: mtu 2000 is above the MTU of its lower device eth0, which is 1500.")


@pytest.mark.parametrize("state", ["up", "require"])
def test_vlan_lower_device_state(host: Host, state: str) -> None:
    """up sets the lower device up in the same plan. require fails while it is down."""
    host.ip("link", "set", "eth1", "down")
    params = {"name": "new0", "lower_device": "eth1", "id": 5, "admin_state": "up", "lower_device_state": state}
    if state == "require":
        refuse(
            host,
            "vlan",
            Case(
                params,
                "new0: its lower device eth1 is down, but lower_device_state is require. "
                "Bring it up first, or set lower_device_state: up",
                awaits=True,
            ),
        )
    else:
        assert "set eth1: admin_state down -> up" in climb(host, "vlan", **params)["operations"]
        assert flag("eth1", "UP")(host)


def test_vlan_follows_its_lower_device(host: Host) -> None:
    """The kernel sets the VLAN up and down together with its lower device."""
    climb(host, "vlan", name="new0", lower_device="eth1", id=5)
    host.ip("link", "set", "eth1", "down")
    done = climb(host, "vlan", name="new0", admin_state="down", lower_device_state="up")
    assert done["operations"] == ["set eth1: admin_state down -> up", "set new0: admin_state up -> down"]
    climb(host, "link", name="new0", admin_state="up")
    done = climb(host, "link", name="eth1", admin_state="down")
    after = {entry["after_header"]: entry["after"].get("admin_state") for entry in done["diff"]}
    assert (after["eth1"], after["new0"]) == ("down", "down")
    assert "UP" not in host.link("new0")["flags"]


WITHOUT_SECRET = {"name": "eth1", "address_generation_mode": "stable_secret"}  # which the kernel refuses


def contents(*namespaces: str) -> dict[str, Any]:
    """Links, addresses and routes, without what the kernel adds at its own time."""
    found = links_and_addresses(namespaces)
    for link in (link for links in found.values() for link in links):
        link["addr_info"] = [address for address in link["addr_info"] if address["scope"] != "link"]
    for netns in namespaces:
        for family in ("-4", "-6"):
            routes = lasting(json.loads(ip(family, "-j", "route", "show", "table", "all", netns=netns)))
            found[f"{netns} {family}"] = [route for route in routes if route.get("protocol") != "kernel"]
    return found


def fill(host: Host, name: str, number: int, netns: str | None = None, table: str = "main") -> None:
    """Give a link addresses, and routes in a table, of both families."""
    netns = netns or host.netns
    ip("link", "set", name, "addrgenmode", "none", "up", netns=netns)
    ip("address", "flush", "dev", name, netns=netns)
    ip("address", "add", f"192.0.2.{16 * number + 1}/28", "dev", name, netns=netns)
    ip("address", "add", f"2001:db8:{number}::1/64", "dev", name, "nodad", netns=netns)
    ip("route", "add", f"198.51.100.{16 * number}/28", "dev", name, "table", table, netns=netns)
    ip("-6", "route", "add", f"2001:db8:1{number}::/64", "via", f"2001:db8:{number}::9", "table", table, netns=netns)


@pytest.mark.parametrize("change", [{"admin_state": "down"}, {"mtu": 1000}, {"mtu": 1400}], ids=str)
def test_links_above_are_rolled_back(host: Host, change: dict[str, Any]) -> None:
    """VLANs in a namespace that the task does not name have their addresses and routes again when the task fails."""
    for name, lower, lower_netns in (("outer", "eth0", host.netns), ("inner", "outer", "guest")):
        host.apply("vlan", name=name, netns="guest", lower_device=lower, lower_device_netns=lower_netns, id=5)
    fill(host, "outer", 0, "guest")
    fill(host, "inner", 1, "guest")
    before = contents(host.netns, "guest")
    failed = host.run("topology", link=[{"name": "eth0", **change}, WITHOUT_SECRET], allow_lockout=True)
    assert failed["msg"].startswith("set eth1: address_generation_mode "), failed
    assert failed["not_undone"] == []
    assert any(sentence.startswith("set eth0: ") for sentence in failed["undone"])
    assert_equal(contents(host.netns, "guest"), before, failed)


@pytest.mark.parametrize("step", ["attach", "detach", "delete"])
def test_link_of_a_vrf_is_rolled_back(host: Host, step: str) -> None:
    """The kernel takes a link down and up when a VRF gets or loses it, so that it loses its IPv6 addresses and its routes."""
    host.apply("topology", vrf=[{"name": "vrf0", "table": 10, "admin_state": "up"}], dummy=[{"name": "new0"}])
    if step != "attach":
        host.ip("link", "set", "new0", "master", "vrf0")
    fill(host, "new0", 0, table="main" if step == "attach" else "10")
    host.ip("route", "add", "203.0.113.0/24", "dev", "new0", "table", "77")
    before = contents(host.netns)
    task: dict[str, Any] = {
        "attach": {"link": [{"name": "new0", "controller": "vrf0"}, WITHOUT_SECRET]},
        "detach": {"link": [{"name": "new0", "controller": ""}, WITHOUT_SECRET]},
        "delete": {"vrf": [{"name": "vrf0", "state": "absent"}], "link": [WITHOUT_SECRET]},
    }[step]
    failed = host.run("topology", **task)
    assert failed["msg"].startswith("set eth1: address_generation_mode "), failed
    assert failed["not_undone"] == []
    assert any(" new0" in sentence for sentence in failed["undone"])
    assert_equal(contents(host.netns), before, failed)


def test_vlan_in_another_namespace(host: Host) -> None:
    """Link and lower device are in different namespaces."""
    climb(host, "vlan", name="new0", netns="guest", lower_device="eth0", lower_device_netns=host.netns, id=7)
    assert host.link("new0", "guest")["link_netnsid"] is not None
    assert host.link("new0") == {}


def test_links_on_links(host: Host) -> None:
    """A VLAN, a VLAN on it, and a macvlan on that one. A lower device of other links is not deleted."""
    climb(host, "vlan", name="outer", lower_device="eth0", id=5, protocol="802.1ad")
    climb(host, "vlan", name="inner", lower_device="outer", id=5)
    climb(host, "macvlan", name="mv0", lower_device="inner", mode="bridge")
    assert shown("mv0", "link")(host) == "inner"
    refused = host.run("vlan", name="inner", state="absent")
    assert refused["msg"].startswith("inner: mv0 sits on it and would be deleted with it")
    found = host.apply("link_info", name="inner")["links"][0]
    assert (found["kind"], found["lower_device"], found["id"]) == ("vlan", "outer", 5)


def test_new_dummy(host: Host) -> None:
    """The values that check mode predicts for a new dummy are those of the kernel."""
    done = climb(host, "dummy", name="new0")
    assert done["operations"] == ["create new0: dummy"]
    found = host.link("new0")
    assert "NOARP" in found["flags"]
    assert (found["mtu"], found["txqlen"], found["num_tx_queues"]) == (1500, 1000, 1)
    assert done["link"]["address"] == found["address"]


def test_dummy_below_others(host: Host) -> None:
    """A macvlan inherits the MTU of the dummy, a VLAN is created on it, and the dummy becomes a bridge port."""
    climb(host, "dummy", name="new0", mtu=1400, admin_state="up")
    climb(host, "macvlan", name="mv0", lower_device="new0", mode="bridge", admin_state="up")
    assert (shown("mv0", "link")(host), shown("mv0", "mtu")(host)) == ("new0", 1400)
    climb(host, "vlan", name="inner", lower_device="new0", id=5)
    refused = host.run("dummy", name="new0", state="absent")
    assert refused["msg"].startswith("new0: inner, mv0 sit on it and would be deleted with it")
    for kind, name in (("macvlan", "mv0"), ("vlan", "inner")):
        climb(host, kind, name=name, state="absent")
    host.apply("bridge", name="br0")
    climb(host, "bridge_port", port="new0", bridge="br0", hairpin=True)
    climb(host, "dummy", name="new0", state="absent")


def test_topology_in_one_task(host: Host) -> None:
    """A VLAN, the macvlan on it and its VRF are planned together."""
    tasks = {
        "vlan": [{"name": "new0", "lower_device": "eth0", "id": 5}],
        "vrf": [{"name": "vrf0", "table": 10, "admin_state": "up"}],
        "macvlan": [{"name": "mv0", "lower_device": "new0", "controller": "vrf0"}],
    }
    done = host.apply("topology", **tasks)
    assert done["changed"]
    assert (shown("mv0", "link")(host), shown("mv0", "master")(host)) == ("new0", "vrf0")
    for check in (True, False):
        assert not host.run("topology", check=check, **tasks)["changed"]


def test_link_in_a_vrf(host: Host) -> None:
    """A link is attached, detached, and moved from a bridge."""
    host.apply("vrf", name="vrf0", table=10, admin_state="up")
    host.apply("bridge", name="br0")
    for controller in ("vrf0", "br0", "vrf0", ""):
        climb(host, "link", name="eth1", controller=controller)
        assert shown("eth1", "master")(host) == (controller or None)
    climb(host, "vlan", name="new0", lower_device="eth0", id=5, controller="vrf0")
    climb(host, "vrf", name="vrf0", state="absent")
    assert shown("new0", "master")(host) is None


def furnished(host: Host, *commands: str) -> None:
    """Give new0 addresses of both families and a route by each of them, after these commands."""
    for command in (
        *commands,
        "link set new0 up",
        "address add 192.0.2.25/24 dev new0",
        "address add 2001:db8::25/64 dev new0 nodad",
        "route add 198.51.100.0/24 via 192.0.2.1 dev new0 table 77",
        "-6 route add 2001:db8:9::/48 via 2001:db8::1 dev new0 table 77",
        "neighbor add 192.0.2.99 lladdr 02:00:00:00:00:99 dev new0 nud permanent",
    ):
        host.ip(*command.split())


def kept(host: Host, name: str = "new0") -> dict[str, Any]:
    """Return what the link has of that."""
    return {
        "addresses": sorted(
            item["local"]
            for item in json.loads(host.ip("-j", "address", "show", "dev", name))[0]["addr_info"]
            if item["scope"] == "global"
        ),
        "routes": [
            route["dst"]
            for family in ("-4", "-6")
            for route in json.loads(host.ip(family, "-j", "route", "show", "table", "77", "dev", name))
        ],
        "neighbors": host.ip("neighbor", "show", "nud", "permanent", "dev", name).split()[:1],
    }


VRF_TASKS: dict[str, dict[str, Any]] = {
    "attach": {"link": [{"name": "new0", "controller": "vrf0"}]},
    "attach with addresses": {
        "link": [{"name": "new0", "controller": "vrf0", "addresses": ["192.0.2.25/24", "2001:db8::25/64", "2001:db8::26/64"]}]
    },
    "attach to a new one": {
        "vrf": [{"name": "vrf1", "table": 11, "admin_state": "up"}],
        "link": [{"name": "new0", "controller": "vrf1", "addresses": ["192.0.2.25/24", "2001:db8::25/64"]}],
    },
    "detach": {"link": [{"name": "new0", "controller": ""}]},
    "detach with addresses": {"link": [{"name": "new0", "controller": "", "addresses": ["192.0.2.25/24", "2001:db8::25/64"]}]},
    "delete": {"vrf": [{"name": "vrf0", "state": "absent"}]},
    "delete, with addresses": {
        "vrf": [{"name": "vrf0", "state": "absent"}],
        "link": [{"name": "new0", "addresses": ["192.0.2.25/24", "2001:db8::25/64"]}],
    },
}


@pytest.mark.parametrize("step", VRF_TASKS)
def test_contents_of_a_link_of_a_vrf(host: Host, step: str) -> None:
    """A VRF that gets or loses a link restarts it; one task is enough, and loses nothing."""
    attached = [] if "attach" in step else ["link set new0 master vrf0"]
    furnished(host, "link add new0 type dummy", "link add vrf0 type vrf table 10", "link set vrf0 up", *attached)
    before = kept(host)
    assert [len(items) for items in before.values()] == [2, 2, 1]
    task = VRF_TASKS[step]
    checked = host.run("topology", check=True, **task)
    done = host.apply("topology", **task)
    assert (done["operations"], warnings(done)) == (checked["operations"], [])
    for check in (True, False):
        assert host.run("topology", check=check, **task)["operations"] == []
    more = ["2001:db8::26"] if "2001:db8::26/64" in str(task) else []
    assert kept(host) == {**before, "addresses": sorted([*before["addresses"], *more])}


def test_macvlans_on_a_link_of_a_vrf(host: Host) -> None:
    """A VRF does not receive from its links, so they can be lower devices, before they are attached and afterwards."""
    host.apply("vrf", name="vrf0", table=10, admin_state="up")
    climb(host, "macvlan", name="mv0", lower_device="eth1", mode="bridge")
    climb(host, "link", name="eth1", controller="vrf0")
    climb(host, "macvlan", name="new0", lower_device="eth1", mode="bridge", admin_state="up")
    assert (shown("mv0", "link")(host), shown("new0", "link")(host)) == ("eth1", "eth1")
    climb(host, "macvlan", name="mv0", mtu=1400)


def test_link_leaves_a_bond(host: Host) -> None:
    """The bond takes the link down; one task is enough to bring it up again, and a task that does not say so is predicted."""
    for command in (
        "link add new0 type bond mode active-backup miimon 100",
        "link set eth1 down",
        "link set eth1 master new0",
        "link set new0 up",
    ):
        host.ip(*command.split())
    refuse(
        host,
        "link",
        Case(
            {"name": "eth0", "controller": "new0"},
            "eth0: controller new0 is a bond. Set controller to a bridge or a VRF (other kinds are not supported)",
        ),
    )
    done = climb(host, "link", name="eth1", controller="", admin_state="up")
    assert done["operations"] == [
        'set eth1: controller new0 -> "", admin_state up -> down',
        "set eth1: admin_state down -> up",
    ]
    assert "UP" in host.link("eth1")["flags"]
    for command in ("link set eth1 down", "link set eth1 master new0"):
        host.ip(*command.split())
    failed = host.run(
        "topology", link=[{"name": "eth1", "controller": ""}, {**WITHOUT_SECRET, "name": "eth0"}], allow_lockout=True
    )
    assert failed["not_undone"] == [], failed
    assert host.link("eth1")["master"] == "new0"
    climb(host, "link", name="eth1", controller="")
    assert "UP" not in host.link("eth1")["flags"]
    host.ip("link", "set", "eth1", "up")


def test_end_that_is_up_is_renamed(host: Host) -> None:
    """Linux before 6.2 renames no link that is up, so it goes down for a moment, and loses nothing."""
    furnished(host, "link add other0 type veth peer name new0", "link set other0 up")
    before = kept(host)
    done = climb(host, "veth", name="other0", peer={"name": "new1"})
    assert done["operations"][:3] == [
        "set new0: admin_state up -> down",
        "rename new0 to new1",
        "set new1: admin_state down -> up",
    ]
    assert kept(host, "new1") == before


def test_bridge_with_vlans(host: Host) -> None:
    """Both options are set on a new and on an existing bridge, also while it filters."""
    climb(host, "bridge", name="br0", vlan_filtering=True, vlan_default_pvid=5)
    for option, value in (
        ("vlan_default_pvid", 7),
        ("vlan_default_pvid", 0),
        ("vlan_filtering", False),
        ("vlan_filtering", True),
    ):
        climb(host, "bridge", name="br0", **{option: value})
        assert data("br0", option)(host) == value
    stay(host, "bridge", name="br0", vlan_filtering=True, vlan_default_pvid=0)


def test_port_with_vlans(host: Host) -> None:
    """A VLAN is a bridge port, with the setting that requires VLAN filtering."""
    host.apply("bridge", name="br0", vlan_filtering=True)
    host.apply("vlan", name="new0", lower_device="eth0", id=5)
    climb(host, "bridge_port", port="new0", bridge="br0", vlan_tunnel=True)
    assert bridge_link(host, "new0")["vlan_tunnel"]
    climb(host, "bridge_port", port="new0", vlan_tunnel=False)
    assert not bridge_link(host, "new0")["vlan_tunnel"]


V5 = ("vlan", {"name": "v5", "lower_device": "eth0", "id": 5})
VRF0 = ("vrf", {"name": "vrf0", "table": 10})
# tasks that run before, the refused task, its message, and the error of the kernel for the same ip command
REFUSED: dict[str, tuple[list[Any], Any, str, str, str]] = {
    "VLAN that is there": (
        [V5],
        ("vlan", {"name": "new0", "lower_device": "eth0", "id": 5}),
        "new0: v5 already has id 5 and protocol 802.1q on lower device eth0. Use that link, set another id, or delete v5 first",
        "link add new0 link eth0 type vlan id 5",
        "VLAN device already exists",
    ),
    "VLAN that is there, after another id": (
        [V5, ("vlan", {"name": "new0", "lower_device": "eth0", "id": 6})],
        ("vlan", {"name": "new0", "id": 5, "recreate": "when_required"}),
        "new0: v5 already has id 5 and protocol 802.1q on lower device eth0. Use that link, set another id, or delete v5 first",
        "link add new1 link eth0 type vlan id 5",
        "VLAN device already exists",
    ),
    "VLAN that is in another namespace": (
        [("vlan", {**V5[1], "netns": "guest", "lower_device_netns": "{here}"})],
        ("vlan", {"name": "new0", "lower_device": "eth0", "id": 5}),
        "create new0: vlan on eth0, id 5 failed: the kernel refused to create new0: 8021q: VLAN device already exists. "
        "A VLAN with that id on eth0 may be in a namespace that was not read. All changes were rolled back",
        "link add new0 link eth0 type vlan id 5",
        "VLAN device already exists",
    ),
    "VLAN up on a device that is down": (
        [("link", {"name": "eth1", "admin_state": "down"})],
        ("vlan", {"name": "new0", "lower_device": "eth1", "id": 5, "admin_state": "up"}),
        "new0: lower device eth1 is down, and the kernel brings no VLAN up on it. Set lower_device_state: up to bring "
        "it up as well",
        "link add new0 up link eth1 type vlan id 5",
        "Network is down",
    ),
    "VLAN comes up on a device that is down": (
        [("link", {"name": "eth1", "admin_state": "down"}), ("vlan", {"name": "new0", "lower_device": "eth1", "id": 5})],
        ("vlan", {"name": "new0", "admin_state": "up"}),
        "new0: lower device eth1 is down, and the kernel brings no VLAN up on it. Set lower_device_state: up to bring "
        "it up as well",
        "link set new0 up",
        "Network is down",
    ),
    "VRF in a VRF": (
        [VRF0, ("vrf", {"name": "vrf1", "table": 11})],
        ("vrf", {"name": "vrf1", "controller": "vrf0"}),
        "vrf1: a VRF cannot be attached to vrf0, because the kernel attaches it to no bridge and no VRF. Omit controller",
        "link set vrf1 master vrf0",
        "Can not enslave an L3 master device to a VRF",
    ),
    "VRF in a bridge": (
        [VRF0, ("bridge", {"name": "br0"})],
        ("vrf", {"name": "vrf0", "controller": "br0"}),
        "vrf0: a VRF cannot be attached to br0, because the kernel attaches it to no bridge and no VRF. Omit controller",
        "link set vrf0 master br0",
        "",
    ),
}


@pytest.mark.parametrize("title", REFUSED)
def test_refused(host: Host, title: str) -> None:
    """The whole message is compared, in check mode too unless only the kernel refuses. The kernel refuses the ip command too."""
    tasks, (module, params), told, command, kernel = REFUSED[title]
    for name, options in tasks:
        here = {option: host.netns if value == "{here}" else value for option, value in options.items()}
        host.apply(name, **here)
    refuse(host, module, Case(params, told))
    asked = subprocess.run(["ip", "-n", host.netns, *command.split()], capture_output=True, text=True, check=False)
    assert asked.returncode, "the kernel takes it"
    assert kernel in asked.stderr


def test_not_refused(host: Host) -> None:
    """Another protocol, lower device or ID is another VLAN. A lower device that the same task sets up is up."""
    host.apply(V5[0], **V5[1])
    host.apply("link", name="eth1", admin_state="down")
    vlans = [
        {"name": "new0", "lower_device": "eth0", "id": 5, "protocol": "802.1ad"},
        {"name": "new1", "lower_device": "eth1", "id": 5, "admin_state": "up"},
        {"name": "new2", "lower_device": "eth0", "id": 6},
    ]
    done = host.apply("topology", vlan=vlans, link=[{"name": "eth1", "admin_state": "up"}])
    assert done["changed"]
    assert flag("new1", "UP")(host)
    for name in ("new1", "eth1"):
        host.ip("link", "set", name, "down")
    again = {"vlan": [{"name": "new1", "admin_state": "up"}], "link": [{"name": "eth1", "admin_state": "up"}]}
    assert host.apply("topology", **again)["operations"][0] == "set eth1: admin_state down -> up"
    assert flag("new1", "UP")(host)
    moved = [{"name": "v5", "state": "absent"}, {"name": "new3", "lower_device": "eth0", "id": 5}]
    assert [operation.split(":")[0] for operation in host.apply("topology", vlan=moved)["operations"]] == [
        "delete v5",
        "create new3",
    ]


# module, options, and the message on a kernel that is older than the option
NEWER: dict[str, tuple[str, dict[str, Any], tuple[int, int], str]] = {
    "bc_cutoff": (
        "macvlan",
        {"name": "mv0", "lower_device": "eth0", "bc_cutoff": 5},
        (6, 4),
        "the kernel acknowledged all requests but did not apply this: set mv0: bc_cutoff 1 -> 5. All changes were rolled back",
    ),
    "multicast_max_groups": (
        "bridge_port",
        {"port": "eth1", "multicast_max_groups": 5},
        (6, 3),
        "eth1: this kernel has no multicast_max_groups for bridge ports (since Linux 6.3). Omit it",
    ),
    "neigh_vlan_suppress": (
        "bridge_port",
        {"port": "eth1", "neigh_vlan_suppress": True},
        (6, 4),
        "eth1: this kernel has no neigh_vlan_suppress for bridge ports (since Linux 6.4). Omit it",
    ),
    "mab": (
        "bridge_port",
        {"port": "eth1", "locked": True, "mab": True},
        (6, 2),
        "eth1: this kernel has no mab for bridge ports (since Linux 6.2). Omit it",
    ),
}


@pytest.mark.parametrize("option", NEWER)
def test_newer_than_the_kernel(host: Host, option: str) -> None:
    """An option that the kernel ignores fails with a message and is rolled back. A newer kernel applies it."""
    module, params, since, told = NEWER[option]
    if module == "bridge_port":
        host.apply("bridge", name="br0")
        host.apply("bridge_port", port="eth1", bridge="br0")
    before = links_and_addresses([host.netns])
    result = host.run(module, **params)
    if tuple(map(int, os.uname().release.split(".")[:2])) >= since:
        assert not result.get("failed"), result
    else:
        assert result["msg"] == told
        assert_equal(links_and_addresses([host.netns]), before)


def test_probe_of_a_vlan(host: Host) -> None:
    """A VLAN link probes in its VLAN, whose replies the lower device does not receive."""
    wire = f"{host.netns}-wire"
    try:
        for netns, address in ((host.netns, "192.0.2.1/24"), (wire, "192.0.2.25/24")):
            ip("link", "add", "v30", "link", "eth0", "type", "vlan", "id", "30", netns=netns)
            ip("address", "add", address, "dev", "v30", netns=netns)
            ip("link", "set", "v30", "up", netns=netns)
        # otherwise the lower device replies for the address of the VLAN too
        ip("netns", "exec", wire, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_ignore")
        there = host.link("v30", wire)["address"]
        probe = {"addresses": ["192.0.2.25"], "timeout": 3, "count": 1}
        assert host.run("address_probe", link="v30", **probe)["answers"] == [{"address": "192.0.2.25", "macs": [there]}]
        talk = ["ip", "netns", "exec", host.netns, "arping", "-q", "-w", "20", "-I", "v30", "192.0.2.25"]
        with subprocess.Popen(talk) as talking:
            assert host.run("address_probe", link="eth0", **probe)["answers"] == [{"address": "192.0.2.25", "macs": []}]
            assert talking.poll() is None, "nobody talked in the VLAN any more"
            talking.kill()
    finally:
        ip("link", "del", "v30", netns=wire)


OLD_HOSTS = [
    {"host": "mail", "name": "mail", "lower_device": "eth0", "address": "00:16:3e:11:11:01", "addresses": ["192.0.2.101/24"]},
    {"host": "print", "name": "print", "lower_device": "eth0", "address": "00:16:3e:11:11:03", "addresses": ["192.0.2.103/24"]},
]


def test_old_hosts_in_vrfs(host: Host) -> None:
    """What the role makes of its list is a topology that holds; each VRF has its own way out, and answers by it."""
    asked = [{**one, "gateway": "192.0.2.1"} for one in OLD_HOSTS]
    settings: dict[str, Any] = {
        "isolation": "vrf",
        "sysctls": {"ipv4.arp_ignore": 1},
        "sysctls_afterwards": {"ipv4.arp_ignore": 0},
    }
    lists = consolidation(asked, **settings)["topology"]
    host.apply("topology", **lists)
    for check in (True, False):
        again = host.run("topology", check=check, **lists)
        assert again.get("operations") == [], again
    wire = f"{host.netns}-wire"
    ip("address", "add", "192.0.2.9/24", "dev", "eth0", netns=wire)
    try:
        for one in OLD_HOSTS:
            assert shown(one["name"], "master")(host) == f"vrf-{one['name']}"
            table = str(0x1000000 + int(one["address"].replace(":", "")[6:], 16))
            assert f"default via 192.0.2.1 dev {one['name']}" in host.ip("route", "show", "table", table)
            address = one["addresses"][0].partition("/")[0]
            subprocess.run(["ip", "-n", wire, "neigh", "flush", "all"], check=True)
            subprocess.run(["ip", "netns", "exec", wire, "ping", "-c1", "-W3", address], check=True, capture_output=True)
            (seen,) = json.loads(ip("-j", "neigh", "show", address, netns=wire))
            assert seen["lladdr"] == one["address"]
    finally:
        ip("address", "del", "192.0.2.9/24", "dev", "eth0", netns=wire)
    gone = consolidation(asked, state="absent", **settings)["topology"]
    host.apply("topology", **gone)
    stay(host, "topology", **gone)
    assert host.ip("route", "show", "table", "all").count("unreachable default") == 0
