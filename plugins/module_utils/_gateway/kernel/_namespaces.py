# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces: entered only to open what stays there, so that nothing else of the process ever moves.

To look into a namespace never creates it: a name that was mistyped is an error.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import json
import os
import socket
import stat
import struct
from collections.abc import Iterator

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._socket import (
    NETLINK_SOCK_DIAG,
    NetlinkError,
    NetlinkSocket,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, LEFT_BEHIND

FOLDER = "/run/netns"  # where iproute2 keeps named namespaces
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED, MNT_DETACH = 0x1000, 0x4000, 0x40000, 0x80000, 0x100000, 0x2
RTM_GETNSID, NETNSA_NSID, NETNSA_FD = 90, 1, 3
_OWN = "/proc/self/ns/net"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Namespace:
    """One network namespace: a socket in it, and its per-link settings."""

    def __init__(self, name: str) -> None:
        """Open it; Refused when it does not exist."""
        self.name = name
        self._tap_numbers: dict[str, str] | None = None
        path = path_of(name)
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise Missing(
                f"There is no network namespace {name} ({path} does not exist). "
                f"Correct the name, or create it first: ip netns add {os.path.basename(name)}"
            ) from error
        self.identity = identity(os.fstat(self.descriptor))
        try:
            with self._inside():
                self.socket = NetlinkSocket()
                self._settings = _settings_folders()
        except OSError as error:
            os.close(self.descriptor)
            raise Refused(f"The network namespace {name} cannot be entered: {error.strerror} ({path})") from error

    def close(self) -> None:
        """Close everything."""
        self.socket.close()
        for folder in (*self._settings.values(), self.descriptor):
            os.close(folder)

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        if self.name == HERE:
            yield
            return
        back = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self.descriptor)
            try:
                yield
            finally:
                _enter(back)
        finally:
            os.close(back)

    @contextlib.contextmanager
    def packet_socket(self, link: str) -> Iterator[socket.socket]:
        """A socket for whole frames on a link."""
        with self._inside():
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC)
        try:
            opened.bind((link, 0))
            yield opened
        finally:
            opened.close()

    @contextlib.contextmanager
    def diagnostic_socket(self) -> Iterator[NetlinkSocket]:
        """One that is asked about sockets."""
        with self._inside():
            opened = NetlinkSocket(NETLINK_SOCK_DIAG)
        try:
            yield opened
        finally:
            opened.close()

    def read_setting(self, link: str, setting: str) -> int | None:
        """The value of `ipv4.arp_ignore` of a link (or of `all`, `default`); None when the kernel has no such setting."""
        try:
            descriptor = self._open(link, setting, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return int(os.read(descriptor, 64))
        except (ValueError, OSError):  # not a number, or one that cannot be read (stable_secret)
            return None
        finally:
            os.close(descriptor)

    def write_setting(self, link: str, setting: str, value: int) -> None:
        """Write it; OSError when the kernel refuses."""
        descriptor = self._open(link, setting, os.O_WRONLY)
        try:
            os.write(descriptor, str(value).encode())
        finally:
            os.close(descriptor)

    def _open(self, link: str, setting: str, mode: int) -> int:
        family, name = setting.split(".", 1)
        if family not in self._settings:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return os.open(f"{link}/{name}", mode | os.O_CLOEXEC, dir_fd=self._settings[family])

    def settings_of(self, link: str) -> list[str]:
        """The names of all settings of a link."""
        found = []
        for family, folder in self._settings.items():
            try:
                descriptor = os.open(link, _FOLDER, dir_fd=folder)
            except FileNotFoundError:
                continue
            try:
                found += [f"{family}.{name}" for name in os.listdir(descriptor)]
            finally:
                os.close(descriptor)
        return found

    def forget(self) -> None:
        """Read the numbers of devices again when they are asked for next."""
        self._tap_numbers = None

    def tap_numbers(self, fresh: bool = False) -> dict[str, str]:
        """The device number ("246:1") of each macvtap here, by name.

        The kernel names it only in sysfs, which shows the namespace that it was mounted in: so a process of its own mounts it.
        """
        if self._tap_numbers is None or fresh:
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    os.write(writer, json.dumps(self._read_tap_numbers()).encode())
                finally:
                    os._exit(0)
            os.close(writer)
            with os.fdopen(reader, encoding="utf-8") as output:
                self._tap_numbers = json.loads(output.read() or "{}")
            os.waitpid(child, 0)
        return self._tap_numbers or {}

    def _read_tap_numbers(self) -> dict[str, str]:
        _enter(self.descriptor)
        library = ctypes.CDLL(None, use_errno=True)
        if library.unshare(CLONE_NEWNS) or library.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
            return {}
        if library.mount(b"sysfs", b"/sys", b"sysfs", 0, None) and ctypes.get_errno() != errno.EBUSY:
            return {}  # busy says that what is mounted there already shows this namespace
        found = {}
        for path in glob.glob("/sys/class/net/*/macvtap/tap*/dev"):
            with open(path, encoding="utf-8") as file:
                found[path.split("/")[4]] = file.read().strip()
        return found

    def number_of(self, other: Namespace) -> int | None:
        """The number by which links here refer to another namespace; None when they have none. Assigns nothing."""
        attribute = struct.pack("=HHI", 8, NETNSA_FD, other.descriptor)
        message = struct.pack("=IHHIIB3x", 20 + len(attribute), RTM_GETNSID, 0x5, 0, 0, 0) + attribute
        try:
            (reply,) = self.socket.request(message)
        except NetlinkError:
            return None
        offset = 20
        while offset + 8 <= len(reply):
            size, kind = struct.unpack_from("=HH", reply, offset)
            if kind == NETNSA_NSID:
                number: int = struct.unpack_from("=i", reply, offset + 4)[0]
                return None if number < 0 else number
            offset += (max(size, 4) + 3) & ~3
        return None


def path_of(name: str) -> str:
    """The file that stands for a namespace."""
    if name == HERE:
        return _OWN
    return name if name.startswith("/") else f"{FOLDER}/{name}"


def exists(name: str) -> bool:
    """Whether there is a namespace of this name: a file that was left behind is none."""
    try:
        return os.stat(path_of(name)).st_dev == os.stat(_OWN).st_dev
    except FileNotFoundError:
        return False


def make(name: str) -> None:
    """Make a named namespace, as iproute2 does: a mount of the new namespace on a file, in a folder that all mounts share."""
    os.makedirs(FOLDER, mode=0o755, exist_ok=True)
    _share_folder()
    path = path_of(name)
    leave_behind(name)
    library = ctypes.CDLL(None, use_errno=True)
    back = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(library.unshare(CLONE_NEWNET))
        try:
            _checked(library.mount(b"/proc/thread-self/ns/net", path.encode(), b"none", MS_BIND, None))
        finally:
            _enter(back)
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(back)


def in_place_of(name: str) -> str:
    """What has the name of a namespace that does not exist: LEFT_BEHIND, something else in words, or nothing."""
    try:
        status = os.lstat(path_of(name))
    except FileNotFoundError:
        return ""
    if stat.S_ISREG(status.st_mode):
        return "a file that is not empty" if status.st_size else LEFT_BEHIND
    words = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link"}
    return words.get(stat.S_IFMT(status.st_mode), "a special file")


def leave_behind(name: str) -> None:
    """Make the file that stands for a namespace, and no more."""
    os.close(os.open(path_of(name), os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))


def remove(name: str, left_behind: bool = False) -> None:
    """Take the name away; OSError when there is none, or when it is more than a file that was to be left behind."""
    path = path_of(name)
    if left_behind:
        if exists(name) or in_place_of(name) != LEFT_BEHIND:
            raise OSError(errno.EBUSY, f"{path} is in use by now")
        os.unlink(path)
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.umount2(path.encode(), MNT_DETACH) and ctypes.get_errno() != errno.EINVAL:  # not a mount: left behind
        _checked(-1)
    os.unlink(path)


def processes_in(name: str) -> tuple[int, ...]:
    """The ids of the processes whose namespace it is, sorted."""
    wanted = identity(os.stat(path_of(name)))
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if identity(os.stat(f"/proc/{entry}/ns/net")) == wanted:
                found.append(int(entry))
        except OSError:  # it ended meanwhile, or is not ours to look into
            continue
    return tuple(sorted(found))


def _share_folder() -> None:
    """Mounts below the folder have to reach every mount namespace, as those of `ip netns` do."""
    library = ctypes.CDLL(None, use_errno=True)
    folder = FOLDER.encode()
    if library.mount(b"", folder, b"none", MS_SHARED | MS_REC, None) == 0:
        return
    _checked(library.mount(folder, folder, b"none", MS_BIND | MS_REC, None))
    _checked(library.mount(b"", folder, b"none", MS_SHARED | MS_REC, None))


def named() -> list[str]:
    """The names in /run/netns, sorted."""
    try:
        return sorted(os.listdir(FOLDER))
    except FileNotFoundError:
        return []


def identity(status: os.stat_result) -> tuple[int, int]:
    """What is equal for two names of one namespace."""
    return status.st_dev, status.st_ino


def _settings_folders() -> dict[str, int]:
    """Open folders by family. Only /proc/sys/net/FAMILY/conf stays in the namespace that it was opened in, not one above it."""
    found = {}
    for family in ("ipv4", "ipv6"):
        try:
            found[family] = os.open(f"/proc/sys/net/{family}/conf", _FOLDER)
        except FileNotFoundError:  # a kernel without IPv6
            continue
    return found


def _checked(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _enter(descriptor: int) -> None:
    # os.setns is there from Python 3.12; find_library would start a compiler
    library = ctypes.CDLL(None, use_errno=True)
    _checked(library.setns(descriptor, CLONE_NEWNET))
