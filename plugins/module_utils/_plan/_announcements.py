# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes new addresses usable: waiting for duplicate address detection, and announcing them to the neighbors."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Link
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._addresses import (
    DAD_SECONDS,
    Announce,
    WaitForAddresses,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import NODAD, STATIC, address_changes, owner


def announce_addresses(item: DesiredLink, before: Link | None, state: State) -> Iterator[Operation]:
    """Wait for the new addresses of a link and announce them, as its policy demands.

    before: the link before it was changed; None: it was created. All addresses of a link that has come up, or that has a new
    MAC, are new.
    """
    link = state.get(item.key)
    announces = item.policy.announce and link is not None and link.ethernet  # without Ethernet nobody resolves addresses
    if link is None or link.admin_state != "up" or not (announces or item.policy.wait_dad):
        return
    all_new = before is None or any(before.get(name) != link.get(name) for name in ("admin_state", "address"))
    old = () if all_new or before is None else before.addresses
    difference = address_changes(old, tuple(address for address in link.addresses if owner(address) == STATIC))
    new = [*difference.add, *(after for _before, after in difference.readd)]
    checked = tuple(address.ip for address in new if address.family == 6 and not address.flags & NODAD)
    if checked:
        yield WaitForAddresses(item.key, checked, item.policy.wait_dad or DAD_SECONDS)
    if announces and new:
        yield Announce(item.key, tuple(address.ip for address in new))
