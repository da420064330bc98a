# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The current state: what the kernel has, as observed or as predicted by a plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, Union, overload

from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import family_of, network
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import (
    Address,
    Link,
    LinkKey,
    Neighbor,
    Netns,
    NetnsKey,
    typed,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import (
    Route,
    RouteKey,
    Rule,
    RuleKey,
    RulePriority,
)

_Value = TypeVar("_Value")
_Member = TypeVar("_Member")
_Object = TypeVar("_Object")
_Index = dict[_Value, dict[_Member, None]]
Key = Union[LinkKey, NetnsKey, RouteKey, RuleKey, RulePriority, ClientKey]
_Key = TypeVar("_Key", bound=Key)


@dataclass(frozen=True)
class LinkContents:
    """What is configured on a link and is deleted with it. others: in words, what nothing here can create again."""

    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=dict)
    neighbors: tuple[Neighbor, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scope:
    """What to observe: all links of the namespaces of `links`, and more about some of them.

    namespaces: further namespaces whose links are read. optional_namespaces: those that need not exist, and are read as objects.
    tolerated: those that need not exist, because the task only names objects in them that are to be absent.
    sysctls: the settings to read, by link. settings: links of which all contents are read, but for addresses and routes.
    neighbors: links whose permanent neighbors are read. routing: namespaces whose addresses, routes and rules are read.
    """

    links: frozenset[LinkKey] = frozenset()
    namespaces: frozenset[str] = frozenset()
    optional_namespaces: frozenset[str] = frozenset()
    tolerated: frozenset[str] = frozenset()
    sysctls: Mapping[LinkKey, frozenset[str]] = field(default_factory=dict)
    settings: frozenset[LinkKey] = frozenset()
    neighbors: frozenset[LinkKey] = frozenset()
    routing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Connection:
    """The connection by which the task reaches this host.

    links: those in the task's own namespace that carry it. description: it in words, for error messages. ipv6: whether it uses
    IPv6. client, server: its two addresses; None for a connection that is not by SSH.
    """

    links: tuple[LinkKey, ...] = ()
    description: str = ""
    ipv6: bool = False
    client: str | None = None
    server: str | None = None


class State:
    """The objects of some namespaces; the planner changes a copy, operation by operation.

    sysctls: the values of `conf/all` and `conf/default`, by (netns, "all" or "default", key); None where the kernel has no such
    key.
    settings, others: all settings, and what cannot be restored, per link of Scope.settings. neighbors: per link of these and of
    Scope.neighbors. routes, rules: of the namespaces of Scope.routing, all that share a key
    or a priority in the order of the kernel; those of the table local, which the kernel derives from addresses, are left out.
    clients: the DHCP clients that this collection started. unreadable: namespaces that could not be read without privileges.
    renames_while_up: whether the kernel renames a link that is up.
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
        neighbors: Mapping[LinkKey, tuple[Neighbor, ...]] | None = None,
        others: Mapping[LinkKey, tuple[str, ...]] | None = None,
        unreadable: Iterable[str] = (),
        renames_while_up: bool = True,
    ) -> None:
        self._links: dict[LinkKey, Link] = {}
        # Indexes. The values are dicts without values: sets that keep their order.
        self._by_lower_device: _Index[LinkKey, LinkKey] = {}
        # By lower device, then by kind and mode: a thousand links on one lower device are checked against each other.
        self._by_mode: dict[LinkKey, _Index[tuple[str, str | None], LinkKey]] = {}
        self._by_controller: _Index[LinkKey, LinkKey] = {}
        self._by_mac: _Index[tuple[LinkKey, str | None], LinkKey] = {}  # lower device and MAC address
        self._by_ip: _Index[tuple[str, str], LinkKey] = {}  # namespace and IP address
        self._owners_of_altnames: dict[LinkKey, LinkKey] = {}
        self._routes_by_link: _Index[LinkKey, RouteKey] = {}
        # By namespace and family, then by prefix length, then by destination.
        self._routes_by_destination: dict[tuple[str, int], dict[int, _Index[str, RouteKey]]] = {}
        self.sysctls = dict(sysctls or {})
        self.settings = dict(settings or {})
        self.neighbors = dict(neighbors or {})
        self.others = dict(others or {})
        self.unreadable = tuple(unreadable)
        self.renames_while_up = renames_while_up
        self.namespaces: dict[NetnsKey, Netns] = {netns.key: netns for netns in namespaces}
        self.routes: dict[RouteKey, tuple[Route, ...]] = {}
        self.rules: dict[RulePriority, tuple[Rule, ...]] = {}
        self.clients: dict[ClientKey, Client] = {client.key: client for client in clients}
        self.update({link.key: link for link in links})
        self.update(_grouped(routes, lambda route: route.key))
        self.update(_grouped(rules, lambda rule: rule.at))

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links.values())

    def copy(self) -> State:
        """A state that can be changed without changing this one."""
        routes = (route for same in self.routes.values() for route in same)
        rules = (rule for same in self.rules.values() for rule in same)
        return State(
            self,
            self.sysctls,
            self.settings,
            self.namespaces.values(),
            routes,
            rules,
            self.clients.values(),
            self.neighbors,
            self.others,
            self.unreadable,
            self.renames_while_up,
        )

    def update(self, changes: Mapping[_Key, object]) -> None:
        """Replace the objects of these keys, for routes and rules by a tuple; None deletes them."""
        for key, new in changes.items():
            self._replace(key, new)

    def _replace(self, key: Key, new: object) -> None:
        if isinstance(key, LinkKey):
            self._index(self._links.get(key), add=False)
            _put(self._links, key, typed(Link, new))
            self._index(self._links.get(key), add=True)
        elif isinstance(key, RouteKey):
            self._index_routes(self.routes.get(key, ()), add=False)
            _put(self.routes, key, typed(tuple, new))
            self._index_routes(self.routes.get(key, ()), add=True)
        elif isinstance(key, RulePriority):
            _put(self.rules, key, typed(tuple, new))
        elif isinstance(key, ClientKey):
            _put(self.clients, key, typed(Client, new))
        elif isinstance(key, NetnsKey):
            _put(self.namespaces, key, typed(Netns, new))

    def _index(self, link: Link | None, add: bool) -> None:
        if link is None:
            return
        if link.lower_device:
            _index(self._by_lower_device, link.lower_device, link.key, add)
            _index(self._by_mode.setdefault(link.lower_device, {}), (link.kind, link.mode), link.key, add)
            _index(self._by_mac, (link.lower_device, link.address), link.key, add)
        if link.controller:
            _index(self._by_controller, LinkKey(link.key.netns, link.controller), link.key, add)
        for address in link.addresses:
            _index(self._by_ip, (link.key.netns, address.ip), link.key, add)
        for altname in link.altnames:
            if add:
                self._owners_of_altnames[LinkKey(link.key.netns, altname)] = link.key
            else:
                self._owners_of_altnames.pop(LinkKey(link.key.netns, altname), None)

    def _index_routes(self, routes: Iterable[Route], add: bool) -> None:
        for route in routes:
            for link in route.links:
                _index(self._routes_by_link, link, route.key, add)
            by_length = self._routes_by_destination.setdefault((route.key.netns, route.key.family), {})
            length = int(route.key.destination.partition("/")[2])
            _index(by_length.setdefault(length, {}), route.key.destination, route.key, add)

    def get(self, key: LinkKey | None) -> Link | None:
        """The link of this key, whose name is no alternative name; or None."""
        return self._links.get(key) if key else None

    def owner_of_altname(self, key: LinkKey) -> LinkKey | None:
        """The link that has this name as an alternative name, or None."""
        return self._owners_of_altnames.get(key)

    def links_on(self, lower_device: LinkKey) -> Iterator[Link]:
        """The links that sit directly on a lower device, in every observed namespace."""
        return (self._links[key] for key in self._by_lower_device.get(lower_device, {}))

    def links_of_kinds(
        self, lower_device: LinkKey, kinds: Collection[str], modes: Collection[str] | None = None
    ) -> Iterator[Link]:
        """The links of these kinds and modes (None: of all) that sit directly on a lower device, in every observed namespace."""
        for (kind, mode), keys in self._by_mode.get(lower_device, {}).items():
            if kind in kinds and (modes is None or mode in modes):
                yield from (self._links[key] for key in keys)

    def attached_to(self, controller: LinkKey) -> list[Link]:
        """The links that are attached to a controller: the ports of a bridge, the links of a VRF."""
        return [self._links[key] for key in self._by_controller.get(controller, {})]

    def links_with_mac(self, lower_device: LinkKey, address: str) -> list[Link]:
        """The links on a lower device that have this MAC address."""
        return [self._links[key] for key in self._by_mac.get((lower_device, address), {})]

    def links_with_ip(self, netns: str, ip: str) -> list[LinkKey]:
        """The links of a namespace that have this IP address."""
        return list(self._by_ip.get((netns, ip), {}))

    @overload
    def at(self, key: RouteKey) -> tuple[Route, ...]: ...

    @overload
    def at(self, key: RuleKey) -> tuple[Rule, ...]: ...

    def at(self, key: RouteKey | RuleKey) -> tuple[Route, ...] | tuple[Rule, ...]:
        """The routes or rules that share a key, in the order of the kernel; none when there are none."""
        if isinstance(key, RouteKey):
            return self.routes.get(key, ())
        return tuple(rule for rule in self.rules.get(key.at, ()) if key.covers(rule.key))

    def routes_through(self, link: LinkKey) -> list[Route]:
        """The routes whose packets leave through a link."""
        return [route for key in self._routes_by_link.get(link, {}) for route in self.routes[key] if link in route.links]

    def routes_matching(self, netns: str, ip: str) -> Iterator[Route]:
        """The routes of all tables whose destination contains an address: the longest prefix, then the lowest metric first."""
        by_length = self._routes_by_destination.get((netns, family_of(ip)), {})
        for length in sorted(by_length, reverse=True):
            keys = by_length[length].get(network(ip, length), {}) if by_length[length] else {}
            for key in sorted(keys, key=lambda key: key.metric):
                yield from self.routes[key]

    def contents_of(self, key: LinkKey) -> LinkContents:
        """What is configured on a link, as far as it was observed."""
        link = self.get(key)
        return LinkContents(
            link.addresses if link else (),
            tuple(self.routes_through(key)),
            self.settings.get(key, {}),
            self.neighbors.get(key, ()),
            self.others.get(key, ()),
        )

    def effective_lower_device(self, key: LinkKey, siblings: Collection[str]) -> LinkKey:
        """The device that a link with this lower device sits on.

        siblings: the kinds that the kernel does not stack: a macvlan on a macvlan sits on the lower device of that one.
        """
        link = self.get(key)
        while link is not None and link.kind in siblings and link.lower_device:
            key = link.lower_device
            link = self.get(key)
        return key


def _put(objects: dict[_Value, _Object], key: _Value, new: _Object | None) -> None:
    if new:
        objects[key] = new
    else:
        objects.pop(key, None)


def _index(index: _Index[_Value, _Member], value: _Value, key: _Member, add: bool) -> None:
    """Add the key of an object that has this value to an index, or delete it."""
    members = index.setdefault(value, {})
    if add:
        members[key] = None
    else:
        members.pop(key, None)


def _grouped(objects: Iterable[_Object], key_of: Callable[[_Object], _Value]) -> dict[_Value, tuple[_Object, ...]]:
    """Objects by their keys, those with the same key in their order."""
    groups: dict[_Value, tuple[_Object, ...]] = {}
    for item in objects:
        groups[key_of(item)] = (*groups.get(key_of(item), ()), item)
    return groups
