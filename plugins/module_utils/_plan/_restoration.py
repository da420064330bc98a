# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What links lose while a plan changes them, and what of it can be restored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredKey, DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import inside, is_link_local
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ipv6 import (
    IPV6_MINIMUM_MTU,
    has_ipv6,
    is_without_ipv6,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import LinkContents, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._contents import RestoreContents
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import Rename, by_renamed_link
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routes import must_be_restored
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import DHCP, STATIC, covers, identity, owner


def restorable_contents(key: LinkKey, state: State) -> LinkContents:
    """The contents of a link that can be restored, and that the kernel does not restore itself."""
    contents = state.contents_of(key)
    defaults = {name: value for (netns, which, name), value in state.sysctls.items() if (netns, which) == (key.netns, "default")}
    return LinkContents(
        tuple(address for address in contents.addresses if owner(address) in (STATIC, DHCP)),
        tuple(route for route in contents.routes if must_be_restored(route)),
        {name: value for name, value in contents.sysctls.items() if defaults.get(name) != value},
        contents.neighbors,
    )


def interrupted_routes(routes: Sequence[Route], link: Link | None, state: State) -> tuple[Route, ...]:
    """The routes that were removed because an address was replaced, and that the kernel would accept again."""
    addresses = link.addresses if link is not None and link.admin_state == "up" else ()
    families = {address.family for address in addresses}
    removed = [
        route for route in routes if must_be_restored(route) and route.key not in state.routes and route.key.family in families
    ]
    return tuple(route for route in removed if is_restorable(route, removed, addresses, state))


def is_restorable(route: Route, restored: Sequence[Route], addresses: Sequence[Address], state: State) -> bool:
    """Whether the kernel would accept a route by a link with these addresses, together with the other restored routes."""
    gateway, source = route.gateway, route.source
    if source and source not in {address.ip for address in addresses} and not state.links_with_ip(route.key.netns, source):
        return False
    direct = [other.key.destination for other in restored if not other.get("gateway")]
    return (
        gateway is None
        or bool(route.get("onlink"))
        or is_link_local(gateway)
        or covers(tuple(addresses), gateway)
        or any(inside(gateway, destination) for destination in direct)
    )


class Losses:
    """What existing links lose to the operations of a plan, until it is restored or the plan is complete.

    desired, removed: see Context. They say which of the losses are intended.
    """

    def __init__(self, desired: Mapping[LinkKey, DesiredLink], removed: Collection[DesiredKey], state: State) -> None:
        """Nothing is lost yet. state: as predicted, which the planner updates after each operation."""
        self._desired = desired
        self._removed = removed
        self._state = state
        self._lost: dict[LinkKey, LinkContents] = {}

    def expect(self, operation: Operation, losing: Collection[LinkKey], losing_neighbors: Collection[LinkKey]) -> None:
        """Remember what links will lose. Called before the operation is predicted."""
        for key in sorted(losing):
            contents, former = restorable_contents(key, self._state), self._lost.get(key, LinkContents())
            addresses = (*former.addresses, *(one for one in contents.addresses if one not in former.addresses))
            routes = (*former.routes, *(one for one in contents.routes if one not in former.routes))
            self._lost[key] = LinkContents(addresses, routes, neighbors=former.neighbors)
        for key in sorted(losing_neighbors):
            self._lost[key] = replace(self._lost.get(key, LinkContents()), neighbors=self._state.neighbors.get(key, ()))
        if isinstance(operation, Rename) and operation.key in self._lost:
            new, contents = replace(operation.key, name=operation.name), self._lost.pop(operation.key)
            routes = tuple(by_renamed_link(route, operation.key, operation.name) for route in contents.routes)
            self._lost[new] = replace(contents, routes=routes)

    def restore(self, changed: Iterable[LinkKey]) -> Iterator[Operation]:
        """Restore what links lost, on those that an operation changed and that are up. Called after it is predicted."""
        for key in [key for key in changed if key in self._lost]:
            link = self._state.get(key)
            if link is None:  # its deletion has its contents, for what creates it again
                del self._lost[key]
            elif link.admin_state == "up":
                lost = self._missing(link)
                families = (4,) if is_without_ipv6(link.attributes) else (4, 6)
                addresses = tuple(address for address in lost.addresses if address.family in families)
                neighbors = tuple(neighbor for neighbor in lost.neighbors if neighbor.family in families)
                present = (*link.addresses, *addresses)
                routes = tuple(
                    route
                    for route in lost.routes
                    if route.key.family in families and is_restorable(route, lost.routes, present, self._state)
                )
                self._lost[key] = replace(self._lost[key], neighbors=tuple(one for one in lost.neighbors if one not in neighbors))
                if addresses or routes or neighbors:
                    yield RestoreContents(key, addresses, routes, neighbors=neighbors)

    def warnings(self) -> Iterator[str]:
        """A sentence for each link that stays without what it lost. Called when the plan is complete."""
        for key in self._lost:
            link = self._state.get(key)
            lost = self._missing(link) if link is not None else LinkContents()
            words = [*map(str, lost.addresses), *(f"the {item}" for item in (*lost.neighbors, *lost.routes))]
            if link is not None and words:
                yield f"{key}: loses {', '.join(words)} ({_reason(link)})"

    def _missing(self, link: Link) -> LinkContents:
        """What was lost, is not there now, and is not to be removed by the task."""
        contents, item = self._lost[link.key], self._desired.get(link.key)
        present = {identity(address) for address in link.addresses}
        desired = None
        if item is not None and "addresses" in item.attributes:
            desired = {identity(address) for address in item.addresses}
        addresses = tuple(
            address
            for address in contents.addresses
            if identity(address) not in present and (desired is None or owner(address) != STATIC or identity(address) in desired)
        )
        routes = tuple(
            route
            for route in contents.routes
            if route.key not in self._removed and route not in self._state.routes.get(route.key, ())
        )
        return LinkContents(addresses, routes, neighbors=contents.neighbors)


def _reason(link: Link) -> str:
    if link.admin_state != "up":
        return "the link is set down"
    if not has_ipv6(link.mtu):
        return f"an MTU below {IPV6_MINIMUM_MTU} removes IPv6"
    if is_without_ipv6(link.attributes):
        return "IPv6 is disabled"
    return "the kernel would not accept it any more"
