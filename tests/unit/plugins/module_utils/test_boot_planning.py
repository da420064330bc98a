# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run writes and deletes for the next boot, and in which order, on a disk that is a dictionary."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._argspec import desired_topology
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._declarations import FORMAT
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._planning import BootPlan, plan_boot
from ansible_collections.patchbay.netdev.plugins.module_utils._boot._rendering import Engine
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import describe_attribute
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink, merge
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route, RouteKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State

FOLDER = "/etc/patchbay/replay.d"
ENGINE = "/usr/local/lib/patchbay/replay.pyz"
UNITS = "/etc/systemd/system"
MAC, OTHER_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
PROGRAM = Engine(b"program", (1, 0, 0))
COMMAND_WARNING = (
    "This host has no service manager that starts the boot program. Have the host run this command as root at each boot: "
)
MV0 = {"name": "mv0", "lower_device": "eth0", "mode": "bridge"}
STATE = State(
    [
        Link(LinkKey("", "eth0"), "physical", {"address": "02:00:00:00:00:01"}, index=2),
        Link(LinkKey("", "mv0"), "macvlan", {"lower_device": LinkKey("", "eth0"), "mode": "bridge", "address": MAC}, index=3),
        Link(LinkKey("", "mt0"), "macvtap", {"lower_device": LinkKey("", "eth0"), "mode": "vepa", "address": OTHER_MAC}, index=4),
        Link(LinkKey("", "v0"), "veth", {"peer": LinkKey("", "v1"), "address": MAC}, index=5),
        Link(LinkKey("", "v1"), "veth", {"peer": LinkKey("", "v0"), "address": OTHER_MAC}, index=6),
    ],
    routes=[Route(RouteKey("", 254, 4, "192.0.2.0/24", 0), {"type": "unicast", "gateway": "198.51.100.1", "link": "eth0"})],
)


@dataclass
class Disk:
    """A host's files, which runs change."""

    boot: BootState = field(default_factory=BootState)
    engine: Engine = PROGRAM

    def plan(self, persist: str | None = "replay", state: State = STATE, **lists: Any) -> BootPlan:
        """What a run of these lists would do."""
        return plan_boot(
            merge(desired_topology({**lists, "persist": persist}), describe_attribute), state, self.boot, self.engine
        )

    def run(self, persist: str | None = "replay", state: State = STATE, **lists: Any) -> BootPlan:
        """Do it; a second run has nothing to do."""
        found = self.plan(persist, state, **lists)
        files = dict(self.boot.files)
        for path, before, after in found.changes:
            assert files.get(path) == before
            files.pop(path, None)
            if after is not None:
                files[path] = after
        self.boot = replace(self.boot, files=files, release=self.engine.version if ENGINE in files else ())
        again = self.plan(persist, state, **lists)
        assert (again.prepare, again.settle, again.changes) == ((), (), ())
        return found

    def put(self, name: str, text: str) -> None:
        """A declaration, by hand."""
        self.boot = replace(self.boot, files={**self.boot.files, f"{FOLDER}/{name}.json": File(text.encode(), 0o600)})

    def saved(self, name: str) -> Any:
        """A declaration: the options by the type of the object."""
        content = json.loads(self.boot.files[f"{FOLDER}/{name}.json"].content)
        assert content.pop("format") == FORMAT
        return content

    def names(self) -> list[str]:
        """All declarations."""
        return sorted(path[len(FOLDER) + 1 : -len(".json")] for path in self.boot.files if path.startswith(FOLDER))


def sentences(found: BootPlan) -> list[str]:
    """What a task tells."""
    return [str(operation) for operation in (*found.prepare, *found.settle)]


# --- which files, and when ---


def test_first_declaration() -> None:
    """The boot program is written and tested before the kernel is changed, the declaration saved after it."""
    found = Disk().run(macvlan=[MV0])
    assert [str(step) for step in found.prepare] == [
        f"prepare the next boot: write {ENGINE}",
        "test the boot program with /usr/bin/python3",
    ]
    assert [str(step) for step in found.settle] == [f"save declarations: write {FOLDER}/link-mv0.json"]
    assert found.warnings == (f"{COMMAND_WARNING}/usr/bin/python3 -I {ENGINE}",)


def test_declaration_is_readable_by_root_only() -> None:
    """It is complete, and may name more than other users are to see."""
    disk = Disk()
    disk.run(macvlan=[MV0])
    assert disk.boot.files[f"{FOLDER}/link-mv0.json"].mode == 0o600
    assert disk.saved("link-mv0") == {"macvlan": {**MV0, "address": MAC}}


def test_second_declaration_leaves_the_program_unchanged() -> None:
    """So there is nothing to test again."""
    disk = Disk()
    disk.run(macvlan=[MV0])
    found = disk.run(macvtap=[{"name": "mt0", "lower_device": "eth0"}])
    assert sentences(found) == [f"save declarations: write {FOLDER}/link-mt0.json"]
    assert disk.names() == ["link-mt0", "link-mv0"]


