# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel has: observed, or predicted by a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import family_of, network
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import (
    Address,
    Link,
    LinkKey,
    Netns,
    NetnsKey,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    Route,
    RouteKey,
    Rule,
    RuleKey,
)

Key = Union[LinkKey, NetnsKey, RouteKey, RuleKey, ClientKey]


@dataclass(frozen=True)
class LinkContents:
    """What lives on a link and dies with it."""

    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """What an observation must hold: every link of the namespaces it touches, and more of some links.

    namespaces: those to read beside the ones of the links. coming: those that need not be there. sysctls: the settings to
    read per link. settings: links of which all of them are read. traffic: namespaces whose addresses, routes and rules are read
    too.
    """

    links: frozenset[LinkKey] = frozenset()
    namespaces: frozenset[str] = frozenset()
    coming: frozenset[str] = frozenset()
    sysctls: Mapping[LinkKey, frozenset[str]] = field(default_factory=dict)
    settings: frozenset[LinkKey] = frozenset()
    traffic: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Connection:
    """How the task reaches this host: the links of its own namespace that carry that, and a description for messages.

    ipv6: whether it is by IPv6, without which nothing is left of it.
    client, server: the two addresses; None when it is not by ssh.
    """

    links: tuple[LinkKey, ...] = ()
    description: str = ""
    ipv6: bool = False
    client: str | None = None
    server: str | None = None


