# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of planning that is about routes and policy rules. Pure.

Both are single wishes: what nobody wrote is left alone, and so is what others made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import NEXT_HOP, REJECTS, ROUTE
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredRoute, DesiredRule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, Refused
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import is_link_local
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    LOCAL_TABLE,
    MAIN_TABLE,
    RTPROT_KERNEL,
    RTPROT_RA,
    Route,
    RouteKey,
    Rule,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Key, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._addresses import DAD_SECONDS, WaitForAddresses
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._routing import DeleteRoute, SetRoute
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._rules import rule_steps
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import covers

# linux/rtnetlink.h: who made a route or a rule. What is not said, what `ip` says (boot), and what we say (static) is ours.
_OURS = (0, 3, 4)
_OWNERS = {1: "an ICMP redirect", RTPROT_KERNEL: "the kernel", RTPROT_RA: "a router advertisement", 16: "a DHCP client"}
_BY_ITSELF = (RTPROT_KERNEL, RTPROT_RA)


def is_kernel_made(route: Route) -> bool:
    """Whether the kernel makes the route: along with an address, or from a router advertisement."""
    return route.protocol in _BY_ITSELF or route.key.table == LOCAL_TABLE


def origin(made: Route | Rule) -> str:
    """Who made a route or a rule: `static`, `kernel`, `ra`, `dhcp`, or `other`."""
    names = {RTPROT_KERNEL: "kernel", RTPROT_RA: "ra", 16: "dhcp", **dict.fromkeys(_OURS, "static")}
    return names.get(made.protocol, "other")


def ordered_routing(
    items: Sequence[DesiredRoute | DesiredRule], state: State
) -> tuple[list[DesiredRoute | DesiredRule], list[DesiredRoute | DesiredRule]]:
    """(what goes, before the links; what comes, after them): device routes, routes by a gateway, the default, then rules.

    What goes does so the other way round: then the inverses, newest first, find what they need.
    """

    def place(item: DesiredRoute | DesiredRule) -> tuple[bool, bool, bool]:
        if isinstance(item, DesiredRule):
            return True, False, False
        led = bool(item.attributes.get("gateway")) or any(route.get("gateway") for route in state.routes.get(item.key, ()))
        return False, led, item.key.destination.endswith("/0")

    going = sorted((item for item in items if not item.present), key=place, reverse=True)
    return going, sorted((item for item in items if item.present), key=place)


def routing_steps(item: DesiredRoute | DesiredRule, state: State, going: Collection[Key]) -> Iterator[Operation]:
    """The operations for one route or rule; each is predicted before the next is asked for. going: what is to be absent."""
    if isinstance(item, DesiredRule):
        yield from rule_steps(item, state)
    else:
        yield from _route_steps(item, state, going)


def _route_steps(item: DesiredRoute, state: State, going: Collection[Key]) -> Iterator[Operation]:
    item = replace(item, attributes={**_whole_next_hop(item.attributes), **item.attributes})
    there = state.routes.get(item.key, ())
    if not item.present:
        for route in there:
            if route.link in going and _is_other(route):
                continue  # the kernel takes it along, whose ever it is
            _check_ours(route, "deleted")
            yield DeleteRoute(route)
        return
    fitting = [route for route in there if _fits(route, item.attributes)]
    if there and there[0] in fitting and all(_is_other(route) for route in there[1:]):
        return
    for route in there:
        _check_ours(route, "changed")
    if fitting:  # another stands before it, or beside it
        for route in there:
            if route is not fitting[0]:
                yield DeleteRoute(route)
        return
    wanted = _completed(item, there[0] if there else None)
    _check_route(wanted, item, state)
    wanted = _led(wanted, state)
    if wanted.key.family == 6 and wanted.get("source"):
        yield from source_is_usable(wanted, state)
    yield SetRoute(wanted, there[0] if there else None)
    for route in there[1:]:
        yield DeleteRoute(route)


