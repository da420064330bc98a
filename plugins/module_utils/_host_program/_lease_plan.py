# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the hook of DHCP clients that needs the engine: a lease that changed is a wish like any other."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._converge._converge import converge
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _leases as leases
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _resolver as resolver
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock import locked
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Dhcp4
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import NetdevError
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import restored
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._state import Scope, State

_SECONDS, _PAUSE = 15.0, 0.5  # for as long as a host takes to start


class _Told(KernelGateway):
    """The client that tells of a lease is there, and serves: it is not for its own hook to restart it."""

    def observe(self, scope: Scope) -> State:
        """As it is, with that client alive."""
        found = super().observe(scope)
        found.clients = {key: replace(client, is_running=True, matches_link=True) for key, client in found.clients.items()}
        return found


def tell_resolver(path: str, record: Mapping[str, Any]) -> None:
    """Tell it of the lease. Early in the boot it may not listen yet: then it is told at the next renewal at the latest."""
    lease, way = restored(record["lease"]), ""
    end = time.monotonic() + _SECONDS
    while not way:
        try:
            way = resolver.way(record["netns"], record["link"])
            resolver.tell(way, record["link"], lease)
        except NetdevError as error:
            way = ""
            if time.monotonic() > end:
                sys.stderr.write(f"<4>the resolver was not told: {error}\n")
                break
            time.sleep(_PAUSE)
    with locked():
        now = leases.read(path)
        if now is not None and lease is not None and lease.same_as(restored(now["lease"])):
            leases.write(path, {**now, "resolver": way, "settled": True})


def forget_resolver(record: dict[str, Any]) -> None:
    """Have it forget what it was told of a lease that is no more."""
    try:
        resolver.withdraw(record["resolver"], record["link"])
    except NetdevError as error:
        sys.stderr.write(f"<4>the resolver did not forget: {error}\n")
    record["resolver"] = ""


def apply(record: Mapping[str, Any]) -> list[str]:
    """Make true what is known of a client's lease; what was done, as sentences."""
    key, options = LinkKey(record["netns"], record["link"]), Dhcp4(**record["options"])
    item = DesiredLink(key, None, True, dhcp4=options, client=options.client)  # it serves: whether it could is not asked
    with _Told() as gateway:
        done = converge(gateway, [item], apply=True, allow_lockout=True)
    return [str(operation) for operation in done.operations]
