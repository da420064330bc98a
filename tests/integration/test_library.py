# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pyroute2 is missing on the managed host, or only another Python has it. The real module files run as Ansible runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.patchbay.netdev.tests.integration.host import Host

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Create an interpreter without pyroute2."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    return tmp_path / "bare/bin/python"


def adhoc(host: Host, interpreter: Path, *words: str, hide: str = "") -> dict[str, Any]:
    """Return the output of `ansible HOST -m MODULE -a ARGUMENTS` with the ansible.cfg of the clone."""
    command = [
        sys.executable,
        "-m",
        "ansible",
        "adhoc",
        "new",
        "--one-line",
        "-i",
        "new,",
        "-c",
        "local",
        "-e",
        f"ansible_python_interpreter={interpreter}",
    ]
    environment = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false"}
    prefix = ["ip", "netns", "exec", host.netns]
    if hide:  # an empty folder mounted over it for this command
        prefix += ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {hide} && exec "$@"', "sh"]
    done = subprocess.run([*prefix, *command, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("new | ")), "")
    assert " => " in line, done.stdout + done.stderr
    return json.loads(line.partition(" => ")[2])


def test_missing(host: Host, bare: Path) -> None:
    """The message names the package of the managed host's distribution."""
    done = adhoc(
        host,
        bare,
        "-m",
        "patchbay.netdev.macvlan",
        "-a",
        "name=mv0 lower_device=eth0",
        hide="/usr/lib/python3/dist-packages/pyroute2",
    )
    assert "Failed to import the required Python library (pyroute2)" in done["msg"]
    assert "On this Debian host the package is python3-pyroute2 (apt install python3-pyroute2)" in done["msg"]
    assert host.link("mv0") == {}


def test_only_in_the_system_python(host: Host, bare: Path) -> None:
    """The module restarts with the interpreter that has the library."""
    done = adhoc(host, bare, "-m", "patchbay.netdev.macvlan", "-a", "name=mv0 lower_device=eth0 mode=bridge")
    assert done["changed"], done
    assert host.kind_data("mv0")["mode"] == "bridge"


def test_ad_hoc(host: Host) -> None:
    """Ad hoc commands work with full and short module names, in check mode too."""
    interpreter = Path(sys.executable)
    told = adhoc(
        host, interpreter, "-m", "patchbay.netdev.macvlan", "-a", "name=mv0 lower_device=eth0 mode=bridge", "--check", "--diff"
    )
    assert told["changed"]
    assert host.link("mv0") == {}
    assert adhoc(host, interpreter, "-m", "patchbay.netdev.macvlan", "-a", "name=mv0 lower_device=eth0 mode=bridge")["changed"]
    assert adhoc(host, interpreter, "-m", "macvlan", "-a", "name=mv0 mode=private")["operations"] == [
        "set mv0: mode bridge -> private"
    ]
    assert host.kind_data("mv0")["mode"] == "private"
    assert adhoc(host, interpreter, "-m", "link_info", "-a", "kind=macvlan")["links"][0]["name"] == "mv0"