def test_change() -> None:
    """Only the declaration is written; the diff has both sides."""
    disk = Disk()
    disk.run(macvlan=[MV0])
    before = disk.boot.files[f"{FOLDER}/link-mv0.json"]
    found = disk.run(macvlan=[{"name": "mv0", "mtu": 1400}])
    assert sentences(found) == [f"save declarations: write {FOLDER}/link-mv0.json"]
    ((path, old, new),) = found.changes
    assert (path, old) == (f"{FOLDER}/link-mv0.json", before)
    assert new is not None
    assert b'"mtu": 1400' in new.content
    assert disk.saved("link-mv0") == {"macvlan": {**MV0, "mtu": 1400, "address": MAC}}


def test_declaration_edited_by_hand() -> None:
    """Options that the task sets are corrected, others stay."""
    disk = Disk()
    disk.run(macvlan=[{**MV0, "mtu": 1400}])
    disk.put("link-mv0", json.dumps({"format": FORMAT, "macvlan": {**MV0, "mtu": 1300, "alias": "mine"}}))
    disk.run(macvlan=[{**MV0, "mtu": 1400}])
    assert disk.saved("link-mv0") == {"macvlan": {**MV0, "mtu": 1400, "alias": "mine", "address": MAC}}


def systemd() -> Disk:
    """A host with everything."""
    managers = frozenset({"networkd", "networkmanager"})
    return Disk(BootState(init="systemd", managers=managers, udev=True, interpreter="/usr/bin/python3"))


def test_systemd_with_managers_and_udev() -> None:
    """Managers, udev and systemd get their files before the link is created, and lose them after it is deleted."""
    disk = systemd()
    mt0 = {"name": "mt0", "lower_device": "eth0", "device_owner": "1000"}
    found = disk.run(macvtap=[mt0])
    want = f"{UNITS}/sys-subsystem-net-devices-eth0.device.wants/patchbay-replay@eth0.service"
    around = [
        ENGINE,
        f"{UNITS}/patchbay-replay.service",
        f"{UNITS}/patchbay-replay@.service",
        f"{UNITS}/multi-user.target.wants/patchbay-replay.service",
        want,
        "/etc/systemd/network/05-patchbay-mt0.network",
        "/etc/NetworkManager/conf.d/90-patchbay-mt0.conf",
        "/etc/udev/rules.d/90-patchbay-mt0.rules",
    ]
    assert sentences(found) == [
        f"prepare the next boot: {', '.join(f'write {path}' for path in around)}",
        "test the boot program with /usr/bin/python3",
        f"save declarations: write {FOLDER}/link-mt0.json",
    ]
    words = [str(request) for step in found.prepare for request in step.requests()]
    assert words[len(around) :] == [
        *(f"reload {program}" for program in ("networkd", "networkmanager", "systemd", "udev")),
        "test the boot program with /usr/bin/python3",
    ]
    assert found.warnings == ()
    gone = disk.run(None, macvtap=[{"name": "mt0", "state": "absent"}])
    assert sentences(gone) == [
        f"remove declarations: delete {FOLDER}/link-mt0.json",
        f"remove files that are no longer needed: {', '.join(f'delete {path}' for path in around)}",
    ]
    assert [str(step) for step in gone.prepare] == sentences(gone)[:1]
    assert disk.boot.files == {}


@pytest.mark.parametrize("init", ["sysv", "openrc"])
def test_init_script_is_registered_and_removed(init: str) -> None:
    """With the command of that init system."""
    disk = Disk(BootState(init=init))
    found = disk.run(macvlan=[MV0])
    words = [str(request) for step in (*found.prepare, *found.settle) for request in step.requests()]
    assert words == [
        f"write {ENGINE}",
        "write /etc/init.d/patchbay-replay",
        f"reload {init}",
        "test the boot program with /usr/bin/python3",
        f"write {FOLDER}/link-mv0.json",
    ]
    gone = disk.run("none", macvlan=[MV0])
    words = [str(request) for step in (*gone.prepare, *gone.settle) for request in step.requests()]
    assert words == [
        f"delete {FOLDER}/link-mv0.json",
        f"delete {ENGINE}",
        "delete /etc/init.d/patchbay-replay",
        f"reload {init}",
    ]


def test_another_interpreter_is_tested_too() -> None:
    """If the one in the unit is missing, the unit gets another one, which may not have the library."""
    disk = systemd()
    disk.run(macvlan=[MV0])
    disk.boot = replace(disk.boot, interpreter="/opt/python3")
    found = disk.run(macvlan=[MV0])
    assert "test the boot program with /opt/python3" in sentences(found)


def test_other_declaration_stays() -> None:
    """It is restored as before, and what both need stays."""
    disk = systemd()
    disk.run(macvlan=[MV0], macvtap=[{"name": "mt0", "lower_device": "eth1", "device_mode": "0660"}])
    found = disk.run(None, macvtap=[{"name": "mt0", "state": "absent"}])
    assert sentences(found) == [
        f"remove declarations: delete {FOLDER}/link-mt0.json",
        "remove files that are no longer needed: "
        f"delete {UNITS}/sys-subsystem-net-devices-eth1.device.wants/patchbay-replay@eth1.service, "
        "delete /etc/systemd/network/05-patchbay-mt0.network, delete /etc/NetworkManager/conf.d/90-patchbay-mt0.conf, "
        "delete /etc/udev/rules.d/90-patchbay-mt0.rules",
    ]
    assert disk.names() == ["link-mv0"]
    assert ENGINE in disk.boot.files


