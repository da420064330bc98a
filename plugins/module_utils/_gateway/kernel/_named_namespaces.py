# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named network namespaces, created and removed as ip-netns(8) does it, and what uses their names."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._namespace_files import (
    FOLDER,
    OWN,
    exists,
    identity_of,
    identity_of_process,
    path_of,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._system_calls import (
    CLONE_NEWNET,
    MS_BIND,
    MS_REC,
    MS_SHARED,
    enter_network_namespace,
    mount,
    unmount,
    unshare,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LEFT_BEHIND, Netns, NetnsKey
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import NewNetns, RemoveNetns


def read(name: str) -> Netns | None:
    """The namespace of a name with the processes in it, or what else has the name; None if nothing has it."""
    if exists(name):
        return Netns(NetnsKey(name), _processes_in(name))
    other = _other_owner_of(name)
    return Netns(NetnsKey(name), obstacle=other) if other else None


def create(_kernel: Kernel, request: NewNetns) -> None:
    """Create a namespace: it is mounted on a file, in a folder whose mounts all mount namespaces see."""
    if request.left_behind:
        _create_file(request.name)
        return
    os.makedirs(FOLDER, mode=0o755, exist_ok=True)
    _share_folder()
    path = path_of(request.name)
    _create_file(request.name)
    own = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWNET)
        try:
            mount("/proc/thread-self/ns/net", path, "none", MS_BIND)
        finally:
            enter_network_namespace(own)
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(own)


def remove(kernel: Kernel, request: RemoveNetns) -> None:
    """Remove a name; OSError if nothing has it, or if more has it than the file that was left behind."""
    kernel.forget_namespace(request.name)
    path = path_of(request.name)
    if request.left_behind:
        if exists(request.name) or _other_owner_of(request.name) != LEFT_BEHIND:
            raise OSError(errno.EBUSY, f"{path} is now in use")
    else:
        try:
            unmount(path)
        except OSError as error:
            if error.errno != errno.EINVAL:  # nothing is mounted there: a file that was left behind
                raise
    os.unlink(path)


def _create_file(name: str) -> None:
    os.close(os.open(path_of(name), os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))


def _share_folder() -> None:
    """Have mounts below the folder reach every mount namespace, as those of `ip netns` do."""
    with contextlib.suppress(OSError):
        mount("", FOLDER, "none", MS_SHARED | MS_REC)
        return
    mount(FOLDER, FOLDER, "none", MS_BIND | MS_REC)
    mount("", FOLDER, "none", MS_SHARED | MS_REC)


def _other_owner_of(name: str) -> str:
    """What has a name that no namespace has: LEFT_BEHIND, something else in words, or nothing."""
    try:
        status = os.lstat(path_of(name))
    except FileNotFoundError:
        return ""
    if stat.S_ISREG(status.st_mode):
        return "a file that is not empty" if status.st_size else LEFT_BEHIND
    words = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link"}
    return words.get(stat.S_IFMT(status.st_mode), "a special file")


def _processes_in(name: str) -> tuple[int, ...]:
    """The ids of the processes that run in a namespace, sorted."""
    namespace = identity_of(name)
    processes = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile, or belongs to another user
                if identity_of_process(entry) == namespace:
                    processes.append(int(entry))
    return tuple(sorted(processes))
