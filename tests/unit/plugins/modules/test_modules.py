# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as Ansible runs them, parameters in and JSON out, on the gateway in memory."""

from __future__ import annotations

import copy
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.patchbay.netdev.plugins.module_utils import _runner
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge import BRIDGE
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import MACVLAN
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._veth import VETH
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import MissingLibrary
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, Address, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import AddAddress, NewLink
from ansible_collections.patchbay.netdev.tests.unit.fake_gateway import FakeGateway

Run = Callable[..., dict[str, Any]]
ONE, TWO = "00:16:3e:11:11:01", "00:16:3e:11:11:02"


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    """What the modules get in place of the kernel: eth0, eth1 and a bridge, and a namespace."""
    found = FakeGateway(["guest"])
    found.add("eth0", address="00:16:3e:aa:00:01")
    found.add("eth1", admin_state="down")
    found.add("br0", kind="bridge")
    monkeypatch.setattr(_runner, "KernelGateway", lambda: found)
    return found


@pytest.fixture
def run(gateway: FakeGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a module by name; its result, with the warnings as texts: each ansible-core has another form of them."""
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warned.append(text))

    def run_module(module_name: str, /, *, check: bool = False, **options: Any) -> dict[str, Any]:
        module = importlib.import_module(f"ansible_collections.patchbay.netdev.plugins.modules.{module_name}")
        with patch_module_args({**options, "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(SystemExit):
            module.main()
        result = {**json.loads(capsys.readouterr().out), "warnings": [*warned]}
        warned.clear()
        return result

    return run_module


def without(found: dict[str, Any], *names: str) -> dict[str, Any]:
    """A result without the parameters that Ansible adds, without these, and without warnings if there are none."""
    left_out = ("invocation", *names, *(() if found.get("warnings") else ("warnings",)))
    return {name: value for name, value in found.items() if name not in left_out}


# --- macvlan ---


def test_create(run: Run) -> None:
    """The whole result."""
    result = run("macvlan", name="mv0", parent="eth0", mode="bridge", mac="00-16-3E-11-11-01", admin_state="up")
    assert without(result, "link", "diff") == {
        "changed": True,
        "operations": [f"create mv0: macvlan on eth0, mode bridge, address {ONE}, admin_state up"],
    }
    assert without(result["link"], "index") == {
        "name": "mv0",
        "netns": None,
        "kind": "macvlan",
        "lower_device": "eth0",
        "lower_device_netns": None,
        "mode": "bridge",
        "nopromisc": False,
        "nodst": False,
        "source_addresses": [],
        "bc_queue_len": 1000,
        "bc_cutoff": 1,
        "address": ONE,
        "mtu": 1500,
        "tx_queue_len": 1000,
        "num_tx_queues": 1,
        "num_rx_queues": 1,
        "group": 0,
        "alias": "",
        "controller": "",
        "address_generation_mode": "eui64",
        "altnames": [],
        "promiscuous": False,
        "allmulticast": False,
        "admin_state": "up",
        "oper_state": "up",
    }
    assert isinstance(result["link"]["index"], int)
    assert result["diff"] == [
        {
            "before_header": "mv0",
            "after_header": "mv0",
            "before": {"state": "absent"},
            "after": {
                "state": "present",
                "lower_device": "eth0",
                "mode": "bridge",
                "address": ONE,
                "mtu": 1500,
                "admin_state": "up",
            },
        }
    ]


def test_result_has_the_options_of_the_module(run: Run) -> None:
    """All of them, but for what says how it is done."""
    result = run("macvlan", name="mv0", lower_device="eth0", sysctls={"ipv4.arp_ignore": 1}, addresses=[])
    options = {row.name for row in MACVLAN.options}  # and those of a port only where it is one
    assert result["link"].keys() == options | {"name", "netns", "kind", "lower_device_netns", "index", "oper_state"}


def test_nothing_to_do(run: Run, gateway: FakeGateway) -> None:
    """No change, no operation, and an entry in the diff that shows none."""
    options = {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "address": ONE}
    first = run("macvlan", **options)
    sent = len(gateway.executed)
    second = run("macvlan", **options)
    assert (second["changed"], second["operations"], second["link"]) == (False, [], first["link"])
    (entry,) = second["diff"]
    assert entry["before"] == entry["after"] == {"state": "present", "lower_device": "eth0", "mode": "bridge", "address": ONE}
    assert len(gateway.executed) == sent


def test_change(run: Run) -> None:
    """The diff has what was written."""
    run("macvlan", name="mv0", lower_device="eth0", address=ONE)
    result = run("macvlan", name="mv0", mode="private", sysctls={"ipv4.arp_ignore": 1}, altnames=["b", "a"])
    assert result["changed"]
    assert result["operations"] == ["set mv0: mode vepa -> private, altnames [] -> [a, b], ipv4.arp_ignore 0 -> 1"]
    assert result["link"]["mode"] == "private"
    assert result["link"]["sysctls"] == {"ipv4.arp_ignore": 1}
    (entry,) = result["diff"]
    assert entry["before"] == {"state": "present", "mode": "vepa", "altnames": [], "sysctls": {"ipv4.arp_ignore": 0}}
    assert entry["after"] == {"state": "present", "mode": "private", "altnames": ["a", "b"], "sysctls": {"ipv4.arp_ignore": 1}}


def test_delete(run: Run) -> None:
    """The link is null, and deleting nothing is no change."""
    run("macvlan", name="mv0", lower_device="eth0", address=ONE, alias="mine")
    result = run("macvlan", name="mv0", state="absent")
    assert without(result, "diff") == {"changed": True, "operations": ["delete mv0"], "link": None}
    (entry,) = result["diff"]
    assert entry["before"]["alias"] == "mine"
    assert entry["after"] == {"state": "absent"}
    result = run("macvlan", name="mv0", state="absent")
    assert without(result, "diff") == {"changed": False, "operations": [], "link": None}
    assert [(entry["before"], entry["after"]) for entry in result["diff"]] == [({"state": "absent"}, {"state": "absent"})]


def test_namespaces_in_the_result(run: Run) -> None:
    """By name, null for the one that the module runs in."""
    result = run("macvlan", name="mv0", netns="guest", lower_device="eth0")
    assert (result["link"]["netns"], result["link"]["lower_device_netns"]) == ("guest", None)
    assert result["operations"] == ["create mv0 in netns guest: macvlan on eth0"]
    assert [entry["before_header"] for entry in result["diff"]] == ["mv0 in netns guest"]
    result = run("macvlan", name="mv1", lower_device="mv0", lower_device_netns="/run/netns/guest")
    assert (result["link"]["netns"], result["link"]["lower_device"], result["link"]["lower_device_netns"]) == (None, "eth0", None)


@pytest.mark.parametrize("netns", [None, "guest"])
def test_diff_shows_what_changes_along(run: Run, netns: str | None) -> None:
    """The MAC of the lower device of a passthru link; which of the two is in which namespace does not matter."""
    run("macvlan", name="mv0", netns=netns, lower_device="eth0", mode="passthru")
    result = run("macvlan", name="mv0", netns=netns, address=ONE)
    lower = result["diff"][1]
    assert (lower["before_header"], lower["before"], lower["after"]) == (
        "eth0",
        {"state": "present", "address": "00:16:3e:aa:00:01"},
        {"state": "present", "address": ONE},
    )
    result = run("macvlan", name="mv0", netns=netns, state="absent")
    assert [entry["after"]["state"] for entry in result["diff"] if entry["before_header"] == "eth0"] in ([], ["present"])


def test_warnings(run: Run) -> None:
    """By Ansible's own way; they do not make a change."""
    result = run("macvlan", name="mv0", lower_device="eth1")
    assert result["warnings"] == [
        "mv0: lower device eth1 is down, so no frames pass. Set lower_device_state: up to bring it up as well"
    ]


def test_lower_device_state(run: Run) -> None:
    """An operation on that link, with an entry of its own in the diff."""
    result = run("macvlan", name="mv0", lower_device="eth1", lower_device_state="up")
    assert result["operations"] == ["set eth1: admin_state down -> up", "create mv0: macvlan on eth1"]
    assert result["diff"][1] == {
        "before_header": "eth1",
        "after_header": "eth1",
        "before": {"state": "present", "admin_state": "down"},
        "after": {"state": "present", "admin_state": "up"},
    }
    assert result["link"]["name"] == "mv0"


TASKS: dict[str, list[dict[str, Any]]] = {
    "create": [{"name": "mv0", "lower_device": "eth0"}],
    "create with all": [
        {
            "name": "mv0",
            "netns": "guest",
            "lower_device": "eth0",
            "mode": "source",
            "source_addresses": [TWO],
            "address": ONE,
            "alias": "x",
            "altnames": ["a"],
            "sysctls": {"ipv4.arp_ignore": 1},
            "address_generation_mode": "none",
            "group": "voice",
            "admin_state": "up",
        }
    ],
    "change": [{"name": "mv0", "lower_device": "eth0"}, {"name": "mv0", "mode": "bridge", "address": ONE, "bc_cutoff": 4}],
    "recreate": [
        {"name": "mv0", "lower_device": "eth0", "altnames": ["a"], "sysctls": {"ipv4.arp_ignore": 1}, "admin_state": "up"},
        {"name": "mv0", "mode": "passthru", "recreate": "when_required"},
    ],
    "delete": [{"name": "mv0", "lower_device": "eth0"}, {"name": "mv0", "state": "absent"}],
    "nothing": [{"name": "mv0", "lower_device": "eth0"}, {"name": "mv0", "mode": "vepa"}],
}


@pytest.mark.parametrize("tasks", TASKS.values(), ids=TASKS)
def test_check_mode_says_what_will_be_said(run: Run, gateway: FakeGateway, tasks: list[dict[str, Any]]) -> None:
    """Nothing is touched; then the same changed, operations and diff, and a link that differs only where nothing was known."""
    *before, task = tasks
    for other in before:
        run("macvlan", **other)
    devices = copy.deepcopy(gateway.devices)
    checked = run("macvlan", check=True, **task)
    assert gateway.devices == devices
    applied = run("macvlan", **task)
    for name in ("changed", "operations", "warnings", "diff"):
        assert checked[name] == applied[name]
    if checked["link"] is None:
        assert applied["link"] is None
        return
    assert checked["link"].keys() == applied["link"].keys()
    assert {name: value for name, value in checked["link"].items() if value is not None} == {
        name: applied["link"][name] for name, value in checked["link"].items() if value is not None
    }


def test_check_mode_knows_not_what_the_kernel_will_choose(run: Run) -> None:
    """A MAC at random, the index, the operational state."""
    link = run("macvlan", check=True, name="mv0", lower_device="eth0", admin_state="up")["link"]
    assert {name for name, value in link.items() if value is None} == {
        "netns",
        "lower_device_netns",
        "address",
        "address_generation_mode",
        "index",
        "oper_state",
    }


def test_one_check_mode_after_another(run: Run) -> None:
    """The second says what the first said."""
    results = [run("macvlan", check=True, name="mv0", lower_device="eth0") for _time in range(2)]
    assert results[0] == results[1]


# --- errors ---


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "mv%d"}, "name: 'mv%d' cannot be the name of a link: the kernel treats"),
        (
            {"name": "mv0", "address": 41135085296},
            "address: 41135085296 is a number, as YAML reads an unquoted 52:54:00:12:34:56.",
        ),
        (
            {"name": "br0", "lower_device": "eth0"},
            "br0: the link with this name is a bridge, not a macvlan, and is not changed.",
        ),
        ({"name": "mv0", "lower_device": "eth0", "group": "phone"}, "mv0: group: the files have no link group phone"),
    ],
)
def test_error(run: Run, gateway: FakeGateway, options: dict[str, Any], sentence: str, check: bool) -> None:
    """In check mode the same, and nothing was done."""
    result = run("macvlan", check=check, **options)
    assert result["failed"]
    assert result["msg"].startswith(sentence)
    assert gateway.executed == []
    assert "undone" not in result


