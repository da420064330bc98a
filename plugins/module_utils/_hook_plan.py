# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the hook of DHCP clients that needs the engine: a lease that changed is a wish like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._converge import converge
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._kernel import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._model import Dhcp4, LinkKey, Scope, State, Wanted


class _Told(KernelGateway):
    """The client that tells of a lease is there, and serves: it is not for its own hook to restart it."""

    def observe(self, scope: Scope) -> State:
        """As it is, with that client alive."""
        found = super().observe(scope)
        found.clients = {key: replace(client, lives=True, fits=True) for key, client in found.clients.items()}
        return found


def apply(record: Mapping[str, Any]) -> list[str]:
    """Make true what is known of a client's lease; what was done, as sentences."""
    item = Wanted(LinkKey(record["netns"], record["link"]), None, True, {}, dhcp4=Dhcp4(**record["options"]))
    with _Told() as gateway:
        done = converge(gateway, [item], apply=True, allow_lockout=True)
    return [str(operation) for operation in done.operations]
