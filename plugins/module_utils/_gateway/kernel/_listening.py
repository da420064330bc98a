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
from dataclasses import dataclass

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway._gateway import KernelGateway
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._socket import NetlinkError
from ansible_collections.patchbay.netdev.plugins.module_utils._model._errors import RequestFailed

# linux/sock_diag.h, linux/inet_diag.h
_BY_FAMILY = 20
_REQUEST, _DUMP = 1, 0x300
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=BBBxI48x")  # family, protocol, extensions, states
_ANSWER = struct.Struct("=BBxx2s2x16s16xI8x16xI")  # family, state, port, address, index of the link, inode
_V6ONLY = 11
# A socket of UDP that has not said whom it talks to has the state of one that is closed.
_KINDS = {"tcp": (socket.IPPROTO_TCP, 1 << 10), "udp": (socket.IPPROTO_UDP, 1 << 7)}


@dataclass(frozen=True)
class Listener:
    """address: "" for all. link: the one that it is bound to, or "". processes: id and name of those that have it open."""

    netns: str
    protocol: str
    families: tuple[int, ...]
    address: str
    port: int
    link: str
    processes: tuple[tuple[int, str], ...]


def listeners(gateway: KernelGateway, names: Iterable[str]) -> list[Listener]:
    """Those of these namespaces; RequestFailed when the kernel cannot tell."""
    found: list[tuple[int, Listener]] = []
    for netns in names:
        try:
            for inode, one in _of_namespace(gateway, netns):
                found.append((inode, one))
        except NetlinkError as error:
            raise RequestFailed(f"the kernel does not say who listens: {error.text}", error.errno, error.text) from error
    owners = _owners({inode for inode, _one in found})
    whole = [Listener(**{**vars(one), "processes": tuple(owners.get(inode, ()))}) for inode, one in found]
    return sorted(whole, key=lambda one: (one.netns, one.protocol, one.port, one.families, one.address, one.link))


def _of_namespace(gateway: KernelGateway, netns: str) -> Iterator[tuple[int, Listener]]:
    with gateway.diagnostic_socket(netns) as kernel:
        for protocol, (number, states) in _KINDS.items():
            for family in (socket.AF_INET, socket.AF_INET6):
                question = _QUESTION.pack(family, number, 0, states)
                header = _HEADER.pack(_HEADER.size + len(question), _BY_FAMILY, _REQUEST | _DUMP, 0, 0)
                for part in kernel.dump(header + question):
                    inode, index, one = _understood(part, netns, protocol)
                    link = (gateway.name_by_index(netns, index) or f"(link {index})") if index else ""
                    yield inode, Listener(**{**vars(one), "link": link})


def _understood(part: bytes, netns: str, protocol: str) -> tuple[int, int, Listener]:
    """(inode, index of its link, the listener without names)."""
    family, _state, port, address, index, inode = _ANSWER.unpack_from(part, _HEADER.size)
    families: tuple[int, ...] = (4,) if family == socket.AF_INET else (6,) if _v6only(part) else (4, 6)
    octets = address[:4] if family == socket.AF_INET else address
    text = socket.inet_ntop(family, octets) if any(octets) else ""
    if text and family == socket.AF_INET6:
        families = (6,)
        if text.startswith("::ffff:") and "." in text:
            text, families = text.rpartition(":")[2], (4,)
    return inode, index, Listener(netns, protocol, families, text, int.from_bytes(port, "big"), "", ())


def _v6only(part: bytes) -> bool:
    offset = _HEADER.size + _ANSWER.size
    while offset + 4 <= len(part):
        size, kind = struct.unpack_from("=HH", part, offset)
        if kind == _V6ONLY:
            return bool(part[offset + 4])
        offset += (max(size, 4) + 3) & ~3
    return False


def _owners(inodes: set[int]) -> dict[int, list[tuple[int, str]]]:
    """The processes that have these sockets open, as far as they may be looked into."""
    found: dict[int, list[tuple[int, str]]] = {}
    for process in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours to look into
            open_ = {_inode(f"/proc/{process}/fd/{number}") for number in os.listdir(f"/proc/{process}/fd")}
            with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as file:
                name = file.read().strip()
            for inode in open_ & inodes:
                found.setdefault(inode, []).append((process, name))
    return found


def _inode(path: str) -> int:
    try:
        socket_ = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(path))
    except OSError:  # it was closed meanwhile
        return -1
    return int(socket_[1]) if socket_ else -1
