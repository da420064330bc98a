# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls that Python before 3.12 has no function for, by the C library. OSError if the kernel refuses one."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000  # linux/sched.h
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 0x1000, 0x4000, 0x40000, 0x80000, 0x100000  # linux/mount.h
MNT_DETACH = 0x2


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)  # find_library would start a compiler


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def enter_network_namespace(descriptor: int) -> None:
    """Move this thread into the network namespace of an open file."""
    _checked(_library().setns(descriptor, CLONE_NEWNET))


def unshare(namespaces: int) -> None:
    """Give this thread new namespaces of these kinds."""
    _checked(_library().unshare(namespaces))


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount a file system, or change how a mount is propagated."""
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    _checked(_library().mount(*words, flags, None if options is None else options.encode()))


def unmount(target: str) -> None:
    """Unmount a file system as soon as nobody uses it."""
    _checked(_library().umount2(target.encode(), MNT_DETACH))


def open_inotify() -> int:
    """A descriptor that reports changes of folders (see inotify(7)) and does not block."""
    return _checked(_library().inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))


def add_inotify_watch(descriptor: int, folder: str, events: int) -> None:
    """Have a descriptor report these events of a folder."""
    _checked(_library().inotify_add_watch(descriptor, folder.encode(), events))
