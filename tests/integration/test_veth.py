# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of both ends of a pair on the real kernel, how a pair is identified, renamed and recreated, and errors."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, bring_up, dump, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import (
    Case,
    Rung,
    bridge_link,
    climb,
    common_ladders,
    flag,
    refuse,
    shown,
    stay,
    sysfs,
)

MAC1, MAC2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
OPTIONS = (*common_ladders("va"), "controller")


def rungs(option: str, name: str, netns: str | None) -> list[Rung]:
    """Return the ladder of an option for one end."""
    if option != "controller":
        return common_ladders(name, netns)[option]
    read = shown(name, "master", netns=netns)
    return [("br0", read, "br0"), ("br1", read, "br1"), ("", read, None)]


@pytest.mark.parametrize("others", ["down", "up"])
@pytest.mark.parametrize(("end", "netns"), [("own", "guest"), ("peer", None), ("peer", "guest")])
@pytest.mark.parametrize("option", OPTIONS)
def test_option(host: Host, option: str, end: str, netns: str | None, others: str) -> None:
    """The option of one end is set at creation, changed to each other value, and the pair is deleted twice.

    The peer is unchanged.
    """
    for bridge in ("br0", "br1"):
        for place in (host.netns, "guest"):
            ip("link", "add", bridge, "address", "02:00:00:00:00:b0", "type", "bridge", netns=place)
    name, place = ("va", None) if end == "own" else ("vb", netns)
    base = {"admin_state": others} if others == "up" else {}
    for value, read, expected in rungs(option, name, place):
        written = {**base, option: value}
        params: dict[str, Any] = {"name": "va", "peer": {"name": "vb", "netns": netns}}
        if end == "own":
            params.update(written)
        else:
            params["peer"].update(written)
        climb(host, "veth", **params)
        assert read(host) == expected
        if option != "admin_state":
            assert flag(name, "UP", place)(host) == (others == "up")
        other = host.link("vb", netns) if end == "own" else host.link("va")
        assert other["mtu"] == 1500
        assert "UP" not in other["flags"]
    climb(host, "veth", name="va", state="absent")
    assert (host.link("va"), host.link("vb", netns)) == ({}, {})
    stay(host, "veth", name="va", state="absent")


@pytest.mark.parametrize("end", ["own", "peer"])
@pytest.mark.parametrize("option", ["num_tx_queues", "num_rx_queues"])
def test_queues(host: Host, option: str, end: str) -> None:
    """Queues can be set only at creation. The default is the number of processors, which is no drift."""
    name = "va" if end == "own" else "vb"

    def params(value: int) -> dict[str, Any]:
        written = {option: value}
        return {"name": "va", "peer": {"name": "vb", **(written if end == "peer" else {})}, **(written if end == "own" else {})}

    climb(host, "veth", **params(3))
    assert host.link(name)[option] == 3
    stay(host, "veth", name="va", peer={"name": "vb"})
    refused = host.run("veth", **params(5))
    assert refused["msg"] == (
        f"{name}: {option} 3 -> 5: it is fixed when the link is created. Set recreate: when_required to delete the "
        "link and create it "
        "again, with its contents where the kernel allows it"
    )
    climb(host, "veth", **params(5), recreate="when_required")
    assert host.link(name)[option] == 5


def _everything(number: int) -> dict[str, Any]:
    return {
        "address": f"02:00:00:00:0a:0{number}",
        "mtu": 1400 + number,
        "tx_queue_len": 10 + number,
        "num_tx_queues": 2 + number,
        "num_rx_queues": 3 + number,
        "group": str(number),
        "alias": f"end {number}",
        "address_generation_mode": "none",
        "altnames": [f"alternative {number}"],
        "sysctls": {"ipv4.arp_ignore": number, "ipv6.accept_ra": 0},
        "promiscuous": True,
        "allmulticast": True,
        "admin_state": "up",
    }


