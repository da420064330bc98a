# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations on the addresses of a link: wait until they are usable, and announce them to the neighbors."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._operation import Changes, Operation
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AnnounceAddresses,
    AwaitAddresses,
    Request,
)

DAD_SECONDS = 4.0  # what duplicate address detection takes on a link that has just come up, with a margin


@dataclass(frozen=True)
class WaitForAddresses(Operation):
    """Wait until addresses of a link have passed duplicate address detection; a duplicate makes the plan fail."""

    key: LinkKey
    ips: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        return f"wait for duplicate address detection on {self.key}: {', '.join(self.ips)}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """Nothing to roll back."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [AwaitAddresses(self.key, self.ips, self.seconds)]


@dataclass(frozen=True)
class Announce(Operation):
    """Announce the addresses of a link to its neighbors."""

    key: LinkKey
    ips: tuple[str, ...]

    def __str__(self) -> str:
        return f"announce from {self.key}: {', '.join(self.ips)}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes on this host."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """None: an announcement cannot be withdrawn, and the next one that answers for the address replaces it."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [AnnounceAddresses(self.key, self.ips)]
