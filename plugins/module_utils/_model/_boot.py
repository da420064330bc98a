# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files on a host that restore its links at the next boot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class File:
    """A file of this collection, current or desired. link: the target of a symbolic link."""

    content: bytes = b""
    mode: int = 0o644
    link: str | None = None


@dataclass(frozen=True)
class BootState:
    """What restores links at the next boot of a host.

    files: those of this collection, by path. init: `systemd`, `openrc`, `sysv`, or an empty text. managers: those of `networkd`
    and `networkmanager` that are installed. interpreter: the Python that runs at boot. release: the version of the installed
    program, such as (1, 0, 0). clients: the records of the DHCP clients that were started. known: whether all of this could be
    read, which takes root.
    versions: those of the running managers, if a task uses their files. governed: the links that networkd configures, with the
    .network file of each and whether others use addresses of it. netdevs: the links that .netdev files of others create, with
    their kinds.
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
