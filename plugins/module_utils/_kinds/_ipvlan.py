# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipvlan: links that share the MAC address of their lower device and are told apart by their IP addresses.

From drivers/net/ipvlan/ipvlan_main.c, and seen on Linux 6.1: mode and flags belong to the lower device, and so to all links on
it; a new link without a mode sets all of them to l3; an address at creation is silently ignored; each change of MTU or
MAC address of the lower device is made on them as well, and it does not bound their MTU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._every_link import ROWS_OF_EVERY_LINK, listed
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._lower_device import HINTS, check_receiver, lower_device
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import (
    AddressSource,
    Attribute,
    Kind,
    ManagerSetting,
    Situation,
    Store,
    netdev_setting,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import AttributeView, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._base import Choice

_SIBLINGS = ("ipvlan", "ipvtap")


def _siblings(case: Situation) -> list[Link]:
    """The other links on the same lower device."""
    links = case.state.links_of_kinds(case.lower.key, _SIBLINGS) if case.lower is not None else ()
    return [link for link in links if link.key != case.key]


def _check_address(case: Situation) -> None:
    address, lower = case.changed.get("address"), case.lower
    if address and lower is not None and address != lower.address:
        raise Refused(
            f"{case.key}: an ipvlan shares the MAC address of its lower device {lower.key}, which is {lower.address}. "
            "Omit address, or use a macvlan, which has an address of its own"
        )


def _check_no_bridge_port(case: Situation) -> None:
    name = AttributeView(case.changed).controller
    controller = case.state.get(LinkKey(case.key.netns, name)) if name else None
    if controller is not None and case.kind_of(controller.kind).has_ports:
        raise Refused(
            f"{case.key}: an ipvlan cannot be a bridge port, so it cannot be attached to {name}. "
            "Use a veth, or set controller to a VRF"
        )


def _check_ip_addresses(case: Situation) -> None:
    """The kernel finds the link of a packet by its destination, so no two links on one lower device have the same IP address."""
    desired = {address.ip for address in case.desired.addresses}
    for sibling in _siblings(case):
        shared = sorted(desired & {address.ip for address in sibling.addresses})
        if shared:
            raise Refused(
                f"{case.key}: {sibling.key} on the same lower device already has {shared[0]}, and the kernel allows an IP "
                "address on one ipvlan only. Set another address, or remove it from that link first"
            )


def _warn_of_siblings(case: Situation) -> Iterator[str]:
    for name in ("mode", "flags"):
        value = case.changed.get(name)
        others = [link.key for link in _siblings(case) if value is not None and link.get(name) not in (None, value)]
        if others and case.lower is not None:
            yield (
                f"{case.key}: {name} belongs to lower device {case.lower.key}, so it becomes {value} on {listed(others)} as well"
            )


IPVLAN = Kind(
    "ipvlan",
    (
        lower_device(ManagerSetting("Network", "IPVLAN", is_single=False)),
        Attribute(
            "mode",
            Choice({"l2": 0, "l3": 1, "l3s": 2}),
            Store.DATA,
            "IFLA_IPVLAN_MODE",
            initial="l3",
            per_lower_device=True,
            networkd=netdev_setting("IPVLAN", "Mode", {"l2": "L2", "l3": "L3", "l3s": "L3S"}),
        ),
        Attribute(
            "flags",
            Choice({"bridge": 0, "private": 1, "vepa": 2}),
            Store.DATA,
            "IFLA_IPVLAN_FLAGS",
            initial="bridge",
            per_lower_device=True,
            since="4.15",
            networkd=netdev_setting("IPVLAN", "Flags"),
        ),
        *(
            replace(row, check=_check_address, networkd=None, networkmanager=None) if row.name == "address" else row
            for row in ROWS_OF_EVERY_LINK
        ),
    ),
    needs=("lower_device", "mode"),  # a new link without a mode would set that of all others
    checks=(check_receiver, _check_no_bridge_port, _check_ip_addresses),
    warn=_warn_of_siblings,
    hints=HINTS,
    siblings=_SIBLINGS,
    excludes=("macvlan", "macvtap"),
    address=AddressSource.SHARED,
    follows_mtu=True,
)
