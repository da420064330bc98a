# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device nodes of macvtaps (/dev/tapN), which the kernel creates in the /dev that all sandboxes of a machine share."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.patchbay.netdev.tests.integration.host import ip


@contextlib.contextmanager
def own_nodes(*namespaces: str) -> Iterator[None]:
    """Give new links numbers that no other macvtap uses, for each test that creates macvtaps.

    Only one test of the machine creates macvtaps at a time, and the index of new links in these namespaces is larger than the
    number of each existing node.
    """
    folder = os.open("/dev", os.O_RDONLY)
    try:
        end = time.monotonic() + 60
        while not _locked(folder):
            assert time.monotonic() < end, "another run holds /dev"
            time.sleep(0.05)
        skip_taken_nodes(*namespaces)
        yield
    finally:
        os.close(folder)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def skip_taken_nodes(*namespaces: str) -> None:
    """Use up the numbers of all nodes in /dev."""
    highest = max((int(path.name[3:]) for path in Path("/dev").glob("tap*") if path.name[3:].isdigit()), default=0)
    for netns in namespaces if highest else ():
        last = 0
        while last < highest:
            ip("link", "add", "burnt", "type", "bridge", netns=netns)
            last = int(ip("-o", "link", "show", "dev", "burnt", netns=netns).split(":")[0])
            ip("link", "del", "burnt", netns=netns)
