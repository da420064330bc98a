# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which links, routes and rules are planned."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink, DesiredRoute, DesiredRule
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._checks import check_itself


def ordered_links(items: Sequence[DesiredLink], state: State) -> list[DesiredLink]:
    """First the links to delete, then the others, each after the links that it refers to; otherwise in the order of the task."""
    desired = {item.key: item for item in items if item.present}
    sorter: TopologicalSorter[LinkKey] = TopologicalSorter()
    for key, item in desired.items():
        check_itself(item)
        current = state.get(key)
        references = [item.lower_device or (current.lower_device if current else None)]
        if item.controller:
            references.append(LinkKey(key.netns, item.controller))
        if item.peer and item.is_primary_end:  # it is created together with its peer
            sorter.add(item.peer, key)
        sorter.add(key, *(other for other in references if other is not None and other in desired))
    try:
        order = list(sorter.static_order())
    except CycleError as error:
        raise InvalidValue(f"circular dependency: {' -> '.join(str(key) for key in error.args[1])}") from error
    return [item for item in items if not item.present] + [desired[key] for key in order]


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
