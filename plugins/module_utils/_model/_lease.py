# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DHCP lease, and where the record of a client is. Light: each renewal of a lease loads it."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._model._file_names import escaped, netns_prefix

FOLDER = "/run/patchbay/dhcp"  # the records of the clients, which last until the next boot
FOREVER = 0xFFFFFFFF  # RFC 2131: infinity, and for the kernel an address without a lifetime
ON_LINK = "0.0.0.0"  # RFC 3442: the gateway of a route to a network that is on the link itself


@dataclass(frozen=True)
class Lease:
    """What a DHCP server granted to a link.

    routes: (destination, gateway) of option 121, the gateway ON_LINK for none; a client that gets any ignores the routers
    (RFC 3442). seconds: how long the lease is valid.
    """

    ip: str
    prefix_length: int
    routers: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    dns: tuple[str, ...] = ()
    domain: str = ""
    server: str = ""
    seconds: int = FOREVER

    @property
    def effective_routes(self) -> tuple[tuple[str, str], ...]:
        """(destination, gateway) of the routes that the lease asks for, beside the one to its own network."""
        return self.routes or tuple(("0.0.0.0/0", router) for router in self.routers[:1])

    def same_as(self, other: Lease | None) -> bool:
        """Whether the other lease differs at most in its time."""
        return other is not None and {**vars(self), "seconds": 0} == {**vars(other), "seconds": 0}

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefix_length}"


def record_path(netns: str, link: str) -> str:
    """The path of the record of a link's client."""
    return f"{FOLDER}/{netns_prefix(netns)}{escaped(link)}.json"
