# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of macvlan on the real kernel, with the ladder (check, apply, check, apply) for each value in turn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration import ladder
from ansible_collections.patchbay.netdev.tests.integration.host import Host, bring_up, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import (
    INFO_DATA,
    Oracle,
    Rung,
    climb,
    common_ladders,
    flag,
    nested,
    shown,
    stay,
    sysfs,
)

MAC1, MAC2, MAC3 = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"


def data(name: str) -> Oracle:
    """Return a function that reads an attribute of the kind."""
    return ladder.data("mv0", name)


def senders(host: Host) -> set[str]:
    """Return a function that reads the list of mode source."""
    return {item["mac"] if isinstance(item, dict) else item for item in host.kind_data("mv0").get("macaddr_data", [])}


def bc_cutoff(host: Host) -> int:
    """Return a function that reads IFLA_MACVLAN_BC_CUTOFF, which the kernel omits while it is 1."""
    found = nested(host, "mv0", INFO_DATA, 9)
    return 1 if found is None else found


# option: other required options, values to set in turn, and what the kernel must show for each value
LADDERS: dict[str, tuple[dict[str, Any], list[Rung]]] = {
    **{option: ({}, values) for option, values in common_ladders("mv0").items()},
    "mode": ({}, [(mode, data("mode"), mode) for mode in ("private", "vepa", "bridge", "source")]),
    "controller": (
        {},
        [("br0", shown("mv0", "master"), "br0"), ("br1", shown("mv0", "master"), "br1"), ("", shown("mv0", "master"), None)],
    ),
    "nopromisc": (
        {"mode": "passthru", "admin_state": "up"},
        [(True, data("nopromisc"), True), (False, data("nopromisc"), None)],
    ),
    "nodst": ({"mode": "source"}, [(True, data("nodst"), True), (False, data("nodst"), None)]),
    "source_addresses": (
        {"mode": "source"},
        [([MAC2, MAC1], senders, {MAC1, MAC2}), ([MAC3, MAC2], senders, {MAC2, MAC3}), ([], senders, set())],
    ),
    "bc_queue_len": ({}, [(500, data("bcqueuelen"), 500), (2000, data("bcqueuelen"), 2000)]),
    "bc_cutoff": ({}, [(0, bc_cutoff, 0), (-1, bc_cutoff, -1), (5, bc_cutoff, 5), (1, bc_cutoff, 1)]),
}


@pytest.mark.parametrize("others", ["down", "up"])
@pytest.mark.parametrize("option", LADDERS)
def test_option(host: Host, option: str, others: str) -> None:
    """The option is set at creation, changed to each other value, and the link is deleted twice."""
    for bridge in ("br0", "br1"):
        host.ip("link", "add", bridge, "type", "bridge")
    base, values = LADDERS[option]
    common = {"name": "mv0", "lower_device": "eth0", **({"admin_state": "up"} if others == "up" else {}), **base}
    for value, read, expected in values:
        climb(host, "macvlan", **{**common, option: value})
        assert read(host) == expected
        if option != "admin_state":
            assert flag("mv0", "UP")(host) == (common.get("admin_state") == "up")
    climb(host, "macvlan", name="mv0", state="absent")
    assert host.link("mv0") == {}
    stay(host, "macvlan", name="mv0", state="absent")


@pytest.mark.parametrize("option", ["num_tx_queues", "num_rx_queues"])
def test_queues(host: Host, option: str) -> None:
    """Queues can be set only at creation. A change requires the link to be recreated."""
    common = {"name": "mv0", "lower_device": "eth0"}
    climb(host, "macvlan", **common, **{option: 3})
    assert host.link("mv0")[option] == 3
    refused = host.run("macvlan", **common, **{option: 2})
    assert refused["msg"].startswith(f"mv0: {option} 3 -> 2: it is fixed when the link is created.")
    assert "recreate: when_required" in refused["msg"]
    climb(host, "macvlan", **common, **{option: 2}, recreate="when_required")
    assert host.link("mv0")[option] == 2


MODES = ("private", "vepa", "bridge", "passthru", "source")


@pytest.mark.parametrize("after", MODES)
@pytest.mark.parametrize("before", MODES)
def test_mode_transition(host: Host, before: str, after: str) -> None:
    """12 changes are live, 5 change nothing, and 8 require the link to be recreated."""
    host.apply("macvlan", name="mv0", lower_device="eth0", mode=before, alias="kept", admin_state="up")
    index = host.link("mv0")["ifindex"]
    if before == after:
        stay(host, "macvlan", name="mv0", mode=after)
    elif "passthru" in (before, after):
        refused = host.run("macvlan", name="mv0", mode=after)
        assert refused["failed"]
        assert f"mode {before} -> {after}: no link can enter or leave mode passthru" in refused["msg"]
        assert "Set recreate: when_required" in refused["msg"]
        assert host.kind_data("mv0")["mode"] == before
        climb(host, "macvlan", name="mv0", mode=after, recreate="when_required")
        assert host.link("mv0")["ifindex"] != index
    else:
        climb(host, "macvlan", name="mv0", mode=after)
        assert host.link("mv0")["ifindex"] == index
    assert host.kind_data("mv0")["mode"] == after
    assert host.link("mv0")["ifalias"] == "kept"