@pytest.mark.parametrize(
    ("module", "options", "problem"),
    [
        (
            "macvlan",
            {"name": "mv0", "mode": "bridge"},
            "mv0: the link does not exist, and lower_device is required to create it",
        ),
        (
            "macvlan",
            {"name": "mv0", "lower_device": "eth9"},
            "mv0: lower device eth9 does not exist in the namespace of the task",
        ),
        (
            "macvlan",
            {"name": "mv0", "netns": "nowhere"},
            "There is no network namespace nowhere (/run/netns/nowhere does not exist)",
        ),
        ("link", {"name": "mv0", "mtu": 1400}, "mv0: the link does not exist"),
        ("bridge_port", {"port": "eth0", "bridge": "br9"}, "eth0: controller br9 does not exist in the namespace of the link"),
        ("bridge_hairpin", {"port": "eth0", "hairpin": True}, "eth0: it is not a bridge port, so hairpin cannot be set"),
        (
            "bridge_hairpin",
            {"port": "eth0", "hairpin": True, "bridge": "br9"},
            "eth0: it is not a port of br9: it is not attached to any bridge",
        ),
        (
            "route",
            {"destination": "198.51.100.0/24", "gateway": "203.0.113.1"},
            "route to 198.51.100.0/24: gateway 203.0.113.1 is in no network of any link in the namespace",
        ),
        (
            "route",
            {"destination": "198.51.100.0/24", "link": "mv9"},
            "route to 198.51.100.0/24: link mv9 does not exist in the namespace of the route",
        ),
    ],
)
def test_prerequisite_of_an_earlier_task(
    run: Run, gateway: FakeGateway, module: str, options: dict[str, Any], problem: str
) -> None:
    """In check mode an earlier task would provide it: changed, with a warning and without a plan. A real run fails."""
    result = run(module, check=True, **options)
    assert (result["changed"], result["operations"], result["diff"]) == (True, [], [])
    assert result["warnings"] == [
        f"{problem}, so check mode cannot plan this task. A real run fails unless an earlier task provides it. "
        "To plan both together, list them in one task of the module topology"
    ]
    assert result["route" if module == "route" else "link"] is None
    failed = run(module, **options)
    assert failed["failed"]
    assert failed["msg"].startswith(f"{problem}. ")
    assert gateway.executed == []


