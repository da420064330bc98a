# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk and the programs around it: files whole or not at all, and word to the programs that read them."""

from __future__ import annotations

import contextlib
import glob
import io
import os
import stat
import subprocess
import sys
import tempfile
import zipfile

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _declarations as declarations
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkd as networkd
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _networkmanager as networkmanager
from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _systemd_files as files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host import _managers as managers
from ansible_collections.patchbay.netdev.plugins.module_utils._model import _lease as leases
from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState, File
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    DeleteFile,
    Reload,
    RunSelfTest,
    WriteFile,
)

VERSION = "VERSION"  # the file of the archive that says which release it is of
_OURS = (
    files.ENGINE,
    f"{files.UNITS}/{files.SERVICE}",
    f"{files.UNITS}/{files.INSTANCE}",
    f"{files.UNITS}/{files.CLIENT}",
    f"{files.UNITS}/{files.LEASES}",
    files.HOOK,
    f"{files.UNITS}/multi-user.target.wants/{files.SERVICE}",
    f"{files.UNITS}/*.device.wants/patchbay-replay@*.service",
    files.SCRIPT,
    files.NETWORKD_CONF,
    f"{files.NETWORKD}/05-patchbay-*.network",
    f"{files.NETWORKD}/05-patchbay-*{files.LINK_FILE}",
    f"{files.NETWORKMANAGER}/90-patchbay-*.conf",
    f"{files.UDEV}/90-patchbay-*.rules",
    f"{files.SYSCTL}/90-patchbay-*.conf",
    f"{networkd.path_prefix('*')}.netdev",
    f"{files.NETWORKD}/*.network.d/05-patchbay-*.conf",
    networkd.POSTPONED,
    f"{networkmanager.path_prefix('*')}.nmconnection",
    f"{declarations.OWN_FOLDER}/*.d/*.json",
)
# Folders that go with their last file: they are ours, or there for links like ours.
_OWN_FOLDERS = (
    "/etc/patchbay",
    "/usr/local/lib/patchbay",
    "/etc/systemd/system/sys-subsystem-net-devices-",
    os.path.dirname(files.NETWORKD_CONF),
)
_CLOSED_FOLDERS = ("/etc/patchbay", leases.FOLDER)  # to all but root
_PYTHONS = ("/usr/bin/python3", "/usr/libexec/platform-python")
_HAS_PYROUTE2 = "import importlib.util as u, sys; sys.exit(not u.find_spec('pyroute2'))"
_COMMANDS = {
    "systemd": (["systemctl", "daemon-reload"],),
    "networkd": (["networkctl", "reload"],),
    "networkmanager": (["nmcli", "general", "reload", "conf"],),
    "udev": (["udevadm", "control", "--reload"],),
    "sysv": (["update-rc.d", "patchbay-replay", "defaults"],),
    "openrc": (["update-rc.d", "patchbay-replay", "defaults"],),
}


def has_declarations() -> bool:
    """Whether anything of ours comes back at the next boot, or is served until then.

    Or was, before the last one, and has left the program here: that only root can tell, who sees all of it.
    """
    left = os.geteuid() == 0 and os.path.exists(files.ENGINE)
    return left or any(glob.glob(pattern) for pattern in (f"{declarations.OWN_FOLDER}/*.d/*.json", f"{leases.FOLDER}/*.json"))


def boot_state(ask_managers: bool = False) -> BootState:
    """The files of ours, and who reads them; ask_managers, or declarations for one: with what managers report."""
    places = dict.fromkeys(path for pattern in _OURS for path in sorted(glob.glob(pattern)))
    places.update(dict.fromkeys(path for path in _OURS if "*" not in path and os.path.lexists(path)))
    found = {path: _read(path) for path in places}
    there = {
        "networkd": "/run/systemd/netif/state",  # the folder is there without it
        "networkmanager": "/run/NetworkManager",
    }
    state = BootState(
        found,
        _init(),
        frozenset(name for name, place in there.items() if os.path.exists(place)),
        os.path.exists("/run/udev/control"),
        _interpreter(found),
        _release(found.get(files.ENGINE)),
        frozenset(glob.glob(f"{leases.FOLDER}/*.json")),
        not any(os.path.exists(folder) and not os.access(folder, os.R_OK | os.X_OK) for folder in _CLOSED_FOLDERS),
    )
    ask_managers = ask_managers or any(declarations.backend_of(path) in declarations.MANAGERS for path in found)
    return managers.asked(state) if ask_managers else state


def _init() -> str:
    """What runs at boot here, by what runs now; nothing in a plain container."""
    if os.path.isdir("/run/systemd/system"):
        return "systemd"
    if not os.path.exists("/usr/sbin/update-rc.d"):
        return ""
    if os.path.isdir("/run/openrc"):
        return "openrc"
    with open("/proc/1/comm", encoding="utf-8") as file:
        return "sysv" if file.read().strip() == "init" else ""