class State:
    """The links of some namespaces; the planner works on a copy that it changes operation by operation.

    sysctls: value of `conf/all` and `conf/default` per (netns, "all" or "default", key); None when the kernel has no such key.
    settings: all of them, per link of Scope.settings. routes, rules: of the namespaces of Scope.traffic, all that share a key
    in the order of the kernel; the routes that it derives from addresses for itself (table local) are left out.
    clients: the DHCP clients that are ours.
    """

    def __init__(
        self,
        links: Iterable[Link] = (),
        sysctls: Mapping[tuple[str, str, str], int | None] | None = None,
        settings: Mapping[LinkKey, Mapping[str, int]] | None = None,
        namespaces: Iterable[Netns] = (),
        routes: Iterable[Route] = (),
        rules: Iterable[Rule] = (),
        clients: Iterable[Client] = (),
    ) -> None:
        self._links: dict[LinkKey, Link] = {}
        self._above: dict[LinkKey, dict[LinkKey, None]] = {}  # lower device -> what sits on it, in order
        self._attached: dict[LinkKey, dict[LinkKey, None]] = {}  # controller -> what is attached to it
        self._owners: dict[LinkKey, LinkKey] = {}  # alternative name -> the link that has it
        self._sharing: dict[tuple[LinkKey, str], dict[LinkKey, None]] = {}  # lower device and MAC -> who has it there
        self._holders: dict[tuple[str, str], dict[LinkKey, None]] = {}  # namespace and IP address -> the links that have it
        self._leaving: dict[LinkKey, dict[RouteKey, None]] = {}  # link -> the routes that leave by it
        self._towards: dict[tuple[str, int], dict[int, dict[str, dict[RouteKey, None]]]] = {}  # by length and destination
        self.sysctls = dict(sysctls or {})
        self.settings = dict(settings or {})
        self.namespaces: dict[NetnsKey, Netns] = {netns.key: netns for netns in namespaces}
        self.routes: dict[RouteKey, tuple[Route, ...]] = {}
        self.rules: dict[RuleKey, tuple[Rule, ...]] = {}
        self.clients: dict[ClientKey, Client] = {client.key: client for client in clients}
        self.update({link.key: link for link in links})
        self.update(_by_key(routes))
        self.update(_by_key(rules))

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links.values())

    def copy(self) -> State:
        """A state that can be changed without changing this one."""
        routes = (route for some in self.routes.values() for route in some)
        rules = (rule for some in self.rules.values() for rule in some)
        return State(self, self.sysctls, self.settings, self.namespaces.values(), routes, rules, self.clients.values())

    def update(self, changes: Mapping[Any, Any]) -> None:
        """Put objects in the place of those with their keys, of routes and rules a tuple; None takes them out."""
        for key, new in changes.items():
            if isinstance(key, LinkKey):
                self._index(self._links.get(key), add=False)
                _put(self._links, key, new)
                self._index(new, add=True)
            elif isinstance(key, RouteKey):
                self._index_routes(self.routes.get(key, ()), add=False)
                _put(self.routes, key, new)
                self._index_routes(new or (), add=True)
            elif isinstance(key, ClientKey):
                _put(self.clients, key, new)
            else:
                _put(self.rules if isinstance(key, RuleKey) else self.namespaces, key, new)

    def _index(self, link: Link | None, add: bool) -> None:
        if link is None:
            return
        lower = link.get("lower_device")
        places: list[tuple[dict[Any, dict[LinkKey, None]], Any]] = []
        if lower:
            places = [(self._above, lower), (self._sharing, (lower, link.get("address")))]
        if link.get("controller"):
            places.append((self._attached, LinkKey(link.key.netns, link.get("controller"))))
        places += [(self._holders, (link.key.netns, address.ip)) for address in link.get("addresses") or ()]
        for index, place in places:
            _note(index, place, link.key, add)
        for altname in link.get("altnames") or ():
            if add:
                self._owners[LinkKey(link.key.netns, altname)] = link.key
            else:
                self._owners.pop(LinkKey(link.key.netns, altname), None)

    def _index_routes(self, routes: Iterable[Route], add: bool) -> None:
        for route in routes:
            for link in route.links:
                _note(self._leaving, link, route.key, add)
            by_length = self._towards.setdefault((route.key.netns, route.key.family), {})
            length = int(route.key.destination.partition("/")[2])
            _note(by_length.setdefault(length, {}), route.key.destination, route.key, add)

    def get(self, key: LinkKey | None) -> Link | None:
        """The link with that key (a name, not an alternative one), or None."""
        return self._links.get(key) if key else None

    def owner_of_altname(self, key: LinkKey) -> LinkKey | None:
        """The link that has this name as an alternative one, or None."""
        return self._owners.get(key)

    def above(self, lower: LinkKey) -> list[Link]:
        """The links that sit directly on a lower device, in every namespace that was observed."""
        return [self._links[key] for key in self._above.get(lower, {})]

    def attached(self, controller: LinkKey) -> list[Link]:
        """The links that are attached to a controller: the ports of a bridge."""
        return [self._links[key] for key in self._attached.get(controller, {})]

    def sharing(self, lower: LinkKey, address: str) -> list[Link]:
        """The links on a lower device that have this MAC."""
        return [self._links[key] for key in self._sharing.get((lower, address), {})]

    def holders(self, netns: str, ip: str) -> list[LinkKey]:
        """The links of a namespace that have this IP address."""
        return list(self._holders.get((netns, ip), {}))

    def at(self, key: RouteKey | RuleKey) -> tuple[Any, ...]:
        """The routes or rules that share a key, in the order of the kernel; none when there are none."""
        return self.routes.get(key, ()) if isinstance(key, RouteKey) else self.rules.get(key, ())

    def routes_by(self, link: LinkKey) -> list[Route]:
        """The routes that leave by a link."""
        return [route for key in self._leaving.get(link, {}) for route in self.routes[key] if link in route.links]

    def routes_towards(self, netns: str, ip: str) -> Iterator[Route]:
        """The routes of all tables whose destination an address is in, the longest prefix and then the lowest metric first."""
        by_length = self._towards.get((netns, family_of(ip)), {})
        for length in sorted(by_length, reverse=True):
            keys = by_length[length].get(network(ip, length), {}) if by_length[length] else {}
            for key in sorted(keys, key=lambda one: one.metric):
                yield from self.routes[key]

    def contents_of(self, key: LinkKey) -> LinkContents:
        """What lives on a link, as far as it was read."""
        link = self.get(key)
        addresses = (link.get("addresses") or ()) if link else ()
        return LinkContents(addresses, tuple(self.routes_by(key)), self.settings.get(key, {}))

    def lower_of(self, key: LinkKey) -> LinkKey:
        """The device that a macvlan with this lower device really sits on.

        The kernel flattens: a macvlan on a macvlan sits on the lower device of that one.
        """
        link = self.get(key)
        while link is not None and link.kind in ("macvlan", "macvtap") and link.get("lower_device"):
            key = link.get("lower_device")
            link = self.get(key)
        return key


def _put(place: dict[Any, Any], key: Any, new: Any) -> None:
    if new:
        place[key] = new
    else:
        place.pop(key, None)


def _note(index: dict[Any, dict[Any, None]], place: Any, key: Any, add: bool) -> None:
    members = index.setdefault(place, {})
    if add:
        members[key] = None
    else:
        members.pop(key, None)


def _by_key(objects: Iterable[Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for one in objects:
        found[one.key] = (*found.get(one.key, ()), one)
    return found