@pytest.mark.parametrize("how", [{"state": "absent"}, {"persist": "none"}])
def test_last_declaration_takes_all_files_along(how: dict[str, str]) -> None:
    """The declaration is deleted first, so that a crash in between leaves no link that is restored for ever."""
    disk = systemd()
    disk.run(macvlan=[MV0])
    found = disk.run(None, macvlan=[{**MV0, **how}])
    assert disk.boot.files == {}
    assert [str(step) for step in found.prepare] == [f"remove declarations: delete {FOLDER}/link-mv0.json"]


def test_without_persist_nothing_is_written() -> None:
    """Nor deleted: the files are left as they are."""
    disk = Disk()
    disk.run(macvlan=[MV0])
    before = dict(disk.boot.files)
    assert disk.run(None, macvlan=[MV0], dummy=[{"name": "d0"}]).changes == ()
    assert disk.boot.files == before


def test_contradiction_is_a_warning() -> None:
    """It names both ways out."""
    disk = Disk()
    disk.run(macvlan=[MV0])
    found = disk.run(None, macvlan=[{**MV0, "mode": "vepa"}])
    assert found.changes == ()
    assert found.warnings == (
        f"mv0: the declaration for the next boot ({FOLDER}/link-mv0.json) differs from this task. "
        "Set persist: replay to update it, or persist: none to delete it",
    )


# --- the program ---


def test_newer_program_stays() -> None:
    """Another controller, with a later release, put it there."""
    disk = Disk(engine=Engine(b"newer", (1, 10, 0)))
    disk.run(macvlan=[MV0])
    disk.engine = Engine(b"older", (1, 9, 0))
    found = disk.plan(macvlan=[{**MV0, "mtu": 1400}])
    assert sentences(found) == [f"save declarations: write {FOLDER}/link-mv0.json"]


@pytest.mark.parametrize("version", [(1, 0, 0), (1, 0, 1)])
def test_program_is_updated(version: tuple[int, ...]) -> None:
    """Also within a release, and also when it is damaged."""
    disk = Disk()
    disk.run(macvlan=[MV0])
    disk.engine = Engine(b"other", version)
    found = disk.run(macvlan=[MV0])
    assert sentences(found) == [f"prepare the next boot: write {ENGINE}", "test the boot program with /usr/bin/python3"]
    assert disk.boot.files[ENGINE].content == b"other"


# --- damaged declarations ---


def test_damaged_declaration_of_another_object_is_kept() -> None:
    """With a warning: a user may want to repair it."""
    disk = Disk()
    disk.put("link-old", "{")
    found = disk.run(macvlan=[MV0])
    assert disk.boot.files[f"{FOLDER}/link-old.json"].content == b"{"
    assert found.warnings[0] == (
        f"{FOLDER}/link-old.json: the declaration is damaged (Expecting property name enclosed in double quotes: line 1 column 2 "
        "(char 1)). Delete the file, or run the task that declares the object again"
    )


def test_files_around_a_damaged_declaration_stay() -> None:
    """Nobody knows which links and lower devices it names, and its link may exist: no manager may configure that."""
    disk = Disk(BootState(init="systemd", managers=frozenset({"networkd"})))
    disk.run(macvlan=[MV0])
    around = {path: file for path, file in disk.boot.files.items() if not path.startswith(FOLDER)}
    assert [path for path in around if "mv0" in path]
    disk.put("link-mv0", "{")
    disk.run(dummy=[{"name": "d0"}])
    assert {path: disk.boot.files.get(path) for path in around} == around
    disk.run("none", macvlan=[MV0])
    assert not [path for path in disk.boot.files if "mv0" in path]


@pytest.mark.parametrize(("persist", "left"), [("replay", ["link-mv0"]), ("none", []), (None, ["link-mv0"])])
def test_damaged_declaration_of_the_same_object(persist: str | None, left: list[str]) -> None:
    """It is written again, or deleted, as the task says; without persist it stays."""
    disk = Disk()
    disk.put("link-mv0", "{")
    disk.run(persist, macvlan=[MV0])
    assert disk.names() == left
    if persist == "replay":
        assert disk.saved("link-mv0") == {"macvlan": {**MV0, "address": MAC}}


# --- ports ---

PORT = {"port": "mv0", "bridge": "br0", "hairpin": True}


def test_port_joins_the_declaration_of_its_link() -> None:
    """Whichever module created the link."""
    disk = Disk()
    disk.run(macvlan=[MV0])
    disk.run(bridge_port=[PORT])
    assert disk.names() == ["link-mv0"]
    assert disk.saved("link-mv0") == {"macvlan": {**MV0, "address": MAC, "controller": "br0", "hairpin": True}}


@pytest.mark.parametrize("persist", ["replay", None])
def test_port_leaves_the_declaration(persist: str | None) -> None:
    """The link stays declared, with what else was set on it."""
    disk = Disk()
    disk.run(macvlan=[MV0], bridge_port=[PORT], link=[{"name": "mv0", "mtu": 1400}])
    disk.run(persist, bridge_port=[{"port": "mv0", "state": "absent"}])
    assert disk.saved("link-mv0") == {"macvlan": {**MV0, "address": MAC, "mtu": 1400}}


