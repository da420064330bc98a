# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of each DHCP client until the next boot, in a file; and how a lease that is prolonged is, without pyroute2.

Light, for each renewal runs it: nothing of the engine is imported here that is not needed then.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._socket import NetlinkError, NetlinkSocket
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import FOLDER, FOREVER, ON_LINK, Lease

VARIABLE = "PATCHBAY_CLIENT"  # of the environment of a client and its hook: the file of the client
FORMAT = 1
_KEYS = {
    *("netns", "link", "namespace", "index", "address", "options", "command", "folders", "places", "networkd"),
    *("lease", "former", "settled", "expires", "resolver"),
}
_LOG_BYTES = 1 << 16
_RTM_NEWADDR, _REPLACE = 20, 0x105  # with NLM_F_REQUEST and NLM_F_ACK
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO, _IFA_FLAGS, _NOPREFIXROUTE = 1, 2, 6, 8, 0x200  # linux/if_addr.h

Record = dict[str, Any]


def beside(path: str, kind: str) -> str:
    """Another file of the same client: `pid`, `log`, `conf`."""
    return f"{path[: -len('json')]}{kind}"


def read(path: str) -> Record | None:
    """What is known; None where nothing is, or what was written by another release."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.keys() == _KEYS | {"format"} and found["format"] == FORMAT else None


def write(path: str, record: Mapping[str, Any]) -> None:
    """Whole, or not at all; for root alone."""
    for folder in (os.path.dirname(FOLDER), FOLDER):  # whatever the umask is: what is run as root, only root may write
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, mode=0o755 if folder != FOLDER else 0o700)
    new = beside(path, "new")
    write_text(new, json.dumps({"format": FORMAT, **record}))
    os.replace(new, path)


def write_text(path: str, text: str) -> None:
    """Another file, for root alone."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def forget(path: str) -> None:
    """Take all files of a client away, and the folder with the last of them."""
    for kind in ("json", "pid", "log", "conf", "new"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside(path, kind))
    for folder in (FOLDER, os.path.dirname(FOLDER)):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def end_of(seconds: int) -> float | None:
    """When a lease of so many seconds is over; None for never. Counted from the boot: nobody can set that clock."""
    return None if seconds >= FOREVER else time.clock_gettime(time.CLOCK_BOOTTIME) + seconds


def left(record: Mapping[str, Any]) -> int:
    """For how many seconds the lease holds."""
    if record["expires"] is None:
        return FOREVER
    return max(0, int(record["expires"] - time.clock_gettime(time.CLOCK_BOOTTIME)))


def prolong(link: str, lease: Lease) -> bool:
    """Give the address of a lease its new lifetime; False when it is not there."""
    seconds = min(lease.seconds, FOREVER - 1)
    ip = socket.inet_pton(socket.AF_INET, lease.ip)
    attributes = b"".join(
        struct.pack("=HH", 4 + len(value), kind) + value
        for kind, value in (
            (_IFA_LOCAL, ip),
            (_IFA_ADDRESS, ip),
            (_IFA_FLAGS, struct.pack("=I", _NOPREFIXROUTE)),
            (_IFA_CACHEINFO, struct.pack("=IIII", seconds, seconds, 0, 0)),
        )
    )
    try:
        index = socket.if_nametoindex(link)
    except OSError:  # it has gone
        return False
    header = struct.pack("=IHHII", 24 + len(attributes), _RTM_NEWADDR, _REPLACE, 0, 0)
    opened = NetlinkSocket()
    try:
        opened.request(header + struct.pack("=BBBBI", socket.AF_INET, lease.prefix_length, 0, 0, index) + attributes)
    except NetlinkError:
        return False
    finally:
        opened.close()
    return True


def is_usable(lease: Lease, with_ways: bool) -> bool:
    """Whether the address is there, and leads to the gateways of the lease: a link that was down has lost its routes.

    with_ways: whether there are to be routes to them at all.
    """
    for gateway in {gateway for _destination, gateway in lease.ways if with_ways} - {ON_LINK} | {""}:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
            try:
                probe.bind((lease.ip, 0))
                if gateway:
                    probe.connect((gateway, 9))  # nothing is sent: the kernel looks for a way
            except OSError:
                return False
    return True


def shorten_log(path: str) -> None:
    """A client says a line or two at each renewal, for years."""
    with contextlib.suppress(OSError):
        if os.path.getsize(path) > _LOG_BYTES:
            os.truncate(path, 0)
