# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that the host keeps: what it is called with says which part of it runs, and only that part is loaded.

replay.pyz [--check]    brings back what is declared: see _replay
replay.pyz lease EVENT  what a DHCP client runs when it has news: see _hook
replay.pyz client NAME  becomes the DHCP client of that name: see _gateway/_dhcp
replay.pyz leases       looks at the leases that systemd-networkd gets: see _gateway/_networkd
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """The exit status."""
    words = sys.argv[1:]
    if words[:1] == ["lease"]:
        from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _dhcp_hook as _hook

        return _hook.main(words[1:], os.environ)
    if words[:1] == ["client"] and len(words) == 2:
        from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _dhcp

        _dhcp.run(words[1])
    if words == ["leases"]:
        from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _networkd

        _networkd.watch()
    from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _replay

    return _replay.main()
