# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on the DHCP clients of links."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey, Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._source_routing import SourceRouting
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AwaitLease,
    Request,
    StartClient,
    StopClient,
)


@dataclass(frozen=True)
class ChangeClient(Operation):
    """Start, restart or stop the DHCP client of a link.

    before, after: the client; None: there is none. An `after` that is not running is started again later in the plan, so
    that its lease stays known.
    """

    before: Client | None
    after: Client | None

    is_atomic: ClassVar[bool] = False  # a program that fails to start may leave its files

    @property
    def key(self) -> ClientKey:
        """The client."""
        client = self.after or self.before
        if client is None:
            raise AssertionError("a change of a client names it before or after the change")
        return client.key

    def __str__(self) -> str:
        if self.after is None or not self.after.is_running:
            return f"stop the {self.key}"
        options = ", ".join(describe_options(self.after.options))
        return f"{'start a' if self.before is None or not self.before.is_running else 'restart the'} {self.key}: {options}"

    def predict(self, _state: State) -> Changes:
        """The client itself; what its lease will contain is unknown."""
        return {self.key: self.after}

    def inverse(self) -> tuple[Operation, ...]:
        """The client as it was."""
        return (ChangeClient(self.after, self.before),)

    def requests(self) -> list[Request]:
        """One request."""
        if self.after is None or not self.after.is_running:
            return [StopClient(self.key.link, self.after)]
        return [StartClient(self.after)]


@dataclass(frozen=True)
class WaitForLease(Operation):
    """Wait until the DHCP client of a link has a lease."""

    link: LinkKey
    seconds: float

    @property
    def key(self) -> LinkKey:
        """The link."""
        return self.link

    def __str__(self) -> str:
        return f"wait for the lease of {self.link}"

    def predict(self, state: State) -> Changes:
        """The client has a lease; what that contains is unknown."""
        client = state.clients.get(ClientKey(self.link))
        return {client.key: replace(client, settled=True)} if client is not None else {}

    def inverse(self) -> tuple[Operation, ...]:
        """Nothing to roll back."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [AwaitLease(self.link, self.seconds)]


def describe_options(options: Dhcp4) -> list[str]:
    """The options of a client that differ from their defaults, and the client id, each as it is named in a sentence."""
    defaults = replace(Dhcp4(), client_id="")
    return [
        str(value) if isinstance(value, SourceRouting) else f"{name} {_describe(value)}"
        for name, value in vars(options).items()
        if value != getattr(defaults, name)
    ]


def _describe(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
