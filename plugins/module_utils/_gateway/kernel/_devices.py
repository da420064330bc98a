# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only files say about a link: whether it is wireless, and the device node of a macvtap, /dev/tapN by the link's index.

All namespaces share one /dev, and links of two namespaces may have the same index. So a node belongs to a link only if its
device number is the one that the kernel names for that link.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._system_calls import (
    CLONE_NEWNS,
    MS_PRIVATE,
    MS_REC,
    enter_network_namespace,
    mount,
    unshare,
)


def is_wireless(name: str) -> bool:
    """Whether sysfs, which shows the namespace that the process runs in, has a radio below the link."""
    return any(os.path.exists(f"/sys/class/net/{name}/{folder}") for folder in ("phy80211", "wireless"))


def read_node(index: int, number: str | None) -> dict[str, Any]:
    """The attributes of the node of a link. number: what the kernel names for it ("246:1"), None if that is unknown."""
    path = _path(index)
    status = _status_of_own(path, number)
    if status is None:
        return {"device_number": number, "device": None}
    return {
        "device_number": number,
        "device": path,
        "device_owner": status.st_uid,
        "device_group": status.st_gid,
        "device_mode": stat.S_IMODE(status.st_mode),
    }


def write_node(index: int, number: str | None, attributes: Mapping[str, Any]) -> None:
    """Set owner, group and mode; OSError if there is no node, or it belongs to another link."""
    path = _path(index)
    if _status_of_own(path, number) is None:
        raise OSError(errno.ENODEV, f"{path} is not the device node of this link")
    os.chown(path, attributes.get("device_owner", -1), attributes.get("device_group", -1), follow_symlinks=False)
    if "device_mode" in attributes:
        os.chmod(path, attributes["device_mode"])  # a character device: no symbolic link can be followed


def indexes_with_node() -> set[int]:
    """The indexes of all links of this machine, in whatever namespace, that have a node."""
    return {int(name[3:]) for name in os.listdir("/dev") if name.startswith("tap") and name[3:].isdecimal()}


def read_device_numbers(namespace: int) -> dict[str, str]:
    """The device number ("246:1") of each macvtap in a namespace (an open file), by name.

    The kernel shows it only in sysfs, which shows the namespace that it was mounted in. So a process of its own mounts it.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(_device_numbers_in(namespace)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as output:
        numbers: dict[str, str] = json.loads(output.read() or "{}")
    os.waitpid(child, 0)
    return numbers


def _device_numbers_in(namespace: int) -> dict[str, str]:
    enter_network_namespace(namespace)
    try:
        unshare(CLONE_NEWNS)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        mount("sysfs", "/sys", "sysfs", 0)
    except OSError as error:
        if error.errno != errno.EBUSY:  # busy: the sysfs that is mounted there already shows this namespace
            return {}
    numbers = {}
    for path in glob.glob("/sys/class/net/*/macvtap/tap*/dev"):
        with open(path, encoding="utf-8") as file:
            numbers[path.split("/")[4]] = file.read().strip()
    return numbers


def _path(index: int) -> str:
    return f"/dev/tap{index}"


def _status_of_own(path: str, number: str | None) -> os.stat_result | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    is_own = stat.S_ISCHR(status.st_mode) and number == f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return status if is_own else None
