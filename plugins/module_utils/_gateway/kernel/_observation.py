# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of the kernel: links with their settings, addresses, routes and rules. Nothing here changes anything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._namespace_files import exists
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _codec as codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _devices as devices
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _named_namespaces as named_namespaces
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._address_messages import read_address, with_origin
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._link_messages import RawLink
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._neighbors import read_neighbors, read_others
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import NetlinkError
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._routing_messages import read_route, read_rule
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import Missing, NotPermitted, RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import AF
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import HERE, Address, Link, LinkKey, Neighbor, Netns
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import LOCAL_TABLE, RTPROT_KERNEL, Route, Rule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope

_RTM_TABLE = 20  # the offset of rtm_table in a message; rtm_protocol follows it (linux/rtnetlink.h)
_DYING_STEP, _DYING_STEPS = 0.01, 20  # a dying namespace was seen to take 10 to 70 ms
# Settings that cannot be restored: the kernel derives them, keeps them elsewhere, or lets nobody write them.
_NOT_RESTORABLE = ("ipv4.mc_forwarding", "ipv6.mc_forwarding", "ipv6.mtu", "ipv6.addr_gen_mode", "ipv6.stable_secret")


@dataclass
class Observation:
    """What was read. sysctls, settings, neighbors, others: see State.

    unreadable: namespaces that could not be read without privileges. identities: of the namespaces whose routing was read.
    """

    links: list[Link] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    sysctls: dict[tuple[str, str, str], int | None] = field(default_factory=dict)
    settings: dict[LinkKey, dict[str, int]] = field(default_factory=dict)
    neighbors: dict[LinkKey, tuple[Neighbor, ...]] = field(default_factory=dict)
    others: dict[LinkKey, tuple[str, ...]] = field(default_factory=dict)
    namespaces: list[Netns] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    identities: dict[str, tuple[int, int]] = field(default_factory=dict)


