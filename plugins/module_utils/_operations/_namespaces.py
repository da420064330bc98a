# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations that create and delete named network namespaces."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import (
    LEFT_BEHIND,
    PHYSICAL,
    Link,
    LinkKey,
    Netns,
    NetnsKey,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._links import UpdateLink
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import NewNetns, RemoveNetns, Request


@dataclass(frozen=True)
class CreateNetns(Operation):
    """Create a named network namespace.

    left_behind: create only the empty file that remains of a namespace whose mount is gone, to roll its deletion back.
    """

    key: NetnsKey
    left_behind: bool = False

    def __str__(self) -> str:
        return f"create {self.key}"

    def predict(self, _state: State) -> Changes:
        """The namespace with its loopback device."""
        if self.left_behind:
            return {self.key: Netns(self.key, obstacle=LEFT_BEHIND)}
        loopback = Link(LinkKey(self.key.name, "lo"), PHYSICAL, {"admin_state": "down"}, ethernet=False)
        return {self.key: Netns(self.key), loopback.key: loopback}

    def inverse(self) -> tuple[Operation, ...]:
        """Delete it."""
        return (DeleteNetns(self.key, left_behind=self.left_behind),)

    def requests(self) -> list[Request]:
        """One request."""
        return [NewNetns(self.key.name, self.left_behind)]


@dataclass(frozen=True)
class DeleteNetns(Operation):
    """Delete the name of a network namespace. Earlier operations of the plan delete the links in it, so that each can come back.

    loopback_up: whether the loopback device is up. left_behind: only the empty file of a former namespace is there.
    """

    key: NetnsKey
    loopback_up: bool = False
    left_behind: bool = False

    def __str__(self) -> str:
        return f"delete {self.key}"

    def predict(self, state: State) -> Changes:
        """The namespace is gone, and all links that are left in it."""
        return {self.key: None, **{link.key: None for link in state if link.key.netns == self.key.name}}

    def inverse(self) -> tuple[Operation, ...]:
        """Create it again, empty; the inverses of the deletions of its links create these."""
        loopback = Link(LinkKey(self.key.name, "lo"), PHYSICAL, {"admin_state": "down"})
        return (
            CreateNetns(self.key, self.left_behind),
            *([UpdateLink(loopback, {"admin_state": "up"})] if self.loopback_up else []),
        )

    def loses_contents_of(self, state: State) -> frozenset[LinkKey]:
        """The links that are still in it: at least its loopback device, and with that its routes and rules."""
        return frozenset(link.key for link in state if link.key.netns == self.key.name)

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveNetns(self.key.name, self.left_behind)]