def test_options_are_checked_by_ansible(run: Run) -> None:
    """Choices and required ones."""
    assert (
        "value of mode must be one of: private, vepa, bridge, passthru, source" in run("macvlan", name="x", mode="brigde")["msg"]
    )
    assert "missing required arguments: name" in run("macvlan", mode="bridge")["msg"]


def test_failure_while_applying(run: Run, gateway: FakeGateway) -> None:
    """It says what was undone."""
    run("macvlan", name="mv0", lower_device="eth0", address=TWO)
    gateway.execute(
        NewLink(LinkKey("guest", "mv0"), "macvlan", {"lower_device": LinkKey(HERE, "eth0"), "address": ONE, "admin_state": "up"})
    )
    result = run("macvlan", name="mv0", mode="bridge", address=ONE)
    assert without(result) == {
        "failed": True,
        "msg": (
            f"set mv0: mode vepa -> bridge, address {TWO} -> {ONE} failed: "
            "the kernel refused to set mode, address of mv0: Address already in use. "
            "A link on the same lower device, in a namespace that was not read, is up with the same MAC address. "
            "All changes were rolled back"
        ),
        "undone": [f"set mv0: mode bridge -> vepa, address {ONE} -> {TWO}"],
        "not_undone": [],
    }


def test_gateway_is_closed(run: Run, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes of it: its sockets are not left to chance."""
    closed: list[bool] = []
    monkeypatch.setattr(gateway, "close", lambda: closed.append(True))
    run("macvlan", name="mv0", lower_device="eth0")
    run("macvlan", name="mv1", lower_device="eth9")
    run("topology", macvlan=[{"name": "mv1", "lower_device": "eth0"}])
    run("link_info")
    run("link_info", netns="nowhere")
    assert len(closed) == 5


@pytest.fixture
def no_library(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """pyroute2 is not there; the interpreters that the module starts itself again with."""
    started: list[str] = []

    def missing() -> None:
        raise MissingLibrary("pyroute2 cannot be imported: No module named 'pyroute2'")

    monkeypatch.setattr(_runner, "KernelGateway", missing)
    monkeypatch.setattr(_runner, "respawn_module", started.append)
    monkeypatch.setattr(_runner, "has_respawned", lambda: False)
    monkeypatch.setattr(_runner, "probe_interpreters_for_module", lambda _interpreters, _module: None)
    return started


@pytest.mark.parametrize("module", ["macvlan", "topology", "link_info"])
@pytest.mark.parametrize(
    ("distribution", "advice"),
    [
        ("Debian", "On this Debian host the package is python3-pyroute2 (apt install python3-pyroute2)."),
        ("Rocky", "On this Rocky host the package is python3-pyroute2 from EPEL (dnf install epel-release, then"),
        (None, "With pip it is pyroute2>=0.7.2."),
        ("Slackware", "With pip it is pyroute2>=0.7.2."),
    ],
)
def test_missing_library(
    run: Run, no_library: list[str], monkeypatch: pytest.MonkeyPatch, module: str, distribution: str | None, advice: str
) -> None:
    """Ansible's own sentence, what to install here, and what the import said."""
    monkeypatch.setattr(_runner, "get_distribution", lambda: distribution)
    result = run(module, **({"name": "mv0"} if module == "macvlan" else {}))
    assert result["failed"]
    assert result["msg"].startswith("Failed to import the required Python library (pyroute2) on ")
    assert advice in result["msg"]
    assert result["msg"].endswith("(pyroute2 cannot be imported: No module named 'pyroute2')")
    assert no_library == []


def test_library_of_another_interpreter(run: Run, no_library: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's Python has it: the module is started again with that, but only once."""
    monkeypatch.setattr(_runner, "probe_interpreters_for_module", lambda interpreters, _module: interpreters[0])
    run("link_info")
    assert no_library == ["/usr/bin/python3"]
    monkeypatch.setattr(_runner, "has_respawned", lambda: True)
    assert run("link_info")["failed"]
    assert no_library == ["/usr/bin/python3"]


# --- topology ---


def test_topology(run: Run) -> None:
    """Links in the order of the input, operations in the order in which they run."""
    run("macvlan", name="old", lower_device="eth0", address=ONE)
    result = run(
        "topology",
        macvlan=[
            {"name": "mv1", "lower_device": "mv0", "address": ONE},
            {"name": "mv0", "netns": "guest", "lower_device": "eth0"},
            {"name": "mv0", "lower_device": "eth0"},
            {"name": "old", "state": "absent"},
        ],
    )
    assert result["changed"]
    assert result["operations"] == [
        "delete old",
        "create mv0: macvlan on eth0",
        "create mv0 in netns guest: macvlan on eth0",
        f"create mv1: macvlan on eth0, address {ONE}",
    ]
    assert [link and (link["name"], link["netns"], link["lower_device"]) for link in result["links"]] == [
        ("mv1", None, "eth0"),
        ("mv0", "guest", "eth0"),
        ("mv0", None, "eth0"),
        None,
    ]
    assert [entry["after_header"] for entry in result["diff"]] == ["mv1", "mv0 in netns guest", "mv0", "old"]


def test_empty_topology(run: Run) -> None:
    """Nothing is wanted, so nothing is done."""
    assert without(run("topology")) == {"changed": False, "operations": [], "diff": [], "links": [], "routes": [], "rules": []}


def test_topology_names_the_entry(run: Run) -> None:
    """By its place and its name."""
    result = run("topology", macvlan=[{"name": "mv0"}, {"name": "mv1", "mtu": 5}])
    assert result["msg"] == "macvlan[1] (mv1): mtu: 5 is not between 68 and 65535"


def test_topology_of_one_is_the_module(run: Run) -> None:
    """The same sentences, the same diff, the same link."""
    options = {"name": "mv0", "lower_device": "eth0", "mode": "bridge", "alias": "x"}
    alone = run("macvlan", check=True, **options)
    together = run("topology", check=True, macvlan=[options])
    assert together["links"] == [alone["link"]]
    assert (together["operations"], together["diff"]) == (alone["operations"], alone["diff"])


def test_two_entries_for_one_link(run: Run) -> None:
    """Both are returned, as the one link that they name."""
    result = run("topology", macvlan=[{"name": "mv0", "lower_device": "eth0"}, {"name": "mv0", "mode": "bridge"}])
    assert result["operations"] == ["create mv0: macvlan on eth0, mode bridge"]
    assert result["links"][0] == result["links"][1]
    assert len(result["diff"]) == 1
    assert result["diff"][0]["after"].keys() == {"state", "lower_device", "mode", "mtu"}


# --- link_info ---


@pytest.fixture
def links(run: Run, gateway: FakeGateway) -> None:
    """Some links to read."""
    run("macvlan", name="mv1", lower_device="eth0", altnames=["voice"])
    run("macvlan", name="mv0", lower_device="eth0")
    run("macvlan", name="mv0", netns="guest", lower_device="eth0", sysctls={"ipv4.arp_ignore": 1})
    gateway.executed.clear()


def names(result: dict[str, Any]) -> list[tuple[str | None, str]]:
    """What was found, in order."""
    assert result["changed"] is False
    return [(link["netns"], link["name"]) for link in result["links"]]


@pytest.mark.usefixtures("links")
@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, [(None, name) for name in ("lo", "eth0", "eth1", "br0", "mv1", "mv0")]),
        ({"netns": "guest"}, [("guest", "lo"), ("guest", "mv0")]),
        ({"netns": "/run/netns/guest", "kind": "macvlan"}, [("guest", "mv0")]),
        (
            {"netns": "all", "kind": "macvlan"},
            [(None, "mv1"), (None, "mv0"), ("guest", "mv0")],
        ),
        ({"netns": "all", "name": "mv0"}, [(None, "mv0"), ("guest", "mv0")]),
        ({"kind": "physical"}, [(None, "lo"), (None, "eth0"), (None, "eth1")]),
        ({"name": "voice"}, [(None, "mv1")]),
        ({"name": "mv0", "kind": "bridge"}, []),
        ({"name": "nothing"}, []),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_link_info(run: Run, gateway: FakeGateway, options: dict[str, Any], found: list[Any], check: bool) -> None:
    """By namespace, and there by index. In check mode too, and nothing is touched."""
    assert names(run("link_info", check=check, **options)) == found
    assert gateway.executed == []


@pytest.mark.usefixtures("links")
def test_link_info_has_what_the_modules_return(run: Run) -> None:
    """And the links on top of each; settings only where they are asked for, and here nobody asks."""
    (found,) = run("link_info", name="mv1")["links"]
    assert without(found, "children", "dhcp4", "persist") == run("macvlan", name="mv1", addresses=[])["link"]
    assert (found["dhcp4"]["enabled"], found["persist"]) == (False, "none")
    assert found["children"] == []
    (lower,) = run("link_info", name="eth0", netns="all")["links"]
    assert lower["children"] == [
        {"name": "mv1", "netns": None},
        {"name": "mv0", "netns": None},
        {"name": "mv0", "netns": "guest"},
    ]
    assert (lower["kind"], lower["lower_device"], lower["lower_device_netns"]) == ("physical", None, None)
    assert "mode" not in lower
    (found,) = run("link_info", name="mv0", netns="guest")["links"]
    assert (found["lower_device"], found["lower_device_netns"], "sysctls" in found) == ("eth0", None, False)


def test_link_info_of_a_missing_namespace(run: Run) -> None:
    """An error with a way out."""
    assert run("link_info", netns="nowhere")["msg"].startswith("There is no network namespace nowhere")
    assert run("link_info", netns="a/b")["msg"].startswith("netns: 'a/b' is neither the name of a network namespace nor")


# --- bridge, veth, and the views of links that are there ---


def test_bridge(run: Run) -> None:
    """Times in seconds; no attribute of a port."""
    result = run("bridge", name="br1", forward_delay=4, hello_time=1.5, address=ONE)
    assert result["operations"] == [f"create br1: bridge, forward_delay 4, hello_time 1.5, address {ONE}"]
    link = result["link"]
    assert link.keys() == {row.name for row in BRIDGE.options} - {"sysctls", "addresses"} | {
        *("name", "netns", "kind", "lower_device", "lower_device_netns", "index", "oper_state")
    }
    assert (link["kind"], link["forward_delay"], link["hello_time"], link["max_age"]) == ("bridge", 4.0, 1.5, 20.0)
    result = run("bridge", name="br1", forward_delay=0.5)
    (entry,) = result["diff"]
    assert (entry["before"], entry["after"]) == (
        {"state": "present", "forward_delay": 4.0},
        {"state": "present", "forward_delay": 0.5},
    )
    assert not run("bridge", name="br1", forward_delay=0.5)["changed"]


def test_bridge_that_goes_frees_its_ports(run: Run) -> None:
    """The diff shows what becomes of them."""
    run("bridge_port", port="eth0", bridge="br0", hairpin=True)
    result = run("bridge", name="br0", state="absent")
    assert (result["operations"], result["link"]) == (["delete br0"], None)
    (entry,) = (entry for entry in result["diff"] if entry["before_header"] == "eth0")
    assert (entry["before"]["controller"], entry["after"]["controller"]) == ("br0", "")


def test_veth(run: Run) -> None:
    """The first end, with the second as its peer."""
    options = {"name": "v0", "peer": {"name": "v0", "netns": "guest", "admin_state": "up"}, "admin_state": "up"}
    result = run("veth", **options)
    assert result["operations"] == [
        "create v0: veth with peer v0 in netns guest, admin_state up",
        "set v0 in netns guest: admin_state down -> up",
    ]
    assert (result["link"]["kind"], result["link"]["peer"]) == ("veth", {"name": "v0", "netns": "guest"})
    assert result["link"].keys() == {row.name for row in VETH.options} - {"sysctls", "addresses"} | {
        *("name", "netns", "kind", "lower_device", "lower_device_netns", "index", "oper_state")
    }
    assert [entry["after_header"] for entry in result["diff"]] == ["v0", "v0 in netns guest"]
    assert not run("veth", **options)["changed"]
    (found,) = run("link_info", name="v0", netns="guest")["links"]
    assert found["peer"] == {"name": "v0", "netns": None}
    result = run("veth", name="v0", netns="guest", state="absent")
    assert (result["operations"], result["link"]) == (["delete v0 in netns guest"], None)
    assert {entry["before_header"] for entry in result["diff"]} == {"v0", "v0 in netns guest"}


def test_veth_with_a_peer_of_another_name(run: Run) -> None:
    """It is renamed, and the pair stays what it is."""
    first = run("veth", name="v0", peer={"name": "old"})
    result = run("veth", name="v0", peer={"name": "v1"})
    assert result["operations"] == ["rename old to v1"]
    assert (result["link"]["index"], result["link"]["peer"]["name"]) == (first["link"]["index"], "v1")


def test_link(run: Run) -> None:
    """Whatever is there, with the attributes of its kind."""
    result = run("link", name="eth0", mtu=1400, alias="uplink")
    assert result["operations"] == ['set eth0: mtu 1500 -> 1400, alias "" -> uplink']
    assert (result["link"]["kind"], result["link"]["mtu"]) == ("physical", 1400)
    assert "hairpin" not in result["link"]
    assert not run("link", name="eth0", mtu=1400)["changed"]
    assert run("link", name="br0", alias="office")["link"]["forward_delay"] == 15.0
    assert run("link", name="eth9", mtu=1400)["msg"].startswith(
        "eth9: the link does not exist. Create it with the module of its kind first"
    )


def test_bridge_port(run: Run) -> None:
    """A port has its settings in the result, and nothing else has."""
    result = run("bridge_port", port="eth0", bridge="br0", hairpin=True, learning=False)
    assert result["operations"] == ['set eth0: controller "" -> br0, hairpin true, learning false']
    assert {row.name for row in PORT} <= result["link"].keys()
    assert (result["link"]["controller"], result["link"]["hairpin"], result["link"]["learning"]) == ("br0", True, False)
    assert not run("bridge_port", port="eth0", bridge="br0", hairpin=True)["changed"]
    result = run("bridge_port", port="eth0", state="absent")
    assert result["operations"] == ['set eth0: controller br0 -> ""']
    assert "hairpin" not in result["link"]
    assert not run("bridge_port", port="eth0", state="absent")["changed"]


def test_bridge_hairpin(run: Run) -> None:
    """Of a port; the bridge, if it is written, has to be the one that it is attached to."""
    assert run("bridge_hairpin", port="eth0", hairpin=True)["msg"].startswith("eth0: it is not a bridge port, so hairpin")
    assert run("bridge_hairpin", port="eth0", bridge="br0", hairpin=True)["msg"] == (
        "eth0: it is not a port of br0: it is not attached to any bridge. Attach it first (bridge_port: port=eth0 bridge=br0)"
    )
    run("bridge_port", port="eth0", bridge="br0")
    for options in ({}, {"bridge": "br0"}):
        result = run("bridge_hairpin", port="eth0", hairpin=True, **options)
        assert result["operations"] == ([] if options else ["set eth0: hairpin false -> true"])
        assert result["link"]["hairpin"] is True
    assert run("bridge_hairpin", port="eth0", bridge="br1", hairpin=False)["msg"] == (
        "eth0: it is not a port of br1: it is attached to br0. Attach it first (bridge_port: port=eth0 bridge=br1)"
    )
    assert "missing required arguments: hairpin" in run("bridge_hairpin", port="eth0")["msg"]


# --- addresses, routes, rules ---


def test_addresses_in_the_result(run: Run) -> None:
    """The static ones, where they are written; in the diff those that come and go."""
    options = {"name": "eth0", "addresses": ["192.0.2.1/24", "2001:DB8::1/64"]}
    assert "addresses" not in run("link", name="eth0", alias="x")["link"]
    result = run("link", **options)
    assert result["operations"] == ["set eth0: addresses add 192.0.2.1/24, add 2001:db8::1/64"]
    assert [item["ip"] for item in result["link"]["addresses"]] == ["192.0.2.1/24", "2001:db8::1/64"]
    (entry,) = result["diff"]
    assert [len(entry[side]["addresses"]) for side in ("before", "after")] == [0, 2]
    assert not run("link", **options)["changed"]


def test_route(run: Run) -> None:
    """With all that it has, null for the rest; and null when it is absent."""
    run("link", name="eth0", addresses=["192.0.2.1/24"])
    options = {"destination": "default", "gateway": "192.0.2.9", "table": "voice"}
    result = run("route", **options)
    assert result["operations"] == ["create route to 0.0.0.0/0 table 100: type unicast, gateway 192.0.2.9, link eth0"]
    assert result["route"] == {
        "netns": None,
        "family": "ipv4",
        "destination": "0.0.0.0/0",
        "table": 100,
        "metric": 0,
        "type": "unicast",
        "gateway": "192.0.2.9",
        "link": "eth0",
        "source": None,
        "scope": "global",
        "onlink": False,
        "mtu": None,
    }
    assert not run("route", **options)["changed"]
    result = run("route", destination="default", table=100, state="absent")
    assert (result["operations"], result["route"]) == (["delete route to 0.0.0.0/0 table 100 via 192.0.2.9"], None)
    (entry,) = result["diff"]
    assert (entry["before"]["gateway"], entry["after"]) == ("192.0.2.9", {"state": "absent"})
    assert run("route", destination="default", gateway="192.0.2.9", table="x")["msg"].startswith(
        "route to 0.0.0.0/0: table: the files have no routing table x"
    )


def test_rule(run: Run) -> None:
    """The same."""
    options = {"priority": 100, "from": "192.0.2.1", "fwmark": "0x1", "table": "voice", "ip_protocol": "tcp"}
    result = run("rule", **options)
    said = "create IPv4 rule 100: from 192.0.2.1/32, fwmark 0x1, ip_protocol 6, action lookup, table 100"
    assert result["operations"] == [said]
    shown = {name: value for name, value in result["rule"].items() if value is not None}
    assert shown == {
        "family": "ipv4",
        "priority": 100,
        "from": "192.0.2.1/32",
        "fwmark": "0x1",
        "ip_protocol": 6,
        "action": "lookup",
        "table": 100,
    }
    assert not run("rule", **options)["changed"]
    result = run("rule", priority=100, state="absent")
    assert (result["operations"], result["rule"]) == ([said.replace("create", "delete")], None)


def test_topology_of_traffic(run: Run) -> None:
    """Links, routes and rules, each in the order of the input."""
    result = run(
        "topology",
        link=[{"name": "eth0", "addresses": ["192.0.2.1/24"]}],
        routes=[{"destination": "default", "gateway": "192.0.2.9"}, {"destination": "198.51.100.0/24", "link": "eth0"}],
        rules=[{"priority": 7, "from": "192.0.2.1", "table": "main"}],
    )
    assert [len(result[name]) for name in ("links", "routes", "rules", "diff")] == [1, 2, 1, 4]
    assert [one["destination"] for one in result["routes"]] == ["0.0.0.0/0", "198.51.100.0/24"]


def test_link_info_tells_owners(run: Run, gateway: FakeGateway) -> None:
    """Of addresses, routes and rules."""
    run("link", name="eth0", addresses=["192.0.2.1/24"])
    lease = Address("198.51.100.7", 24, 4, 0, valid=60, preferred=60)
    gateway.execute(AddAddress(LinkKey(HERE, "eth0"), lease))
    result = run("link_info", name="eth0")
    assert [(one["ip"], one["owner"]) for one in result["links"][0]["addresses"]] == [
        ("192.0.2.1/24", "static"),
        ("198.51.100.7/24", "dhcp"),
    ]
    assert {(one["destination"], one["owner"]) for one in result["routes"]} == {
        ("192.0.2.0/24", "kernel"),
        ("198.51.100.0/24", "kernel"),
    }
    assert {(one["priority"], one["owner"]) for one in result["rules"]} == {(0, "kernel"), (32766, "kernel"), (32767, "kernel")}


OTHER_TASKS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "a bridge": [("bridge", {"name": "br1", "stp_state": True, "admin_state": "up"})],
    "change of a bridge": [("bridge", {"name": "br0", "ageing_time": 1.5, "group_fwd_mask": 8})],
    "a bridge goes": [("bridge_port", {"port": "eth0", "bridge": "br0"}), ("bridge", {"name": "br0", "state": "absent"})],
    "a pair": [("veth", {"name": "v0", "peer": {"name": "v1", "alias": "x"}, "controller": "br0"})],
    "change of a pair": [
        ("veth", {"name": "v0", "peer": {"name": "v1"}}),
        ("veth", {"name": "v0", "mtu": 1400, "peer": {"name": "v2", "admin_state": "up"}}),
    ],
    "a pair is made again": [
        ("veth", {"name": "v0", "peer": {"name": "v1", "alias": "x"}}),
        ("veth", {"name": "v0", "peer": {"name": "v1", "netns": "guest"}, "recreate": "when_required"}),
    ],
    "a pair goes": [("veth", {"name": "v0", "peer": {"name": "v1"}}), ("veth", {"name": "v1", "state": "absent"})],
    "a link": [("link", {"name": "eth1", "mtu": 1400, "admin_state": "up"})],
    "a port": [("bridge_port", {"port": "eth0", "bridge": "br0", "hairpin": True})],
    "a port in another bridge": [
        ("bridge", {"name": "br1", "admin_state": "up"}),
        ("bridge_port", {"port": "eth0", "bridge": "br0", "hairpin": True}),
        ("bridge_port", {"port": "eth0", "bridge": "br1", "isolated": True}),
    ],
    "a port no more": [("bridge_port", {"port": "eth0", "bridge": "br0"}), ("bridge_port", {"port": "eth0", "state": "absent"})],
    "addresses": [("link", {"name": "eth0", "addresses": ["192.0.2.1/24"], "announce": True})],
    "a route": [("link", {"name": "eth0", "addresses": ["192.0.2.1/24"]}), ("route", {"destination": "default", "link": "eth0"})],
    "a rule": [("rule", {"priority": 100, "table": 100}), ("rule", {"priority": 100, "table": 200})],
    "hairpin": [("bridge_port", {"port": "eth0", "bridge": "br0"}), ("bridge_hairpin", {"port": "eth0", "hairpin": True})],
}


