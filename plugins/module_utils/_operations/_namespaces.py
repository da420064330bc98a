# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that make and delete named network namespaces."""

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
    """Make a named network namespace; left_behind: only put the file back that was left behind of one."""

    key: NetnsKey
    left_behind: bool = False

    def __str__(self) -> str:
        return f"create {self.key}"

    def predict(self, _state: State) -> Changes:
        """It is there, with a loopback device."""
        if self.left_behind:
            return {self.key: Netns(self.key, instead=LEFT_BEHIND)}
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
    """Take the name of a network namespace away. The plan deletes the links in it before, each so that it can be made again.

    loopback: whether its loopback device is up. left_behind: all that is there is a file that was left behind of it.
    """

    key: NetnsKey
    loopback: bool = False
    left_behind: bool = False

    def __str__(self) -> str:
        return f"delete {self.key}"

    def predict(self, state: State) -> Changes:
        """It is gone, with whatever is left in it."""
        return {self.key: None, **{link.key: None for link in state if link.key.netns == self.key.name}}

    def inverse(self) -> tuple[Operation, ...]:
        """Make it again, empty; the links come back by the inverses of their own deletions."""
        loopback = Link(LinkKey(self.key.name, "lo"), PHYSICAL, {"admin_state": "down"})
        return (
            CreateNetns(self.key, self.left_behind),
            *([UpdateLink(loopback, {"admin_state": "up"})] if self.loopback else []),
        )

    def requests(self) -> list[Request]:
        """One request."""
        return [RemoveNetns(self.key.name, self.left_behind)]
