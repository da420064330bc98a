# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Macvtap on the real kernel:

its device node, which its device number identifies, and the options that it shares with macvlan.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import select
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import NewLink, Request
from ansible_collections.patchbay.netdev.tests.integration.host import Host, enter, ip, run_in_child, see_own_sysfs
from ansible_collections.patchbay.netdev.tests.integration.ladder import (
    INFO_DATA,
    Case,
    Oracle,
    Rung,
    climb,
    common_ladders,
    data,
    nested,
    refuse,
    stay,
    sysfs,
)

MAC1, MAC2, MAC3 = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
NOBODY, USERS = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("users").gr_gid
VNET_HEADER = bytes(10)  # no checksum and no segmentation
ETHERTYPE = 0x88B5  # for local experiments: no other frame on the cable has this type


pytestmark = pytest.mark.usefixtures("nodes")


def node_of(host: Host, name: str = "mt0", netns: str | None = None) -> Path:
    """Return the path where the kernel creates the device node of a link."""
    return Path(f"/dev/tap{host.link(name, netns)['ifindex']}")


def number_of(host: Host, name: str = "mt0", netns: str | None = None) -> str:
    """Return the device number that the kernel reports for a link."""
    return sysfs(host, f"{name}/macvtap/tap{host.link(name, netns)['ifindex']}/dev", netns)


def owner(host: Host) -> int:
    """Return a function that reads the owner of the node."""
    return os.stat(node_of(host)).st_uid


def group(host: Host) -> int:
    """Return a function that reads the group of the node."""
    return os.stat(node_of(host)).st_gid


def mode(host: Host) -> int:
    """Return a function that reads the permissions of the node."""
    return stat.S_IMODE(os.stat(node_of(host)).st_mode)


def senders(host: Host) -> set[str]:
    """Return a function that reads the list of mode source."""
    return {item["mac"] if isinstance(item, dict) else item for item in host.kind_data("mt0").get("macaddr_data", [])}


def bc_cutoff(host: Host) -> int:
    """Return IFLA_MACVLAN_BC_CUTOFF, which the kernel does not send while it is 1."""
    found = nested(host, "mt0", INFO_DATA, 9)
    return 1 if found is None else found


_LINK: Callable[[str], Oracle] = lambda name: data("mt0", name)  # noqa: E731 # an oracle is a value here

LADDERS: dict[str, tuple[dict[str, Any], list[Rung]]] = {
    "device_owner": ({}, [("nobody", owner, NOBODY), ("12345", owner, 12345), ("root", owner, 0)]),
    "device_group": ({}, [("users", group, USERS), ("23456", group, 23456), ("0", group, 0)]),
    "device_mode": ({}, [("0660", mode, 0o660), (0o640, mode, 0o640), ("606", mode, 0o606), ("0600", mode, 0o600)]),
    **{option: ({}, rungs) for option, rungs in common_ladders("mt0").items()},
    "mode": ({}, [(word, _LINK("mode"), word) for word in ("private", "vepa", "bridge", "source")]),
    "source_addresses": (
        {"mode": "source"},
        [([MAC2, MAC1], senders, {MAC1, MAC2}), ([MAC3, MAC2], senders, {MAC2, MAC3}), ([], senders, set())],
    ),
    "bc_queue_len": ({}, [(500, _LINK("bcqueuelen"), 500), (2000, _LINK("bcqueuelen"), 2000)]),
    "bc_cutoff": ({}, [(cutoff, bc_cutoff, cutoff) for cutoff in (0, -1, 5, 1)]),
    "nopromisc": (
        {"mode": "passthru", "admin_state": "up"},
        [(True, _LINK("nopromisc"), True), (False, _LINK("nopromisc"), None)],
    ),
    "nodst": ({"mode": "source"}, [(True, _LINK("nodst"), True), (False, _LINK("nodst"), None)]),
}


@pytest.mark.parametrize("option", LADDERS)
def test_option(host: Host, option: str) -> None:
    """The option is set at creation, changed to each other value, and the link is deleted twice."""
    base, values = LADDERS[option]
    common = {"name": "mt0", "lower_device": "eth0", **base}
    for value, read, expected in values:
        climb(host, "macvtap", **{**common, option: value})
        assert read(host) == expected
    node = node_of(host)
    climb(host, "macvtap", name="mt0", state="absent")
    assert host.link("mt0") == {}
    assert not node.exists()
    stay(host, "macvtap", name="mt0", state="absent")


