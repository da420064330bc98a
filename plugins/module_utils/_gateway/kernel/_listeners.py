# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs listen on TCP and UDP in a namespace, and on which addresses."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import HEADER, NetlinkError, attributes
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import NotPermitted, RequestFailed

# linux/sock_diag.h, linux/inet_diag.h
_SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP = 20, 0x301
_REQUEST = struct.Struct("=BBBxI48x")  # family, protocol, extensions, states
_REPLY = struct.Struct("=BBxx2s2x16s16xI8x16xI")  # family, state, port, address, index of the link, inode
_INET_DIAG_SKV6ONLY = 11
# An unconnected UDP socket has the same state as a closed TCP socket.
_PROTOCOLS = {"tcp": (socket.IPPROTO_TCP, 1 << 10), "udp": (socket.IPPROTO_UDP, 1 << 7)}


@dataclass(frozen=True)
class Listener:
    """A listening socket.

    address: "" for all. link: the one that the socket is bound to, or "". processes: id and name of those that have it open.
    """

    netns: str
    protocol: str
    families: tuple[int, ...]
    address: str
    port: int
    link: str
    processes: tuple[tuple[int, str], ...]


def listeners(kernel: Kernel, names: Iterable[str]) -> tuple[list[Listener], list[str]]:
    """The listeners in these namespaces, and the namespaces that this process may not enter.

    RequestFailed if the kernel cannot report listeners.
    """
    by_inode: list[tuple[int, Listener]] = []
    unreadable: list[str] = []
    for netns in names:
        try:
            by_inode += _in_namespace(kernel, netns)
        except NotPermitted:
            unreadable.append(netns)
        except NetlinkError as error:
            raise RequestFailed(f"the kernel cannot report listening sockets: {error.text}", error.errno, error.text) from error
    processes = _processes_by_inode({inode for inode, _listener in by_inode})
    complete = [replace(listener, processes=tuple(processes.get(inode, ()))) for inode, listener in by_inode]
    ordered = sorted(
        complete,
        key=lambda listener: (
            listener.netns,
            listener.protocol,
            listener.port,
            listener.families,
            listener.address,
            listener.link,
        ),
    )
    return ordered, unreadable


def _in_namespace(kernel: Kernel, netns: str) -> Iterator[tuple[int, Listener]]:
    with kernel.namespace(netns).diagnostic_socket() as diagnostics:
        for protocol, (number, states) in _PROTOCOLS.items():
            for family in (socket.AF_INET, socket.AF_INET6):
                body = _REQUEST.pack(family, number, 0, states)
                header = HEADER.pack(HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 0, 0)
                for part in diagnostics.dump(header + body):
                    inode, index, listener = _decoded(part, netns, protocol)
                    link = (kernel.name_by_index(netns, index) or f"(link {index})") if index else ""
                    yield inode, replace(listener, link=link)


def _decoded(message: bytes, netns: str, protocol: str) -> tuple[int, int, Listener]:
    """(inode, index of its link, the listener without link and processes)."""
    family, _state, port, address, index, inode = _REPLY.unpack_from(message, HEADER.size)
    families: tuple[int, ...] = (4,) if family == socket.AF_INET else (6,) if _is_ipv6_only(message) else (4, 6)
    octets = address[:4] if family == socket.AF_INET else address
    text = socket.inet_ntop(family, octets) if any(octets) else ""
    if text and family == socket.AF_INET6:
        families = (6,)
        if text.startswith("::ffff:") and "." in text:
            text, families = text.rpartition(":")[2], (4,)
    return inode, index, Listener(netns, protocol, families, text, int.from_bytes(port, "big"), "", ())


def _is_ipv6_only(message: bytes) -> bool:
    return any(dict(attributes(message, HEADER.size + _REPLY.size)).get(_INET_DIAG_SKV6ONLY, b""))


def _processes_by_inode(inodes: set[int]) -> dict[int, list[tuple[int, str]]]:
    """The processes that have these sockets open, as far as their files can be read."""
    processes: dict[int, list[tuple[int, str]]] = {}
    for process in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        with contextlib.suppress(OSError):  # it ended meanwhile, or belongs to another user
            inodes_of_process = {_inode(f"/proc/{process}/fd/{number}") for number in os.listdir(f"/proc/{process}/fd")}
            with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
                name = file.read().strip()
            for inode in inodes_of_process & inodes:
                processes.setdefault(inode, []).append((process, name))
    return processes


def _inode(path: str) -> int:
    try:
        match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(path))
    except OSError:  # it was closed meanwhile
        return -1
    return int(match[1]) if match else -1
