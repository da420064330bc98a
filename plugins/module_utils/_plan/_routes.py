# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations for one route. Pure.

Only the routes that a task names are managed; what the kernel, a router advertisement or another program created is not changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import NEXT_HOP, REJECTS, ROUTE
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredRoute
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import is_link_local, last_address
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    LOCAL_TABLE,
    MAIN_TABLE,
    RTPROT_KERNEL,
    RTPROT_RA,
    Route,
    RouteKey,
    Rule,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._addresses import DAD_SECONDS, WaitForAddresses
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._routing import DeleteRoute, SetRoute
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._context import Context
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import covers

# linux/rtnetlink.h: the protocols of a route that this collection manages: without protocol, boot (as ip sets it), static (ours).
_OURS = (0, 3, 4)
_OWNERS = {1: "an ICMP redirect", RTPROT_KERNEL: "the kernel", RTPROT_RA: "a router advertisement", 16: "a DHCP client"}
_BY_KERNEL = (RTPROT_KERNEL, RTPROT_RA)


def is_kernel_made(route: Route) -> bool:
    """Whether the kernel created the route: together with an address, or from a router advertisement."""
    return route.protocol in _BY_KERNEL or route.key.table == LOCAL_TABLE


def must_be_restored(route: Route) -> bool:
    """Whether a route that was lost has to be created again: the kernel does not do it by itself, and this collection can."""
    return route.is_representable and not is_kernel_made(route)


def origin(created: Route | Rule) -> str:
    """Who created a route or a rule: `static`, `kernel`, `ra`, `dhcp`, or `other`."""
    names = {RTPROT_KERNEL: "kernel", RTPROT_RA: "ra", 16: "dhcp", **dict.fromkeys(_OURS, "static")}
    return names.get(created.protocol, "other")


def plan_route(item: DesiredRoute, context: Context) -> Iterator[Operation]:
    """Delete, create or change a route."""
    state = context.predicted
    existing = state.routes.get(item.key, ())
    if not item.present:
        for route in existing:
            if route.link in context.removed and _is_foreign(route):
                continue  # the kernel removes it together with its link
            _check_owner(route, "deleted")
            yield DeleteRoute(route)
        return
    desired = dict(item.attributes)
    if item.attributes.get("link"):
        desired.setdefault("gateway", None)  # a link alone is a next hop without a gateway
    matching = [route for route in existing if _matches(route, desired)]
    if existing and existing[0] in matching and all(_is_foreign(route) for route in existing[1:]):
        return
    for route in existing:
        _check_owner(route, "changed")
    if matching:  # other routes with the same key are in front of it, or behind it
        for route in existing:
            if route is not matching[0]:
                yield DeleteRoute(route)
        return
    before = existing[0] if existing else None
    new = _completed(item.key, desired, before)
    _check_route(new, item, context)
    new = _with_link(new, state)
    if new.key.family == 6 and new.get("source"):
        yield from _wait_for_source(new, state)
    yield SetRoute(new, before)
    for route in existing[1:]:
        yield DeleteRoute(route)


def restore_prefsrc(routes: Sequence[Route], state: State) -> Iterator[Operation]:
    """Give IPv6 routes their source back, which they lost when its address was replaced."""
    for route in routes:
        without = replace(route, attributes={name: value for name, value in route.attributes.items() if name != "source"})
        existing = state.routes.get(route.key, ())
        lost = route.is_representable and route not in existing and without in existing
        if lost and route.source and state.links_with_ip(route.key.netns, route.source):
            yield from _wait_for_source(route, state)
            yield SetRoute(route, without)


def _wait_for_source(route: Route, state: State) -> Iterator[Operation]:
    """The kernel accepts no IPv6 address as a source before the address has passed duplicate address detection."""
    ip = route.source
    if ip is None:
        return
    for key in state.links_with_ip(route.key.netns, ip):
        link = state.get(key)
        if link is not None and any(address.ip == ip and not address.settled for address in link.addresses):
            yield WaitForAddresses(key, (ip,), DAD_SECONDS)


def _matches(route: Route, desired: Attributes) -> bool:
    return all(route.get(name) == value for name, value in desired.items())


def _is_foreign(route: Route) -> bool:
    return route.protocol not in _OURS or not route.is_representable


def _check_owner(route: Route, action: str) -> None:
    """Raise Refused for a route that others manage."""
    if not route.is_representable:
        raise Refused(
            f"{route.key}: the route has several next hops, or attributes that this module does not support, and is not "
            f"{action}. Delete it with the program that created it, or choose another metric or table"
        )
    if route.protocol not in _OURS:
        owner = _OWNERS.get(route.protocol, f"another program, protocol {route.protocol}")
        raise Refused(
            f"{route.key}: a route with this key already exists (owner: {owner}) and is not {action}. "
            "Choose another metric or table"
        )


def _completed(key: RouteKey, desired: Attributes, before: Route | None) -> Route:
    """The complete route: what is set, and of the rest what an existing route has."""
    kept = dict(before.attributes) if before is not None else {}
    sets_next_hop = any(name in desired for name in NEXT_HOP)
    type_ = desired.get("type") or ("unicast" if sets_next_hop else kept.get("type", "unicast"))
    if any(name in desired and desired[name] != kept.get(name) for name in NEXT_HOP) or type_ != kept.get("type", type_):
        kept = {name: value for name, value in kept.items() if name not in (*NEXT_HOP, "scope", "onlink")}
    attributes = {"onlink": False, **kept, **desired, "type": type_}
    attributes = {name: value for name, value in attributes.items() if value is not None}
    attributes.setdefault("scope", _default_scope(key, attributes))
    return Route(
        key,
        {row.name: attributes[row.name] for row in ROUTE.rows(attributes)},
        metrics=before.metrics if before is not None else (),
    )


