# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device that a link sits on."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import At, Attribute, ManagerSetting, Store, always
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import Reference


def lower_device(networkd: ManagerSetting | None = None, networkmanager: ManagerSetting | None = None) -> Attribute:
    """The row of the option `lower_device`, with how this kind is spelled by the network managers."""
    return Attribute(
        "lower_device",
        Reference(),
        Store.MESSAGE,
        "IFLA_LINK",
        at=At.CREATION,
        recreate_if=always,
        aliases=("parent",),
        networkd=networkd,
        networkmanager=networkmanager,
    )