@pytest.mark.parametrize("persist", ["replay", None])
def test_port_of_a_link_that_others_create(persist: str | None) -> None:
    """When it leaves its bridge, nothing of it is declared any more."""
    disk = Disk()
    disk.run(bridge_port=[{"port": "eth0", "bridge": "br0", "hairpin": True}])
    assert disk.saved("link-eth0") == {"link": {"name": "eth0", "controller": "br0", "hairpin": True}}
    disk.run(persist, bridge_port=[{"port": "eth0", "state": "absent"}])
    assert disk.boot.files == {}


def test_port_that_was_never_declared() -> None:
    """There is nothing to restore."""
    disk = Disk()
    disk.run(bridge_port=[{"port": "eth0", "state": "absent"}])
    assert disk.boot.files == {}


def test_port_leaves_and_another_option_changes() -> None:
    """In the same task."""
    disk = Disk()
    disk.run(link=[{"name": "eth0", "mtu": 1400, "controller": "br0"}])
    disk.run(link=[{"name": "eth0", "mtu": 1300, "controller": ""}])
    assert disk.saved("link-eth0") == {"link": {"name": "eth0", "mtu": 1300}}


def test_link_leaves_its_bridge() -> None:
    """The settings of a port would be refused at boot."""
    disk = Disk()
    disk.run(macvlan=[MV0], bridge_port=[PORT])
    disk.run(macvlan=[{**MV0, "controller": ""}])
    assert disk.saved("link-mv0") == {"macvlan": {**MV0, "address": MAC, "controller": ""}}


# --- pairs ---

PAIR = {"name": "v0", "peer": {"name": "v1"}}
V0 = {"name": "v0", "address": MAC, "peer": {"name": "v1"}}
V1 = {"name": "v1", "address": OTHER_MAC, "peer": {"name": "v0"}}


def test_each_end_of_a_pair_has_a_declaration() -> None:
    """Whichever end the task names, and also when it does not name the other one."""
    disk, other, alone = Disk(), Disk(), Disk()
    disk.run(veth=[PAIR])
    other.run(veth=[{"name": "v1", "peer": {"name": "v0"}}])
    alone.run(veth=[{"name": "v0"}])
    for one in (disk, other, alone):
        assert one.names() == ["link-v0", "link-v1"]
        assert one.saved("link-v0") == {"veth": V0}
        assert one.saved("link-v1") == {"veth": V1}


def test_end_whose_declaration_is_damaged_is_declared_again() -> None:
    """The other end says that it is the end of a pair, also to a task that only names the link."""
    disk = Disk()
    disk.run(veth=[PAIR])
    disk.put("link-v1", "{")
    assert disk.run(None, veth=[PAIR]).changes == ()
    disk.run(link=[{"name": "v1", "mtu": 1400}])
    assert disk.saved("link-v1") == {"veth": {**V1, "mtu": 1400}}
    assert disk.saved("link-v0") == {"veth": V0}


@pytest.mark.parametrize("name", ["v0", "v1"])
def test_pair_is_removed_by_either_end(name: str) -> None:
    """As in the kernel."""
    disk = Disk()
    disk.run(veth=[PAIR])
    disk.run(None, veth=[{"name": name, "state": "absent"}])
    assert disk.boot.files == {}


@pytest.mark.parametrize("name", ["v0", "v1"])
@pytest.mark.parametrize("kind", ["veth", "link"])
def test_persist_none_of_either_end_removes_the_pair(kind: str, name: str) -> None:
    """One end alone would bring the whole pair back."""
    disk = Disk()
    disk.run(veth=[PAIR])
    disk.run("none", **{kind: [{"name": name}]})
    assert disk.boot.files == {}


@pytest.mark.parametrize("name", ["v0", "v1"])
def test_routes_go_with_either_end(name: str) -> None:
    """The kernel deletes both ends with their routes."""
    disk = Disk()
    route = {"table": "254", "destination": "10.1.0.0/16", "link": "v1"}
    disk.run(veth=[PAIR], routes=[route])
    disk.run(None, veth=[{"name": name, "state": "absent"}])
    assert disk.boot.files == {}


@pytest.mark.parametrize("name", ["v0", "v1"])
def test_boot_backend_of_either_end_is_that_of_the_pair(name: str) -> None:
    """No two of them create the same pair."""
    disk = Disk(BootState(managers=frozenset({"networkd"}), versions={"networkd": 257}))
    disk.run(veth=[PAIR])
    disk.run("networkd", link=[{"name": name, "mtu": 1400}])
    assert disk.names() == []
    assert sorted(path for path in disk.boot.files if path.startswith("/etc/patchbay/")) == [
        "/etc/patchbay/networkd.d/link-v0.json",
        "/etc/patchbay/networkd.d/link-v1.json",
    ]


def test_ends_of_a_pair_are_changed_by_any_task() -> None:
    """By tasks that name them in another order, or one of them only."""
    disk = Disk()
    disk.run(veth=[PAIR])
    disk.run(veth=[{"name": "v1", "mtu": 1400, "peer": {"name": "v0", "alias": "a"}}])
    disk.run(link=[{"name": "v1", "group": "7"}])
    disk.run(link=[{"name": "v0", "group": "8"}])
    assert disk.names() == ["link-v0", "link-v1"]
    assert disk.saved("link-v0") == {"veth": {**V0, "alias": "a", "group": 8}}
    assert disk.saved("link-v1") == {"veth": {**V1, "mtu": 1400, "group": 7}}


