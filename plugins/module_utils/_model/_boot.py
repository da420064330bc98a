# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that restore a host at its next boot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class File:
    """A file of ours as it is, or is to be; link: for a symbolic link, where it leads."""

    content: bytes = b""
    mode: int = 0o644
    link: str | None = None


@dataclass(frozen=True)
class BootState:
    """What brings things back at boot on this host.

    files: all that are ours, by path. init: `systemd`, `openrc`, `sysv`, or nothing. managers: `networkd`, `networkmanager`, as
    far as they are there. interpreter: the Python that runs at boot.
    release: that of the engine which is there, such as (1, 0, 0). clients: the files of the DHCP clients that were started.
    known: whether all of that could be read, which only root can.
    versions: of the managers that run, as far as a task asks for their files. governed: links that networkd sets up: the
    .network file of each, and whether it has addresses that others use. netdevs: links that others' .netdev files make, by kind.
    """

    files: Mapping[str, File] = field(default_factory=dict)
    init: str = ""
    managers: frozenset[str] = frozenset()
    udev: bool = False
    interpreter: str = "/usr/bin/python3"
    release: tuple[int, ...] = ()
    clients: frozenset[str] = frozenset()
    known: bool = True
    versions: Mapping[str, int] = field(default_factory=dict)
    governed: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    netdevs: Mapping[str, str] = field(default_factory=dict)
