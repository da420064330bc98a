# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP clients that others started for a link. The address that such a client sets can look like a static one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import replace

from ansible_collections.patchbay.netdev.plugins.module_utils._boot._systemd_files import HOOK
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._namespace_files import identity_of_process
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.dhcp._client_records import VARIABLE
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address

# Clients that are started for one link, and may set its address without a lifetime.
_CLIENTS = ("udhcpc", "dhclient", "dhcpcd")


def serving(links: Mapping[tuple[int, int], Collection[str]]) -> dict[tuple[tuple[int, int], str], str]:
    """The client that serves each of these links, which are names by the identity of their namespace: `udhcpc (process 123)`."""
    clients: dict[tuple[tuple[int, int], str], str] = {}
    for process, namespace, words in _processes_in(links):
        if HOOK in words or any(word.startswith(f"{VARIABLE}=") for word in words):
            continue  # one of this collection, which sets its address with a lifetime
        program = next((os.path.basename(word) for word in words[:2] if os.path.basename(word) in _CLIENTS), None)
        for word in words[1:] if program else []:
            name = word[2:] if word.startswith("-i") and len(word) > 2 else word.rpartition("=")[2]
            if name in links[namespace]:
                clients[namespace, name] = f"{program} (process {process})"
    return clients


def sets_link_local(client: str) -> bool:
    """Whether a client, as `serving` describes it, generates the link-local address of its link instead of the kernel."""
    return client.startswith("dhcpcd ")


def _processes_in(namespaces: Container[tuple[int, int]]) -> Iterator[tuple[str, tuple[int, int], list[str]]]:
    """Id, namespace and command line of the processes of these namespaces that may be clients."""
    for process in os.listdir("/proc"):
        if not process.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended meanwhile, or belongs to another user
            with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
                if file.read().strip() not in (*_CLIENTS, "busybox"):
                    continue
            with open(f"/proc/{process}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
            namespace = identity_of_process(process)
            if namespace in namespaces:
                yield process, namespace, words


def attributed(addresses: Iterable[Address], client: str) -> tuple[Address, ...]:
    """The addresses of a link that a client serves, with the client of those that it may have set.

    Where it sets addresses with a lifetime, the others are not its own. udhcpc never sets one.
    """
    addresses = tuple(addresses)
    has_lease = any(address.family == 4 and address.valid is not None for address in addresses)
    if has_lease and not client.startswith("udhcpc"):
        return addresses
    return tuple(replace(address, client=client) if address.family == 4 else address for address in addresses)