def test_both_ends_are_ports() -> None:
    """Each with its own settings, in the task that creates the pair or in another one."""
    ports = [{"port": "v0", "bridge": "br0", "hairpin": True}, {"port": "v1", "bridge": "br1", "isolated": True}]
    together, apart = Disk(), Disk()
    together.run(veth=[PAIR], bridge_port=ports)
    apart.run(veth=[PAIR])
    for port in ports:
        apart.run(bridge_port=[port])
    for disk in (together, apart):
        assert disk.names() == ["link-v0", "link-v1"]
        assert disk.saved("link-v0") == {"veth": {**V0, "controller": "br0", "hairpin": True}}
        assert disk.saved("link-v1") == {"veth": {**V1, "controller": "br1", "isolated": True}}
    apart.run(bridge_port=[{"port": "v1", "state": "absent"}])
    assert apart.saved("link-v0") == {"veth": {**V0, "controller": "br0", "hairpin": True}}
    assert apart.saved("link-v1") == {"veth": V1}


# --- namespaces ---

BLUE = {"netns": [{"name": "blue"}]}
WAITS = (
    "{}: the namespace blue is not declared for the next boot, and the object is not restored before the namespace exists. "
    "Declare it: netns: [{{name: blue, persist: replay}}]"
)


@pytest.mark.parametrize(
    ("lists", "named"),
    [
        ({"macvlan": [{**MV0, "netns": "blue"}]}, "mv0@blue"),
        ({"macvlan": [{**MV0, "lower_device_netns": "blue"}]}, "mv0"),
        ({"veth": [{"name": "v0", "peer": {"name": "v1", "netns": "blue"}}]}, "v0"),
        ({"rules": [{"priority": 7, "table": "7", "netns": "blue"}]}, None),
    ],
)
def test_undeclared_namespace_is_a_warning(lists: dict[str, Any], named: str | None) -> None:
    """Objects in it, or leading into it, wait at boot; if it is declared in the same task or before, there is no warning."""
    found = Disk().run(**lists)
    (note,) = [note for note in found.warnings if not note.startswith(COMMAND_WARNING)]
    items = merge(desired_topology(lists), describe_attribute)
    (item,) = [item for item in items if not (isinstance(item, DesiredLink) and item.is_primary_end is False)]
    assert note == WAITS.format(item.key)
    assert named is None or note.startswith(f"{item.key}: ")
    disk = Disk()
    assert [note for note in disk.run(**BLUE, **lists).warnings if not note.startswith(COMMAND_WARNING)] == []
    assert [note for note in disk.run(**lists).warnings if not note.startswith(COMMAND_WARNING)] == []


@pytest.mark.parametrize(
    "lists",
    [
        {"macvlan": [{**MV0, "netns": "/proc/7/ns/net"}]},
        {"macvlan": [{**MV0, "lower_device_netns": "/proc/7/ns/net"}]},
        {"veth": [{"name": "mv0", "peer": {"name": "v1", "netns": "/proc/7/ns/net"}}]},
    ],
)
def test_namespace_without_a_name_is_refused(lists: dict[str, Any]) -> None:
    """A path in /proc names a process, which is another one after a boot."""
    items = merge(desired_topology(lists), describe_attribute)
    (item,) = [item for item in items if not (isinstance(item, DesiredLink) and item.is_primary_end is False)]
    with pytest.raises(InvalidValue) as error:
        Disk().plan(**lists)
    assert str(error.value) == (
        f"{item.key}: persist: the namespace /proc/7/ns/net has no name, and its path may be another one after the next boot. "
        "Give it a name in /run/netns"
    )
    assert Disk().plan(None, **lists).changes == ()


def test_declarations_in_a_namespace_go_with_it() -> None:
    """Otherwise they would wait for ever."""
    disk = Disk()
    disk.run(
        **BLUE,
        macvlan=[{**MV0, "netns": "blue"}],
        veth=[{"name": "v0", "peer": {"name": "v1", "netns": "blue"}}],
        rules=[{"priority": 7, "table": "7", "netns": "blue"}],
        dummy=[{"name": "d0"}],
    )
    assert len(disk.names()) == 6
    disk.run(None, netns=[{"name": "blue", "state": "absent"}])
    assert disk.names() == ["link-d0"]


# --- routes and rules ---


def test_route_is_completed() -> None:
    """With its next hop, which a task that only changes the route need not set."""
    disk = Disk()
    disk.run(routes=[{"destination": "192.0.2.0/24", "table": "254", "mtu": 1400}])
    assert disk.saved("route-192.0.2.0_24-table-254-metric-0") == {
        "route": {
            "destination": "192.0.2.0/24",
            "family": "ipv4",
            "table": 254,
            "metric": 0,
            "mtu": 1400,
            "type": "unicast",
            "gateway": "198.51.100.1",
            "link": "eth0",
        }
    }


def test_rule_is_replaced_as_a_whole() -> None:
    """An omitted option is no part of it."""
    disk = Disk()
    disk.run(rules=[{"priority": 7, "table": "7", "suppress_prefix_length": 0}])
    disk.run(rules=[{"priority": 7, "table": "8"}])
    assert disk.saved("rule-ipv4-7") == {"rule": {"priority": 7, "family": "ipv4", "table": 8}}


