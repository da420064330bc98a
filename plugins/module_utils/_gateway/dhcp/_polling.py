# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for another program, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator

_STEP = 0.02


def polls(seconds: float) -> Iterator[None]:
    """Yield again and again until so many seconds have passed, at least once."""
    end = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > end:
            return
        time.sleep(_STEP)
