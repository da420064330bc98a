# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of this collection on the host, and what restores them at the next boot: read, written and deleted."""

from __future__ import annotations

import glob
import io
import os
import stat
import sys
import zipfile

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _declarations as declarations
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd as networkd
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkmanager as networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as systemd_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _atomic_files as atomic_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _commands as commands
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host import _managers as managers
from ansible_collections.patchbay.netdev.plugins.module_utils._model import _lease as lease
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import DeleteFile, WriteFile

VERSION = "VERSION"  # the file in the archive of the boot program that holds its release
_OURS = (
    systemd_files.ENGINE,
    f"{systemd_files.UNITS}/{systemd_files.SERVICE}",
    f"{systemd_files.UNITS}/{systemd_files.INSTANCE}",
    f"{systemd_files.UNITS}/{systemd_files.CLIENT}",
    f"{systemd_files.UNITS}/{systemd_files.LEASES}",
    systemd_files.HOOK,
    f"{systemd_files.UNITS}/multi-user.target.wants/{systemd_files.SERVICE}",
    f"{systemd_files.UNITS}/*.device.wants/patchbay-replay@*.service",
    systemd_files.SCRIPT,
    systemd_files.NETWORKD_CONF,
    f"{systemd_files.NETWORKD}/05-patchbay-*.network",
    f"{systemd_files.NETWORKD}/05-patchbay-*{systemd_files.LINK_FILE}",
    f"{systemd_files.NETWORKMANAGER}/90-patchbay-*.conf",
    f"{systemd_files.UDEV}/90-patchbay-*.rules",
    f"{systemd_files.SYSCTL}/90-patchbay-*.conf",
    f"{networkd.path_prefix('*')}.netdev",
    f"{systemd_files.NETWORKD}/*.network.d/05-patchbay-*.conf",
    networkd.POSTPONED,
    f"{networkmanager.path_prefix('*')}.nmconnection",
    f"{declarations.OWN_FOLDER}/*.d/*.json",
)
# Folders that are deleted with their last file: they exist only for files of this collection.
_OWN_FOLDERS = (
    declarations.OWN_FOLDER,
    os.path.dirname(systemd_files.ENGINE),
    f"{systemd_files.UNITS}/sys-subsystem-net-devices-",
    os.path.dirname(systemd_files.NETWORKD_CONF),
)
_PRIVATE_FOLDERS = (declarations.OWN_FOLDER, lease.FOLDER)  # root alone may read them
_DECLARATIONS, _CLIENTS = f"{declarations.OWN_FOLDER}/*.d/*.json", f"{lease.FOLDER}/*.json"
_MANAGER_SIGNS = {
    "networkd": "/run/systemd/netif/state",  # its folder exists without it
    "networkmanager": "/run/NetworkManager",
}
_PYTHONS = ("/usr/bin/python3", "/usr/libexec/platform-python")
_HAS_PYROUTE2 = "import importlib.util as u, sys; sys.exit(not u.find_spec('pyroute2'))"


def has_declarations() -> bool:
    """Whether something is restored at the next boot, or served until then.

    For root also whether something was before the last boot, which has left the boot program.
    """
    has_program = os.geteuid() == 0 and os.path.exists(systemd_files.ENGINE)
    return has_program or any(glob.glob(pattern) for pattern in (_DECLARATIONS, _CLIENTS))


def boot_state(ask_managers: bool = False) -> BootState:
    """The files of this collection, and the programs that read them.

    ask_managers: with what network managers report, which is always read if they have declarations.
    """
    paths = dict.fromkeys(path for pattern in _OURS for path in sorted(glob.glob(pattern)))
    paths.update(dict.fromkeys(path for path in _OURS if "*" not in path and os.path.lexists(path)))
    files = {path: _read(path) for path in paths}
    state = BootState(
        files,
        _init_system(),
        frozenset(name for name, path in _MANAGER_SIGNS.items() if os.path.exists(path)),
        os.path.exists("/run/udev/control"),
        _interpreter(files),
        _release(files.get(systemd_files.ENGINE)),
        frozenset(glob.glob(_CLIENTS)),
        not any(os.path.exists(folder) and not os.access(folder, os.R_OK | os.X_OK) for folder in _PRIVATE_FOLDERS),
    )
    ask_managers = ask_managers or any(declarations.backend_of(path) in declarations.MANAGERS for path in files)
    return managers.with_reports(state) if ask_managers else state


def _init_system() -> str:
    """The init system, by what runs now; empty in a container without one."""
    if os.path.isdir("/run/systemd/system"):
        return "systemd"
    if not os.path.exists("/usr/sbin/update-rc.d"):
        return ""
    if os.path.isdir("/run/openrc"):
        return "openrc"
    return "sysv" if (atomic_files.read_text("/proc/1/comm") or "").strip() == "init" else ""


def _interpreter(files: dict[str, File]) -> str:
    """The Python that a file of this collection names, if it exists; else the system's if it has pyroute2; else this one."""
    starters = (f"{systemd_files.UNITS}/{systemd_files.SERVICE}", systemd_files.SCRIPT, systemd_files.HOOK)
    starter = next((files[path] for path in starters if path in files), File())
    for line in starter.content.decode(errors="replace").splitlines():
        before, separator, _rest = line.partition(f" -I {systemd_files.ENGINE}")
        interpreter = before.rpartition("=")[2].split(" ")[-1]
        if separator and os.access(interpreter, os.X_OK):
            return interpreter
    for python in _PYTHONS:
        if os.access(python, os.X_OK) and commands.attempt([python, "-I", "-c", _HAS_PYROUTE2]).returncode == 0:
            return python
    return sys.executable


def _release(program: File | None) -> tuple[int, ...]:
    """The release of a boot program; () if there is none, or it is damaged."""
    if program is None:
        return ()
    try:
        with zipfile.ZipFile(io.BytesIO(program.content)) as archive:
            return tuple(int(part) for part in archive.read(VERSION).decode().strip().split("."))
    except Exception:  # a damaged archive raises errors of many types
        return ()


def _read(path: str) -> File:
    if os.path.islink(path):
        return File(link=os.readlink(path))  # its mode has no meaning
    try:
        with open(path, "rb") as file:
            return File(file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode))
    except OSError as error:
        text = str(error.strerror)
        message = f"{path}, a file for the next boot, cannot be read: {text}. Repair or delete it"
        raise RequestFailed(message, error.errno or 0, text) from error


def write(request: WriteFile) -> None:
    """Write a file; RequestFailed if NetworkManager does not understand it."""
    path, file = request.path, request.file
    if path.startswith(networkmanager.FOLDER):
        managers.check_profile(path, file.content)
    folder = os.path.dirname(path)
    atomic_files.make_folder(folder, atomic_files.PRIVATE_FOLDER if folder.startswith(declarations.OWN_FOLDER) else 0o755)
    if file.link is not None:
        atomic_files.write_symlink(path, file.link)
    else:
        atomic_files.write(path, file.content, file.mode)


def delete(request: DeleteFile) -> None:
    """Delete a file, and the folders that exist only for such files."""
    atomic_files.delete(request.path)
    folder = os.path.dirname(request.path)
    while _is_own(folder) and atomic_files.delete_folder_if_empty(folder):
        folder = os.path.dirname(folder)


def _is_own(folder: str) -> bool:
    is_drop_in_folder = folder.endswith(".network.d") and os.path.dirname(folder) == systemd_files.NETWORKD
    return is_drop_in_folder or any(folder.startswith(own) for own in _OWN_FOLDERS)
