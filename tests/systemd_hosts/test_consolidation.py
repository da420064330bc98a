# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role host_consolidation puts a service of systemd into the namespace of its old host, where it is after a reboot too."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.systemd_hosts.system import System, wait_until

WEB = """
[Service]
ExecStart=sleep infinity
[Install]
WantedBy=multi-user.target
"""
MAIL = {
    "host": "mail",
    "name": "old-mail",
    "lower_device": "eth1",
    "address": "00:16:3e:11:11:01",
    "addresses": ["192.0.2.101/24"],
    "gateway": "192.0.2.1",
    "services": ["web"],
}


def play(system: System, **more: Any) -> str:
    """What the role says."""
    variables = {"hosts": [MAIL], "isolation": "netns", **more}
    role = {"ansible.builtin.import_role": {"name": "patchbay.netdev.host_consolidation"}}
    return system.play([{**role, "vars": {f"host_consolidation_{name}": value for name, value in variables.items()}}])


def place(system: System) -> str:
    """The name of the namespace that the service runs in, if it runs."""
    process = system.enter("systemctl", "show", "--property", "MainPID", "--value", "web.service").strip()
    assert process != "0"
    return system.enter("ip", "netns", "identify", process).strip()


@pytest.mark.parametrize("release", ["trixie"])
@pytest.mark.parametrize("manager", ["none"])
def test_service_of_an_old_host(system: System) -> None:
    """It moves, is there after a reboot, and comes back when its old host goes."""
    system.put("/etc/systemd/system/web.service", WEB)
    system.enter("sh", "-c", "systemctl enable --now web.service; ip link set eth1 up")
    assert place(system) == ""
    play(system)
    assert place(system) == "mail"
    assert "changed=0" in play(system)
    system.reboot()
    wait_until(
        lambda: system.enter("systemctl", "show", "--property", "ActiveState", "web.service") == "ActiveState=active\n", "no web"
    )
    assert place(system) == "mail"
    assert "192.0.2.101/24" in system.enter("ip", "-n", "mail", "address")
    assert "changed=0" in play(system)
    play(system, state="absent")
    assert place(system) == ""
    assert system.enter("ip", "netns") == ""
