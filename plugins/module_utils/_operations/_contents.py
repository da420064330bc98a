# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation that puts back what a link has lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, LinkKey, Neighbor
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._addresses import DAD_SECONDS
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    AddNeighbor,
    AddRoute,
    AwaitAddresses,
    RemoveAddress,
    ReplaceRoute,
    Request,
    WriteSysctl,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import as_added, identity, in_order_of_adding


@dataclass(frozen=True)
class RestoreContents(Operation):
    """Put back the settings, addresses and routes that a link lost when it was recreated or was down in between.

    readd: addresses that the link has, but in another order than before: they are removed and added again.
    """

    key: LinkKey
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, int] = field(default_factory=dict)
    readd: tuple[Address, ...] = ()
    neighbors: tuple[Neighbor, ...] = ()

    def __str__(self) -> str:
        parts = [f"{name} {value}" for name, value in self.sysctls.items()]
        parts += [str(item) for item in (*self.addresses, *self.neighbors, *self.routes, *self.readd)]
        return f"restore on {self.key}: {', '.join(parts)}"

    def predict(self, state: State) -> Changes:
        """The link with its addresses; `predicted_changes` adds its routes."""
        link = state.get(self.key)
        if link is None or not self.addresses:
            return {}
        addresses = {identity(address): address for address in link.addresses}
        addresses.update({identity(address): as_added(address) for address in self.addresses})
        return {self.key: link.with_attributes({"addresses": tuple(addresses.values())})}

    def inverse(self) -> tuple[Operation, ...]:
        """Nothing to roll back: what was restored disappears with the link."""
        return ()

    def requests(self) -> list[Request]:
        """Settings and addresses first, then routes without a gateway, then those with one. Neighbors follow the addresses."""
        settings = [WriteSysctl(self.key, name, value) for name, value in self.sysctls.items()]
        addresses: list[Request] = [RemoveAddress(self.key, address) for address in reversed(self.readd)]
        addresses += [AddAddress(self.key, address) for address in (*in_order_of_adding(self.addresses), *self.readd)]
        # A route that lost its IPv6 source may still be there without it, so it is replaced; and the kernel accepts no source
        # that is still tentative.
        sources = tuple(dict.fromkeys(route.source for route in self.routes if route.source and _has_ipv6_source(route)))
        waiting = [AwaitAddresses(self.key, sources, DAD_SECONDS)] if sources else []
        ordered = sorted(self.routes, key=lambda route: route.get("gateway") is not None)
        routes = [ReplaceRoute(route) if _has_ipv6_source(route) else AddRoute(route) for route in ordered]
        neighbors = [AddNeighbor(self.key, neighbor) for neighbor in self.neighbors]
        return [*settings, *addresses, *neighbors, *waiting, *routes]


def _has_ipv6_source(route: Route) -> bool:
    return route.key.family == 6 and bool(route.get("source"))
