# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Source routing: a link with a routing table of its own, for packets from its addresses."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, TypedAttributes

LAST_METRIC = 4278198272  # of the unreachable default route: behind every route that a table may have


@dataclass(frozen=True)
class SourceRoute(TypedAttributes):
    """A further route of the table: its key without the table, and its attributes without the link."""

    destination: str
    family: int
    metric: int
    attributes: Attributes


@dataclass(frozen=True)
class SourceRouting:
    """The routing table of a link; table None: the link has none.

    rule_priority: of all rules that look up the table. gateways: of the default routes, one per family. connected_in_main: the
    networks of the addresses are reached by the main table as well.
    """

    table: int | str | None = None  # a name only before the gateway has resolved it
    rule_priority: int = 0
    gateways: tuple[str, ...] = ()
    routes: tuple[SourceRoute, ...] = ()
    connected_in_main: bool = False

    def __str__(self) -> str:
        return "none" if self.table is None else f"table {self.table}, rule_priority {self.rule_priority}"