class Observer:
    """Reads, and remembers which links refer to a namespace without a name, so that each of them is waited for only once."""

    def __init__(self, kernel: Kernel) -> None:
        """Nothing is known yet."""
        self._kernel = kernel
        self._unresolvable: set[LinkKey] = set()

    def observe(self, scope: Scope) -> Observation:
        """Every link of the namespaces that the scope touches, and of those in which the lower devices of its links are."""
        try:
            return self._observe(scope)
        except NetlinkError as error:
            raise RequestFailed(f"the links cannot be read: {error.text}", error.errno, error.text) from error

    def _observe(self, scope: Scope) -> Observation:
        observation = Observation()
        references = _References(self._kernel)
        self._read_links(scope, references)
        for netns, raw in references.links.items():
            namespace = self._kernel.namespace(netns)
            addresses: dict[int, list[Address]] = {}
            reads_routing = netns in scope.routing
            if reads_routing:
                observation.identities[netns] = namespace.identity
                addresses = _read_addresses(self._kernel, netns, raw)
                observation.routes += read_routes(self._kernel, netns, raw)
                observation.rules += read_rules(self._kernel, netns)
            for link in raw.values():
                key = LinkKey(netns, link.name)
                values = references.of(netns, link)
                if reads_routing:
                    values["addresses"] = tuple(addresses.get(link.index, ()))
                if key in scope.sysctls:
                    values["sysctls"] = {
                        setting: namespace.sysctls.read(link.name, setting) for setting in sorted(scope.sysctls[key])
                    }
                if netns == HERE:
                    values["wireless"] = devices.is_wireless(link.name)
                if kind_of(link.kind).has_node:
                    values.update(devices.read_node(link.index, namespace.device_numbers().get(link.name)))
                observation.links.append(link.link(key, values))
        existing = {link.key for link in observation.links}
        observation.settings = {key: self._settings_of(key) for key in sorted(scope.settings & existing)}
        for netns, raw in references.links.items():
            keys = {index: LinkKey(netns, link.name) for index, link in raw.items()}
            self._read_belongings(observation, scope, netns, keys)
        observation.sysctls = self._general_sysctls(scope, observation.settings)
        observation.unreadable = references.unreadable
        observation.namespaces = [netns for netns in map(named_namespaces.read, sorted(scope.optional_namespaces)) if netns]
        return observation

    def _read_belongings(self, observation: Observation, scope: Scope, netns: str, keys: Mapping[int, LinkKey]) -> None:
        """Permanent neighbors, and what cannot be restored, of the links of a namespace that may lose them."""
        losing = {index for index, key in keys.items() if key in scope.settings}
        at_risk = {index for index, key in keys.items() if key in scope.neighbors} | losing
        for index, neighbor in read_neighbors(self._kernel, netns) if at_risk else ():
            if index in at_risk:
                observation.neighbors[keys[index]] = (*observation.neighbors.get(keys[index], ()), neighbor)
        for index, other in read_others(self._kernel, netns, losing) if losing else ():
            observation.others[keys[index]] = (*observation.others.get(keys[index], ()), other)

    def _read_links(self, scope: Scope, references: _References) -> None:
        names = sorted({key.netns for key in scope.links | scope.settings} | scope.namespaces | scope.routing)
        names = [name for name in names if name not in scope.optional_namespaces | scope.tolerated or exists(name)]
        required = {key.netns for key in scope.links}
        to_read = list(dict.fromkeys(self._kernel.namespace(name).name for name in names))
        while to_read:
            netns = to_read.pop(0)
            try:
                raw = self._stable_links(netns, scope, references)
            except (NotPermitted, Missing) as error:
                if netns in required:
                    raise
                if isinstance(error, NotPermitted):
                    references.unreadable.append(netns)
                continue
            references.links[netns] = raw
            self._kernel.namespace(netns).forget_device_numbers()
            self._kernel.remember_indexes(netns, {LinkKey(netns, link.name): link.index for link in raw.values()})
            for link in raw.values():
                if link.lower and link.lower[1] is not None and LinkKey(netns, link.name) in scope.links:
                    elsewhere = references.namespace(netns, link.lower[1])
                    if elsewhere is not None and elsewhere not in references.links and elsewhere not in to_read:
                        to_read.append(elsewhere)

    def _stable_links(self, netns: str, scope: Scope, references: _References) -> dict[int, RawLink]:
        """The links of a namespace, as soon as those are gone whose other end is in a dying namespace.

        A namespace without a name may exist for ever (a container's), so the wait has an end, and is not repeated.
        """
        for step in range(_DYING_STEPS):
            links = self._kernel.dump_links(netns)
            unresolved = {
                LinkKey(netns, link.name)
                for link in links.values()
                if link.lower
                and link.lower[1] is not None
                and LinkKey(netns, link.name) in scope.links
                and references.namespace(netns, link.lower[1]) is None
            }
            if unresolved <= self._unresolvable:
                break
            if step + 1 < _DYING_STEPS:
                time.sleep(_DYING_STEP)
        self._unresolvable |= unresolved
        return links

    def _general_sysctls(
        self, scope: Scope, settings: Mapping[LinkKey, Mapping[str, int]]
    ) -> dict[tuple[str, str, str], int | None]:
        """Those of `all` and `default`, for every setting that was read of a link."""
        names = {
            (key.netns, setting)
            for settings_by_link in (scope.sysctls, settings)
            for key, values in settings_by_link.items()
            for setting in values
        }
        return {
            (netns, target, setting): self._kernel.namespace(netns).sysctls.read(target, setting)
            for netns, setting in sorted(names)
            if netns not in scope.optional_namespaces | scope.tolerated or exists(netns)
            for target in ("all", "default")
        }

    def _settings_of(self, key: LinkKey) -> dict[str, int]:
        """All settings of one link."""
        sysctls = self._kernel.namespace(key.netns).sysctls
        values = {name: sysctls.read(key.name, name) for name in sorted(sysctls.names(key.name)) if name not in _NOT_RESTORABLE}
        return {name: value for name, value in values.items() if value is not None}