@pytest.mark.parametrize("places", [(None, None), (None, "guest"), ("guest", None), ("guest", "guest")])
def test_everything_at_once(host: Host, places: tuple[str | None, str | None]) -> None:
    """All options of both ends are set in one task, and each end is created directly in its namespace."""
    own, other = places
    climb(host, "veth", name="va", netns=own, **_everything(1), peer={"name": "vb", "netns": other, **_everything(2)})
    for number, (name, netns) in enumerate((("va", own), ("vb", other)), 1):
        link = host.link(name, netns)
        assert link["address"] == f"02:00:00:00:0a:0{number}"
        assert (link["mtu"], link["txqlen"], link["group"]) == (1400 + number, 10 + number, str(number))
        assert (link["num_tx_queues"], link["num_rx_queues"]) == (2 + number, 3 + number)
        assert (link["ifalias"], link["altnames"]) == (f"end {number}", [f"alternative {number}"])
        assert {"UP", "PROMISC", "ALLMULTI"} <= set(link["flags"])
        assert host.setting(f"ipv4/conf/{name}/arp_ignore", netns) == str(number)
        assert "fe80" not in ip("address", "show", "dev", name, netns=netns or host.netns), "the mode came too late"
    climb(host, "veth", name="va", netns=own, state="absent")


def test_mac_is_in_the_creating_request(host: Host) -> None:
    """Given and random MAC addresses of both ends are recorded as set by a user (3), so udev does not change them."""
    host.apply("veth", name="va", address=MAC1, peer={"name": "vb", "netns": "guest", "address": MAC2})
    assert sysfs(host, "va/addr_assign_type") == "3"
    assert sysfs(host, "vb/addr_assign_type", "guest") == "3"
    host.apply("veth", name="vc", peer={"name": "vd"})
    assert [sysfs(host, f"{name}/addr_assign_type") for name in ("vc", "vd")] == ["3", "3"]
    drawn = {host.link(name)["address"] for name in ("vc", "vd")}
    assert len(drawn) == 2
    assert {int(address[:2], 16) & 3 for address in drawn} == {2}


def test_same_name_on_both_sides(host: Host) -> None:
    """The pair is created in one step, identified from either side, and passes frames."""
    climb(
        host,
        "veth",
        name="veth0",
        admin_state="up",
        peer={"name": "veth0", "netns": "guest", "admin_state": "up"},
    )
    stay(host, "veth", name="veth0", netns="guest", peer={"name": "veth0"})
    stay(host, "veth", name="veth0", netns="guest", peer={"name": "veth0", "netns": host.netns})
    stay(host, "veth", name="veth0")
    for netns in (host.netns, "guest"):
        bring_up("veth0", netns)
    host.ip("address", "add", "192.0.2.1/24", "dev", "veth0")
    ip("address", "add", "192.0.2.2/24", "dev", "veth0", netns="guest")
    ping = ["ip", "netns", "exec", host.netns, "ping", "-c1", "-W5", "192.0.2.2"]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(["ping", "-V"], capture_output=True, check=False).returncode == 0:
            assert subprocess.run(ping, capture_output=True, check=False).returncode == 0
    climb(host, "veth", name="veth0", netns="guest", state="absent")
    assert host.link("veth0") == {}


@pytest.mark.parametrize("netns", [None, "guest"])
def test_found_from_either_end(host: Host, netns: str | None) -> None:
    """Either end may be the first one in a task: without changes, with changes on both, and for deletion."""
    host.apply("veth", name="va", address=MAC1, peer={"name": "vb", "netns": netns, "address": MAC2})
    stay(host, "veth", name="vb", netns=netns, address=MAC2, peer={"name": "va", "address": MAC1})
    climb(host, "veth", name="vb", netns=netns, alias="b", peer={"name": "va", "alias": "a"})
    assert (host.link("va")["ifalias"], host.link("vb", netns)["ifalias"]) == ("a", "b")
    stay(host, "veth", name="va", alias="a", peer={"name": "vb", "netns": netns, "alias": "b"})
    climb(host, "veth", name="vb", netns=netns, state="absent")
    assert (host.link("va"), host.link("vb", netns)) == ({}, {})
    stay(host, "veth", name="va", state="absent")