@pytest.mark.parametrize("option", ["num_tx_queues", "num_rx_queues"])
def test_queues(host: Host, option: str) -> None:
    """Queues can be set only at creation. A change requires the link to be recreated."""
    common = {"name": "mt0", "lower_device": "eth0"}
    climb(host, "macvtap", **common, **{option: 3})
    assert host.link("mt0")[option] == 3
    refused = host.run("macvtap", **common, **{option: 2})
    assert refused["msg"].startswith(f"mt0: {option} 3 -> 2: it is fixed when the link is created.")
    climb(host, "macvtap", **common, **{option: 2}, recreate="when_required")
    assert host.link("mt0")[option] == 2


def test_node_options_are_independent(host: Host) -> None:
    """Each option keeps the others, also values that another program set."""
    host.apply("macvtap", name="mt0", lower_device="eth0", device_mode="0660")
    os.chown(node_of(host), NOBODY, USERS)
    climb(host, "macvtap", name="mt0", device_mode="0600")
    assert (owner(host), group(host), mode(host)) == (NOBODY, USERS, 0o600)
    climb(host, "macvtap", name="mt0", device_group="root")
    assert (owner(host), group(host), mode(host)) == (NOBODY, 0, 0o600)


def test_special_bits_are_seen(host: Host) -> None:
    """A mode includes all bits: a bit above the nine permission bits is a difference."""
    host.apply("macvtap", name="mt0", lower_device="eth0", device_mode="0660")
    os.chmod(node_of(host), 0o2660)
    climb(host, "macvtap", name="mt0", device_mode="0660")
    assert mode(host) == 0o660


def test_result(host: Host) -> None:
    """The result has the node, its number as in sysfs, and an element for libvirt."""
    done = climb(host, "macvtap", name="mt0", lower_device="eth0", address=MAC1, device_group="users", device_mode="0660")
    link = done["link"]
    assert link["device"] == str(node_of(host))
    assert link["device_number"] == number_of(host)
    node = os.stat(link["device"])
    assert stat.S_ISCHR(node.st_mode)
    assert link["device_number"] == f"{os.major(node.st_rdev)}:{os.minor(node.st_rdev)}"
    assert (link["device_owner"], link["device_group"], link["device_mode"]) == (0, USERS, "0660")
    assert host.link("mt0")["linkinfo"]["info_kind"] == "macvtap"
    element = ElementTree.fromstring(link["libvirt_xml"])
    assert (element.tag, element.attrib) == ("interface", {"type": "ethernet"})
    assert {child.tag: child.attrib for child in element} == {
        "mac": {"address": MAC1},
        "target": {"dev": "mt0", "managed": "no"},
    }


def test_where_sysfs_shows_this_namespace(host: Host) -> None:
    """sysfs shows this namespace, as on a host outside of namespaces, where the kernel refuses a second mount."""

    def enter_with_sysfs() -> None:
        enter(host.netns)
        see_own_sysfs()

    told = run_in_child(enter_with_sysfs, "macvtap", {"name": "mt0", "lower_device": "eth0", "device_mode": "0640"}, check=False)
    assert (told["link"]["device"], told["link"]["device_mode"]) == (str(node_of(host)), "0640"), told


def test_name_of_a_link_is_escaped_for_libvirt(host: Host) -> None:
    """The name of a link may contain characters that are special in XML."""
    name = "a<'&\">b"
    done = host.apply("macvtap", name=name, lower_device="eth0")
    target = ElementTree.fromstring(done["link"]["libvirt_xml"]).find("target")
    assert target is not None
    assert target.get("dev") == name


def test_info_names_the_node(host: Host) -> None:
    """link_info returns the same node, for a macvtap in another namespace too."""
    host.apply("macvtap", name="mt0", netns="guest", lower_device="eth0", device_mode="0640")
    (found,) = host.apply("link_info", netns="guest", kind="macvtap")["links"]
    assert found["device"] == str(node_of(host, netns="guest"))
    assert (found["device_number"], found["device_mode"]) == (number_of(host, netns="guest"), "0640")


