# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role voip_macvlan with systemd: its marks are restored at boot, and when the administrator's tables are reloaded."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import assert_equal
from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import CLONE, System, wait_until

UNIT = "voip-macvlan-voice0.service"
ROLE: dict[str, Any] = {
    "voip_macvlan_lower_device": "eth1",
    "voip_macvlan_oui": "00:04:f2",
    "voip_macvlan_addresses": ["10.30.0.11/24"],
    "voip_macvlan_gateways": ["10.30.0.1"],
    "voip_macvlan_user": "1060",
    "voip_macvlan_dscp": True,
    "voip_macvlan_persist": "replay",
}
# The unit of Debian's package nftables, shortened
NFTABLES = """[Unit]
DefaultDependencies=no
Before=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=nft -f /etc/nftables.conf
ExecReload=nft -f /etc/nftables.conf
ExecStop=nft flush ruleset
[Install]
WantedBy=sysinit.target
"""


def equip(system: System) -> None:
    """Install nft with the libraries of this machine, and the administrator's tables."""
    layer = subprocess.run([CLONE / "tests/hosts/fetch-programs", "voip"], capture_output=True, text=True, check=True)
    program = f"{layer.stdout.strip()}/usr/sbin/nft"
    needed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    place = system.root / "usr/local/lib/nft"
    place.mkdir()
    shutil.copy(program, place / "nft")
    for library in re.findall(r"=> (/\S+)", needed):
        if "/libc.so" not in library:
            shutil.copy(library, place)
    system.put("/usr/local/sbin/nft", '#!/bin/sh\nLD_LIBRARY_PATH=/usr/local/lib/nft exec /usr/local/lib/nft/nft "$@"\n', 0o755)
    system.put("/etc/nftables.conf", "flush ruleset\ntable inet own {}\n")
    system.put("/etc/systemd/system/nftables.service", NFTABLES)
    system.enter("systemctl", "daemon-reload")
    system.enter("systemctl", "enable", "--now", "nftables.service")


def play(system: System, *words: str, **more: Any) -> str:
    """Run the role. words: options of ansible-playbook."""
    role = {"name": "patchbay.netdev.voip_macvlan"}
    return system.play([{"ansible.builtin.include_role": role, "vars": {**ROLE, **more}}], *words)


def tables(system: System) -> list[str]:
    """Return the names of the nftables tables."""
    return sorted(line.split()[-1] for line in system.enter("nft", "list", "tables").splitlines())


@pytest.mark.parametrize("manager", ["none"])
def test_marks(system: System) -> None:
    """Marks are set at once, at boot, and after a reload and a restart of nftables.service. absent deletes them."""
    equip(system)
    system.enter("ip", "link", "set", "eth1", "up")
    before = system.dump()
    both = ["own", "voip_macvlan_voice0"]
    assert "changed=4 " in play(system, "--check")
    assert tables(system) == ["own"]
    assert_equal(system.dump(), before)
    assert "changed=4 " in play(system)
    assert tables(system) == both
    shown, marks = system.dump(), system.enter("nft", "list", "ruleset")
    assert "changed=0 " in play(system)

    system.enter("systemd-analyze", "verify", UNIT)
    for verb in ("reload", "restart"):
        system.enter("systemctl", verb, "nftables.service")
        # systemctl waits only for that unit, and ours follows it
        wait_until(lambda: system.enter("nft", "list", "ruleset") == marks, f"{verb} takes the marks away")
    system.enter("nft", "delete", "table", "inet", "voip_macvlan_voice0")
    assert "changed=1 " in play(system)
    assert system.enter("nft", "list", "ruleset") == marks

    system.reboot()
    assert system.enter("nft", "list", "ruleset") == marks
    assert_equal(system.dump(), shown)
    assert system.failed_units() == []
    assert "changed=0 " in play(system)

    told = play(system, "--check", voip_macvlan_state="absent")
    assert_equal(system.dump(), shown)
    gone = play(system, voip_macvlan_state="absent")
    assert re.findall(r"changed=\d+", told) == re.findall(r"changed=\d+", gone)
    assert tables(system) == ["own"]
    assert_equal(system.dump(), before)
    assert "not-found" in system.enter("systemctl", "show", "--property", "LoadState", UNIT)
    assert not (system.root / "etc/voip-macvlan-voice0.nft").exists()
    assert "changed=0 " in play(system, voip_macvlan_state="absent")


@pytest.mark.parametrize("manager", ["none"])
@pytest.mark.parametrize("release", ["trixie"])
def test_marks_in_a_namespace(system: System) -> None:
    """The unit finds the namespace at boot, because the boot program has created it before."""
    equip(system)
    apart = {"voip_macvlan_bind": "netns"}
    play(system, **apart)
    marks = ["ip", "netns", "exec", "voice", "nft", "list", "table", "inet", "voip_macvlan_voice0"]
    shown = system.enter(*marks)
    assert "dscp set ef" in shown
    system.reboot()
    assert system.enter(*marks) == shown
    assert system.failed_units() == []
    assert "changed=0 " in play(system, **apart)
