# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations restore the state: the kernel state of a host with its own disk is lost, and the boot program restores it.

The hosts have no service manager, so the test starts the boot program as their init would.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.tests.integration.host import (
    assert_equal,
    hosts,
)
from ansible_collections.patchbay.netdev.tests.integration.ladder import warnings
from ansible_collections.patchbay.netdev.tests.integration.machine import CARDS, COMMAND, ENGINE, FOLDER, Machine, mac, numbers

PYROUTE2 = "/usr/lib/python3/dist-packages/pyroute2"


@pytest.fixture(scope="module", autouse=True)
def wire() -> Iterator[None]:
    """Start the other end of all cables."""
    hosts("start", "wire")
    yield
    hosts("stop", "wire")


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Create a host."""
    made = Machine(f"machine{next(numbers)}")
    hosts("start", made.name)
    try:
        made.plug(*CARDS)
        yield made
    finally:
        hosts("stop", made.name)


MV0 = {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "admin_state": "up", "lower_device_state": "up"}
EVERYTHING: dict[str, Any] = {
    "netns": [{"name": "blue"}],
    "bridge": [{"name": "br0", "address": mac(4), "admin_state": "up", "forward_delay": 4.0, "addresses": ["203.0.113.1/24"]}],
    "veth": [
        {
            "name": "v0",
            "controller": "br0",
            "admin_state": "up",
            "peer": {
                "name": "v1",
                "netns": "blue",
                "admin_state": "up",
                "mtu": 1400,
                "addresses": ["203.0.113.2/24", {"ip": "2001:db8:2::2/64", "nodad": True}],
                "sysctls": {"ipv4.arp_ignore": 1},
            },
        }
    ],
    "macvlan": [
        MV0,
        {"name": "private0", "lower_device": "eth0", "mode": "private", "address": mac(1), "mtu": 1300},
        {"name": "vepa0", "lower_device": "eth0", "mode": "vepa", "alias": "Büro: ☎", "altnames": ["other name"]},
        {"name": "source0", "lower_device": "eth0", "mode": "source", "source_addresses": [mac(2), mac(3)], "group": "7"},
        {"name": "pass0", "lower_device": "eth1", "mode": "passthru", "nopromisc": True, "admin_state": "up"},
        {"name": "far0", "lower_device": "eth0", "mode": "vepa", "netns": "blue", "admin_state": "up", "tx_queue_len": 77},
    ],
    "link": [
        {"name": "eth0", "addresses": ["192.0.2.10/24"], "sysctls": {"ipv4.arp_filter": 1}},
        {"name": "eth1", "admin_state": "up"},
        {
            "name": "mv0",
            "addresses": ["192.0.2.12/24", {"ip": "192.0.2.11/24", "label": "mv0:a", "noprefixroute": True}, "2001:db8::11/64"],
            "sysctls": {"ipv4.arp_ignore": 1, "ipv4.arp_announce": 2, "ipv6.accept_ra": 0},
        },
    ],
    "bridge_port": [{"port": "v0", "hairpin": True, "isolated": True}],
    "routes": [
        {"destination": "default", "gateway": "192.0.2.1", "metric": 100},
        {"destination": "default", "gateway": "192.0.2.1", "link": "mv0", "table": "77"},
        {"destination": "2001:db8:7::/48", "gateway": "2001:db8::1", "mtu": 1400},
        {"destination": "198.51.100.0/24", "type": "blackhole"},
        {"destination": "default", "gateway": "203.0.113.1", "netns": "blue"},
    ],
    "rules": [
        {"priority": 100, "from": "192.0.2.11", "table": "77"},
        {"priority": 101, "family": "ipv6", "fwmark": "0x7", "action": "prohibit", "netns": "blue"},
    ],
}


# --- the ladder ---


def test_ladder(machine: Machine) -> None:
    """Check mode names the files without writing them. The second run changes nothing."""
    before, shown = machine.disk(), machine.settled()
    told = machine.run("topology", check=True, persist="replay", macvlan=[MV0])
    assert told.get("changed"), told
    assert_equal(machine.disk(), before, "check mode wrote something")
    assert_equal(machine.kernel(), shown, "check mode changed something")
    done = machine.apply("topology", persist="replay", macvlan=[MV0])
    assert done["operations"] == told["operations"]
    assert done["operations"][:2] == [f"prepare the next boot: write {ENGINE}", "test the boot program with /usr/bin/python3"]
    assert done["operations"][-1] == f"save declarations: write {FOLDER}/link-mv0.json"
    assert [entry["before_header"] for entry in done["diff"]] == [entry["before_header"] for entry in told["diff"]]
    new = {path: found for path, found in machine.disk().items() if before.get(path) != found}
    assert {path: found[:3] for path, found in new.items()} == {
        "/etc/patchbay": (oct(0o40700), 0, 0),
        FOLDER: (oct(0o40700), 0, 0),
        f"{FOLDER}/link-mv0.json": (oct(0o100600), 0, 0),
        "/usr/local/lib/patchbay": (oct(0o40755), 0, 0),
        ENGINE: (oct(0o100644), 0, 0),
    }
    after = machine.disk()
    for check in (True, False):
        again = machine.run("topology", check=check, persist="replay", macvlan=[MV0])
        assert (again["changed"], again["operations"]) == (False, [])
    assert_equal(machine.disk(), after)
    assert_equal(after, {path: after[path] for path in before} | before, "something else was changed")
    assert machine.check() == (0, [])


def test_files_belong_to_root_with_any_umask(machine: Machine) -> None:
    """Files of the program that root runs at boot are writable for root only."""
    machine.run("macvlan", inside=lambda: void(os.umask(0)), persist="replay", **MV0)
    found = machine.disk()
    assert {path: found[path][0] for path in ("/etc/patchbay", FOLDER, "/usr/local/lib/patchbay", ENGINE)} == {
        "/etc/patchbay": oct(0o40700),
        FOLDER: oct(0o40700),
        "/usr/local/lib/patchbay": oct(0o40755),
        ENGINE: oct(0o100644),
    }


def void(_value: object) -> None:
    """Ignore a request."""


def test_without_a_service_manager(machine: Machine) -> None:
    """The result names the boot command once, when the files are written."""
    (note,) = warnings(machine.apply("macvlan", persist="replay", **MV0))
    assert note.endswith(f"Have the host run this command as root at each boot: {COMMAND}")
    assert "warnings" not in machine.apply("macvlan", persist="replay", **MV0)


def test_none_deletes_the_files(machine: Machine) -> None:
    """The link is kept, and later tasks write no files."""
    before = machine.disk()
    machine.apply("macvlan", persist="replay", **MV0)
    shown = machine.settled()
    done = machine.apply("macvlan", persist="none", **MV0)
    assert done["operations"] == [
        f"remove declarations: delete {FOLDER}/link-mv0.json",
        f"remove files that are no longer needed: delete {ENGINE}",
    ]
    assert_equal(machine.disk(), before)
    assert machine.disk() == before
    assert_equal(machine.kernel(), shown)
    assert not machine.apply("macvlan", persist="none", **MV0)["changed"]


# --- the reboot ---


def test_everything_is_restored(machine: Machine) -> None:
    """The kernel state is the same in all namespaces, and neither the program nor the next run makes changes."""
    disk = machine.disk()
    bare = machine.settled()
    machine.apply("topology", persist="replay", **EVERYTHING)
    before, files = machine.settled(), machine.disk()
    assert machine.check() == (0, [])
    machine.reboot()
    status, differs = machine.check()
    assert status == 2
    assert "<6>differs: to create mv0: macvlan" in " ".join(differs)
    assert machine.settled() == bare
    status, lines = machine.replay()
    assert status == 0, lines
    assert [line for line in lines if not line.startswith("<6>")] == []
    assert_equal(machine.settled(), before)
    assert machine.check() == (0, [])
    again = machine.apply("topology", persist="replay", **EVERYTHING)
    assert (again["changed"], again["operations"]) == (False, [])
    assert machine.replay() == (0, [])
    assert machine.disk() == files

    # then each file and each link is deleted
    absent = {
        name: [{**entry, "state": "absent"} for entry in entries]
        for name, entries in EVERYTHING.items()
        if name not in ("link", "bridge_port")
    }
    machine.apply("topology", allow_lockout=True, **absent)  # one of them is the default route
    machine.apply("topology", persist="none", link=[{"name": "eth0"}, {"name": "eth1"}])
    assert_equal(machine.disk(), disk)
    assert machine.disk() == disk
    machine.sh("ip address del 192.0.2.10/24 dev eth0; ip link set eth0 down; ip link set eth1 down")
    assert_equal(machine.settled(), bare)


def test_link_deleted_manually(machine: Machine) -> None:
    """The program reports a deleted link and restores it, and so does a task."""
    machine.apply("topology", persist="replay", macvlan=[MV0, {**MV0, "name": "mv1"}])
    before = machine.settled()
    machine.sh("ip link del mv0; ip link set mv1 mtu 1300")
    status, differs = machine.check()
    assert status == 2
    assert any("create mv0: macvlan on eth0" in line for line in differs), differs
    assert any("mv1" in line and "mtu 1300 -> 1500" in line for line in differs) is False  # which was not declared
    assert machine.replay()[0] == 0
    machine.sh("ip link set mv1 mtu 1500")
    assert_equal(machine.settled(), before)


@pytest.mark.parametrize(("name", "peer"), [("v0", "v2"), ("v2", "v1"), ("v2", "v0"), ("v1", "v2")])
def test_renamed_end_of_a_pair(machine: Machine, name: str, peer: str) -> None:
    """A renamed end is restored under its new name with its attributes, whichever end the task names."""
    first = {"name": "v0", "mtu": 1300, "peer": {"name": "v1", "mtu": 1400, "addresses": ["192.0.2.1/24"]}}
    machine.apply("veth", persist="replay", **first)
    machine.apply("veth", persist="replay", name=name, peer={"name": peer})
    assert machine.check() == (0, [])
    before = machine.settled()
    machine.reboot()
    assert machine.replay()[0] == 0
    assert_equal(machine.settled(), before)
    assert machine.replay() == (0, [])
    assert not machine.apply("veth", persist="replay", name=name, peer={"name": peer})["changed"]


def test_port_that_another_program_attached(machine: Machine) -> None:
    """The declaration includes the bridge of the port, so the settings are restored."""
    machine.apply(
        "topology", persist="replay", bridge=[{"name": "br0", "address": mac(4)}], veth=[{"name": "v0", "peer": {"name": "v1"}}]
    )
    machine.sh("ip link set v1 master br0")
    machine.apply("bridge_hairpin", persist="replay", port="v1", hairpin=True)
    before = machine.settled()
    machine.reboot()
    status, lines = machine.replay()
    assert status == 0, lines
    assert_equal(machine.settled(), before)


# --- faults ---


def test_check_reports_differences(machine: Machine) -> None:
    """--check exits with 0, 2 or 1, prints one line per difference, and requires no write access."""
    machine.apply("macvlan", persist="replay", mtu=1400, **MV0)
    assert machine.check() == (0, [])
    machine.sh("ip link set mv0 mtu 1300")
    shown = machine.settled()
    assert machine.check() == (2, ["<6>differs: to set mv0: mtu 1300 -> 1400"])
    assert_equal(machine.kernel(), shown)
    machine.sh("ip link set mv0 mtu 1400")
    machine.reboot("eth1")
    status, (line,) = machine.check()
    assert status == 2
    assert line.startswith(f"<4>waiting: {FOLDER}/link-mv0.json: "), line
    assert "eth0" in line
    machine.path(f"{FOLDER}/link-mv0.json").write_text("{")
    status, (line,) = machine.check()
    assert (status, line) == (
        1,
        f"<3>failed: {FOLDER}/link-mv0.json: the declaration is damaged (Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)). Delete the file, or run the task that declares the object again",
    )


BAD = {
    "damaged": "{",
    "of a later release": '{"format": 99, "macvlan": {"name": "bad"}}',
    "of a former format": '{"format": 1, "topology": {"macvlan": [{"name": "bad"}]}}',
    "a value of no sort": '{"format": 2, "macvlan": {"name": "bad", "lower_device": "eth0", "mtu": "big"}}',
    "a value out of bounds": '{"format": 2, "macvlan": {"name": "bad", "lower_device": "eth0", "mtu": 1}}',
    "a word that is none": '{"format": 2, "macvlan": {"name": "bad", "lower_device": "eth0", "mode": "odd"}}',
    "what the kernel refuses": '{"format": 2, "macvlan": {"name": "bad", "lower_device": "eth0", "mtu": 9000}}',
    "a name that is taken": '{"format": 2, "bridge": {"name": "eth1"}}',
}


def test_bad_declarations(machine: Machine) -> None:
    """Each bad declaration is reported, the program fails, and all others are restored."""
    bridge = {"name": "br0", "address": mac(9)}
    machine.apply("topology", persist="replay", macvlan=[MV0], bridge=[bridge], netns=[{"name": "blue"}])
    before = machine.settled()
    for number, text in enumerate(BAD.values()):
        machine.path(f"{FOLDER}/bad{number}.json").write_text(text, encoding="utf-8")
    machine.reboot()
    status, lines = machine.replay()
    assert status == 1
    failed = sorted(re.findall(r"^<3>failed: .*?/bad(\d)\.json: \S", "\n".join(lines), re.MULTILINE))
    assert failed == [str(number) for number in range(len(BAD))], lines
    assert [line for line in lines if "Traceback" in line] == []
    assert_equal(machine.settled(), before)
    assert machine.check()[0] == 1


def test_missing_lower_device(machine: Machine) -> None:
    """A link is restored when its lower device appears. Other links do not wait."""
    late = {"name": "late0", "lower_device": "eth1", "controller": "br0", "admin_state": "up"}
    machine.apply("topology", persist="replay", macvlan=[MV0, late], bridge=[{"name": "br0"}])
    before = machine.settled()
    machine.reboot("eth0")
    status, lines = machine.replay()
    assert status == 0
    (line,) = [line for line in lines if not line.startswith("<6>")]
    assert line.startswith(f"<4>waiting: {FOLDER}/link-late0.json: "), line
    assert machine.sh("ip -br link show mv0 && ip -br link show br0").returncode == 0
    machine.plug("eth1")
    status, lines = machine.replay()
    assert (status, [line for line in lines if not line.startswith("<6>")]) == (0, [])
    assert_equal(machine.settled(), before)
    assert machine.check() == (0, [])


def test_file_edited_manually(machine: Machine) -> None:
    """The next run shows the difference and restores the file without a change of the kernel."""
    machine.apply("macvlan", persist="replay", mtu=1400, **MV0)
    path = machine.path(f"{FOLDER}/link-mv0.json")
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace('"mtu": 1400', '"mtu": 1300'), encoding="utf-8")
    edited = machine.disk()
    assert machine.check() == (2, ["<6>differs: to set mv0: mtu 1400 -> 1300"])
    told = machine.run("macvlan", check=True, mtu=1400, **MV0)
    assert told["changed"] is False
    assert [note for note in warnings(told) if f"({FOLDER}/link-mv0.json) differs from this task" in note]
    for check in (True, False):
        done = machine.run("macvlan", check=check, persist="replay", mtu=1400, **MV0)
        assert done["operations"] == [f"save declarations: write {FOLDER}/link-mv0.json"]
        (entry,) = [entry for entry in done["diff"] if entry["before_header"].startswith("/")]
        assert entry["before_header"] == f"{FOLDER}/link-mv0.json"
        assert ('"mtu": 1300' in entry["before"], '"mtu": 1400' in entry["after"]) == (True, True)
        if check:
            assert_equal(machine.disk(), edited)
    assert path.read_text(encoding="utf-8") == good


def test_program_damaged_manually(machine: Machine) -> None:
    """The program is written and tested again."""
    machine.apply("macvlan", persist="replay", **MV0)
    good = machine.disk()
    machine.path(ENGINE).write_bytes(b"nothing")
    done = machine.apply("macvlan", persist="replay", **MV0)
    assert done["operations"] == [f"prepare the next boot: write {ENGINE}", "test the boot program with /usr/bin/python3"]
    assert machine.disk() == good


# --- all or nothing ---

CHANGE: dict[str, Any] = {
    "netns": [{"name": "blue"}],
    "bridge": [{"name": "br0", "admin_state": "up"}],
    "macvlan": [{**MV0, "mtu": 1300, "addresses": ["192.0.2.11/24"]}, {"name": "gone0", "state": "absent"}],
    "veth": [{"name": "v0", "controller": "br0", "peer": {"name": "v1", "netns": "blue"}}],
    "rules": [{"priority": 100, "from": "192.0.2.11", "table": "77"}],
}


def sabotage(place: int, counted: int | None = None) -> Callable[[], None]:
    """Make the gateway fail at this request.

    counted: a file descriptor that receives the number of requests.
    """
    real = KernelGateway.execute
    sent = itertools.count()

    def execute(self: KernelGateway, request: Any) -> None:
        number = next(sent)
        if counted is not None:
            os.write(counted, b".")
        if number == place:
            raise RequestFailed(f"sabotage of {request}", 0, "sabotage")
        real(self, request)

    def inside() -> None:
        KernelGateway.execute = execute  # type: ignore[method-assign]

    return inside


def test_failure_at_any_request_restores_the_files(machine: Machine) -> None:
    """Disk and kernel state are as before, whichever request failed."""
    gone = {"name": "gone0", "lower_device": "eth0", "admin_state": "up", "address": mac(9)}
    machine.apply("topology", persist="replay", macvlan=[{**MV0, "mtu": 1400}, gone])
    damaged = b"of another release"
    machine.path(ENGINE).write_bytes(damaged)  # so that the program is written and tested again
    disk, shown = machine.disk(), machine.settled()
    reader, writer = os.pipe()
    told = machine.run("topology", check=True, persist="replay", **CHANGE)
    assert {word for sentence in told["operations"] for word in [sentence.split(":")[0]]} >= {
        "prepare the next boot",
        "remove declarations",
        "save declarations",
    }, told["operations"]
    places = itertools.count()
    for place in places:
        result = machine.run("topology", inside=sabotage(place, writer), persist="replay", **CHANGE)
        if not result.get("failed"):
            break
        assert "sabotage of" in result["msg"], result
        assert result["not_undone"] == [], result
        assert machine.disk() == disk, (result["msg"], _changed(disk, machine.disk()))
        assert_equal(machine.settled(), shown, result["msg"])
    os.close(writer)
    with os.fdopen(reader, "rb") as counted:
        assert len(counted.read()) > place > 12
    assert not machine.apply("topology", persist="replay", **CHANGE)["changed"]
    assert machine.check() == (0, [])


def _changed(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    return {path: (before.get(path), now.get(path)) for path in {*before, *now} if before.get(path) != now.get(path)}


def test_kernel_refuses_and_nothing_is_left(machine: Machine) -> None:
    """The first declaration of a host, with an MTU above that of the lower device, leaves nothing."""
    disk, shown = machine.disk(), machine.settled()
    result = machine.run("topology", persist="replay", macvlan=[{**MV0, "mtu": 9000}])
    assert result.get("failed"), result
    assert machine.disk() == disk
    assert_equal(machine.settled(), shown)


# --- the interpreter ---


@pytest.mark.parametrize("lacking", ["nothing to import", "no library at all"])
def test_interpreter_without_the_library(machine: Machine, lacking: str) -> None:
    """The task fails and is rolled back, so that the failure does not appear at the next boot."""
    if lacking == "nothing to import":
        machine.path(f"{PYROUTE2}/netlink/__init__.py").write_text("raise ImportError('no netlink')\n", encoding="utf-8")
    else:
        machine.sh(f"rm -r {PYROUTE2}")
    disk, shown = machine.disk(), machine.settled()
    result = machine.run("macvlan", inside=lambda: setattr(sys, "executable", "/usr/bin/python3"), persist="replay", **MV0)
    assert result.get("failed"), result
    assert result["msg"].startswith(
        "test the boot program with /usr/bin/python3 failed: /usr/bin/python3 cannot run the boot program: "
    )
    assert "pyroute2 cannot be imported" in result["msg"]
    assert "Install pyroute2 for the system's Python (Debian: apt install python3-pyroute2)" in result["msg"]
    assert result["msg"].endswith("All changes were rolled back")
    assert machine.disk() == disk
    assert_equal(machine.settled(), shown)


def test_interpreter_of_the_task_is_used(machine: Machine) -> None:
    """If the system interpreter has no library, that of the task is used."""
    machine.sh(f"rm -r {PYROUTE2}")
    done = machine.apply("macvlan", persist="replay", **MV0)
    assert f"test the boot program with {sys.executable}" in done["operations"]
    assert machine.sh(f"{sys.executable} -I {ENGINE} --check").returncode == 0
    assert not machine.apply("macvlan", persist="replay", **MV0)["changed"]


# --- lock ---


def test_runs_take_turns(machine: Machine) -> None:
    """A task waits for the boot program and vice versa. Runs that only read do not wait."""
    machine.apply("macvlan", persist="replay", **MV0)
    with holding(machine):
        assert machine.check() == (0, [])
        assert not machine.run("macvlan", check=True, mtu=1400, **MV0).get("failed")
        results: list[Any] = []
        waiting = [
            threading.Thread(target=lambda: results.append(machine.sh(f"{COMMAND}").returncode)),
            threading.Thread(target=lambda: results.append(machine.sh(task({**MV0, "mtu": 1400})).returncode)),
        ]
        for thread in waiting:
            thread.start()
        time.sleep(3)
        assert results == []
        assert '"mtu":1500' in machine.sh("ip -j link show mv0").stdout
    for thread in waiting:
        thread.join(timeout=30)
    assert results == [0, 0]
    assert '"mtu":1400' in machine.sh("ip -j link show mv0").stdout


def test_many_at_once(machine: Machine) -> None:
    """Concurrent tasks save their own declarations without errors."""
    names = [f"mv{number}" for number in range(4)]
    tasks = [task({**MV0, "name": name, "persist": "replay"}) for name in names]
    found = [threading.Thread(target=machine.sh, args=(one,)) for one in tasks]
    for thread in found:
        thread.start()
    for thread in found:
        thread.join(timeout=60)
    assert machine.declared() == [f"link-{name}" for name in names]
    assert machine.check() == (0, [])


@contextlib.contextmanager
def holding(machine: Machine) -> Iterator[None]:
    """Hold the lock like a running program."""
    with open(machine.path("/run/patchbay.lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def task(params: dict[str, Any]) -> str:
    """Return a command line that runs the module macvlan."""
    arguments = json.dumps(
        {"ANSIBLE_MODULE_ARGS": {**params, "_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False}}
    )
    module = "ansible_collections.patchbay.netdev.plugins.modules.macvlan"
    return f"echo '{arguments}' | {sys.executable} -m {module}"