def test_rules_that_share_a_priority() -> None:
    """Have a declaration each; a task that names the priority alone removes all of them."""
    disk = Disk()
    disk.run(rules=[{"priority": 7, "table": "7", "from": "192.0.2.7"}, {"priority": 7, "table": "7", "oif": "mv0"}])
    assert disk.names() == ["rule-ipv4-7-from=192.0.2.7_32", "rule-ipv4-7-oif=mv0"]
    disk.run(None, rules=[{"priority": 7, "oif": "mv0", "state": "absent"}])
    assert disk.names() == ["rule-ipv4-7-from=192.0.2.7_32"]
    disk.run(rules=[{"priority": 7, "table": "7", "oif": "mv0"}, {"priority": 8, "table": "7"}])
    disk.run(None, rules=[{"priority": 7, "state": "absent"}])
    assert disk.names() == ["rule-ipv4-8"]


def test_networkd_keeps_routes_and_rules() -> None:
    """It would delete them at its start, but not in other namespaces."""
    path = "/etc/systemd/networkd.conf.d/90-patchbay.conf"
    disk = Disk(BootState(managers=frozenset({"networkd"})))
    disk.run(**BLUE, rules=[{"priority": 7, "table": "7", "netns": "blue"}])
    assert path not in disk.boot.files
    disk.run(rules=[{"priority": 8, "table": "7"}])
    assert path in disk.boot.files
    disk.run(None, rules=[{"priority": 8, "family": "ipv4", "state": "absent"}])
    assert path not in disk.boot.files


def test_networkd_keeps_the_routing_of_a_link() -> None:
    """Routes and rules of source_routing are as foreign to it as others."""
    path = "/etc/systemd/networkd.conf.d/90-patchbay.conf"
    disk = Disk(BootState(managers=frozenset({"networkd"})))
    disk.run(macvlan=[MV0])
    assert path not in disk.boot.files
    disk.run(macvlan=[{**MV0, "source_routing": {"table": "7", "rule_priority": 7}}])
    assert path in disk.boot.files
    disk.run(macvlan=[{**MV0, "source_routing": {}}])
    assert path not in disk.boot.files


# --- pairs that change ---


def pair(own: str, other: str) -> State:
    """Of a pair with these names."""
    ends = [(own, other, MAC, 5), (other, own, OTHER_MAC, 6)]
    return State(
        Link(LinkKey("", name), "veth", {"peer": LinkKey("", peer), "address": address}, index=index)
        for name, peer, address, index in ends
    )


@pytest.mark.parametrize("words", [{"mtu": 1400, "addresses": ["192.0.2.1/24"]}])
@pytest.mark.parametrize(("name", "peer"), [("v0", "v2"), ("v2", "v1"), ("v2", "v0"), ("v1", "v2")])
def test_renamed_end_keeps_what_was_declared_of_it(name: str, peer: str, words: dict[str, Any]) -> None:
    """By whichever end it is renamed, its former name is declared no longer: two would rename it to and fro at each boot."""
    disk = Disk()
    disk.run(
        veth=[{"name": "v0", "alias": "own", "peer": {"name": "v1", **words}}],
        bridge_port=[{"port": port, "hairpin": True} for port in ("v0", "v1")],
    )
    found = disk.run(state=pair(name, peer), veth=[{"name": name, "peer": {"name": peer}}])
    assert disk.names() == sorted([f"link-{name}", f"link-{peer}"])
    assert found.prepare == ()  # after it the declarations are read again: one that is deleted then takes its options along
    ends = {end: disk.saved(f"link-{end}")["veth"] for end in (name, peer)}
    assert [end["hairpin"] for end in ends.values()] == [True, True]
    assert [end["peer"] for end in ends.values()] == [{"name": peer}, {"name": name}]
    renamed_is_own = {name, peer} == {"v2", "v1"}
    assert ends[("v2" if renamed_is_own else "v0")].keys() >= {"alias"}
    assert ends[("v1" if renamed_is_own else "v2")].keys() >= words.keys()


def test_end_that_moves_keeps_what_was_declared_of_it() -> None:
    """To another namespace, and back."""
    disk = Disk()
    disk.run(**BLUE, veth=[{"name": "v0", "peer": {"name": "v1", "alias": "a"}}])
    moved = {"name": "v0", "peer": {"name": "v1", "netns": "blue"}}
    disk.run(state=State(), veth=[moved])
    assert disk.names() == ["link-blue@v1", "link-v0", "netns-blue"]
    assert disk.saved("link-blue@v1") == {"veth": {**V1, "alias": "a", "netns": "blue"}}
    assert disk.saved("link-v0") == {"veth": {**V0, "peer": {"name": "v1", "netns": "blue"}}}
    disk.run(veth=[PAIR])
    assert disk.names() == ["link-v0", "link-v1", "netns-blue"]
    assert disk.saved("link-v1") == {"veth": {**V1, "alias": "a"}}


@pytest.mark.parametrize("name", ["v0", "v1"])
def test_end_keeps_what_was_declared_before_the_pair(name: str) -> None:
    """As of a link that others create."""
    disk = Disk()
    disk.run(link=[{"name": name, "mtu": 1400}], bridge_port=[{"port": name, "bridge": "br0", "hairpin": True}])
    disk.run(veth=[PAIR])
    assert disk.names() == ["link-v0", "link-v1"]
    disk.run(link=[{"name": name, "mtu": 1300}])
    assert disk.names() == ["link-v0", "link-v1"]
    ends = {end: disk.saved(f"link-{end}")["veth"] for end in ("v0", "v1")}
    end = ends.pop(name)
    assert (end["mtu"], end["controller"], end["hairpin"]) == (1300, "br0", True)
    assert not any("hairpin" in other for other in ends.values())


