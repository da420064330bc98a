# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that are about the DHCP clients of links."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey, Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
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
    """Start, restart or end the DHCP client of a link: as it was (None: there was none), and as it is to be.

    Where the one after does not live, it is to come again: what is known of its lease stays.
    """

    before: Client | None
    after: Client | None

    @property
    def key(self) -> Any:
        """The client."""
        client: Any = self.after or self.before
        return client.key

    def __str__(self) -> str:
        if self.after is None or not self.after.lives:
            return f"stop the {self.key}"
        words = ", ".join(describe_options(self.after.options))
        return f"{'start a' if self.before is None or not self.before.lives else 'restart the'} {self.key}: {words}"

    def predict(self, _state: State) -> Changes:
        """The client; what it will bring to the link, nobody knows yet."""
        return {self.key: self.after}

    def inverse(self) -> tuple[Operation, ...]:
        """As it was."""
        return (ChangeClient(self.after, self.before),)

    def requests(self) -> list[Request]:
        """One request."""
        if self.after is None or not self.after.lives:
            return [StopClient(self.key.link, self.after)]
        return [StartClient(self.after)]


@dataclass(frozen=True)
class WaitForLease(Operation):
    """Wait for the lease of a link."""

    link: LinkKey
    seconds: float

    @property
    def key(self) -> LinkKey:
        """The link."""
        return self.link

    def __str__(self) -> str:
        return f"wait for the lease of {self.link}"

    def predict(self, state: State) -> Changes:
        """It is there; what it says, nobody knows yet."""
        client = state.clients.get(ClientKey(self.link))
        return {client.key: replace(client, settled=True)} if client is not None else {}

    def inverse(self) -> tuple[Operation, ...]:
        """None."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [AwaitLease(self.link, self.seconds)]


def describe_options(options: Dhcp4) -> list[str]:
    """The options in words, but for those that are as usual."""
    usual = replace(Dhcp4(), client_id="")
    return [f"{name} {_word(value)}" for name, value in vars(options).items() if value != getattr(usual, name)]


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
