# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP clients and their options."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import Lease
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRouting


@dataclass(frozen=True, order=True)
class ClientKey:
    """The identity of a DHCP client: the link that it serves."""

    link: LinkKey

    def __str__(self) -> str:
        return f"DHCP client of {self.link}"


@dataclass(frozen=True)
class Dhcp4:
    """What a DHCP client does for a link.

    client_id: `none`, `mac`, `duid`, or the bytes of one as `01:52:54:...`. hostname, vendor_class: None sends none.
    source_routing: that of the link, whose table gets the routes of the lease. use_main_table: the main table gets them; with
    neither, the lease gives the address only. client: the program; None where the option is omitted. use_dns: the DNS servers of
    the lease are used.
    """

    enabled: bool = True
    client_id: str = "none"
    hostname: str | None = None
    vendor_class: str | None = None
    source_routing: SourceRouting | None = None
    use_main_table: bool = False
    metric: int | None = None
    use_routes: bool = True
    client: str | None = None
    use_dns: bool = False


@dataclass(frozen=True)
class Client:
    """The DHCP client of a link: the options that it was started with, and what it has reported.

    lease: the current lease, valid for seconds_left. former: earlier leases of which addresses or routes may
    remain. is_running: whether its process runs. matches_link: whether the link is still the one that it was started for, with
    the same MAC address. settled: whether it has a lease that is applied.
    """

    key: ClientKey
    options: Dhcp4
    lease: Lease | None = None
    seconds_left: int = 0
    former: tuple[Lease, ...] = ()
    is_running: bool = True
    matches_link: bool = True
    settled: bool = True

    @property
    def is_serving(self) -> bool:
        """Whether it runs for the link that exists."""
        return self.is_running and self.matches_link
