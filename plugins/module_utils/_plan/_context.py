# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every phase of planning knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Situation
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import describe_attribute
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import (
    Desired,
    DesiredKey,
    DesiredLink,
    DesiredNetns,
    DesiredRoute,
    DesiredRule,
    merge,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._order import ordered_links, ordered_routing
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._references import with_kept_altnames
from ansible_collections.patchbay.netdev.plugins.module_utils._plan._source_routing import (
    check_tables,
    routing_changes,
    with_source_routing,
)


@dataclass(frozen=True)
class Context:
    """The desired state, the current one, and what has been planned so far.

    current: the state as observed. predicted: the state after all operations planned so far; the planner updates it after each.
    links: in the order in which they are planned. desired: those that are to be present, by key. removed: the keys of all
    objects that are to be absent, with the links in namespaces that are. removed_routing, desired_routing: routes and rules,
    those of source routing and of leases too, in the order in which they are planned. exchanged: see LinkOrder. situations: of
    the links planned so far; warnings about their options depend on the complete plan.
    """

    current: State
    predicted: State
    links: Sequence[DesiredLink]
    desired: Mapping[LinkKey, DesiredLink]
    namespaces: Sequence[DesiredNetns]
    removed: Collection[DesiredKey]
    removed_routing: Sequence[DesiredRoute | DesiredRule]
    desired_routing: Sequence[DesiredRoute | DesiredRule]
    exchanged: Sequence[LinkKey]
    situations: list[Situation] = field(default_factory=list)
    _warnings: dict[str, None] = field(default_factory=dict)

    @property
    def present_links(self) -> list[DesiredLink]:
        """The links that are to be present, in the order in which they are planned."""
        return [item for item in self.links if item.present]

    @property
    def warnings(self) -> tuple[str, ...]:
        """All warnings, in order."""
        return tuple(self._warnings)

    def warn(self, sentence: str) -> None:
        """Add a warning, unless it has been given already."""
        self._warnings[sentence] = None


def prepare(items: Sequence[Desired], current: State) -> Context:
    """The context to start from; InvalidValue where the desired state contradicts itself."""
    items = merge(items, describe_attribute)
    namespaces = [item for item in items if isinstance(item, DesiredNetns)]
    removed_namespaces = {item.key.name for item in namespaces if not item.present}
    for item in items:
        if not isinstance(item, DesiredNetns) and item.present and item.key.netns in removed_namespaces:
            raise InvalidValue(f"{item.key}: the same task deletes its namespace. Remove one of the two entries")
    removed: set[DesiredKey] = {item.key for item in items if not item.present}
    removed |= {link.key for link in current if link.key.netns in removed_namespaces}
    clients = (client.key.link for client in current.clients.values())  # they may outlive a namespace that others deleted
    removed |= {link for link in clients if link.netns in removed_namespaces}
    order = ordered_links(
        [with_source_routing(with_kept_altnames(item, current), current) for item in items if isinstance(item, DesiredLink)],
        current,
    )
    links = order.links
    check_tables(links, removed, current)
    routing = [item for item in items if isinstance(item, (DesiredRoute, DesiredRule))]
    listed = {item.key for item in routing}
    derived = [item for item in routing_changes(links, removed, current) if item.key not in listed]
    removed_routing, desired_routing = ordered_routing([*routing, *derived], current)
    return Context(
        current,
        current.copy(),
        links,
        {item.key: item for item in links if item.present},
        namespaces,
        removed,
        removed_routing,
        desired_routing,
        order.exchanged,
    )
