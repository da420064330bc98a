# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that an operation changes: what it predicts itself, and the routes that the kernel adds, removes and changes with that."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import is_without_ipv6
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import MAIN_TABLE, RTPROT_KERNEL, Route, RouteKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import Rename
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    address_changes,
    connected,
    identity,
    replaces_only_address,
)


def predicted_changes(operation: Operation, state: State) -> Changes:
    """What an operation predicts, with the routes that appear, change and disappear with its links."""
    changes = dict(operation.predict(state))
    for key in [key for key in changes if isinstance(key, LinkKey)]:
        old = state.get(key)
        if isinstance(operation, Rename) or (old is None and changes[key] is None):
            continue
        for route_key, routes in _route_changes(old, changes[key], state).items():
            changes.setdefault(route_key, routes)
    if isinstance(operation, RestoreContents):
        for route in operation.routes:
            others = changes.get(route.key, state.routes.get(route.key, ()))
            changes[route.key] = (route, *(other for other in others if other != route))
    return changes


def _route_changes(old: Link | None, new: Link | None, state: State) -> dict[RouteKey, tuple[Route, ...]]:
    """The routes that change, by key, when a link or its addresses change."""
    changes: dict[RouteKey, tuple[Route, ...]] = {}
    before = old.addresses if old else ()
    after = new.addresses if new else ()
    difference = address_changes(before, after)
    removed = {identity(address) for address in difference.removed}
    kept = [address for address in before + difference.add if identity(address) not in removed]
    was_up, is_up = (link is not None and link.admin_state == "up" for link in (old, new))
    connected_before = _connected_routes(old, before, state) if old and was_up else {}
    connected_after = _connected_routes(new, after, state) if new and is_up else {}
    # A link that loses its last IPv4 address, even for a moment, loses all its IPv4 routes.
    had_ipv4, has_ipv4 = (any(address.family == 4 for address in addresses) for addresses in (before, after))
    loses_ipv4_routes = had_ipv4 and (replaces_only_address(before, after) or not has_ipv4)
    removed_ips = {address.ip for address in difference.removed}
    without_ipv6 = new is not None and is_without_ipv6(new.attributes)
    changes_table = old is not None and new is not None and _table_of(old, state) != _table_of(new, state)  # see is_restarted
    for route in state.routes_through(old.key) if old else ():
        if new is None or new.admin_state == "down" or changes_table or (route.key.family == 6 and without_ipv6):
            _replace_route(changes, state, route, None)
        elif route.key in connected_before and route.protocol == RTPROT_KERNEL:
            _replace_route(changes, state, route, connected_after.get(route.key))
        elif route.key.family == 4 and loses_ipv4_routes:
            _replace_route(changes, state, route, None)
        elif route.key.family == 6 and route.source in removed_ips:
            without_source = {name: value for name, value in route.attributes.items() if name != "source"}
            _replace_route(changes, state, route, replace(route, attributes=without_source))
    link = old or new
    lost_ipv4 = {ip for ip in removed_ips if ":" not in ip} - {address.ip for address in kept}
    if link is not None and lost_ipv4:
        _remove_routes_by_source(changes, state, link, lost_ipv4)
    for key, route in connected_after.items():
        others = changes.get(key, state.routes.get(key, ()))
        if key not in connected_before and not any(other.link == route.link for other in others):
            changes[key] = (*others, route)
    return changes


def _replace_route(changes: dict[RouteKey, tuple[Route, ...]], state: State, old: Route, new: Route | None) -> None:
    before = changes.get(old.key, state.routes.get(old.key, ()))
    after = tuple(route for route in (new if each == old else each for each in before) if route is not None)
    if after != before:
        changes[old.key] = after


def _remove_routes_by_source(changes: dict[RouteKey, tuple[Route, ...]], state: State, link: Link, ips: set[str]) -> None:
    """An IPv4 address that no other link has takes the routes with it whose source it is, by any link, but of one table only."""
    table = _table_of(link, state)
    lost = {ip for ip in ips if state.links_with_ip(link.key.netns, ip) == [link.key]}
    for key, routes in state.routes.items() if lost else ():
        if (key.netns, key.table) == (link.key.netns, table):
            for route in routes:
                if route.source in lost and route.protocol != RTPROT_KERNEL:
                    _replace_route(changes, state, route, None)


def _table_of(link: Link, state: State) -> int:
    """The routing table that a link uses: the main table, or that of its VRF."""
    controller = state.get(LinkKey(link.key.netns, link.controller or ""))
    table = controller.number("table") if controller is not None else None  # only a VRF has one
    return MAIN_TABLE if table is None else table


def _connected_routes(link: Link, addresses: tuple[Address, ...], state: State) -> dict[RouteKey, Route]:
    """The routes that the kernel adds with addresses: one for each network, from the first address in it."""
    routes: dict[RouteKey, Route] = {}
    networks = set()
    for destination, address in connected(addresses):
        is_ipv4 = address.family == 4
        if is_ipv4 and destination in networks:
            continue
        networks.add(destination)
        metric = address.metric or (0 if is_ipv4 else 256)
        key = RouteKey(link.key.netns, _table_of(link, state), address.family, destination, metric)
        attributes: dict[str, object] = {"type": "unicast", "link": link.key.name, "onlink": False}
        attributes.update({"source": address.ip, "scope": "link"} if is_ipv4 else {"scope": "global"})
        routes.setdefault(key, Route(key, attributes, RTPROT_KERNEL))
    return routes