class _References:
    """The links of some namespaces, and the keys of the links that they refer to by number."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.links: dict[str, dict[int, RawLink]] = {}
        self.unreadable: list[str] = []
        self._names: dict[str, dict[int, str]] = {}  # by namespace, then by its numbers for others
        self._unasked: dict[str, Iterator[tuple[int, str]]] = {}  # by namespace: those whose numbers it was not asked for yet

    def of(self, netns: str, link: RawLink) -> dict[str, Any]:
        """The attributes of a link that name others."""
        here = self.links[netns]
        values: dict[str, Any] = {
            name: here[index].name if index in here else f"(link {index})" for name, index in link.numbers.items()
        }
        if link.lower is None:
            return values
        index, number = link.lower
        name = netns if number is None else self.namespace(netns, number)
        if name is None:  # a namespace that has no name
            values[link.reference] = LinkKey(f"(unnamed namespace {number})", f"(link {index})")
        elif name in self.links:
            lower = self.links[name].get(index)
            values[link.reference] = LinkKey(name, lower.name) if lower else None
        else:
            values[link.reference] = LinkKey(name, self._name_in(name, index) or f"(link {index})")
        return values

    def _name_in(self, netns: str, index: int) -> str | None:
        try:
            return self._kernel.name_by_index(netns, index)
        except NotPermitted:
            return None

    def namespace(self, netns: str, number: int) -> str | None:
        """The name of the namespace that has this number in another one; None if it has no name."""
        names = self._names.setdefault(netns, {})
        unasked = self._unasked.setdefault(netns, self._numbered(netns))
        while number not in names:  # each namespace is asked about once, and most links refer to one of the first
            found = next(unasked, None)
            if found is None:
                return None
            names.setdefault(*found)
        return names[number]

    def _numbered(self, netns: str) -> Iterator[tuple[int, str]]:
        """The number that each namespace has in this one, and its name."""
        here = self._kernel.namespace(netns)
        for name in dict.fromkeys([*self._kernel.known_namespaces(), *self._kernel.all_namespaces()]):
            with contextlib.suppress(Missing):  # others have deleted it meanwhile
                number = here.number_of(self._kernel.namespace(name))
                if number is not None:
                    yield number, name


def _read_addresses(kernel: Kernel, netns: str, links: Mapping[int, RawLink]) -> dict[int, list[Address]]:
    """By index of the link, in the order of the kernel: of IPv4, the primary ones first."""
    addresses: dict[int, list[Address]] = {}
    for message in kernel.dump(netns, kernel.codec.address, codec.RTM_GETADDR, {}):
        index = message["index"]
        addresses.setdefault(index, []).append(read_address(message, links[index].name if index in links else ""))
    if not any(address.protocol for of_link in addresses.values() for address in of_link):
        for index in addresses.keys() & links.keys():
            mode = links[index].attributes.get("address_generation_mode")
            addresses[index] = with_origin(addresses[index], mode if isinstance(mode, int) else None)
    return addresses


def read_routes(kernel: Kernel, netns: str, links: Mapping[int, RawLink]) -> list[Route]:
    """The routes of all tables, but for those that the kernel derives from addresses, which are most of them."""

    def name_of(index: int) -> str:
        return links[index].name if index in links else f"(link {index})"

    routes = []
    message = kernel.codec.route
    for family in AF.values():
        for part in kernel.dump_bytes(netns, message, codec.RTM_GETROUTE, {"family": family}):
            table, protocol = part[_RTM_TABLE : _RTM_TABLE + 2]  # compared before the costly decoding
            if (table, protocol) != (LOCAL_TABLE, RTPROT_KERNEL):
                routes.append(read_route(kernel.codec.decode(message, part), part, netns, name_of))
    return routes


def read_rules(kernel: Kernel, netns: str, *families: int) -> list[Rule]:
    """The policy rules of a namespace, in the order of the kernel: those of these families (4, 6), or all of them."""
    return [
        read_rule(message, netns)
        for family in families or AF
        for message in kernel.dump(netns, kernel.codec.rule, codec.RTM_GETRULE, {"family": AF[family]})
    ]
