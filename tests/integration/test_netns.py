# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named network namespaces on the real kernel: those of iproute2 and of this module are the same."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_topology
from ansible_collections.patchbay.netdev.plugins.module_utils._converge._converge import converge
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import ApplyFailed, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import RemoveNetns, Request
from ansible_collections.patchbay.netdev.tests.integration.host import Host, assert_equal, dump, ip
from ansible_collections.patchbay.netdev.tests.integration.ladder import Case, refuse, stay
from ansible_collections.patchbay.netdev.tests.integration.test_undo import REFUSED_BY_KERNEL, in_host, mac

ROOM = Path("/run/netns/room")


@pytest.fixture(autouse=True)
def clean(host: Host) -> Iterator[None]:
    """Delete all namespaces after the test."""
    there = set(os.listdir("/run/netns"))
    yield
    for name in set(os.listdir("/run/netns")) - there:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        with contextlib.suppress(FileNotFoundError):
            Path("/run/netns", name).unlink()


def known(names: list[str]) -> list[str]:
    """Return the namespaces that ip can enter."""
    return [name for name in names if f"/run/netns/{name}" in mounted()]


def mounted() -> list[str]:
    """Return all mount points."""
    return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]


def climb(host: Host, /, **params: Any) -> dict[str, Any]:
    """Verify the four runs of a change, and return the result of the first real run."""
    namespaces = known([host.netns, "guest", "room"])
    before = dump(namespaces)
    told = host.run("netns", check=True, **params)
    assert told.get("changed"), told
    assert_equal(dump(namespaces), before, "check mode changed something")
    done = host.run("netns", **params)
    assert done.get("changed"), done
    assert (done["operations"], done["netns"], done["diff"]) == (told["operations"], told["netns"], told["diff"])
    stay(host, "netns", **params)
    return done


