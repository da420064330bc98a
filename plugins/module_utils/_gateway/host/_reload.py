# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Having programs of the host read their files again, and a first run of the boot program."""

from __future__ import annotations

import os

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkmanager as networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as systemd_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands as commands
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host import _managers as managers
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import Reload, RunSelfTest

_INIT_SCRIPT = os.path.basename(systemd_files.SCRIPT)
_COMMANDS = {
    "systemd": ["systemctl", "daemon-reload"],
    "networkd": ["networkctl", "reload"],
    "networkmanager": ["nmcli", "general", "reload", "conf"],
    "udev": ["udevadm", "control", "--reload"],
    "sysv": ["update-rc.d", _INIT_SCRIPT, "defaults"],
    "openrc": ["update-rc.d", _INIT_SCRIPT, "defaults"],
}


def reload(request: Reload) -> None:
    """Have a program read its files; RequestFailed if it does not accept one of those that were written."""
    program = request.program
    if program == networkmanager.PROFILES:
        managers.load_profiles(request.paths)
        return
    command = _COMMANDS[program]
    if program in ("sysv", "openrc") and not os.path.exists(systemd_files.SCRIPT):
        command = ["update-rc.d", _INIT_SCRIPT, "remove"]
    if program in managers.SERVICES and not managers.is_running(program):
        return  # it reads its files when it starts
    with managers.watch_journal(request):
        commands.run(command)


def run_self_test(request: RunSelfTest) -> None:
    """Run the boot program once, without changing anything; RequestFailed if this Python cannot run it."""
    done = commands.attempt([*systemd_files.boot_command(request.interpreter).split(" "), "--check"])
    if done.returncode not in (0, 2) and ("Traceback" in done.stderr or "pyroute2" in done.stderr):
        text = done.stderr.strip().splitlines()[-1]
        raise RequestFailed(
            f"{request.interpreter} cannot run the boot program: {text}. "
            "Install pyroute2 for the system's Python (Debian: apt install python3-pyroute2)",
            0,
            text,
        )