@pytest.mark.parametrize("tasks", OTHER_TASKS.values(), ids=OTHER_TASKS)
def test_check_mode_of_other_modules(run: Run, gateway: FakeGateway, tasks: list[tuple[str, dict[str, Any]]]) -> None:
    """The same as for macvlan: nothing is touched, then the same is said, and what was known is so."""
    *before, (module, options) = tasks
    for other, its_options in before:
        run(other, **its_options)
    sent = len(gateway.executed)
    checked = run(module, check=True, **options)
    assert checked["changed"]
    assert len(gateway.executed) == sent
    applied = run(module, **options)
    for name in ("changed", "operations", "warnings"):
        assert checked[name] == applied[name]
    word = next(name for name in ("link", "route", "rule") if name in checked)
    predicted, found = checked[word] or {}, applied[word] or {}
    assert {name: value for name, value in predicted.items() if value is not None} == {
        name: found[name] for name, value in predicted.items() if value is not None
    }
    again = run(module, **options)
    assert (again["changed"], again["operations"]) == (False, [])


# --- what a module run loads ---

PERSISTENT_RUN = """
import sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.patchbay.netdev.plugins.module_utils import _runner
from ansible_collections.patchbay.netdev.plugins.modules import macvlan
from ansible_collections.patchbay.netdev.tests.unit.fake_gateway import FakeGateway

gateway = FakeGateway()
gateway.add("eth0")
_runner.KernelGateway = lambda: gateway
try:
    with patch_module_args({"name": "mv0", "lower_device": "eth0", "persist": "replay"}):
        macvlan.main()
finally:
    sys.stderr.write("\\n".join(sys.modules))
"""


def test_module_does_not_load_the_program_of_the_next_boot() -> None:
    """It packs the program, with the DHCP hook and the replay, but runs no part of it."""
    done = subprocess.run([sys.executable, "-c", PERSISTENT_RUN], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["changed"] is True, done.stderr
    loaded = {name.rpartition("._host_program.")[2] for name in done.stderr.split() if "._host_program." in name}
    assert loaded == {"_main", "_package"}