@pytest.mark.parametrize(("before", "after"), [("private", "passthru"), ("passthru", "bridge")])
def test_recreation_keeps_the_node(host: Host, before: str, after: str) -> None:
    """The kernel creates a new node for root only. Owner, group and mode are set again."""
    rights = {"device_owner": "nobody", "device_group": "users", "device_mode": "0660"}
    host.apply("macvtap", name="mt0", lower_device="eth0", mode=before, **rights)
    old = node_of(host)
    refused = host.run("macvtap", name="mt0", mode=after)
    assert refused["msg"] == (
        f"mt0: mode {before} -> {after}: no link can enter or leave mode passthru. Set recreate: when_required to "
        "delete the link and create it "
        "again, with its contents where the kernel allows it"
    )
    done = climb(host, "macvtap", name="mt0", mode=after, recreate="when_required")
    assert node_of(host) != old
    assert not old.exists()
    assert done["link"]["device"] == str(node_of(host))
    assert host.kind_data("mt0")["mode"] == after
    assert (owner(host), group(host), mode(host)) == (NOBODY, USERS, 0o660)


def test_other_namespace(host: Host) -> None:
    """All namespaces share one /dev."""
    common = {"name": "mt0", "netns": "guest", "lower_device": "eth0"}
    done = climb(host, "macvtap", **common, device_mode="0660", admin_state="up")
    node = node_of(host, netns="guest")
    assert done["link"]["device"] == str(node)
    assert done["link"]["device_number"] == number_of(host, netns="guest")
    assert stat.S_IMODE(node.stat().st_mode) == 0o660
    climb(host, "macvtap", **common, device_mode="0666", device_owner="nobody")
    assert (stat.S_IMODE(node.stat().st_mode), node.stat().st_uid) == (0o666, NOBODY)
    climb(host, "macvtap", name="mt0", netns="guest", state="absent")
    assert not node.exists()


@pytest.fixture
def twins(host: Host) -> Path:
    """Create mt0 here and mt1 in guest with the same number, so that both have one node: that of mt0, the first one."""
    host.ip("link", "set", "eth1", "netns", "guest")
    index = "7654321"
    host.ip("link", "add", "mt0", "link", "eth0", "index", index, "type", "macvtap")
    ip("link", "add", "mt1", "link", "eth1", "index", index, "type", "macvtap", netns="guest")
    node = Path(f"/dev/tap{index}")
    assert number_of(host) != number_of(host, "mt1", "guest")
    return node


def test_same_number_in_two_namespaces(host: Host, twins: Path) -> None:
    """The node of another link is neither changed nor returned."""
    before = twins.stat()
    refuse(
        host,
        "macvtap",
        Case(
            {"name": "mt1", "netns": "guest", "device_mode": "0666"},
            f"mt1 in netns guest: the link has no device node of its own: {twins} is missing, or belongs to a link "
            "with the same index"
            f" in another namespace. Delete that link first, or have mt1 created again",
        ),
    )
    now = twins.stat()
    assert (now.st_mode, now.st_uid, now.st_gid, now.st_ctime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
        before.st_ctime_ns,
    )
    climb(host, "macvtap", name="mt1", netns="guest", alias="without the node, all is well")
    (found,) = host.apply("link_info", name="mt1", netns="guest")["links"]
    assert (found["device"], found["device_mode"]) == (None, None)
    assert found["device_number"] == number_of(host, "mt1", "guest")
    climb(host, "macvtap", name="mt0", device_mode="0640")
    assert stat.S_IMODE(twins.stat().st_mode) == 0o640
    host.apply("macvtap", name="mt0", state="absent")
    assert not twins.exists(), "the second link has no node even then"


def assert_own_node(host: Host, name: str, netns: str, permissions: int) -> int:
    """Verify the device number in sysfs, and return the index of the link."""
    status = os.stat(node_of(host, name, netns))
    assert f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}" == number_of(host, name, netns)
    assert stat.S_IMODE(status.st_mode) == permissions
    return int(host.link(name, netns)["ifindex"])


