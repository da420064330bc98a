# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step comes to: what it predicts, and the routes that the kernel takes, makes and changes along with that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import MAIN_TABLE, RTPROT_KERNEL, Route, RouteKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._ipv6 import is_without_ipv6
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import Rename, Restore
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import connected, identity, steps


def predicted_changes(operation: Operation, state: State) -> Changes:
    """What an operation predicts, with the routes that go, come and change along with its links."""
    changes = dict(operation.predict(state))
    for key in [key for key in changes if isinstance(key, LinkKey)]:
        old = state.get(key)
        if isinstance(operation, Rename) or (old is None and changes[key] is None):
            continue
        for route_key, routes in _routes_follow(old, changes[key], state).items():
            changes.setdefault(route_key, routes)
    if isinstance(operation, Restore):
        for route in operation.routes:
            changes[route.key] = (
                route,
                *(one for one in changes.get(route.key, state.routes.get(route.key, ())) if one != route),
            )
    return changes


def _routes_follow(old: Link | None, new: Link | None, state: State) -> dict[RouteKey, tuple[Route, ...]]:
    """What becomes of routes when a link or its addresses change: those that change, by key."""
    found: dict[RouteKey, tuple[Route, ...]] = {}
    known = (old.get("addresses") or ()) if old else ()
    now = (new.get("addresses") or ()) if new else ()
    changes = steps(known, now)
    gone = {identity(address) for address in changes.gone}
    kept = [address for address in known + changes.add if identity(address) not in gone]
    up_before, up = (link is not None and link.get("admin_state") == "up" for link in (old, new))
    made = _connected_routes(old, known, state) if old and up_before else {}
    makes = _connected_routes(new, now, state) if new and up else {}
    # Each goes alone, and comes before the next.
    four = {identity(address) for address in known + changes.add if address.family == 4}
    alone = len(four) == 1 and four <= gone
    bare = any(one.family == 4 for one in known) and (alone or not any(one.family == 4 for one in now))
    went = {address.ip for address in changes.gone}
    without_ipv6 = new is not None and is_without_ipv6(new.attributes)
    for route in state.routes_by(old.key) if old else ():
        if new is None or new.get("admin_state") == "down" or (route.key.family == 6 and without_ipv6):
            _exchange(found, state, route, None)
        elif route.key in made and route.protocol == RTPROT_KERNEL:
            _exchange(found, state, route, makes.get(route.key))
        elif route.key.family == 4 and bare:
            _exchange(found, state, route, None)
        elif route.key.family == 6 and route.get("source") in went:
            rest = {name: value for name, value in route.attributes.items() if name != "source"}
            _exchange(found, state, route, replace(route, attributes=rest))
    link = old or new
    lost = {ip for ip in went if ":" not in ip} - {address.ip for address in kept}
    if link is not None and lost:
        _lose_sources(found, state, link, lost)
    for key, route in makes.items():
        some = found.get(key, state.routes.get(key, ()))
        if key not in made and not any(one.link == route.link for one in some):
            found[key] = (*some, route)
    return found


def _exchange(found: dict[RouteKey, tuple[Route, ...]], state: State, route: Route, new: Route | None) -> None:
    some = found.get(route.key, state.routes.get(route.key, ()))
    after = tuple(one for one in (new if each == route else each for each in some) if one is not None)
    if after != some:
        found[route.key] = after


def _lose_sources(found: dict[RouteKey, tuple[Route, ...]], state: State, link: Link, ips: set[str]) -> None:
    """An IPv4 address that no link has any more takes the routes with it whose source it is: by any link, but of one table."""
    table = _table_of(link, state)
    lost = {ip for ip in ips if state.holders(link.key.netns, ip) == [link.key]}
    for key, some in state.routes.items() if lost else ():
        if (key.netns, key.table) == (link.key.netns, table):
            for route in some:
                if route.get("source") in lost and route.protocol != RTPROT_KERNEL:
                    _exchange(found, state, route, None)


def _table_of(link: Link, state: State) -> int:
    """The routing table that a link is in: the main one, or that of its VRF."""
    vrf = state.get(LinkKey(link.key.netns, link.get("controller") or ""))
    return int(vrf.get("table")) if vrf is not None and vrf.kind == "vrf" else MAIN_TABLE


def _connected_routes(link: Link, addresses: tuple[Address, ...], state: State) -> dict[RouteKey, Route]:
    """The routes that the kernel makes with addresses: one for each network, with the first address of it."""
    found: dict[RouteKey, Route] = {}
    networks = set()
    for destination, address in connected(addresses):
        four = address.family == 4
        if four and destination in networks:
            continue
        networks.add(destination)
        key = RouteKey(
            link.key.netns, _table_of(link, state), address.family, destination, address.metric or (0 if four else 256)
        )
        attributes: dict[str, Any] = {"type": "unicast", "link": link.key.name, "onlink": False}
        attributes.update({"source": address.ip, "scope": "link"} if four else {"scope": "global"})
        found.setdefault(key, Route(key, attributes, RTPROT_KERNEL))
    return found