def _interpreter(found: dict[str, File]) -> str:
    """The one that a file of ours names, while it is there; else that of the system if it has pyroute2; else this one."""
    unit = found.get(f"{files.UNITS}/{files.SERVICE}") or found.get(files.SCRIPT) or found.get(files.HOOK)
    for line in unit.content.decode(errors="replace").splitlines() if unit else ():
        before, _dash, rest = line.partition(f" -I {files.ENGINE}")
        named = before.rpartition("=")[2].split(" ")[-1]
        if rest is not None and f"-I {files.ENGINE}" in line and os.access(named, os.X_OK):
            return named
    for python in _PYTHONS:
        if os.access(python, os.X_OK):
            done = subprocess.run([python, "-I", "-c", _HAS_PYROUTE2], check=False, capture_output=True)
            if done.returncode == 0:
                return python
    return sys.executable


def _release(engine: File | None) -> tuple[int, ...]:
    """The release that an engine is of; () when there is none, or it is damaged."""
    if engine is None:
        return ()
    try:
        with zipfile.ZipFile(io.BytesIO(engine.content)) as archive:
            return tuple(int(part) for part in archive.read(VERSION).decode().strip().split("."))
    except Exception:  # a damaged archive is found out in many ways
        return ()


def execute(request: WriteFile | DeleteFile | Reload | RunSelfTest) -> None:
    """Do it; OSError or RequestFailed."""
    if isinstance(request, WriteFile):
        if request.path.startswith(networkmanager.FOLDER):
            managers.check_profile(request.path, request.file.content)
        _put(request.path, request.file)
    elif isinstance(request, DeleteFile):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(request.path)
        _tidy(os.path.dirname(request.path))
    elif isinstance(request, Reload):
        _tell(request)
    else:
        _prove(request)


def _read(path: str) -> File:
    if os.path.islink(path):
        return File(link=os.readlink(path))  # whose mode says nothing
    try:
        with open(path, "rb") as file:
            return File(file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode))
    except OSError as error:
        raise RequestFailed(
            f"{path}, which belongs to what comes back at the next boot, cannot be read: {error.strerror}. Mend or delete it",
            error.errno or 0,
            str(error.strerror),
        ) from error


def _put(path: str, new: File) -> None:
    """A temporary file beside it, on the disk, and then in its place."""
    folder = os.path.dirname(path)
    _make_folder(folder)
    if new.link is not None:
        temporary = f"{folder}/.patchbay-{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # of a process that had this number and was killed
        os.symlink(new.link, temporary)
        try:
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        return
    descriptor, temporary = tempfile.mkstemp(prefix=".patchbay-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(new.content)
            file.flush()
            os.fchmod(file.fileno(), new.mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _make_folder(folder: str) -> None:
    """With those above it, whatever the umask is: what runs as root at boot, only root may write."""
    if os.path.isdir(folder):
        return
    _make_folder(os.path.dirname(folder))
    os.mkdir(folder, mode=0o700)
    os.chmod(folder, 0o700 if folder.startswith("/etc/patchbay") else 0o755)


def _tidy(folder: str) -> None:
    """Folders that were only there for our files go when they are empty."""
    while any(folder.startswith(own) for own in _OWN_FOLDERS) or (
        folder.endswith(".network.d") and os.path.dirname(folder) == files.NETWORKD
    ):
        try:
            os.rmdir(folder)
        except OSError:
            return
        folder = os.path.dirname(folder)


def _tell(request: Reload) -> None:
    program = request.program
    if program == networkmanager.PROFILES:
        managers.tell_of_profiles(request.paths)
        return
    if program in ("sysv", "openrc") and not os.path.exists(files.SCRIPT):
        commands: tuple[list[str], ...] = (["update-rc.d", "patchbay-replay", "remove"],)
    else:
        commands = _COMMANDS[program]
    if program in managers.SERVICES and not managers.runs(program):
        return  # nobody to tell: it reads its files when it starts
    with managers.overheard(request):
        for command in commands:
            managers.run(command)


def _prove(request: RunSelfTest) -> None:
    command = [*files.boot_command(request.interpreter).split(" "), "--check"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise RequestFailed(f"{' '.join(command)} does not end", 0, str(error)) from error
    if done.returncode not in (0, 2) and ("Traceback" in done.stderr or "pyroute2" in done.stderr):
        text = done.stderr.strip().splitlines()[-1]
        raise RequestFailed(
            f"{request.interpreter} cannot run what brings things back at the next boot: {text}. "
            "Install pyroute2 for the Python of the system (Debian: apt install python3-pyroute2)",
            0,
            text,
        )
