# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of macvlan on the real kernel, by the ladder: check, apply, check, apply, for each value in turn."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, bring_up, dump, enter, ip

MAC1, MAC2, MAC3 = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"


def climb(host: Host, **params: Any) -> dict[str, Any]:
    """The four rungs of a change; the result of applying it."""
    namespaces = [host.netns, "guest"]
    before = dump(namespaces)
    told = host.run("macvlan", check=True, **params)
    assert not told.get("failed"), told
    assert told["changed"], told
    assert dump(namespaces) == before, "check mode changed something"
    done = host.run("macvlan", **params)
    assert not done.get("failed"), done
    assert done["changed"], done
    assert done["operations"] == told["operations"]
    _same_where_known(told["link"], done["link"])
    assert [entry["before"] for entry in told["diff"]] == [entry["before"] for entry in done["diff"]]
    for promised, found in zip(told["diff"], done["diff"]):
        _same_where_known(promised["after"], found["after"])
    stay(host, **params)
    return done


def stay(host: Host, **params: Any) -> None:
    """The last two rungs: nothing more to do."""
    for check in (True, False):
        again = host.run("macvlan", check=check, **params)
        assert not again.get("failed"), again
        assert not again["changed"], again
        assert again["operations"] == []


def _same_where_known(promised: Any, found: Any) -> None:
    if promised is not None:
        for name, value in promised.items():
            assert value is None or value == found[name], f"check mode promised {name} {value}, it became {found[name]}"


def shown(*path: str) -> Callable[[Host], Any]:
    """An oracle: what `ip -d -j link show dev mv0` has at this place."""

    def read(host: Host) -> Any:
        found: Any = host.link("mv0")
        for name in path:
            found = found.get(name) if found else None
        return found

    return read


def data(name: str) -> Callable[[Host], Any]:
    """An oracle: an attribute of the kind."""
    return shown("linkinfo", "info_data", name)


def flag(name: str) -> Callable[[Host], bool]:
    """An oracle: a flag of the link."""
    return lambda host: name in host.link("mv0")["flags"]


def setting(path: str) -> Callable[[Host], int]:
    """An oracle: a per-link setting."""
    return lambda host: int(host.setting(path))


def senders(host: Host) -> set[str]:
    """An oracle: the list of source mode."""
    return {item["mac"] if isinstance(item, dict) else item for item in host.kind_data("mv0").get("macaddr_data", [])}


def bc_cutoff(host: Host) -> int:
    """An oracle by hand: no iproute2 of a Debian release shows it. IFLA_LINKINFO / IFLA_INFO_DATA / attribute 9."""
    return int.from_bytes(_attribute(_link_message(host, "mv0"), 18, 2, 9) or b"\1\0\0\0", "little", signed=True)


def _link_message(host: Host, name: str) -> bytes:
    reader, writer = os.pipe()
    if os.fork() == 0:
        enter(host.netns)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            attribute = struct.pack("=HH", 5 + len(name), 3) + name.encode() + b"\0"
            attribute += b"\0" * (-len(attribute) % 4)
            netlink.send(struct.pack("=IHHII", 32 + len(attribute), 18, 1, 1, 0) + bytes(16) + attribute)
            os.write(writer, netlink.recv(1 << 16))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as output:
        message = output.read()
    os.wait()
    return message[32:]


def _attribute(payload: bytes, *path: int) -> bytes | None:
    for wanted in path:
        offset, found = 0, None
        while offset + 4 <= len(payload):
            size, kind = struct.unpack_from("=HH", payload, offset)
            if kind & 0x3FFF == wanted:
                found = payload[offset + 4 : offset + size]
            offset += (max(size, 4) + 3) & ~3
        if found is None:
            return None
        payload = found
    return payload


