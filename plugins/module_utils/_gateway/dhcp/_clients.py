# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DHCP clients of this collection: started, ended, and read back from their records."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway import _atomic_files as atomic_files
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _client_processes as client_processes
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _client_records as client_records
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _networkd_client as networkd_client
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp import _resolver as resolver
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._client_id import identifier
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._client_records import Record
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._polling import polls
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._programs import PROGRAMS, Job
from ansible_collections.patchbay.netdev.plugins.module_utils._model._clients import Client, ClientKey
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._lease import record_path
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._values._dhcp4 import NETWORKD, from_record, recorded
from ansible_collections.patchbay.netdev.plugins.module_utils._values._lease import lease_from_json, lease_to_json


@dataclass(frozen=True)
class ServedLink:
    """The link that a client is started for, as it is now. netns: the name of its namespace; namespace: its identity."""

    netns: str
    name: str
    namespace: tuple[int, int]
    index: int
    address: str | None


def read_all() -> list[tuple[LinkKey, Record]]:
    """The clients that were started since the boot, by the names that their namespaces had then."""
    return [(LinkKey(record["netns"], record["link"]), record) for record in client_records.read_all().values()]


def processes() -> set[int]:
    """The process ids of those that run. Each ends with its link."""
    candidates = (client_processes.find(path) for path in client_records.read_all())
    return {process for process in candidates if process is not None}


def client_of(key: ClientKey, record: Mapping[str, Any], link: tuple[int, str | None] | None) -> Client:
    """A client as it is now. link: index and MAC address of the link that has the name now."""
    if record["networkd"] is not None:
        is_running = networkd_client.is_served(record["link"], record["networkd"])
    else:
        is_running = client_processes.runs_in(record_path(record["netns"], record["link"]), tuple(record["namespace"]))
    return Client(
        key,
        from_record(record["options"]),
        lease_from_json(record["lease"]),
        client_records.seconds_left(record),
        tuple(lease for lease in map(lease_from_json, record["former"]) if lease),
        is_running,
        link is not None and list(link) == [record["index"], record["address"]],
        record["settled"],
    )


def is_served_by_networkd(key: LinkKey) -> bool:
    """Whether systemd-networkd is the client of a link."""
    record = client_records.read(record_path(key.netns, key.name))
    return record is not None and record["networkd"] is not None


def is_in(record: Mapping[str, Any], namespace: tuple[int, int]) -> bool:
    """Whether a client was started in this namespace: each namespace that has no name may have a client of the same name."""
    return tuple(record["namespace"]) == namespace


def start(client: Client, link: ServedLink) -> None:
    """Start a client, in place of the one that serves the link; RequestFailed with its last log line if it does not run."""
    path = record_path(link.netns, link.name)
    earlier = client_records.read(path)
    program = PROGRAMS.get(client.options.client or "")
    by_networkd = client.options.client == NETWORKD
    stays_with_networkd = by_networkd and earlier is not None and earlier["networkd"] is not None
    if not stays_with_networkd:
        _end(path, link.name)
        earlier = client_records.read(path)  # its hook may have written it meanwhile
    client_id = identifier(client.options.client_id, link.address or "")
    known, has_new_file = None, False
    same_link = earlier if stays_with_networkd and earlier is not None and earlier["index"] == link.index else None
    if by_networkd:
        known, has_new_file = networkd_client.prepare(
            link.name, link.index, client.options, client_id or b"", same_link["networkd"] if same_link else None
        )
    job = Job(
        link.name,
        client.options,
        client_id,
        f"{client_records.VARIABLE}={path}",
        client_records.sibling(path, "conf"),
    )
    record = {
        "netns": link.netns,
        "link": link.name,
        "namespace": list(link.namespace),
        "index": link.index,
        "address": link.address,
        "options": recorded(client.options),
        "command": program.command(job) if program else [],
        "folders": list(program.folders) if program else [],
        "places": dict(program.places(job)) if program else {},
        "lease": lease_to_json(client.lease),
        "former": [lease_to_json(lease) for lease in client.former],
        "settled": client.settled,
        "expires": None if by_networkd else client_records.expiry(client.seconds_left),  # networkd sets the lifetimes itself
        "networkd": known,
        "resolver": resolver.backend(link.netns, link.name) if client.options.use_dns and client.lease else "",
    }
    if earlier is not None and earlier["resolver"] not in ("", record["resolver"]):
        resolver.withdraw(earlier["resolver"], link.name)
    if record["resolver"]:
        resolver.publish(record["resolver"], link.name, client.lease)
    client_records.write(path, record)
    if program is None:
        has_new_address = same_link is not None and same_link["address"] != link.address
        networkd_client.start(link.name, link.index, known or {}, has_new_file, has_new_address)
        return
    atomic_files.write(job.configuration, program.configuration(job).encode(), atomic_files.PRIVATE_FILE)
    if not client_processes.start(path):
        line = client_processes.last_log_line(path)
        raise RequestFailed(f"the {client.key} did not start{': ' if line else ''}{line}", 0, line)


def stop(key: LinkKey, remaining: Client | None) -> None:
    """End the client of a link. remaining: what its record keeps, if it is started again later; None deletes the record."""
    path = record_path(key.netns, key.name)
    _end(path, key.name)
    record = client_records.read(path)
    if remaining is not None:
        if record is not None:  # it may have been started with other options meanwhile
            client_records.write(path, {**record, "options": recorded(remaining.options)})
        return
    if record is not None and record["resolver"]:
        with contextlib.suppress(RequestFailed):
            resolver.withdraw(record["resolver"], key.name)
    client_records.delete(path)


def _end(path: str, link: str) -> None:
    record = client_records.read(path)
    if record is None or record["networkd"] is None:
        client_processes.end(path)
        return
    is_last = not networkd_client.records().keys() - {path}
    networkd_client.stop(link, record["index"], record["networkd"], is_last)


def wait_for_lease(key: LinkKey, seconds: float) -> None:
    """Wait until the hook has applied a lease; RequestFailed if that takes longer."""
    path = record_path(key.netns, key.name)
    for _poll in polls(seconds):
        record = client_records.read(path)
        if record is not None and record["lease"] is not None and record["settled"]:
            return
    text = f"{key.name} got no lease within {seconds:g} s"
    line = client_processes.last_log_line(path)
    raise RequestFailed(
        f"{text}{f' (last log line of the client: {line})' if line else ''}. Make sure that its network has a DHCP server. "
        "Set a larger wait, or omit it: then the client continues in the background",
        0,
        text,
    )
