# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces: entered only to open what stays there, so that nothing else of the process ever moves.

A namespace is opened, never created: a name that was mistyped is an error.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterator

from ansible_collections.patchbay.netdev.plugins.module_utils._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._socket import NetlinkError, NetlinkSocket
from ansible_collections.patchbay.netdev.plugins.module_utils._model import HERE

FOLDER = "/run/netns"  # where iproute2 keeps named namespaces
CLONE_NEWNET = 0x40000000
RTM_GETNSID, NETNSA_NSID, NETNSA_FD = 90, 1, 3
_OWN = "/proc/self/ns/net"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Namespace:
    """One network namespace: a socket in it, and its per-link settings."""

    def __init__(self, name: str) -> None:
        """Open it; Refused when it does not exist."""
        self.name = name
        path = path_of(name)
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise Refused(
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
    def strict_socket(self) -> Iterator[NetlinkSocket]:
        """A socket in which the kernel filters dumps."""
        with self._inside():
            opened = NetlinkSocket(strict=True)
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


def _enter(descriptor: int) -> None:
    # os.setns is there from Python 3.12; find_library would start a compiler
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
