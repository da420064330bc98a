# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses, routes and policy rules of the kernel in memory: what it refuses, and what goes and comes along with what."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._routing import REJECTS
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import inside, is_link_local, network
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    MAIN_TABLE,
    Route,
    RouteKey,
    Rule,
    RulePriority,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import (
    DADFAILED,
    NODAD,
    NOPREFIXROUTE,
    PERMANENT,
    SECONDARY,
    TENTATIVE,
    identity,
)

RTPROT_KERNEL = 2
LINK_SCOPE = 253
# Priority and table of the rules that every namespace has.
RULES = {4: ((0, 255), (32766, 254), (32767, 253)), 6: ((0, 255), (32766, 254))}


class No(Exception):
    """The kernel's refusal inside of it: an errno, and its own sentence where it has one."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(code)
        self.errno = code
        self.text = text or os.strerror(code)


class Holder(Protocol):
    """A link, as far as it matters here."""

    key: LinkKey
    attributes: dict[str, Any]
    settings: dict[str, int]
    addresses: list[Address]

    @property
    def up(self) -> bool:
        """Configured to be up."""

    @property
    def ipv6(self) -> bool:
        """Large enough for IPv6."""


def usual_rules(netns: str) -> list[Rule]:
    """Those that every namespace has."""
    return [
        Rule(RulePriority(netns, family, priority), {"action": "lookup", "table": table}, RTPROT_KERNEL)
        for family, rules in RULES.items()
        for priority, table in rules
    ]


def with_address(addresses: Iterable[Address], new: Address) -> list[Address]:
    """The addresses of a link with one more: of a subnet of IPv4, all but the first are secondary ones."""
    second = new.family == 4 and any(other.family == 4 and subnet(other) == subnet(new) for other in addresses)
    return [*addresses, replace(new, flags=new.flags | SECONDARY) if second else new]


def connected_routes(key: LinkKey, address: Address, table: int = MAIN_TABLE) -> list[Route]:
    """The routes to its networks that the kernel makes with an address on a link that is up. table: that of the link."""
    four, ip, length = address.family == 4, address.ip, address.prefix_length
    if address.flags & NOPREFIXROUTE or (four and (address.flags & SECONDARY or not length)):
        return []
    if four:
        destinations = [] if length == 32 and not address.peer_ip else [network(address.peer_ip or ip, length)]
    else:
        destinations = [network(ip, length), *([f"{address.peer_ip}/128"] if address.peer_ip else [])]
    attributes = {"source": ip, "scope": "link"} if four else {"scope": "global"}
    metric = address.metric or (0 if four else 256)
    return [
        Route(
            RouteKey(key.netns, table, address.family, destination, metric),
            {"type": "unicast", "link": key.name, "onlink": False, **attributes},
            RTPROT_KERNEL,
        )
        for destination in destinations
    ]


def subnet(address: Address) -> str:
    """The network that a link is in by an address of IPv4."""
    return network(address.peer_ip or address.ip, address.prefix_length)


class Traffic:
    """Routes and rules of all namespaces, several at one key in order; addresses are with their links."""

    def __init__(self, devices: Mapping[LinkKey, Holder], namespaces: Iterable[str]) -> None:
        self._devices = devices
        self.routes: dict[RouteKey, list[Route]] = {}
        self.rules: dict[RulePriority, list[Rule]] = {}
        self.hold(rules=(rule for netns in namespaces for rule in usual_rules(netns)))

    def hold(self, routes: Iterable[Route] = (), rules: Iterable[Rule] = ()) -> None:
        """Have these as well, unless they are there."""
        for route in routes:
            if route not in self.routes.setdefault(route.key, []):
                self.routes[route.key].append(route)
        for rule in rules:
            if rule not in self.rules.setdefault(rule.at, []):
                self.rules[rule.at].append(rule)

    # Addresses

    def add_address(self, device: Holder, address: Address) -> None:
        """One that is there stays as it is."""
        if self._own(device, address) is None:
            if address.family == 6 and device.settings.get("ipv6.disable_ipv6"):
                raise No(errno.EACCES, "ipv6: IPv6 is disabled on this device")
            if address.family == 6 and not device.ipv6:
                raise No(errno.EINVAL)
            new = _as_kept(address)
            device.addresses = with_address(device.addresses, new)
            self.connect(device, [device.addresses[-1]])

    def replace_address(self, device: Holder, address: Address) -> None:
        """Of IPv4 the metric changes, of IPv6 the flags too; what is not said is no metric for IPv4, and the old one for IPv6."""
        current = self._own(device, address)
        if current is None:
            self.add_address(device, address)
            return
        if current.family == 4:
            new = replace(current, metric=address.metric)
        else:
            flags = current.flags & ~(NODAD | NOPREFIXROUTE) | address.flags & (NODAD | NOPREFIXROUTE)
            new = replace(current, metric=address.metric or current.metric, flags=flags)
        device.addresses[device.addresses.index(current)] = new
        self._disconnect(device, current)
        self.connect(device, [new])

    def remove_address(self, device: Holder, address: Address) -> None:
        """Removing a missing address is no error. The next address of the subnet becomes the primary one."""
        removed = self._own(device, address)
        if removed is None:
            return
        device.addresses.remove(removed)
        remaining = [other for other in device.addresses if other.family == removed.family]
        self._disconnect(device, removed)
        if removed.family == 6:
            self._exchange(lambda route: route.link == device.key and route.get("source") == removed.ip, _without_source)
            self.connect(device, remaining)
            return
        if not any(other.ip == removed.ip for holder in self._of(device.key.netns) for other in holder.addresses):
            self._take(lambda route: route.get("source") == removed.ip and route.key.table == MAIN_TABLE, 4, device.key.netns)
        if not remaining:
            self._take(lambda route: route.link == device.key, 4)
        heirs = [other for other in remaining if subnet(other) == subnet(removed) and other.flags & SECONDARY]
        if heirs and not removed.flags & SECONDARY:
            heir = replace(heirs[0], flags=heirs[0].flags & ~SECONDARY)
            device.addresses[device.addresses.index(heirs[0])] = heir
            self.connect(device, [heir])

    def connect(self, device: Holder, addresses: Iterable[Address]) -> None:
        """Add the routes to the networks of these addresses, if the link is up."""
        table = self._table_of(device)
        for route in (one for address in addresses if device.up for one in connected_routes(device.key, address, table)):
            routes = self.routes.setdefault(route.key, [])
            if not any((other.link, other.protocol) == (device.key, RTPROT_KERNEL) for other in routes):
                routes.append(route)

    def _table_of(self, device: Holder) -> int:
        """That of the VRF of the link, or the main table."""
        controller = self._devices.get(LinkKey(device.key.netns, device.attributes.get("controller") or ""))
        table = controller.attributes.get("table") if controller else None
        return table if isinstance(table, int) else MAIN_TABLE

    def _disconnect(self, device: Holder, address: Address) -> None:
        for gone in connected_routes(device.key, address, self._table_of(device)):
            self._take(lambda route, key=gone.key: (route.key, route.link, route.protocol) == (key, device.key, RTPROT_KERNEL))

    def settle(self, device: Holder, ips: Iterable[str], others: Collection[str]) -> str:
        """Duplicate address detection ends, as far as it can; the address that another host has, or an empty text."""
        for address in [candidate for candidate in device.addresses if candidate.ip in ips and device.up]:
            taken = address.ip in others and not address.settled
            flags = address.flags | DADFAILED if taken else address.flags & ~TENTATIVE
            device.addresses[device.addresses.index(address)] = replace(address, flags=flags)
            if taken:
                return address.ip
        return ""

    def _own(self, device: Holder, address: Address) -> Address | None:
        return next((candidate for candidate in device.addresses if identity(candidate) == identity(address)), None)

    # What becomes of a link

    def came_up(self, device: Holder) -> None:
        """Add the routes to the networks of its addresses again, and no other route."""
        self.connect(device, device.addresses)

    def went_down(self, device: Holder) -> None:
        """Remove its IPv6 addresses, and its routes of all tables."""
        self._take(lambda route: route.link == device.key)
        self.lost_ipv6(device)

    def lost_ipv6(self, device: Holder) -> None:
        """Remove its IPv6 addresses and routes."""
        device.addresses = [address for address in device.addresses if address.family == 4]
        self._take(lambda route: route.link == device.key, 6)

    def went(self, device: Holder) -> None:
        """Remove all its addresses and routes."""
        for address in list(device.addresses):
            self.remove_address(device, address)
        self._take(lambda route: device.key in route.links)

    def renamed(self, old: LinkKey, name: str) -> None:
        """Routes refer to a link by its index, so they keep it."""
        self._exchange(
            lambda route: route.link == old, lambda route: replace(route, attributes={**route.attributes, "link": name})
        )

    # Routes and rules

    def add_route(self, route: Route) -> None:
        """Add a route, unless another one has its key."""
        new = self._checked(route)
        if not self.routes.get(new.key):
            self.routes[new.key] = [new]

    def replace_route(self, route: Route) -> None:
        """Replace the first route with the same key."""
        new = self._checked(route)
        routes = self.routes.get(new.key, [])
        if new in routes[1:]:
            raise No(errno.EEXIST)
        self.routes[new.key] = [new, *routes[1:]]

    def remove_route(self, route: Route) -> None:
        """Remove the first that has all these attributes; none is no error."""
        names = ("gateway", "link", "source", "scope", "type") if route.key.family == 4 else ("gateway", "link")
        for candidate in self.routes.get(route.key, []):
            matches = all(route.get(name) in (None, candidate.get(name)) for name in names)
            if matches and route.protocol in (0, candidate.protocol):
                self.routes[route.key].remove(candidate)
                return

    def add_rule(self, rule: Rule) -> None:
        """Add a rule after those of its priority, unless it exists."""
        self.hold(rules=[rule])

    def remove_rule(self, rule: Rule) -> None:
        """Remove the first that has all these attributes; none is no error."""
        for candidate in self.rules.get(rule.at, []):
            if rule.attributes.items() <= candidate.attributes.items() and rule.protocol in (0, candidate.protocol):
                self.rules[rule.at].remove(candidate)
                return

    def _checked(self, route: Route) -> Route:
        """The route as it is kept."""
        key, gateway, source, four = route.key, route.get("gateway"), route.get("source"), route.key.family == 4
        if route.get("type") in REJECTS:
            if four and (gateway or route.link):
                raise No(errno.EINVAL, "Gateway, device and multipath can not be specified for this route type")
            return _with(route, gateway=None, link=None)
        device = self._devices.get(route.link) if route.link else None
        if route.link and device is None:
            raise No(errno.ENODEV)
        if device and not device.up and not (four and gateway and not route.get("onlink")):
            raise No(errno.ENETDOWN, "Device for nexthop is not up")
        link = route.get("link")
        if gateway and not route.get("onlink") and not (link and is_link_local(gateway)):
            link = self._towards(route)
        if source and not self._usable(key.netns, source):
            raise No(errno.EINVAL, "Invalid prefsrc address" if four else "Invalid source address")
        return _with(route, link=link, **({} if four else {"scope": "global"}))

    def _towards(self, route: Route) -> str:
        """The link that its gateway is on, by a route without a gateway of its own table, the main one, or that of its VRF."""
        key, gateway = route.key, route.get("gateway")
        through = self._devices.get(route.link) if route.link else None
        tables = (key.table, MAIN_TABLE, *((self._table_of(through),) if through else ()))
        own = any(gateway == one.ip for device in self._of(key.netns) for one in device.addresses)
        if own and key.family == 6:
            raise No(errno.EINVAL, "Gateway can not be a local address")
        if own and through is not None and any(gateway == one.ip for one in through.addresses):
            return through.key.name
        ways = [
            one
            for some in self.routes.values()
            for one in some
            if one.key.netns == key.netns and one.key.table in tables and one.key.family == key.family
            if one.link and not one.get("gateway") and inside(gateway, one.key.destination) and route.link in (None, one.link)
        ]
        if not ways:
            raise No(errno.ENETUNREACH if key.family == 4 else errno.EHOSTUNREACH, "Nexthop has invalid gateway")
        nearest = max(ways, key=lambda one: int(one.key.destination.partition("/")[2]))
        return str(nearest.get("link"))

    def _usable(self, netns: str, ip: str) -> bool:
        return any(one.ip == ip and one.settled for device in self._of(netns) for one in device.addresses)

    def _of(self, netns: str) -> list[Holder]:
        return [device for key, device in self._devices.items() if key.netns == netns]

    def _take(self, gone: Callable[[Route], bool], family: int | None = None, netns: str | None = None) -> None:
        for key, some in self.routes.items():
            if family in (None, key.family) and netns in (None, key.netns):
                some[:] = [one for one in some if not gone(one)]

    def _exchange(self, chosen: Callable[[Route], bool], changed: Callable[[Route], Route]) -> None:
        for some in self.routes.values():
            some[:] = [changed(one) if chosen(one) else one for one in some]


def _as_kept(address: Address) -> Address:
    """State that the kernel computes; a label and a scope are of IPv4 alone."""
    flags = address.flags & NOPREFIXROUTE | (PERMANENT if address.valid is None else 0)
    if address.family == 4:
        return replace(address, flags=flags, client=None, unset=0)
    flags |= NODAD if address.flags & NODAD else TENTATIVE
    return replace(address, flags=flags, scope=LINK_SCOPE if is_link_local(address.ip) else 0, client=None, unset=0)


def _without_source(route: Route) -> Route:
    return _with(route, source=None)


def _with(route: Route, **changes: str | None) -> Route:
    found = {**route.attributes, **changes}
    return replace(route, attributes={name: value for name, value in found.items() if value is not None})
