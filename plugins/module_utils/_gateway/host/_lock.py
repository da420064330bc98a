# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock: modules, the boot program and the hooks of DHCP clients run one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed

LOCK = "/run/patchbay.lock"
_held: list[int] = []


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the lock, which all that changes declared or served links takes."""
    try:  # for root alone: a user who can open the file can hold the lock for ever
        descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RequestFailed(
            f"{LOCK}, the lock of tasks and the boot program, cannot be opened: {error.strerror}. Set become: true",
            error.errno or 0,
            str(error.strerror),
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _held.append(descriptor)
        try:
            yield
        finally:
            _held.remove(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def released() -> Iterator[None]:
    """Release the lock, if this process holds it, while it waits for another process that needs it."""
    for descriptor in _held:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    try:
        yield
    finally:
        for descriptor in _held:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
