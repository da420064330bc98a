# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of links below /proc/sys/net (sysctls), in one network namespace."""

from __future__ import annotations

import errno
import os

_FAMILIES = ("ipv4", "ipv6")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Sysctls:
    """The settings in the network namespace of the thread that opens this, wherever that thread goes later."""

    def __init__(self) -> None:
        """Open the folders. /proc/sys/net/FAMILY/conf stays in the namespace that it was opened in, no folder above it does."""
        self._folders: dict[str, int] = {}
        for family in _FAMILIES:
            try:
                self._folders[family] = os.open(f"/proc/sys/net/{family}/conf", _FOLDER)
            except FileNotFoundError:  # a kernel without IPv6
                continue

    def close(self) -> None:
        """Close the folders."""
        for folder in self._folders.values():
            os.close(folder)

    def read(self, link: str, setting: str) -> int | None:
        """The value of `ipv4.arp_ignore` of a link (or of `all`, `default`); None if the kernel has no such setting."""
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

    def write(self, link: str, setting: str, value: int) -> None:
        """Write a value; OSError if the kernel refuses."""
        descriptor = self._open(link, setting, os.O_WRONLY)
        try:
            os.write(descriptor, str(value).encode())
        finally:
            os.close(descriptor)

    def _open(self, link: str, setting: str, mode: int) -> int:
        family, name = setting.split(".", 1)
        if family not in self._folders:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return os.open(f"{link}/{name}", mode | os.O_CLOEXEC, dir_fd=self._folders[family])

    def names(self, link: str) -> list[str]:
        """The names of all settings of a link."""
        settings = []
        for family, folder in self._folders.items():
            try:
                descriptor = os.open(link, _FOLDER, dir_fd=folder)
            except FileNotFoundError:
                continue
            try:
                settings += [f"{family}.{name}" for name in os.listdir(descriptor)]
            finally:
                os.close(descriptor)
        return settings
