# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot program, which stays on the host. Its arguments say which part runs, and only that part is imported.

replay.pyz [--check]    restores what is declared: see _replay
replay.pyz lease EVENT  is the hook of a DHCP client: see _dhcp_hook
replay.pyz client NAME  becomes the DHCP client of that name: see _gateway/dhcp/_client_processes
replay.pyz leases       watches the leases of systemd-networkd: see _gateway/dhcp/_networkd_client
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the program; the exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["lease"]:
        from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _dhcp_hook

        return _dhcp_hook.main(arguments[1:], os.environ)
    if arguments[:1] == ["client"] and len(arguments) == 2:
        from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _client_processes

        _client_processes.become(arguments[1])
    if arguments == ["leases"]:
        from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _networkd_client

        _networkd_client.watch()
    from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _replay

    return _replay.main()