# option: what the link needs besides, the values in turn, what the kernel has to show for each
LADDERS: dict[str, tuple[dict[str, Any], list[tuple[Any, Callable[[Host], Any], Any]]]] = {
    "mode": (
        {},
        [(mode, data("mode"), mode) for mode in ("private", "vepa", "bridge", "source")],
    ),
    "address": ({}, [(MAC1.upper(), shown("address"), MAC1), (MAC2.replace(":", "-"), shown("address"), MAC2)]),
    "mtu": ({}, [(1400, shown("mtu"), 1400), (1280, shown("mtu"), 1280), (1200, shown("mtu"), 1200), (1500, shown("mtu"), 1500)]),
    "tx_queue_len": ({}, [(500, shown("txqlen"), 500), (0, shown("txqlen"), None), (77, shown("txqlen"), 77)]),
    "group": ({}, [("7", shown("group"), "7"), (0, shown("group"), "default"), ("42", shown("group"), "42")]),
    "alias": (
        {},
        [("rack 3", shown("ifalias"), "rack 3"), ("Büro: ☎", shown("ifalias"), "Büro: ☎"), ("", shown("ifalias"), None)],
    ),
    "controller": ({}, [("br0", shown("master"), "br0"), ("br1", shown("master"), "br1"), ("", shown("master"), None)]),
    "admin_state": ({}, [("up", flag("UP"), True), ("down", flag("UP"), False)]),
    "promiscuous": ({}, [(True, flag("PROMISC"), True), (False, flag("PROMISC"), False)]),
    "allmulticast": ({}, [(True, flag("ALLMULTI"), True), (False, flag("ALLMULTI"), False)]),
    "address_generation_mode": (
        {},
        [(mode, shown("inet6_addr_gen_mode"), mode) for mode in ("none", "random", "eui64")],
    ),
    "altnames": (
        {},
        [
            (["first name", "second/name"], shown("altnames"), ["first name", "second/name"]),
            (["second/name", "x" * 127], shown("altnames"), ["second/name", "x" * 127]),
            ([], shown("altnames"), None),
        ],
    ),
    "sysctls": (
        {},
        [
            ({"ipv4.arp_ignore": 1, "ipv4.arp_announce": 2}, setting("ipv4/conf/mv0/arp_ignore"), 1),
            ({"ipv4.arp_ignore": 2}, setting("ipv4/conf/mv0/arp_announce"), 2),
            ({"ipv6.accept_ra": 0, "ipv4.rp_filter": "2"}, setting("ipv6/conf/mv0/accept_ra"), 0),
        ],
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
    """Create with the first value, change to each other one, delete, delete again."""
    for bridge in ("br0", "br1"):
        host.ip("link", "add", bridge, "type", "bridge")
    base, values = LADDERS[option]
    common = {"name": "mv0", "lower_device": "eth0", **({"admin_state": "up"} if others == "up" else {}), **base}
    for value, read, expected in values:
        climb(host, **{**common, option: value})
        assert read(host) == expected
        if option != "admin_state":
            assert flag("UP")(host) == (common.get("admin_state") == "up")
    climb(host, name="mv0", state="absent")
    assert host.link("mv0") == {}
    stay(host, name="mv0", state="absent")


@pytest.mark.parametrize("option", ["num_tx_queues", "num_rx_queues"])
def test_queues(host: Host, option: str) -> None:
    """Taken at creation only: a change needs the link to be created again."""
    common = {"name": "mv0", "lower_device": "eth0"}
    climb(host, **common, **{option: 3})
    assert host.link("mv0")[option] == 3
    refused = host.run("macvlan", **common, **{option: 2})
    assert refused["msg"].startswith(f"mv0: {option} 3 -> 2: the kernel cannot change that on a living link.")
    assert "recreate: when_required" in refused["msg"]
    climb(host, **common, **{option: 2}, recreate="when_required")
    assert host.link("mv0")[option] == 2


MODES = ("private", "vepa", "bridge", "passthru", "source")


@pytest.mark.parametrize("after", MODES)
@pytest.mark.parametrize("before", MODES)
def test_mode_transition(host: Host, before: str, after: str) -> None:
    """12 live, 5 with nothing to do, 8 that need the link to be created again."""
    host.apply("macvlan", name="mv0", lower_device="eth0", mode=before, alias="kept", admin_state="up")
    index = host.link("mv0")["ifindex"]
    if before == after:
        stay(host, name="mv0", mode=after)
    elif "passthru" in (before, after):
        refused = host.run("macvlan", name="mv0", mode=after)
        assert refused["failed"]
        assert f"mode {before} -> {after}: the kernel cannot change that on a living link" in refused["msg"]
        assert "Write recreate: when_required" in refused["msg"]
        assert host.kind_data("mv0")["mode"] == before
        climb(host, name="mv0", mode=after, recreate="when_required")
        assert host.link("mv0")["ifindex"] != index
    else:
        climb(host, name="mv0", mode=after)
        assert host.link("mv0")["ifindex"] == index
    assert host.kind_data("mv0")["mode"] == after
    assert host.link("mv0")["ifalias"] == "kept"


def test_everything_at_once(host: Host) -> None:
    """All options in one task, created straight in another namespace."""
    climb(
        host,
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


def test_settings_hold_before_up(host: Host) -> None:
    """disable_ipv6 and the address generation mode come before up: there is never a link-local address."""
    climb(host, name="mv0", lower_device="eth0", sysctls={"ipv6.disable_ipv6": 1}, admin_state="up")
    assert _addresses(host, host.netns, "mv0") == []


def test_lower_device_elsewhere(host: Host) -> None:
    """lower_device_netns: the lower device is in another namespace than the task."""
    host.ip("link", "set", "eth1", "netns", "guest")
    climb(host, name="mv0", lower_device="eth1", lower_device_netns="guest", mode="bridge")
    assert host.link("mv0")["link_netnsid"] is not None
    found = host.apply("link_info", name="mv0")["links"][0]
    assert (found["lower_device"], found["lower_device_netns"]) == ("eth1", "guest")
    climb(host, name="mv0", mode="private")
    climb(host, name="mv0", state="absent")


def test_namespace_by_path_and_by_two_names(host: Host) -> None:
    """A path and a name, and two names, mean the same namespace."""
    climb(host, name="mv0", netns="/run/netns/guest", lower_device="eth0")
    stay(host, name="mv0", netns="guest", lower_device="eth0")
    stay(host, name="mv0", netns="/var/run/netns/guest", lower_device="eth0", lower_device_netns=host.netns)


@pytest.mark.parametrize("state", ["up", "require"])
def test_lower_device_state(host: Host, state: str) -> None:
    """up brings the lower device up in the same plan; require fails while it is down."""
    host.ip("link", "set", "eth0", "down")
    params = {"name": "mv0", "lower_device": "eth0", "lower_device_state": state}
    if state == "require":
        refused = host.run("macvlan", **params)
        assert refused["msg"] == (
            "mv0: its lower device eth0 is down, and lower_device_state: require wants it up. "
            "Bring it up first, or write lower_device_state: up"
        )
        assert host.link("mv0") == {}
        bring_up("eth0", host.netns)
    done = climb(host, **params)
    assert ("set eth0: admin_state down -> up" in done["operations"]) == (state == "up")
    assert "UP" in host.link("eth0")["flags"]


def test_lower_device_down_is_warned_of(host: Host) -> None:
    """Without lower_device_state, a warning; without a carrier too."""
    host.ip("link", "set", "eth0", "down")
    done = host.apply("macvlan", name="mv0", lower_device="eth0")
    assert "its lower device eth0 is down, so nothing passes" in str(done["warnings"])
    host.ip("link", "set", "eth0", "up")
    ip("link", "set", "eth0", "down", netns=f"{host.netns}-wire")
    done = host.apply("macvlan", name="mv0", lower_device="eth0", lower_device_state="require")
    assert "eth0 has no carrier" in str(done["warnings"])


def test_mac_is_in_the_creating_request(host: Host) -> None:
    """The kernel notes a written MAC as set by somebody (3), which keeps udev's hands off; a random one is noted as such (1)."""
    host.apply(
        "topology", macvlan=[{"name": "mv0", "lower_device": "eth0", "address": MAC1}, {"name": "mv1", "lower_device": "eth0"}]
    )
    assert host.link("mv0")["address"] == MAC1
    assert [assign_type(host, name) for name in ("mv0", "mv1")] == ["3", "1"]


def assign_type(host: Host, name: str) -> str:
    """Who chose the MAC; ip netns exec gives a process the sysfs of the namespace."""
    command = ["ip", "netns", "exec", host.netns, "cat", f"/sys/class/net/{name}/addr_assign_type"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