def test_persist_of_one_end_declares_the_pair() -> None:
    """They are one object in the kernel, and one entry may say it."""
    disk = Disk()
    disk.run(None, veth=[PAIR], link=[{"name": "v1", "mtu": 1400, "persist": "replay"}])
    assert disk.saved("link-v0") == {"veth": V0}
    assert disk.saved("link-v1") == {"veth": {**V1, "mtu": 1400}}


def test_another_link_with_the_name_of_an_end() -> None:
    """Then the pair does not exist any more."""
    disk = Disk()
    disk.run(veth=[PAIR])
    disk.run(state=State(), bridge=[{"name": "v1"}])
    assert disk.names() == ["link-v1"]
    assert disk.saved("link-v1") == {"bridge": {"name": "v1"}}


# --- what restoring an object needs ---


@pytest.mark.parametrize("name", ["eth0", "v0", "v1"])
def test_port_is_saved_with_its_bridge(name: str) -> None:
    """Somebody else attached it: the settings of a port need a port."""
    disk = Disk()
    if name != "eth0":
        disk.run(veth=[PAIR])
    links = {link.key.name: link for link in STATE}
    attached = State(link.with_attributes({"controller": "br0"} if link.key.name == name else {}) for link in links.values())
    disk.run(state=attached, bridge_port=[{"port": name, "hairpin": True}])
    assert disk.saved(f"link-{name}")["link" if name == "eth0" else "veth"]["controller"] == "br0"


def test_port_of_a_pair_is_saved_with_its_bridge() -> None:
    """Also where the task names the pair by the other end."""
    ends = [link.with_attributes({"controller": "br0"} if link.key.name == "v1" else {}) for link in STATE]
    disk = Disk()
    disk.run(state=State(ends), veth=[PAIR], bridge_port=[{"port": "v1", "hairpin": True}])
    assert disk.saved("link-v1")["veth"]["controller"] == "br0"


def test_route_is_completed_with_onlink() -> None:
    """Without it the kernel would refuse the gateway."""
    key = RouteKey("", 254, 4, "192.0.2.0/24", 0)
    there = Route(key, {"type": "unicast", "gateway": "198.51.100.1", "link": "eth0", "onlink": True})
    disk = Disk()
    disk.run(state=State(routes=[there]), routes=[{"destination": "192.0.2.0/24", "table": "254", "mtu": 1400}])
    assert disk.saved("route-192.0.2.0_24-table-254-metric-0")["route"]["onlink"] is True


def test_route_goes_with_its_link() -> None:
    """As in the kernel, or it would wait for ever. A route that the task sets stays, and so does one by another link."""
    disk = Disk()
    stays = {"destination": "10.2.0.0/16", "table": "254", "link": "mv0"}
    routes = [
        {"destination": "10.1.0.0/16", "table": "254", "link": "mv0"},
        stays,
        {"destination": "10.3.0.0/16", "table": "254", "link": "eth0"},
    ]
    disk.run(macvlan=[MV0], routes=routes)
    disk.run(None, macvlan=[{"name": "mv0", "state": "absent"}], routes=[{**stays, "link": "eth0"}])
    assert disk.names() == ["route-10.2.0.0_16-table-254-metric-0", "route-10.3.0.0_16-table-254-metric-0"]


def test_other_declarations_keep_their_text() -> None:
    """Whether it was written by hand or by another release."""
    disk = Disk()
    disk.put("link-old", '{"bridge": {"name": "old"}, "format": 2}')
    found = disk.run(macvlan=[MV0])
    assert "link-old" not in " ".join(sentences(found))


def test_units_for_links_that_others_create() -> None:
    """A card whose settings are declared may appear after the boot program ran, like a lower device."""
    disk = systemd()
    disk.run(
        link=[{"name": "eth1", "mtu": 1400, "controller": "br9"}],
        routes=[{"destination": "10.1.0.0/16", "table": "7", "link": "eth2"}],
    )
    awaited = {path.rpartition("@")[2] for path in disk.boot.files if ".wants/patchbay-replay@" in path}
    assert awaited == {"eth1.service", "br9.service", "eth2.service"}


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 2, "veth": {"name": "x", "peer": "y"}}',
        '{"format": 2, "veth": {"name": 5, "peer": {"name": "y"}}}',
        '{"format": 2, "macvlan": {"name": "x", "lower_device": ["eth0"]}}',
        '{"format": 2, "macvlan": {"name": "../x"}}',
        '{"format": 2, "bridge": {"name": "x", "netns": ["blue"]}}',
        '{"format": 2, "bridge": {"name": "x", "netns": "../blue"}}',
        '{"format": 2, "bridge": {"name": "x", "mtu": "big"}}',
        "[" * 100000,
    ],
)
def test_damaged_declaration_is_a_warning_whatever_is_in_it(text: str) -> None:
    """No task fails because of it, and no file is rendered from it."""
    disk = systemd()
    disk.put("link-x", text)
    found = disk.run(macvlan=[MV0])
    assert found.warnings[0].startswith(f"{FOLDER}/link-x.json: the declaration is damaged")
    assert disk.boot.files[f"{FOLDER}/link-x.json"].content == text.encode()


