# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that stand for network namespaces: those of ip-netns(8), and those of processes in /proc."""

from __future__ import annotations

import os

from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE

FOLDER = "/run/netns"  # where iproute2 keeps named namespaces
OWN = "/proc/self/ns/net"


def path_of(name: str) -> str:
    """The file that stands for a namespace."""
    if name == HERE:
        return OWN
    return name if name.startswith("/") else f"{FOLDER}/{name}"


def exists(name: str) -> bool:
    """Whether a namespace has this name. An interrupted `ip netns` leaves a file that stands for none."""
    try:
        return os.stat(path_of(name)).st_dev == os.stat(OWN).st_dev
    except FileNotFoundError:
        return False


def names() -> list[str]:
    """The names in /run/netns, sorted."""
    try:
        return sorted(os.listdir(FOLDER))
    except FileNotFoundError:
        return []


def identity(status: os.stat_result) -> tuple[int, int]:
    """What is equal for two names of one namespace."""
    return status.st_dev, status.st_ino


def identity_of(name: str) -> tuple[int, int]:
    """The identity of a named namespace; OSError if there is none."""
    return identity(os.stat(path_of(name)))


def identity_of_process(process: int | str) -> tuple[int, int]:
    """The identity of the namespace that a process runs in; OSError if it ended, or belongs to another user."""
    return identity(os.stat(f"/proc/{process}/ns/net"))
