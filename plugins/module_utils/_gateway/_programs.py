# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DHCP clients that can serve a link, a row each: what differs between them, and nothing of how they are run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._boot import _files as files
from ansible_collections.patchbay.netdev.plugins.module_utils._model import Dhcp4


@dataclass(frozen=True)
class Job:
    """What a client is to do: for which link, with which options, and what it is to say that it is (None: nothing).

    stem: the path of its own files, to which each adds its end.
    """

    link: str
    options: Dhcp4
    identifier: bytes | None
    stem: str


class Udhcpc:
    """BusyBox. All that it is told stands in its command line."""

    package = "udhcpc"

    def command(self, job: Job) -> list[str]:
        """-f: in the foreground; -C: without the client id that it has by itself; option 121 by its number, for names differ."""
        words = ["udhcpc", "-f", "-i", job.link, "-p", f"{job.stem}.pid", "-s", files.HOOK, "-O", "121", "-C"]
        if job.identifier is not None:
            words += ["-x", f"0x3d:{job.identifier.hex()}"]
        if job.options.hostname:
            words += ["-x", f"hostname:{job.options.hostname}"]
        return [*words, "-V", job.options.vendor_class or ""]


PROGRAMS: Mapping[str, Udhcpc] = {"udhcpc": Udhcpc()}
