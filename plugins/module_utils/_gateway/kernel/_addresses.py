# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests about the addresses of links: added, changed, removed, awaited and announced."""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from collections.abc import Iterator

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel import _codec as codec
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._address_messages import read_address, write_address
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._neighbor_frames import announcement
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import tolerating
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Address, LinkKey
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import (
    AddAddress,
    AnnounceAddresses,
    AwaitAddresses,
    RemoveAddress,
    ReplaceAddress,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._values._addresses import is_duplicate

_PROMOTE = "ipv4.promote_secondaries"
_STEP = 0.02


def add(kernel: Kernel, request: AddAddress) -> None:
    """Add an address, unless the link has it."""
    with tolerating(errno.EEXIST):
        _send(kernel, codec.RTM_NEWADDR, codec.NLM_F_CREATE | codec.NLM_F_EXCL, request.key, request.address)


def replace(kernel: Kernel, request: ReplaceAddress) -> None:
    """Change an address in place."""
    _send(kernel, codec.RTM_NEWADDR, codec.NLM_F_CREATE | codec.NLM_F_REPLACE, request.key, request.address)


def remove(kernel: Kernel, request: RemoveAddress) -> None:
    """Remove an address, if the link has it, and no other one."""
    with _secondary_addresses_kept(kernel, request), tolerating(errno.EADDRNOTAVAIL):
        _send(kernel, codec.RTM_DELADDR, 0, request.key, request.address)


def _send(kernel: Kernel, kind: int, flags: int, key: LinkKey, address: Address) -> None:
    header, attrs = write_address(address, kernel.index(key))
    kernel.send(key.netns, kernel.codec.address, kind, flags, header, attrs)


@contextlib.contextmanager
def _secondary_addresses_kept(kernel: Kernel, request: RemoveAddress) -> Iterator[None]:
    """Have the kernel keep the secondary addresses of a subnet: it deletes them with the primary one unless it promotes one."""
    sysctls, link = kernel.namespace(request.key.netns).sysctls, request.key.name
    promotes = [sysctls.read(target, _PROMOTE) for target in ("all", link)]
    # Whether the address is primary now is unknown: a secondary one may have replaced a primary one that was removed before.
    if request.address.family == 6 or any(promotes):
        yield
        return
    sysctls.write(link, _PROMOTE, 1)
    try:
        yield
    finally:
        sysctls.write(link, _PROMOTE, promotes[1] or 0)


def await_usable(kernel: Kernel, request: AwaitAddresses) -> None:
    """Wait until duplicate address detection has passed; RequestFailed for a duplicate, or if it takes too long."""
    index = kernel.index(request.key)
    end = time.monotonic() + request.seconds
    while True:
        dump = kernel.dump(request.key.netns, kernel.codec.address, codec.RTM_GETADDR, {"family": socket.AF_INET6})
        addresses = [read_address(message) for message in dump if message["index"] == index]
        awaited = [address for address in addresses if address.ip in request.ips]
        for address in awaited:
            if is_duplicate(address):
                text = (
                    f"{address.ip} is a duplicate: another host on the network of {request.key} has this address. "
                    "Remove it there, or choose another address"
                )
                raise RequestFailed(text, errno.EADDRINUSE, text)
        pending = [address.ip for address in awaited if not address.settled]
        if not pending:
            return
        if time.monotonic() > end:
            text = (
                f"duplicate address detection on {request.key} did not end within {request.seconds:g} s: "
                f"{', '.join(pending)}. Make sure that the link has a carrier, set a larger wait_dad, or omit it"
            )
            raise RequestFailed(text, errno.ETIMEDOUT, text)
        time.sleep(_STEP)


def announce(kernel: Kernel, request: AnnounceAddresses) -> None:
    """Tell the neighbors of a link that it has these addresses."""
    with kernel.namespace(request.key.netns).packet_socket(request.key.name) as packets:
        mac = packets.getsockname()[4]
        for ip in request.ips:
            packets.send(announcement(mac, ip))
