# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of DHCP clients: found, started and ended. Under systemd each is a unit, elsewhere a daemon of its own.

A client stays in the foreground. A file holds its process id and the time at which it started: both must match.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as systemd_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _atomic_files as atomic_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands as commands
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _system_calls as system_calls
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._namespace_files import identity_of_process, path_of
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _client_records as client_records
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._polling import polls
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._programs import PROGRAMS
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import FOLDER

_START_SECONDS, _END_SECONDS = 5.0, 5.0
_OPEN_FILES = 1024


def start(path: str) -> bool:
    """Start the client of a record; whether it runs."""
    if _has_systemd():
        commands.run(["systemctl", "start", _unit(path)])
    else:
        _spawn(path)
    return any(find(path) is not None for _poll in polls(_START_SECONDS))


def end(path: str) -> None:
    """End the client of a record, and the hook that it may be running."""
    if _has_systemd() and os.path.exists(path):
        with contextlib.suppress(RequestFailed):  # the unit has ended, and systemd has forgotten it
            commands.run(["systemctl", "stop", _unit(path)])
    process = find(path)
    if process is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            group = os.getpgid(process)
            os.kill(process, number) if group == os.getpgid(0) else os.killpg(group, number)
        if any(find(path) is None for _poll in polls(_END_SECONDS)):
            return


def find(path: str) -> int | None:
    """The process id of the client of a record, if it runs; another process may have got its id."""
    try:
        with open(client_records.sibling(path, "pid"), encoding="utf-8") as file:
            process, start_time = file.read().split()
        with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
            is_running = file.read().strip() in PROGRAMS and _start_time(int(process)) == start_time
    except (OSError, ValueError):
        return None
    return int(process) if is_running else None


def runs_in(path: str, namespace: tuple[int, int]) -> bool:
    """Whether the client of a record runs, in this namespace."""
    process = find(path)
    try:
        return process is not None and identity_of_process(process) == namespace
    except FileNotFoundError:  # it has ended since
        return False


def last_log_line(path: str) -> str:
    """The last line that a client logged; empty if it has no log."""
    lines = (atomic_files.read_text(client_records.sibling(path, "log")) or "").strip().splitlines()
    return lines[-1] if lines else ""


def become(name: str) -> NoReturn:
    """Turn this process into the client of this name: in its namespace, without the caller's environment."""
    path = f"{FOLDER}/{name}.json"
    record = client_records.read(path)
    if record is None:
        raise SystemExit(f"{path} is not the record of a DHCP client")
    if record["netns"]:
        with open(path_of(record["netns"]), "rb") as namespace:
            try:
                system_calls.enter_network_namespace(namespace.fileno())
            except OSError as error:
                raise SystemExit(f"the namespace {record['netns']} cannot be entered: {error.strerror}") from error
    program = shutil.which(record["command"][0], path=commands.PATH)
    if program is None:
        raise SystemExit(f"{record['command'][0]} is no longer installed")
    if record["folders"] or record["places"]:
        try:
            _make_private_view(record["folders"], record["places"])
        except OSError as error:
            raise SystemExit(f"the file systems of this host cannot be mounted for {program}: {error.strerror}") from error
    process = os.getpid()
    atomic_files.write(client_records.sibling(path, "pid"), f"{process} {_start_time(process)}\n".encode())
    os.execve(program, record["command"], {"PATH": commands.PATH, client_records.VARIABLE: path})


def _make_private_view(folders: Sequence[str], replaced: Mapping[str, str]) -> None:
    """Have this process see empty folders of its own, and other files in the place of these."""
    system_calls.unshare(system_calls.CLONE_NEWNS)
    system_calls.mount("none", "/", None, system_calls.MS_REC | system_calls.MS_SLAVE)
    for folder in folders:
        os.makedirs(folder, exist_ok=True)
        system_calls.mount("none", folder, "tmpfs", 0, "mode=755")
    for path, source in replaced.items():
        system_calls.mount(source, path, None, system_calls.MS_BIND)


def _spawn(path: str) -> None:
    """Start a client as a daemon: an orphan in a session of its own."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if not os.fork():
            os.chdir("/")
            devnull = os.open(os.devnull, os.O_RDONLY)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
            log = os.open(client_records.sibling(path, "log"), flags, atomic_files.PRIVATE_FILE)
            for number, source in enumerate((devnull, log, log)):
                os.dup2(source, number)
            os.closerange(3, _OPEN_FILES)
            become(_name(path))
    except SystemExit as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(1)


def _start_time(process: int) -> str:
    with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[19]


def _has_systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


def _unit(path: str) -> str:
    return systemd_files.CLIENT.replace("@", f"@{systemd_files.unit_escape(_name(path))}")


def _name(path: str) -> str:
    return os.path.basename(path)[: -len(".json")]
