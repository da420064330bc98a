# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else belongs to a link: permanent neighbors, qdiscs and nexthop objects.

Without pyroute2: it has no class for nexthop objects, and most tasks would load those of the others in vain.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Collection, Iterator

from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._kernel import Kernel
from ansible_collections.patchbay.netdev.plugins.module_utils._gateway.kernel._netlink import (
    HEADER,
    NetlinkError,
    attribute,
    attributes,
)
from ansible_collections.patchbay.netdev.plugins.module_utils._model._ip import AF, FAMILY_OF_AF
from ansible_collections.patchbay.netdev.plugins.module_utils._model._links import Neighbor
from ansible_collections.patchbay.netdev.plugins.module_utils._operations._requests import AddNeighbor

# linux/rtnetlink.h, linux/neighbour.h
_RTM_NEWNEIGH, _RTM_GETNEIGH, _RTM_GETQDISC, _RTM_GETNEXTHOP = 28, 30, 38, 106
_DUMP, _ADD = 0x301, 0x505  # NLM_F_REQUEST with NLM_F_DUMP, or with NLM_F_ACK, NLM_F_REPLACE and NLM_F_CREATE
_NEIGHBOR = struct.Struct("=B3xiHBB")  # family, index of the link, state, flags, type
_NDA_DST, _NDA_LLADDR, _NDA_PROTOCOL = 1, 2, 12
_NUD_PERMANENT, _NTF_PROXY = 0x80, 0x8
_WRITABLE_FLAGS = 0x80 | 0x10  # NTF_ROUTER, NTF_EXT_LEARNED
_QDISC = struct.Struct("=B3xiIII")  # family, index of the link, handle, parent, number of references
_TCA_KIND = 1
_NEXTHOP = struct.Struct("=BBBBI")  # family, scope, protocol, flags
_NHA_ID, _NHA_OIF = 1, 5


def read_neighbors(kernel: Kernel, netns: str) -> Iterator[tuple[int, Neighbor]]:
    """The index of the link, and the neighbor, of all permanent neighbors of a namespace, those of a proxy among them."""
    for flags in (0, _NTF_PROXY):
        for part in _dump(kernel, netns, _RTM_GETNEIGH, _NEIGHBOR.pack(socket.AF_UNSPEC, 0, 0, flags, 0)):
            family, index, state, flags_read, _type = _NEIGHBOR.unpack_from(part, HEADER.size)
            if family not in FAMILY_OF_AF or not (flags or state & _NUD_PERMANENT):
                continue
            values = dict(attributes(part, HEADER.size + _NEIGHBOR.size))
            yield (
                index,
                Neighbor(
                    socket.inet_ntop(family, values[_NDA_DST]),
                    FAMILY_OF_AF[family],
                    values[_NDA_LLADDR].hex(":") if values.get(_NDA_LLADDR) else None,
                    bool(flags),
                    flags_read & _WRITABLE_FLAGS,
                    values.get(_NDA_PROTOCOL, b"\0")[0],
                ),
            )


def add(kernel: Kernel, request: AddNeighbor) -> None:
    """Add a permanent neighbor."""
    neighbor, family = request.neighbor, AF[request.neighbor.family]
    flags = neighbor.flags | (_NTF_PROXY if neighbor.proxy else 0)
    body = _NEIGHBOR.pack(family, kernel.index(request.key), _NUD_PERMANENT, flags, 0)
    body += attribute(_NDA_DST, socket.inet_pton(family, neighbor.ip))
    if neighbor.address:
        body += attribute(_NDA_LLADDR, bytes.fromhex(neighbor.address.replace(":", "")))
    if neighbor.protocol:
        body += attribute(_NDA_PROTOCOL, bytes([neighbor.protocol]))
    kernel.namespace(request.key.netns).netlink.request(_message(_RTM_NEWNEIGH, _ADD, body))


def read_others(kernel: Kernel, netns: str, indexes: Collection[int]) -> Iterator[tuple[int, str]]:
    """The index of the link, and in words what belongs to it and cannot be created again here: qdiscs and nexthop objects."""
    for part in _dump(kernel, netns, _RTM_GETQDISC, _QDISC.pack(0, 0, 0, 0, 0)):
        _family, index, handle, _parent, _references = _QDISC.unpack_from(part, HEADER.size)
        if handle and index in indexes:  # one without a handle is the default
            kind = dict(attributes(part, HEADER.size + _QDISC.size)).get(_TCA_KIND, b"")
            yield index, f"qdisc {kind.rstrip(bytes(1)).decode(errors='replace')}"
    try:
        nexthops = _dump(kernel, netns, _RTM_GETNEXTHOP, _NEXTHOP.pack(0, 0, 0, 0, 0))
    except NetlinkError as error:
        if error.errno != errno.EOPNOTSUPP:  # a kernel before 5.3, which has none
            raise
        nexthops = []
    for part in nexthops:
        values = dict(attributes(part, HEADER.size + _NEXTHOP.size))
        index = int.from_bytes(values.get(_NHA_OIF, b""), sys.byteorder)
        if index in indexes:
            yield index, f"nexthop object {int.from_bytes(values[_NHA_ID], sys.byteorder)}"


def _dump(kernel: Kernel, netns: str, kind: int, body: bytes) -> list[bytes]:
    return kernel.namespace(netns).netlink.dump(_message(kind, _DUMP, body))


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, flags, 0, 0) + body
