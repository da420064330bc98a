# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only files say of a link: whether it is wireless, and the device node of a macvtap, /dev/tapN by the link's index.

All namespaces share one /dev, and two of them may have links with the same index: so a node is a link's own only if its
device number is the one that the kernel names for that link.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from typing import Any


def is_wireless(name: str) -> bool:
    """Whether sysfs, which shows the namespace that the process runs in, has a radio below the link."""
    return any(os.path.exists(f"/sys/class/net/{name}/{folder}") for folder in ("phy80211", "wireless"))


def read(index: int, number: str | None) -> dict[str, Any]:
    """The attributes of the node of a link; `number` is what the kernel names for it ("246:1"), None when it is not known."""
    path = _path(index)
    found: dict[str, Any] = {"device_number": number, "device": None}
    status = _own(path, number)
    if status is not None:
        mode = stat.S_IMODE(status.st_mode)
        found.update(device=path, device_owner=status.st_uid, device_group=status.st_gid, device_mode=mode)
    return found


def write(index: int, number: str | None, attributes: Mapping[str, Any]) -> None:
    """Set owner, group and mode; OSError when there is no node, or it is that of another link."""
    path = _path(index)
    if _own(path, number) is None:
        raise OSError(errno.ENODEV, f"{path} is not the device node of this link")
    os.chown(path, attributes.get("device_owner", -1), attributes.get("device_group", -1), follow_symlinks=False)
    if "device_mode" in attributes:
        os.chmod(path, attributes["device_mode"])  # a character device: there is no link to follow


def numbers() -> set[int]:
    """The indexes of all links of this machine, in whatever namespace, that have a node."""
    return {int(name[3:]) for name in os.listdir("/dev") if name.startswith("tap") and name[3:].isdecimal()}


def _path(index: int) -> str:
    return f"/dev/tap{index}"


def _own(path: str, number: str | None) -> os.stat_result | None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    own = stat.S_ISCHR(status.st_mode) and number == f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return status if own else None