def test_one_end_alone(host: Host) -> None:
    """An existing pair requires no peer in the task, and an attribute of the peer only its name."""
    host.ip("link", "add", "va", "type", "veth", "peer", "name", "vb")
    climb(host, "veth", name="vb", alias="alone")
    stay(host, "veth", name="va", peer={"name": "vb", "alias": "alone"})


@pytest.mark.parametrize("state", ["down", "up"])
@pytest.mark.parametrize("netns", [None, "guest"])
def test_rename_of_the_peer(host: Host, netns: str | None, state: str) -> None:
    """The peer is renamed without recreation, with another change in the same task."""
    host.apply("veth", name="va", peer={"name": "vb", "netns": netns, "alias": "kept", "admin_state": state})
    index = host.link("vb", netns)["ifindex"]
    done = climb(host, "veth", name="va", peer={"name": "vc", "netns": netns, "mtu": 1400})
    place = " in netns guest" if netns else ""
    assert done["operations"] == [f"rename vb{place} to vc", f"set vc{place}: mtu 1500 -> 1400"]
    found = host.link("vc", netns)
    assert (found["ifindex"], found["ifalias"], found["mtu"]) == (index, "kept", 1400)
    assert host.link("vb", netns) == {}


@pytest.mark.parametrize("state", ["down", "up"])
def test_rename_of_the_own_end(host: Host, state: str) -> None:
    """A pair that its peer identifies gets the declared name, as a bridge port and with a macvlan on the peer."""
    host.apply("bridge", name="br0", address=MAC1)
    host.apply("veth", name="va", admin_state=state, controller="br0", peer={"name": "vb", "netns": "guest"})
    host.apply("bridge_port", port="va", isolated=True)
    host.apply("macvlan", name="mv0", lower_device="vb", lower_device_netns="guest")
    index = host.link("va")["ifindex"]
    done = climb(host, "veth", name="vx", alias="new", peer={"name": "vb", "netns": "guest"})
    assert done["operations"] == ["rename va to vx", 'set vx: alias "" -> new']
    found = host.link("vx")
    assert (found["ifindex"], found["master"], found["ifalias"], "UP" in found["flags"]) == (index, "br0", "new", state == "up")
    assert bridge_link(host, "vx")["isolated"] is True
    assert host.link("mv0") != {}


def test_rename_of_the_lower_device(host: Host) -> None:
    """A macvlan on the renamed end is kept."""
    host.apply("veth", name="va", peer={"name": "vb"})
    host.apply("macvlan", name="mv0", lower_device="va")
    climb(host, "veth", name="vx", peer={"name": "vb"})
    stay(host, "macvlan", name="mv0", lower_device="vx")


@pytest.mark.parametrize("way", ["there", "back"])
def test_peer_in_another_namespace(host: Host, way: str) -> None:
    """The change is refused, or the pair is recreated with the dependent objects of both ends."""
    before, after = (None, "guest") if way == "there" else ("guest", None)
    host.apply(
        "veth",
        name="va",
        address=MAC1,
        alias="end a",
        mtu=1400,
        admin_state="up",
        peer={"name": "vb", "netns": before, "address": MAC2, "alias": "end b", "altnames": ["other b"], "admin_state": "up"},
    )
    for name, netns in (("va", host.netns), ("vb", before or host.netns)):
        bring_up(name, netns)
    host.ip("address", "add", "192.0.2.1/24", "dev", "va")
    host.ip("route", "add", "198.51.100.0/24", "via", "192.0.2.2", "dev", "va")
    ip("address", "add", "192.0.2.2/24", "dev", "vb", netns=before or host.netns)
    old, new = ("vb", "vb in netns guest") if way == "there" else ("vb in netns guest", "vb")
    params: dict[str, Any] = {"name": "va", "peer": {"name": "vb", "netns": after}}
    known = dump([host.netns, "guest"])
    for check in (True, False):
        refused = host.run("veth", check=check, **params)
        assert refused["msg"] == (
            f"va: peer {old} -> {new}: it is fixed when the link is created. Set recreate: when_required to delete "
            "the link and create it "
            "again, with its contents where the kernel allows it"
        )
    assert_equal(dump([host.netns, "guest"]), known)
    climb(host, "veth", **params, recreate="when_required")
    for name, netns in (("va", host.netns), ("vb", after or host.netns)):
        bring_up(name, netns)
    own, other = host.link("va"), host.link("vb", after)
    assert host.link("vb", before) == {}
    assert (own["address"], own["ifalias"], own["mtu"], "UP" in own["flags"]) == (MAC1, "end a", 1400, True)
    assert (other["address"], other["ifalias"], other["altnames"], "UP" in other["flags"]) == (MAC2, "end b", ["other b"], True)
    assert "192.0.2.1/24" in host.ip("address", "show", "dev", "va")
    assert "198.51.100.0/24 via 192.0.2.2 dev va" in host.ip("route")
    assert "192.0.2.2/24" in ip("address", "show", "dev", "vb", netns=after or host.netns)


