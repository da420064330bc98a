# Copyright: Contributors to the patchbay.netdev project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A netlink socket: a request and its acknowledgement, or a complete dump. Bytes in, bytes out.

pyroute2's own sockets behave differently in each release: up to 0.8.1 one EBUSY blocks for nine seconds, 0.9 returns
interrupted dumps as if they were complete, and only some calls return the kernel's own error text.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

NETLINK_ROUTE, NETLINK_SOCK_DIAG = 0, 4
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_CAPPED, NLM_F_ACK_TLVS, NLM_F_DUMP_INTR = 0x100, 0x200, 0x10
NLMSGERR_ATTR_MSG = 1

HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence number, port
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
_TRIES = 10  # a dump is repeated if the kernel reports that its table changed meanwhile
_SECONDS = 30  # the kernel answers within milliseconds; only a request that it lost would wait longer


class NetlinkError(Exception):
    """The kernel refused a request. errno is positive; text is the kernel's own text, or that of the errno if it sent none."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.errno = code
        self.text = text


@contextmanager
def tolerating(code: int) -> Iterator[None]:
    """Ignore the refusal of what is so already: the verification reports what is not as it should be."""
    try:
        yield
    except NetlinkError as error:
        if error.errno != code:
            raise


def attributes(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute of a message, from an offset to its end."""
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        yield kind, data[offset + _ATTRIBUTE.size : offset + length]
        offset += _aligned(max(length, _ATTRIBUTE.size))


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute of a message, padded to a length that is a multiple of four."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(_aligned(length) - length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3


class NetlinkSocket:
    """A socket that stays in the network namespace of the thread that opens it."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        """Open it; OSError if the kernel does not have the protocol."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._sequence = 0
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.settimeout(_SECONDS)
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            try:
                self._socket.setsockopt(SOL_NETLINK, option, 1)
            except OSError as error:  # an older kernel, which sends no text
                if error.errno != errno.ENOPROTOOPT:
                    raise
        self._socket.bind((0, 0))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def request(self, message: bytes) -> list[bytes]:
        """Send one message and wait for its acknowledgement; the messages before it. NetlinkError if the kernel refuses."""
        messages: list[bytes] = []
        self._send(message)
        while True:
            for kind, _flags, part in self._receive():
                if kind != NLMSG_ERROR:
                    messages.append(part)
                    continue
                refused = _refusal(part)
                if refused:
                    raise refused
                return messages

    def dump(self, message: bytes) -> list[bytes]:
        """All messages of a dump; NetlinkError EINTR if the table changed during each of several tries."""
        for _try in range(_TRIES):
            messages: list[bytes] | None = self._dump_once(message)
            if messages is not None:
                return messages
        raise NetlinkError(errno.EINTR, "the links kept changing while they were read")

    def _dump_once(self, message: bytes) -> list[bytes] | None:
        """None if the table changed meanwhile."""
        messages: list[bytes] = []
        is_complete = True
        self._send(message)
        while True:
            for kind, flags, part in self._receive():
                is_complete = is_complete and not flags & NLM_F_DUMP_INTR
                if kind == NLMSG_ERROR:
                    refused = _refusal(part)
                    if refused:
                        raise refused
                elif kind == NLMSG_DONE:
                    code = -struct.unpack_from("=i", part, HEADER.size)[0]
                    if code:
                        raise NetlinkError(code, os.strerror(code))
                    return messages if is_complete else None
                else:
                    messages.append(part)

    def _send(self, message: bytes) -> None:
        self._sequence += 1
        length, kind, flags, _sequence, port = HEADER.unpack_from(message)
        self._socket.send(HEADER.pack(length, kind, flags, self._sequence, port) + message[HEADER.size :])

    def _receive(self) -> list[tuple[int, int, bytes]]:
        """The messages of one datagram that answer the last request: type, flags, and the whole message."""
        try:
            data = self._socket.recv(1 << 20)
        except socket.timeout as error:
            raise NetlinkError(errno.ETIMEDOUT, f"the kernel did not answer within {_SECONDS} seconds") from error
        messages = []
        offset = 0
        while offset + HEADER.size <= len(data):
            length, kind, flags, sequence, _port = HEADER.unpack_from(data, offset)
            if sequence == self._sequence:
                messages.append((kind, flags, data[offset : offset + length]))
            offset += _aligned(length)
        return messages


def _refusal(message: bytes) -> NetlinkError | None:
    """The error of an NLMSG_ERROR message; None if it is an acknowledgement."""
    _length, _kind, flags, _sequence, _port = HEADER.unpack_from(message)
    code = -struct.unpack_from("=i", message, HEADER.size)[0]
    if not code:
        return None
    offset = HEADER.size + 4
    (echoed,) = struct.unpack_from("=I", message, offset)
    offset += HEADER.size if flags & NLM_F_CAPPED else _aligned(echoed)
    texts = dict(attributes(message, offset)) if flags & NLM_F_ACK_TLVS else {}
    text = texts.get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
    return NetlinkError(code, text or os.strerror(code))