# --- DHCP clients ---

HOOK = "/usr/local/lib/patchbay/dhcp-hook"
OF_MV0 = "/run/patchbay/dhcp/mv0.json"


def test_client_needs_the_program_and_its_hook() -> None:
    """Before it is started; nothing is declared, so nothing is started at boot."""
    disk = Disk()
    found = disk.run(persist=None, macvlan=[{**MV0, "dhcp4": {}}])
    assert [str(step) for step in found.prepare] == [
        f"prepare the next boot: write {ENGINE}, write {HOOK}",
        "test the boot program with /usr/bin/python3",
    ]
    assert (found.settle, found.warnings) == ((), ())
    assert disk.boot.files[HOOK].mode == 0o755
    assert b'exec /usr/bin/python3 -I /usr/local/lib/patchbay/replay.pyz lease "$@"\n' in disk.boot.files[HOOK].content


def test_client_under_systemd() -> None:
    """One unit for all clients, which systemd reads before the first of them is started."""
    disk = Disk(BootState(init="systemd"))
    found = disk.run(persist=None, macvlan=[{**MV0, "dhcp4": {}}])
    assert f"{UNITS}/patchbay-dhcp@.service" in disk.boot.files
    assert f"{UNITS}/patchbay-replay.service" not in disk.boot.files
    (change, _prove) = found.prepare
    assert [str(request) for request in change.requests()][-1] == "reload systemd"


def test_client_beside_networkd() -> None:
    """networkd must not delete the rules of a lease when it starts, whether the link is declared or not."""
    for persist in (None, "replay"):
        disk = Disk(BootState(init="systemd", managers=frozenset({"networkd"})))
        disk.run(persist=persist, macvlan=[{**MV0, "dhcp4": {}}])
        assert "/etc/systemd/networkd.conf.d/90-patchbay.conf" in disk.boot.files


@pytest.mark.parametrize(
    "entry", [{"name": "mv0", "state": "absent"}, {"name": "mv0", "dhcp4": {"enabled": False}}], ids=["absent", "disabled"]
)
def test_last_client_takes_the_files_along(entry: dict[str, Any]) -> None:
    """After it has ended."""
    disk = Disk()
    disk.run(persist=None, macvlan=[{**MV0, "dhcp4": {}}])
    disk.boot = replace(disk.boot, clients=frozenset({OF_MV0}))
    assert disk.run(persist=None, macvlan=[{"name": "mv0", "alias": "x"}]).changes == ()
    found = disk.run(persist=None, macvlan=[entry])
    assert found.prepare == ()
    assert sentences(found) == [f"remove files that are no longer needed: delete {ENGINE}, delete {HOOK}"]
    assert disk.boot.files == {}


def test_files_stay_for_another_client() -> None:
    """In another namespace, whose name begins alike; clients of a namespace that is deleted need nothing any more."""
    disk = Disk()
    disk.run(persist=None, macvlan=[{**MV0, "dhcp4": {}}])
    disk.boot = replace(disk.boot, clients=frozenset({OF_MV0, "/run/patchbay/dhcp/blue2@mv0.json"}))
    absent = {"macvlan": [{"name": "mv0", "state": "absent"}], "netns": [{"name": "blue", "state": "absent"}]}
    assert disk.run(persist=None, **absent).changes == ()
    disk.boot = replace(disk.boot, clients=frozenset({OF_MV0, "/run/patchbay/dhcp/blue@mv0.json"}))
    disk.run(persist=None, **absent)
    assert disk.boot.files == {}


def test_declared_client() -> None:
    """It is a part of the declaration of its link, as it was set."""
    disk = Disk()
    disk.run(macvlan=[{**MV0, "dhcp4": {"hostname": "old", "use_main_table": True}}])
    kept = {"client_id": "none", "hostname": "old", "use_main_table": True}
    assert disk.saved("link-mv0")["macvlan"]["dhcp4"] == kept
    assert disk.run(persist=None, macvlan=[{"name": "mt0", "lower_device": "eth0"}]).changes == ()  # it may not run yet
    assert HOOK in disk.boot.files
    disk.run(macvlan=[{"name": "mv0", "dhcp4": {"enabled": False}}])
    assert disk.saved("link-mv0")["macvlan"]["dhcp4"] == {"enabled": False}
    assert HOOK not in disk.boot.files


def test_task_without_persist_touches_no_file() -> None:
    """Neither the boot program of another release, nor files that nothing needs any more, nor those of another object."""
    disk = Disk()
    disk.run(macvlan=[MV0])
    disk.engine = Engine(b"another program", (9, 0, 0))
    assert disk.plan(persist=None, link=[{"name": "eth0", "mtu": 1400}]).changes == ()
    assert disk.plan(persist=None, macvlan=[{"name": "mv1", "state": "absent"}]).changes == ()
    assert [path for path, _before, _after in disk.plan(persist=None, macvlan=[MV0]).changes] == [ENGINE]
    foreign = Disk(BootState({ENGINE: File(b"of somebody else", 0o644)}))
    assert foreign.plan(persist=None, link=[{"name": "eth0", "mtu": 1400}]).changes == ()
