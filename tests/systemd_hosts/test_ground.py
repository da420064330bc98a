# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts meet the requirements of persistence tests: they start completely, keep only their files, and are isolated."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import (
    ADDRESS,
    RELEASES,
    System,
    made_system,
    wait_until,
)


def test_reboot(system: System) -> None:
    """The address of the manager is there before and after, nothing else differs, and all units started."""
    assert sorted(system.links()) == ["eth0", "eth1", "lo"]
    assert system.addresses("eth0") == ([] if system.manager == "none" else [ADDRESS])
    assert system.failed_units() == []
    before, boot = system.dump(), system.enter("cat", "/proc/sys/kernel/random/boot_id")

    system.put("/etc/kept", "it")
    system.reboot()

    assert system.enter("cat", "/etc/kept") == "it"
    assert system.enter("cat", "/proc/sys/kernel/random/boot_id") != boot
    assert system.failed_units() == []
    assert_equal(system.dump(), before)


def test_what_ansible_makes(system: System) -> None:
    """Links and a namespace of a playbook are lost at a reboot, because they are not saved."""
    before = system.dump()
    mv0 = {"patchbay.netdev.macvlan": {"name": "mv0", "lower_device": "eth1", "mode": "bridge", "addresses": ["198.51.100.1/24"]}}
    system.play(
        [
            {"patchbay.netdev.netns": {"name": "blue"}},
            mv0,
            {"patchbay.netdev.macvlan": {"name": "mv1", "lower_device": "eth1", "mode": "bridge", "netns": "blue"}},
            {**mv0, "register": "again"},
            {"ansible.builtin.assert": {"that": "not again.changed"}},
        ]
    )
    assert system.addresses("mv0") == ["198.51.100.1/24"]
    with_links = system.dump()
    assert with_links["namespaces"] == [system.name, f"{system.name}.blue"]
    assert [link["ifname"] for link in with_links[f"{system.name}.blue link"]] == ["lo", "mv1"]

    system.reboot()
    assert_equal(system.dump(), before)
    assert system.run("patchbay.netdev.macvlan", check=True, name="mv0", lower_device="eth1", mode="bridge")["changed"]


@pytest.mark.parametrize("manager", ["none"])
def test_reboot_by_ansible(system: System) -> None:
    """The reboot module of Ansible detects that the host has started again."""
    system.enter("ip", "link", "add", "gone0", "type", "bridge")
    system.play([{"ansible.builtin.reboot": {"reboot_timeout": 60, "msg": "by the test"}}])
    assert sorted(system.links()) == ["eth0", "eth1", "lo"]


@pytest.mark.parametrize("manager", ["none"])
def test_off_and_on(system: System) -> None:
    """The disk is readable and writable while the host is off."""
    system.enter("sh", "-c", "echo one > /etc/kept")
    system.off()
    assert (system.root / "etc/kept").read_text() == "one\n"
    system.put("/etc/kept", "two")
    system.on()
    assert system.enter("cat", "/etc/kept") == "two"


@pytest.mark.parametrize("manager", ["networkd", "networkmanager"])
def test_hot_plug(system: System) -> None:
    """A card that is connected again has its MAC address, a unit of systemd, and the address of the manager."""
    unit = "sys-subsystem-net-devices-eth0.device"
    [before] = system.ip("link", "show", "dev", "eth0")
    system.put("/etc/systemd/system/seen.service", SEEN)
    system.enter("systemctl", "enable", "seen.service")
    system.reboot()
    wait_until(lambda: times_seen(system) == 1, "the service was not started at boot")
    system.pull("eth0")
    wait_until(lambda: unit_state(system, unit) == "inactive", f"{unit} is still there")
    assert "eth0" not in system.links()
    system.card("eth0")
    wait_until(lambda: unit_state(system, unit) == "active", f"{unit} did not come")
    wait_until(lambda: times_seen(system) == 2, "the service was not started for the card")
    system.wait_for_address()
    [now] = system.ip("link", "show", "dev", "eth0")
    assert now["address"] == before["address"]


SEEN = """[Unit]
BindsTo=sys-subsystem-net-devices-eth0.device
After=sys-subsystem-net-devices-eth0.device
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sh -c 'echo seen >>/root/seen'
[Install]
WantedBy=sys-subsystem-net-devices-eth0.device
"""


def times_seen(system: System) -> int:
    """Return the number of runs of the service."""
    seen = system.root / "root/seen"
    return len(seen.read_text().split()) if seen.exists() else 0


def unit_state(system: System, unit: str) -> str:
    """Return the state of the unit."""
    return system.enter("systemctl", "show", "--property", "ActiveState", "--value", unit).strip()


@pytest.mark.parametrize("manager", ["none"])
@pytest.mark.parametrize("path", ["/proc/sys/kernel/panic", "/sys/module/printk/parameters/time"])
def test_the_machine_is_out_of_reach(system: System, path: str) -> None:
    """Settings that all hosts share are read-only, even for their own value, and the first process lacks privileges."""
    rewrite = 'value=$(cat "$0") && echo "$value" > "$0"'
    system.enter("sh", "-euc", rewrite, "/sys/class/net/eth0/mtu")
    with pytest.raises(AssertionError, match="Read-only file system"):
        system.enter("sh", "-euc", rewrite, path)
    lost = {name: number for name, number in CAPABILITIES.items() if not may(system, number)}
    assert lost == CAPABILITIES


CAPABILITIES = {"sys_module": 16, "sys_rawio": 17, "sys_time": 25, "syslog": 34}


def may(system: System, capability: int) -> bool:
    """Return whether a process of the host can get the capability."""
    [bounds] = [line for line in system.enter("cat", "/proc/1/status").splitlines() if line.startswith("CapBnd:")]
    return bool(int(bounds.split()[1], 16) >> capability & 1)


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_is_left(switch: str, release: str) -> None:
    """A stopped host leaves no process, mount or control group."""
    with made_system(release, "none", "n2") as system:
        folder = system.root.parent
        group, process = (folder / "group").resolve(), Path("/proc") / (folder / "process").read_text().strip()
        assert group.is_dir()
        assert process.is_dir()
        assert f" {system.root} " in Path("/proc/mounts").read_text()
    assert not group.exists()
    assert not process.exists()
    assert str(system.root) not in Path("/proc/mounts").read_text()
    assert not folder.exists()