def _default_scope(key: RouteKey, attributes: Attributes) -> str:
    """The scope that `ip` sends: for IPv4 the kernel stores it as it is sent, for IPv6 there is none."""
    if key.family == 6 or attributes.get("gateway") or attributes["type"] in REJECTS:
        return "global"
    return "host" if attributes["type"] == "local" else "link"


def _with_link(route: Route, state: State) -> Route:
    """The route with the link that its gateway is reached through, as the kernel determines it."""
    if not route.gateway or route.link:
        return route
    direct = [other for other in state.routes_matching(route.key.netns, route.gateway) if _is_direct(other) and other.link]
    usable = [other for other in direct if other.key.table in (route.key.table, MAIN_TABLE)]
    return replace(route, attributes={**route.attributes, "link": usable[0].get("link")}) if usable else route


def _is_direct(route: Route) -> bool:
    return not route.gateway


def _check_route(route: Route, item: DesiredRoute, context: Context) -> None:
    """Raise Refused or Missing if the kernel would not accept the route."""
    state = context.predicted
    key, type_, gateway, link = route.key, route.get("type"), route.gateway, route.link
    if type_ in REJECTS and (gateway or link):
        raise Refused(f"{key}: a route of type {type_} has neither gateway nor link. Omit them")
    if type_ not in REJECTS and not (gateway or link):
        raise Refused(f"{key}: the route has no next hop. Set gateway or link, or a type without next hop, such as unreachable")
    if key.family == 4 and gateway and type_ != "unicast":
        raise Refused(f"{key}: an IPv4 route of type {type_} has no gateway. Omit gateway, and set link")
    if key.family == 6 and item.attributes.get("scope") not in (None, "global"):
        raise Refused(f"{key}: IPv6 routes have no scope. Omit scope")
    if route.get("onlink") and not (gateway and link):
        raise Refused(f"{key}: onlink requires gateway and link. Set both")
    if gateway and is_link_local(gateway) and not link:
        raise Refused(f"{key}: gateway {gateway} is a link-local address, which requires a link. Set link")
    if link is not None:
        _check_link(key, link, state)
    if gateway:
        _check_gateway(route, gateway, link, context)
    source = route.source
    if source and _knows_all_addresses(key.netns, state) and not state.links_with_ip(key.netns, source):
        raise Missing(f"{key}: source {source} is not an address of any link in the namespace", "Add it to a link first")


def _check_link(key: RouteKey, link: LinkKey, state: State) -> None:
    current = state.get(link)
    if current is None:
        available = sorted(other.key.name for other in state if other.key.netns == key.netns)
        raise Missing(
            f"{key}: link {link.name} does not exist in the namespace of the route",
            f"Create it first with the module of its kind, or set another one. Available: {', '.join(available[:20])}",
        )
    if current.admin_state == "down":
        raise Missing(
            f"{key}: {link} is down, and the kernel accepts no route through it", f"Set admin_state: up for {link.name}"
        )


def _check_gateway(route: Route, gateway: str, link: LinkKey | None, context: Context) -> None:
    key, state = route.key, context.predicted
    own = state.links_with_ip(key.netns, gateway)
    if own and key.family == 4 and link in (None, *own) and not route.get("onlink"):
        context.warn(
            f"{key}: gateway {gateway} is an address of this host ({own[0]}), so that the destination is reached directly on "
            "that link. Set the address of the router if there is one"
        )
        return
    if own:
        raise Refused(f"{key}: gateway {gateway} is an address of this host ({own[0]}). Set the address of the router")
    if key.family == 4 and _is_broadcast(gateway, key.netns, state):
        raise Refused(f"{key}: gateway {gateway} is a broadcast address. Set the address of the router")
    if route.get("onlink") or is_link_local(gateway):
        return
    direct = [other for other in state.routes_matching(key.netns, gateway) if _is_direct(other)]
    if link is not None:
        current = state.get(link)
        is_known = current is not None and current.get("addresses") is not None
        is_reachable = current is not None and covers(current.addresses, gateway)
        if is_known and not is_reachable and not any(other.link == link for other in direct):
            raise Missing(
                f"{key}: gateway {gateway} is in no network of {link}",
                f"Add an address of that network to {link.name}, or set onlink: true",
            )
    elif all(other.get("type") in REJECTS for other in direct) and _knows_all_addresses(key.netns, state):
        raise Missing(
            f"{key}: gateway {gateway} is in no network of any link in the namespace",
            "Add an address of that network to a link that is up, or set link and onlink: true",
        )


def _is_broadcast(ip: str, netns: str, state: State) -> bool:
    """Whether an IPv4 address is the last one of a network that a link of the namespace is in. (A network of two has none.)"""
    networks = (route.key.destination for route in state.routes_matching(netns, ip) if route.protocol == RTPROT_KERNEL)
    return any(int(network_.partition("/")[2]) < 31 and last_address(network_) == ip for network_ in networks)


def _knows_all_addresses(netns: str, state: State) -> bool:
    return all(link.get("addresses") is not None for link in state if link.key.netns == netns)