@contextlib.contextmanager
def running_in(netns: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in a namespace."""
    with subprocess.Popen(["ip", "netns", "exec", netns, "sleep", "60"]) as process:
        try:
            end = time.monotonic() + 10
            while ip("netns", "pids", netns).split() != [str(process.pid)]:
                assert time.monotonic() < end
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


def test_present_and_absent(host: Host) -> None:
    """A namespace is created, used and deleted, and the state before is restored."""
    before = dump([host.netns, "guest"])
    done = climb(host, name="room")
    assert done["operations"] == ["create netns room"]
    assert done["netns"] == {"name": "room", "path": "/run/netns/room"}
    assert done["diff"] == [
        {
            "before_header": "netns room",
            "after_header": "netns room",
            "before": {"state": "absent"},
            "after": {"state": "present"},
        }
    ]
    done = climb(host, name="room", state="absent")
    assert done["operations"] == ["delete netns room"]
    assert done["netns"] is None
    assert not ROOM.exists()
    assert_equal(dump([host.netns, "guest"]), before)


def test_made_by_iproute2(host: Host) -> None:
    """A namespace of `ip netns add` exists for the module and can be deleted."""
    ip("netns", "add", "room")
    stay(host, "netns", name="room")
    climb(host, name="room", state="absent")
    assert "room" not in ip("netns", "list").split()


def test_usable_by_iproute2(host: Host) -> None:
    """ip lists, enters and deletes a namespace of the module."""
    climb(host, name="room")
    assert "room" in ip("netns", "list").split()
    inside = subprocess.run(["ip", "netns", "exec", "room", "ip", "-o", "link"], capture_output=True, text=True, check=True)
    assert [line.split(": ")[1] for line in inside.stdout.splitlines()] == ["lo"]
    assert os.stat(ROOM).st_ino != os.stat(f"/run/netns/{host.netns}").st_ino
    ip("netns", "del", "room")
    stay(host, "netns", name="room", state="absent")


def test_seen_in_every_mount_namespace(host: Host) -> None:
    """A process with its own mount namespace sees later namespaces appear and disappear, as with iproute2."""
    with subprocess.Popen(["ip", "netns", "exec", "guest", "sleep", "60"]) as apart:  # it has its own mount namespace
        try:
            end = time.monotonic() + 10
            while os.stat(f"/proc/{apart.pid}/ns/mnt").st_ino == os.stat("/proc/self/ns/mnt").st_ino:
                assert time.monotonic() < end
                time.sleep(0.01)
            host.apply("netns", name="room")
            assert f" {ROOM} " in Path(f"/proc/{apart.pid}/mounts").read_text()
            host.apply("netns", name="room", state="absent")
            assert f" {ROOM} " not in Path(f"/proc/{apart.pid}/mounts").read_text()
        finally:
            apart.kill()


def test_processes_in_it(host: Host) -> None:
    """Deletion is refused with process IDs. With force, the name is removed, and the processes keep the namespace."""
    host.apply("topology", netns=[{"name": "room"}], veth=[{"name": "v0", "peer": {"name": "v1", "netns": "room"}}])
    with running_in("room") as process:
        inside = os.stat(f"/proc/{process.pid}/ns/net").st_ino
        refuse(
            host,
            "netns",
            Case(
                {"name": "room", "state": "absent"},
                f"netns room: processes run in it ({process.pid}). Stop them first, or set force: true to delete only its name: "
                "the processes keep the namespace",
            ),
            others=["room"],
        )
        done = climb(host, name="room", state="absent", force=True)
        assert done["operations"] == ["delete netns room"]
        assert not ROOM.exists()
        assert process.poll() is None
        assert os.stat(f"/proc/{process.pid}/ns/net").st_ino == inside
        assert host.link("v0")["linkinfo"]["info_kind"] == "veth", "the other end keeps the pair"
    end = time.monotonic() + 10
    while host.link("v0"):  # no process keeps the namespace
        assert time.monotonic() < end
        time.sleep(0.05)


def test_force_without_processes(host: Host) -> None:
    """Without processes force changes nothing."""
    host.apply("netns", name="room")
    assert climb(host, name="room", state="absent", force=True)["operations"] == ["delete netns room"]


def test_file_left_behind(host: Host) -> None:
    """A file without its mount, as after a crash, is replaced by a new namespace, and deleted with absent."""
    leave_behind()
    done = climb(host, name="room", state="absent")
    assert (done["operations"], done["netns"]) == (["delete netns room"], None)
    assert (done["diff"][0]["before"], done["diff"][0]["after"]) == ({"state": "left behind"}, {"state": "absent"})
    assert not ROOM.exists()
    leave_behind()
    done = climb(host, name="room")
    assert done["operations"] == ["delete netns room", "create netns room"]
    assert (done["diff"][0]["before"], done["diff"][0]["after"]) == ({"state": "left behind"}, {"state": "present"})
    assert "lo" in ip("-o", "link", netns="room")


def leave_behind() -> None:
    """Create a file as a crash leaves it: `ip netns add` without its mount."""
    ip("netns", "add", "room")
    subprocess.run(["umount", str(ROOM)], check=True)
    assert ROOM.is_file()


def identity() -> tuple[int, ...]:
    """Return what reading the file cannot change."""
    found = ROOM.lstat()
    return found.st_ino, found.st_mode, found.st_size, found.st_ctime_ns


def test_check_mode_leaves_the_file(host: Host) -> None:
    """Check mode predicts the deletion and keeps the file unchanged."""
    leave_behind()
    before = identity()
    for state in ("present", "absent"):
        assert host.run("netns", check=True, name="room", state=state)["changed"]
    assert identity() == before


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: ROOM.write_text("somebody's"), "a file that is not empty"),
        (ROOM.mkdir, "a directory"),
        (lambda: ROOM.symlink_to("/proc/1/nowhere"), "a symbolic link"),
        (lambda: os.mkfifo(ROOM), "a special file"),
    ],
    ids=["file", "directory", "link", "special"],
)
def test_something_else_in_its_place(host: Host, make: Callable[[], object], found: str, state: str) -> None:
    """A file with content is not deleted."""
    make()
    before = identity()
    try:
        for check in (True, False):
            assert host.run("netns", check=check, name="room", state=state).get("msg") == (
                f"netns room: /run/netns/room is {found}, not a network namespace, and is not deleted. "
                "Move it away first, or choose another name"
            )
        assert identity() == before
    finally:
        if ROOM.is_dir():
            ROOM.rmdir()


@pytest.mark.parametrize("state", ["present", "absent"])
def test_file_left_behind_is_restored(host: Host, state: str) -> None:
    """If a later operation fails, the file is restored."""
    leave_behind()
    before = (ROOM.stat().st_mode, ROOM.stat().st_size)
    ip("netns", "add", "side")
    items = desired_topology({"netns": [{"name": "room", "state": state}, {"name": "side", "state": "absent"}]})
    told, left = in_host(host.netns, partial(fail, items, "side"))
    assert left == [], told
    assert told.endswith("All changes were rolled back")
    assert not known(["room"])
    assert (ROOM.stat().st_mode, ROOM.stat().st_size) == before


def test_file_that_became_a_namespace(host: Host) -> None:
    """A file that became a namespace after it was read is not deleted."""
    ip("netns", "add", "room")
    with KernelGateway() as gateway, pytest.raises(RequestFailed, match="/run/netns/room is now in use"):
        gateway.execute(RemoveNetns("room", left_behind=True))
    assert "room" in ip("netns", "list").split()


@pytest.mark.usefixtures("nodes")
def test_links_in_it_are_deleted(host: Host) -> None:
    """Links are deleted with the namespace, and their peers at once. A link with a lower device elsewhere is deleted alone."""
    before = dump([host.netns, "guest"])
    host.apply(
        "topology",
        netns=[{"name": "room"}],
        bridge=[{"name": "br0", "netns": "room", "admin_state": "up"}],
        veth=[
            {"name": "v0", "peer": {"name": "v1", "netns": "room", "controller": "br0"}},
            {"name": "w0", "netns": "guest", "peer": {"name": "w1", "netns": "room"}},
        ],
        macvlan=[{"name": "mv0", "netns": "room", "lower_device": "eth0"}],
        macvtap=[{"name": "mt0", "netns": "room", "lower_device": "eth1"}],
    )
    done = climb(host, name="room", state="absent")
    assert sorted(done["operations"]) == [
        "delete br0 in netns room",
        "delete mt0 in netns room",
        "delete mv0 in netns room",
        "delete netns room",
        "delete v1 in netns room",
        "delete w1 in netns room",
    ]
    assert done["operations"][-1] == "delete netns room"
    assert_equal(dump([host.netns, "guest"]), before)


def test_links_elsewhere_sit_on_links_in_it(host: Host) -> None:
    """Links elsewhere whose lower device is in the namespace must be named in the task."""
    host.apply(
        "topology",
        netns=[{"name": "room"}],
        bridge=[{"name": "br0", "netns": "room"}],
        macvlan=[{"name": "mv0", "lower_device": "br0", "lower_device_netns": "room"}],
    )
    params = {"netns": [{"name": "room", "state": "absent"}], "macvlan": [{"name": "mv0", "state": "absent"}]}
    told = (
        "br0 in netns room: mv0 sits on it and would be deleted with it, so it is not deleted. "
        "Delete mv0 first, or in the same task"
    )
    refuse(host, "netns", Case({"name": "room", "state": "absent"}, told), others=["room"])
    done = host.apply("topology", **params)
    assert done["operations"] == ["delete mv0", "delete br0 in netns room", "delete netns room"]
    stay(host, "topology", **params)


class Spoiler(KernelGateway):
    """The real gateway, which makes the kernel refuse a request before the deletion of a namespace."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def execute(self, request: Request) -> None:
        """Send an impossible request first."""
        if isinstance(request, RemoveNetns) and request.name == self.name:
            super().execute(REFUSED_BY_KERNEL)
        super().execute(request)


def fail(items: Sequence[Desired], name: str) -> tuple[str, list[str]]:
    """Return the error message and the changes that were not rolled back."""
    with Spoiler(name) as gateway, pytest.raises(ApplyFailed) as caught:
        converge(gateway, items, apply=True)
    return str(caught.value), caught.value.not_undone


@pytest.mark.parametrize("loopback", ["down", "up"])
@pytest.mark.parametrize("spoiled", ["room", "side"])
def test_failing_plan_is_rolled_back(host: Host, spoiled: str, loopback: str) -> None:
    """If an operation fails after the links or the namespace were deleted, everything is restored."""
    for name in ("room", "side"):
        ip("netns", "add", name)
    if loopback == "up":
        ip("link", "set", "lo", "up", netns="room")
    host.apply(
        "topology",
        bridge=[{"name": "br0", "netns": "room", "address": mac(1)}],
        veth=[
            {"name": "v0", "address": mac(2), "peer": {"name": "v1", "netns": "room", "address": mac(3), "alias": "inside"}},
        ],
        macvlan=[{"name": "mv0", "netns": "room", "lower_device": "eth0", "address": mac(4), "mode": "bridge"}],
        bridge_port=[{"port": "v1", "netns": "room", "bridge": "br0", "hairpin": True}],
    )
    ip("address", "add", "192.0.2.1/24", "dev", "mv0", netns="room")
    ip("link", "set", "mv0", "up", netns="room")
    ip("route", "add", "198.51.100.0/24", "via", "192.0.2.9", "dev", "mv0", netns="room")
    items = desired_topology({"netns": [{"name": name, "state": "absent"} for name in ("room", "side")]})
    namespaces = [host.netns, "guest", "room", "side"]
    before = dump(namespaces)
    told, left = in_host(host.netns, partial(fail, items, spoiled))
    assert left == [], told
    assert told.startswith(f"delete netns {spoiled} failed: ")
    assert told.endswith("All changes were rolled back")
    assert_equal(dump(namespaces), before, told)


@pytest.mark.parametrize("spoiled", ["room", "side"])
def test_failing_deletion_restores_what_went_along(host: Host, spoiled: str) -> None:
    """Other ends elsewhere have their addresses and routes again; the namespace its rules, and what its loopback device had."""
    for name in ("room", "side"):
        ip("netns", "add", name)
    ip("link", "set", "lo", "up", netns="room")
    ip("address", "add", "192.0.2.99/32", "dev", "lo", netns="room")
    ip("rule", "add", "priority", "100", "from", "192.0.2.99", "lookup", "77", netns="room")
    ip("-6", "rule", "add", "priority", "100", "fwmark", "1", "prohibit", netns="room")
    ip("route", "add", "blackhole", "198.51.100.0/24", "table", "77", netns="room")
    ip("-6", "route", "add", "unreachable", "2001:db8:77::/64", netns="room")
    for number, netns in enumerate((host.netns, "guest")):
        ends = (f"v{number}", netns, mac(0x10 + number)), (f"w{number}", "room", mac(0x20 + number))
        ip("link", "add", f"v{number}", "type", "veth", "peer", "name", f"w{number}", "netns", "room", netns=netns)
        for name, where, address in ends:
            ip("link", "set", name, "address", address, "addrgenmode", "none", "up", netns=where)
        ip("address", "add", f"10.9.{number}.1/24", "dev", f"v{number}", netns=netns)
        ip("address", "add", f"2001:db8:{number}::1/64", "dev", f"v{number}", "nodad", netns=netns)
        ip("route", "add", f"10.10.{number}.0/24", "via", f"10.9.{number}.9", netns=netns)
        ip("-6", "route", "add", f"2001:db8:1{number}::/64", "via", f"2001:db8:{number}::9", "table", "78", netns=netns)
    items = desired_topology({"netns": [{"name": name, "state": "absent"} for name in ("room", "side")]})
    namespaces = [host.netns, "guest", "room", "side"]
    before = dump(namespaces)
    told, left = in_host(host.netns, partial(fail, items, spoiled))
    assert left == [], told
    assert told.endswith("All changes were rolled back")
    assert_equal(dump(namespaces), before, told)


def test_with_links_in_one_task(host: Host) -> None:
    """topology creates a namespace with links. Check mode returns the same plan and creates nothing."""
    params: dict[str, Any] = {
        "netns": [{"name": "room"}],
        "veth": [{"name": "v0", "peer": {"name": "v1", "netns": "room", "admin_state": "up"}}],
        "macvlan": [
            {"name": "mv0", "netns": "room", "lower_device": "eth0", "address": mac(1), "sysctls": {"ipv4.arp_ignore": 1}}
        ],
        "bridge": [{"name": "br0", "netns": "room"}],
    }
    before = dump([host.netns, "guest"])
    told = host.run("topology", check=True, **params)
    assert told.get("changed"), told
    assert_equal(dump([host.netns, "guest"]), before, "check mode changed something")
    done = host.apply("topology", **params)
    assert done["operations"] == told["operations"]
    assert done["operations"][0] == "create netns room"
    assert host.link("mv0", "room")["address"] == mac(1)
    assert host.setting("ipv4/conf/mv0/arp_ignore", "room") == "1"
    assert "UP" in host.link("v1", "room")["flags"]
    stay(host, "topology", **params)
    gone = {
        name: [{key: entry[key] for key in ("name", "netns") if key in entry} | {"state": "absent"} for entry in entries]
        for name, entries in params.items()
    }
    host.apply("topology", **gone)
    assert_equal(dump([host.netns, "guest"]), before)
    stay(host, "topology", **gone)


def test_two_entries_contradict(host: Host, untouched: None) -> None:
    """One entry has state present, the other one absent."""
    result = host.run("topology", netns=[{"name": "room"}, {"name": "room", "state": "absent"}])
    assert result["msg"] == (
        "netns room: listed twice with different options: state is present in netns[0] (room) and absent in netns[1] (room). "
        "Set one value only"
    )


def test_link_in_a_deleted_namespace(host: Host) -> None:
    """A present link in an absent namespace is a contradiction."""
    ip("netns", "add", "room")
    result = host.run(
        "topology",
        netns=[{"name": "room", "state": "absent"}],
        macvlan=[{"name": "mv0", "netns": "room", "lower_device": "eth0"}],
    )
    assert result.get("failed"), result
    assert "mv0 in netns room" in result["msg"]
    assert "undone" not in result["msg"], "it is seen before anything is done"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a/b", "name: 'a/b' is not the name of a network namespace"),
        ("..", "name: '..' is not the name of a network namespace"),
        ("", "name: '' is not the name of a network namespace"),
        ("/tmp/room", "name: '/tmp/room' is not the name of a network namespace"),
        ("/run/netns/../room", "name: '/run/netns/../room' is not the name of a network namespace"),
    ],
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_bad_name(host: Host, untouched: None, name: str, told: str, state: str) -> None:
    """A path is not a valid name of a namespace."""
    for check in (True, False):
        result = host.run("netns", check=check, name=name, state=state)
        assert result.get("failed"), result
        assert result["msg"] == told


