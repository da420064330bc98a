# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every step of a plan can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import Request

Changes = Mapping[Any, Any]  # by key: a Link, a Netns, the routes or the rules that have it; None: gone


class Operation(ABC):
    """One step of a plan: it can say itself, predict what it does, name its inverse, and say its requests as data. Pure."""

    @abstractmethod
    def __str__(self) -> str:
        """The sentence that the user reads, the same in check mode and in the real run."""

    @abstractmethod
    def predict(self, state: State) -> Changes:
        """Each link afterwards, with what the kernel changes on others along with it; what becomes of routes, `outcome` adds."""

    @abstractmethod
    def inverse(self) -> tuple[Operation, ...]:
        """The operations that take it back."""

    @abstractmethod
    def requests(self) -> list[Request]:
        """What is asked of the kernel, in order."""

    def loses_contents_of(self, _state: State) -> frozenset[LinkKey]:
        """The links whose addresses and routes it takes with it, so that they are read before it runs: mostly none."""
        return frozenset()


def describe(kind: str, attributes: Attributes) -> list[str]:
    """These attributes of a link of this kind, a route or a rule, as they stand in a sentence."""
    return [
        row.type.describe(attributes[row.name])
        if row.store is Store.SYSCTL
        else f"{row.name} {row.type.describe(attributes[row.name])}"
        for row in kind_of(kind).rows(attributes)
        if attributes[row.name] != {}
    ]
