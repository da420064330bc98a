# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import (
    Attributes,
)


@dataclass(frozen=True)
class Wanted:
    """One desired object; `attributes` are those that were written, in normal form.

    kind None: a view of whatever link is there, which is neither created nor deleted.
    asserted: attributes that have to be so already, and are not changed.
    leads: of the two ends of a pair, the one that is planned first.
    force: a namespace goes although processes live in it.
    allow_wireless: a lower device may be wireless.
    wait_dad: how many seconds to wait for the end of duplicate address detection; announce: whether to announce addresses.
    persist: what is to be at the next boot: `none`, or by which backend it comes back (`replay`, `networkd`); None: as it is.
    dhcp4: what a DHCP client is to do for the link; wait_lease: how many seconds to wait for its lease. client: the program that
    serves, which the gateway finds where that is not known: what was written, what serves the link now, or what the host has.
    origin: where in the input it was written, for error messages.
    """

    key: Any  # LinkKey; NetnsKey, RouteKey or RuleKey with kind "netns", "route" or "rule"
    kind: str | None
    present: bool
    attributes: Attributes
    recreate: bool = False
    lower_device_state: str | None = None
    asserted: Attributes = field(default_factory=dict)
    leads: bool = False
    force: bool = False
    allow_wireless: bool = False
    wait_dad: float | None = None
    announce: bool = False
    persist: str | None = None
    dhcp4: Dhcp4 | None = None
    wait_lease: float | None = None
    client: str | None = None
    origin: str = ""