@pytest.mark.parametrize("state", ["present", "absent"])
def test_name_too_long(host: Host, untouched: None, state: str) -> None:
    """A name that is too long for a file fails with a message, without a traceback."""
    result = host.run("netns", name="x" * 300, state=state)
    assert state == "absent" or result.get("failed"), result
    assert "Traceback" not in str(result)


ABSENT = {
    "macvlan": {"name": "mv0", "netns": "gone"},
    "veth": {"name": "va", "netns": "gone"},
    "bridge": {"name": "br0", "netns": "gone"},
    "bridge_port": {"port": "va", "netns": "gone"},
    "route": {"destination": "198.51.100.0/24", "netns": "gone"},
    "rule": {"priority": 100, "netns": "gone"},
}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("module", ABSENT)
def test_absent_in_an_absent_namespace(host: Host, untouched: None, module: str, check: bool) -> None:
    """What is to be absent is absent: a teardown can run twice."""
    result = host.run(module, check=check, state="absent", **ABSENT[module])
    assert not result.get("failed"), result
    assert not result["changed"]


def test_absent_ports_and_links_in_one_task(host: Host, untouched: None) -> None:
    """Neither a missing port nor a missing namespace fails; what is to be present in that namespace does."""
    absent: dict[str, Any] = {"bridge_port": [{"port": "nosuch", "state": "absent"}], "routes": [], "rules": [], "macvlan": []}
    for module, entries in (("macvlan", "macvlan"), ("route", "routes"), ("rule", "rules"), ("bridge_port", "bridge_port")):
        absent[entries].append({**ABSENT[module], "state": "absent"})
    assert not host.apply("topology", **absent)["changed"]
    failed = host.run("topology", **absent, veth=[{"name": "vb", "netns": "gone", "peer": {"name": "vc"}}])
    assert failed["msg"].startswith("There is no network namespace gone (/run/netns/gone does not exist). ")
