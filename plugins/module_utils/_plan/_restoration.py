# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which contents can be restored on a link that loses them."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import inside, is_link_local
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, Link, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._routing import Route
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import LinkContents, State
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._routes import must_be_restored
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import DHCP, STATIC, covers, owner


def restorable_contents(key: LinkKey, state: State) -> LinkContents:
    """The contents of a link that can be restored, and that the kernel does not restore itself."""
    contents = state.contents_of(key)
    defaults = {name: value for (netns, which, name), value in state.sysctls.items() if (netns, which) == (key.netns, "default")}
    return LinkContents(
        tuple(address for address in contents.addresses if owner(address) in (STATIC, DHCP)),
        tuple(route for route in contents.routes if must_be_restored(route)),
        {name: value for name, value in contents.sysctls.items() if defaults.get(name) != value},
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