def _whole_next_hop(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A link alone is a next hop without a gateway; with a gateway alone, the kernel finds the link."""
    return {"gateway": None} if attributes.get("link") else {}


def _fits(route: Route, attributes: Mapping[str, Any]) -> bool:
    return all(route.get(name) == value for name, value in attributes.items())


def _is_other(route: Route) -> bool:
    return route.protocol not in _OURS or not route.plain


def _check_ours(route: Route, action: str) -> None:
    if not route.plain:
        raise Refused(
            f"{route.key}: the one that is there has several next hops, or parts that no option says, and is not {action}. "
            "Delete it by its owner's means, or choose another metric or table"
        )
    if route.protocol not in _OURS:
        who = _OWNERS.get(route.protocol, f"another program (protocol {route.protocol})")
        raise Refused(
            f"{route.key}: the one that is there was made by {who}, and is not {action}. Choose another metric or table"
        )


def _completed(item: DesiredRoute, there: Route | None) -> Route:
    """The route as it is to be: what was written, with what is there already of the rest."""
    written = dict(item.attributes)
    kept = dict(there.attributes) if there is not None else {}
    kind = written.get("type") or ("unicast" if any(name in written for name in NEXT_HOP) else kept.get("type", "unicast"))
    if any(name in written and written[name] != kept.get(name) for name in NEXT_HOP) or kind != kept.get("type", kind):
        kept = {name: value for name, value in kept.items() if name not in (*NEXT_HOP, "scope", "onlink")}
    found = {"onlink": False, **kept, **written, "type": kind}
    found = {name: value for name, value in found.items() if value is not None}
    found.setdefault("scope", _scope_of(item.key, found))
    return Route(
        item.key,
        {row.name: found[row.name] for row in ROUTE.rows(found)},
        metrics=there.metrics if there is not None else (),
    )


def _led(route: Route, state: State) -> Route:
    """With the link that its gateway is on, as the kernel would find it."""
    if not route.get("gateway") or route.get("link"):
        return route
    ways = [
        one for one in state.routes_matching(route.key.netns, route.get("gateway")) if not one.get("gateway") and one.get("link")
    ]
    ours = [one for one in ways if one.key.table in (route.key.table, MAIN_TABLE)]
    return replace(route, attributes={**route.attributes, "link": ours[0].get("link")}) if ours else route


def _scope_of(key: RouteKey, attributes: Mapping[str, Any]) -> str:
    """The scope that `ip` sends: the kernel takes it for IPv4 as it comes, and knows none for IPv6."""
    if key.family == 6 or attributes.get("gateway") or attributes["type"] in REJECTS:
        return "global"
    return "host" if attributes["type"] == "local" else "link"


def _check_route(route: Route, item: DesiredRoute, state: State) -> None:
    """Raise Refused with a sentence if the kernel would not take the route."""
    key, kind, gateway, link = route.key, route.get("type"), route.get("gateway"), route.link
    if kind in REJECTS and (gateway or link):
        raise Refused(f"{key}: a route of type {kind} goes nowhere, so it has neither gateway nor link. Leave them out")
    if kind not in REJECTS and not (gateway or link):
        raise Refused(f"{key}: it needs a gateway or a link to leave by, or a type that goes nowhere, such as unreachable")
    if key.family == 6 and kind not in ("unicast", *REJECTS):
        raise Refused(f"{key}: type {kind} is of IPv4. Write unicast, or a type that goes nowhere")
    if key.family == 6 and item.attributes.get("scope") not in (None, "global"):
        raise Refused(f"{key}: a scope is of IPv4: IPv6 routes have none")
    if route.get("onlink") and not (gateway and link):
        raise Refused(f"{key}: onlink says that a gateway is on a link though no address says so: write gateway and link")
    if gateway and is_link_local(gateway) and not link:
        raise Refused(f"{key}: {gateway} is a link-local address, which every link may have: write link as well")
    if link is not None:
        _check_link(key, link, state)
    if gateway:
        _check_gateway(route, gateway, link, state)
    source = route.get("source")
    if source and _all_known(key.netns, state) and not state.links_with_ip(key.netns, source):
        raise Refused(f"{key}: its source {source} is no address of any link in this namespace. Add it to the addresses of one")


def _check_link(key: RouteKey, link: LinkKey, state: State) -> None:
    found = state.get(link)
    if found is None:
        there = sorted(other.key.name for other in state if other.key.netns == key.netns)
        raise Missing(f"{key}: there is no link {link.name} in its namespace. There are: {', '.join(there[:20])}")
    if found.get("admin_state") == "down":
        raise Missing(f"{key}: {link} is down, and no route leaves by a link that is down. Write admin_state: up for it")


def _check_gateway(route: Route, gateway: str, link: LinkKey | None, state: State) -> None:
    key = route.key
    own = state.links_with_ip(key.netns, gateway)
    if own:
        raise Refused(f"{key}: its gateway {gateway} is an address of this host ({own[0]}). Write that of the router")
    if route.get("onlink") or is_link_local(gateway):
        return
    if link is not None:
        found = state.get(link)
        addresses = found.get("addresses") if found is not None else None
        if addresses is None or covers(addresses, gateway):
            return
        ways = [one for one in state.routes_matching(key.netns, gateway) if one.link == link and not one.get("gateway")]
        if not ways:
            raise Missing(
                f"{key}: its gateway {gateway} is in no network of {link}. Add an address of that network to {link.name}, "
                "or write onlink: true"
            )
        return
    ways = [one for one in state.routes_matching(key.netns, gateway) if not one.get("gateway") and one.get("type") not in REJECTS]
    if not ways and _all_known(key.netns, state):
        raise Missing(
            f"{key}: its gateway {gateway} is in no network that a link of this namespace is in. "
            "Add an address of that network to a link that is up, or write link and onlink: true"
        )


def _all_known(netns: str, state: State) -> bool:
    return all(link.get("addresses") is not None for link in state if link.key.netns == netns)


def source_is_usable(route: Route, state: State) -> Iterator[Operation]:
    """The kernel takes no IPv6 address for a source before duplicate address detection has passed it."""
    ip = route.get("source")
    for holder in state.links_with_ip(route.key.netns, ip):
        link = state.get(holder)
        fresh = [address for address in (link.addresses if link else ()) if address.ip == ip and not address.settled]
        if fresh:
            yield WaitForAddresses(holder, (ip,), DAD_SECONDS)


def restore_prefsrc(routes: Sequence[Route], state: State) -> Iterator[Operation]:
    """IPv6 routes that lost their source with an address that went for a moment get it back."""
    for route in routes:
        bare = replace(route, attributes={name: value for name, value in route.attributes.items() if name != "source"})
        some = state.routes.get(route.key, ())
        if route.plain and route not in some and bare in some and state.links_with_ip(route.key.netns, route.get("source")):
            yield from source_is_usable(route, state)
            yield SetRoute(route, bare)
