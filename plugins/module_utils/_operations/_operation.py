# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the planner, the loop and the runner can ask of every operation of a plan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._rows import Store
from ansible_collections.patchbay.netdev.plugins.module_utils._kinds._table import kind_of
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Attributes, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import Request

# By key: a Link, a Netns, a Client, or all routes or rules with that key; None: deleted. The type of a value follows from that of
# its key, which a mapping cannot express.
Changes = Mapping[Any, Any]


class Operation(ABC):
    """One operation of a plan: it describes itself, predicts its effect, names its inverse and lists its requests. Pure.

    is_atomic: false if it may have changed something although its first request failed.
    """

    is_atomic: ClassVar[bool] = True

    @abstractmethod
    def __str__(self) -> str:
        """The sentence that users read, the same in check mode and in a real run."""

    @abstractmethod
    def predict(self, state: State) -> Changes:
        """The objects that change, as they are afterwards, with what the kernel changes on other links.

        The routes that appear and disappear with links and addresses are added by `predicted_changes`.
        """

    @abstractmethod
    def inverse(self) -> tuple[Operation, ...]:
        """The operations that roll this one back, in order."""

    @abstractmethod
    def requests(self) -> list[Request]:
        """The requests to the host, in order."""

    def loses_contents_of(self, _state: State) -> frozenset[LinkKey]:
        """The links that lose addresses, routes or settings, so that these are read before the operation runs."""
        return frozenset()

    def loses_only_neighbors_of(self, _state: State) -> frozenset[LinkKey]:
        """The links that lose their permanent neighbors, but nothing else."""
        return frozenset()

    def affects_links_above(self) -> bool:
        """Whether the kernel changes what sits on its link, in whichever namespace, though nothing of that loses contents."""
        return False


def describe(kind: str, attributes: Attributes) -> list[str]:
    """These attributes of a link of this kind, of a route or of a rule, each as it is named in a sentence."""
    return [
        row.type.describe(attributes[row.name])
        if row.store is Store.SYSCTL
        else f"{row.name} {row.type.describe(attributes[row.name])}"
        for row in kind_of(kind).rows(attributes)
        if attributes[row.name] != {}
    ]
