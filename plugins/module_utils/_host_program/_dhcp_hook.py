# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook that DHCP clients run: a renewed lease gets its new lifetime, any other event is planned like a task.

Nearly all events are renewals. So the engine, and pyroute2 with it, is imported only for the others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _client_records as client_records
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.host._lock import locked
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _lease_address as lease_address
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import InvalidValue, NetdevError
from ansible_collections.patchbay.netdev.plugins.module_utils._values._lease import (
    GAINED,
    NOTHING,
    LeaseEvent,
    is_lease_event,
    lease_from_json,
    lease_to_json,
    parse_event,
)


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the hook; the exit status. arguments, environment: what the client passes to it."""
    if list(arguments) == ["networkd"]:
        return _handle_networkd()
    path = environment.get(client_records.VARIABLE)
    if not path:
        _log(f"{client_records.VARIABLE} is not set: only DHCP clients of patchbay.netdev run this program")
        return 1
    if not is_lease_event(arguments, environment):  # the lock may belong to a task that waits for this client to start or end
        return 0
    client_records.shorten_log(path)
    publishes_dns = False
    try:
        _import_engine(client_records.read(path), arguments, environment)
        with locked():
            record = client_records.read(path)
            if record is not None:
                publishes_dns = _handle(path, record, _event(record, arguments, environment))
            elif os.path.exists(path):  # else its client is being ended
                raise InvalidValue(f"{path} was written by another release. Run the task again that declared the client")
        if publishes_dns and record is not None:
            from ansible_collections.patchbay.netdev.plugins.module_utils._host_program._lease_plan import publish_dns

            publish_dns(path, record)
    except NetdevError as error:
        _log(f"<3>failed: {error}")  # with exit status 0: else dhclient would decline the lease
    return 0


def _event(record: Mapping[str, Any], arguments: Sequence[str], environment: Mapping[str, str]) -> LeaseEvent:
    is_expired = lease_from_json(record["lease"]) is not None and client_records.seconds_left(record) == 0
    return parse_event(arguments, environment, is_expired)


def _import_engine(record: Mapping[str, Any] | None, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Import the engine before the lock is taken, if the event probably needs it: the import takes longer than all the rest."""
    if record is None:
        return
    event = _event(record, arguments, environment)
    is_renewal = record["settled"] and event.lease is not None and event.lease.same_as(lease_from_json(record["lease"]))
    if event.change != NOTHING and not is_renewal:
        from ansible_collections.patchbay.netdev.plugins.module_utils._host_program import _lease_plan  # noqa: F401


def _log(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _handle_networkd() -> int:
    """Handle all new leases of systemd-networkd, also after one that cannot be planned; the exit status."""
    from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _networkd_client as networkd_client

    has_failed = False
    with locked():
        for path, record in networkd_client.records().items():
            try:
                lease = networkd_client.new_lease(record)
                if lease is not None:
                    _handle(path, record, LeaseEvent(GAINED, lease))
            except NetdevError as error:
                _log(f"<3>failed: {record['link']}: {error}")
                has_failed = True
    return 1 if has_failed else 0


def _handle(path: str, record: dict[str, Any], event: LeaseEvent) -> bool:
    """Handle an event. Whether DNS servers must be published, for which other programs need not wait."""
    before, lease = lease_from_json(record["lease"]), event.lease
    sets_address = record["networkd"] is None
    if event.change == NOTHING or (lease is None and before is None and not record["former"]):
        return False
    if lease is not None:
        record["expires"] = client_records.expiry(lease.seconds) if sets_address else None
        is_renewal = sets_address and lease.same_as(before) and record["settled"]
        if is_renewal and lease_address.is_usable(lease, _sets_routes(record)) and lease_address.renew(record["link"], lease):
            client_records.write(path, {**record, "lease": lease_to_json(lease)})
            return bool(record["options"].get("use_dns") and not record["resolver"])
    # Written before the plan is applied: if this process dies, the next one knows what the link may have.
    former = [*record["former"], *([record["lease"]] if before is not None and not before.same_as(lease) else [])]
    record.update(lease=lease_to_json(lease), former=former, settled=False)
    client_records.write(path, record)
    from ansible_collections.patchbay.netdev.plugins.module_utils._host_program._lease_plan import apply, withdraw_dns

    for operation in apply(record):
        _log(f"<6>{operation}")
    if sets_address and lease is not None and before is not None and str(lease) == str(before):
        lease_address.renew(record["link"], lease)  # the planner does not change an address for its lifetime alone
    publishes_dns = bool(record["options"].get("use_dns") and lease is not None)
    if record["resolver"] and lease is None:
        withdraw_dns(record)
    record.update(former=[], settled=lease is not None and not publishes_dns)
    client_records.write(path, record)
    return publishes_dns


def _sets_routes(record: Mapping[str, Any]) -> bool:
    """Whether the routes of leases are set."""
    options = record["options"]
    return bool((options["source_routing"] or options["use_main_table"]) and options["use_routes"])
