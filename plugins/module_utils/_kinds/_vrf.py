# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VRF links."""

from __future__ import annotations

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import ROWS_OF_EVERY_LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    U32,
    At,
    Attribute,
    Kind,
    ManagerSetting,
    Situation,
    Store,
    always,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer


def _check_no_controller(case: Situation) -> None:
    controller = case.changed.get("controller")
    if controller:
        raise Refused(
            f"{case.key}: a VRF cannot be attached to {controller}, because the kernel attaches it to no bridge and no VRF. "
            "Omit controller"
        )


VRF = Kind(
    "vrf",
    (
        Attribute(
            "table",
            Integer(1, U32),
            Store.DATA,
            "IFLA_VRF_TABLE",
            at=At.CREATION,
            recreate_if=always,
            networkd=netdev_setting("VRF", "Table"),
            networkmanager=ManagerSetting("vrf", "table"),
        ),
        *ROWS_OF_EVERY_LINK,
    ),
    needs=("table",),
    checks=(_check_no_controller,),
    is_controller=True,
    networkd_key="VRF",
)
