# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the DHCP hook that needs the engine: a lease that changed is planned like a task."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._converge._converge import converge
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _client_records as client_records
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _resolver as resolver
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock import locked
from ansible_collections.patchbay.netdev.plugins.module_utils._model._desired import DesiredLink
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import NetdevError
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import from_record
from ansible_collections.patchbay.netdev.plugins.module_utils._values._lease import lease_from_json

_SECONDS, _PAUSE = 15.0, 0.5  # how long a host takes to boot


def apply(record: Mapping[str, Any]) -> list[str]:
    """Apply the lease of a client to its link; the operations, as sentences."""
    key, options = LinkKey(record["netns"], record["link"]), from_record(record["options"])
    item = DesiredLink(key, None, True, dhcp4=options, client=options.client)
    with KernelGateway(assume_clients_serve=True) as gateway:
        result = converge(gateway, [item], apply=True, allow_lockout=True)
    return [str(operation) for operation in result.operations]


def publish_dns(path: str, record: Mapping[str, Any]) -> None:
    """Publish the DNS servers of a lease. If the resolver does not run yet, early in the boot, the next renewal tries again."""
    lease, backend = lease_from_json(record["lease"]), ""
    end = time.monotonic() + _SECONDS
    while not backend:
        try:
            backend = resolver.backend(record["netns"], record["link"])
            resolver.publish(backend, record["link"], lease)
        except NetdevError as error:
            backend = ""
            if time.monotonic() > end:
                sys.stderr.write(f"<4>the DNS servers of {record['link']} are not published: {error}\n")
                break
            time.sleep(_PAUSE)
    with locked():
        current = client_records.read(path)
        if current is not None and lease is not None and lease.same_as(lease_from_json(current["lease"])):
            client_records.write(path, {**current, "resolver": backend, "settled": True})


def withdraw_dns(record: dict[str, Any]) -> None:
    """Withdraw the DNS servers of a lease that is lost."""
    try:
        resolver.withdraw(record["resolver"], record["link"])
    except NetdevError as error:
        sys.stderr.write(f"<4>the DNS servers of {record['link']} are not withdrawn: {error}\n")
    record["resolver"] = ""
