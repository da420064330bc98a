# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which links, routes and rules are planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink, DesiredRoute, DesiredRule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._checks import check_itself


@dataclass(frozen=True)
class LinkOrder:
    """The links in the order in which they are planned: first those to delete. exchanged: those that first get a temporary MAC
    address, because they exchange their addresses with others."""

    links: list[DesiredLink]
    exchanged: list[LinkKey]


def ordered_links(items: Sequence[DesiredLink], state: State) -> LinkOrder:
    """First the links to delete, then the others, each after the links that it refers to, and that hold what it is to have.

    Otherwise in the order of the task.
    """
    desired = {item.key: item for item in items if item.present}
    references: dict[LinkKey, list[LinkKey]] = {key: [] for key in desired}
    holders: dict[LinkKey, list[LinkKey]] = {}
    for key, item in desired.items():
        check_itself(item)
        current = state.get(key)
        lower = item.lower_device or (current.lower_device if current else None)
        named = [lower, LinkKey(key.netns, item.controller) if item.controller else None]
        references[key] += [other for other in named if other is not None and other in desired]
        if item.peer and item.is_primary_end:  # it is created together with its peer
            references.setdefault(item.peer, []).append(key)
        kind = kind_of(item.kind or (current.kind if current else ""))
        if kind.holders is not None and lower is not None:
            on = state.effective_lower_device(lower, kind.siblings)
            holders[key] = [other for other in kind.holders(item, on, state) if other in desired and other != key]
    exchanged: list[LinkKey] = []
    while True:
        graph = {
            key: [*references[key], *(other for other in holders.get(key, ()) if other not in exchanged)] for key in references
        }
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            cycle: list[LinkKey] = error.args[1]  # each of them comes before the next
            pairs = [(first, second) for first, second in zip(cycle, cycle[1:]) if first not in exchanged]
            holding = [first for first, second in pairs if first in holders.get(second, ())]
            if not holding or not desired[holding[0]].address:
                raise InvalidValue(f"circular dependency: {' -> '.join(str(key) for key in cycle)}") from error
            exchanged.append(holding[0])
        else:
            removed = [item for item in items if not item.present]
            return LinkOrder(removed + [desired[key] for key in order], exchanged)


def ordered_routing(
    items: Sequence[DesiredRoute | DesiredRule], state: State
) -> tuple[list[DesiredRoute | DesiredRule], list[DesiredRoute | DesiredRule]]:
    """(those to delete, those to create or change): routes without a gateway, those with one, default routes, then rules.

    Those to delete are in the reverse order, so that a rollback creates each of them after what it needs.
    """

    def position(item: DesiredRoute | DesiredRule) -> tuple[bool, bool, bool]:
        if isinstance(item, DesiredRule):
            return True, False, False
        gateways = [item.attributes.get("gateway"), *(route.get("gateway") for route in state.routes.get(item.key, ()))]
        return False, any(gateways), item.key.destination.endswith("/0")

    removed = sorted((item for item in items if not item.present), key=position, reverse=True)
    return removed, sorted((item for item in items if item.present), key=position)
