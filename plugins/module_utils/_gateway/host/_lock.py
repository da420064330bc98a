# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One at a time: the modules, the program of the boot, and the hooks of DHCP clients take turns."""

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
    """Alone with the links that are declared or served."""
    try:  # for root alone: whoever may open it can hold it for ever
        descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RequestFailed(
            f"{LOCK}, by which tasks and the boot program take turns, cannot be opened: {error.strerror}. Run as root",
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
def let_go() -> Iterator[None]:
    """Let others have a turn, while one of them is waited for."""
    for descriptor in _held:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    try:
        yield
    finally:
        for descriptor in _held:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