def test_everything_at_once(host: Host) -> None:
    """All options are set in one task, and the link is created directly in another namespace."""
    climb(
        host,
        "macvlan",
        name="mv0",
        netns="guest",
        lower_device="eth0",
        lower_device_state="up",
        mode="source",
        nodst=True,
        source_addresses=[MAC2],
        bc_queue_len=500,
        bc_cutoff=0,
        address=MAC1,
        mtu=1400,
        tx_queue_len=10,
        num_tx_queues=2,
        num_rx_queues=3,
        group="5",
        alias="all of it",
        address_generation_mode="none",
        altnames=["a long alternative name"],
        sysctls={"ipv4.arp_ignore": 1, "ipv6.accept_ra": 0},
        promiscuous=True,
        allmulticast=True,
        admin_state="up",
    )
    link = host.link("mv0", "guest")
    assert link["address"] == MAC1
    assert link["linkinfo"]["info_data"]["mode"] == "source"
    assert {"UP", "PROMISC", "ALLMULTI"} <= set(link["flags"])
    assert link["num_tx_queues"], link["num_rx_queues"] == (2, 3)
    assert host.setting("ipv4/conf/mv0/arp_ignore", "guest") == "1"
    assert "inet6" not in {entry["family"] for entry in _addresses(host, "guest", "mv0")}, "the mode came too late"
    assert host.link("mv0") == {}, "it was never here"


def _addresses(host: Host, netns: str, name: str) -> list[dict[str, Any]]:
    return json.loads(ip("-j", "address", "show", "dev", name, netns=netns))[0]["addr_info"]


def test_settings_before_up(host: Host) -> None:
    """disable_ipv6 and the address generation mode are set before up: no link-local address ever exists."""
    climb(host, "macvlan", name="mv0", lower_device="eth0", sysctls={"ipv6.disable_ipv6": 1}, admin_state="up")
    assert _addresses(host, host.netns, "mv0") == []


def test_lower_device_in_another_namespace(host: Host) -> None:
    """lower_device_netns: the lower device is in another namespace than the task."""
    host.ip("link", "set", "eth1", "netns", "guest")
    climb(host, "macvlan", name="mv0", lower_device="eth1", lower_device_netns="guest", mode="bridge")
    assert host.link("mv0")["link_netnsid"] is not None
    found = host.apply("link_info", name="mv0")["links"][0]
    assert (found["lower_device"], found["lower_device_netns"]) == ("eth1", "guest")
    climb(host, "macvlan", name="mv0", mode="private")
    climb(host, "macvlan", name="mv0", state="absent")


def test_namespace_by_path_and_by_two_names(host: Host) -> None:
    """A path and a name, or two names, identify the same namespace."""
    climb(host, "macvlan", name="mv0", netns="/run/netns/guest", lower_device="eth0")
    stay(host, "macvlan", name="mv0", netns="guest", lower_device="eth0")
    stay(host, "macvlan", name="mv0", netns="/var/run/netns/guest", lower_device="eth0", lower_device_netns=host.netns)


@pytest.mark.parametrize("state", ["up", "require"])
def test_lower_device_state(host: Host, state: str) -> None:
    """up sets the lower device up in the same plan. require fails while it is down."""
    host.ip("link", "set", "eth0", "down")
    params = {"name": "mv0", "lower_device": "eth0", "lower_device_state": state}
    if state == "require":
        refused = host.run("macvlan", **params)
        assert refused["msg"] == (
            "mv0: its lower device eth0 is down, but lower_device_state is require. "
            "Bring it up first, or set lower_device_state: up"
        )
        assert host.link("mv0") == {}
        bring_up("eth0", host.netns)
    done = climb(host, "macvlan", **params)
    assert ("set eth0: admin_state down -> up" in done["operations"]) == (state == "up")
    assert "UP" in host.link("eth0")["flags"]


def test_lower_device_down_is_warned_of(host: Host) -> None:
    """Without lower_device_state, a lower device that is down or has no carrier causes a warning."""
    host.ip("link", "set", "eth0", "down")
    done = host.apply("macvlan", name="mv0", lower_device="eth0")
    assert "lower device eth0 is down, so no frames pass" in str(done["warnings"])
    host.ip("link", "set", "eth0", "up")
    ip("link", "set", "eth0", "down", netns=f"{host.netns}-wire")
    done = host.apply("macvlan", name="mv0", lower_device="eth0", lower_device_state="require")
    assert "eth0 has no carrier" in str(done["warnings"])


def test_mac_is_in_the_creating_request(host: Host) -> None:
    """The kernel records a given or random MAC address as set by a user (3), so udev does not change it."""
    host.apply(
        "topology", macvlan=[{"name": "mv0", "lower_device": "eth0", "address": MAC1}, {"name": "mv1", "lower_device": "eth0"}]
    )
    assert host.link("mv0")["address"] == MAC1
    assert [sysfs(host, f"{name}/addr_assign_type") for name in ("mv0", "mv1")] == ["3", "3"]
    assert int(host.link("mv1")["address"][:2], 16) & 3 == 2
