# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel changes on other links when a link changes: the lower device, the links beside and above it, the bridge."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._macvlan import PASSTHRU
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import AddressSource, Kind
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import loses_ipv6_settings, without_ipv6_settings
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, AttributeView, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State


def cascaded_changes(link: Link, changed: Attributes, state: State) -> dict[LinkKey, Link]:
    """The other links that the kernel changes when these attributes of one link are set."""
    cascaded: dict[LinkKey, Link] = {}
    lower = state.get(link.lower_device)
    kind = kind_of(link.kind)
    shared = {row.name: changed[row.name] for row in kind.rows(changed) if row.per_lower_device}
    if lower is not None and shared:
        for sibling in state.links_of_kinds(lower.key, kind.siblings):
            if sibling.key != link.key:
                cascaded[sibling.key] = sibling.with_attributes(shared)
    if lower is not None and link.mode == PASSTHRU and "address" in changed:
        cascaded[lower.key] = lower.with_attributes({"address": changed["address"]})
    if {"controller", "mtu", "address"} & set(changed):  # a bridge without a MAC and an MTU of its own takes those of its ports
        former = (state.get(link.key) or link).controller
        for name in dict.fromkeys((AttributeView(changed).controller, former)):
            bridge = state.get(LinkKey(link.key.netns, name)) if name else None
            if bridge is not None:
                cascaded.update(changes_of_bridge(bridge, state))
        for port in state.attached_to(LinkKey(link.key.netns, former or "")):
            if "controller" in changed and port.get("backup_port") == link.key.name:
                cascaded[port.key] = port.with_attributes({"backup_port": ""})
    for upper in state.links_on(link.key):
        kind, mtu = kind_of(upper.kind), AttributeView(changed).mtu
        # Otherwise the kernel lowers the MTU of a link above, and never raises it.
        if mtu and ((upper.mtu or 0) > mtu or kind.follows_mtu):
            settings = without_ipv6_settings(upper) if loses_ipv6_settings(upper, {"mtu": mtu}) else {}
            cascaded[upper.key] = upper.with_attributes({"mtu": mtu, **settings})
            cascaded.update(cascaded_changes(upper, {"mtu": mtu}, state))
        if "address" in changed and kind.address is AddressSource.SHARED:
            cascaded[upper.key] = cascaded.get(upper.key, upper).with_attributes({"address": changed["address"]})
    if "admin_state" in changed or (kind_of(link.kind).has_ports and "stp_state" in changed):
        peer = state.get(link.peer)
        for other in [*state.links_on(link.key), *state.attached_to(link.key), *([peer] if peer else [])]:
            now = cascaded.get(other.key) or other
            # The kernel decides which operational state follows, so that it is unknown here.
            after: dict[str, object] = {} if kind_of(now.kind).has_ports else {"stp_state": None}
            if kind_of(now.kind).follows_state and now.lower_device == link.key and "admin_state" in changed:
                after["admin_state"] = changed["admin_state"]
            cascaded[other.key] = replace(now.with_attributes(after), oper_state=None, carrier=None)
            if "admin_state" in after:
                cascaded.update(cascaded_changes(now, {"admin_state": after["admin_state"]}, state))
    return cascaded


def changes_of_bridge(bridge: Link, state: State) -> dict[LinkKey, Link]:
    """A bridge whose ports change, and the links above it: its MAC and MTU become unknown, for they depend on who set them."""
    changes = {bridge.key: replace(bridge.with_attributes({"address": None, "mtu": None}), oper_state=None, carrier=None)}
    for upper in state.links_on(bridge.key):
        changes[upper.key] = upper.with_attributes({"mtu": None})
    return changes


def all_links_above(key: LinkKey, state: State) -> list[Link]:
    """The links that sit on a link, directly or through others."""
    links: list[Link] = []
    for link in state.links_on(key):
        links += [link, *all_links_above(link.key, state)]
    return links


def is_bridge_port(key: LinkKey, attributes: Attributes, state: State) -> bool:
    """Whether the controller of a link is a bridge, and not a VRF."""
    controller = state.get(LinkKey(key.netns, AttributeView(attributes).controller or ""))
    return controller is not None and kind_of(controller.kind).has_ports


def is_restarted(link: Link, changed: Attributes, state: State) -> bool:
    """Whether the kernel brings a link down and up again, because a VRF gets or loses it (drivers/net/vrf.c: cycle_netdev)."""
    view = AttributeView(changed)
    controllers = {link.controller or "", (view.controller if "controller" in changed else link.controller) or ""}
    links = [state.get(LinkKey(link.key.netns, name)) for name in controllers]
    return (
        len(controllers) > 1
        and link.admin_state == "up"
        and any(controller is not None and kind_of(controller.kind).has_routing_table for controller in links)
    )


_TAKES_DOWN = ("bond", "team")  # what these release is taken down (drivers/net/bonding/bond_main.c: __bond_release_one)


def is_taken_down(link: Link, changed: Attributes, state: State) -> bool:
    """Whether the kernel takes a link down because its controller releases it."""
    former = state.get(LinkKey(link.key.netns, link.controller or ""))
    leaves = "controller" in changed and changed["controller"] != link.controller
    return leaves and former is not None and former.kind in _TAKES_DOWN and link.admin_state == "up"


def port_defaults(kind: Kind, attached: bool) -> dict[str, object]:
    """The port settings of a link that has just been attached or detached; unknown are those that an older kernel may lack."""
    return {row.name: row.initial if attached and not row.since else None for row in kind.port}
