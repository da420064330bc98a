# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLAN links."""

from __future__ import annotations

import errno

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._bridge_port import PORT
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import ROWS_OF_EVERY_LINK
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._lower_device import lower_device
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    AddressSource,
    At,
    Attribute,
    Kind,
    ManagerSetting,
    Situation,
    Store,
    always,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Choice
from ansible_collections.patchbay.netdev.plugins.module_utils._values._numbers import Integer


def _check_id(case: Situation) -> None:
    lower = case.lower
    if lower is None or not case.is_new:
        return
    tag = {name: case.after.get(name) for name in ("id", "protocol")}
    for other in case.state.links_of_kinds(lower.key, ("vlan",)):
        if other.key != case.key and all(other.get(name) == tag[name] for name in tag):
            raise Refused(
                f"{case.key}: {other.key} already has id {tag['id']} and protocol {tag['protocol']} on lower device {lower.key}. "
                f"Use that link, set another id, or delete {other.key.name} first"
            )


def _check_lower_device_is_up(case: Situation) -> None:
    lower = case.lower
    if lower is not None and case.changed.get("admin_state") == "up" and lower.get("admin_state") == "down":
        raise Missing(
            f"{case.key}: lower device {lower.key} is down, and the kernel brings no VLAN up on it",
            "Set lower_device_state: up to bring it up as well",
        )


VLAN = Kind(
    "vlan",
    (
        lower_device(ManagerSetting("Network", "VLAN", is_single=False), ManagerSetting("vlan", "parent")),
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
    checks=(_check_id, _check_lower_device_is_up),
    hints={errno.EEXIST: "A VLAN with that id on {lower} may be in a namespace that was not read"},
    address=AddressSource.COPIED,
    follows_state=True,
)
