# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLAN links."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import ROWS_OF_EVERY_LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._lower_device import lower_device
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    At,
    Attribute,
    Kind,
    ManagerSetting,
    Store,
    always,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Choice
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer

VLAN = Kind(
    "vlan",
    (
        lower_device(ManagerSetting("Network", "VLAN"), ManagerSetting("vlan", "parent")),
        Attribute(
            "id",
            Integer(1, 4094),
            Store.DATA,
            "IFLA_VLAN_ID",
            at=At.CREATION,
            recreate_if=always,
            networkd=netdev_setting("VLAN", "Id"),
            networkmanager=ManagerSetting("vlan", "id"),
        ),
        Attribute(
            "protocol",
            Choice({"802.1q": 0x8100, "802.1ad": 0x88A8}),
            Store.DATA,
            "IFLA_VLAN_PROTOCOL",
            at=At.CREATION,
            initial="802.1q",
            recreate_if=always,
            networkd=netdev_setting("VLAN", "Protocol"),
            networkmanager=ManagerSetting("vlan", "protocol", {"802.1q": "802.1Q", "802.1ad": "802.1ad"}),
        ),
        *ROWS_OF_EVERY_LINK,
    ),
    needs=("lower_device", "id"),
    port=PORT,
    module="8021q",
    takes_address=True,
    follows=True,
)
