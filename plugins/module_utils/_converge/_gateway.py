# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What converging needs of the host: the real gateway is in _gateway/, the unit tests have one in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from ansible_collections.patchbay.netdev.plugins.module_utils._model._boot import BootState
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import Desired
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Connection, Scope, State
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import Request


class Gateway(Protocol):
    """The only way to the kernel and to the files of the host."""

    def resolve(self, items: Sequence[Desired]) -> tuple[Desired, ...]:
        """The items with one name per namespace, and numbers for names of groups."""

    def observe(self, scope: Scope) -> State:
        """Read what the scope names, and the namespaces that its links refer to; changes nothing."""

    def all_namespaces(self) -> list[str]:
        """The namespace that the process runs in, and every named one."""

    def links_with_client(self) -> Collection[LinkKey]:
        """The links that have a DHCP client of ours."""

    def connection(self) -> Connection:
        """How the task reaches this host."""

    def has_declarations(self) -> bool:
        """Whether something is restored at the next boot, or served until then."""

    def boot_state(self, ask_managers: bool) -> BootState:
        """The files that bring things back at the next boot. ask_managers: with what network managers report."""

    def execute(self, request: Request) -> None:
        """Send one request; RequestFailed when the kernel refuses it."""