def test_new_link_avoids_a_taken_number(host: Host) -> None:
    """The kernel would choose a number whose node another link has. Another number is chosen, and that node is unchanged."""
    host.ip("link", "set", "eth1", "netns", "guest")
    last = 0
    while last <= host.link("eth1", "guest")["ifindex"]:  # that link keeps its number, so the next one is skipped
        name = f"last{last}"
        ip("link", "add", name, "type", "bridge", netns="guest")
        last = host.link(name, "guest")["ifindex"]
    index = last + 1
    host.ip("link", "add", "mt0", "link", "eth0", "index", str(index), "type", "macvtap")
    before = node_of(host).stat()
    wanted = {"name": "mt1", "netns": "guest", "lower_device": "eth1", "lower_device_netns": "guest", "device_mode": "0666"}
    climb(host, "macvtap", **wanted)
    assert assert_own_node(host, "mt1", "guest", 0o666) > index
    assert node_of(host).stat().st_ctime_ns == before.st_ctime_ns


@pytest.fixture
def rooms() -> Iterator[tuple[str, str]]:
    """Return the names of two namespaces, and delete them after the test."""
    names = ("room", "side")
    yield names
    for netns in names:
        subprocess.run(["ip", "netns", "del", netns], check=False, capture_output=True)


def test_new_namespaces_share_no_node(host: Host, rooms: tuple[str, str]) -> None:
    """Namespaces that start counting at the same number get macvtaps with different nodes."""
    first, second = rooms
    wanted = {
        "netns": [{"name": netns} for netns in rooms],
        "veth": [{"name": f"v-{netns}", "peer": {"name": "v0", "netns": netns}} for netns in rooms],
        "macvtap": [
            {"name": name, "netns": netns, "lower_device": lower, "device_mode": permissions}
            for netns, name, lower, permissions in (
                (first, "mt0", "eth0", "0601"),
                (second, "mt0", "eth0", "0602"),
                (first, "mt1", "eth1", "0603"),
                (second, "mt1", "eth0", "0604"),
            )
        ],
    }
    host.apply("topology", **wanted)
    stay(host, "topology", **wanted)
    indexes = {assert_own_node(host, item["name"], item["netns"], int(item["device_mode"], 8)) for item in wanted["macvtap"]}
    assert len(indexes) == 4


def test_chosen_number_may_be_taken(host: Host, rooms: tuple[str, str]) -> None:
    """Numbers that another program takes at the same time are skipped. A name that is taken is still reported."""
    ip("link", "add", "mt0", "link", "eth0", "type", "macvtap", netns=host.netns)
    ip("netns", "add", rooms[0])
    for place in (1, 2, 3):
        index = host.link("mt0")["ifindex"] + place
        ip("link", "add", f"late{place}", "index", str(index), "type", "bridge", netns=rooms[0])
    request = NewLink(LinkKey(rooms[0], "mt1"), "macvtap", {"lower_device": LinkKey(HERE, "eth0")})
    found = in_namespace(host.netns, lambda: sent(request, request))
    assert found == [None, errno.EEXIST]
    assert assert_own_node(host, "mt1", rooms[0], 0o600) == index + 1


def sent(*requests: Request) -> list[int | None]:
    """Return the errno of each refused request, on a gateway that has observed nothing."""
    found: list[int | None] = []
    with KernelGateway() as gateway:
        for request in requests:
            try:
                gateway.execute(request)
                found.append(None)
            except RequestFailed as error:
                found.append(error.errno)
    return found


def test_node_that_is_no_node(host: Host) -> None:
    """A file in the place of the node is not treated as the node and not changed."""
    host.apply("macvtap", name="mt0", lower_device="eth0")
    node = node_of(host)
    aside = node.rename(f"{node}-aside")  # the kernel deletes only nodes that it created itself
    node.write_text("somebody's")
    try:
        told = host.run("macvtap", name="mt0", device_mode="0666")
        assert told["msg"].startswith(f"mt0: the link has no device node of its own: {node} is missing, or belongs to")
        assert node.read_text() == "somebody's"
        assert stat.S_IMODE(node.stat().st_mode) != 0o666
    finally:
        node.unlink()
        aside.rename(node)
    climb(host, "macvtap", name="mt0", device_mode="0640", alias="its own again")
    assert mode(host) == 0o640
    climb(host, "macvtap", name="mt0", state="absent")
    assert not node.exists()


