# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device that a link sits on: its row, and the checks of the kinds that receive in its stead."""

from __future__ import annotations

import errno

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import kind_with_article, listed
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    AddressSource,
    At,
    Attribute,
    ManagerSetting,
    Situation,
    Store,
    always,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._names import Reference

HINTS = {
    errno.EBUSY: "Another driver receives from {lower}, such as a bond, a team, Open vSwitch, or a macvlan or ipvlan in a "
    "namespace that was not read. See ip -d link show {lower}"
}


def lower_device(networkd: ManagerSetting | None = None, networkmanager: ManagerSetting | None = None) -> Attribute:
    """The row of the option `lower_device`, with the settings of the network managers for this kind."""
    return Attribute(
        "lower_device",
        Reference(),
        Store.LOWER_DEVICE,
        "IFLA_LINK",
        at=At.CREATION,
        recreate_if=always,
        aliases=("parent",),
        networkd=networkd,
        networkmanager=networkmanager,
    )


def check_receiver(case: Situation) -> None:
    """Refuse a lower device from which no link of this kind can receive: each device takes one receive handler only."""
    lower = case.lower
    if lower is None or not (case.is_new or "mode" in case.changed):
        return
    kind = case.kind
    if not lower.ethernet:
        problem = "the loopback device" if lower.key.name == "lo" else "not an Ethernet device"
        raise Refused(
            f"{case.key}: lower device {lower.key} is {problem}. "
            f"Set lower_device to an Ethernet device, which {kind.name} requires"
        )
    if not case.is_new:
        return
    if lower.get("wireless") and kind.address is AddressSource.RANDOM and not case.desired.policy.allow_wireless:
        raise Refused(
            f"{case.key}: lower device {lower.key} is wireless, and an access point drops frames from any MAC address but "
            f"that of the card. Use an Ethernet device, or set allow_wireless: true to create the {kind.name} all the same"
        )
    controller = lower.controller
    owner = case.state.get(LinkKey(lower.key.netns, controller)) if controller else None
    if controller and not (owner is not None and case.kind_of(owner.kind).has_routing_table):  # a VRF does not receive from it
        use = f"a port of {owner.kind} {controller}" if owner else f"attached to {controller}"
        raise Refused(
            f"{case.key}: lower device {lower.key} is {use}, so no {kind.name} can receive from it. "
            f"Use {controller} as lower_device, or detach {lower.key.name} first"
        )
    lower_kind = case.kind_of(lower.kind)
    if lower_kind.siblings and not lower_kind.can_be_port:
        raise Refused(
            f"{case.key}: lower device {lower.key} is {kind_with_article(lower.kind)}, from which no {kind.name} can receive. "
            f"Use its lower device {lower.lower_device}, or a veth"
        )
    others = list(case.state.links_of_kinds(lower.key, kind.excludes))
    if others:
        names, receive = listed(link.key for link in others), "receives" if len(others) == 1 else "receive"
        raise Refused(
            f"{case.key}: {names} already {receive} from lower device {lower.key}, and the kernel "
            f"allows no {kind.name} beside {kind_with_article(others[0].kind)}. Delete {names} first, or use another lower_device"
        )
