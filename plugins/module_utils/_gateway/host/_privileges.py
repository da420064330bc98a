# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this process may do."""

from __future__ import annotations

import re

_CAP_NET_ADMIN = 12  # linux/capability.h


def may_change_links() -> bool:
    """Whether this process has the capability that changing links, addresses and routes requires."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        effective = re.search(r"^CapEff:\s*([0-9a-f]+)", file.read(), re.MULTILINE)
    return effective is None or bool(int(effective[1], 16) >> _CAP_NET_ADMIN & 1)
