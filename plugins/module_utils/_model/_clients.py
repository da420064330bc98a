# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP clients and what they were told to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import Lease
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import (
    LinkKey,
)


@dataclass(frozen=True, order=True)
class ClientKey:
    """What makes a DHCP client itself: the link that it serves."""

    link: LinkKey

    def __str__(self) -> str:
        return f"DHCP client of {self.link}"


@dataclass(frozen=True)
class Dhcp4:
    """What a DHCP client is to do for a link.

    client_id: `none`, `mac`, `duid`, or the bytes of one as `01:52:54:...`. hostname, vendor_class: None sends none.
    table: where the routes of the lease go, with a rule of that priority for packets from its address; None: the address only.
    client: the program that does it; of a wanted one, None where that was not written. use_dns: tell the resolver of its servers.
    """

    enabled: bool = True
    client_id: str = "none"
    hostname: str | None = None
    vendor_class: str | None = None
    table: Any = None  # a name only before the gateway has resolved it
    rule_priority: int | None = None
    metric: int | None = None
    use_routes: bool = True
    client: str | None = None
    use_dns: bool = False


@dataclass(frozen=True)
class Client:
    """The DHCP client of a link: what it was started with, and what it has told.

    lease: what it has, which holds for so many seconds (left). former: leases of which something may still be there. lives:
    whether it runs. fits: whether the link that is there is the one that it was started for, with the same MAC address.
    settled: whether it has a lease, and all that comes of it is there.
    """

    key: ClientKey
    options: Dhcp4
    lease: Lease | None = None
    left: int = 0
    former: tuple[Lease, ...] = ()
    lives: bool = True
    fits: bool = True
    settled: bool = True

    @property
    def serves(self) -> bool:
        """Whether it does what it is there for."""
        return self.lives and self.fits
