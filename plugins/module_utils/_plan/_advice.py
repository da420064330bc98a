# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings about links that will not do what they were probably meant to do, by the state after the complete plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import network
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import MAIN_TABLE, RTPROT_KERNEL
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._context import Context
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import NOPREFIXROUTE, identity


def advice(context: Context) -> Iterator[str]:
    """A sentence for each new link with addresses that stays down, and for each address that another link may answer for."""
    for item in context.present_links:
        link = context.predicted.get(item.key)
        if link is None:
            continue
        is_new = item.kind is not None and context.current.get(item.key) is None
        if is_new and link.admin_state == "down" and "admin_state" not in item.attributes and _is_to_be_used(item):
            yield f"{item.key}: the new link stays down, so that its addresses are not in use. Set admin_state: up"
        yield from _other_sources(item, link)
        if item.addresses and item.source_routing is None and not _has_own_table(link, context.predicted):
            yield from _shared_networks(item, link, context)


def _is_to_be_used(item: DesiredLink) -> bool:
    return bool(item.addresses) or (item.dhcp4 is not None and item.dhcp4.enabled)


def _other_sources(item: DesiredLink, link: Link) -> Iterator[str]:
    """The subnets whose first address in the list is not the first one of the link, which packets are sent from."""
    current = _first_by_subnet(link.addresses)
    for subnet, ip in _first_by_subnet(item.addresses).items():
        source = current.get(subnet, ip)
        if source != ip:
            yield (
                f"{item.key}: packets to {subnet} are sent from {source}, the first address of the link in it, and not from "
                f"{ip}, the first one in addresses. Existing addresses keep their order. To change it, remove {source} in one "
                "task, and add it in the next one"
            )


def _first_by_subnet(addresses: Iterable[Address]) -> dict[str, str]:
    """Of IPv4 addresses, the first one of each subnet."""
    first: dict[str, str] = {}
    for address in addresses:
        if address.family == 4:
            first.setdefault(network(address.peer_ip or address.ip, address.prefix_length), address.ip)
    return first


def _has_own_table(link: Link, state: State) -> bool:
    controller = state.get(LinkKey(link.key.netns, link.controller or ""))
    return controller is not None and kind_of(controller.kind).has_routing_table


def _shared_networks(item: DesiredLink, link: Link, context: Context) -> Iterator[str]:
    """The new addresses of a link whose network another link of the namespace is in too, in the same table."""
    before = context.current.get(item.key)
    existing = {identity(address) for address in before.addresses} if before is not None else set()
    for address in item.addresses:
        if identity(address) in existing or address.flags & NOPREFIXROUTE or address.peer_ip:
            continue
        if context.predicted.links_with_ip(item.key.netns, address.ip) != [item.key]:  # another warning says so
            continue
        own = network(address.ip, address.prefix_length)
        others = [
            route.link
            for route in context.predicted.routes_matching(item.key.netns, address.ip)
            if (route.key.destination, route.key.table, route.protocol) == (own, MAIN_TABLE, RTPROT_KERNEL)
            and route.link not in (None, item.key)
        ]
        if others and others[0] is not None:
            name = others[0].name
            yield (
                f"{item.key}: {own} is also the network of {name}, so that replies from {address.ip} may leave through {name} "
                f"with its MAC address. Set source_routing for {item.key.name}, or attach it to a VRF"
            )
