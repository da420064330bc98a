# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of veth links."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import ROWS_OF_EVERY_LINK, without_initial
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    At,
    Attribute,
    Kind,
    ManagerSetting,
    Store,
    always,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import Reference

VETH = Kind(  # with as many queues as the machine has processors
    "veth",
    (
        Attribute(
            "peer",
            Reference(),
            Store.PEER,
            at=At.CREATION,
            recreate_if=always,
            networkd=netdev_setting("Peer", "Name"),
            networkmanager=ManagerSetting("veth", "peer"),
        ),
        *without_initial(ROWS_OF_EVERY_LINK, "num_tx_queues", "num_rx_queues"),
    ),
    needs=("peer",),
    port=PORT,
    draws_address=True,
)