REFUSALS = {
    "controller": Case(
        {"name": "mt0", "lower_device": "eth0", "controller": "br0"},
        "mt0: a macvtap passes its frames to its device node, so it cannot be attached to br0. Use a macvlan or a veth",
        ip=("link add br0 type bridge",),
    ),
    "unknown user": Case(
        {"name": "mt0", "lower_device": "eth0", "device_owner": "no-such-user"},
        "mt0: device_owner: user no-such-user does not exist on this host. Create it first, or set a number",
    ),
    "unknown group": Case(
        {"name": "mt0", "lower_device": "eth0", "device_group": "no-such-group"},
        "mt0: device_group: group no-such-group does not exist on this host. Create it first, or set a number",
    ),
    "no octal mode": Case(
        {"name": "mt0", "lower_device": "eth0", "device_mode": "rw-rw----"},
        "device_mode: 'rw-rw----' is not an octal mode such as '0660'",
    ),
    "a macvlan has this name": Case(
        {"name": "mt0", "lower_device": "eth0"},
        "mt0: the link with this name is a macvlan, not a macvtap, and is not changed. "
        "Choose another name, or delete that link first",
        ip=("link add mt0 link eth0 type macvlan",),
    ),
    "passthru beside a macvlan": Case(
        {"name": "mt0", "lower_device": "eth0", "mode": "passthru"},
        "mt0: mode passthru needs lower device eth0 exclusively, but mv0 uses it. Delete those links first, or set "
        "another lower_device or mode",
        ip=("link add mv0 link eth0 type macvlan",),
    ),
    "bridge port below": Case(
        {"name": "mt0", "lower_device": "eth0"},
        "mt0: lower device eth0 is a port of bridge br0, so no macvtap can receive from it. Use br0 as "
        "lower_device, or detach eth0 first",
        ip=("link add br0 type bridge", "link set eth0 master br0"),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal(host: Host, name: str) -> None:
    """The whole message is compared, and nothing changes."""
    refuse(host, "macvtap", REFUSALS[name])


def in_namespace(netns: str, work: Callable[[], Any]) -> Any:
    """Return the result of `work` from a thread in this namespace. A socket stays there."""
    found: list[Any] = []

    def run() -> None:
        enter(netns)
        found.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def _cable_end() -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
    opened.bind(("eth0", ETHERTYPE))
    opened.settimeout(5)
    return opened


def _frame(target: str, sender: str, text: str) -> bytes:
    addresses = bytes.fromhex((target + sender).replace(":", ""))
    return (addresses + ETHERTYPE.to_bytes(2, "big") + text.encode()).ljust(60, b"\0")


def test_frames_through_the_node(host: Host) -> None:
    """Frames pass through the node as for a virtual machine, each after a header of 10 bytes."""
    device = host.apply(
        "macvtap", name="mt0", lower_device="eth0", mode="bridge", address=MAC1, device_mode="0660", admin_state="up"
    )["link"]["device"]
    wire = f"{host.netns}-wire"
    far = host.link("eth0", wire)["address"]
    node = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        with in_namespace(wire, _cable_end) as cable:
            sent = _frame(far, MAC1, "from the guest")
            assert os.write(node, VNET_HEADER + sent) == len(VNET_HEADER + sent)
            assert cable.recv(2000) == sent
            answer = _frame(MAC1, far, "to the guest")
            cable.send(answer)
            assert _read_frame(node) == answer
    finally:
        os.close(node)


def _read_frame(node: int) -> bytes:
    """Return the next frame of this test, without the traffic of neighbors."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if select.select([node], [], [], 0.1)[0]:
            frame = os.read(node, 2000)[len(VNET_HEADER) :]
            if frame[12:14] == ETHERTYPE.to_bytes(2, "big"):
                return frame
    raise AssertionError("no frame came")


def test_sentence_of_a_change(host: Host) -> None:
    """The operation shows permissions in octal notation."""
    host.apply("macvtap", name="mt0", lower_device="eth0", device_mode="0640", device_owner="nobody")
    done = climb(host, "macvtap", name="mt0", device_mode="0660", device_owner="root")
    (sentence,) = done["operations"]
    assert re.fullmatch(rf"set mt0: device_owner {NOBODY} -> 0, device_mode 0640 -> 0660", sentence)
