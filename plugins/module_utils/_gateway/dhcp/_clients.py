# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP clients that run: the address that one of them gives a link cannot always be told from a static one."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._systemd_files import HOOK
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._leases import VARIABLE
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._namespaces import identity

# Those that are started for a link, and may give their address no lifetime.
_CLIENTS = ("udhcpc", "dhclient", "dhcpcd")


def serving(links: Iterable[str], namespace: tuple[int, int]) -> dict[str, str]:
    """The client that serves each of these links of one namespace: `udhcpc (process 123)` by name of the link."""
    found: dict[str, str] = {}
    names = set(links)
    for process in os.listdir("/proc"):
        if not process.isdigit():
            continue
        try:
            with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
                if file.read().strip() not in (*_CLIENTS, "busybox"):
                    continue
            with open(f"/proc/{process}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
            if identity(os.stat(f"/proc/{process}/ns/net")) != namespace:
                continue
        except OSError:  # it ended meanwhile, or is not ours to look into
            continue
        if HOOK in words or any(word.startswith(f"{VARIABLE}=") for word in words):  # of ours: it gives a lifetime to its address
            continue
        program = next((os.path.basename(word) for word in words[:2] if os.path.basename(word) in _CLIENTS), None)
        for word in words[1:] if program else []:
            name = word[2:] if word.startswith("-i") and len(word) > 2 else word.rpartition("=")[2]
            if name in names:
                found[name] = f"{program} (process {process})"
    return found
