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

DAD_SECONDS = 4.0  # what duplicate address detection takes on a link that has just come up, and some


@dataclass(frozen=True)
class WaitForAddresses(Operation):
    """Wait until duplicate address detection has passed the addresses of a link; a duplicate ends the plan."""

    key: LinkKey
    ips: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        return f"wait for duplicate address detection on {self.key}: {', '.join(self.ips)}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """None."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [AwaitAddresses(self.key, self.ips, self.seconds)]


@dataclass(frozen=True)
class Announce(Operation):
    """Tell the neighbours of a link who has its addresses now."""

    key: LinkKey
    ips: tuple[str, ...]

    def __str__(self) -> str:
        return f"announce from {self.key}: {', '.join(self.ips)}"

    def predict(self, _state: State) -> Changes:
        """Nothing changes here."""
        return {}

    def inverse(self) -> tuple[Operation, ...]:
        """What was said cannot be taken back; whoever has the address says so when it is asked."""
        return ()

    def requests(self) -> list[Request]:
        """One request."""
        return [AnnounceAddresses(self.key, self.ips)]
