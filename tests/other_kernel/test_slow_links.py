# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role slow_links on a kernel with netem, with a delay."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.patchbay.netdev.tests.integration.host import CLONE, Host, ip
from ansible_collections.patchbay.netdev.tests.integration.playbooks import PYTHON, changes

PLAY = """
- hosts: all
  gather_facts: false
  roles: [patchbay.netdev.slow_links]
"""


def play(host: Host, folder: Path, *links: dict[str, Any]) -> int:
    """Return the number of tasks that made changes."""
    (folder / "play.yml").write_text(PLAY)
    given = {"ansible_connection": "local", "ansible_python_interpreter": str(PYTHON), "slow_links_links": links}
    command = [
        str(PYTHON),
        "-m",
        "ansible",
        "playbook",
        "-i",
        "new,",
        "--extra-vars",
        json.dumps(given),
        str(folder / "play.yml"),
    ]
    done = subprocess.run(
        ["nsenter", f"--net=/run/netns/{host.netns}", *command], cwd=CLONE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The links are limited by netem." in done.stdout
    return changes(done.stdout)


def milliseconds(host: Host) -> float:
    """Return the round-trip time of a ping after the neighbor entry exists."""
    done = host_ping(host)
    return float(re.findall(r"time=([0-9.]+)", done)[-1])


def host_ping(host: Host) -> str:
    """Return the output of three pings."""
    command = ["ip", "netns", "exec", host.netns, "ping", "-n", "-c", "3", "-i", "0.2", "192.0.2.25"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_delay(host: Host, tmp_path: Path) -> None:
    """The delay is set, kept in a second run, changed and removed."""
    wire = f"{host.netns}-wire"
    host.ip("address", "add", "192.0.2.1/24", "dev", "eth0")
    ip("address", "add", "192.0.2.25/24", "dev", "eth0", netns=wire)
    try:
        slow = {"link": "eth0", "delay": 0.3, "rate": 2.5, "loss": 0.01}
        assert play(host, tmp_path, slow) == 1
        assert 300 <= milliseconds(host) < 1000
        assert play(host, tmp_path, slow) == 0
        assert play(host, tmp_path, {"link": "eth0", "delay": 0.7}) == 1
        (shown,) = json.loads(subprocess.check_output(["tc", "-n", host.netns, "-j", "qdisc", "show", "dev", "eth0"]))
        assert not {"rate", "loss-random"} & set(shown["options"]), "what is not written any more is left of it"
        assert 700 <= milliseconds(host) < 2000
        assert play(host, tmp_path, {"link": "eth0", "state": "absent"}) == 1
        assert milliseconds(host) < 300
    finally:
        ip("address", "flush", "dev", "eth0", netns=wire)
        host.ip("address", "flush", "dev", "eth0")
