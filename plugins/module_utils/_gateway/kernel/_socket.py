# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A netlink socket: a request and its acknowledgement, or a dump that is whole. Bytes in, bytes out.

Of our own because each release of pyroute2 answers differently: up to 0.8.1 one EBUSY blocks for nine seconds, 0.9 hands
out interrupted dumps as if they were whole, and the kernel's own sentence comes only with some calls.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

NETLINK_ROUTE, NETLINK_SOCK_DIAG = 0, 4
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_CAPPED, NLM_F_ACK_TLVS, NLM_F_DUMP_INTR = 0x100, 0x200, 0x10
NLMSGERR_ATTR_MSG = 1

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_TRIES = 10  # a dump is repeated when the kernel says that its table changed meanwhile
_SECONDS = 30  # the kernel answers within milliseconds; only a request that it lost would wait longer


class NetlinkError(Exception):
    """The kernel said no: errno is positive, text its sentence or, without one, that of the errno."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.errno = code
        self.text = text


class NetlinkSocket:
    """A socket in the network namespace of the thread that opens it; it stays there."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        """Open it; OSError when the kernel does not have the protocol."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sequence = 0
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.settimeout(_SECONDS)
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            try:
                self._socket.setsockopt(SOL_NETLINK, option, 1)
            except OSError as error:  # an older kernel: no sentence
                if error.errno != errno.ENOPROTOOPT:
                    raise
        self._socket.bind((0, 0))

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def request(self, message: bytes) -> list[bytes]:
        """Send one message and wait for its acknowledgement; what came before it. NetlinkError when refused."""
        found: list[bytes] = []
        self._send(message)
        while True:
            for kind, _flags, part in self._receive():
                if kind != NLMSG_ERROR:
                    found.append(part)
                    continue
                refused = _refusal(part)
                if refused:
                    raise refused
                return found

    def dump(self, message: bytes) -> list[bytes]:
        """All messages of a dump; NetlinkError EINTR when the table changed during each of several tries."""
        for _try in range(_TRIES):
            found: list[bytes] | None = self._dump_once(message)
            if found is not None:
                return found
        raise NetlinkError(errno.EINTR, "the links kept changing while they were read")

    def _dump_once(self, message: bytes) -> list[bytes] | None:
        found: list[bytes] = []
        whole = True
        self._send(message)
        while True:
            for kind, flags, part in self._receive():
                whole = whole and not flags & NLM_F_DUMP_INTR
                if kind == NLMSG_ERROR:
                    refused = _refusal(part)
                    if refused:
                        raise refused
                elif kind == NLMSG_DONE:
                    code = -struct.unpack_from("=i", part, _HEADER.size)[0]
                    if code:
                        raise NetlinkError(code, os.strerror(code))
                    return found if whole else None
                else:
                    found.append(part)

    def _send(self, message: bytes) -> None:
        self._sequence += 1
        length, kind, flags, _sequence, port = _HEADER.unpack_from(message)
        self._socket.send(_HEADER.pack(length, kind, flags, self._sequence, port) + message[_HEADER.size :])

    def _receive(self) -> list[tuple[int, int, bytes]]:
        """The messages of one datagram that answer the last request: type, flags, and the whole of it."""
        try:
            data = self._socket.recv(1 << 20)
        except socket.timeout as error:
            raise NetlinkError(errno.ETIMEDOUT, f"the kernel did not answer within {_SECONDS} seconds") from error
        found = []
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, sequence, _port = _HEADER.unpack_from(data, offset)
            if sequence == self._sequence:
                found.append((kind, flags, data[offset : offset + length]))
            offset += (length + 3) & ~3
        return found


def _refusal(part: bytes) -> NetlinkError | None:
    """The error of an NLMSG_ERROR message; None when it is a plain acknowledgement."""
    length, _kind, flags, _sequence, _port = _HEADER.unpack_from(part)
    code = -struct.unpack_from("=i", part, _HEADER.size)[0]
    if not code:
        return None
    text = os.strerror(code)
    offset = _HEADER.size + 4
    (echoed,) = struct.unpack_from("=I", part, offset)
    offset += _HEADER.size if flags & NLM_F_CAPPED else (echoed + 3) & ~3
    while flags & NLM_F_ACK_TLVS and offset + 4 <= length:
        size, kind = struct.unpack_from("=HH", part, offset)
        if kind == NLMSGERR_ATTR_MSG:
            text = part[offset + 4 : offset + size].rstrip(b"\0").decode(errors="replace")
        offset += (max(size, 4) + 3) & ~3
    return NetlinkError(code, text)