@contextlib.contextmanager
def second_name(netns: str, name: str) -> Iterator[None]:
    """Create another name in /run/netns for the same namespace."""
    path = Path("/run/netns", name)
    path.touch()
    subprocess.run(["mount", "--bind", f"/run/netns/{netns}", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)
        path.unlink()


def test_namespace_by_path_and_by_two_names(host: Host) -> None:
    """A path and a name, or two names, identify the same namespace."""
    with second_name("guest", "another"):
        climb(host, "veth", name="va", peer={"name": "vb", "netns": "/run/netns/guest"})
        for netns in ("guest", "another", "/var/run/netns/guest", "/run/netns/another"):
            stay(host, "veth", name="va", peer={"name": "vb", "netns": netns})
            stay(host, "veth", name="vb", netns=netns, peer={"name": "va", "netns": host.netns})
        climb(host, "veth", name="va", peer={"name": "vb", "netns": "another", "mtu": 1400})
        climb(host, "veth", name="vb", netns="another", state="absent")


@contextlib.contextmanager
def peer_without_a_name(host: Host) -> Iterator[None]:
    """Create va, whose peer vb is in a namespace that has lost its name."""
    ip("netns", "add", "passing")
    ip("link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", "passing", netns=host.netns)
    # a process keeps the namespace without its name
    with subprocess.Popen(["ip", "netns", "exec", "passing", "sleep", "60"]) as sleeper:
        try:
            while not ip("netns", "pids", "passing").split():
                time.sleep(0.01)
            ip("netns", "del", "passing")
            yield
        finally:
            sleeper.kill()


def test_peer_in_a_namespace_without_a_name(host: Host) -> None:
    """Such a peer is neither an error nor returned with a wrong name. The end here can be changed and deleted."""
    with peer_without_a_name(host):
        found = host.apply("link_info", name="va")["links"][0]
        assert found["peer"]["netns"].startswith("(unnamed namespace ")
        climb(host, "veth", name="va", alias="mine", mtu=1400)
        refused = host.run("veth", name="va", peer={"name": "vb", "netns": "guest"})
        assert refused["msg"].startswith("va: peer (link ")
        assert "-> vb in netns guest: it is fixed when the link is created. Set recreate" in refused["msg"]
        climb(host, "veth", name="va", state="absent")
        assert host.link("va") == {}


def test_pair_whose_namespace_was_just_deleted(host: Host) -> None:
    """The module waits until the end here has disappeared, some milliseconds after the namespace of its peer."""
    for _turn in range(20):
        ip("netns", "add", "passing")
        done = host.apply("veth", name="va", peer={"name": "vb", "netns": "passing"})
        assert done["operations"] == ["create va: veth with peer vb in netns passing"]
        assert host.link("vb", "passing")["ifname"] == "vb"
        ip("netns", "del", "passing")


def test_recreated_from_a_namespace_without_a_name(host: Host) -> None:
    """The pair is recreated with its peer in a namespace that has a name."""
    with peer_without_a_name(host):
        host.ip("link", "set", "va", "alias", "kept")
        climb(host, "veth", name="va", peer={"name": "vb", "netns": "guest"}, recreate="when_required")
        assert (host.link("va")["ifalias"], host.link("vb", "guest")["ifname"]) == ("kept", "vb")


_PAIR = ("link add va type veth peer name vb",)
_STRANGER = (*_PAIR, "link add vc type veth peer name vd")
CASES: dict[str, Case] = {
    "no peer": Case(
        {"name": "va"}, "va: the link does not exist, and peer.name is required to create it. Set peer.name", awaits=True
    ),
    "peer without a name": Case({"name": "va", "peer": {"mtu": 1400}}, "peer: name is missing. Set peer.name"),
    "peer's attribute without its name": Case(
        {"name": "va", "peer": {"mtu": 1400}}, "peer: name is missing. Set peer.name", ip=_PAIR
    ),
    "peer's namespace without its name": Case(
        {"name": "va", "peer": {"netns": "guest"}}, "peer: name is missing. Set peer.name", ip=_PAIR
    ),
    "both ends the same": Case(
        {"name": "va", "peer": {"name": "va"}},
        "va: both ends of the pair have this name and namespace. Set another name or netns for the peer",
    ),
    "both ends the same elsewhere": Case(
        {"name": "va", "netns": "guest", "peer": {"name": "va", "netns": "/run/netns/guest"}},
        "va in netns guest: both ends of the pair have this name and namespace. Set another name or netns for the peer",
    ),
    "peer's name taken by another kind": Case(
        {"name": "va", "peer": {"name": "br0"}},
        "va: the name of its peer br0 is taken by a bridge. Choose another name",
        ip=("link add br0 type bridge",),
    ),
    "peer's name is an end of another pair": Case(
        {"name": "vx", "peer": {"name": "vc"}},
        "vx: peer vc is already paired with vd in netns guest. Choose another name, or delete vc first",
        ip=("link add vc type veth peer name vd netns guest",),
    ),
    "peer's name taken when renaming": Case(
        {"name": "va", "peer": {"name": "br0"}},
        "va: peer vb -> br0: it is fixed when the link is created. Set recreate: when_required to delete the link and create it "
        "again, with its contents where the kernel allows it",
        ip=(*_PAIR, "link add br0 type bridge"),
    ),
    "peer's name taken when made again": Case(
        {"name": "va", "peer": {"name": "br0"}, "recreate": "when_required"},
        "va: the name of its peer br0 is taken by a bridge. Choose another name",
        ip=(*_PAIR, "link add br0 type bridge"),
    ),
    "peer's name is an alternative one": Case(
        {"name": "va", "peer": {"name": "uplink"}},
        "uplink: the name is already an alternative name of eth1. Choose another name, or remove uplink from the altnames"
        " of eth1 first",
        ip=("link property add dev eth1 altname uplink",),
    ),
    "peer's new name is an alternative one": Case(
        {"name": "va", "peer": {"name": "uplink"}},
        "uplink: the name is already an alternative name of eth1. Choose another name, or remove uplink from the altnames"
        " of eth1 first",
        ip=(*_PAIR, "link property add dev eth1 altname uplink"),
    ),
    "name of another kind": Case(
        {"name": "br0", "peer": {"name": "vb"}},
        "br0: the link with this name is a bridge, not a veth, and is not changed. "
        "Choose another name, or delete that link first",
        ip=("link add br0 type bridge",),
    ),
    "ends of two pairs": Case(
        {"name": "va", "peer": {"name": "vc"}},
        "va: peer vb -> vc: it is fixed when the link is created. Set recreate: when_required to delete the link and create it "
        "again, with its contents where the kernel allows it",
        ip=_STRANGER,
    ),
    "a macvlan on the end": Case(
        {"name": "va", "state": "absent"},
        "va: mv0 sits on it and would be deleted with it, so it is not deleted. Delete mv0 first, or in the same task",
        ip=_PAIR,
        tasks=(("macvlan", {"name": "mv0", "lower_device": "va"}),),
    ),
    "a macvlan on the other end": Case(
        {"name": "va", "state": "absent"},
        "va: mv0 sits on it and would be deleted with it, so it is not deleted. Delete mv0 first, or in the same task",
        ip=_PAIR,
        tasks=(("macvlan", {"name": "mv0", "lower_device": "vb"}),),
    ),
    "a macvlan in another namespace on the end": Case(
        {"name": "va", "state": "absent"},
        "va: mv0 in netns guest sits on it and would be deleted with it, so it is not deleted. "
        "Delete mv0 in netns guest first, or in the same task",
        ip=_PAIR,
        tasks=(("macvlan", {"name": "mv0", "netns": "guest", "lower_device": "va"}),),
    ),
    "a macvlan on the end that is made again": Case(
        {"name": "va", "peer": {"name": "vb", "netns": "guest"}, "recreate": "when_required"},
        "va: mv0 sits on it and would be deleted with it, so it is not recreated. Delete mv0 first",
        ip=_PAIR,
        tasks=(("macvlan", {"name": "mv0", "lower_device": "va"}),),
    ),
    "MAC of the peer": Case(
        {"name": "va", "peer": {"name": "vb", "address": "01:00:5e:00:00:01"}},
        "peer: address: 01:00:5e:00:00:01 is a multicast address (the lowest bit of its first octet is set). "
        "Set a unicast address",
    ),
    "MTU of the peer": Case({"name": "va", "peer": {"name": "vb", "mtu": 67}}, "peer: mtu: 67 is not between 68 and 65535"),
    "name of the peer": Case(
        {"name": "va", "peer": {"name": "a/b"}}, "peer: name: 'a/b' cannot be the name of a link: the kernel refuses \"/\""
    ),
    "controller of the peer elsewhere": Case(
        {"name": "va", "peer": {"name": "vb", "netns": "guest", "controller": "br0"}},
        "vb in netns guest: controller br0 in netns guest does not exist in the namespace of the link. Create it "
        "first with the module bridge or vrf, or set another controller",
        ip=("link add br0 type bridge",),
        awaits=True,
    ),
    "setting of the peer": Case(
        {"name": "va", "peer": {"name": "vb", "sysctls": {"ipv4.arp_ignroe": 1}}},
        "vb: this kernel has no setting ipv4.arp_ignroe under /proc/sys/net. Remove it from sysctls",
    ),
    "namespace of the peer missing": Case(
        {"name": "va", "peer": {"name": "vb", "netns": "nowhere"}},
        "There is no network namespace nowhere (/run/netns/nowhere does not exist). "
        "Correct the name, or create it first with the module netns",
        awaits=True,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_refused(host: Host, case: Case) -> None:
    """See refuse."""
    refuse(host, "veth", case)


def test_deleted_with_dependent_links(host: Host) -> None:
    """A macvlan that the same task deletes is deleted too."""
    host.apply("veth", name="va", peer={"name": "vb", "netns": "guest"})
    host.apply("macvlan", name="mv0", netns="guest", lower_device="va")
    host.apply(
        "topology", veth=[{"name": "va", "state": "absent"}], macvlan=[{"name": "mv0", "netns": "guest", "state": "absent"}]
    )
    assert (host.link("va"), host.link("mv0", "guest")) == ({}, {})


def test_two_entries_for_one_pair(host: Host) -> None:
    """Both ends may have their own entries if these do not contradict each other."""
    entries = [
        {"name": "va", "alias": "a", "peer": {"name": "vb", "netns": "guest"}},
        {"name": "vb", "netns": "guest", "alias": "b", "peer": {"name": "va"}},
    ]
    done = host.apply("topology", veth=entries)
    assert (host.link("va")["ifalias"], host.link("vb", "guest")["ifalias"]) == ("a", "b")
    assert done["operations"][0].startswith("create va: veth with peer vb in netns guest")
    assert host.apply("topology", veth=entries)["operations"] == []
