# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the next boot: which there are with each service manager, and what must and must not stand in them."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

import pytest

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._systemd_files import (
    ENGINE,
    SCRIPT,
    boot_program_files,
    device_node_files,
    foreign_routing_files,
    hotplug_files,
    unit_escape,
    unmanaged_files,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File

UNITS = "/etc/systemd/system"
SYSTEMD = BootState(init="systemd", interpreter="/usr/bin/python3")
COMMAND = f"/usr/bin/python3 -I {ENGINE}"


def unit(file: File) -> configparser.ConfigParser:
    """A unit, as systemd reads it; a key that stands there twice is an error here."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(file.content.decode())
    return parser


# systemd.unit(5): "/" becomes "-", all but [a-zA-Z0-9:_.] becomes \xNN, and so does a dot at the beginning.
@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("eth0", "eth0"),
        ("br-lan", r"br\x2dlan"),
        ("eth0.10", "eth0.10"),
        (".hidden", ".hidden"),  # as the path of the device does not begin with it
        ("a_b:c.d", "a_b:c.d"),
        ("-", r"\x2d"),
        ("a@b", r"a\x40b"),
        ("a b\\c", r"a\x20b\x5cc"),
        ("Büro☎", r"B\xc3\xbcro\xe2\x98\x8e"),
        ("a/b", "a-b"),
    ],
)
def test_names_of_units(name: str, escaped: str) -> None:
    """As systemd names the unit of the device."""
    assert unit_escape(name) == escaped


def test_systemd_has_two_units_and_one_link() -> None:
    """The second unit is only wanted by devices: see the next test."""
    found = boot_program_files(SYSTEMD, b"program")
    assert found.keys() == {
        ENGINE,
        f"{UNITS}/patchbay-replay.service",
        f"{UNITS}/patchbay-replay@.service",
        f"{UNITS}/multi-user.target.wants/patchbay-replay.service",
    }
    assert found[ENGINE] == File(b"program", 0o644)
    assert found[f"{UNITS}/multi-user.target.wants/patchbay-replay.service"].link == "../patchbay-replay.service"


def test_lower_device_wants_its_instance() -> None:
    """Bound to the device and wanted by it alone: wanted by a target, a boot without udev would wait for 90 seconds."""
    assert hotplug_files(SYSTEMD, "br-lan") == {
        f"{UNITS}/sys-subsystem-net-devices-br\\x2dlan.device.wants/patchbay-replay@br\\x2dlan.service": File(
            link="../patchbay-replay@.service"
        )
    }
    instance = unit(boot_program_files(SYSTEMD, b"")[f"{UNITS}/patchbay-replay@.service"])
    assert instance["Unit"]["BindsTo"] == "sys-subsystem-net-devices-%i.device"
    assert "sys-subsystem-net-devices-%i.device" in instance["Unit"]["After"].split()
    assert instance["Install"]["WantedBy"] == "sys-subsystem-net-devices-%i.device"


def test_boot_unit_comes_before_the_managers() -> None:
    """After the firewall, and after what the kernel needs."""
    boot = unit(boot_program_files(SYSTEMD, b"")[f"{UNITS}/patchbay-replay.service"])
    before, after = boot["Unit"]["Before"].split(), boot["Unit"]["After"].split()
    assert {"network.target", "systemd-networkd.service", "NetworkManager.service", "networking.service"} <= set(before)
    assert {"local-fs.target", "network-pre.target"} <= set(after)
    assert boot["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.parametrize("name", ["patchbay-replay.service", "patchbay-replay@.service"])
def test_units_avoid_known_traps(name: str) -> None:
    """No boot hangs, and no namespace is created in a mount namespace of the unit."""
    found = unit(boot_program_files(SYSTEMD, b"")[f"{UNITS}/{name}"])
    service = found["Service"]
    assert found["Unit"]["DefaultDependencies"] == "no"
    assert found["Unit"]["Conflicts"] == "shutdown.target"
    assert "shutdown.target" in found["Unit"]["Before"].split()
    assert service["ExecStart"] == COMMAND
    assert service["TimeoutStartSec"] == "60"  # oneshot has none of its own
    assert (service["Type"], service["RemainAfterExit"]) == ("oneshot", "yes")
    lonely = ("Private", "Protect", "ReadOnly", "ReadWrite", "Inaccessible", "Temporary", "Bind", "Root", "Mount", "DynamicUser")
    assert [key for key in service if key.startswith(lonely)] == []


@pytest.mark.parametrize("init", ["sysv", "openrc"])
def test_script_for_other_init_systems(init: str, tmp_path: Path) -> None:
    """A shell can read it, and it runs the same program before the network."""
    found = boot_program_files(BootState(init=init, interpreter="/usr/bin/python3"), b"")
    assert found.keys() == {ENGINE, SCRIPT}
    assert found[SCRIPT].mode == 0o755
    text = found[SCRIPT].content.decode()
    assert f"start | restart | force-reload) exec {COMMAND} ;;" in text
    assert f"status) exec {COMMAND} --check ;;" in text
    assert "# Default-Start:     S\n" in text
    assert "# X-Start-Before:    networking\n" in text
    script = tmp_path / "script"
    script.write_text(text.replace(COMMAND, "echo ran"), encoding="utf-8")
    said = {}
    for word in ("start", "restart", "force-reload", "status", "stop", "nonsense"):
        done = subprocess.run(["sh", str(script), word], capture_output=True, text=True, check=False)
        said[word] = (done.returncode, done.stdout)
    ran = (0, "ran\n")
    assert said == {
        "start": ran,
        "restart": ran,
        "force-reload": ran,
        "status": (0, "ran --check\n"),
        "stop": (0, ""),
        "nonsense": (3, ""),
    }
    assert hotplug_files(BootState(init=init), "eth0") == {}


def test_without_an_init_system_there_is_only_the_program() -> None:
    """Whoever starts such a host has to run it."""
    assert boot_program_files(BootState(), b"program") == {ENGINE: File(b"program")}
    assert hotplug_files(BootState(), "eth0") == {}


def test_managers_do_not_manage_the_links() -> None:
    """Each manager has its own file for each link; one that is not installed has none."""
    both = BootState(managers=frozenset({"networkd", "networkmanager"}))
    found = {path: file.content.decode().split("\n", 1)[1] for path, file in unmanaged_files(both, ["mv0"]).items()}
    assert found == {
        "/etc/systemd/network/05-patchbay-mv0.network": "[Match]\nName=mv0\n\n[Link]\nUnmanaged=yes\n",
        "/etc/NetworkManager/conf.d/90-patchbay-mv0.conf": "[keyfile]\nunmanaged-devices+=interface-name:=mv0\n",
    }
    assert {file.mode for file in unmanaged_files(both, ["mv0"]).values()} == {0o644}
    assert unmanaged_files(BootState(), ["mv0"]) == {}
    assert len(unmanaged_files(BootState(managers=frozenset({"networkd"})), ["a", "b"])) == 2


def test_networkd_keeps_routes_and_rules() -> None:
    """It deletes those of others when it starts, unless a file forbids it; no other manager does."""
    [(path, file)] = list(foreign_routing_files(BootState(managers=frozenset({"networkd", "networkmanager"}))).items())
    assert path == "/etc/systemd/networkd.conf.d/90-patchbay.conf"
    assert file.content.decode().splitlines()[1:] == [
        "[Network]",
        "ManageForeignRoutes=no",
        "ManageForeignRoutingPolicyRules=no",
    ]
    assert foreign_routing_files(BootState(managers=frozenset({"networkmanager"}))) == {}


def test_rule_for_the_device_node() -> None:
    """By the link's name, for the number of its node is another one at each boot."""
    udev = BootState(udev=True)
    options: dict[str, object] = {"device_owner": 1000, "device_group": 0, "device_mode": "0660"}
    [(path, file)] = list(device_node_files(udev, "mt0", options).items())
    assert path == "/etc/udev/rules.d/90-patchbay-mt0.rules"
    rule = file.content.decode().splitlines()[1]
    assert rule == 'SUBSYSTEM=="macvtap", SUBSYSTEMS=="net", KERNELS=="mt0", OWNER="1000", GROUP="0", MODE="0660"'
    assert device_node_files(udev, "mt0", {}) == {}
    assert device_node_files(udev, "mt0", {"device_owner": None}) == {}
    assert device_node_files(BootState(), "mt0", options) == {}


@pytest.mark.parametrize(
    ("name", "networkd", "networkmanager", "udev"),
    [
        ("mv0", "mv0", "mv0", "mv0"),
        ("e*", r"e\\*", "e*", "e[*]"),
        ("?x", r"\\?x", "?x", "[?]x"),
        ("[y]", r"\\[y\\]", "[y]", "[[]y]"),
        ("!z", r"\\!z", "!z", "!z"),
        ("a\\", r"a\\\\", r"a\\\\", "a?"),
        ('"q"', '"q"', '"q"', "?q?"),
        ("a|b", "a|b", "a|b", "a?b"),
        ("a;b,c", "a;b,c", r"a\\;b\\,c", "a;b,c"),
    ],
)
def test_names_are_escaped(name: str, networkd: str, networkmanager: str, udev: str) -> None:
    """A link named e* keeps its manager off itself, and not off the card."""
    boot = BootState(init="systemd", managers=frozenset({"networkd", "networkmanager"}), udev=True)
    texts = [file.content.decode() for file in unmanaged_files(boot, [name]).values()]
    assert f"[Match]\nName={networkd}\n\n" in texts[0]
    assert texts[1].endswith(f"unmanaged-devices+=interface-name:={networkmanager}\n")
    [rule] = list(device_node_files(boot, name, {"device_mode": "0660"}).values())
    assert f'KERNELS=="{udev}", MODE="0660"\n' in rule.content.decode()
