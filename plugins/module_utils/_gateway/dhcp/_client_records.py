# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of each DHCP client until the next boot, in a file of its own.

Each renewal reads and writes it, so this imports little.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _atomic_files as atomic_files
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import FOLDER, FOREVER

VARIABLE = "PATCHBAY_CLIENT"  # the path of the record, in the environment of a client and its hook
FORMAT = 1
_KEYS = {
    *("netns", "link", "namespace", "index", "address", "options", "command", "folders", "places", "networkd"),
    *("lease", "former", "settled", "expires", "resolver"),
}
_LOG_BYTES = 1 << 16

Record = dict[str, Any]


def sibling(path: str, kind: str) -> str:
    """Another file of the same client: `pid`, `log`, `conf`."""
    return f"{path[: -len('json')]}{kind}"


def read(path: str) -> Record | None:
    """The record of a client; None if there is none, or another release wrote it."""
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return None
    is_readable = isinstance(record, dict) and record.keys() == _KEYS | {"format"} and record["format"] == FORMAT
    return record if is_readable else None


def read_all() -> dict[str, Record]:
    """The records of all clients that were started since the boot, by path."""
    records = {path: read(path) for path in sorted(glob.glob(f"{FOLDER}/*.json"))}
    return {path: record for path, record in records.items() if record is not None}


def write(path: str, record: Mapping[str, Any]) -> None:
    """Write a record, for root alone."""
    atomic_files.make_folder(os.path.dirname(FOLDER))
    atomic_files.make_folder(FOLDER, atomic_files.PRIVATE_FOLDER)
    text = json.dumps({"format": FORMAT, **record})
    atomic_files.write(path, text.encode(), atomic_files.PRIVATE_FILE)


def delete(path: str) -> None:
    """Delete all files of a client, and the folder with the last of them."""
    for extension in ("json", "pid", "log", "conf"):
        atomic_files.delete(sibling(path, extension))
    for folder in (FOLDER, os.path.dirname(FOLDER)):
        atomic_files.delete_folder_if_empty(folder)


def expiry(seconds: int) -> float | None:
    """When a lease of so many seconds expires; None for never. Counted from the boot, because nobody can set that clock."""
    return None if seconds >= FOREVER else time.clock_gettime(time.CLOCK_BOOTTIME) + seconds


def seconds_left(record: Mapping[str, Any]) -> int:
    """How long the lease of a client is still valid."""
    if record["expires"] is None:
        return FOREVER
    return max(0, int(record["expires"] - time.clock_gettime(time.CLOCK_BOOTTIME)))


def shorten_log(path: str) -> None:
    """Empty the log of a client once it is long: a client logs a line or two at each renewal, for years."""
    log = sibling(path, "log")
    with contextlib.suppress(OSError):
        if os.path.getsize(log) > _LOG_BYTES:
            os.truncate(log, 0)
